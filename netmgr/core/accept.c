#include <string.h>

#include "parts.h"

/* Messages of others: assembly, the offer to the nucleus, the acknowledgement.
 *
 * A message is acknowledged when it is queued, never before. One that finds no
 * room is discarded and the round rises: what was sent in older rounds is never
 * accepted any more. */

/* ---- Acknowledgement -------------------------------------------------------
 */

void ack_due(struct netmgr *n, struct rflow *r, enum ack_due due)
{
    if (r->handle == 0 || r->ack >= (uint8_t)due) {
        return;
    }
    struct peer *p = r->peer;
    r->ack = (uint8_t)due;
    list_remove(&r->due);
    if (due == ACK_NOW) {
        list_append(&p->acks, &r->due);
        peer_dirty(n, p);
    } else {
        list_append(&p->lazy_acks, &r->due);
        timer_before(n, &p->ack, n->now + ACK_DELAY_NS);
    }
}

static void emit_moved(struct netmgr *n, const struct conn *c,
                       const struct rflow *r, struct place where)
{
    effect_frame(n, c, NET_MOVED)->frame.u.moved = (struct net_moved){
        .handle = r->handle,
        .site = where.site,
        .incarnation = where.incarnation,
        .epoch = where.epoch,
        .next = r->next,
    };
}

static void emit_ack(struct netmgr *n, const struct conn *c,
                     const struct rflow *r)
{
    struct net_ack *a = &effect_frame(n, c, NET_ACK)->frame.u.ack;
    a->handle = r->handle;
    a->round = r->round;
    a->next = r->next;
    a->credit_msgs = r->credit_msgs > r->next ? r->credit_msgs : r->next + 1;
    a->credit_bytes = r->credit_bytes;
    if (r->returning) {
        a->credit_msgs = r->next + CREDIT_MSGS_MAX;
        a->credit_bytes = UINT32_MAX;
    }
    if (r->gone != 0) {
        a->flags = NET_ACK_GONE;
        a->status = r->gone;
    } else if (r->refused != 0) {
        a->flags = NET_ACK_REFUSED;
        a->status = r->refused;
    } else if (r->starved) {
        a->flags = NET_ACK_REWIND;
        a->credit_msgs = r->next;
    }
}

/* On CONTROL or FAST whichever lane the data came on: it never waits behind
 * bulk. */
static void answer(struct netmgr *n, const struct conn *c, struct rflow *r)
{
    list_remove(&r->due);
    r->ack = ACK_NONE;
    r->unacked_msgs = 0;
    r->unacked_bytes = 0;
    const struct place where = locate(n, r->dst);
    if (r->gone != 0 && place_elsewhere(n, where)) {
        emit_moved(n, c, r, where);
    } else {
        emit_ack(n, c, r);
    }
}

static void answer_all(struct netmgr *n, const struct conn *c, struct list *due)
{
    struct list *it;
    while ((it = list_first(due)) != NULL && effects_go_on(n)) {
        answer(n, c, LIST_ENTRY(it, struct rflow, due));
    }
}

void ack_flush(struct netmgr *n, struct peer *p, bool lazy)
{
    const struct conn *c = answer_conn(p);
    if (c == NULL) {
        return;
    }
    answer_all(n, c, &p->acks);
    if (lazy) {
        answer_all(n, c, &p->lazy_acks);
    }
    if (!list_empty(&p->lazy_acks)) {
        timer_before(n, &p->ack, n->now + ACK_DELAY_NS);
    }
}

void ack_wake(struct netmgr *n, struct peer *p)
{
    struct list *it;
    while ((it = list_first(&p->starved)) != NULL) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, wait);
        list_remove(it);
        r->starved = false;
        r->ack = ACK_NONE; /* once more, without REWIND */
        list_remove(&r->due);
        ack_due(n, r, ACK_NOW);
    }
}

/* ---- Discarding ------------------------------------------------------------
 */

static void next_round(struct netmgr *n, struct rflow *r)
{
    rflow_part_drop(r);
    r->round++;
    trace_add(n->trace, n->now, TRACE_FLOW_REWIND, r->round, r->src.lo,
              r->dst.lo);
    ack_due(n, r, ACK_NOW);
}

static void starve(struct netmgr *n, struct rflow *r)
{
    r->starved = true;
    r->credit_msgs = r->next + n->limits.credit_msgs_initial; /* when woken */
    r->credit_bytes = n->limits.credit_bytes_initial;
    next_round(n, r);
}

/* No memory to put it in: not a matter of its port. */
static void starve_memory(struct netmgr *n, struct rflow *r)
{
    starve(n, r);
    if (!list_linked(&r->wait)) {
        list_append(&r->peer->starved, &r->wait);
    }
    timer_before(n, &r->peer->ack, n->now + MEMORY_WAIT_NS);
}

static void refuse(struct netmgr *n, struct rflow *r, enum motet_err err)
{
    r->refused = (uint16_t)err;
    next_round(n, r);
}

