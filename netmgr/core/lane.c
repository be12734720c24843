#include "parts.h"

/* Emission: which flow is next. Flows that can emit stand in a queue for each
 * lane of a site and take turns of QUANTUM_BYTES. */

static bool pi_equal(struct motet_pi a, struct motet_pi b)
{
    return a.uid == b.uid && a.gid == b.gid && a.domain == b.domain;
}

static bool credit_allows(const struct netmgr *n, const struct sflow *f,
                          const struct kept *k, const struct conn *c)
{
    uint64_t flight = f->nxt - f->una;
    if (flight >= n->limits.flow_msgs_max ||
        (c->datagram && flight >= DATAGRAM_FLIGHT)) {
        return false;
    }
    if (!k->live) {
        return true;
    }
    if (f->returning) {
        return !f->starved; /* not counted, but it may be told to wait */
    }
    return f->nxt < f->credit_msgs &&
           (flight == 0 || f->flight_bytes + k->bytes <= f->credit_bytes);
}

/* A bound flow's next message may need another lane or another BIND first: both
 * only when all earlier ones have their outcome. */
static bool must_rebind(const struct sflow *f, const struct kept *k)
{
    if (!k->live || f->lane == NET_BULK) {
        return k->live && !pi_equal(k->msg.pi, f->pi);
    }
    return k->bytes > NET_EXPRESS_BYTES_MAX ||
           f->lane != (uint8_t)small_lane(f->peer) ||
           !pi_equal(k->msg.pi, f->pi);
}

static bool can_emit(const struct netmgr *n, const struct sflow *f,
                     const struct conn *c)
{
    if (f->handle == 0 || f->bind_due) {
        return true;
    }
    if (f->await || f->nxt >= f->end) {
        return false;
    }
    const struct kept *k = sflow_slot(f, f->nxt);
    if (f->fragment == 0 && must_rebind(f, k)) {
        return f->nxt == f->una;
    }
    return f->fragment > 0 || credit_allows(n, f, k, c);
}

/* The first message over the limit takes the flow to the bulk lane for good.
 * Until then it is where small messages go. */
static void choose_lane(struct netmgr *n, struct sflow *f)
{
    if (f->lane == NET_BULK) {
        return;
    }
    enum net_lane lane = small_lane(f->peer);
    const bool settled = f->nxt == f->una && f->hi == f->una;
    if (settled && sflow_slot(f, f->una)->bytes > NET_EXPRESS_BYTES_MAX) {
        lane = NET_BULK;
    }
    if ((settled || f->handle == 0) && f->lane != (uint8_t)lane) {
        list_remove(&f->ready);
        sflow_unbind(n, f);
        f->lane = (uint8_t)lane;
    }
}

/* On a path that loses packets what is kept is never left without a timer: the
 * credit that it waits for may have been lost too. */
static void arm(struct netmgr *n, struct sflow *f, const struct conn *c)
{
    if (c->datagram && f->handle != 0 && f->una < f->end &&
        f->rto_at_ns == DEADLINE_NEVER) {
        f->rto_at_ns = n->now + f->rto_ns;
        timer_before(n, &f->timer, f->rto_at_ns);
    }
}

void lane_poke(struct netmgr *n, struct sflow *f)
{
    struct peer *p = f->peer;
    bool can = f->una < f->end && !f->frozen && f->circle_ns == 0;
    if (can) {
        choose_lane(n, f);
        const struct conn *c = peer_conn(p, (enum net_lane)f->lane);
        if (c == NULL) {
            net_peer_want(n, p, p->up ? (enum net_lane)f->lane : NET_CONTROL);
            can = false;
        } else {
            can = (f->incarnation == 0 || f->incarnation == p->incarnation) &&
                  can_emit(n, f, c);
            arm(n, f, c);
        }
    }
    if (!can) {
        list_remove(&f->ready);
    } else if (!list_linked(&f->ready)) {
        list_append(&p->ready[f->lane], &f->ready);
        peer_dirty(n, p);
    }
}

/* ---- Emission --------------------------------------------------------------
 */

/* @return false at the memory cap: tried again in a later turn */
static bool emit_bind(struct netmgr *n, struct sflow *f, const struct conn *c)
{
    if (f->handle == 0) {
        uint32_t handle = n->next_handle;
        if (!map_put(&n->sflow_by_handle, 0, handle, f)) {
            return false;
        }
        n->next_handle = handle == UINT32_MAX ? 1 : handle + 1;
        f->handle = handle;
        f->round = 0;
        f->starved = false; /* that was another record's word */
        f->pi = sflow_slot(f, f->una)->msg.pi;
        f->await = f->hi > f->una;
        f->nxt = f->una;
        f->fragment = 0;
        f->flight_bytes = 0;
        f->credit_msgs = f->una + n->limits.credit_msgs_initial;
        f->credit_bytes = n->limits.credit_bytes_initial;
        f->rto_ns = peer_rto(f->peer);
    }
    f->bind_due = false;
    struct net_effect *e = effect_frame(n, c, NET_BIND);
    e->frame.u.bind = (struct net_bind){
        .handle = f->handle,
        .returning = f->returning,
        .resume = f->hi > f->una,
        .src = f->src,
        .dst = f->dst,
        .pi = f->pi,
        .epoch = f->epoch,
        .base = f->una,
        .src_epoch = locate_epoch(n, f->src),
        .origin_site = f->origin_site,
        .origin_epoch = f->origin_epoch,
    };
    return true;
}

