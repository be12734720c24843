#include "core.h"

/* Messages on their way, and how they end. */

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
    if (n->filled == q) {
        n->filled = NULL;
    }
    ids_put(&n->parcels, q, q->ticket);
}

bool parcel_keeps(const struct parcel *q)
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
    e->here = port_get(n, q->dst) != NULL;
    if (parcel_keeps(q)) {
        (void)buf_ref(q->msg.data);
    } else {
        q->msg.data = NULL;
    }
    q->state = PARCEL_NET;
    trace(n, TRACE_SEND, (uint32_t)q->msg.kind, q->src.lo, q->dst.lo);
}

void parcel_ask_back(struct nucleus *n, const struct parcel *q)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_NET_CANCEL);
    e->ticket = q->ticket;
    e->src = q->src;
    e->dst = q->dst;
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
        call_leg(n, q->call, err, q->place);
        break;
    case PARCEL_FORWARD:
        held_forwarded(n, q->held, q->dst, q->place, err);
        break;
    case PARCEL_WATCH:
        watch_leg(n, q->watch, err, q->place);
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

void parcel_expired(struct nucleus *n, struct parcel *q)
{
    if (q->state == PARCEL_WAITING) {
        parcel_give_up(n, q, MOTET_E_NO_MEMBER);
        return;
    }
    if (q->state == PARCEL_STALLED) {
        parcel_unstall(n, q);
        return;
    }
    CHECK(q->state == PARCEL_PARKED);
    struct port *p = q->port;
    queue_remove(n, q);
    parcel_settle(n, q, MOTET_E_FULL);
    queue_work(n, p);
}

void nucleus_foresee(const struct nucleus *n, uint64_t ticket)
{
    const char *q = ids_at(&n->parcels, ticket);
    if (q != NULL) {
        __builtin_prefetch(q);
        __builtin_prefetch(q + 64);
        __builtin_prefetch(q + 128);
    }
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
    q->place = place_or_birth(in->place, q->dst);
    if (in->err == MOTET_E_MAYBE_MOVED) {
        parcel_moved(n, q);
        return MOTET_OK;
    }
    if (fx_ready(n) && list_empty(&n->told)) {
        parcel_told(n, q);
        return MOTET_OK;
    }
    q->state = PARCEL_TOLD;
    list_append(&n->told, &q->node);
    return MOTET_OK;
}

/* It is carried on by whoever owns its source now. */
void parcel_moved(struct nucleus *n, struct parcel *q)
{
    if (q->role == PARCEL_PART) {
        q->fanout->open--;
        if (q->fanout->open == 0) {
            list_remove(&q->fanout->image);
            pool_put(&n->fanout_pool, q->fanout);
        }
    } else if (q->role == PARCEL_REQUEST) {
        q->call->leg = NULL;
    } else if (q->role == PARCEL_FORWARD) {
        q->held->parcel = NULL;
    } else if (q->role == PARCEL_WATCH) {
        q->watch->leg = NULL;
    }
    parcel_free(n, q);
}

void parcel_told(struct nucleus *n, struct parcel *q)
{
    if (q->outcome != MOTET_OK && parcel_again(n, q, q->outcome)) {
        return;
    }
    const bool follow = q->role == PARCEL_INNER;
    const struct motet_ui src = q->src;
    const struct motet_ui dst = q->dst;
    parcel_settle(n, q, q->outcome);
    if (follow) {
        parcel_follow(n, src, dst);
    }
}
