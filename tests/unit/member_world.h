#ifndef MEMBER_WORLD_H
#define MEMBER_WORLD_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/prng.h"
#include "sites/core/member.h"

/* A small network of membership machines in virtual time: messages with delay
 * and loss, sessions, and the rules of HELLO (netmgr.h) in a few lines. */

enum { WORLD_MAX = 32, WORLD_SITE0 = 100 };
#define MS_NS UINT64_C(1000000)
#define SEC_NS (1000 * MS_NS)

struct world_node {
    struct members *m;
    struct mem mem;
    struct trace trace;
    uint32_t incarnation;
    uint32_t lives; /* machines ever made here */
    bool up;
    uint32_t told_dead; /* MEMBER_SELF_DEAD */
    uint64_t deadline_ns;
};

struct world_event {
    uint64_t at_ns;
    uint64_t order;
    uint32_t from, to;
    uint32_t from_inc, to_inc;
    struct member_msg *msg; /* NULL: a HELLO */
};

struct world {
    uint32_t count;
    uint64_t now_ns;
    struct prng prng;
    uint32_t loss;   /* per million */
    bool seeds_dial; /* each second to the first and the last site */
    uint64_t next_dial_ns;
    bool blocked[WORLD_MAX][WORLD_MAX];
    bool session[WORLD_MAX][WORLD_MAX];
    struct world_node nodes[WORLD_MAX];
    struct world_event *heap; /* heap[0] unused */
    uint32_t events, capacity;
    uint64_t order;
    uint64_t sent;
    uint32_t false_deaths; /* declared dead while running */
    uint32_t victim;       /* its death is timed */
    uint32_t knowing;
    uint64_t first_known_ns, all_known_ns;
};

static inline uint64_t world_site(uint32_t i)
{
    return WORLD_SITE0 + i;
}

