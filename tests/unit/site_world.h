#ifndef SITE_WORLD_H
#define SITE_WORLD_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/ui.h"
#include "sites/site/moves.h"
#include "sites/site/site.h"

/* Some whole sites, with a network between them that is perfect until a test
 * says otherwise: what is sent over a link that is held arrives when it is let
 * go. Programs are attached actors; what they hear is kept. */

#define SW_MS UINT64_C(1000000)

enum { SW_SITES = 3, SW_WIRES = 64, SW_HEARD = 256, SW_TURNS = 400 };

struct sw_bytes {
    struct sw_bytes *next;
    size_t size;
    bool end; /* of the connection */
    uint8_t bytes[];
};

struct sw_wire {
    int at[2];                           /* dialed, accepted */
    bool open[2];                        /* as that site sees it */
    struct sw_bytes *first[2], *last[2]; /* towards it */
};

struct sw_heard {
    struct nuc_effect e; /* without its data */
    uint32_t bytes;
};

struct sw_site {
    struct site *site;
    uint32_t incarnation;
    struct sw_heard heard[SW_HEARD];
    uint32_t heards;
};

struct sw {
    uint64_t now_ns;
    uint32_t count;
    struct sw_site at[SW_SITES];
    struct sw_wire wire[SW_WIRES];
    uint32_t wires;
    bool held[SW_SITES][SW_SITES]; /* from, to */
    void (*tune)(struct site_config *cfg, int index);
};

static inline uint64_t sw_id(int index)
{
    return 100 + (uint64_t)index;
}

/* ---- The network -----------------------------------------------------------
 */

static inline void sw_feed(struct sw *w, int index, struct site_in in)
{
    in.now_ns = w->now_ns;
    if (w->at[index].site != NULL) {
        site_step(w->at[index].site, &in);
    }
}

static inline void sw_put(struct sw_wire *x, int side, const void *bytes,
                          size_t size, bool end)
{
    struct sw_bytes *b = malloc(sizeof *b + size);
    cr_assert_not_null(b);
    *b = (struct sw_bytes){.size = size, .end = end};
    if (size > 0) {
        memcpy(b->bytes, bytes, size);
    }
    if (x->last[side] != NULL) {
        x->last[side]->next = b;
    } else {
        x->first[side] = b;
    }
    x->last[side] = b;
}

static inline void sw_dial(struct sw *w, int from, const struct site_effect *e)
{
    int to = 0;
    char addr[32];
    for (; to < (int)w->count; to++) {
        (void)snprintf(addr, sizeof addr, "site%d:1", to);
        if (strcmp(addr, e->addr) == 0) {
            break;
        }
    }
    if (to == (int)w->count || w->at[to].site == NULL) {
        sw_feed(w, from,
                (struct site_in){.kind = SITE_IN_DIAL_FAILED, .dial = e->dial});
        return;
    }
    cr_assert_lt(w->wires, SW_WIRES);
    const uint32_t n = w->wires++;
    w->wire[n] = (struct sw_wire){.at = {from, to}, .open = {true, true}};
    const uint64_t dial = e->dial;
    sw_feed(w, to,
            (struct site_in){.kind = SITE_IN_CONN_UP,
                             .conn = n * 2 + 3,
                             .addr = "somewhere:9"});
    sw_feed(w, from,
            (struct site_in){.kind = SITE_IN_CONN_UP,
                             .conn = n * 2 + 2,
                             .dial = dial,
                             .addr = addr});
}

static inline void sw_hear(struct sw_site *s, const struct nuc_effect *e)
{
    cr_assert_lt(s->heards, SW_HEARD);
    s->heard[s->heards] =
        (struct sw_heard){.e = *e, .bytes = msg_bytes(&e->msg)};
    s->heard[s->heards++].e.msg.data = NULL;
}

