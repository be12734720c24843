#ifndef NETMGR_WORLD_STEP_H
#define NETMGR_WORLD_STEP_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "netmgr/core/netmgr.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/prng.h"
#include "nucleus/base/ui.h"

/* The world of netmgr_world.h: its sites and connections, what one step of one
 * site does to them, and the checks of what it does. */

#define W_MS 1000000ULL

enum {
    W_SITES = 4,
    W_PORTS = 4,
    W_CONNS = 4096,
    W_TICKETS = 1 << 17,
};

struct w_frame {
    struct w_frame *next;
    struct net_frame f;
    struct net_hello hello;
    struct net_refuse refuse;
    uint8_t *bytes;
    uint64_t at_ns;
    uint32_t drained;
};

struct w_end {
    int site;
    uint64_t id;  /* 0 = never told */
    bool open;    /* as that site's manager sees it */
    bool closing; /* the other side has closed after its last frame */
    struct w_frame *first, *last; /* towards this end */
};

struct w_conn {
    struct w_end end[2];
    bool datagram;
    bool cut; /* nothing comes through any more */
};

struct w_ticket {
    uint32_t flow; /* index of source and destination */
    uint32_t number;
    uint32_t accepted;
    uint32_t size;
    bool sent, done;
    enum motet_err err;
    struct motet_ui src, dst;
};

struct w_port {
    bool open;
    uint32_t queued, capacity;
    bool waiting;           /* told AGAIN */
    enum motet_err verdict; /* forced, MOTET_OK = none */
    uint32_t accepted;
    uint32_t last[W_SITES * W_PORTS * 2]; /* highest number of each flow */
};

struct w_site {
    struct netmgr *net;
    struct mem mem;
    struct trace trace;
    uint64_t id;
    uint32_t incarnation;
    char name[16], addr[16];
    bool alive, dialable;
    struct w_port ports[W_PORTS];
    /* What the effects said. */
    bool up[W_SITES];
    uint32_t ups, downs, byes, superseded, strangers, rooms, ctls, heard;
    uint32_t refused_us, refused_peer, dials, binds, datas, acks;
    enum motet_err refused_us_err, refused_peer_err;
    uint32_t refused_us_incarnation;
    char detail[128];
};

struct world {
    uint64_t now;
    struct prng prng;
    struct w_site site[W_SITES];
    struct w_conn conn[W_CONNS];
    uint32_t conns, first_conn;
    uint64_t next_conn;
    struct w_ticket ticket[W_TICKETS];
    uint32_t tickets;
    uint32_t numbers[W_SITES * W_PORTS * W_SITES * W_PORTS * 2];
    uint32_t outcomes[MOTET_E_COUNT];
    bool datagram;
    uint32_t loss, dup, reorder; /* per million */
    uint64_t delay_ns;
    bool partition;
    uint32_t frames;
    const char *broken; /* the first promise broken */
    uint32_t broken_ticket;
};

static inline void w_broken(struct world *w, const char *what, uint32_t ticket)
{
    if (w->broken == NULL) {
        w->broken = what;
        w->broken_ticket = ticket;
    }
}

static inline struct motet_ui w_ui(const struct world *w, int site, int port)
{
    return ui_make(w->site[site].id, w->site[site].incarnation, UI_PORT,
                   (uint32_t)port + 1);
}

static inline uint64_t w_site_id(int i)
{
    return 0x1000 + (uint64_t)i;
}

static inline int w_index(uint64_t id)
{
    return (int)(id - 0x1000);
}

static inline void w_boot(struct world *w, int i, uint32_t incarnation,
                          struct net_limits limits)
{
    struct w_site *s = &w->site[i];
    mem_init(&s->mem, 256 << 20);
    trace_init(&s->trace, NULL);
    s->id = w_site_id(i);
    s->incarnation = incarnation;
    s->alive = s->dialable = true;
    if (s->name[0] == 0) {
        snprintf(s->name, sizeof(s->name), "site%d", i);
        snprintf(s->addr, sizeof(s->addr), "addr:%d", i);
    }
    struct netmgr_config cfg = {
        .site = s->id,
        .incarnation = incarnation,
        .name = s->name,
        .cluster = "test",
        .address = s->addr,
        .insecure = true,
        .seed = prng_next(&w->prng),
        .limits = limits,
        .mem = &s->mem,
        .trace = &s->trace,
    };
    s->net = netmgr_create(&cfg);
    cr_assert(s->net != NULL);
    for (int p = 0; p < W_PORTS; p++) {
        s->ports[p] = (struct w_port){.open = true, .capacity = 1000000};
    }
}

