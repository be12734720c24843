#ifndef NETMGR_WORLD_H
#define NETMGR_WORLD_H

#include "netmgr_world_step.h"

/* Network managers wired back to back: frames are deep-copied structs on
 * connections that break, lose, repeat and reorder as told; behind each manager
 * stands a nucleus of small queues. Whatever is promised of an outcome is
 * checked at every step. Memory of the world is plain malloc(). */

/* ---- Sending ---------------------------------------------------------------
 */

struct w_send {
    int from, from_port, to, to_port;
    enum msg_kind kind;
    uint32_t size;
    uint64_t timeout_ns; /* 0 = for ever */
    bool wait;
};

/* Returns what the step said; the ticket is w->tickets when it was OK. */
static inline enum motet_err w_send(struct world *w, struct w_send a)
{
    cr_assert(w->tickets + 1 < W_TICKETS);
    uint32_t id = w->tickets + 1;
    struct w_site *s = &w->site[a.from];
    struct buf *data = a.size == 0 ? NULL : buf_new(&s->mem, a.size);
    if (a.size > 0 && data == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < a.size; i++) {
        data->data[i] = w_pattern(id, i);
    }
    uint32_t from = (uint32_t)(a.from * W_PORTS + a.from_port);
    uint32_t to = (uint32_t)(a.to * W_PORTS + a.to_port);
    uint32_t flow =
        (from * W_SITES * W_PORTS + to) * 2 + (msg_returns(a.kind) ? 1 : 0);
    struct net_in in = {
        .kind = NET_IN_SEND,
        .ticket = id,
        .src = w_ui(w, a.from, a.from_port),
        .dst = w_ui(w, a.to, a.to_port),
        .msg = {.kind = a.kind,
                .annex_bytes = a.size >= 8 ? 8 : 0,
                .call = id,
                .pi = {.uid = from + 7},
                .data = data},
        .deadline_ns =
            a.timeout_ns == 0 ? DEADLINE_NEVER : w->now + a.timeout_ns,
        .wait = a.wait,
    };
    w->tickets++;
    w->ticket[id] = (struct w_ticket){.flow = flow,
                                      .src = in.src,
                                      .dst = in.dst,
                                      .number = ++w->numbers[flow],
                                      .size = a.size,
                                      .sent = true};
    enum motet_err err = w_step(w, a.from, in);
    if (err != MOTET_OK) {
        buf_unref(data);
        w->numbers[flow]--;
        w->tickets--;
        w->ticket[id].sent = false;
    }
    return err;
}

/* ---- Time ------------------------------------------------------------------
 */

static inline void w_conn_down(struct world *w, struct w_end *e)
{
    while (e->first != NULL) {
        w_frame_free(w_dequeue(e));
    }
    if (e->open) {
        e->open = false;
        (void)!w_step(w, e->site,
                      (struct net_in){.kind = NET_IN_CONN_DOWN, .conn = e->id});
    }
}

/* Breaks a connection: both ends hear of it, frames under way are lost. */
static inline void w_break(struct world *w, struct w_conn *c)
{
    w_conn_down(w, &c->end[0]);
    w_conn_down(w, &c->end[1]);
}

static inline void w_break_all(struct world *w)
{
    for (uint32_t i = w->first_conn; i < w->conns; i++) {
        w_break(w, &w->conn[i]);
    }
}

static inline void w_deliver_one(struct world *w, struct w_conn *c, int end)
{
    struct w_end *e = &c->end[end];
    struct w_frame *f = w_dequeue(e);
    struct w_end *from = &c->end[1 - end];
    if (f->drained > 0 && from->open) {
        (void)!w_step(w, from->site,
                      (struct net_in){.kind = NET_IN_DRAINED,
                                      .conn = from->id,
                                      .size = f->drained});
    }
    bool lost = c->datagram && prng_chance(&w->prng, w->loss);
    if (c->datagram && !lost && e->first != NULL &&
        prng_chance(&w->prng, w->reorder)) {
        f->drained = 0;
        w_queue(e, f); /* later */
        return;
    }
    if (e->open && !lost && !c->cut) {
        (void)!w_step(w, e->site,
                      (struct net_in){
                          .kind = NET_IN_FRAME, .conn = e->id, .frame = &f->f});
    }
    w_frame_free(f);
}

