#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "tools/say.h"
#include "tools/table.h"
#include "tools/units.h"

static const uint64_t path_wait_ns = 5000000000;

/* ---- series ----------------------------------------------------------------
 */

static uint64_t at(const struct bench_figures *f, uint32_t per_100000,
                   uint64_t otherwise)
{
    return f->latency.count > 0 ? histogram_at(&f->latency, per_100000)
                                : otherwise;
}

void bench_series_add(struct bench_series *s, const struct bench_figures *f)
{
    const size_t i = s->runs++;
    const double elapsed = f->elapsed_ns > 0 ? (double)f->elapsed_ns : 1;

    CHECK(i < JUDGE_RUNS_MAX);
    if (i == 0) {
        histogram_init(&s->latency);
    }
    s->rate_mhz[i] = (uint64_t)((double)f->count * 1e12 / elapsed);
    s->beside_mhz[i] = (uint64_t)((double)f->beside * 1e12 / elapsed);
    s->p50_ns[i] = at(f, 50000, f->p50_ns);
    s->p90_ns[i] = at(f, 90000, f->p90_ns);
    s->p99_ns[i] = at(f, 99000, f->p99_ns);
    s->cost_ns[i] = f->count > 0 ? f->cpu_ns / f->count : 0;
    s->count += f->count;
    s->refused += f->refused;
    s->maybe += f->maybe;
    histogram_merge(&s->latency, &f->latency);
}

/* ---- one size --------------------------------------------------------------
 */

/* Of the time that all processors had, what neither the sites nor we used. */
static uint32_t share_of_others(const struct cost_machine *before,
                                const struct cost_machine *after,
                                uint64_t ours_ns)
{
    const uint64_t all = after->all_ns - before->all_ns;
    const uint64_t busy = after->busy_ns - before->busy_ns;

    return all == 0 || busy <= ours_ns
               ? 0
               : (uint32_t)((busy - ours_ns) * 1000 / all);
}

static uint64_t cost_of_all(const struct bench *b)
{
    return cost_of_us() + (b->cluster != NULL ? cost_of_sites(b->cluster) : 0);
}

/* Ours, and at once what it is compared to: what disturbs one disturbs the
 * others. */
static enum exit_code one_round(struct bench *b, struct bench_row *row,
                                const struct bench_floor *floors)
{
    struct bench_figures *f = calloc(1, sizeof *f);
    const uint64_t for_ns = b->wish->for_ns;

    CHECK(f != NULL);
    enum exit_code code = b->kind->measure(b, row->size, for_ns, f);
    if (code == EXIT_DONE && f->count == 0) {
        say_error("not one ended in time");
        say_hint("give it longer: --for 5s");
        code = EXIT_NO_VERDICT;
    }
    if (code == EXIT_DONE) {
        bench_series_add(&row->own, f);
    }
    for (size_t i = 0; i < row->floor_count && code == EXIT_DONE; i++) {
        code = bench_floor(b, &floors[i], row->size, for_ns, f);
        if (code == EXIT_DONE) {
            bench_series_add(&row->floors[i], f);
        }
    }
    free(f);
    return code;
}

static enum exit_code warm_up(struct bench *b, uint64_t size)
{
    struct bench_figures *f = calloc(1, sizeof *f);

    CHECK(f != NULL);
    enum exit_code code =
        b->wish->warmup_ns == 0
            ? EXIT_DONE
            : b->kind->measure(b, size, b->wish->warmup_ns, f);
    free(f);
    return code;
}

static enum exit_code measure_row(struct bench *b, struct bench_row *row)
{
    struct bench_floor floors[BENCH_FLOORS_MAX];
    enum exit_code code = warm_up(b, row->size);

    (void)snprintf(row->own.name, sizeof row->own.name, "motet");
    row->floor_count = bench_floors(b, floors);
    for (size_t i = 0; i < row->floor_count; i++) {
        memcpy(row->floors[i].name, floors[i].name, sizeof floors[i].name);
    }
    const struct cost_machine before = cost_machine();
    const uint64_t ours = cost_of_all(b);
    for (uint64_t i = 0; i < b->wish->runs && code == EXIT_DONE; i++) {
        code = one_round(b, row, floors);
    }
    const uint64_t used = cost_of_all(b) - ours;
    const struct cost_machine after = cost_machine();
    const struct bench_series *s =
        row->floor_count > 0 ? &row->floors[0] : &row->own;
    row->noise.others = share_of_others(&before, &after, used);
    row->noise.spread =
        judge_spread(b->latency ? s->p50_ns : s->rate_mhz, s->runs);
    return code;
}

/* ---- what is measured ------------------------------------------------------
 */

