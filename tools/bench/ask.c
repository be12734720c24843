#include <inttypes.h>
#include <motet/supervisor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tools/say.h"

#define ANSWER_NS UINT64_C(15000000000) /* besides the measurement itself */

/* ---- answers ---------------------------------------------------------------
 */

/* The value behind "key=", or NULL. */
static const char *value_of(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = text; p != NULL; p = strpbrk(p, " \n")) {
        p += strspn(p, " \n");
        if (strncmp(p, key, n) == 0 && p[n] == '=') {
            return p + n + 1;
        }
        if (*p == '\0') {
            break;
        }
    }
    return NULL;
}

uint64_t bench_number(const char *text, const char *key)
{
    const char *value = value_of(text, key);

    return value == NULL ? 0 : strtoull(value, NULL, 10);
}

/* "hist=BUCKET:COUNT,...": added to the histogram. */
static void add_histogram(const char *text, struct histogram *h)
{
    const char *p = value_of(text, "hist");
    struct histogram one;

    histogram_init(&one);
    while (p != NULL && *p >= '0' && *p <= '9') {
        char *rest;
        const uint64_t bucket = strtoull(p, &rest, 10);
        const uint64_t count = *rest == ':' ? strtoull(rest + 1, &rest, 10) : 0;
        if (bucket < HISTOGRAM_BUCKETS) {
            one.buckets[bucket] += count;
            one.count += count;
        }
        p = *rest == ',' ? rest + 1 : rest;
    }
    if (one.count > 0) {
        one.min = bench_number(text, "min_ns");
        one.max = bench_number(text, "max_ns");
        histogram_merge(h, &one);
    }
}

/* ---- questions -------------------------------------------------------------
 */

static enum exit_code failed(const struct bench_question *q, enum motet_err err)
{
    say_error("bench.%s: %s", q->site->name, motet_err_text(err));
    say_hint("is it there? motet group info bench.%s", q->site->name);
    return exit_of(err);
}

static enum exit_code begin(struct client *c, const struct bench_question *q,
                            uint64_t token, uint64_t timeout_ns)
{
    char group[BENCH_GROUP_BYTES];
    uint64_t call;
    const struct motet_dest to = {
        .target = motet_ui_of_name(bench_group(group, "bench", q->site)),
        .mode = MOTET_TO_ANY};
    enum motet_err err = motet_call_start(
        motet_own_port(c->motet), to, motet_body(q->words, strlen(q->words)),
        (int64_t)(timeout_ns / 1000000), token, &call);

    return err == MOTET_OK ? EXIT_DONE : failed(q, err);
}

static enum exit_code take(struct bench_question *q,
                           const struct motet_event *e)
{
    if (e->err != MOTET_OK || e->reply == NULL) {
        return failed(q, e->err);
    }
    q->reply = (struct client_reply){.size = e->reply->body_bytes};
    q->reply.body = calloc(1, q->reply.size + 1);
    CHECK(q->reply.body != NULL);
    memcpy(q->reply.body, e->reply->body, q->reply.size);
    if (strncmp(q->reply.body, "error=", 6) == 0) {
        say_error("bench.%s: %.200s", q->site->name, q->reply.body + 6);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

enum exit_code bench_ask(struct client *c, struct bench_question *q,
                         size_t count, uint64_t timeout_ns)
{
    enum exit_code code = EXIT_DONE;
    size_t open = 0;

    for (size_t i = 0; i < count; i++) {
        q[i].reply.body = NULL;
    }
    for (; open < count && code == EXIT_DONE; open += code == EXIT_DONE) {
        code = begin(c, &q[open], open + 1, timeout_ns);
    }
    while (open > 0) {
        struct motet_event e;
        enum motet_err err = motet_event(c->motet, &e, MOTET_FOREVER);
        if (err != MOTET_OK) {
            code = failed(&q[0], err);
            break;
        }
        if (e.kind == MOTET_EVENT_CALL_DONE && e.token >= 1 &&
            e.token <= count) {
            open--;
            const enum exit_code got = take(&q[e.token - 1], &e);
            code = code == EXIT_DONE ? got : code;
        }
    }
    for (size_t i = 0; i < count && code != EXIT_DONE; i++) {
        client_reply_free(&q[i].reply);
    }
    return code;
}

enum exit_code bench_measure(struct bench *b, struct bench_question *q,
                             size_t count, uint64_t for_ns,
                             struct bench_figures *out)
{
    const uint64_t before = cost_of_sites(b->cluster);
    enum exit_code code = bench_ask(b->client, q, count, for_ns + ANSWER_NS);

    if (code != EXIT_DONE) {
        return code;
    }
    *out = (struct bench_figures){
        .cpu_ns = cost_of_sites(b->cluster) - before,
    };
    histogram_init(&out->latency);
    for (size_t i = 0; i < count; i++) {
        const char *text = q[i].reply.body;
        const uint64_t elapsed = bench_number(text, "elapsed_ns");
        out->elapsed_ns = elapsed > out->elapsed_ns ? elapsed : out->elapsed_ns;
        out->count += bench_number(text, "count");
        out->refused += bench_number(text, "refused");
        out->maybe += bench_number(text, "maybe");
        out->beside += bench_number(text, "beside");
        add_histogram(text, &out->latency);
        client_reply_free(&q[i].reply);
    }
    return EXIT_DONE;
}

/* ---- sites -----------------------------------------------------------------
 */

const char *bench_group(char text[BENCH_GROUP_BYTES], const char *group,
                        const struct site_files *site)
{
    (void)snprintf(text, BENCH_GROUP_BYTES, "%s.%s", group, site->name);
    return text;
}

size_t bench_others(const struct bench *b, const struct site_files *one,
                    const struct site_files *others[], size_t most)
{
    size_t count = 0;

    for (size_t i = 0; i < b->cluster->count && count < most; i++) {
        const struct site_files *s = &b->cluster->sites[i];
        if (s->running && s != one) {
            others[count++] = s;
        }
    }
    return count;
}
