#ifndef NUCLEUS_MODEL_H
#define NUCLEUS_MODEL_H

#include "nucleus/base/prng.h"
#include "nucleus/core/objects.h"
#include "nucleus_world.h"

/* The simplest account of what the nucleus promised, and a network that loses,
 * refuses and dies. */

enum {
    ACTORS = 4,
    PORTS = 12,
    FAR_PORTS = 4,
    OPS = 20000,
    OPEN_MAX = 4096,
};

enum fate { FATE_NONE, FATE_OPEN, FATE_DONE, FATE_MOOT };

struct slot {
    struct motet_ui ui;
    uint32_t actor;
};

/* Something that must end exactly once. */
struct open {
    uint64_t id;
    struct motet_ui actor;
    struct motet_ui port;
    uint64_t deadline_ns;
    bool far; /* a watch of something at the other site */
};

struct opens {
    struct open all[OPEN_MAX];
    uint32_t count;
};

/* With the network: a message under a ticket. */
struct flight {
    uint64_t ticket;
    struct motet_ui src, dst;
    struct msg msg; /* without data */
    bool forwarded;
};

struct prop {
    struct world w;
    struct prng prng;
    struct motet_ui actors[ACTORS];
    bool push[ACTORS];
    struct slot ports[PORTS];
    struct opens sends;   /* by token */
    struct opens calls;   /* by call id */
    struct opens watches; /* by watch id */
    struct opens helds;   /* given out: by held id */
    struct flight flights[OPEN_MAX];
    uint32_t flight_count;
    struct flight remote[OPEN_MAX]; /* requests accepted elsewhere */
    uint32_t remote_count;
    uint64_t last[PORTS + FAR_PORTS][PORTS]; /* number last delivered */
    uint64_t number;
    uint64_t far_call;
    uint32_t incarnation;  /* of the other site */
    uint64_t accepted_in;  /* from the network */
    uint64_t accepted_out; /* by it, of what was sent here */
    uint64_t forwards;     /* to ports here: delivered once more */
    bool forwarding;
};

static uint64_t below(struct prop *p, uint64_t bound)
{
    return prng_below(&p->prng, bound);
}

/* ---- Accounts --------------------------------------------------------------
 */

static struct open *find(struct opens *o, uint64_t id)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->all[i].id == id) {
            return &o->all[i];
        }
    }
    return NULL;
}

static void add(struct opens *o, struct open item)
{
    cr_assert_lt(o->count, OPEN_MAX);
    cr_assert_null(find(o, item.id));
    o->all[o->count++] = item;
}

static void end(struct opens *o, uint64_t id, const char *what)
{
    struct open *item = find(o, id);
    cr_assert_not_null(item, "%s %lu ended twice, or never began", what,
                       (unsigned long)id);
    *item = o->all[--o->count];
}

static void forget_actor(struct opens *o, struct motet_ui actor)
{
    for (uint32_t i = o->count; i-- > 0;) {
        if (ui_equal(o->all[i].actor, actor)) {
            o->all[i] = o->all[--o->count];
        }
    }
}

static void forget_port(struct opens *o, struct motet_ui port)
{
    for (uint32_t i = o->count; i-- > 0;) {
        if (ui_equal(o->all[i].port, port)) {
            o->all[i] = o->all[--o->count];
        }
    }
}

/* ---- The network -----------------------------------------------------------
 */

static struct motet_ui far_port(const struct prop *p, uint64_t i)
{
    return ui_make(WORLD_PEER, p->incarnation, UI_PORT, (uint32_t)i + 1);
}

static void settle(struct prop *p, uint32_t at, enum motet_err err)
{
    const struct flight f = p->flights[at];
    p->flights[at] = p->flights[--p->flight_count];
    struct nuc_in in = world_in(&p->w, NUC_NET_OUTCOME);
    struct nuc_out out;
    in.ticket = f.ticket;
    in.err = err;
    cr_assert_eq(nucleus_step(p->w.n, &in, &out), MOTET_OK);
    if (err == MOTET_OK) {
        p->accepted_out += !f.forwarded && f.msg.kind <= MSG_REQUEST;
        if (f.msg.kind == MSG_REQUEST) {
            p->remote[p->remote_count++] = f;
        }
    }
}

static void net_cancel(struct prop *p, uint64_t ticket)
{
    for (uint32_t i = 0; i < p->flight_count; i++) {
        if (p->flights[i].ticket == ticket) {
            settle(p, i,
                   below(p, 2) == 0 ? MOTET_E_CANCELLED
                                    : MOTET_E_MAYBE_CANCELLED);
            return;
        }
    }
}

