#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "tools/table.h"
#include "tools/units.h"

/* What came out: lines for people, one document for programs. Both show medians
 * of the runs; the far end of the latencies is that of all runs together. */

static const uint32_t points[] = {0,     10000, 25000, 50000, 75000, 90000,
                                  95000, 99000, 99900, 99990, 99999, 100000};

static uint64_t median(const uint64_t *v, const struct bench_series *s)
{
    return judge_median(v, s->runs);
}

/* The median of ours to theirs, round by round; 0 = not known. */
static double ratio(const uint64_t *ours, const uint64_t *theirs, size_t runs)
{
    uint64_t part[JUDGE_RUNS_MAX];

    for (size_t i = 0; i < runs; i++) {
        if (ours[i] == 0 || theirs[i] == 0) {
            return 0;
        }
        part[i] = (uint64_t)((double)ours[i] * 1e4 / (double)theirs[i] + 0.5);
    }
    return (double)judge_median(part, runs) / 1e4;
}

/* ---- for people ------------------------------------------------------------
 */

void print_head(const struct bench *b)
{
    char time[2][UNIT_TEXT_MAX];
    const struct bench_wish *w = b->wish;

    if (b->kind == &bench_start) {
        printf("starts of a site, from its process until all sites agree, "
               "%" PRIu64 " of them\n",
               w->runs);
        (void)fflush(stdout);
        return;
    }
    printf("%s, ", b->kind->name);
    if (b->kind->one_site) {
        printf("within %s, ", b->to->name);
    } else if (b->kind == &bench_fanin) {
        printf("%zu -> %s, ", b->ends, b->to->name);
    } else if (b->kind == &bench_fanout) {
        printf("%s -> %zu, ", b->from->name, b->ends);
    } else {
        printf("%s -> %s, ", b->from->name, b->to->name);
    }
    printf("%s actors, %" PRIu64 " in flight", b->user ? "user" : "supervisor",
           b->window);
    if (w->rate > 0) {
        printf(", %" PRIu64 "/s, timed from when each was due", w->rate);
    }
    if (!b->kind->one_site) {
        printf(", %s, small ones by %s", b->tls ? "encrypted" : "NOT encrypted",
               b->transport);
    }
    if (b->cpus != NULL) {
        printf(", %s", strcmp(b->cpus, "one") == 0 ? "one processor"
                                                   : "two processors");
    }
    printf("; medians of %" PRIu64 " x %s after %s\n", w->runs,
           unit_ns(w->for_ns, time[0]), unit_ns(w->warmup_ns, time[1]));
    (void)fflush(stdout);
}

static void print_rate(const struct bench *b, const struct bench_series *s,
                       uint64_t size)
{
    const double rate = (double)median(s->rate_mhz, s) / 1000;

    printf(rate < 100 ? "%10.2f/s" : "%10.0f/s", rate);
    if (b->kind->sized && size >= 1024) {
        printf(" %8.0f MB/s", rate * (double)size / 1e6);
    }
}

static void print_latency(const struct bench_series *s)
{
    char a[3][UNIT_TEXT_MAX];

    printf("   p50 %-8s p90 %-8s p99 %-8s", unit_ns(median(s->p50_ns, s), a[0]),
           unit_ns(median(s->p90_ns, s), a[1]),
           unit_ns(median(s->p99_ns, s), a[2]));
    if (s->latency.count > 0) {
        printf(" p99.9 %-8s max %-8s",
               unit_ns(histogram_at(&s->latency, 99900), a[0]),
               unit_ns(s->latency.max, a[1]));
    }
}

static void print_series(const struct bench *b, const struct bench_series *s,
                         uint64_t size)
{
    printf("  %-20s", s->name);
    print_rate(b, s, size);
    if (b->latency) {
        print_latency(s);
    }
    printf("   %.2f s of CPU per million\n",
           (double)median(s->cost_ns, s) / 1000);
}

static void print_ratio(const struct bench *b, const struct bench_row *row,
                        const struct bench_series *f)
{
    const struct bench_series *o = &row->own;
    const size_t runs = o->runs;

    printf("  to %s: rate %.2f", f->name,
           ratio(o->rate_mhz, f->rate_mhz, runs));
    if (b->latency) {
        printf("   p50 %.2f   p90 %.2f   p99 %.2f",
               ratio(o->p50_ns, f->p50_ns, runs),
               ratio(o->p90_ns, f->p90_ns, runs),
               ratio(o->p99_ns, f->p99_ns, runs));
    }
    printf("   cost %.1f\n", ratio(o->cost_ns, f->cost_ns, runs));
}

static void print_histogram(const struct histogram *h)
{
    char text[UNIT_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(points) && h->count > 0; i++) {
        const uint64_t v = points[i] == 0 ? h->min : histogram_at(h, points[i]);
        printf("  %9.3f %%  %-10s\n", (double)points[i] / 1000,
               unit_ns(v, text));
    }
}

static void print_noise(const struct judge_noise *n)
{
    const char *why = judge_noisy(n);

    printf("  noise: others used %.1f %% of the processors, runs differ by "
           "%.1f %%: %s\n",
           (double)n->others / 10, (double)n->spread / 10,
           why == NULL ? "fine" : why);
}

/* Bytes a second. */
static double beside_rate(const struct bench *b, const struct bench_row *row)
{
    return (double)median(row->own.beside_mhz, &row->own) / 1000 *
           (double)b->wish->beside;
}