static inline struct world *w_new(int sites, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    cr_assert(w != NULL);
    w->now = 1000 * W_MS;
    w->next_conn = 1;
    w->delay_ns = W_MS;
    prng_init(&w->prng, seed);
    for (int i = 0; i < sites; i++) {
        w_boot(w, i, 1, net_limits_default());
    }
    return w;
}

/* ---- Frames on the wire ----------------------------------------------------
 */

static inline void w_frame_free(struct w_frame *f)
{
    free(f->bytes);
    free(f);
}

static inline uint8_t *w_bytes(const uint8_t *from, uint32_t size)
{
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    if (size > 0) {
        memcpy(bytes, from, size);
    }
    return bytes;
}

static inline struct w_frame *w_frame_copy(const struct net_frame *f)
{
    struct w_frame *c = calloc(1, sizeof(*c));
    c->f = *f;
    if (f->kind == NET_HELLO) {
        c->hello = *f->u.hello;
        c->f.u.hello = &c->hello;
    } else if (f->kind == NET_REFUSE) {
        c->refuse = *f->u.refuse;
        c->f.u.refuse = &c->refuse;
    } else if (f->kind == NET_DATA) {
        c->bytes = w_bytes(f->u.data.bytes, f->u.data.size);
        c->f.u.data.bytes = c->bytes;
        c->f.u.data.hold = NULL;
        c->f.u.data.msg.pi = (struct motet_pi){0};
        c->drained = f->u.data.size + 40;
    } else if (f->kind == NET_CTL) {
        c->bytes = w_bytes(f->u.ctl.bytes, f->u.ctl.size);
        c->f.u.ctl.bytes = c->bytes;
        c->f.u.ctl.hold = NULL;
    }
    return c;
}

static inline void w_queue(struct w_end *to, struct w_frame *f)
{
    f->next = NULL;
    if (to->last == NULL) {
        to->first = f;
    } else {
        to->last->next = f;
    }
    to->last = f;
}

static inline struct w_frame *w_dequeue(struct w_end *e)
{
    struct w_frame *f = e->first;
    e->first = f->next;
    if (e->first == NULL) {
        e->last = NULL;
    }
    return f;
}

static inline struct w_conn *w_conn_of(struct world *w, int site, uint64_t id,
                                       int *end)
{
    for (uint32_t i = w->first_conn; i < w->conns; i++) {
        for (int e = 0; e < 2; e++) {
            struct w_end *at = &w->conn[i].end[e];
            if (at->site == site && at->id == id) {
                *end = e;
                return &w->conn[i];
            }
        }
    }
    return NULL;
}

/* ---- Steps and effects -----------------------------------------------------
 */

static inline enum motet_err w_step(struct world *w, int i, struct net_in in);

static inline int w_addr_site(const struct world *w, const char *addr)
{
    for (int i = 0; i < W_SITES; i++) {
        if (w->site[i].alive && strcmp(w->site[i].addr, addr) == 0) {
            return i;
        }
    }
    return -1;
}

static inline void w_dial(struct world *w, int i, const struct net_effect *e)
{
    int to = w_addr_site(w, e->addr);
    uint64_t dial = e->dial;
    w->site[i].dials++;
    if (to < 0 || w->partition || !w->site[to].dialable ||
        w->conns >= W_CONNS) {
        (void)!w_step(
            w, i, (struct net_in){.kind = NET_IN_DIAL_FAILED, .dial = dial});
        return;
    }
    while (w->first_conn < w->conns && !w->conn[w->first_conn].end[0].open &&
           !w->conn[w->first_conn].end[1].open) {
        w->first_conn++;
    }
    struct w_conn *c = &w->conn[w->conns++];
    *c = (struct w_conn){.datagram = w->datagram};
    c->end[0] = (struct w_end){.site = i, .id = w->next_conn++, .open = true};
    c->end[1] = (struct w_end){.site = to, .id = w->next_conn++, .open = true};
    (void)!w_step(w, to,
                  (struct net_in){.kind = NET_IN_CONN_UP,
                                  .conn = c->end[1].id,
                                  .addr = w->site[i].addr,
                                  .datagram = c->datagram});
    (void)!w_step(w, i,
                  (struct net_in){.kind = NET_IN_CONN_UP,
                                  .conn = c->end[0].id,
                                  .dial = dial,
                                  .addr = w->site[to].addr,
                                  .datagram = c->datagram});
}

