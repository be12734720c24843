#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "measure.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet bench call, send, ports: prints what it measures before the number. */

enum { SECONDS_DEFAULT = 3, SIZE_DEFAULT = 64, SEND_WINDOW = 4096 };

static struct bench {
    const char *from;
    const char *to;
    const char *cpus;
    uint64_t size;
    uint64_t for_ns;
    uint64_t warmup_ns;
    uint64_t window;
    uint64_t rate;
    uint64_t count;
    bool floor;
} bench = {
    .size = SIZE_DEFAULT,
    .for_ns = SECONDS_DEFAULT * 1000000000ULL,
    .warmup_ns = 1000000000ULL,
    .count = 100000,
};

/* ---- what to measure -------------------------------------------------------
 */

static const struct site_files *running(const struct cluster *c,
                                        const char *name, size_t otherwise)
{
    const struct site_files *site;

    if (name != NULL) {
        site = cluster_site_told(c, name);
        if (site != NULL && !site->running) {
            say_error("site %s is not running", name);
            say_hint("start it: motet site restart %s", name);
            return NULL;
        }
        return site;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running && (otherwise == 0 || c->running == 1)) {
            return &c->sites[i];
        }
        otherwise -= c->sites[i].running && otherwise > 0 ? 1 : 0;
    }
    return NULL;
}

static enum exit_code set_up(const struct cluster *c, bool send, char *group,
                             size_t group_bytes, struct measure *m)
{
    *m = (struct measure){
        .send = send,
        .from = running(c, bench.from, 0),
        .to = running(c, bench.to, 1),
        .to_group = group,
        .size = bench.size,
        .seconds = (bench.for_ns + 999999999) / 1000000000,
        .warmup_s = (bench.warmup_ns + 999999999) / 1000000000,
        .window = bench.window > 0 ? bench.window : (send ? SEND_WINDOW : 1),
        .rate = bench.rate,
        .cpus = bench.cpus != NULL ? bench.cpus
                : bench.floor      ? (send ? "two" : "one")
                                   : NULL,
    };
    if (m->from == NULL || m->to == NULL) {
        return EXIT_MISSING;
    }
    if (m->cpus != NULL && strcmp(m->cpus, "one") != 0 &&
        strcmp(m->cpus, "two") != 0) {
        return say_fail(EXIT_USAGE, "--cpus: say one or two");
    }
    if (m->seconds == 0) {
        return say_fail(EXIT_USAGE, "--for: at least 1s");
    }
    snprintf(group, group_bytes, "%s.%s", send ? "bench" : "echo", m->to->name);
    return EXIT_DONE;
}

/* ---- what came out ---------------------------------------------------------
 */

#define RESULT(head, key, kind, field) \
    COLUMN(struct measured, head, key, kind, SHOW_ALWAYS, field)
static const struct column columns[] = {
    RESULT("COUNT", "count", CELL_NUMBER, count),
    RESULT("ELAPSED", "elapsed_ns", CELL_NS, elapsed_ns),
    RESULT("RATE", "rate_per_s", CELL_NUMBER, rate),
    RESULT("REFUSED", "refused", CELL_NUMBER, refused),
    RESULT("UNKNOWN", "unknown", CELL_NUMBER, maybe),
    RESULT("MIN", "min_ns", CELL_NS, min_ns),
    RESULT("P50", "p50_ns", CELL_NS, p50_ns),
    RESULT("P90", "p90_ns", CELL_NS, p90_ns),
    RESULT("P99", "p99_ns", CELL_NS, p99_ns),
    RESULT("P99.9", "p999_ns", CELL_NS, p999_ns),
    RESULT("MAX", "max_ns", CELL_NS, max_ns),
    RESULT("CPU", "cpu_us_per_million", CELL_NUMBER, cpu_us_per_million),
    RESULT("LOAD", "load_percent", CELL_NUMBER, load_percent),
};
#undef RESULT

static json_t *json_of(const struct measured *r, bool latencies)
{
    struct measured row = *r;
    const struct table t = {.columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = &row,
                            .row_bytes = sizeof row,
                            .row_count = 1};

    if (!latencies) {
        row.min_ns = CELL_NONE;
        row.p50_ns = CELL_NONE;
        row.p90_ns = CELL_NONE;
        row.p99_ns = CELL_NONE;
        row.p999_ns = CELL_NONE;
        row.max_ns = CELL_NONE;
    }
    return table_row_json(&t, 0);
}

static void print_result(const struct measure *m, const struct measured *r)
{
    char a[6][UNIT_TEXT_MAX];

    printf("rate     %" PRIu64 " %s/s   (%" PRIu64 " in %s)\n", r->rate,
           m->send ? "message" : "call", r->count,
           unit_ns(r->elapsed_ns, a[0]));
    if (!m->send) {
        printf("latency  min %s   p50 %s   p90 %s   p99 %s   p99.9 %s   max "
               "%s\n",
               unit_ns(r->min_ns, a[0]), unit_ns(r->p50_ns, a[1]),
               unit_ns(r->p90_ns, a[2]), unit_ns(r->p99_ns, a[3]),
               unit_ns(r->p999_ns, a[4]), unit_ns(r->max_ns, a[5]));
    }
    if (r->cpu_us_per_million != CELL_NONE) {
        printf("cost     %.2f s of CPU per million, both processes\n",
               (double)r->cpu_us_per_million / 1e6);
    }
    printf("outcome  refused %" PRIu64 "   unknown %" PRIu64 "\n", r->refused,
           r->maybe);
}