void print_row(const struct bench *b, const struct bench_row *row)
{
    char text[UNIT_TEXT_MAX];

    if (b->kind->sized) {
        printf("%s\n", unit_bytes(row->size, text));
    }
    print_series(b, &row->own, row->size);
    for (size_t i = 0; i < row->floor_count; i++) {
        print_series(b, &row->floors[i], row->size);
    }
    for (size_t i = 0; i < row->floor_count; i++) {
        print_ratio(b, row, &row->floors[i]);
    }
    if (b->wish->beside > 0) {
        printf("  the stream beside it: %.0f MB/s\n",
               beside_rate(b, row) / 1e6);
    }
    if (row->own.refused + row->own.maybe > 0) {
        printf("  refused %" PRIu64 "   unknown %" PRIu64 "\n",
               row->own.refused, row->own.maybe);
    }
    if (b->wish->histogram) {
        print_histogram(&row->own.latency);
    }
    print_noise(&row->noise);
    (void)fflush(stdout);
}

/* ---- for programs ----------------------------------------------------------
 */

static void put(json_t *to, const char *key, json_t *value)
{
    CHECK(value != NULL && json_object_set_new(to, key, value) == 0);
}

static void put_number(json_t *to, const char *key, uint64_t value)
{
    put(to, key, json_integer((json_int_t)value));
}

static void put_latency(json_t *j, const struct bench_series *s)
{
    const struct histogram *h = &s->latency;

    put_number(j, "p50_ns", median(s->p50_ns, s));
    put_number(j, "p90_ns", median(s->p90_ns, s));
    put_number(j, "p99_ns", median(s->p99_ns, s));
    put_number(j, "p50_spread", judge_spread(s->p50_ns, s->runs));
    put_number(j, "p99_spread", judge_spread(s->p99_ns, s->runs));
    if (h->count == 0) {
        return;
    }
    put_number(j, "min_ns", h->min);
    put_number(j, "p999_ns", histogram_at(h, 99900));
    put_number(j, "max_ns", h->max);
    json_t *all = json_array();
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        const uint64_t v = points[i] == 0 ? h->min : histogram_at(h, points[i]);
        CHECK(json_array_append_new(all,
                                    json_pack("[f,I]", (double)points[i] / 1000,
                                              (json_int_t)v)) == 0);
    }
    put(j, "histogram", all);
}

static json_t *series(const struct bench *b, const struct bench_series *s)
{
    json_t *j = json_object();

    put(j, "name", json_string(s->name));
    put_number(j, "count", s->count);
    put(j, "rate_per_s", json_real((double)median(s->rate_mhz, s) / 1000));
    put_number(j, "rate_spread", judge_spread(s->rate_mhz, s->runs));
    put_number(j, "cost_ns", median(s->cost_ns, s));
    put_number(j, "cost_spread", judge_spread(s->cost_ns, s->runs));
    if (b->latency) {
        put_latency(j, s);
    }
    return j;
}

static json_t *floors(const struct bench *b, const struct bench_row *row)
{
    json_t *all = json_array();
    const struct bench_series *o = &row->own;

    for (size_t i = 0; i < row->floor_count; i++) {
        const struct bench_series *f = &row->floors[i];
        json_t *j = series(b, f);
        put(j, "ratio_rate",
            json_real(ratio(o->rate_mhz, f->rate_mhz, o->runs)));
        put(j, "ratio_cost", json_real(ratio(o->cost_ns, f->cost_ns, o->runs)));
        if (b->latency) {
            put(j, "ratio_p50",
                json_real(ratio(o->p50_ns, f->p50_ns, o->runs)));
            put(j, "ratio_p90",
                json_real(ratio(o->p90_ns, f->p90_ns, o->runs)));
            put(j, "ratio_p99",
                json_real(ratio(o->p99_ns, f->p99_ns, o->runs)));
        }
        CHECK(json_array_append_new(all, j) == 0);
    }
    return all;
}

static json_t *row_document(const struct bench *b, const struct bench_row *row)
{
    json_t *j = series(b, &row->own);
    const char *why = judge_noisy(&row->noise);

    if (b->kind->sized) {
        put_number(j, "size", row->size);
    }
    put_number(j, "refused", row->own.refused);
    put_number(j, "unknown", row->own.maybe);
    if (b->wish->beside > 0) {
        put(j, "beside_bytes_per_s", json_real(beside_rate(b, row)));
    }
    put(j, "floors", floors(b, row));
    put(j, "noise",
        json_pack("{s:I,s:I,s:s?}", "others", (json_int_t)row->noise.others,
                  "spread", (json_int_t)row->noise.spread, "too_noisy", why));
    return j;
}

json_t *print_document(const struct bench *b, const struct bench_row *rows)
{
    json_t *all = json_array();
    const struct bench_wish *w = b->wish;

    CHECK(all != NULL);
    for (size_t i = 0; i < b->size_count; i++) {
        CHECK(json_array_append_new(all, row_document(b, &rows[i])) == 0);
    }
    json_t *doc = json_pack(
        "{s:s,s:s?,s:s?,s:s,s:s,s:b,s:s?,s:I,s:I,s:I,s:I,s:I,s:o}", "op",
        b->kind->name, "from", b->from != NULL ? b->from->name : NULL, "to",
        b->to != NULL ? b->to->name : NULL, "actors",
        b->user ? "user" : "supervisor", "transport", b->transport, "tls",
        b->tls, "cpus", b->cpus, "window", (json_int_t)b->window,
        "asked_rate_per_s", (json_int_t)w->rate, "beside_bytes",
        (json_int_t)w->beside, "ends", (json_int_t)b->ends, "runs",
        (json_int_t)w->runs, "rows", all);
    CHECK(doc != NULL);
    return doc;
}
