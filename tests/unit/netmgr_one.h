#ifndef NETMGR_ONE_H
#define NETMGR_ONE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "netmgr/core/netmgr.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/ui.h"

/* One network manager, and the test in the place of everybody else. */

#define ONE_MS 1000000ULL

enum { ONE_EFFECTS = 4096, ONE_SITE = 5, ONE_PEER = 7, ONE_INCARNATION = 10 };

struct one_effect {
    struct net_effect e;
    struct net_hello hello;
    struct net_refuse refuse;
    char text[128]; /* detail, or addr */
};

struct one {
    struct netmgr *net;
    struct mem mem;
    struct trace trace;
    uint64_t now;
    uint32_t count; /* effects of the last step */
    struct one_effect *got;
    enum motet_err verdict; /* to every offer */
    uint32_t room;
};

static inline struct netmgr_config one_config(struct one *o)
{
    return (struct netmgr_config){
        .site = ONE_SITE,
        .incarnation = ONE_INCARNATION,
        .name = "here",
        .cluster = "test",
        .address = "here:1",
        .insecure = true,
        .seed = 1,
        .limits = net_limits_default(),
        .mem = &o->mem,
        .trace = &o->trace,
    };
}

static inline void one_create(struct one *o, const struct netmgr_config *cfg)
{
    o->net = netmgr_create(cfg);
    cr_assert(o->net != NULL);
}

static inline void one_init(struct one *o)
{
    memset(o, 0, sizeof(*o));
    mem_init(&o->mem, 256 << 20);
    trace_init(&o->trace, NULL);
    o->now = 1000 * ONE_MS;
    o->got = calloc(ONE_EFFECTS, sizeof(*o->got));
    o->room = 100;
}

static inline struct one *one_new(struct one *o)
{
    one_init(o);
    struct netmgr_config cfg = one_config(o);
    one_create(o, &cfg);
    return o;
}

static inline void one_keep(struct one *o, const struct net_effect *e)
{
    cr_assert_lt(o->count, ONE_EFFECTS);
    struct one_effect *k = &o->got[o->count++];
    memset(k, 0, sizeof(*k));
    k->e = *e;
    const char *text = e->detail != NULL ? e->detail : e->addr;
    if (text != NULL) {
        strncpy(k->text, text, sizeof(k->text) - 1);
    }
    if (e->kind == NET_FRAME && e->frame.kind == NET_HELLO) {
        k->hello = *e->frame.u.hello;
    } else if (e->kind == NET_FRAME && e->frame.kind == NET_REFUSE) {
        k->refuse = *e->frame.u.refuse;
    } else if (e->kind == NET_FRAME && e->frame.kind == NET_DATA) {
        buf_unref(e->frame.u.data.hold);
    } else if (e->kind == NET_FRAME && e->frame.kind == NET_CTL) {
        buf_unref(e->frame.u.ctl.hold);
    }
}

static inline enum motet_err one_step(struct one *o, struct net_in in)
{
    in.now_ns = o->now;
    o->count = 0;
    enum motet_err err = netmgr_step(o->net, &in);
    const struct net_effect *e;
    while ((e = netmgr_effect(o->net)) != NULL) {
        one_keep(o, e);
        if (e->kind == NET_OFFER) {
            struct net_in verdict = {.kind = NET_IN_VERDICT,
                                     .now_ns = o->now,
                                     .flow = e->flow,
                                     .err = o->verdict,
                                     .room_msgs = o->room,
                                     .room_bytes = 1 << 20};
            buf_unref(e->msg.data);
            cr_assert_eq(netmgr_step(o->net, &verdict), MOTET_OK);
        }
    }
    return err;
}

static inline void one_free(struct one *o)
{
    netmgr_destroy(o->net);
    cr_assert_eq(o->mem.blocks, 0);
    free(o->got);
}