static inline void w_send_frame(struct world *w, int i,
                                const struct net_effect *e)
{
    int end;
    struct w_conn *c = w_conn_of(w, i, e->conn, &end);
    w->frames++;
    w->site[i].binds += e->frame.kind == NET_BIND;
    w->site[i].datas += e->frame.kind == NET_DATA;
    w->site[i].acks += e->frame.kind == NET_ACK;
    if (c != NULL && c->end[end].open && !c->cut) {
        struct w_frame *f = w_frame_copy(&e->frame);
        f->at_ns = w->now + w->delay_ns;
        if (c->datagram && prng_chance(&w->prng, w->dup)) {
            struct w_frame *twice = w_frame_copy(&e->frame);
            twice->at_ns = w->now + w->delay_ns * 3;
            twice->drained = 0;
            w_queue(&c->end[1 - end], twice);
        }
        w_queue(&c->end[1 - end], f);
    }
    if (e->frame.kind == NET_DATA) {
        buf_unref(e->frame.u.data.hold);
    } else if (e->frame.kind == NET_CTL) {
        buf_unref(e->frame.u.ctl.hold);
    }
}

static inline uint8_t w_pattern(uint32_t ticket, uint32_t at)
{
    return (uint8_t)(ticket * 31 + at * 7);
}

/* A message came out: it must be one that was sent, whole, in order, once. */
static inline void w_take(struct world *w, struct w_port *p,
                          const struct msg *m)
{
    uint32_t id = (uint32_t)m->call;
    if (id == 0 || id > w->tickets) {
        w_broken(w, "a message nobody sent", id);
        return;
    }
    struct w_ticket *t = &w->ticket[id];
    t->accepted++;
    p->accepted++;
    if (t->accepted > 1) {
        w_broken(w, "P2: accepted twice", id);
    }
    if (t->done && t->err != MOTET_OK &&
        motet_err_ran(t->err) == MOTET_RAN_NO) {
        w_broken(w, "P1: accepted after it was refused", id);
    }
    uint32_t from = t->flow / (W_SITES * W_PORTS * 2);
    uint32_t at = from * 2 + t->flow % 2;
    if (t->number <= p->last[at]) {
        w_broken(w, "P3: out of order", id);
    }
    p->last[at] = t->number;
    if (msg_bytes(m) != t->size || m->pi.uid != from + 7) {
        w_broken(w, "a message of another size, or another sender", id);
        return;
    }
    for (uint32_t i = 0; i < t->size; i++) {
        if (m->data->data[i] != w_pattern(id, i)) {
            w_broken(w, "a message with other bytes", id);
            return;
        }
    }
}

static inline void w_offer(struct world *w, int i, const struct net_effect *e)
{
    struct net_in in = {.kind = NET_IN_VERDICT, .flow = e->flow};
    uint32_t serial = ui_serial(e->dst);
    struct w_port *p = NULL;
    if (ui_incarnation(e->dst) == w->site[i].incarnation && serial >= 1 &&
        serial <= W_PORTS) {
        p = &w->site[i].ports[serial - 1];
    }
    bool returning = msg_returns(e->msg.kind);
    if (p == NULL || !p->open) {
        in.err = returning ? MOTET_OK : MOTET_E_NO_PORT;
        if (returning && e->msg.call <= w->tickets) {
            w->ticket[e->msg.call].accepted++; /* taken, and of no use */
        }
    } else if (p->verdict != MOTET_OK) {
        in.err = p->verdict;
    } else if (p->queued >= p->capacity && !returning) {
        in.err = MOTET_E_AGAIN;
        p->waiting = true;
    } else {
        p->queued += returning ? 0 : 1;
        in.room_msgs = p->capacity - p->queued;
        in.room_bytes = 4 << 20;
        w_take(w, p, &e->msg);
    }
    buf_unref(e->msg.data);
    cr_assert_eq(w_step(w, i, in), MOTET_OK);
}

