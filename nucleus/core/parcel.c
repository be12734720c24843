#include "core.h"

/* Messages on their way, and how they end. */

enum { LOST_TRIES_MAX = 3 }; /* of one of the nucleus itself, at once */

struct parcel *parcel_take(struct nucleus *n, enum parcel_role role,
                           enum motet_err *err)
{
    uint64_t ticket;
    struct parcel *q = ids_take(&n->parcels, &ticket, err);
    if (q != NULL) {
        q->ticket = ticket;
        q->role = role;
        q->timer.kind = TIMER_PARCEL;
        q->deadline_ns = DEADLINE_NEVER;
    }
    return q;
}

void parcel_free(struct nucleus *n, struct parcel *q)
{
    list_remove(&q->node);
    list_remove(&q->of_src);
    deadline_clear(&n->timers, &q->timer);
    buf_unref(q->msg.data);
    ids_put(&n->parcels, q);
}

/* Whether the message is kept, to be handed over again if need be. */
static bool keeps(const struct parcel *q)
{
    return q->role == PARCEL_INNER || q->role == PARCEL_WATCH;
}

void parcel_to_net(struct nucleus *n, struct parcel *q)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_TO_NET);
    e->ticket = q->ticket;
    e->src = q->src;
    e->dst = q->dst;
    e->msg = q->msg;
    e->deadline_ns = q->deadline_ns;
    e->wait = q->wait;
    if (keeps(q)) {
        (void)buf_ref(q->msg.data);
    } else {
        q->msg.data = NULL;
    }
    q->state = PARCEL_NET;
    trace(n, TRACE_SEND, (uint32_t)q->msg.kind, q->src.lo, q->dst.lo);
}

/* A request without a caller was accepted, or may have been. */
static void tell_server(struct nucleus *n, const struct parcel *q)
{
    const struct msg cancel = {
        .kind = MSG_CANCEL,
        .call = q->msg.call,
        .reply_to = q->msg.reply_to,
    };
    parcel_inner(n, q->src, q->dst, &cancel);
}

void parcel_settle(struct nucleus *n, struct parcel *q, enum motet_err err)
{
    trace(n, TRACE_OUTCOME, (uint32_t)err, q->src.lo, q->token);
    switch (q->role) {
    case PARCEL_SEND:
        count_outcome(n, err);
        send_tell(n, q->actor, q->src, q->token, q->notify, err);
        break;
    case PARCEL_PART:
        count_outcome(n, err);
        fanout_part(n, q->fanout, err);
        break;
    case PARCEL_REQUEST:
        count_outcome(n, err);
        call_leg(n, q->call, err);
        break;
    case PARCEL_FORWARD:
        held_forwarded(n, q->held, q->dst, err);
        break;
    case PARCEL_WATCH:
        watch_leg(n, q->watch, err);
        break;
    case PARCEL_ORPHAN:
        if (!q->forwarded) {
            count_outcome(n, err);
        }
        if (motet_err_ran(err) != MOTET_RAN_NO) {
            tell_server(n, q);
        }
        break;
    case PARCEL_INNER:
    case PARCEL_INBOUND:
        break;
    }
    parcel_free(n, q);
}

void parcel_accepted(struct nucleus *n, struct parcel *q)
{
    trace(n, TRACE_OUTCOME, MOTET_OK, q->src.lo, q->token);
    if (q->role == PARCEL_SEND) {
        send_tell(n, q->actor, q->src, q->token, q->notify, MOTET_OK);
    } else if (q->role == PARCEL_PART) {
        fanout_part(n, q->fanout, MOTET_OK);
    }
    q->role = PARCEL_INBOUND;
}

void parcel_unwait(struct nucleus *n, struct parcel *q)
{
    CHECK(q->state == PARCEL_WAITING);
    list_remove(&q->node);
    list_remove(&q->of_src);
    deadline_clear(&n->timers, &q->timer);
    n->counts.waiters--;
}

void parcel_give_up(struct nucleus *n, struct parcel *q, enum motet_err err)
{
    struct group *g = group_get(n, q->dest.target);
    parcel_unwait(n, q);
    parcel_settle(n, q, err);
    group_unwant(n, g);
}

void parcel_inner(struct nucleus *n, struct motet_ui src, struct motet_ui dst,
                  const struct msg *msg)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_INNER, &err);
    if (q != NULL) {
        q->src = src;
        q->dst = dst;
        q->msg = *msg;
        q->wait = true;
        parcel_to_net(n, q);
        return;
    }
    struct nuc_effect *e = fx_put(&n->fx, NUC_TO_NET);
    e->src = src;
    e->dst = dst;
    e->msg = *msg;
    e->deadline_ns = DEADLINE_NEVER;
    e->wait = true;
}

