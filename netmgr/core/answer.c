#include "parts.h"

/* What the receiving side says of the messages kept here. */

static struct sflow *find(const struct netmgr *n, const struct peer *p,
                          uint32_t handle)
{
    struct sflow *f = map_get(&n->sflow_by_handle, 0, handle);
    return f != NULL && f->peer == p ? f : NULL;
}

static bool newer(uint16_t a, uint16_t b)
{
    uint16_t ahead = (uint16_t)(a - b);
    return ahead != 0 && ahead < 0x8000;
}

/* A reason that says "certainly not"; whatever else a peer says is none. */
static enum motet_err reason(uint16_t status)
{
    enum motet_err err = (enum motet_err)status;
    bool known = status > MOTET_OK && status < MOTET_E_COUNT;
    return known && motet_err_ran(err) == MOTET_RAN_NO ? err : MOTET_E_NO_PORT;
}

/* From here on the receiver has taken nothing: what was in flight is not. */
static void certain(struct sflow *f)
{
    f->nxt = f->una;
    f->hi = f->una;
    f->fragment = 0;
    f->flight_bytes = 0;
    f->await = false;
}

/* Whether GONE says that nothing in flight was taken. It does not where a
 * record was lost; nor where one found no room, if the BIND may have come
 * twice: the other time there may have been room. */
static bool is_certain(const struct sflow *f, const struct net_ack *a)
{
    const struct conn *c = f->peer->conns[f->lane];
    if (a->status == MOTET_E_LIMIT &&
        (f->strayed || (c != NULL && c->datagram))) {
        return false;
    }
    return a->status != MOTET_E_MAYBE_LOST;
}

/* No such port there, or no record of the flow. */
static void gone(struct netmgr *n, struct sflow *f, const struct net_ack *a)
{
    trace_add(n->trace, n->now, TRACE_FLOW_GONE, a->status, f->src.lo,
              f->dst.lo);
    if (a->status == MOTET_E_MAYBE_LOST) {
        for (uint64_t seq = f->una; seq < f->hi; seq++) {
            sflow_settle(n, f, seq, MOTET_E_MAYBE_LOST);
        }
        f->una = f->hi;
        sflow_unbind(n, f);
        sflow_tidy(n, f);
        return;
    }
    enum motet_err err = reason(a->status);
    sflow_settle_all(n, f, is_certain(f, a) ? err : MOTET_E_MAYBE_LOST, err);
    sflow_drop_voids(n, f); /* nobody there waits for them */
    if (f->una == f->end) {
        sflow_unbind(n, f); /* what was granted, or was not, is of the past */
    }
    sflow_tidy(n, f);
}

static void rewind_to(struct netmgr *n, struct sflow *f,
                      const struct net_ack *a)
{
    f->round = a->round;
    certain(f);
    f->peer->stats.naks++;
    trace_add(n->trace, n->now, TRACE_FLOW_REWIND, a->flags, f->src.lo,
              f->dst.lo);
    if ((a->flags & NET_ACK_REFUSED) != 0 && f->una < f->end) {
        sflow_settle(n, f, f->una, reason(a->status));
    } else if ((a->flags & NET_ACK_REWIND) != 0) {
        f->starved = true;
    }
}

static void go_back(struct netmgr *n, struct sflow *f)
{
    f->peer->stats.retrans += f->nxt - f->una;
    f->nxt = f->una;
    f->fragment = 0;
    f->flight_bytes = 0;
    f->dup_acks = 0;
    f->back_ns = n->now;
}

/* The same number again while something is in flight: a packet was lost. */
static void repeated(struct netmgr *n, struct sflow *f)
{
    const struct conn *c = f->peer->conns[f->lane];
    if (c == NULL || !c->datagram || f->nxt == f->una) {
        return;
    }
    f->dup_acks++;
    if (f->dup_acks >= 2 && n->now - f->back_ns >= peer_rto(f->peer)) {
        go_back(n, f);
    }
}

