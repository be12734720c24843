#ifndef MIGRATION_WORLD_H
#define MIGRATION_WORLD_H

#include <stdlib.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/prng.h"
#include "nucleus/base/ui.h"
#include "sites/core/migration.h"

/* A few machines of migration in virtual time, joined by a network that loses,
 * doubles, delays and reorders; sites crash, and are held for dead while they
 * live. The world carries the effects out on ports that are only epochs, and
 * says what is wrong: it asserts nothing, so that a wrong machine can be tried
 * as well. */

enum { MW_SITES = 4, MW_PORTS = 24, MW_EVENTS = 4096, MW_SITE0 = 100 };
#define MS_NS UINT64_C(1000000)
#define SEC_NS (1000 * MS_NS)

/* What a site has of a port. */
struct mw_held {
    enum mig_state state; /* of the port: OWN also without a move */
    uint64_t epoch;       /* at the source of the move, or here */
    struct mig_xid xid;
};

struct mw_node {
    struct migration *m; /* NULL: down */
    struct mem mem;
    struct trace trace;
    uint32_t incarnation;
    struct mw_held held[MW_PORTS];
};

enum mw_what { MW_FRAME, MW_GONE, MW_CRASH, MW_BOOT, MW_START, MW_CANCEL };

struct mw_event {
    uint64_t at_ns, order;
    enum mw_what what;
    uint32_t node; /* where it happens */
    uint32_t other;
    uint32_t incarnation; /* GONE */
    struct mig_frame frame;
    uint32_t count;
    struct mig_port *ports; /* of PREPARE */
};

struct mw_faults {
    uint32_t loss, twice, late; /* per million; late: by seconds */
    uint64_t delay_ns;          /* mean */
    uint32_t refusal;           /* per million */
    uint32_t crashes, slanders; /* how many */
};

struct mw {
    struct prng prng;
    struct migration_limits limits;
    struct mw_faults faults;
    uint32_t sites, ports, refused, moved, starts;
    uint64_t now_ns, order;
    uint64_t best[MW_PORTS]; /* the highest epoch activated */
    struct mw_node nodes[MW_SITES];
    struct mw_event events[MW_EVENTS];
    uint32_t count;
    bool died; /* some site did, or was held for dead */
    const char *wrong;
};

static inline void mw_wrong(struct mw *w, bool bad, const char *what)
{
    if (bad && w->wrong == NULL) {
        w->wrong = what;
    }
}

static inline struct motet_ui mw_ui(uint32_t port)
{
    return ui_make(MW_SITE0, 1, UI_PORT, port + 1);
}

static inline uint32_t mw_port(struct motet_ui ui)
{
    return ui_serial(ui) - 1;
}

static inline bool mw_owns(const struct mw_node *node, uint32_t port)
{
    const enum mig_state state = node->held[port].state;
    return state == MIG_OWN || state == MIG_FRZ;
}

static inline void mw_push(struct mw *w, struct mw_event e)
{
    if (w->count == MW_EVENTS) {
        mw_wrong(w, true, "too many events");
        free(e.ports);
        return;
    }
    e.order = w->order++;
    w->events[w->count++] = e;
}

/* Takes the earliest event before `until_ns`. */
static inline bool mw_pop(struct mw *w, uint64_t until_ns, struct mw_event *e)
{
    uint32_t best = MW_EVENTS;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct mw_event *x = &w->events[i];
        const struct mw_event *y = &w->events[best % MW_EVENTS];
        if (x->at_ns <= until_ns &&
            (best == MW_EVENTS || x->at_ns < y->at_ns ||
             (x->at_ns == y->at_ns && x->order < y->order))) {
            best = i;
        }
    }
    if (best == MW_EVENTS) {
        return false;
    }
    *e = w->events[best];
    w->events[best] = w->events[--w->count];
    return true;
}

