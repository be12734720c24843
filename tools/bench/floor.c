#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tools/say.h"

/* What a measurement is compared to. */

enum { ANSWER_BYTES = 4096 };

static struct bench_floor floor_of(const char *name, const char *over,
                                   bool batch)
{
    struct bench_floor f = {.over = over, .batch = batch};

    (void)snprintf(f.name, sizeof f.name, "%s", name);
    return f;
}

static size_t for_calls(const struct bench *b, struct bench_floor *f)
{
    const bool udp = strcmp(b->transport, "tcp") != 0;
    size_t n = 0;

    if (b->kind->one_site) {
        f[n++] = floor_of("raw unix", "unix", false);
        return n;
    }
    if (udp) {
        f[n++] = floor_of("raw UDP", "udp", false);
    }
    if (b->tls) {
        f[n++] = floor_of("raw TLS", "tls", false);
    }
    if (!udp || !b->tls) {
        f[n++] = floor_of("raw TCP", "tcp", false);
    }
    return n;
}

static size_t for_sends(const struct bench *b, struct bench_floor *f)
{
    const bool udp = strcmp(b->transport, "tcp") != 0;
    const char *stream = b->tls ? "tls" : "tcp";
    size_t n = 0;

    f[n++] = floor_of(b->tls ? "raw TLS, batched" : "raw TCP, batched", stream,
                      true);
    f[n++] = floor_of(b->tls ? "raw TLS, one by one" : "raw TCP, one by one",
                      stream, false);
    if (udp) {
        f[n++] = floor_of("raw UDP, batched", "udp", true);
        f[n++] = floor_of("raw UDP, one by one", "udp", false);
    }
    return n;
}

size_t bench_floors(const struct bench *b,
                    struct bench_floor floors[BENCH_FLOORS_MAX])
{
    if (b->wish->beside > 0) {
        floors[0] = floor_of("without the stream", NULL, false);
        return 1;
    }
    if (!b->wish->floor || b->kind->floor == NULL) {
        return 0;
    }
    return strcmp(b->kind->floor, "echo") == 0 ? for_calls(b, floors)
                                               : for_sends(b, floors);
}

static uint64_t scaled(const json_t *doc, const char *key, double factor)
{
    double v = json_number_value(json_object_get(doc, key));

    return v > 0 ? (uint64_t)(v * factor + 0.5) : 0;
}

static bool read_answer(const char *text, struct bench_figures *out)
{
    json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (doc == NULL) {
        return false;
    }
    *out = (struct bench_figures){
        .count = scaled(doc, "messages", 1),
        .elapsed_ns = scaled(doc, "seconds", 1e9),
        .p50_ns = scaled(doc, "p50_us", 1000),
        .p90_ns = scaled(doc, "p90_us", 1000),
        .p99_ns = scaled(doc, "p99_us", 1000),
    };
    histogram_init(&out->latency);
    out->cpu_ns = scaled(doc, "cpu_s_per_million", 1000 * (double)out->count);
    json_decref(doc);
    return out->count > 0;
}

enum exit_code bench_floor(struct bench *b, const struct bench_floor *floor,
                           uint64_t size, uint64_t for_ns,
                           struct bench_figures *out)
{
    char program[PATH_BYTES];
    char command[PATH_BYTES + 256];
    char text[ANSWER_BYTES];

    if (floor->over == NULL) {
        b->beside = 0;
        const enum exit_code code = b->kind->measure(b, size, for_ns, out);
        b->beside = b->wish->beside;
        return code;
    }
    if (!process_find("motet-floor", program)) {
        return EXIT_FAILED;
    }
    (void)snprintf(command, sizeof command,
                   "exec '%s' %s --over %s --batch %s --size %" PRIu64
                   " --seconds %.3f --cpus %s",
                   program, b->kind->floor, floor->over,
                   floor->batch ? "yes" : "no", size, (double)for_ns / 1e9,
                   b->cpus);
    FILE *f = popen(command, "re");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    int status = f == NULL ? -1 : pclose(f);
    if (status != 0 || !read_answer(text, out)) {
        say_error("motet-floor failed (%d)", status);
        say_hint("run it by hand: %s", command);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
