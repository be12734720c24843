#include "core.h"

/* The queue of a port. Who finds no room: a local sender parks or is told later
 * (NUC_ROOM), the network manager is told when half of the queue is free
 * (NUC_NET_ROOM). See queue_fits() for when both want room. */

#define RANK_LAST (DEADLINE_NEVER - 1)

static bool parked(const struct port *p)
{
    return p->side != NULL && !list_empty(&p->side->parked);
}

bool queue_hungry(const struct port *p)
{
    return parked(p) || (p->side != NULL && !list_empty(&p->side->wanting));
}

static bool half_free(const struct nucleus *n, const struct port *p)
{
    const uint32_t msgs_max = port_msgs_max(n, p);
    return p->msgs <= (msgs_max > 2 ? msgs_max / 2 : 0) &&
           p->bytes <= port_bytes_max(n, p) / 2;
}

/* A turn of each side is a quarter of the queue. */
static uint32_t turn_msgs(const struct nucleus *n, const struct port *p)
{
    const uint32_t quarter = port_msgs_max(n, p) / 4;
    return quarter == 0 ? 1 : quarter;
}

/* Beside senders here that wait, the network has one turn. Its message may be
 * larger than what is left, and in a queue of one the second. */
static bool fits_net(const struct nucleus *n, const struct port *p)
{
    const uint32_t msgs_max = port_msgs_max(n, p);
    return p->run < turn_msgs(n, p) && p->bytes < port_bytes_max(n, p) &&
           p->msgs < (msgs_max > 1 ? msgs_max : 2);
}

/* Beside a network that waits: nothing until half of the queue is free, then
 * what is below three quarters. */
static bool fits_local(const struct nucleus *n, const struct port *p,
                       uint32_t bytes)
{
    const uint32_t bytes_max = port_bytes_max(n, p);
    if (p->starved || p->msgs >= port_msgs_max(n, p) - turn_msgs(n, p)) {
        return false;
    }
    return p->bytes <= bytes_max / 2 ||
           (uint64_t)p->bytes + bytes <= bytes_max - bytes_max / 4;
}

/* While both sides want room they take turns: the network, after a turn, is
 * starved; then the queue drains to one half; then both are let in, each to its
 * share. So neither waits for more than a queue's length. */
bool queue_fits(const struct nucleus *n, const struct port *p, uint32_t bytes,
                enum queue_side side)
{
#ifdef MOTET_BUG_IGNORE_LIMIT
    return true;
#endif
    if (p->frozen) {
        return false;
    }
    if (p->msgs == 0) {
        return true; /* one message always fits, however large */
    }
    if (side == QUEUE_NET && queue_hungry(p)) {
        return fits_net(n, p);
    }
    if (side == QUEUE_LOCAL && (p->starved || p->rival)) {
        return fits_local(n, p, bytes);
    }
    return p->msgs < port_msgs_max(n, p) &&
           (uint64_t)p->bytes + bytes <= port_bytes_max(n, p);
}

bool queue_open(const struct nucleus *n, const struct port *p, uint32_t bytes)
{
    return !parked(p) && queue_fits(n, p, bytes, QUEUE_LOCAL);
}

/* Enabled ports of a pull actor are in its heap for good, so that a message
 * never needs memory for its place there: by priority, then by the age of the
 * first message, then those without any. */
bool queue_rank(struct port *p)
{
    if (p->actor == NULL || p->ending || p->actor->push) {
        return true;
    }
    uint64_t rank = DEADLINE_NEVER;
    if (p->enabled) {
        const struct list *first = list_first(&p->queue);
        rank = RANK_LAST;
        if (first != NULL && !p->frozen) {
            rank = (uint64_t)p->priority << 56 |
                   LIST_ENTRY(p->queue.next, struct parcel, node)->order;
        }
    }
    return deadline_set(&p->actor->ready, &p->ready, rank);
}

static void rank(struct port *p)
{
    if (p->enabled) {
        CHECK(queue_rank(p));
    }
}

/* ---- In and out ---------------------------------------------------------- */