static void end_port(struct netmgr *n, struct rflow *r, enum motet_err err)
{
    rflow_part_drop(r);
    r->gone = (uint16_t)err;
    r->starved = false;
    r->refused = 0;
    trace_add(n->trace, n->now, TRACE_FLOW_GONE, (uint32_t)err, r->src.lo,
              r->dst.lo);
    ack_due(n, r, ACK_NOW);
}

/* ---- The next message ------------------------------------------------------
 */

static void accepted(struct netmgr *n, struct rflow *r, enum msg_kind kind,
                     uint32_t bytes, bool ask)
{
    r->unacked_msgs++;
    r->unacked_bytes += bytes;
    bool now = ask || kind == MSG_SEND || r->unacked_msgs >= ACK_MSGS ||
               r->unacked_bytes >= ACK_BYTES;
    ack_due(n, r, now ? ACK_NOW : ACK_LAZY);
}

static struct place_of about(const struct netmgr *n, const struct msg *m)
{
    uint64_t epoch;
    return netmgr_where(n, m->reply_to, &epoch);
}

static void offer(struct netmgr *n, struct rflow *r, const struct net_data *d,
                  struct buf *data)
{
    CHECK(n->offered == NULL);
    struct net_effect *e = effect_push(n, NET_OFFER);
    e->flow = rflow_id(n, r);
    e->src = r->src;
    e->dst = r->dst;
    e->place = (struct place_of){.site = r->peer->site,
                                 .incarnation = r->peer->incarnation};
    if ((d->msg.reply_to.hi | d->msg.reply_to.lo) != 0) {
        e->about =
            ui_equal(d->msg.reply_to, r->src) ? e->place : about(n, &d->msg);
    }
    if (d->msg.kind == MSG_WATCH) {
        const struct place owner = locate(n, r->dst);
        e->owned = owner.epoch != 0 && owner.site == n->site;
    }
    e->msg = d->msg;
    e->msg.pi = r->pi;
    e->msg.data = data;
    n->offered = r;
    n->offered_kind = d->msg.kind;
    n->offered_seq = d->seq;
    n->offered_bytes = d->total;
    n->offered_ask = (d->flags & NET_DATA_ASK) != 0;
    r->peer->stats.rx_packets++;
}

/* A place to assemble message `next` in. @return false: discarded */
static bool part_begin(struct netmgr *n, struct rflow *r,
                       const struct net_data *d)
{
    struct peer *p = r->peer;
    if (d->total - d->msg.annex_bytes > n->limits.body_bytes_max) {
        refuse(n, r, MOTET_E_TOO_BIG);
        return false;
    }
    if (p->assembly_bytes + d->total > n->limits.assembly_bytes_max) {
        starve_memory(n, r);
        return false;
    }
    r->part = buf_raw(n->mem, d->total); /* offered only when it is full */
    if (r->part == NULL) {
        starve_memory(n, r);
        return false;
    }
    p->assembly_bytes += d->total;
    return true;
}

static bool fragment_ok(const struct rflow *r, const struct net_data *d)
{
    bool more = (d->flags & NET_DATA_MORE) != 0;
    if (d->size > NET_FRAGMENT_BYTES || d->offset > d->total ||
        d->size > d->total - d->offset ||
        more != (d->offset + d->size < d->total) || (more && d->size == 0) ||
        d->msg.annex_bytes > d->total || d->msg.annex_bytes > MOTET_ANNEX_MAX) {
        return false;
    }
    return d->msg.kind >= MSG_SEND && d->msg.kind < MSG_KIND_COUNT &&
           msg_returns(d->msg.kind) == r->returning;
}

/* A fragment of message `next`. */
static bool take_fragment(struct netmgr *n, struct rflow *r,
                          const struct net_data *d)
{
    if (!fragment_ok(r, d)) {
        return false;
    }
    r->peer->stats.rx_bytes += d->size;
    if (d->total == 0) {
        offer(n, r, d, NULL);
        return true;
    }
    if (r->part != NULL && r->part->size != d->total) {
        return false; /* two messages under one number */
    }
    if (d->offset != r->have) {
        r->peer->stats.dups += d->offset < r->have;
        return true; /* had already, or its forerunner was lost */
    }
    if (r->part == NULL && !part_begin(n, r, d)) {
        return true;
    }
    memcpy(r->part->data + d->offset, d->bytes, d->size);
    r->have += d->size;
    if (r->have < d->total) {
        r->peer->stats.rx_fragments++;
        return true;
    }
    struct buf *whole = r->part;
    r->part = NULL;
    r->have = 0;
    r->peer->assembly_bytes -= d->total;
    offer(n, r, d, whole);
    ack_wake(n, r->peer);
    return true;
}

static void take_void(struct netmgr *n, struct rflow *r)
{
    rflow_part_drop(r);
    r->refused = 0;
    r->next++;
    accepted(n, r, MSG_SEND, 0, true);
}