static inline void mw_post(struct mw *w, uint32_t from, uint32_t to,
                           const struct mig_frame *f)
{
    struct mw_event e = {
        .at_ns = w->now_ns + prng_exponential(&w->prng, w->faults.delay_ns),
        .what = MW_FRAME,
        .node = to,
        .other = from,
        .frame = *f,
    };
    if (prng_chance(&w->prng, w->faults.late)) {
        e.at_ns += prng_exponential(&w->prng, 2 * SEC_NS);
    }
    if (f->kind == MIG_PREPARE) {
        e.ports = calloc(MW_PORTS, sizeof *e.ports);
        for (uint32_t i = 0; i < w->ports; i++) {
            const struct mw_held *h = &w->nodes[from].held[i];
            if (h->state == MIG_FRZ && h->xid.number == f->xid.number) {
                e.ports[e.count++] =
                    (struct mig_port){.ui = mw_ui(i), .epoch = h->epoch};
            }
        }
    }
    mw_push(w, e);
}

static inline void mw_send(struct mw *w, uint32_t from, uint64_t site,
                           const struct mig_frame *f)
{
    uint32_t copies = prng_chance(&w->prng, w->faults.twice) ? 2 : 1;
    for (; copies > 0; copies--) {
        if (!prng_chance(&w->prng, w->faults.loss)) {
            mw_post(w, from, (uint32_t)(site - MW_SITE0), f);
        }
    }
}

static inline void mw_own(struct mw *w, uint32_t node, uint32_t port,
                          uint64_t epoch)
{
    mw_wrong(w, epoch <= w->best[port], "an epoch does not rise");
    w->best[port] = epoch;
    w->nodes[node].held[port] =
        (struct mw_held){.state = MIG_OWN, .epoch = epoch};
    uint32_t owners = 0;
    for (uint32_t i = 0; i < w->sites; i++) {
        owners += mw_owns(&w->nodes[i], port);
    }
    mw_wrong(w, owners > 1, "two owners");
}

/* Carries out, on one port, what was decided of its move. */
static inline void mw_decided(struct mw *w, uint32_t node, uint32_t port,
                              const struct mig_effect *e)
{
    struct mw_held *h = &w->nodes[node].held[port];
    const bool away = e->kind == MIG_THAW || e->kind == MIG_DROP;
    mw_wrong(w,
             h->xid.number != e->xid.number || h->xid.site != e->xid.site ||
                 h->xid.incarnation != e->xid.incarnation,
             "an effect on what is not of the move");
    mw_wrong(w,
             away ? h->state != MIG_FRZ && h->state != MIG_FWD
                  : h->state != MIG_PRP,
             "an effect in the wrong state");
    if (e->kind == MIG_THAW || e->kind == MIG_ACTIVATE) {
        w->moved += e->kind == MIG_ACTIVATE;
        mw_own(w, node, port, h->epoch + e->epoch_plus);
    } else {
        *h = (struct mw_held){0};
    }
}

static inline void mw_effects(struct mw *w, uint32_t node)
{
    struct mw_node *n = &w->nodes[node];
    const struct mig_effect *e;
    while ((e = migration_effect(n->m)) != NULL) {
        if (e->kind == MIG_SEND) {
            mw_send(w, node, e->site, &e->frame);
            continue;
        }
        if (e->kind == MIG_STEP && e->to != MIG_FWD) {
            continue;
        }
        for (uint32_t i = 0; i < e->count; i++) {
            const uint32_t port = mw_port(e->ports[i].ui);
            if (e->kind == MIG_STEP) {
                n->held[port].state = MIG_FWD;
            } else {
                mw_decided(w, node, port, e);
            }
        }
    }
}

static inline enum motet_err mw_step(struct mw *w, uint32_t node,
                                     struct mig_in in)
{
    in.now_ns = w->now_ns;
    const enum motet_err err = migration_step(w->nodes[node].m, &in);
    if (in.kind != MIG_IN_START) {
        mw_effects(w, node);
    }
    return err;
}

/* Who is met again is known by its incarnation, and those before are over. */
static inline void mw_meet(struct mw *w, uint32_t node, uint32_t other)
{
    if (w->nodes[other].incarnation > 1) {
        mw_push(w, (struct mw_event){
                       .at_ns = w->now_ns + prng_exponential(&w->prng, SEC_NS),
                       .what = MW_GONE,
                       .node = node,
                       .other = other,
                       .incarnation = w->nodes[other].incarnation - 1});
    }
}