/* Gives a message to the actor. Takes its data. */
static void give(struct nucleus *n, struct port *p, uint64_t token,
                 const struct parcel *q)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_DELIVER);
    e->actor = p->actor->ui;
    e->token = token;
    e->port = p->ui;
    e->src = q->src;
    e->msg = q->msg;
    e->target = q->msg.target;
    e->seq = q->seq;
    trace(n, TRACE_DELIVER, (uint32_t)q->msg.kind, p->ui.lo, q->seq);
    if (q->msg.kind == MSG_NEWS) {
        e->subject = q->src;
        e->watch = q->msg.call;
        e->news = (enum motet_news)q->msg.status;
        return;
    }
    n->counts.delivered++;
    if (q->held != NULL) {
        e->src = q->msg.reply_to;
        e->held = q->held->id;
        held_delivered(n, q->held, &q->msg);
    }
}

/* Whether the actor takes a message of this port now. */
static bool receiver(const struct port *p, struct waiter **w)
{
    *w = NULL;
    if (p->frozen) {
        return false;
    }
    if (p->actor->push) {
        return p->enabled;
    }
    *w = waiter_for(p);
    return *w != NULL;
}

/* Past an empty queue, straight to the actor. @return false if it must queue */
static bool straight(struct nucleus *n, struct port *p, const struct parcel *q)
{
    struct waiter *w;
    if (!list_empty(&p->queue) || !fx_ready(n) || !receiver(p, &w)) {
        return false;
    }
    const uint64_t token = w != NULL ? w->token : 0;
    if (w != NULL) {
        waiter_free(n, w);
    }
    give(n, p, token, q);
    return true;
}

static void enqueue(struct nucleus *n, struct port *p, struct parcel *q)
{
    q->state = PARCEL_QUEUED;
    q->port = p;
    q->queued_ns = n->now_ns;
    q->order = ++n->arrivals;
    list_append(&p->queue, &q->node);
    if (q->msg.kind != MSG_NEWS) {
        p->msgs++;
        p->bytes += msg_bytes(&q->msg);
        n->counts.queued_msgs++;
        n->counts.queued_bytes += msg_bytes(&q->msg);
    }
    trace(n, TRACE_ACCEPT, (uint32_t)q->msg.kind, p->ui.lo, q->seq);
    if (p->queue.next == &q->node) {
        rank(p);
    }
    struct waiter *w;
    if (receiver(p, &w) && !list_linked(&p->work)) {
        list_append(&n->work, &p->work); /* only the effects were short */
    }
}

enum motet_err queue_accept(struct nucleus *n, struct port *p,
                            struct motet_ui src, const struct msg *msg,
                            struct held *held)
{
    struct parcel passing;
    passing.src = src;
    passing.msg = *msg;
    passing.held = held;
    passing.seq = p->seq + 1;
    if (straight(n, p, &passing)) {
        p->seq++;
        return MOTET_OK;
    }
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_INBOUND, &err);
    if (q == NULL) {
        return err;
    }
    p->seq++;
    q->src = src;
    q->dst = p->ui;
    q->msg = *msg;
    q->seq = p->seq;
    q->held = held;
    if (held != NULL) {
        held->parcel = q;
    }
    enqueue(n, p, q);
    return MOTET_OK;
}

void queue_put(struct nucleus *n, struct port *p, struct parcel *q)
{
    p->seq++;
    q->seq = p->seq;
    if (!straight(n, p, q)) {
        enqueue(n, p, q);
        return;
    }
    q->msg.data = NULL;
    parcel_free(n, q);
}

void queue_park(struct nucleus *n, struct port *p, struct parcel *q)
{
    q->state = PARCEL_PARKED;
    q->port = p;
    list_append(&p->side->parked, &q->node);
    if (q->msg.kind != MSG_NEWS) {
        p->side->parked_count++;
        n->counts.waiters++;
    }
    trace(n, TRACE_PARK, (uint32_t)q->msg.kind, q->src.lo, p->ui.lo);
}

void queue_remove(struct nucleus *n, struct parcel *q)
{
    struct port *p = q->port;
    const bool first = p->queue.next == &q->node;
    list_remove(&q->node);
    if (q->state == PARCEL_PARKED) {
        deadline_clear(&n->timers, &q->timer);
        if (q->msg.kind != MSG_NEWS) {
            p->side->parked_count--;
            n->counts.waiters--;
        }
        return;
    }
    if (q->msg.kind != MSG_NEWS) {
        p->msgs--;
        p->bytes -= msg_bytes(&q->msg);
        n->counts.queued_msgs--;
        n->counts.queued_bytes -= msg_bytes(&q->msg);
    }
    if (first) {
        rank(p);
    }
}