static const struct site_files *running(const struct bench *b, const char *name,
                                        size_t nth)
{
    const struct cluster *c = b->cluster;

    if (name != NULL) {
        const struct site_files *site = cluster_site_told(c, name);
        if (site != NULL && !site->running) {
            say_error("site %s is not running", name);
            say_hint("start it: motet site restart %s", name);
            return NULL;
        }
        return site;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running && nth-- == 0) {
            return &c->sites[i];
        }
    }
    say_error("%s needs %u sites that run; here are %zu", b->kind->name,
              b->kind->sites, c->running);
    say_hint("one more: motet site add; or a cluster only for this: "
             "motet bench %s --transport tcp",
             b->kind->name);
    return NULL;
}

static enum exit_code choose_sites(struct bench *b)
{
    const struct bench_wish *w = b->wish;
    /* The many are all others. */
    const bool in = b->kind == &bench_fanin;

    b->to = running(b, w->to, b->kind->one_site || in ? 0 : 1);
    if (b->to == NULL) {
        return EXIT_MISSING;
    }
    b->from = b->kind->one_site ? b->to : running(b, w->from, in ? 1 : 0);
    if (b->from == NULL) {
        return EXIT_MISSING;
    }
    if (b->from == b->to && !b->kind->one_site) {
        say_error("--from and --to are both %s", b->to->name);
        say_hint("within one site: motet bench local");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static enum exit_code choose_ends(struct bench *b)
{
    const size_t others = b->cluster->running - 1;

    b->ends = b->wish->count > 0 ? b->wish->count : others;
    if (!b->user && b->ends > others) {
        say_error("--count %zu: there are %zu other sites", b->ends, others);
        say_hint("more than one at a site: --actors user");
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static enum exit_code ask_status(struct bench *b)
{
    Motet__ControlReply *reply;
    enum motet_err err =
        control_ask(b->client, 0, MOTET__CONTROL_REQUEST__OP__STATUS,
                    (struct motet_ui){0, 0}, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(b->client, b->client->at->name, err);
    }
    b->tls = reply->site == NULL || !reply->site->insecure;
    motet__control_reply__free_unpacked(reply, NULL);
    return EXIT_DONE;
}

struct ways {
    size_t links, used;
};

static void count_ways(const Motet__ControlReply *reply, void *user)
{
    struct ways *w = user;

    for (size_t i = 0; i < reply->n_links; i++) {
        w->links++;
        w->used += reply->links[i]->path_used ? 1 : 0;
    }
}

/* A path that was asked for is taken by all the links of a site. */
static enum exit_code wait_for_paths(struct bench *b)
{
    const uint64_t give_up = clock_ns() + path_wait_ns;
    struct client c = {.cluster = b->cluster};
    struct site_files at = *b->from;
    struct ways w = {0, 0};
    enum motet_err err = client_attach(&c, &at);

    while (err == MOTET_OK && clock_ns() < give_up) {
        w = (struct ways){0, 0};
        err = control_pages(&c, 0, MOTET__CONTROL_REQUEST__OP__LINKS,
                            count_ways, &w);
        if (w.links > 0 && w.used == w.links) {
            break;
        }
        clock_sleep(10000000);
    }
    client_close(&c);
    if (err != MOTET_OK || w.used < w.links || w.links == 0) {
        say_error("%zu of %zu links of %s go over UDP", w.used, w.links,
                  b->from->name);
        say_hint("is UDP open between the sites? motet link list");
        return EXIT_STUCK;
    }
    return EXIT_DONE;
}

static enum exit_code set_up(struct bench *b)
{
    const struct bench_wish *w = b->wish;
    enum exit_code code = choose_sites(b);

    if (code == EXIT_DONE && b->kind->fan) {
        code = choose_ends(b);
    }
    if (code == EXIT_DONE) {
        code = ask_status(b);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    cluster_way(b->from, b->to->name, b->transport);
    b->window = w->window > 0 ? w->window
                : w->rate > 0 ? 4096
                              : b->kind->window;
    b->beside = w->beside;
    b->latency = b->kind->latency && (b->user || !b->kind->one_site);
    b->cpus = w->cpus != NULL ? w->cpus
              : !w->floor     ? NULL
              : b->kind->floor != NULL && strcmp(b->kind->floor, "send") == 0
                  ? "two"
                  : "one";
    return w->transport != NULL && strcmp(w->transport, "udp") == 0 &&
                   !b->kind->one_site
               ? wait_for_paths(b)
               : EXIT_DONE;
}

/* ---- what becomes of it ----------------------------------------------------
 */

static enum exit_code conclude(struct bench *b, const struct bench_row *rows)
{
    const bool json = options.output >= OUTPUT_JSON;
    enum exit_code code = EXIT_DONE;
    json_t *doc = print_document(b, rows);

    if (b->wish->save != NULL && !against_save(b->wish->save, doc)) {
        code = EXIT_FAILED;
    }
    if (code == EXIT_DONE && b->wish->against != NULL) {
        code = against(doc, b->wish->against, json);
    }
    if (!json) {
        json_decref(doc);
    } else if (!table_json(BENCH_SCHEMA, doc)) {
        code = EXIT_FAILED;
    }
    return code;
}

static enum exit_code measure_all(struct bench *b)
{
    struct bench_row *rows = calloc(b->size_count, sizeof *rows);
    const bool json = options.output >= OUTPUT_JSON;
    enum exit_code code = cost_pin(b) ? EXIT_DONE : EXIT_FAILED;

    CHECK(rows != NULL);
    if (code == EXIT_DONE && !json) {
        print_head(b);
    }
    for (size_t i = 0; i < b->size_count && code == EXIT_DONE; i++) {
        rows[i].size = b->sizes[i];
        code = measure_row(b, &rows[i]);
        if (code == EXIT_DONE && !json) {
            print_row(b, &rows[i]);
        }
    }
    if (b->kind->end != NULL) {
        b->kind->end(b);
    }
    cost_unpin(b);
    if (code == EXIT_DONE) {
        code = conclude(b, rows);
    }
    free(rows);
    return code;
}

/* ---- the command -----------------------------------------------------------
 */

static enum exit_code read_sizes(struct bench *b)
{
    static const uint64_t all[BENCH_SIZES_MAX] = {64, 1024, 65536, 16777216};

    if (!b->kind->sized) {
        b->size_count = 1;
        return EXIT_DONE;
    }
    if (strcmp(b->wish->size, "all") == 0) {
        memcpy(b->sizes, all, sizeof all);
        b->size_count = BENCH_SIZES_MAX;
        return EXIT_DONE;
    }
    b->size_count = 1;
    if (!unit_size(b->wish->size, &b->sizes[0]) || b->sizes[0] == 0 ||
        b->sizes[0] > MOTET_BODY_DEFAULT) {
        return say_fail(EXIT_USAGE,
                        "--size: \"%.40s\" is not a size up to 16MiB, like "
                        "64, 1KiB, 64KiB; or all",
                        b->wish->size);
    }
    return EXIT_DONE;
}

static enum exit_code bad(const struct bench_kind *k,
                          const struct bench_wish *w)
{
    if (w->cpus != NULL && strcmp(w->cpus, "one") != 0 &&
        strcmp(w->cpus, "two") != 0) {
        return say_fail(EXIT_USAGE, "--cpus: say one or two");
    }
    if (strcmp(w->actors, "user") != 0 &&
        strcmp(w->actors, "supervisor") != 0) {
        return say_fail(EXIT_USAGE, "--actors: say supervisor or user");
    }
    if (w->transport != NULL && strcmp(w->transport, "tcp") != 0 &&
        strcmp(w->transport, "udp") != 0) {
        return say_fail(EXIT_USAGE, "--transport: say tcp or udp");
    }
    if (w->for_ns < 10000000) {
        return say_fail(EXIT_USAGE, "--for: at least 10ms");
    }
    if (w->runs < 1 || w->runs > JUDGE_RUNS_MAX) {
        return say_fail(EXIT_USAGE, "--runs: 1 to %d", JUDGE_RUNS_MAX);
    }
    if (k->fan && w->count >= BENCH_SITES_MAX) {
        return say_fail(EXIT_USAGE, "--count: at most %d", BENCH_SITES_MAX - 1);
    }
    if (w->beside > 0 && (strcmp(w->actors, "user") == 0 || w->floor)) {
        return say_fail(EXIT_USAGE,
                        "--beside goes with supervisors and without --floor");
    }
    return EXIT_DONE;
}

static enum exit_code work(const struct bench_kind *kind,
                           const struct bench_wish *wish)
{
    struct cluster cluster;
    struct client c;
    struct bench b = {.wish = wish,
                      .kind = kind,
                      .cluster = &cluster,
                      .client = &c,
                      .user = strcmp(wish->actors, "user") == 0};
    enum exit_code code = read_sizes(&b);

    if (code == EXIT_DONE) {
        code = client_open(&c, &cluster);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = set_up(&b);
    if (code == EXIT_DONE) {
        code = measure_all(&b);
    }
    client_leave(&c);
    return code;
}

enum exit_code bench_run(const struct bench_kind *kind,
                         const struct bench_wish *wish)
{
    struct bench b = {.wish = wish, .kind = kind};
    enum exit_code code = bad(kind, wish);

    if (code == EXIT_DONE) {
        code = read_sizes(&b);
    }
    if (code == EXIT_DONE && wish->against != NULL) {
        code = against(NULL, wish->against, true); /* before all the work */
    }
    if (code != EXIT_DONE) {
        return code;
    }
    return wish->transport != NULL || wish->insecure || kind == &bench_start
               ? bench_in_own(kind, wish, work)
               : work(kind, wish);
}