static inline void w_outcome(struct world *w, const struct net_effect *e)
{
    uint32_t id = (uint32_t)e->ticket;
    struct w_ticket *t = &w->ticket[id];
    if (t->done || !t->sent) {
        w_broken(w, "P1: two outcomes", id);
        return;
    }
    t->done = true;
    t->err = e->err;
    w->outcomes[e->err]++;
    if (e->err == MOTET_OK && t->accepted != 1) {
        w_broken(w, "P1: OK, but not accepted", id);
    }
    if (e->err != MOTET_OK && motet_err_ran(e->err) == MOTET_RAN_NO &&
        t->accepted != 0) {
        w_broken(w, "P1: refused, but accepted", id);
    }
}

static inline void w_close(struct world *w, int i, uint64_t id)
{
    int end;
    struct w_conn *c = w_conn_of(w, i, id, &end);
    if (c != NULL) {
        c->end[end].open = false;
        c->end[1 - end].closing = true;
    }
}

static inline void w_session(struct w_site *s, const struct net_effect *e)
{
    bool *up = &s->up[w_index(e->site)];
    s->ups += e->up && !*up;
    s->downs += !e->up && *up;
    *up = e->up;
}

/* Nothing moves in this world: whatever is over is over. */
static inline void w_dead_until(struct world *w, int i, uint64_t site,
                                uint32_t incarnation)
{
    cr_assert_eq(netmgr_step(w->site[i].net,
                             &(struct net_in){.kind = NET_IN_DEAD,
                                              .now_ns = w->now,
                                              .site = site,
                                              .incarnation = incarnation}),
                 MOTET_OK);
}

static inline void w_dead(struct world *w, int i, const struct net_effect *e)
{
    w_dead_until(w, i, e->site, e->incarnation);
}

static inline void w_effect(struct world *w, int i, const struct net_effect *e)
{
    struct w_site *s = &w->site[i];
    switch (e->kind) {
    case NET_DIAL:
        w_dial(w, i, e);
        break;
    case NET_CLOSE:
        w_close(w, i, e->conn);
        break;
    case NET_FRAME:
        w_send_frame(w, i, e);
        break;
    case NET_OFFER:
        w_offer(w, i, e);
        break;
    case NET_OUTCOME:
        w_outcome(w, e);
        break;
    case NET_ROOM_FOR:
        s->rooms++;
        break;
    case NET_GOT_CTL:
        s->ctls++;
        break;
    case NET_SESSION:
        w_session(s, e);
        if (e->up && e->incarnation > 1) {
            w_dead_until(w, i, e->site, e->incarnation - 1);
        }
        break;
    case NET_HEARD:
        s->heard++;
        break;
    case NET_PEER_BYE:
        s->byes++;
        w_dead(w, i, e);
        break;
    case NET_SUPERSEDED:
        s->superseded++;
        w_dead(w, i, e);
        break;
    case NET_WHERE:
        break;
    case NET_REFUSED_US:
        s->refused_us++;
        s->refused_us_err = e->err;
        s->refused_us_incarnation = e->incarnation;
        break;
    case NET_REFUSED_PEER:
        s->refused_peer++;
        s->refused_peer_err = e->err;
        snprintf(s->detail, sizeof(s->detail), "%s", e->detail);
        break;
    case NET_STRANGER:
        s->strangers++;
        break;
    case NET_PATH:
        break; /* none here: see deploy/sim */
    }
}

static inline enum motet_err w_step(struct world *w, int i, struct net_in in)
{
    struct w_site *s = &w->site[i];
    in.now_ns = w->now;
    enum motet_err err = netmgr_step(s->net, &in);
    const struct net_effect *e;
    while ((e = netmgr_effect(s->net)) != NULL) {
        w_effect(w, i, e);
    }
    return err;
}

static inline void w_know(struct world *w, int i, int other)
{
    cr_assert_eq(w_step(w, i,
                        (struct net_in){.kind = NET_IN_PEER,
                                        .site = w->site[other].id,
                                        .addr = w->site[other].addr}),
                 MOTET_OK);
}

#endif