static void rto_restart(struct netmgr *n, struct sflow *f)
{
    f->rto_ns = peer_rto(f->peer);
    f->dup_acks = 0;
    if (f->rto_at_ns != DEADLINE_NEVER) {
        f->rto_at_ns = n->now + f->rto_ns;
    }
}

bool answer_ack(struct netmgr *n, struct peer *p, const struct net_ack *a)
{
    struct sflow *f = find(n, p, a->handle);
    if (f == NULL || a->next < f->una || f->frozen) {
        return true; /* old; or it is asked again when it has moved */
    }
    if (a->next > f->hi) {
        return false; /* acknowledges what was never sent */
    }
    bool first = f->await;
    bool progress = a->next > f->una || first;
    sflow_accepted(n, f, a->next);
    if ((a->flags & NET_ACK_GONE) != 0) {
        f->await = false;
        if (is_certain(f, a)) {
            certain(f);
        }
        gone(n, f, a);
        return true;
    }
    f->strayed = false;               /* there is a record */
    if (!newer(f->round, a->round)) { /* else it was overtaken */
        f->credit_msgs = a->credit_msgs;
        f->credit_bytes = a->credit_bytes;
    }
    f->bind_due = false;
    if (newer(a->round, f->round)) {
        rewind_to(n, f, a);
        progress = true;
    } else if (first) {
        certain(f);
    }
    if (f->credit_msgs > f->nxt) {
        f->starved = f->starved && (a->flags & NET_ACK_REWIND) != 0;
    }
    if (progress) {
        rto_restart(n, f);
    } else {
        repeated(n, f);
    }
    sflow_tidy(n, f);
    return true;
}

/* Two sites say of each other that the port is there: one of them is behind,
 * and will know better soon. */
static void wait_for_news(struct netmgr *n, struct sflow *f)
{
    sflow_unbind(n, f);
    f->back_ns = n->now;
    f->circle_ns = n->now + CIRCLE_NS;
    list_remove(&f->ready);
    timer_before(n, &f->timer, f->circle_ns);
}

bool answer_moved(struct netmgr *n, struct peer *p, const struct net_moved *m)
{
    struct sflow *f = find(n, p, m->handle);
    if (f == NULL || m->next < f->una || f->frozen) {
        return true;
    }
    if (m->next > f->hi || m->site == 0 || m->epoch == 0) {
        return false;
    }
    sflow_accepted(n, f, m->next);
    const struct place said = {
        .site = m->site, .incarnation = m->incarnation, .epoch = m->epoch};
    locate_follow(n, f->dst, said);
    if (f->peer != p) {
        return true; /* it went with the others */
    }
    const struct place where = locate(n, f->dst);
    if (where.site == p->site) {
        wait_for_news(n, f);
    } else {
        sflow_move(n, f, where);
    }
    return true;
}

bool answer_unbound(struct netmgr *n, struct peer *p, uint32_t handle)
{
    struct sflow *f = find(n, p, handle);
    if (f != NULL && !f->frozen) {
        sflow_unbind(n, f);
        sflow_tidy(n, f);
    }
    return true;
}

/* Nothing was heard for a while on a path that loses packets: from the lowest
 * again, the BIND too. A flow without credit asks in the same way. */
void sflow_rto(struct netmgr *n, struct sflow *f)
{
    f->rto_at_ns = DEADLINE_NEVER;
    if (f->handle == 0 || f->una == f->end) {
        return;
    }
    const struct conn *c = peer_conn(f->peer, (enum net_lane)f->lane);
    if (c == NULL) { /* bulk, while control is down */
        f->rto_at_ns = n->now + RTO_MAX_NS;
        return;
    }
    if (!c->datagram) {
        return;
    }
    go_back(n, f);
    f->bind_due = true;
    f->rto_ns = f->rto_ns * 2 > RTO_MAX_NS ? RTO_MAX_NS : f->rto_ns * 2;
    f->rto_at_ns = n->now + f->rto_ns;
    lane_poke(n, f);
}
