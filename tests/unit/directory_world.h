#ifndef DIRECTORY_WORLD_H
#define DIRECTORY_WORLD_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/prng.h"
#include "nucleus/base/ui.h"
#include "sites/core/directory.h"

/* Several directories and a network that loses and shuffles messages. What each
 * told by DIR_MEMBER and DIR_OWNER is kept in a naive list beside it. */

enum { DW_MAX = 8, DW_SITE0 = 10, DW_TOLD_MAX = 8192, DW_NET_MAX = 16384 };
#define MS_NS UINT64_C(1000000)
#define SEC_NS (1000 * MS_NS)

struct dw_fact {
    uint64_t site;
    enum record_kind kind;
    struct motet_ui subject, group;
    uint64_t epoch;
};

struct dw_node {
    struct directory *d;
    struct mem mem;
    struct trace trace;
    uint32_t incarnation;
    struct dw_fact told[DW_TOLD_MAX]; /* in, and not out since */
    uint32_t told_count;
    uint32_t ins, outs; /* effects */
};

struct dw_flight {
    uint64_t at_ns;
    uint64_t order;
    uint32_t from, to;
    struct dir_msg msg; /* with its own records and digest */
};

struct dw {
    uint32_t count;
    uint64_t now_ns;
    struct prng prng;
    uint32_t loss;
    uint64_t spread_ns; /* delay: 1 ms to this */
    bool up[DW_MAX][DW_MAX];
    struct dw_node nodes[DW_MAX];
    struct dw_flight net[DW_NET_MAX];
    uint32_t flying;
    uint64_t sent, sent_records;
    uint64_t order;
};

static inline void dw_tell(struct dw_node *n, const struct dir_effect *e)
{
    const struct record *r = e->record;
    uint32_t at = 0;
    while (at < n->told_count &&
           !(n->told[at].site == e->site && n->told[at].kind == r->kind &&
             ui_equal(n->told[at].subject, r->subject) &&
             ui_equal(n->told[at].group, r->group))) {
        at++;
    }
    if (!e->in) {
        cr_assert_lt(at, n->told_count, "out, but never in");
        n->told[at] = n->told[--n->told_count];
        n->outs++;
        return;
    }
    cr_assert_lt(at, DW_TOLD_MAX);
    n->ins++;
    n->told_count += at == n->told_count ? 1 : 0;
    n->told[at] = (struct dw_fact){.site = e->site,
                                   .kind = r->kind,
                                   .subject = r->subject,
                                   .group = r->group,
                                   .epoch = r->epoch};
}

static inline void *dw_copy(const void *from, size_t size)
{
    void *to = malloc(size == 0 ? 1 : size);
    cr_assert_not_null(to);
    if (size > 0) {
        memcpy(to, from, size);
    }
    return to;
}

static inline void dw_fly(struct dw *w, uint32_t from,
                          const struct dir_effect *e)
{
    const uint32_t to = (uint32_t)(e->site - DW_SITE0);
    w->sent++;
    w->sent_records += e->msg->record_count;
    cr_assert_leq(e->msg->record_count, (uint32_t)DIR_RECORDS_MAX);
    cr_assert_leq(e->msg->digest_count, (uint32_t)DIR_DIGEST_MAX);
    if (to >= w->count || !w->up[from][to] || prng_chance(&w->prng, w->loss)) {
        return;
    }
    cr_assert_lt(w->flying, DW_NET_MAX);
    struct dw_flight *f = &w->net[w->flying++];
    f->at_ns = w->now_ns + prng_between(&w->prng, MS_NS, w->spread_ns);
    f->order = w->order++;
    f->from = from;
    f->to = to;
    f->msg = *e->msg;
    f->msg.records =
        dw_copy(e->msg->records, f->msg.record_count * sizeof(struct record));
    f->msg.digest = dw_copy(e->msg->digest,
                            f->msg.digest_count * sizeof(struct dir_digest));
}

static inline enum motet_err dw_step(struct dw *w, uint32_t i, struct dir_in in)
{
    in.now_ns = w->now_ns;
    const enum motet_err err = directory_step(w->nodes[i].d, &in);
    const struct dir_effect *e;
    while ((e = directory_effect(w->nodes[i].d)) != NULL) {
        if (e->kind == DIR_SEND) {
            dw_fly(w, i, e);
        } else {
            dw_tell(&w->nodes[i], e);
        }
    }
    return err;
}

static inline struct directory_config dw_config(struct dw *w, uint32_t i)
{
    struct directory_config cfg = directory_config_default();
    cfg.site = DW_SITE0 + i;
    cfg.incarnation = w->nodes[i].incarnation;
    cfg.seed = prng_next(&w->prng);
    cfg.mem = &w->nodes[i].mem;
    cfg.trace = &w->nodes[i].trace;
    cfg.records_max = 4096;
    return cfg;
}

static inline void dw_born(struct dw *w, uint32_t i, uint32_t incarnation)
{
    w->nodes[i].incarnation = incarnation;
    w->nodes[i].told_count = 0;
    const struct directory_config cfg = dw_config(w, i);
    w->nodes[i].d = directory_create(&cfg);
    cr_assert_not_null(w->nodes[i].d);
}

static inline void dw_init(struct dw *w, uint32_t count, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->count = count;
    w->now_ns = SEC_NS;
    w->spread_ns = 2 * MS_NS;
    prng_init(&w->prng, seed);
    for (uint32_t i = 0; i < count; i++) {
        mem_init(&w->nodes[i].mem, 64 << 20);
        trace_init(&w->nodes[i].trace, NULL);
        dw_born(w, i, 1);
    }
}

