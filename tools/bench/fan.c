#include <inttypes.h>
#include <stdio.h>

#include "bench.h"
#include "tools/say.h"

/* motet bench fanin, fanout: from all other sites to one, and from one to a
 * port at each of the others. Sites come again where more ends are asked for
 * than there are sites; supervisors are one at each. */

static const char group[] = "bench.fan";

/* ---- many to one -----------------------------------------------------------
 */

static enum exit_code in_by_users(struct bench *b, uint64_t size,
                                  uint64_t for_ns, struct bench_figures *out)
{
    struct bench_users u = {.servers = {b->to},
                            .server_count = 1,
                            .client_count = b->ends,
                            .send = true,
                            .size = size,
                            .for_ns = for_ns};
    const size_t sites = bench_others(b, b->to, u.clients, BENCH_SITES_MAX);

    for (size_t i = sites; i < b->ends; i++) {
        u.clients[i] = u.clients[i % sites];
    }
    return bench_users(b, &u, out);
}

static enum exit_code measure_in(struct bench *b, uint64_t size,
                                 uint64_t for_ns, struct bench_figures *out)
{
    struct bench_question q[BENCH_SITES_MAX];
    const struct site_files *from[BENCH_SITES_MAX];
    char to[BENCH_GROUP_BYTES];

    if (b->user) {
        return in_by_users(b, size, for_ns, out);
    }
    const size_t count = bench_others(b, b->to, from, b->ends);
    for (size_t i = 0; i < count; i++) {
        q[i].site = from[i];
        (void)snprintf(
            q[i].words, sizeof q[i].words,
            "op=send to=%s size=%" PRIu64 " ms=%" PRIu64 " window=%" PRIu64,
            bench_group(to, "bench", b->to), size, for_ns / 1000000, b->window);
    }
    return bench_measure(b, q, count, for_ns, out);
}

/* ---- one to many -----------------------------------------------------------
 */

static enum exit_code out_by_users(struct bench *b, uint64_t size,
                                   uint64_t for_ns, struct bench_figures *out)
{
    struct bench_users u = {.clients = {b->from},
                            .server_count = b->ends,
                            .client_count = 1,
                            .send = true,
                            .all = true,
                            .size = size,
                            .for_ns = for_ns};
    const size_t sites = bench_others(b, b->from, u.servers, BENCH_SITES_MAX);

    for (size_t i = sites; i < b->ends; i++) {
        u.servers[i] = u.servers[i % sites];
    }
    return bench_users(b, &u, out);
}

/* A port for messages at each of the sites; `there` false: they end. */
static enum exit_code sinks(struct bench *b, const struct site_files *at[],
                            size_t count, bool there)
{
    struct bench_question q[BENCH_SITES_MAX];

    for (size_t i = 0; i < count; i++) {
        q[i].site = at[i];
        (void)snprintf(q[i].words, sizeof q[i].words, "op=sink%s%s",
                       there ? " group=" : "", there ? group : "");
    }
    enum exit_code code = bench_ask(b->client, q, count, CLIENT_TIMEOUT_NS);
    for (size_t i = 0; i < count && code == EXIT_DONE; i++) {
        client_reply_free(&q[i].reply);
    }
    return code;
}

/* The group is known at the sending site when it has as many members there. */
static enum exit_code wait_for_members(const struct bench *b, size_t count)
{
    const uint64_t give_up = clock_ns() + CLIENT_TIMEOUT_NS;
    struct client c = {.cluster = b->cluster};
    struct site_files at = *b->from;
    struct motet_member members[BENCH_SITES_MAX + 1];
    size_t found = 0;
    enum motet_err err = client_attach(&c, &at);

    while (err == MOTET_OK && clock_ns() < give_up) {
        err = motet_group_list(c.motet, motet_ui_of_name(group), members,
                               BENCH_SITES_MAX + 1, &found);
        if (err == MOTET_OK && found == count) {
            break;
        }
        err = err == MOTET_E_NO_GROUP ? MOTET_OK : err;
        clock_sleep(2000000);
    }
    client_close(&c);
    if (err != MOTET_OK || found != count) {
        say_error("%zu of %zu members of %s are known at %s", found, count,
                  group, b->from->name);
        say_hint("look: motet group info %s -s %s", group, b->from->name);
        return EXIT_STUCK;
    }
    return EXIT_DONE;
}

static enum exit_code out_of_sites(struct bench *b, uint64_t size,
                                   uint64_t for_ns, size_t count,
                                   struct bench_figures *out)
{
    struct bench_question q = {.site = b->from};

    (void)snprintf(q.words, sizeof q.words,
                   "op=send to=%s all=1 size=%" PRIu64 " ms=%" PRIu64
                   " window=%" PRIu64,
                   group, size, for_ns / 1000000, b->window);
    enum exit_code code = wait_for_members(b, count);
    return code == EXIT_DONE ? bench_measure(b, &q, 1, for_ns, out) : code;
}

/* Counted are deliveries: a message to three is three. */
static enum exit_code measure_out(struct bench *b, uint64_t size,
                                  uint64_t for_ns, struct bench_figures *out)
{
    const struct site_files *to[BENCH_SITES_MAX];
    size_t count = b->ends;
    enum exit_code code;

    if (b->user) {
        code = out_by_users(b, size, for_ns, out);
    } else {
        count = bench_others(b, b->from, to, b->ends);
        code = sinks(b, to, count, true);
        code = code == EXIT_DONE ? out_of_sites(b, size, for_ns, count, out)
                                 : code;
    }
    out->count *= count;
    return code;
}

static void end_out(struct bench *b)
{
    const struct site_files *to[BENCH_SITES_MAX];

    if (!b->user) {
        (void)sinks(b, to, bench_others(b, b->from, to, b->ends), false);
    }
}

const struct bench_kind bench_fanin = {
    .name = "fanin",
    .floor = "send",
    .window = 1024,
    .sites = 3,
    .fan = true,
    .sized = true,
    .measure = measure_in,
};

const struct bench_kind bench_fanout = {
    .name = "fanout",
    .floor = "send",
    .window = 1024,
    .sites = 3,
    .fan = true,
    .sized = true,
    .measure = measure_out,
    .end = end_out,
};