void queue_news(struct nucleus *n, struct port *p, struct parcel *q)
{
    if (p->ending) {
        parcel_free(n, q);
    } else if (parked(p) || p->frozen) {
        queue_park(n, p, q);
    } else {
        queue_put(n, p, q);
    }
}

static void drop_news(struct nucleus *n, struct list *head, uint64_t watch)
{
    list_foreach (node, head) {
        struct parcel *q = LIST_ENTRY(node, struct parcel, node);
        if (q->msg.kind == MSG_NEWS && q->msg.call == watch) {
            queue_remove(n, q);
            parcel_free(n, q);
        }
    }
}

void queue_drop_news(struct nucleus *n, struct port *p, uint64_t watch)
{
    drop_news(n, &p->queue, watch);
    drop_news(n, &p->side->parked, watch);
    queue_work(n, p);
}

void queue_deliver(struct nucleus *n, struct port *p, uint64_t token)
{
    struct parcel *q = LIST_ENTRY(p->queue.next, struct parcel, node);
    queue_remove(n, q);
    give(n, p, token, q);
    q->msg.data = NULL;
    parcel_free(n, q);
}

/* ---- Those who wait ------------------------------------------------------ */

enum motet_err queue_want(struct nucleus *n, struct port *p,
                          struct motet_ui src)
{
    enum motet_err err = MOTET_E_NO_MEMORY;
    struct port_side *s = port_side(n, p);
    if (s == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    if (map_get(&s->wants, src.hi, src.lo) != NULL) {
        return MOTET_E_AGAIN;
    }
    struct want *w = pool_take_or(&n->want_pool, &err);
    if (w == NULL) {
        return err;
    }
    if (!map_put(&s->wants, src.hi, src.lo, w)) {
        pool_put(&n->want_pool, w);
        return MOTET_E_NO_MEMORY;
    }
    w->src = src;
    list_append(&s->wanting, &w->node);
    return MOTET_E_AGAIN;
}

void queue_unwant(struct nucleus *n, struct port *p, struct want *w)
{
    (void)map_remove(&p->side->wants, w->src.hi, w->src.lo);
    list_remove(&w->node);
    pool_put(&n->want_pool, w);
}

/* Each of these does one unit. @return false if there is nothing to do */

static bool serve(struct nucleus *n, struct port *p)
{
    struct waiter *w;
    if (list_empty(&p->queue) || !receiver(p, &w)) {
        return false;
    }
    const uint64_t token = w != NULL ? w->token : 0;
    if (w != NULL) {
        waiter_free(n, w);
    }
    queue_deliver(n, p, token);
    return true;
}

static bool invite_net(struct nucleus *n, struct port *p)
{
    if (!p->starved || !half_free(n, p)) {
        return false;
    }
    p->starved = false;
    p->run = 0;
    p->rival = true;
    fx_put(&n->fx, NUC_NET_ROOM)->port = p->ui;
    return true;
}

static bool admit(struct nucleus *n, struct port *p)
{
    if (!parked(p)) {
        return false;
    }
    struct parcel *q = LIST_ENTRY(p->side->parked.next, struct parcel, node);
    if (q->msg.kind != MSG_NEWS &&
        !queue_fits(n, p, msg_bytes(&q->msg), QUEUE_LOCAL)) {
        return false;
    }
    queue_remove(n, q);
    parcel_accepted(n, q);
    queue_put(n, p, q);
    return true;
}

static bool invite_sender(struct nucleus *n, struct port *p)
{
    if (p->side == NULL || list_empty(&p->side->wanting) || parked(p) ||
        !half_free(n, p)) {
        return false;
    }
    struct want *w = LIST_ENTRY(p->side->wanting.next, struct want, node);
    const struct port *src = port_get(n, w->src);
    if (src != NULL && src->actor != NULL) {
        struct nuc_effect *e = fx_put(&n->fx, NUC_ROOM);
        e->actor = src->actor->ui;
        e->port = src->ui;
        e->dst = p->ui;
    }
    queue_unwant(n, p, w);
    return true;
}

void queue_work(struct nucleus *n, struct port *p)
{
    if (p->ending) {
        return; /* port_end_work() is due */
    }
    list_remove(&p->work);
    if (p->frozen) {
        return; /* thaw() asks again */
    }
    while (fx_ready(n)) {
        if (!serve(n, p) && !invite_net(n, p) && !admit(n, p) &&
            !invite_sender(n, p)) {
            p->rival = p->rival && p->msgs > 0;
            return;
        }
    }
    list_append(&n->work, &p->work);
}