static inline void mw_boot(struct mw *w, uint32_t node)
{
    struct mw_node *n = &w->nodes[node];
    if (n->m != NULL) {
        return;
    }
    n->incarnation++;
    const struct migration_config cfg = {
        .site = MW_SITE0 + node,
        .incarnation = n->incarnation,
        .seed = prng_next(&w->prng),
        .limits = w->limits,
        .mem = &n->mem,
        .trace = &n->trace,
    };
    n->m = migration_create(&cfg);
    for (uint32_t i = 0; i < w->sites; i++) {
        if (i != node) {
            mw_meet(w, node, i);
            mw_meet(w, i, node);
        }
    }
    for (int i = 0; i < 3 && w->ports < MW_PORTS; i++) {
        mw_own(w, node, w->ports++, 1);
    }
}

static inline void mw_down(struct mw *w, uint32_t node)
{
    struct mw_node *n = &w->nodes[node];
    migration_destroy(n->m);
    n->m = NULL;
    mw_wrong(w, n->mem.used_bytes != 0, "memory is left");
    memset(n->held, 0, sizeof n->held);
}

/* Soon everybody hears, at different times, that this incarnation is over. */
static inline void mw_condemn(struct mw *w, uint32_t node)
{
    w->died = true;
    for (uint32_t i = 0; i < w->sites; i++) {
        if (i != node) {
            mw_push(w,
                    (struct mw_event){
                        .at_ns = w->now_ns + prng_exponential(&w->prng, SEC_NS),
                        .what = MW_GONE,
                        .node = i,
                        .other = node,
                        .incarnation = w->nodes[node].incarnation});
        }
    }
}

static inline void mw_crash(struct mw *w, const struct mw_event *e)
{
    if (w->nodes[e->node].m == NULL) {
        return;
    }
    if (e->incarnation == 0) {
        mw_condemn(w, e->node);
    } else if (e->incarnation != w->nodes[e->node].incarnation) {
        return; /* it is reborn already */
    }
    mw_down(w, e->node);
    mw_push(w, (struct mw_event){.at_ns = w->now_ns +
                                          prng_exponential(&w->prng, SEC_NS),
                                 .what = MW_BOOT,
                                 .node = e->node});
}

/* Held for dead while it lives: some time later it hears of it and is reborn.
 */
static inline void mw_slander(struct mw *w, uint32_t node)
{
    mw_condemn(w, node);
    mw_push(w,
            (struct mw_event){.at_ns = w->now_ns + 3 * SEC_NS +
                                       prng_exponential(&w->prng, 5 * SEC_NS),
                              .what = MW_CRASH,
                              .node = node,
                              .incarnation = w->nodes[node].incarnation});
}

static inline void mw_start(struct mw *w, uint32_t node)
{
    struct mw_node *n = &w->nodes[node];
    const uint32_t to =
        (node + 1 + (uint32_t)prng_below(&w->prng, w->sites - 1)) % w->sites;
    struct mig_port ports[MW_PORTS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->ports; i++) {
        if (n->held[i].state == MIG_OWN && prng_chance(&w->prng, 500000)) {
            ports[count++] =
                (struct mig_port){.ui = mw_ui(i), .epoch = n->held[i].epoch};
        }
    }
    const enum motet_err err =
        mw_step(w, node,
                (struct mig_in){.kind = MIG_IN_START,
                                .site = MW_SITE0 + to,
                                .incarnation = w->nodes[to].incarnation,
                                .rtt_ns = 2 * w->faults.delay_ns,
                                .ports = ports,
                                .count = count});
    w->starts += err == MOTET_OK;
    for (uint32_t i = 0; i < count && err == MOTET_OK; i++) {
        struct mw_held *h = &n->held[mw_port(ports[i].ui)];
        h->state = MIG_FRZ;
        h->xid = migration_last(n->m);
    }
    mw_effects(w, node);
}

static inline void mw_cancel(struct mw *w, uint32_t node)
{
    struct mig_info info;
    if (migration_next(w->nodes[node].m, 0, &info)) {
        const bool can = info.state == MIG_FRZ;
        const enum motet_err err = mw_step(
            w, node, (struct mig_in){.kind = MIG_IN_CANCEL, .xid = info.xid});
        mw_wrong(w, (err == MOTET_OK) != can, "cancelled too late");
    }
}