/* The n-th effect of that kind in the last step, or NULL. */
static inline const struct one_effect *
one_effect(const struct one *o, enum net_effect_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->got[i].e.kind == kind && nth-- == 0) {
            return &o->got[i];
        }
    }
    return NULL;
}

static inline const struct one_effect *
one_frame(const struct one *o, enum net_frame_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->got[i].e.kind == NET_FRAME && o->got[i].e.frame.kind == kind &&
            nth-- == 0) {
            return &o->got[i];
        }
    }
    return NULL;
}

static inline uint32_t one_frames(const struct one *o, enum net_frame_kind kind)
{
    uint32_t count = 0;
    while (one_frame(o, kind, count) != NULL) {
        count++;
    }
    return count;
}

/* Whatever TICK and FLUSH give after `ms`. */
static inline void one_wait(struct one *o, uint64_t ms)
{
    o->now += ms * ONE_MS;
    (void)!one_step(o, (struct net_in){.kind = NET_IN_TICK});
}

static inline void one_flush(struct one *o)
{
    (void)!one_step(o, (struct net_in){.kind = NET_IN_FLUSH});
}

static inline struct net_hello one_hello(void)
{
    return (struct net_hello){
        .version_min = NET_VERSION_MIN,
        .version_max = NET_VERSION_MAX,
        .site = ONE_PEER,
        .incarnation = 20,
        .to_site = ONE_SITE,
        .lane = NET_CONTROL,
        .insecure = true,
        .view_sites = 1,
        .view_lowest = ONE_PEER,
        .body_bytes_max = 16 << 20,
        .name = "there",
        .cluster = "test",
        .address = "there:1",
    };
}

static inline void one_accept(struct one *o, uint64_t conn)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_CONN_UP,
                                             .conn = conn,
                                             .addr = "there:999"}),
                 MOTET_OK);
}

static inline void one_give(struct one *o, uint64_t conn, struct net_frame f)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_FRAME,
                                             .conn = conn,
                                             .frame = &f}),
                 MOTET_OK);
}

static inline void one_give_hello(struct one *o, uint64_t conn,
                                  const struct net_hello *h)
{
    one_give(o, conn, (struct net_frame){.kind = NET_HELLO, .u = {.hello = h}});
}

/* Somebody dials, and says that. */
static inline void one_meet(struct one *o, uint64_t conn,
                            const struct net_hello *h)
{
    one_accept(o, conn);
    one_give_hello(o, conn, h);
}

/* What was dialed from here is answered. */
static inline void one_answered(struct one *o, uint64_t conn, uint64_t dial)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_CONN_UP,
                                             .conn = conn,
                                             .dial = dial}),
                 MOTET_OK);
}

static inline void one_down(struct one *o, uint64_t conn)
{
    cr_assert_eq(
        one_step(o, (struct net_in){.kind = NET_IN_CONN_DOWN, .conn = conn}),
        MOTET_OK);
}

/* A session with ONE_PEER on connection 1. */
static inline void one_session(struct one *o)
{
    struct net_hello h = one_hello();
    one_meet(o, 1, &h);
    const struct one_effect *up = one_effect(o, NET_SESSION, 0);
    cr_assert(up != NULL && up->e.up);
}

/* A port of the peer, and one of this site. */
static inline struct motet_ui one_there(void)
{
    return ui_make(ONE_PEER, 20, UI_PORT, 3);
}

static inline struct motet_ui one_here(void)
{
    return ui_make(ONE_SITE, ONE_INCARNATION, UI_PORT, 4);
}

static inline struct net_in one_send_in(struct one *o, uint64_t ticket,
                                        uint32_t size, uint64_t timeout_ms)
{
    return (struct net_in){
        .kind = NET_IN_SEND,
        .ticket = ticket,
        .src = one_here(),
        .dst = one_there(),
        .msg = {.kind = MSG_SEND,
                .data = size == 0 ? NULL : buf_new(&o->mem, size)},
        .deadline_ns =
            timeout_ms == 0 ? DEADLINE_NEVER : o->now + timeout_ms * ONE_MS,
    };
}