/* @return whether there was anything */
static inline bool sw_effects(struct sw *w, int index)
{
    struct sw_site *s = &w->at[index];
    const struct site_effect *e;
    bool any = false;
    while (s->site != NULL && (e = site_effect(s->site)) != NULL) {
        any = true;
        const int side = (int)(e->conn & 1);
        struct sw_wire *x = e->conn >= 2 ? &w->wire[e->conn / 2 - 1] : NULL;
        if (e->kind == SITE_DIAL) {
            sw_dial(w, index, e);
        } else if (e->kind == SITE_WRITE) {
            const uint64_t conn = e->conn;
            const size_t size = e->size;
            sw_put(x, 1 - side, e->bytes, size, false);
            sw_feed(w, index,
                    (struct site_in){
                        .kind = SITE_IN_DRAINED, .conn = conn, .size = size});
        } else if (e->kind == SITE_CLOSE) {
            x->open[side] = false;
            sw_put(x, 1 - side, NULL, 0, true);
        } else if (e->kind == SITE_ACTOR) {
            sw_hear(s, e->actor);
        }
    }
    return any;
}

static inline bool sw_carry(struct sw *w, uint32_t n, int side)
{
    struct sw_wire *x = &w->wire[n];
    struct sw_bytes *b = x->first[side];
    if (b == NULL || w->held[x->at[1 - side]][x->at[side]]) {
        return false;
    }
    x->first[side] = b->next;
    x->last[side] = b->next == NULL ? NULL : x->last[side];
    if (x->open[side]) {
        x->open[side] = !b->end;
        sw_feed(
            w, x->at[side],
            (struct site_in){.kind = b->end ? SITE_IN_CONN_DOWN : SITE_IN_BYTES,
                             .conn = n * 2 + 2 + (uint32_t)side,
                             .bytes = b->bytes,
                             .size = b->size});
    }
    free(b);
    return true;
}

/* Until all is quiet at this moment. */
static inline void sw_turn(struct sw *w)
{
    bool any = true;
    for (int turns = 0; any; turns++) {
        cr_assert_lt(turns, SW_TURNS, "it never comes to rest");
        any = false;
        for (int i = 0; i < (int)w->count; i++) {
            struct site *s = w->at[i].site;
            if (s != NULL && (turns == 0 || site_deadline_ns(s) <= w->now_ns)) {
                sw_feed(w, i, (struct site_in){.kind = SITE_IN_TICK});
            }
            any |= sw_effects(w, i);
        }
        for (uint32_t n = 0; n < w->wires; n++) {
            any |= sw_carry(w, n, 0);
            any |= sw_carry(w, n, 1);
        }
    }
}

static inline void sw_run(struct sw *w, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        w->now_ns += SW_MS;
        sw_turn(w);
    }
}

/* ---- Sites -----------------------------------------------------------------
 */

static inline void sw_boot(struct sw *w, int index)
{
    char name[32], address[32];
    struct site_config cfg = site_config_default();
    (void)snprintf(name, sizeof name, "site%d", index);
    (void)snprintf(address, sizeof address, "site%d:1", index);
    cfg.site = sw_id(index);
    cfg.incarnation = ++w->at[index].incarnation;
    cfg.name = name;
    cfg.cluster = "test";
    cfg.address = address;
    cfg.version = "0";
    cfg.insecure = true;
    cfg.seed = sw_id(index) * 7 + cfg.incarnation;
    cfg.secret[0] = sw_id(index);
    cfg.seeds[0] = index == 0 ? "site1:1" : "site0:1";
    cfg.seed_count = 1;
    if (w->tune != NULL) {
        w->tune(&cfg, index);
    }
    w->at[index].heards = 0;
    w->at[index].site = site_create(&cfg, w->now_ns);
    cr_assert_not_null(w->at[index].site);
}

/* It is gone at once; its connections hear so. */
static inline void sw_kill(struct sw *w, int index)
{
    site_destroy(w->at[index].site);
    w->at[index].site = NULL;
    for (uint32_t n = 0; n < w->wires; n++) {
        for (int side = 0; side < 2; side++) {
            struct sw_wire *x = &w->wire[n];
            if (x->at[side] == index && x->open[side]) {
                x->open[side] = false;
                sw_put(x, 1 - side, NULL, 0, true);
            }
        }
    }
}