static inline void mw_offered(struct mw *w, const struct mw_event *e)
{
    struct mw_node *n = &w->nodes[e->node];
    struct mig_in in = {.kind = MIG_IN_PREPARE,
                        .site = MW_SITE0 + e->other,
                        .frame = &e->frame,
                        .ports = e->ports,
                        .count = e->count,
                        .err = MOTET_E_STATE};
    const enum mig_ask ask =
        migration_asks(n->m, in.site, in.frame, in.ports, in.count);
    if (ask == MIG_IGNORE) {
        return;
    }
    bool lives = prng_chance(&w->prng, w->faults.refusal);
    for (uint32_t i = 0; i < e->count; i++) {
        lives |= n->held[mw_port(e->ports[i].ui)].state == MIG_OWN;
    }
    if (ask == MIG_INSTALL && !lives) {
        in.err = MOTET_OK;
        for (uint32_t i = 0; i < e->count; i++) {
            struct mw_held *h = &n->held[mw_port(e->ports[i].ui)];
            mw_wrong(w, h->state != MIG_NONE, "installed over something");
            *h = (struct mw_held){.state = MIG_PRP,
                                  .epoch = e->ports[i].epoch,
                                  .xid = e->frame.xid};
        }
    }
    w->refused += in.err != MOTET_OK;
    mw_wrong(w, mw_step(w, e->node, in) != MOTET_OK, "an offer was lost");
}

static inline void mw_happens(struct mw *w, const struct mw_event *e)
{
    if (e->what == MW_BOOT) {
        mw_boot(w, e->node);
        return;
    }
    if (w->nodes[e->node].m == NULL) {
        return;
    }
    switch (e->what) {
    case MW_FRAME:
        if (e->frame.kind == MIG_PREPARE) {
            mw_offered(w, e);
            break;
        }
        (void)mw_step(w, e->node,
                      (struct mig_in){.kind = MIG_IN_FRAME,
                                      .site = MW_SITE0 + e->other,
                                      .frame = &e->frame});
        break;
    case MW_GONE:
        (void)mw_step(w, e->node,
                      (struct mig_in){.kind = MIG_IN_GONE,
                                      .site = MW_SITE0 + e->other,
                                      .incarnation = e->incarnation});
        break;
    case MW_CRASH:
        mw_crash(w, e);
        break;
    case MW_START:
        mw_start(w, e->node);
        break;
    case MW_CANCEL:
        mw_cancel(w, e->node);
        break;
    case MW_BOOT:
        break;
    }
}

/* The next time at which anything is due; at most `until_ns`. */
static inline uint64_t mw_due_ns(const struct mw *w, uint64_t until_ns)
{
    uint64_t at_ns = until_ns;
    for (uint32_t i = 0; i < w->count; i++) {
        const uint64_t e_ns = w->events[i].at_ns;
        at_ns = e_ns < at_ns ? e_ns : at_ns;
    }
    for (uint32_t i = 0; i < w->sites; i++) {
        if (w->nodes[i].m != NULL) {
            const uint64_t d_ns = migration_deadline_ns(w->nodes[i].m);
            at_ns = d_ns < at_ns ? d_ns : at_ns;
        }
    }
    return at_ns > w->now_ns ? at_ns : w->now_ns;
}

static inline void mw_run(struct mw *w, uint64_t until_ns)
{
    for (uint32_t steps = 0; w->now_ns < until_ns && w->wrong == NULL;
         steps++) {
        mw_wrong(w, steps > 100000, "no end of it");
        w->now_ns = mw_due_ns(w, until_ns);
        struct mw_event e;
        if (mw_pop(w, w->now_ns, &e)) {
            mw_happens(w, &e);
            free(e.ports);
            continue;
        }
        for (uint32_t i = 0; i < w->sites; i++) {
            if (w->nodes[i].m != NULL) {
                (void)mw_step(w, i, (struct mig_in){.kind = MIG_IN_TICK});
            }
        }
    }
}