static double ratio(uint64_t a, uint64_t b)
{
    return b == 0 || a == CELL_NONE || b == CELL_NONE ? 0
                                                      : (double)a / (double)b;
}

static void print_floor(const struct measure *m, const struct measured *r,
                        const struct measured *floor, bool tls)
{
    char p50[UNIT_TEXT_MAX];
    char p99[UNIT_TEXT_MAX];

    printf("floor    %" PRIu64 " %s/s", floor->rate,
           m->send ? "message" : "call");
    if (!m->send) {
        printf("   p50 %s   p99 %s", unit_ns(floor->p50_ns, p50),
               unit_ns(floor->p99_ns, p99));
    }
    printf("   %.2f s of CPU per million   (plain %s)\n",
           (double)floor->cpu_us_per_million / 1e6, tls ? "TLS 1.3" : "TCP");
    printf("ratio    rate %.2f", ratio(r->rate, floor->rate));
    if (!m->send) {
        printf("   p50 %.2f   p99 %.2f", ratio(r->p50_ns, floor->p50_ns),
               ratio(r->p99_ns, floor->p99_ns));
    }
    printf("   cost %.2f\n",
           ratio(r->cpu_us_per_million, floor->cpu_us_per_million));
}

static bool print_json(const struct measure *m, const struct measured *r,
                       const struct measured *floor, bool tls)
{
    json_t *doc =
        json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:s?,s:b,s:o}", "op",
                  m->send ? "send" : "call", "from", m->from->name, "to",
                  m->to->name, "size", (json_int_t)m->size, "seconds",
                  (json_int_t)m->seconds, "window", (json_int_t)m->window,
                  "asked_rate_per_s", (json_int_t)m->rate, "cpus", m->cpus,
                  "tls", tls, "result", json_of(r, !m->send));

    CHECK(doc != NULL);
    if (bench.floor) {
        CHECK(json_object_set_new(doc, "floor", json_of(floor, !m->send)) == 0);
    }
    return table_json("motet.bench/1", doc);
}

/* ---- call, send ------------------------------------------------------------
 */

static enum exit_code is_tls(struct client *c, bool *tls)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};
    enum motet_err err = control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS,
                                     first, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(c, c->at->name, err);
    }
    *tls = reply->site == NULL || !reply->site->insecure;
    motet__control_reply__free_unpacked(reply, NULL);
    return EXIT_DONE;
}

static void print_head(const struct measure *m, bool tls)
{
    char size[UNIT_TEXT_MAX];

    printf("%s of %s, %s -> %s, %" PRIu64 " in flight, ",
           m->send ? "messages" : "calls", unit_bytes(m->size, size),
           m->from->name, m->to->name, m->window);
    if (m->rate > 0) {
        printf("%" PRIu64 "/s, ", m->rate);
    }
    printf("%s, loopback, %s%s%" PRIu64 " s after %" PRIu64 " s warm-up\n",
           tls ? "TLS 1.3" : "NOT encrypted", m->cpus == NULL ? "" : m->cpus,
           m->cpus == NULL ? "" : " processor(s), ", m->seconds, m->warmup_s);
    fflush(stdout);
}

static enum exit_code measure_all(struct client *c, const struct measure *m)
{
    enum { NOISY_PERCENT = 97 };
    struct measured r;
    struct measured floor = {0};
    bool json = options.output >= OUTPUT_JSON;
    bool tls = true;
    enum exit_code code = is_tls(c, &tls);

    if (code == EXIT_DONE && !json) {
        print_head(m, tls);
    }
    if (code == EXIT_DONE) {
        code = measure_run(c, m, &r);
    }
    if (code == EXIT_DONE && bench.floor) {
        code = measure_floor(m, tls, &floor);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (json) {
        return print_json(m, &r, &floor, tls) ? EXIT_DONE : EXIT_FAILED;
    }
    print_result(m, &r);
    if (bench.floor) {
        print_floor(m, &r, &floor, tls);
    }
    printf("noise    all processors of this machine busy %" PRIu64
           "%% of the time%s\n",
           r.load_percent,
           r.load_percent >= NOISY_PERCENT ? ": was anything else running?"
                                           : "");
    return EXIT_DONE;
}

static enum exit_code run(bool send)
{
    struct cluster cluster;
    struct client c;
    struct measure m;
    char group[MOTET_NAME_MAX + 8];

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = set_up(&cluster, send, group, sizeof group, &m);
    if (code == EXIT_DONE) {
        code = measure_all(&c, &m);
    }
    client_leave(&c);
    return code;
}

static enum exit_code call_run(char **args, unsigned count)
{
    (void)args;
    (void)count;
    return run(false);
}

static enum exit_code send_run(char **args, unsigned count)
{
    (void)args;
    (void)count;
    return run(true);
}

/* ---- ports -----------------------------------------------------------------
 */

static enum exit_code memory_of(struct client *c, uint64_t *bytes)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};
    enum motet_err err = control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS,
                                     first, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(c, c->at->name, err);
    }
    *bytes = reply->site == NULL ? 0 : reply->site->memory_bytes;
    motet__control_reply__free_unpacked(reply, NULL);
    return EXIT_DONE;
}

