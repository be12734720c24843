#ifndef NUCLEUS_WORLD_H
#define NUCLEUS_WORLD_H

#include <criterion/criterion.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/trace.h"
#include "nucleus/base/ui.h"
#include "nucleus/core/nucleus.h"

/* One nucleus and a log of its effects. What it publishes is told back to it at
 * once, as the site does. */

enum {
    WORLD_LOG_MAX = 4096,
    WORLD_SITE = 7,
    WORLD_INCARNATION = 3,
    WORLD_PEER = 9, /* a site elsewhere */
    WORLD_MS = 1000000,
};

struct world {
    struct mem mem;
    struct trace trace;
    struct nucleus *n;
    uint64_t site;
    uint64_t now_ns;
    struct nuc_out out;
    struct nuc_effect log[WORLD_LOG_MAX];
    uint32_t count;
};

static inline struct nucleus_config
world_config(struct world *w, uint64_t site, uint32_t incarnation,
             const struct nucleus_limits *limits)
{
    return (struct nucleus_config){
        .site = site,
        .incarnation = incarnation,
        .secret = {11, site},
        .limits = limits != NULL ? *limits : nucleus_limits_default(),
        .mem = &w->mem,
        .trace = &w->trace,
    };
}

static inline void world_create(struct world *w,
                                const struct nucleus_config *cfg)
{
    w->n = nucleus_create(cfg);
    cr_assert_not_null(w->n);
    w->site = cfg->site;
    w->now_ns = 1000;
}

static inline void world_empty(struct world *w)
{
    memset(w, 0, sizeof *w);
    mem_init(&w->mem, 256 << 20);
    trace_init(&w->trace, NULL);
}

static inline void world_init_at(struct world *w, uint64_t site,
                                 uint32_t incarnation,
                                 const struct nucleus_limits *limits)
{
    world_empty(w);
    const struct nucleus_config cfg =
        world_config(w, site, incarnation, limits);
    world_create(w, &cfg);
}

static inline void world_init(struct world *w,
                              const struct nucleus_limits *limits)
{
    world_init_at(w, WORLD_SITE, WORLD_INCARNATION, limits);
}

/* Forgets the log. */
static inline void world_clear(struct world *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        buf_unref(w->log[i].msg.data);
    }
    w->count = 0;
}

static inline void world_fini(struct world *w)
{
    world_clear(w);
    nucleus_destroy(w->n);
    cr_expect_eq(w->mem.used_bytes, 0, "%zu bytes in %zu blocks lost",
                 w->mem.used_bytes, w->mem.blocks);
}

static inline struct nuc_in world_in(const struct world *w, enum nuc_kind kind)
{
    return (struct nuc_in){
        .kind = kind,
        .now_ns = w->now_ns,
        .deadline_ns = DEADLINE_NEVER,
        .notify = NUC_NOTIFY_ALWAYS,
    };
}

static inline void world_drain(struct world *w)
{
    const struct nuc_effect *e;
    while ((e = nucleus_effect(w->n)) != NULL) {
        cr_assert_lt(w->count, WORLD_LOG_MAX);
        w->log[w->count] = *e;
        w->count++;
        if (e->kind != NUC_PUBLISH) {
            continue;
        }
        struct nuc_in in = world_in(w, NUC_GROUP_MEMBER);
        struct nuc_out out;
        in.dest.target = e->target;
        in.name = e->name;
        in.src = e->port;
        in.site = w->site;
        in.in = e->in;
        cr_assert_eq(nucleus_step(w->n, &in, &out), MOTET_OK);
    }
}

/* One step; what it does not take is released. */
static inline enum motet_err world_step(struct world *w,
                                        const struct nuc_in *in)
{
    const enum motet_err err = nucleus_step(w->n, in, &w->out);
    if (err != MOTET_OK) {
        buf_unref(in->msg.data);
    }
    world_drain(w);
    return err;
}

static inline void world_pass(struct world *w, uint64_t ns)
{
    w->now_ns += ns;
    const struct nuc_in in = world_in(w, NUC_TICK);
    cr_assert_eq(world_step(w, &in), MOTET_OK);
}

/* ---- Looking at the log ----------------------------------------------------
 */

static inline uint32_t world_seen(const struct world *w,
                                  enum nuc_effect_kind kind)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        seen += w->log[i].kind == kind;
    }
    return seen;
}

/* The nth (from 0) effect of a kind; fails the test if there is none. */
static inline const struct nuc_effect *
world_nth(const struct world *w, enum nuc_effect_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->log[i].kind == kind && nth-- == 0) {
            return &w->log[i];
        }
    }
    cr_assert_fail("no effect of kind %d", (int)kind);
    return NULL;
}

static inline const struct nuc_effect *world_one(const struct world *w,
                                                 enum nuc_effect_kind kind)
{
    cr_assert_eq(world_seen(w, kind), 1, "%u effects of kind %d",
                 world_seen(w, kind), (int)kind);
    return world_nth(w, kind, 0);
}

/* ---- Operations ------------------------------------------------------------
 */

static inline struct msg world_msg(struct world *w, uint32_t size)
{
    struct msg m = {0};
    if (size > 0) {
        m.data = buf_new(&w->mem, size);
        cr_assert_not_null(m.data);
    }
    return m;
}

static inline struct motet_ui world_actor(struct world *w, bool push)
{
    struct nuc_in in = world_in(w, NUC_ACTOR_NEW);
    in.push = push;
    in.pi = (struct motet_pi){1, 2, 3};
    cr_assert_eq(world_step(w, &in), MOTET_OK);
    return w->out.ui;
}

static inline enum motet_err
world_actor_end(struct world *w, struct motet_ui actor, enum motet_news news)
{
    struct nuc_in in = world_in(w, NUC_ACTOR_END);
    in.actor = actor;
    in.news = news;
    return world_step(w, &in);
}