static bool retry_at(struct nucleus *n, struct parcel *q)
{
    const uint64_t at_ns = n->now_ns + RETRY_MS * NS_PER_MS;
    return at_ns < q->deadline_ns && deadline_set(&n->timers, &q->timer, at_ns);
}

/* Until NUC_NET_ROOM_FOR, or until there may be room for one more flow. */
static bool stall(struct nucleus *n, struct parcel *q, bool told)
{
    enum motet_err err;
    struct peer *p = peer_want(n, ui_site(q->dst), &err);
    if (p == NULL) {
        return false;
    }
    if (!told && !retry_at(n, q)) {
        peer_unwant(n, p);
        return false;
    }
    q->state = PARCEL_STALLED;
    list_append(&p->stalled, &q->node);
    return true;
}

/* The network manager had no room, or lost sight of it. @return false if that
 * is final */
static bool again(struct nucleus *n, struct parcel *q, enum motet_err err)
{
    if (!keeps(q)) {
        return false;
    }
    switch ((int)err) {
    case MOTET_E_AGAIN:
        return stall(n, q, true);
    case MOTET_E_LIMIT:
    case MOTET_E_NO_MEMORY:
    case MOTET_E_FULL:
    case MOTET_E_UNREACHABLE:
        return q->role == PARCEL_INNER && stall(n, q, false);
    case MOTET_E_MAYBE_LOST:
        /* All of these may arrive twice without harm. */
        if (q->token == LOST_TRIES_MAX) {
            q->token = 0;
            return q->role == PARCEL_INNER && stall(n, q, false);
        }
        q->token++;
        parcel_to_net(n, q);
        return true;
    default:
        return false;
    }
}

/* No longer stalled. */
static void unstall(struct nucleus *n, struct parcel *q)
{
    list_remove(&q->node);
    deadline_clear(&n->timers, &q->timer);
    parcel_to_net(n, q);
    struct peer *p = peer_get(n, ui_site(q->dst));
    if (p != NULL) {
        peer_unwant(n, p);
    }
}

void parcel_expired(struct nucleus *n, struct parcel *q)
{
    if (q->state == PARCEL_WAITING) {
        parcel_give_up(n, q, MOTET_E_NO_MEMBER);
        return;
    }
    if (q->state == PARCEL_STALLED) {
        unstall(n, q);
        return;
    }
    CHECK(q->state == PARCEL_PARKED);
    struct port *p = q->port;
    queue_remove(n, q);
    parcel_settle(n, q, MOTET_E_FULL);
    queue_work(n, p);
}

enum motet_err net_outcome(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    (void)out;
    struct parcel *q = ids_at(&n->parcels, in->ticket);
    if (q == NULL || q->ticket != in->ticket || q->state != PARCEL_NET) {
        return MOTET_E_STATE;
    }
    q->outcome = in->err;
    if (fx_ready(n) && list_empty(&n->told)) {
        parcel_told(n, q);
        return MOTET_OK;
    }
    q->state = PARCEL_TOLD;
    list_append(&n->told, &q->node);
    return MOTET_OK;
}

void parcel_told(struct nucleus *n, struct parcel *q)
{
    if (q->outcome == MOTET_OK || !again(n, q, q->outcome)) {
        parcel_settle(n, q, q->outcome);
    }
}

void parcel_restart(struct nucleus *n, struct peer *p, struct motet_ui src,
                    struct motet_ui dst)
{
    const bool all = ui_zero(src);
    list_foreach (node, &p->stalled) {
        struct parcel *q = LIST_ENTRY(node, struct parcel, node);
        if (!all && !(ui_equal(q->src, src) && ui_equal(q->dst, dst))) {
            continue;
        }
        if (!fx_ready(n)) {
            p->restart = true;
            return;
        }
        list_remove(node);
        deadline_clear(&n->timers, &q->timer);
        parcel_to_net(n, q);
    }
}

enum motet_err net_room_for(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct peer *peer = peer_get(n, ui_site(in->dst));
    if (peer != NULL) {
        parcel_restart(n, peer, in->src, in->dst);
        if (peer->restart && !list_linked(&peer->work)) {
            list_append(&n->dying, &peer->work);
        }
    }
    const struct port *p = port_get(n, in->src);
    if (p != NULL) {
        struct nuc_effect *e = fx_put(&n->fx, NUC_ROOM);
        e->actor = p->actor->ui;
        e->port = p->ui;
        e->dst = in->dst;
    }
    return MOTET_OK;
}