/* Where the next number is not `next`. @return true when it is dealt with */
static bool out_of_order(struct netmgr *n, struct rflow *r,
                         const struct net_data *d)
{
#ifndef MOTET_BUG_NO_DUP_CHECK
    if (d->seq < r->next) {
        r->peer->stats.dups++;
        ack_due(n, r, ACK_NOW);
        return true;
    }
#endif
#ifndef MOTET_BUG_ACCEPT_DISORDER
    if (d->seq > r->next) {
        r->peer->stats.naks++;
        r->ack = ACK_NONE; /* again, even if one was just given */
        list_remove(&r->due);
        ack_due(n, r, ACK_NOW);
        return true;
    }
#endif
    return false;
}

/* Said where the DATA came from, as in refuse_bind(); once in a turn. */
static void tell_unbound(struct netmgr *n, struct conn *c, uint32_t handle)
{
    if (c->unbound != handle || c->unbound_turn != n->turn) {
        c->unbound = handle;
        c->unbound_turn = n->turn;
        effect_frame(n, c, NET_UNBOUND)->frame.u.unbound = handle;
    }
}

bool accept_data(struct netmgr *n, struct peer *p, struct conn *c,
                 const struct net_data *d)
{
    struct rflow *r = rflow_by_handle(n, p, d->handle);
    if (r == NULL) {
        tell_unbound(n, c, d->handle);
        return true;
    }
    rflow_touch(n, r);
    if (r->gone == 0 && !r->sure && place_elsewhere(n, locate(n, r->dst))) {
        r->gone = r->returning ? MOTET_E_MAYBE_LOST : MOTET_E_NO_PORT;
    }
    if (r->gone != 0 || d->round != r->round) {
        if (c->datagram || r->gone != 0) {
            ack_due(n, r, ACK_NOW); /* the answer may have been lost */
        }
        return true;
    }
    if (out_of_order(n, r, d)) {
        return true;
    }
    if ((d->flags & NET_DATA_VOID) != 0) {
        take_void(n, r);
        return true;
    }
    if (r->refused != 0) {
        ack_due(n, r, ACK_NOW);
        return true;
    }
    return take_fragment(n, r, d);
}

/* ---- From the nucleus ------------------------------------------------------
 */

static void offer_accepted(struct netmgr *n, struct rflow *r,
                           const struct net_in *in)
{
    uint32_t room =
        in->room_msgs < CREDIT_MSGS_MAX ? in->room_msgs : CREDIT_MSGS_MAX;
    r->starved = false;
    r->next = n->offered_seq < r->next ? r->next : n->offered_seq + 1;
    r->credit_msgs = r->next + room;
    r->credit_bytes = in->room_bytes;
    accepted(n, r, n->offered_kind, n->offered_bytes, n->offered_ask);
}

enum motet_err accept_in_verdict(struct netmgr *n, const struct net_in *in)
{
    struct rflow *r = rflow_by_id(n, in->flow);
    if (r == NULL || r != n->offered) {
        return MOTET_E_STATE;
    }
    n->offered = NULL;
#ifdef MOTET_BUG_FORGET_ACK
    if (in->err == MOTET_E_AGAIN && r->next % 8 == 0) {
        offer_accepted(n, r, in);
        return MOTET_OK;
    }
#endif
    if (in->err == MOTET_OK) {
        offer_accepted(n, r, in);
    } else if (in->err == MOTET_E_AGAIN) {
        starve(n, r);
    } else if (in->err == MOTET_E_NO_PORT || in->err == MOTET_E_CLOSED ||
               in->err == MOTET_E_CRASHED) {
        end_port(n, r, in->err);
    } else {
        refuse(n, r, in->err);
    }
    return MOTET_OK;
}

enum motet_err accept_in_room(struct netmgr *n, const struct net_in *in)
{
    const struct pflows *d = pflows_find(&n->dport_by_ui, in->dst);
    if (d == NULL) {
        return MOTET_OK;
    }
    list_foreach (it, &d->flows) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, port);
        if (r->starved && !list_linked(&r->wait)) {
            r->starved = false;
#ifndef MOTET_BUG_LEAK_CREDIT
            ack_due(n, r, ACK_NOW);
#endif
        }
    }
    return MOTET_OK;
}

enum motet_err accept_in_port_end(struct netmgr *n, const struct net_in *in)
{
    const struct pflows *d = pflows_find(&n->dport_by_ui, in->dst);
    locate_ended(n, in->dst);
    if (d == NULL) {
        return MOTET_OK;
    }
    list_foreach (it, &d->flows) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, port);
        /* What returns is for the nucleus to judge: it answers a WATCH of a
         * port that has ended behind all that came from there. */
        if (r->handle != 0 && r->gone == 0 && !r->returning) {
            end_port(n, r, MOTET_E_CLOSED);
        }
    }
    return MOTET_OK;
}