static inline struct motet_ui world_port_with(struct world *w,
                                              struct motet_ui actor,
                                              struct nuc_port_attr attr)
{
    struct nuc_in in = world_in(w, NUC_PORT_NEW);
    in.actor = actor;
    in.attr = attr;
    cr_assert_eq(world_step(w, &in), MOTET_OK);
    return w->out.cap.ui;
}

static inline struct motet_ui world_port(struct world *w, struct motet_ui actor)
{
    return world_port_with(w, actor, (struct nuc_port_attr){.enabled = true});
}

static inline enum motet_err world_port_set(struct world *w,
                                            struct motet_ui actor,
                                            struct motet_ui port,
                                            struct nuc_port_attr attr)
{
    struct nuc_in in = world_in(w, NUC_PORT_SET);
    in.actor = actor;
    in.port = port;
    in.attr = attr;
    return world_step(w, &in);
}

static inline enum motet_err
world_port_end(struct world *w, struct motet_ui actor, struct motet_ui port)
{
    struct nuc_in in = world_in(w, NUC_PORT_END);
    in.actor = actor;
    in.port = port;
    return world_step(w, &in);
}

static inline enum motet_err world_send(struct world *w, struct motet_ui actor,
                                        struct motet_ui src,
                                        struct motet_ui dst, uint64_t token)
{
    struct nuc_in in = world_in(w, NUC_SEND);
    in.actor = actor;
    in.port = src;
    in.dest.target = dst;
    in.msg = world_msg(w, 8);
    in.token = token;
    return world_step(w, &in);
}

/* As world_send(), waiting for room. */
static inline enum motet_err
world_send_wait(struct world *w, struct motet_ui actor, struct motet_ui src,
                struct motet_ui dst, uint64_t token, uint64_t deadline_ns)
{
    struct nuc_in in = world_in(w, NUC_SEND);
    in.actor = actor;
    in.port = src;
    in.dest.target = dst;
    in.msg = world_msg(w, 8);
    in.token = token;
    in.wait = true;
    in.deadline_ns = deadline_ns;
    return world_step(w, &in);
}

static inline enum motet_err world_receive(struct world *w,
                                           struct motet_ui actor,
                                           struct motet_ui port, uint64_t token,
                                           uint64_t deadline_ns)
{
    struct nuc_in in = world_in(w, NUC_RECEIVE);
    in.actor = actor;
    in.port = port;
    in.token = token;
    in.deadline_ns = deadline_ns;
    return world_step(w, &in);
}

static inline enum motet_err world_call(struct world *w, struct motet_ui actor,
                                        struct motet_ui src,
                                        struct motet_ui dst,
                                        uint64_t deadline_ns)
{
    struct nuc_in in = world_in(w, NUC_CALL);
    in.actor = actor;
    in.port = src;
    in.dest.target = dst;
    in.msg = world_msg(w, 8);
    in.deadline_ns = deadline_ns;
    return world_step(w, &in);
}

static inline enum motet_err world_reply(struct world *w, struct motet_ui actor,
                                         uint64_t held)
{
    struct nuc_in in = world_in(w, NUC_REPLY);
    in.actor = actor;
    in.held = held;
    in.msg = world_msg(w, 5);
    return world_step(w, &in);
}

static inline enum motet_err world_forward(struct world *w,
                                           struct motet_ui actor, uint64_t held,
                                           struct motet_ui dst)
{
    struct nuc_in in = world_in(w, NUC_FORWARD);
    in.actor = actor;
    in.held = held;
    in.dest.target = dst;
    return world_step(w, &in);
}

static inline enum motet_err world_watch(struct world *w, struct motet_ui actor,
                                         struct motet_ui port,
                                         struct motet_ui subject)
{
    struct nuc_in in = world_in(w, NUC_WATCH);
    in.actor = actor;
    in.port = port;
    in.subject = subject;
    return world_step(w, &in);
}

/* ---- The rest of the cluster -----------------------------------------------
 */

static inline struct motet_ui world_far(uint32_t serial)
{
    return ui_make(WORLD_PEER, 1, UI_PORT, serial);
}

static inline enum motet_err world_deliver(struct world *w, struct motet_ui src,
                                           struct motet_ui dst, struct msg msg)
{
    struct nuc_in in = world_in(w, NUC_NET_DELIVER);
    in.src = src;
    in.dst = dst;
    in.msg = msg;
    return world_step(w, &in);
}

static inline enum motet_err
world_deliver_send(struct world *w, struct motet_ui src, struct motet_ui dst)
{
    struct msg m = world_msg(w, 8);
    m.kind = MSG_SEND;
    return world_deliver(w, src, dst, m);
}

static inline enum motet_err world_outcome(struct world *w, uint64_t ticket,
                                           enum motet_err err)
{
    struct nuc_in in = world_in(w, NUC_NET_OUTCOME);
    in.ticket = ticket;
    in.err = err;
    return world_step(w, &in);
}

static inline enum motet_err world_site(struct world *w, uint64_t site,
                                        uint32_t incarnation,
                                        enum nuc_site_state state)
{
    struct nuc_in in = world_in(w, NUC_SITE);
    in.site = site;
    in.incarnation = incarnation;
    in.state = state;
    in.rtt_ns = 1000;
    return world_step(w, &in);
}

static inline enum motet_err world_member(struct world *w,
                                          struct motet_ui group,
                                          struct motet_ui port, uint64_t site,
                                          bool joined)
{
    struct nuc_in in = world_in(w, NUC_GROUP_MEMBER);
    in.dest.target = group;
    in.src = port;
    in.site = site;
    in.in = joined;
    return world_step(w, &in);
}

#endif
