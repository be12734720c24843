#include "core.h"

/* The messages of the nucleus itself: replies, cancellations, news. They are
 * handed to the network manager until it carries them. Where it has no room
 * some are tried when it has, and with each that gets through two more: all at
 * once would only be told AGAIN. */

enum {
    LOST_TRIES_MAX = 3, /* of one the network lost sight of, at once */
    RESTART_FIRST = 8,
    RESTART_NEXT = 2,
    /* A site that did not answer for so long is dead, and who has died need not
     * be told. */
    CANCEL_MS = 10000,
};

static uint64_t useful_until(const struct nucleus *n, enum msg_kind kind)
{
    return kind == MSG_CANCEL || kind == MSG_UNWATCH
               ? n->now_ns + CANCEL_MS * NS_PER_MS
               : DEADLINE_NEVER;
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
        q->deadline_ns = useful_until(n, msg->kind);
        parcel_to_net(n, q);
        return;
    }
    struct nuc_effect *e = fx_put(&n->fx, NUC_TO_NET);
    e->src = src;
    e->dst = dst;
    e->msg = *msg;
    e->deadline_ns = DEADLINE_NEVER;
    e->wait = true;
    e->here = port_get(n, dst) != NULL;
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
bool parcel_again(struct nucleus *n, struct parcel *q, enum motet_err err)
{
    if (!parcel_keeps(q)) {
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

void parcel_unstall(struct nucleus *n, struct parcel *q)
{
    list_remove(&q->node);
    deadline_clear(&n->timers, &q->timer);
    parcel_to_net(n, q);
    struct peer *p = peer_get(n, ui_site(q->dst));
    if (p != NULL) {
        peer_unwant(n, p);
    }
}

void parcel_restart(struct nucleus *n, struct peer *p, struct motet_ui src,
                    struct motet_ui dst, uint32_t count)
{
    const bool all = ui_zero(src);
    list_foreach (node, &p->stalled) {
        struct parcel *q = LIST_ENTRY(node, struct parcel, node);
        const struct port *from = port_get(n, q->src);
        if ((!all && !(ui_equal(q->src, src) && ui_equal(q->dst, dst))) ||
            (from != NULL && from->frozen)) {
            continue;
        }
        if (count == 0) {
            return;
        }
        if (!fx_ready(n)) {
            p->restart = true;
            if (!list_linked(&p->work)) {
                list_append(&n->dying, &p->work);
            }
            return;
        }
        count--;
        list_remove(node);
        deadline_clear(&n->timers, &q->timer);
        parcel_to_net(n, q);
    }
}

/* One got through: perhaps others of its flow do. */
void parcel_follow(struct nucleus *n, struct motet_ui src, struct motet_ui dst)
{
    struct peer *p = peer_get(n, ui_site(dst));
    if (p != NULL && !list_empty(&p->stalled)) {
        parcel_restart(n, p, src, dst, RESTART_NEXT);
        peer_unwant(n, p);
    }
}

enum motet_err net_room_for(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct peer *peer = peer_get(n, ui_site(in->dst));
    if (peer != NULL) {
        parcel_restart(n, peer, in->src, in->dst, RESTART_FIRST);
        peer_unwant(n, peer);
    }
    const struct port *p = port_get(n, in->src);
    if (p != NULL && p->actor != NULL) { /* frozen: heard when that is over */
        struct nuc_effect *e = fx_put(&n->fx, NUC_ROOM);
        e->actor = p->actor->ui;
        e->port = p->ui;
        e->dst = in->dst;
    }
    return MOTET_OK;
}
