#ifndef MEMBER_ONE_H
#define MEMBER_ONE_H

/* One machine, called 10, and what came out of its last step. */

#include <criterion/criterion.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "sites/core/member.h"

#define MS_NS UINT64_C(1000000)
enum { ME = 10, BOB = 20, EVE = 30, ZOE = 40, INC = 5, LOG_MAX = 4096 };

struct seen {
    enum member_effect_kind kind;
    uint64_t site;
    uint32_t incarnation;
    enum member_state state;
    struct member_msg msg;
};

static struct mem mem;
static struct trace trace;
static struct members *m;
static uint64_t now_ns;
static struct seen seen[LOG_MAX];
static uint32_t seen_count;

static inline void drain(void)
{
    const struct member_effect *e;
    while ((e = members_effect(m)) != NULL) {
        cr_assert_lt(seen_count, LOG_MAX);
        struct seen *s = &seen[seen_count++];
        s->kind = e->kind;
        s->site = e->site;
        s->incarnation = e->incarnation;
        s->state = e->state;
        if (e->kind == MEMBER_SEND) {
            s->msg = *e->msg;
        }
    }
}

static inline void step(struct member_in in)
{
    in.now_ns = now_ns;
    seen_count = 0;
    members_step(m, &in);
    drain();
}

/* Ticks at each deadline up to `ms` from now, keeping all effects. */
static inline void pass(uint64_t ms)
{
    const uint64_t until_ns = now_ns + ms * MS_NS;
    seen_count = 0;
    while (members_deadline_ns(m) <= until_ns) {
        now_ns =
            members_deadline_ns(m) > now_ns ? members_deadline_ns(m) : now_ns;
        const struct member_in in = {.kind = MEMBER_IN_TICK, .now_ns = now_ns};
        members_step(m, &in);
        drain();
    }
    now_ns = until_ns;
}

static inline void setup_with(uint32_t sites_max, size_t cap_bytes)
{
    mem_init(&mem, cap_bytes);
    trace_init(&trace, NULL);
    struct member_config cfg = member_config_default();
    cfg.site = ME;
    cfg.incarnation = INC;
    cfg.name = "me";
    cfg.address = "me:1";
    cfg.seed = 1;
    cfg.sites_max = sites_max;
    cfg.mem = &mem;
    cfg.trace = &trace;
    now_ns = 1000 * MS_NS;
    m = members_create(&cfg);
}

static inline void setup(void)
{
    setup_with(1024, 1 << 24);
    cr_assert_not_null(m);
}

static inline void teardown(void)
{
    members_destroy(m);
    cr_assert_eq(mem.used_bytes, 0);
    cr_assert_eq(mem.blocks, 0);
}

static inline void session(uint64_t site, uint32_t incarnation, bool up)
{
    step((struct member_in){.kind = MEMBER_IN_SESSION,
                            .site = site,
                            .incarnation = incarnation,
                            .name = "x",
                            .address = "x:1",
                            .up = up,
                            .rtt_ns = MS_NS});
}

static inline struct member_update about(uint64_t site, uint32_t incarnation,
                                         enum member_state state,
                                         uint32_t refutes)
{
    struct member_update u = {.site = site,
                              .incarnation = incarnation,
                              .refutes = refutes,
                              .state = state,
                              .name = "n",
                              .address = "n:1"};
    return u;
}

static inline void told(uint64_t by, struct member_update u)
{
    static struct member_msg msg;
    memset(&msg, 0, sizeof msg);
    msg.kind = MEMBER_GOSSIP;
    msg.update_count = 1;
    msg.updates[0] = u;
    step((struct member_in){
        .kind = MEMBER_IN_MSG, .site = by, .incarnation = INC, .msg = &msg});
}

static inline void message(uint64_t from, enum member_msg_kind kind,
                           uint32_t seq, uint64_t target, bool want)
{
    static struct member_msg msg;
    memset(&msg, 0, sizeof msg);
    msg.kind = kind;
    msg.seq = seq;
    msg.target = target;
    msg.want = want;
    step((struct member_in){
        .kind = MEMBER_IN_MSG, .site = from, .incarnation = INC, .msg = &msg});
}

static inline enum member_state state_of(uint64_t site)
{
    struct member_info info;
    for (uint64_t at = 0; members_next(m, at, &info); at = info.site) {
        if (info.site == site) {
            return info.state;
        }
    }
    return 0;
}

static inline uint32_t incarnation_of(uint64_t site)
{
    struct member_info info;
    for (uint64_t at = 0; members_next(m, at, &info); at = info.site) {
        if (info.site == site) {
            return info.incarnation;
        }
    }
    return 0;
}

static inline const struct seen *find(enum member_effect_kind kind,
                                      uint64_t site, uint32_t nth)
{
    for (uint32_t i = 0; i < seen_count; i++) {
        if (seen[i].kind == kind && seen[i].site == site && nth-- == 0) {
            return &seen[i];
        }
    }
    return NULL;
}

static inline const struct seen *sent(uint64_t to, enum member_msg_kind kind)
{
    const struct seen *s;
    for (uint32_t i = 0; (s = find(MEMBER_SEND, to, i)) != NULL; i++) {
        if (s->msg.kind == kind) {
            return s;
        }
    }
    return NULL;
}

static inline bool carries(const struct seen *s, uint64_t site,
                           enum member_state state)
{
    for (uint32_t i = 0; s != NULL && i < s->msg.update_count; i++) {
        if (s->msg.updates[i].site == site &&
            s->msg.updates[i].state == state) {
            return true;
        }
    }
    return false;
}

static inline void with_bob_and_eve(void)
{
    setup();
    session(BOB, INC, true);
    session(EVE, INC, true);
}

#endif
