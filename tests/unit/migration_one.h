#ifndef MIGRATION_ONE_H
#define MIGRATION_ONE_H

#include <criterion/criterion.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/ui.h"
#include "sites/core/migration.h"

/* One machine, of site 10, as source of moves to BOB and as destination of
 * moves from him. */

#define MS_NS UINT64_C(1000000)
#define SEC_NS (1000 * MS_NS)

enum { ME = 10, BOB = 20, EVE = 30, MY_INC = 3, BOB_INC = 7, SEEN_MAX = 512 };

static struct mem mem;
static struct trace trace;
static struct migration *m;
static struct migration_config cfg;
static uint64_t now_ns;
static struct mig_effect seen[SEEN_MAX];
static uint32_t seen_count;
static bool followed[MIG_STATE_COUNT][MIG_EVENT_COUNT];

static inline struct mig_port a_port(uint32_t serial)
{
    return (struct mig_port){.ui = ui_make(BOB, 1, UI_PORT, serial),
                             .epoch = 5};
}

static inline void take(void)
{
    const struct mig_effect *e;
    seen_count = 0;
    while ((e = migration_effect(m)) != NULL) {
        cr_assert_lt(seen_count, SEEN_MAX);
        if (e->kind == MIG_STEP) {
            const struct mig_rule *r = mig_rule(e->from, e->event);
            cr_assert(r != NULL && r->next == e->to);
            followed[e->from][e->event] = true;
        }
        seen[seen_count++] = *e;
    }
}

static inline enum motet_err step(struct mig_in in)
{
    in.now_ns = now_ns;
    const enum motet_err err = migration_step(m, &in);
    take();
    return err;
}

static inline void tick_after(uint64_t after_ns)
{
    now_ns += after_ns;
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_TICK}), MOTET_OK);
}

static inline void setup(void)
{
    mem_init(&mem, 64 << 20);
    trace_init(&trace, NULL);
    now_ns = SEC_NS;
    cfg = (struct migration_config){
        .site = ME,
        .incarnation = MY_INC,
        .seed = 5,
        .limits = migration_limits_default(),
        .mem = &mem,
        .trace = &trace,
    };
    m = migration_create(&cfg);
    cr_assert_not_null(m);
}

static inline void again(void)
{
    migration_destroy(m);
    cr_assert_eq(mem.used_bytes, 0);
    m = migration_create(&cfg);
}

static inline void teardown(void)
{
    migration_destroy(m);
    cr_assert_eq(mem.used_bytes, 0);
}

static inline enum motet_err
start_to(uint64_t site, const struct mig_port *ports, uint32_t count)
{
    return step((struct mig_in){.kind = MIG_IN_START,
                                .site = site,
                                .incarnation = BOB_INC,
                                .ports = ports,
                                .count = count});
}

static inline struct mig_xid start_one(uint32_t serial)
{
    const struct mig_port port = a_port(serial);
    cr_assert_eq(start_to(BOB, &port, 1), MOTET_OK);
    return migration_last(m);
}

/* A frame of BOB about a move of mine. */
static inline struct mig_frame answer(enum mig_frame_kind kind,
                                      struct mig_xid xid)
{
    return (struct mig_frame){.kind = kind,
                              .xid = xid,
                              .from_incarnation = BOB_INC,
                              .to_incarnation = MY_INC};
}

/* A frame of BOB about a move of his. */
static inline struct mig_frame his(enum mig_frame_kind kind, uint64_t number)
{
    return (struct mig_frame){
        .kind = kind,
        .xid = {.site = BOB, .incarnation = BOB_INC, .number = number},
        .from_incarnation = BOB_INC,
        .to_incarnation = MY_INC,
        .settled = 1};
}

static inline void got(struct mig_frame f)
{
    cr_assert_eq(
        step((struct mig_in){.kind = MIG_IN_FRAME, .site = BOB, .frame = &f}),
        MOTET_OK);
}

static inline enum motet_err prepare(struct mig_frame f, uint32_t serial,
                                     enum motet_err err)
{
    const struct mig_port port = a_port(serial);
    return step((struct mig_in){.kind = MIG_IN_PREPARE,
                                .site = BOB,
                                .frame = &f,
                                .ports = &port,
                                .count = 1,
                                .err = err});
}

static inline void held(uint64_t number, uint32_t serial)
{
    cr_assert_eq(prepare(his(MIG_PREPARE, number), serial, MOTET_OK), MOTET_OK);
    cr_assert_eq(migration_state(m, a_port(serial).ui, NULL), MIG_PRP);
}

static inline enum mig_ask asks(struct mig_frame f, uint32_t serial)
{
    const struct mig_port port = a_port(serial);
    return migration_asks(m, BOB, &f, &port, 1);
}

static inline void gone(uint32_t incarnation)
{
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_GONE,
                                      .site = BOB,
                                      .incarnation = incarnation}),
                 MOTET_OK);
}

static inline const struct mig_effect *effect_of(enum mig_effect_kind kind)
{
    for (uint32_t i = 0; i < seen_count; i++) {
        if (seen[i].kind == kind) {
            return &seen[i];
        }
    }
    return NULL;
}

/* Whether the last step sent just this to BOB, or with MIG_NOTHING nothing. */
static inline bool sent(int kind)
{
    const struct mig_effect *e = effect_of(MIG_SEND);
    if (e == NULL || kind == MIG_NOTHING) {
        return e == NULL && kind == MIG_NOTHING;
    }
    return (int)e->frame.kind == kind && e->site == BOB &&
           e->frame.from_incarnation == MY_INC &&
           e->frame.to_incarnation == BOB_INC && e->ports == NULL;
}

/* Whether the last step did this with the ports, and told so before it sent
 * anything. */
static inline bool did(enum mig_effect_kind kind, enum motet_err err,
                       uint32_t epoch_plus)
{
    return seen_count >= 2 && seen[0].kind == MIG_STEP &&
           seen[1].kind == kind && seen[1].err == err &&
           seen[1].epoch_plus == epoch_plus && seen[1].count == 1 &&
           seen[1].site == BOB && seen[1].incarnation == BOB_INC;
}

#endif