static inline void dw_kill(struct dw *w, uint32_t i)
{
    directory_destroy(w->nodes[i].d);
    w->nodes[i].d = NULL;
    cr_assert_eq(w->nodes[i].mem.used_bytes, 0);
    cr_assert_eq(w->nodes[i].mem.blocks, 0);
}

static inline void dw_land(struct dw_flight *f)
{
    free((void *)(uintptr_t)f->msg.records);
    free((void *)(uintptr_t)f->msg.digest);
}

static inline void dw_fini(struct dw *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->nodes[i].d != NULL) {
            dw_kill(w, i);
        }
    }
    for (uint32_t k = 0; k < w->flying; k++) {
        dw_land(&w->net[k]);
    }
}

static inline void dw_session(struct dw *w, uint32_t i, uint32_t j, bool up)
{
    if (w->up[i][j] == up || i == j) {
        return;
    }
    w->up[i][j] = w->up[j][i] = up;
    const uint32_t ends[2][2] = {{i, j}, {j, i}};
    for (int k = 0; k < 2; k++) {
        if (w->nodes[ends[k][0]].d != NULL) {
            cr_assert_eq(
                dw_step(w, ends[k][0],
                        (struct dir_in){
                            .kind = DIR_IN_PEER,
                            .site = DW_SITE0 + ends[k][1],
                            .incarnation = w->nodes[ends[k][1]].incarnation,
                            .up = up,
                        }),
                MOTET_OK);
        }
    }
}

static inline void dw_mesh(struct dw *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        for (uint32_t j = i + 1; j < w->count; j++) {
            dw_session(w, i, j, true);
        }
    }
}

static inline void dw_gone(struct dw *w, uint32_t at, uint32_t who,
                           uint32_t incarnation)
{
    cr_assert_eq(dw_step(w, at,
                         (struct dir_in){.kind = DIR_IN_GONE,
                                         .site = DW_SITE0 + who,
                                         .incarnation = incarnation}),
                 MOTET_OK);
}

static inline void dw_run(struct dw *w, uint64_t until_ns)
{
    for (;;) {
        uint64_t at = DEADLINE_NEVER;
        uint32_t node = UINT32_MAX, flight = UINT32_MAX;
        for (uint32_t i = 0; i < w->count; i++) {
            if (w->nodes[i].d != NULL &&
                directory_deadline_ns(w->nodes[i].d) < at) {
                at = directory_deadline_ns(w->nodes[i].d);
                node = i;
            }
        }
        for (uint32_t k = 0; k < w->flying; k++) {
            if (w->net[k].at_ns < at ||
                (w->net[k].at_ns == at && flight != UINT32_MAX &&
                 w->net[k].order < w->net[flight].order)) {
                at = w->net[k].at_ns;
                flight = k;
            }
        }
        if (at > until_ns) {
            w->now_ns = until_ns;
            return;
        }
        w->now_ns = at > w->now_ns ? at : w->now_ns;
        if (flight == UINT32_MAX) {
            (void)!dw_step(w, node, (struct dir_in){.kind = DIR_IN_TICK});
            cr_assert_gt(directory_deadline_ns(w->nodes[node].d), at);
            continue;
        }
        struct dw_flight f = w->net[flight];
        w->net[flight] = w->net[--w->flying];
        if (w->nodes[f.to].d != NULL && w->up[f.from][f.to]) {
            cr_assert_eq(dw_step(w, f.to,
                                 (struct dir_in){.kind = DIR_IN_MSG,
                                                 .site = DW_SITE0 + f.from,
                                                 .msg = &f.msg}),
                         MOTET_OK);
        }
        dw_land(&f);
    }
}

static inline struct record dw_record(uint32_t subject, uint32_t group,
                                      bool present)
{
    return (struct record){
        .kind = group == 0 ? RECORD_OWNER : RECORD_MEMBER,
        .present = present,
        .subject = {.hi = 7, .lo = subject},
        .group = {.hi = group == 0 ? 0 : 9, .lo = group},
        .name = "service",
    };
}

static inline enum motet_err dw_publish(struct dw *w, uint32_t i,
                                        uint32_t subject, uint32_t group,
                                        uint64_t epoch, bool present)
{
    struct record r = dw_record(subject, group, present);
    r.epoch = epoch;
    return dw_step(w, i, (struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
}

static inline void dw_must(struct dw *w, uint32_t i, uint32_t subject,
                           uint32_t group, uint64_t epoch, bool present)
{
    cr_assert_eq(dw_publish(w, i, subject, group, epoch, present), MOTET_OK);
}

static inline bool dw_told(const struct dw_node *n, const struct dw_fact *f)
{
    for (uint32_t i = 0; i < n->told_count; i++) {
        const struct dw_fact *t = &n->told[i];
        if (t->site == f->site && t->kind == f->kind && t->epoch == f->epoch &&
            ui_equal(t->subject, f->subject) && ui_equal(t->group, f->group)) {
            return true;
        }
    }
    return false;
}

/* Everybody holds the same, and has told just that. */
static inline bool dw_agrees(const struct dw *w)
{
    const struct dw_node *first = NULL;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct dw_node *n = &w->nodes[i];
        if (n->d == NULL) {
            continue;
        }
        if (n->told_count != directory_records(n->d)) {
            return false;
        }
        if (first == NULL) {
            first = n;
            continue;
        }
        if (directory_view(n->d) != directory_view(first->d) ||
            n->told_count != first->told_count) {
            return false;
        }
        for (uint32_t k = 0; k < n->told_count; k++) {
            if (!dw_told(first, &n->told[k])) {
                return false;
            }
        }
    }
    return true;
}

#endif