static inline void w_deliver(struct world *w)
{
    for (uint32_t i = w->first_conn; i < w->conns; i++) {
        struct w_conn *c = &w->conn[i];
        for (int end = 0; end < 2; end++) {
            struct w_end *e = &c->end[end];
            int most = 2000;
            while (e->first != NULL && e->first->at_ns <= w->now &&
                   most-- > 0) {
                w_deliver_one(w, c, end);
            }
            if (e->closing && e->first == NULL && e->open) {
                w_conn_down(w, e);
            }
        }
    }
}

/* One turn of every site. */
static inline void w_turn(struct world *w, uint64_t ns)
{
    w->now += ns;
    w_deliver(w);
    for (int i = 0; i < W_SITES; i++) {
        struct w_site *s = &w->site[i];
        if (s->net == NULL || !s->alive) {
            continue;
        }
        for (int spin = 0; netmgr_deadline_ns(s->net) <= w->now; spin++) {
            cr_assert(spin < 10000, "a deadline that does not pass");
            (void)!w_step(w, i, (struct net_in){.kind = NET_IN_TICK});
        }
        (void)!w_step(w, i, (struct net_in){.kind = NET_IN_FLUSH});
    }
}

static inline void w_run(struct world *w, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        w_turn(w, W_MS);
    }
}

/* Takes up to `count` messages out of a queue. */
static inline void w_pop(struct world *w, int site, int port, uint32_t count)
{
    struct w_port *p = &w->site[site].ports[port];
    p->queued -= count < p->queued ? count : p->queued;
    if (p->waiting && p->queued < p->capacity) {
        p->waiting = false;
        (void)!w_step(
            w, site,
            (struct net_in){.kind = NET_IN_ROOM, .dst = w_ui(w, site, port)});
    }
}

static inline uint32_t w_open_tickets(const struct world *w)
{
    uint32_t open = 0;
    for (uint32_t i = 1; i <= w->tickets; i++) {
        open += !w->ticket[i].done;
    }
    return open;
}

static inline void w_stop(struct world *w, int i)
{
    netmgr_destroy(w->site[i].net);
    w->site[i].net = NULL;
    w->site[i].alive = false;
    cr_assert_eq(w->site[i].mem.blocks, 0, "blocks left: %zu",
                 w->site[i].mem.blocks);
}

/* A crash: nobody is told, and what it wanted to know is forgotten. */
static inline void w_kill(struct world *w, int i)
{
    for (uint32_t c = w->first_conn; c < w->conns; c++) {
        for (int e = 0; e < 2; e++) {
            if (w->conn[c].end[e].site == i) {
                w->conn[c].end[e].open = false; /* it hears of nothing */
                w_break(w, &w->conn[c]);
            }
        }
    }
    w_stop(w, i);
    memset(w->site[i].up, 0, sizeof(w->site[i].up));
    for (uint32_t t = 1; t <= w->tickets; t++) {
        uint32_t from = w->ticket[t].flow / (W_SITES * W_PORTS * 2) / W_PORTS;
        w->ticket[t].done = w->ticket[t].done || (int)from == i;
    }
}

static inline void w_end_port(struct world *w, int site, int port)
{
    w->site[site].ports[port].open = false;
    (void)!w_step(
        w, site,
        (struct net_in){.kind = NET_IN_PORT_END, .dst = w_ui(w, site, port)});
}

static inline void w_free(struct world *w)
{
    cr_assert(w->broken == NULL, "%s (ticket %u)", w->broken, w->broken_ticket);
    for (uint32_t i = 0; i < w->conns; i++) {
        for (int e = 0; e < 2; e++) {
            while (w->conn[i].end[e].first != NULL) {
                w_frame_free(w_dequeue(&w->conn[i].end[e]));
            }
        }
    }
    for (int i = 0; i < W_SITES; i++) {
        if (w->site[i].net != NULL) {
            w_stop(w, i);
        }
    }
    free(w);
}

#endif