static inline bool sw_all_met(const struct sw *w)
{
    uint64_t lowest;
    for (uint32_t i = 0; i < w->count; i++) {
        struct member_info m;
        uint32_t sessions = 0;
        const struct members *all = site_members(w->at[i].site);
        for (uint64_t at = 0; members_next(all, at, &m); at = m.site) {
            sessions += m.session;
        }
        if (members_alive(all, &lowest) != w->count ||
            sessions + 1 < w->count) {
            return false;
        }
    }
    return true;
}

static inline void sw_init(struct sw *w, uint32_t count,
                           void (*tune)(struct site_config *cfg, int index))
{
    memset(w, 0, sizeof *w);
    w->now_ns = 1000 * SW_MS;
    w->count = count;
    w->tune = tune;
    for (uint32_t i = 0; i < count; i++) {
        sw_boot(w, (int)i);
    }
    for (int i = 0; i < 200 && !sw_all_met(w); i++) {
        sw_run(w, 10);
    }
    cr_assert(sw_all_met(w));
}

static inline void sw_fini(struct sw *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        site_destroy(w->at[i].site); /* CHECKs that all memory came back */
    }
    for (uint32_t n = 0; n < w->wires; n++) {
        for (int side = 0; side < 2; side++) {
            struct sw_bytes *b = w->wire[n].first[side];
            while (b != NULL) {
                struct sw_bytes *next = b->next;
                free(b);
                b = next;
            }
        }
    }
}

/* A link stands still, both ways. */
static inline void sw_hold(struct sw *w, int a, int b, bool held)
{
    w->held[a][b] = held;
    w->held[b][a] = held;
}

/* ---- Programs --------------------------------------------------------------
 */

static inline struct nuc_in sw_in(const struct sw *w, enum nuc_kind kind)
{
    return (struct nuc_in){.kind = kind,
                           .now_ns = w->now_ns,
                           .deadline_ns = DEADLINE_NEVER,
                           .notify = NUC_NOTIFY_ALWAYS};
}

static inline enum motet_err sw_op(struct sw *w, int at, struct nuc_in *in,
                                   struct nuc_out *out)
{
    const enum motet_err err = site_op(w->at[at].site, in, out);
    sw_turn(w);
    return err;
}

static inline struct motet_ui sw_actor(struct sw *w, int at, const char *name,
                                       bool adopts)
{
    struct nuc_out out, none;
    struct nuc_in in = sw_in(w, NUC_ACTOR_NEW);
    in.name = name;
    cr_assert_eq(sw_op(w, at, &in, &out), MOTET_OK);
    in = sw_in(w, NUC_ACTOR_ADOPTS);
    in.actor = out.ui;
    in.in = adopts;
    cr_assert_eq(sw_op(w, at, &in, &none), MOTET_OK);
    return out.ui;
}

static inline struct motet_ui sw_port(struct sw *w, int at,
                                      struct motet_ui actor)
{
    struct nuc_out out;
    struct nuc_in in = sw_in(w, NUC_PORT_NEW);
    in.actor = actor;
    in.attr.enabled = true;
    cr_assert_eq(sw_op(w, at, &in, &out), MOTET_OK);
    return out.cap.ui;
}

static inline enum motet_err sw_send(struct sw *w, int at,
                                     struct motet_ui actor,
                                     struct motet_ui from, struct motet_ui to,
                                     uint64_t token)
{
    struct nuc_out out;
    struct nuc_in in = sw_in(w, NUC_SEND);
    in.actor = actor;
    in.port = from;
    in.dest.target = to;
    in.token = token;
    in.wait = true;
    in.msg.data = site_buf(w->at[at].site, 10);
    const enum motet_err err = sw_op(w, at, &in, &out);
    if (err != MOTET_OK) {
        buf_unref(in.msg.data);
    }
    return err;
}

