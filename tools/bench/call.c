#include <inttypes.h>
#include <stdio.h>

#include "bench.h"

/* motet bench call: round trips between two sites. */

static void ask_words(const struct bench *b, uint64_t size, uint64_t for_ns,
                      char *words, size_t words_bytes)
{
    char echo[BENCH_GROUP_BYTES];
    char sink[BENCH_GROUP_BYTES];

    (void)snprintf(
        words, words_bytes,
        "op=call to=%s size=%" PRIu64 " ms=%" PRIu64 " window=%" PRIu64
        " rate=%" PRIu64 " beside=%" PRIu64 " beside_to=%s",
        bench_group(echo, "echo", b->to), size, for_ns / 1000000, b->window,
        b->wish->rate, b->beside, bench_group(sink, "bench", b->to));
}

static enum exit_code measure(struct bench *b, uint64_t size, uint64_t for_ns,
                              struct bench_figures *out)
{
    struct bench_question q = {.site = b->from};

    if (b->user) {
        return bench_two_users(b, false, size, for_ns, out);
    }
    ask_words(b, size, for_ns, q.words, sizeof q.words);
    return bench_measure(b, &q, 1, for_ns, out);
}

const struct bench_kind bench_call = {
    .name = "call",
    .floor = "echo",
    .window = 1,
    .sites = 2,
    .latency = true,
    .sized = true,
    .measure = measure,
};

/* motet bench local: the same within one site. */
const struct bench_kind bench_local = {
    .name = "local",
    .floor = "echo",
    .window = 1,
    .sites = 1,
    .one_site = true,
    .latency = true,
    .sized = true,
    .measure = measure,
};