/* Nothing is under way, and without a death nothing was lost. */
static inline void mw_quiet(struct mw *w)
{
    mw_wrong(w, w->count != 0, "frames without end");
    uint32_t owned[MW_PORTS] = {0};
    for (uint32_t i = 0; i < w->sites; i++) {
        struct mig_info info;
        mw_wrong(w, w->nodes[i].m == NULL, "a site is down");
        if (w->wrong != NULL) {
            return;
        }
        mw_wrong(w, migration_next(w->nodes[i].m, 0, &info),
                 "a move is still under way");
        mw_wrong(w, migration_deadline_ns(w->nodes[i].m) != DEADLINE_NEVER,
                 "a timer without a move");
        for (uint32_t port = 0; port < w->ports; port++) {
            const enum mig_state state = w->nodes[i].held[port].state;
            mw_wrong(w, state != MIG_NONE && state != MIG_OWN,
                     "something is left of a move");
            owned[port] += state == MIG_OWN;
        }
    }
    for (uint32_t port = 0; port < w->ports; port++) {
        mw_wrong(w, owned[port] > 1, "two owners at the end");
        mw_wrong(w, owned[port] == 0 && !w->died, "a port is lost");
    }
}

static inline void mw_weather(struct mw *w)
{
    struct prng *p = &w->prng;
    w->sites = 2 + (uint32_t)prng_below(p, MW_SITES - 1);
    w->limits = migration_limits_default();
    if (prng_chance(p, 700000)) {
        w->limits.hold_ns = prng_between(p, 500 * MS_NS, 5 * SEC_NS);
    }
    if (prng_chance(p, 200000)) {
        w->limits.moves_max = 1;
    }
    if (prng_chance(p, 200000)) {
        w->limits.unsettled_max = 3;
    }
    const bool deaths = prng_chance(p, 500000);
    w->faults = (struct mw_faults){
        .loss = (uint32_t)prng_below(p, 400000),
        .twice = (uint32_t)prng_below(p, 300000),
        .late = (uint32_t)prng_below(p, 200000),
        .delay_ns = prng_between(p, MS_NS / 10, 300 * MS_NS),
        .refusal = (uint32_t)prng_below(p, 100000),
        .crashes = deaths ? (uint32_t)prng_below(p, 4) : 0,
        .slanders = deaths ? (uint32_t)prng_below(p, 3) : 0,
    };
}

/* Whatever happens, up to 20 s: starts, cancels, deaths. */
static inline void mw_plan(struct mw *w)
{
    struct prng *p = &w->prng;
    const uint32_t counts[] = {10 + (uint32_t)prng_below(p, 30),
                               (uint32_t)prng_below(p, 5), w->faults.crashes};
    const enum mw_what what[] = {MW_START, MW_CANCEL, MW_CRASH};
    for (size_t k = 0; k < ARRAY_LEN(what); k++) {
        for (uint32_t i = 0; i < counts[k]; i++) {
            mw_push(w, (struct mw_event){
                           .at_ns = prng_below(p, 20 * SEC_NS),
                           .what = what[k],
                           .node = (uint32_t)prng_below(p, w->sites)});
        }
    }
}

/* @return the world after a seed, to be freed; `wrong` says what went wrong */
static inline struct mw *mw_seed(uint64_t seed)
{
    struct mw *w = calloc(1, sizeof *w);
    prng_init(&w->prng, seed);
    mw_weather(w);
    for (uint32_t i = 0; i < w->sites; i++) {
        mem_init(&w->nodes[i].mem, 64 << 20);
        trace_init(&w->nodes[i].trace, NULL);
        mw_boot(w, i);
    }
    mw_plan(w);
    for (uint32_t i = 0; i < w->faults.slanders; i++) {
        mw_run(w, w->now_ns + prng_below(&w->prng, 7 * SEC_NS));
        const uint32_t node = (uint32_t)prng_below(&w->prng, w->sites);
        if (w->nodes[node].m != NULL) {
            mw_slander(w, node);
        }
    }
    mw_run(w, 30 * SEC_NS);
    w->faults = (struct mw_faults){.delay_ns = MS_NS};
    mw_run(w, 300 * SEC_NS);
    mw_quiet(w);
    for (uint32_t i = 0; i < w->sites; i++) {
        mw_down(w, i);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        free(w->events[i].ports);
    }
    return w;
}

#endif