static enum exit_code make_ports(struct client *c, uint64_t *made,
                                 uint64_t *bytes)
{
    struct client_reply reply;
    char words[128];
    uint64_t before;
    uint64_t after;
    enum exit_code code = measure_ask(c, c->at->name, "op=ports count=0",
                                      CLIENT_TIMEOUT_NS, &reply);
    if (code != EXIT_DONE) {
        return code;
    }
    uint64_t had = measure_number(reply.body, "count");
    client_reply_free(&reply);
    snprintf(words, sizeof words, "op=ports count=%" PRIu64, bench.count);
    code = memory_of(c, &before);
    if (code == EXIT_DONE) {
        code = measure_ask(c, c->at->name, words, 120000000000ULL, &reply);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    uint64_t has = measure_number(reply.body, "count");
    client_reply_free(&reply);
    code = memory_of(c, &after);
    *made = has - had;
    *bytes = after > before ? after - before : 0;
    return code;
}

static enum exit_code print_ports(const struct client *c, uint64_t made,
                                  uint64_t bytes)
{
    char text[UNIT_TEXT_MAX];

    if (made == 0) {
        say_error("site %s has as many extra ports already", c->at->name);
        say_hint("they end with the site: motet site restart %s", c->at->name);
        return EXIT_NO_VERDICT;
    }
    if (options.output >= OUTPUT_JSON) {
        return table_json("motet.bench.ports/1",
                          json_pack("{s:s,s:I,s:I,s:I}", "site", c->at->name,
                                    "ports", (json_int_t)made, "bytes",
                                    (json_int_t)bytes, "bytes_per_port",
                                    (json_int_t)(bytes / made)))
                   ? EXIT_DONE
                   : EXIT_FAILED;
    }
    printf("%" PRIu64 " idle ports at %s: %s, %" PRIu64 " bytes each\n", made,
           c->at->name, unit_bytes(bytes, text), bytes / made);
    return EXIT_DONE;
}

static enum exit_code ports_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    uint64_t made = 0;
    uint64_t bytes = 0;
    (void)args;
    (void)count;

    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = make_ports(&c, &made, &bytes);
    if (code == EXIT_DONE) {
        code = print_ports(&c, made, bytes);
    }
    client_leave(&c);
    return code;
}

#define AT(field) offsetof(struct bench, field)
static const struct flag flags[] = {
    {"from", 0, "SITE", FLAG_TEXT, AT(from), "who calls (the first)"},
    {"to", 0, "SITE", FLAG_TEXT, AT(to), "who is called (the second)"},
    {"size", 0, "SIZE", FLAG_SIZE, AT(size), "of the body (64)"},
    {"for", 0, "TIME", FLAG_DURATION, AT(for_ns), "whole seconds (3s)"},
    {"warm-up", 0, "TIME", FLAG_DURATION, AT(warmup_ns),
     "before it is counted (1s)"},
    {"window", 0, "N", FLAG_COUNT, AT(window), "in flight (1; send: 4096)"},
    {"rate", 0, "RATE", FLAG_RATE, AT(rate),
     "of calls; latency then counts from when each was due"},
    {"cpus", 0, "WHERE", FLAG_TEXT, AT(cpus),
     "bind both sites to one processor, or to two"},
    {"floor", 0, NULL, FLAG_SWITCH, AT(floor),
     "the same with plain sockets, and the ratio"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

static const struct flag ports_flags[] = {
    {"count", 'n', "N", FLAG_COUNT, AT(count), "how many (100000)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_bench_call = {
    .name = "bench call",
    .args = "",
    .flags = flags,
    .into = &bench,
    .run = call_run,
    .summary = "round trips between two sites; --floor compares",
    .examples = "  motet bench call --floor\n"
                "  motet bench call --window 64 --size 1KiB --for 10s\n",
    .exits = "0 1 2 3 4 5 7 77 124",
};

const struct verb verb_bench_send = {
    .name = "bench send",
    .args = "",
    .flags = flags,
    .into = &bench,
    .run = send_run,
    .summary = "one-way messages between two sites",
    .examples = "  motet bench send --floor\n",
    .exits = "0 1 2 3 4 5 7 77 124",
};

const struct verb verb_bench_ports = {
    .name = "bench ports",
    .args = "",
    .flags = ports_flags,
    .into = &bench,
    .run = ports_run,
    .summary = "the memory of an idle port",
    .examples = "  motet bench ports --count 1000000\n",
    .exits = "0 2 3 4 5 7 9 77 124",
};