static inline uint64_t sw_call(struct sw *w, int at, struct motet_ui actor,
                               struct motet_ui from, struct motet_ui to)
{
    struct nuc_out out;
    struct nuc_in in = sw_in(w, NUC_CALL);
    in.actor = actor;
    in.port = from;
    in.dest.target = to;
    in.msg.data = site_buf(w->at[at].site, 10);
    in.msg.annex_bytes = 4;
    cr_assert_eq(sw_op(w, at, &in, &out), MOTET_OK);
    return out.call;
}

static inline void sw_watch(struct sw *w, int at, struct motet_ui actor,
                            struct motet_ui port, struct motet_ui subject)
{
    struct nuc_out out;
    struct nuc_in in = sw_in(w, NUC_WATCH);
    in.actor = actor;
    in.port = port;
    in.subject = subject;
    cr_assert_eq(sw_op(w, at, &in, &out), MOTET_OK);
}

/* Asks for all messages that are there. */
static inline void sw_receive(struct sw *w, int at, struct motet_ui actor,
                              struct motet_ui port)
{
    for (int i = 0; i < SW_HEARD; i++) {
        struct nuc_out out;
        struct nuc_in in = sw_in(w, NUC_RECEIVE);
        const uint32_t before = w->at[at].heards;
        in.actor = actor;
        in.port = port;
        in.deadline_ns = 0;
        if (sw_op(w, at, &in, &out) != MOTET_OK || w->at[at].heards == before ||
            w->at[at].heard[w->at[at].heards - 1].e.kind != NUC_DELIVER) {
            return;
        }
    }
}

static inline uint32_t sw_heard(const struct sw *w, int at,
                                enum nuc_effect_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->at[at].heards; i++) {
        count += w->at[at].heard[i].e.kind == kind;
    }
    return count;
}

static inline const struct nuc_effect *
sw_one(const struct sw *w, int at, enum nuc_effect_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < w->at[at].heards; i++) {
        if (w->at[at].heard[i].e.kind == kind && nth-- == 0) {
            return &w->at[at].heard[i].e;
        }
    }
    cr_assert_fail("no effect of kind %d at site%d", (int)kind, at);
    return NULL;
}

static inline bool sw_lives(struct sw *w, int at, struct motet_ui port)
{
    struct nuc_out out;
    struct nuc_in in = sw_in(w, NUC_PORT_INFO);
    in.port = port;
    return sw_op(w, at, &in, &out) == MOTET_OK && !out.port.frozen;
}

/* ---- Moves -----------------------------------------------------------------
 */

/* Asks for one; its number is in *id. */
static inline enum motet_err sw_ask(struct sw *w, int from, int to,
                                    struct motet_ui actor, struct motet_ui port,
                                    const char *receiver, bool drop,
                                    uint64_t *id)
{
    const struct move_request q = {
        .to = to < 0 ? 4711 : sw_id(to),
        .ports = &port,
        .count = 1,
        .actor = actor,
        .receiver = receiver,
        .drop = drop,
    };
    return moves_start(w->at[from].site, &q, id);
}

/* How it ended, within so many ms; MOTET_E_COUNT: it did not. */
static inline enum motet_err sw_end(struct sw *w, int from, uint64_t id,
                                    uint64_t ms)
{
    const struct move_note *n = moves_find(w->at[from].site, id);
    for (uint64_t i = 0; i < ms && !n->over; i++) {
        sw_run(w, 1);
        n = moves_find(w->at[from].site, id);
    }
    return n->over ? n->err : MOTET_E_COUNT;
}

static inline enum motet_err sw_move(struct sw *w, int from, int to,
                                     struct motet_ui actor,
                                     struct motet_ui port, const char *receiver)
{
    uint64_t id;
    const enum motet_err err =
        sw_ask(w, from, to, actor, port, receiver, false, &id);
    return err == MOTET_OK ? sw_end(w, from, id, 3000) : err;
}

#endif