static inline bool event_before(const struct world_event *a,
                                const struct world_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static inline void world_push(struct world *w, struct world_event e)
{
    if (w->events + 1 >= w->capacity) {
        w->capacity = w->capacity == 0 ? 1024 : w->capacity * 2;
        w->heap = realloc(w->heap, w->capacity * sizeof *w->heap);
        cr_assert_not_null(w->heap);
    }
    e.order = w->order++;
    uint32_t at = ++w->events;
    for (; at > 1 && event_before(&e, &w->heap[at / 2]); at /= 2) {
        w->heap[at] = w->heap[at / 2];
    }
    w->heap[at] = e;
}

static inline struct world_event world_pop(struct world *w)
{
    const struct world_event top = w->heap[1];
    const struct world_event last = w->heap[w->events--];
    uint32_t at = 1;
    while (at * 2 <= w->events) {
        uint32_t child = at * 2;
        if (child < w->events &&
            event_before(&w->heap[child + 1], &w->heap[child])) {
            child++;
        }
        if (event_before(&last, &w->heap[child])) {
            break;
        }
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

static inline uint64_t world_delay(struct world *w)
{
    return MS_NS / 5 + prng_exponential(&w->prng, 3 * MS_NS / 10);
}

static inline void world_step(struct world *w, uint32_t i, struct member_in in);

static inline void world_born(struct world *w, uint32_t i, uint32_t incarnation)
{
    struct world_node *node = &w->nodes[i];
    char name[16] = "site-xx";
    name[5] = (char)('0' + i / 10);
    name[6] = (char)('0' + i % 10);
    struct member_config cfg = member_config_default();
    cfg.site = world_site(i);
    cfg.incarnation = incarnation;
    cfg.name = name;
    cfg.address = name;
    cfg.seed = prng_next(&w->prng);
    cfg.mem = &node->mem;
    cfg.trace = &node->trace;
    node->m = members_create(&cfg);
    cr_assert_not_null(node->m);
    node->incarnation = incarnation;
    node->lives++;
    node->up = true;
    node->deadline_ns = members_deadline_ns(node->m);
}

static inline void world_break(struct world *w, uint32_t i, uint32_t j)
{
    if (!w->session[i][j]) {
        return;
    }
    w->session[i][j] = w->session[j][i] = false;
    const uint32_t ends[2][2] = {{i, j}, {j, i}};
    for (int k = 0; k < 2; k++) {
        const uint32_t here = ends[k][0], there = ends[k][1];
        if (w->nodes[here].up) {
            world_step(w, here,
                       (struct member_in){
                           .kind = MEMBER_IN_SESSION,
                           .site = world_site(there),
                           .incarnation = w->nodes[there].incarnation,
                       });
        }
    }
}

/* The machine is gone. With `breaks`, all its sessions break at once; without,
 * the others hear nothing any more. */
static inline void world_crash(struct world *w, uint32_t i, bool breaks)
{
    w->nodes[i].up = false;
    members_destroy(w->nodes[i].m);
    w->nodes[i].m = NULL;
    w->nodes[i].deadline_ns = DEADLINE_NEVER;
    cr_assert_eq(w->nodes[i].mem.used_bytes, 0);
    for (uint32_t j = 0; j < w->count; j++) {
        if (breaks) {
            world_break(w, i, j);
        }
        w->session[j][i] = w->session[i][j] = false;
    }
}

static inline void world_dial(struct world *w, uint32_t i, uint32_t j)
{
    if (i == j || w->session[i][j] || !w->nodes[i].up) {
        return;
    }
    world_push(w, (struct world_event){.at_ns = w->now_ns + world_delay(w),
                                       .from = i,
                                       .to = j,
                                       .from_inc = w->nodes[i].incarnation});
}

static inline void world_reborn(struct world *w, uint32_t i)
{
    const uint32_t next = w->nodes[i].incarnation + 1;
    world_crash(w, i, true);
    world_born(w, i, next);
    world_dial(w, i, 0);
    world_dial(w, i, w->count - 1);
}

static inline bool world_holds(const struct world *w, uint32_t i, uint32_t j,
                               struct member_info *info)
{
    for (uint64_t at = 0; members_next(w->nodes[i].m, at, info);
         at = info->site) {
        if (info->site == world_site(j)) {
            return true;
        }
    }
    return false;
}

static inline bool world_holds_dead(const struct world *w, uint32_t i,
                                    uint32_t j)
{
    struct member_info info;
    return world_holds(w, i, j, &info) &&
           info.incarnation >= w->nodes[j].incarnation &&
           info.state == MEMBER_DEAD;
}

/* Which of two that hold each other for dead is reborn: see netmgr.h. */
static inline bool world_loses(const struct world *w, uint32_t i, uint32_t j)
{
    uint64_t low_i, low_j;
    const uint32_t view_i = members_alive(w->nodes[i].m, &low_i);
    const uint32_t view_j = members_alive(w->nodes[j].m, &low_j);
    return view_i != view_j ? view_i < view_j : low_i > low_j;
}

static inline void world_hello(struct world *w, uint32_t i, uint32_t j)
{
    if (w->blocked[i][j] || w->blocked[j][i] || w->session[i][j] ||
        !w->nodes[j].up) {
        return;
    }
    const bool i_dead = world_holds_dead(w, j, i);
    const bool j_dead = world_holds_dead(w, i, j);
    if (i_dead && (!j_dead || world_loses(w, i, j))) {
        world_reborn(w, i);
        return;
    }
    if (j_dead) {
        world_reborn(w, j);
        return;
    }
    w->session[i][j] = w->session[j][i] = true;
    const uint32_t ends[2][2] = {{i, j}, {j, i}};
    for (int k = 0; k < 2; k++) {
        const uint32_t here = ends[k][0], there = ends[k][1];
        world_step(w, here,
                   (struct member_in){
                       .kind = MEMBER_IN_SESSION,
                       .site = world_site(there),
                       .incarnation = w->nodes[there].incarnation,
                       .name = "s",
                       .address = "a",
                       .up = true,
                       .rtt_ns = MS_NS,
                   });
    }
}

static inline void world_send(struct world *w, uint32_t i,
                              const struct member_effect *e)
{
    const uint32_t j = (uint32_t)(e->site - WORLD_SITE0);
    w->sent++;
    if (!w->session[i][j] || w->blocked[i][j] ||
        prng_chance(&w->prng, w->loss)) {
        return;
    }
    const size_t size = offsetof(struct member_msg, updates) +
                        e->msg->update_count * sizeof e->msg->updates[0];
    struct member_msg *copy = malloc(size);
    cr_assert_not_null(copy);
    memcpy(copy, e->msg, size);
    world_push(w, (struct world_event){.at_ns = w->now_ns + world_delay(w),
                                       .from = i,
                                       .to = j,
                                       .from_inc = w->nodes[i].incarnation,
                                       .to_inc = w->nodes[j].incarnation,
                                       .msg = copy});
}

static inline void world_state(struct world *w, const struct member_effect *e)
{
    const uint32_t j = (uint32_t)(e->site - WORLD_SITE0);
    if (e->state != MEMBER_DEAD || e->incarnation != w->nodes[j].incarnation) {
        return;
    }
    if (w->nodes[j].up) {
        w->false_deaths++;
        return;
    }
    if (j == w->victim) {
        if (w->knowing == 0) {
            w->first_known_ns = w->now_ns;
        }
        w->knowing++;
        w->all_known_ns = w->now_ns;
    }
}

static inline void world_step(struct world *w, uint32_t i, struct member_in in)
{
    struct world_node *node = &w->nodes[i];
    in.now_ns = w->now_ns;
    members_step(node->m, &in);
    const struct member_effect *e;
    bool self_dead = false;
    while ((e = members_effect(node->m)) != NULL) {
        switch (e->kind) {
        case MEMBER_SEND:
            world_send(w, i, e);
            break;
        case MEMBER_STATE:
            world_state(w, e);
            break;
        case MEMBER_MEET:
            world_dial(w, i, (uint32_t)(e->site - WORLD_SITE0));
            break;
        case MEMBER_SELF_DEAD:
            cr_assert_eq(e->incarnation, node->incarnation + 1);
            self_dead = true;
            break;
        }
    }
    node->deadline_ns = members_deadline_ns(node->m);
    if (self_dead) {
        node->told_dead++;
        world_reborn(w, i);
    }
}

static inline void world_deliver(struct world *w, struct world_event e)
{
    struct world_node *from = &w->nodes[e.from], *to = &w->nodes[e.to];
    if (e.msg == NULL) {
        if (from->up && from->incarnation == e.from_inc) {
            world_hello(w, e.from, e.to);
        }
        return;
    }
    /* What left before a crash or a break still arrives, to the same life. */
    if (to->up && to->incarnation == e.to_inc && !w->blocked[e.from][e.to]) {
        world_step(w, e.to,
                   (struct member_in){
                       .kind = MEMBER_IN_MSG,
                       .site = world_site(e.from),
                       .incarnation = e.from_inc,
                       .msg = e.msg,
                   });
    }
    free(e.msg);
}

static inline void world_seeds(struct world *w)
{
    w->next_dial_ns = w->now_ns + SEC_NS;
    for (uint32_t i = 0; w->seeds_dial && i < w->count; i++) {
        world_dial(w, i, 0);
        world_dial(w, i, w->count - 1);
    }
}

/* Runs until `until_ns`, or until everybody knows of the victim's death. */
static inline void world_run(struct world *w, uint64_t until_ns)
{
    for (;;) {
        uint32_t next = 0;
        for (uint32_t i = 1; i < w->count; i++) {
            if (w->nodes[i].deadline_ns < w->nodes[next].deadline_ns) {
                next = i;
            }
        }
        uint64_t at = w->nodes[next].deadline_ns;
        const bool event = w->events > 0 && w->heap[1].at_ns <= at;
        at = event ? w->heap[1].at_ns : at;
        const bool dial = w->next_dial_ns <= at;
        at = dial ? w->next_dial_ns : at;
        if (at > until_ns) {
            w->now_ns = until_ns;
            return;
        }
        w->now_ns = at > w->now_ns ? at : w->now_ns;
        if (dial) {
            world_seeds(w);
        } else if (event) {
            world_deliver(w, world_pop(w));
        } else {
            world_step(w, next, (struct member_in){.kind = MEMBER_IN_TICK});
            cr_assert_gt(w->nodes[next].deadline_ns, at);
        }
    }
}

static inline void world_init(struct world *w, uint32_t count, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->count = count;
    w->victim = UINT32_MAX;
    w->now_ns = SEC_NS;
    w->seeds_dial = true;
    prng_init(&w->prng, seed);
    for (uint32_t i = 0; i < count; i++) {
        mem_init(&w->nodes[i].mem, 16 << 20);
        trace_init(&w->nodes[i].trace, NULL);
        world_born(w, i, 1);
    }
}

static inline void world_fini(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->nodes[i].m != NULL) {
            members_destroy(w->nodes[i].m);
        }
        cr_assert_eq(w->nodes[i].mem.used_bytes, 0);
        cr_assert_eq(w->nodes[i].mem.blocks, 0);
    }
    for (uint32_t k = 1; k <= w->events; k++) {
        free(w->heap[k].msg);
    }
    free(w->heap);
}

/* Bit i of `side` tells on which side a site is. */
static inline void world_split(struct world *w, uint32_t side)
{
    for (uint32_t i = 0; i < w->count; i++) {
        for (uint32_t j = 0; j < w->count; j++) {
            w->blocked[i][j] = (side >> i & 1) != (side >> j & 1);
            if (w->blocked[i][j]) {
                world_break(w, i, j);
            }
        }
    }
}

static inline void world_heal(struct world *w)
{
    memset(w->blocked, 0, sizeof w->blocked);
}

/* All running sites hold the same view, of exactly the running sites, and each
 * has a session with each other. */
static inline bool world_agrees(const struct world *w)
{
    uint32_t running = 0;
    uint64_t view = 0, lowest;
    for (uint32_t i = 0; i < w->count; i++) {
        running += w->nodes[i].up ? 1 : 0;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        if (!w->nodes[i].up) {
            continue;
        }
        if (members_alive(w->nodes[i].m, &lowest) != running) {
            return false;
        }
        if (view != 0 && members_view(w->nodes[i].m) != view) {
            return false;
        }
        view = members_view(w->nodes[i].m);
        for (uint32_t j = 0; j < w->count; j++) {
            if (j != i && w->nodes[j].up && !w->session[i][j]) {
                return false;
            }
        }
    }
    return true;
}

#endif
