#include <inttypes.h>
#include <stdio.h>

#include "bench.h"

/* motet bench send: messages one way between two sites, each with its
 * outcome. */

static enum exit_code measure(struct bench *b, uint64_t size, uint64_t for_ns,
                              struct bench_figures *out)
{
    struct bench_question q = {.site = b->from};
    char to[BENCH_GROUP_BYTES];

    if (b->user) {
        return bench_two_users(b, true, size, for_ns, out);
    }
    (void)snprintf(
        q.words, sizeof q.words,
        "op=send to=%s size=%" PRIu64 " ms=%" PRIu64 " window=%" PRIu64,
        bench_group(to, "bench", b->to), size, for_ns / 1000000, b->window);
    return bench_measure(b, &q, 1, for_ns, out);
}

const struct bench_kind bench_send = {
    .name = "send",
    .floor = "send",
    .window = 1024,
    .sites = 2,
    .sized = true,
    .measure = measure,
};