static bool ask(const struct sflow *f, const struct kept *k)
{
    if (!k->live || k->msg.kind == MSG_SEND) {
        return true;
    }
    return !f->returning &&
           (f->credit_msgs - f->nxt) * 2 < f->credit_msgs - f->una;
}

static uint32_t remaining_ms(const struct netmgr *n, const struct kept *k)
{
    if (k->msg.remaining_ms == 0 || k->deadline_ns == DEADLINE_NEVER) {
        return k->msg.remaining_ms;
    }
    uint64_t left =
        k->deadline_ns > n->now ? (k->deadline_ns - n->now) / MS : 0;
    left = left == 0 ? 1 : left;
    return left < k->msg.remaining_ms ? (uint32_t)left : k->msg.remaining_ms;
}

/* One fragment of message `nxt`, which may be all of it. @return its bytes */
static uint32_t emit_data(struct netmgr *n, struct sflow *f, struct conn *c)
{
    struct kept *k = sflow_slot(f, f->nxt);
    __builtin_prefetch(sflow_slot(f, f->nxt + 2));
    uint32_t most = c->datagram           ? DATAGRAM_BYTES
                    : c->lane == NET_FAST ? c->fragment
                                          : NET_FRAGMENT_BYTES;
    uint32_t left = k->bytes - f->fragment;
    uint32_t size = left < most ? left : most;
    struct net_data *d = &effect_frame(n, c, NET_DATA)->frame.u.data;
    d->handle = f->handle;
    d->round = f->round;
    d->seq = f->nxt;
    d->total = k->bytes;
    d->offset = f->fragment;
    d->size = size;
    d->msg.kind = f->returning ? MSG_REPLY : MSG_SEND;
    if (k->live) {
        d->msg = k->msg;
        d->msg.data = NULL;
        d->msg.remaining_ms = remaining_ms(n, k);
    } else {
        d->flags |= NET_DATA_VOID;
    }
    if (size > 0) {
        d->hold = buf_ref(k->msg.data);
        d->bytes = k->msg.data->data + f->fragment;
    }
    c->backlog += c->loop ? 0 : size + FRAME_OVERHEAD;
    f->top = f->nxt >= f->top ? f->nxt + 1 : f->top;
    f->peer->stats.tx_bytes += size;
    if (size < left) {
        d->flags |= NET_DATA_MORE;
        f->fragment += size;
        f->peer->stats.tx_fragments++;
        return size;
    }
    d->flags |= ask(f, k) ? NET_DATA_ASK : 0;
    f->peer->stats.tx_packets++;
    f->flight_bytes += k->bytes;
    f->fragment = 0;
    f->nxt++;
    if (f->nxt > f->hi) {
        f->hi = f->nxt;
    }
    return size;
}

/* One turn of a flow. @return false when the memory cap ends all turns */
static bool emit_turn(struct netmgr *n, struct sflow *f, struct conn *c,
                      bool *data)
{
    uint32_t bytes = 0;
    bool bound = true;
    while (bytes < QUANTUM_BYTES && f->una < f->end && can_emit(n, f, c) &&
           effects_go_on(n)) {
        if (f->handle == 0 || f->bind_due) {
            bound = emit_bind(n, f, c);
            if (!bound) {
                break;
            }
            continue;
        }
        if (f->fragment == 0 && must_rebind(f, sflow_slot(f, f->nxt))) {
            sflow_unbind(n, f);
            choose_lane(n, f);
            if (f->lane != (uint8_t)c->lane) {
                break;
            }
            continue;
        }
        bytes += emit_data(n, f, c) + FRAME_OVERHEAD;
        *data = true;
    }
    lane_poke(n, f);
    return bound;
}

/* @return whether DATA was emitted */
static bool emit_lane(struct netmgr *n, struct peer *p, enum net_lane lane)
{
    struct conn *c = peer_conn(p, lane);
    struct list *it;
    bool data = false;
    while (c != NULL && (it = list_first(&p->ready[lane])) != NULL &&
           c->backlog < n->limits.lane_backlog_bytes && effects_go_on(n)) {
        list_remove(it); /* to the end of the queue, if it can emit still */
        if (!emit_turn(n, LIST_ENTRY(it, struct sflow, ready), c, &data)) {
            break;
        }
    }
    return data;
}

/* Acknowledgements before data, and CONTROL before BULK, for all sites. */
void lane_flush(struct netmgr *n)
{
    list_foreach (it, &n->dirty) {
        struct peer *p = LIST_ENTRY(it, struct peer, dirty);
        ack_flush(n, p, false);
        bool data = emit_lane(n, p, NET_CONTROL);
        if (emit_lane(n, p, NET_FAST) || data) {
            ack_flush(n, p, true);
        }
    }
    list_foreach (it, &n->dirty) {
        struct peer *p = LIST_ENTRY(it, struct peer, dirty);
        if (emit_lane(n, p, NET_BULK)) {
            ack_flush(n, p, true);
        }
        if (list_empty(&p->ready[NET_CONTROL]) &&
            list_empty(&p->ready[NET_FAST]) &&
            list_empty(&p->ready[NET_BULK]) && list_empty(&p->acks)) {
            list_remove(&p->dirty);
        }
    }
    if (n->more && !list_empty(&n->dirty)) {
        /* Whoever was first is last next time. */
        struct list *first = list_first(&n->dirty);
        list_remove(first);
        list_append(&n->dirty, first);
    }
}
