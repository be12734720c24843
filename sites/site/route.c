#include "route.h"

#include <string.h>

#include "moves.h"

static void copy_text(char *to, size_t size, const char *from)
{
    size_t length = from == NULL ? 0 : strnlen(from, size - 1);

    if (length > 0) {
        memcpy(to, from, length);
    }
    to[length] = '\0';
}

struct site_note *site_note(struct site *s, enum site_effect_kind kind,
                            const char *name, const char *addr,
                            const char *detail)
{
    struct site_note *n = ring_push(&s->notes);

    n->e = (struct site_effect){.kind = kind};
    copy_text(n->name, sizeof n->name, name);
    copy_text(n->addr, sizeof n->addr, addr);
    copy_text(n->detail, sizeof n->detail, detail);
    return n;
}

struct site_log *route_log(struct site *s, enum site_log_kind kind,
                           const char *name, const char *addr,
                           const char *detail)
{
    struct site_log *l = &site_note(s, SITE_LOG, name, addr, detail)->e.log;

    l->kind = kind;
    return l;
}

void site_net(struct site *s, struct net_in *in)
{
    in->now_ns = s->now_ns;
    enum motet_err err = netmgr_step(s->netmgr, in);
    (void)err; /* what cannot be done is nothing to undo: see the callers */
    s->flush = true;
}

void route_members(struct site *s, struct member_in *in)
{
    in->now_ns = s->now_ns;
    members_step(s->members, in);
}

enum motet_err route_directory(struct site *s, struct dir_in *in)
{
    in->now_ns = s->now_ns;
    return directory_step(s->directory, in);
}

/* Facts from other sites and outcomes: the nucleus takes them as they are. */
void route_nucleus(struct site *s, struct nuc_in *in)
{
    in->now_ns = s->now_ns;
    enum motet_err err = nucleus_step(s->nucleus, in, &s->in.out);
    (void)err; /* a fact about something that is gone by now */
}

void route_rebirth(struct site *s, uint32_t incarnation, const char *why)
{
    if (s->reborn) {
        return;
    }
    s->reborn = true;
    trace_add(&s->trace, s->now_ns, TRACE_REBIRTH, 0, incarnation, 0);
    route_log(s, SITE_LOG_REBIRTH, NULL, NULL, why)->incarnation = incarnation;
    site_note(s, SITE_REBIRTH, NULL, NULL, NULL)->e.incarnation = incarnation;
}

/* ---- from the nucleus ------------------------------------------------------
 */

static void on_to_net(struct site *s, const struct nuc_effect *e)
{
    struct net_in *in = &s->in.send;

    in->kind = NET_IN_SEND;
    in->now_ns = s->now_ns;
    in->ticket = e->ticket;
    in->src = e->src;
    in->dst = e->dst;
    in->msg = e->msg;
    in->deadline_ns = e->deadline_ns;
    in->wait = e->wait;
    in->here = e->here;
    enum motet_err err = netmgr_step(s->netmgr, in);
    s->flush = true;
    if (err == MOTET_OK) {
        return;
    }
    buf_unref(e->msg.data);
    if (e->ticket != 0) {
        route_nucleus(s, &(struct nuc_in){.kind = NUC_NET_OUTCOME,
                                          .ticket = e->ticket,
                                          .err = err});
    }
}

static void on_publish(struct site *s, const struct nuc_effect *e)
{
    struct record r = {.kind = RECORD_MEMBER,
                       .present = e->in,
                       .subject = e->port,
                       .group = e->target};

    copy_text(r.name, sizeof r.name, e->name);
    (void)netmgr_where(s->netmgr, e->port, &r.epoch);
    enum motet_err err = route_directory(
        s, &(struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
    if (err != MOTET_OK) {
        s->publish_err = err;
    }
}

static bool is_answer_to_send(const struct site *s, const struct nuc_effect *e)
{
    return s->sending.active && e->kind == NUC_SENT && e->err != MOTET_OK &&
           motet_err_ran(e->err) == MOTET_RAN_NO &&
           e->token == s->sending.token && e->actor.hi == s->sending.actor.hi &&
           e->actor.lo == s->sending.actor.lo;
}

static void to_actor(struct site *s, const struct nuc_effect *e)
{
    if (is_answer_to_send(s, e)) {
        s->sending.active = false;
        s->sending.err = e->err;
        return;
    }
    if (!actors_take(s, e)) {
        s->attached_moved += e->kind == NUC_PORT_MOVED;
        memcpy(ring_push(&s->attached), e, sizeof *e);
    }
}

static void on_nuc(struct site *s, const struct nuc_effect *e)
{
    switch (e->kind) {
    case NUC_TO_NET:
        on_to_net(s, e);
        break;
    case NUC_NET_CANCEL:
        site_net(s, &(struct net_in){.kind = NET_IN_CANCEL,
                                     .ticket = e->ticket,
                                     .src = e->src,
                                     .dst = e->dst});
        break;
    case NUC_NET_ROOM:
        site_net(s, &(struct net_in){.kind = NET_IN_ROOM, .dst = e->port});
        break;
    case NUC_NET_PORT_END:
        records_ended(s, e->port);
        site_net(s, &(struct net_in){.kind = NET_IN_PORT_END, .dst = e->port});
        break;
    case NUC_PUBLISH:
        on_publish(s, e);
        break;
    case NUC_DELIVER:
    case NUC_RECEIVE_END:
    case NUC_SENT:
    case NUC_CALL_DONE:
    case NUC_ROOM:
    case NUC_CANCELLED:
    case NUC_PORT_GONE:
    case NUC_PORT_MOVED:
    case NUC_PORT_ADOPTED:
        to_actor(s, e);
        break;
    }
}

bool route_drain_nucleus(struct site *s)
{
    const struct nuc_effect *e;
    bool any = false;

    while ((e = nucleus_effect(s->nucleus)) != NULL) {
        on_nuc(s, e);
        any = true;
    }
    return any;
}

/* ---- all together ----------------------------------------------------------
 */

void site_frame(struct site *s, uint64_t conn, const struct net_frame *f)
{
    struct net_in *in = &s->in.frame;

    in->kind = NET_IN_FRAME;
    in->conn = conn;
    in->frame = f;
    site_net(s, in);
    if (route_drain_net(s)) { /* else nothing came of it */
        site_settle(s);
    }
}

void site_settle(struct site *s)
{
    bool again;

    do {
        again = route_drain_net(s);
        again = route_drain_nucleus(s) || again;
        again = route_drain_members(s) || again;
        again = route_drain_directory(s) || again;
        again = moves_drain(s) || again;
    } while (again);
}

enum motet_err site_nuc(struct site *s, struct nuc_in *in, struct nuc_out *out)
{
    bool send = in->kind == NUC_SEND;
    struct buf *data = in->msg.data;

    in->now_ns = s->now_ns;
    s->publish_err = MOTET_OK;
    if (send) {
        buf_ref(data); /* so that it is the caller's again if it is refused */
        s->sending.active = true;
        s->sending.actor = in->actor;
        s->sending.token = in->token;
        s->sending.err = MOTET_OK;
    }
    enum motet_err err = nucleus_step(s->nucleus, in, out);
    site_settle(s);
    if (!send) {
        return err != MOTET_OK ? err : s->publish_err;
    }
    s->sending.active = false;
    if (err != MOTET_OK) {
        buf_unref(data); /* the one just taken; the caller keeps its own */
        return err;
    }
    if (s->sending.err == MOTET_OK) {
        buf_unref(data);
    }
    return s->sending.err;
}