static void to_net(struct prop *p, const struct nuc_effect *e)
{
    cr_assert_eq(ui_site(e->dst), WORLD_PEER);
    if (e->ticket == 0) { /* at the memory cap only */
        buf_unref(e->msg.data);
        return;
    }
    cr_assert_lt(p->flight_count, OPEN_MAX);
    struct flight *f = &p->flights[p->flight_count++];
    *f = (struct flight){e->ticket, e->src, e->dst, e->msg, false};
    f->msg.data = NULL;
    buf_unref(e->msg.data);
    f->forwarded = p->forwarding && f->msg.kind == MSG_REQUEST;
    p->forwards -= f->forwarded;
}

/* ---- Effects ---------------------------------------------------------------
 */

static int port_at(const struct prop *p, struct motet_ui ui)
{
    for (int i = 0; i < PORTS; i++) {
        if (ui_equal(p->ports[i].ui, ui)) {
            return i;
        }
    }
    return -1;
}

static uint64_t number_of(const struct msg *m)
{
    uint64_t number = 0;
    if (m->data != NULL) {
        memcpy(&number, m->data->data, sizeof number);
    }
    return number;
}

static void check_order(struct prop *p, const struct nuc_effect *e)
{
    const int dst = port_at(p, e->port);
    int src = port_at(p, e->src);
    const uint64_t number = number_of(&e->msg);
    if (ui_site(e->src) == WORLD_PEER) {
        src = PORTS + (int)ui_serial(e->src) - 1;
    }
    if (src < 0 || number == 0 || e->msg.kind != MSG_SEND) {
        return;
    }
    cr_assert_geq(dst, 0);
    cr_assert_gt(number, p->last[src][dst], "flow %d to %d", src, dst);
    p->last[src][dst] = number;
}

static void delivered(struct prop *p, const struct nuc_effect *e)
{
    if (e->msg.kind == MSG_NEWS) {
        if (e->news <= MOTET_NEWS_LEFT) {
            end(&p->watches, e->watch, "watch");
        } else {
            cr_assert_not_null(find(&p->watches, e->watch),
                               "news after the terminal one");
        }
        return;
    }
    check_order(p, e);
    if (e->held != 0) {
        add(&p->helds,
            (struct open){.id = e->held, .actor = e->actor, .port = e->port});
    }
    buf_unref(e->msg.data);
}

static void called(struct prop *p, const struct nuc_effect *e)
{
    const struct open *c = find(&p->calls, e->call);
    cr_assert_not_null(c, "call %lu", (unsigned long)e->call);
    cr_assert_leq(p->w.now_ns, c->deadline_ns, "in time");
    end(&p->calls, e->call, "call");
    buf_unref(e->msg.data);
}

static void publish(struct prop *p, const struct nuc_effect *e)
{
    struct nuc_in in = world_in(&p->w, NUC_GROUP_MEMBER);
    struct nuc_out out;
    in.dest.target = e->target;
    in.name = e->name;
    in.src = e->port;
    in.site = WORLD_SITE;
    in.in = e->in;
    const enum motet_err err = nucleus_step(p->w.n, &in, &out);
    cr_assert(err == MOTET_OK || e->in);
}

static void drain(struct prop *p)
{
    const struct nuc_effect *e;
    while ((e = nucleus_effect(p->w.n)) != NULL) {
        switch (e->kind) {
        case NUC_DELIVER:
            delivered(p, e);
            break;
        case NUC_SENT:
            end(&p->sends, e->token, "send");
            break;
        case NUC_CALL_DONE:
            called(p, e);
            break;
        case NUC_CANCELLED:
            end(&p->helds, e->held, "held");
            break;
        case NUC_TO_NET:
            to_net(p, e);
            break;
        case NUC_NET_CANCEL:
            net_cancel(p, e->ticket);
            break;
        case NUC_PUBLISH:
            publish(p, e);
            break;
        case NUC_RECEIVE_END:
        case NUC_ROOM:
        case NUC_PORT_GONE:
        case NUC_PORT_MOVED:
        case NUC_PORT_ADOPTED:
        case NUC_NET_ROOM:
        case NUC_NET_PORT_END:
            break;
        }
    }
}

static enum motet_err step(struct prop *p, const struct nuc_in *in)
{
    const enum motet_err err = nucleus_step(p->w.n, in, &p->w.out);
    if (err != MOTET_OK) {
        buf_unref(in->msg.data);
    }
    return err;
}

#endif