static inline enum motet_err one_send(struct one *o, uint64_t ticket,
                                      uint32_t size, uint64_t timeout_ms)
{
    struct net_in in = one_send_in(o, ticket, size, timeout_ms);
    enum motet_err err = one_step(o, in);
    if (err != MOTET_OK) {
        buf_unref(in.msg.data);
    }
    return err;
}

/* ONE_PEER is dead, up to that incarnation. */
static inline void one_dead(struct one *o, uint32_t incarnation)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_DEAD,
                                             .site = ONE_PEER,
                                             .incarnation = incarnation}),
                 MOTET_OK);
}

static inline void one_where(struct one *o, struct motet_ui port, uint64_t site,
                             uint32_t incarnation, uint64_t epoch)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_WHERE,
                                             .dst = port,
                                             .site = site,
                                             .incarnation = incarnation,
                                             .epoch = epoch}),
                 MOTET_OK);
}

/* A flow from there to here, to be changed. */
static inline struct net_bind one_flow(uint32_t handle, uint64_t base)
{
    return (struct net_bind){.handle = handle,
                             .src = one_there(),
                             .dst = one_here(),
                             .base = base,
                             .src_epoch = 1,
                             .origin_site = ONE_PEER,
                             .origin_epoch = 1};
}

static inline void one_give_bind(struct one *o, uint64_t conn,
                                 struct net_bind b)
{
    one_give(o, conn, (struct net_frame){.kind = NET_BIND, .u = {.bind = b}});
}

static inline void one_bind(struct one *o, uint32_t handle, uint64_t base,
                            bool resume)
{
    struct net_bind b = one_flow(handle, base);
    b.resume = resume;
    one_give_bind(o, 1, b);
}

static inline void one_data(struct one *o, struct net_data d)
{
    static const uint8_t zeroes[NET_FRAGMENT_BYTES + 1];
    d.bytes = zeroes;
    if (d.msg.kind == 0) {
        d.msg.kind = MSG_SEND;
    }
    one_give(o, 1, (struct net_frame){.kind = NET_DATA, .u = {.data = d}});
}

static inline void one_ack_on(struct one *o, uint64_t conn, struct net_ack a)
{
    one_give(o, conn, (struct net_frame){.kind = NET_ACK, .u = {.ack = a}});
}

static inline void one_ack(struct one *o, struct net_ack a)
{
    one_ack_on(o, 1, a);
}

/* The answer to a PING of that time. */
static inline void one_pong(struct one *o, uint64_t conn, uint64_t sent_ns)
{
    one_give(o, conn,
             (struct net_frame){.kind = NET_PONG, .u = {.ping = sent_ns}});
}

/* In steps of half a second, in which connection 1 stays alive. */
static inline void one_pass(struct one *o, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 500) {
        one_wait(o, 500);
        const struct one_effect *ping = one_frame(o, NET_PING, 0);
        if (ping != NULL) {
            one_pong(o, 1, ping->e.frame.u.ping);
        }
    }
}

/* What was sent in the last step: the n-th DATA, or NULL; its one BIND. */
static inline const struct net_data *one_sent(const struct one *o, uint32_t nth)
{
    const struct one_effect *e = one_frame(o, NET_DATA, nth);
    return e == NULL ? NULL : &e->e.frame.u.data;
}

static inline const struct net_bind *one_bound(const struct one *o)
{
    cr_assert_eq(one_frames(o, NET_BIND), 1);
    return &one_frame(o, NET_BIND, 0)->e.frame.u.bind;
}

/* The outcome of a ticket in the last step; MOTET_E_COUNT if there is none. */
static inline enum motet_err one_outcome(const struct one *o, uint64_t ticket)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->got[i].e.kind == NET_OUTCOME && o->got[i].e.ticket == ticket) {
            return o->got[i].e.err;
        }
    }
    return MOTET_E_COUNT;
}

#endif
