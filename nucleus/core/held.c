#include "core.h"

/* Requests at the ports here, from their acceptance to the reply. */

struct held *held_get(const struct nucleus *n, uint64_t id)
{
    struct held *h = ids_at(&n->helds, id);
    return h != NULL && h->id == id ? h : ids_adopted(&n->helds, id);
}

struct held *held_find(const struct nucleus *n, struct motet_ui caller,
                       uint64_t call)
{
    struct held *h = map_get(&n->held_by_caller, ui_fold(n, caller), call);
    return h != NULL && ui_equal(h->msg.reply_to, caller) ? h : NULL;
}

/* Makes a remote caller's findable: by its call, and by its site. */
static bool tie(struct nucleus *n, struct held *h, struct place_of place,
                enum motet_err *err)
{
    const struct motet_ui caller = h->msg.reply_to;
    place = place_or_birth(place, caller);
    struct peer *peer = peer_want(n, place.site, err);
    if (peer == NULL) {
        return false;
    }
    if (!map_put(&n->held_by_caller, ui_fold(n, caller), h->msg.call, h)) {
        peer_unwant(n, peer);
        *err = MOTET_E_NO_MEMORY;
        return false;
    }
    h->remote = true;
    bond_tie(&h->bond, peer, &peer->helds, place.incarnation);
    return true;
}

bool held_globalize(struct nucleus *n, struct held *h)
{
    enum motet_err err;
    const struct place_of here = {.site = n->cfg.site,
                                  .incarnation = n->cfg.incarnation};
    struct call *c = h->call;
    struct peer *self = peer_want(n, here.site, &err);
    if (self == NULL || !tie(n, h, here, &err)) {
        return false;
    }
    if (!h->delivered && !deadline_set(&n->timers, &h->timer, h->deadline_ns)) {
        (void)map_remove(&n->held_by_caller, ui_fold(n, h->msg.reply_to),
                         h->msg.call);
        bond_cut(n, &h->bond);
        h->remote = false;
        return false;
    }
    h->call = NULL;
    c->held = NULL;
    bond_cut(n, &c->bond);
    bond_tie(&c->bond, self, &self->calls, here.incarnation);
    return true;
}

/* The id that a request brings along, or a new one. */
static struct held *take_id(struct nucleus *n, uint64_t *id,
                            enum motet_err *err)
{
    if (*id == 0) {
        return ids_take(&n->helds, id, err);
    }
    if (held_get(n, *id) != NULL) {
        *err = MOTET_E_EXISTS;
        return NULL;
    }
    return ids_adopt(&n->helds, *id, err);
}

struct held *held_new(struct nucleus *n, struct port *p, const struct msg *msg,
                      struct call *call, struct place_of place, uint64_t id,
                      enum motet_err *err)
{
    if (call == NULL && map_get(&n->held_by_caller, ui_fold(n, msg->reply_to),
                                msg->call) != NULL) {
        *err = MOTET_E_PROTOCOL; /* a call has one request */
        return NULL;
    }
    *err = MOTET_E_NO_MEMORY;
    if (port_side(n, p) == NULL) {
        return NULL;
    }
    struct held *h = take_id(n, &id, err);
    if (h == NULL) {
        return NULL;
    }
    h->id = id;
    h->port = p;
    h->call = call;
    h->timer.kind = TIMER_HELD;
    h->msg = *msg;
    h->msg.data = NULL;
    h->deadline_ns = DEADLINE_NEVER;
    if (msg->remaining_ms != 0) {
        h->deadline_ns = n->now_ns + msg->remaining_ms * NS_PER_MS;
    }
    if (call == NULL && !tie(n, h, place, err)) {
        ids_put(&n->helds, h, id);
        return NULL;
    }
    list_append(&p->side->helds, &h->of_port);
    return h;
}

static void untie(struct nucleus *n, struct held *h)
{
    if (h->remote) {
        (void)map_remove(&n->held_by_caller, ui_fold(n, h->msg.reply_to),
                         h->msg.call);
        bond_cut(n, &h->bond);
        h->remote = false;
    }
    if (h->call != NULL) {
        h->call->held = NULL;
        h->call = NULL;
    }
}

void held_free(struct nucleus *n, struct held *h)
{
    untie(n, h);
    bond_cut(n, &h->holder);
    list_remove(&h->of_port);
    deadline_clear(&n->timers, &h->timer);
    buf_unref(h->msg.data);
    ids_put(&n->helds, h, h->id);
}

void held_delivered(struct nucleus *n, struct held *h, const struct msg *msg)
{
    deadline_clear(&n->timers, &h->timer);
    h->parcel = NULL;
    h->delivered = true;
    h->msg.annex_bytes = msg->annex_bytes; /* unknown while it moved */
    h->msg.data = buf_ref(msg->data);
}

/* ---- Its end ------------------------------------------------------------- */

void held_answer(struct nucleus *n, struct held *h, struct motet_ui from,
                 enum motet_err err)
{
    struct call *c = h->call;
    if (c != NULL) {
        held_free(n, h);
        call_finish(n, c, err, NULL);
        return;
    }
    if (h->remote) {
        const struct msg reply = {
            .kind = MSG_REPLY,
            .status = (uint16_t)err,
            .call = h->msg.call,
        };
        parcel_inner(n, from, h->msg.reply_to, &reply);
    }
    held_free(n, h);
}

static void tell_cancelled(struct nucleus *n, const struct held *h)
{
    const struct actor *a = h->port->actor;
    trace(n, TRACE_CANCEL, 1, h->id, h->port->ui.lo);
    if (a == NULL) {
        return;
    }
    struct nuc_effect *e = fx_put(&n->fx, NUC_CANCELLED);
    e->actor = a->ui;
    e->port = h->port->ui;
    e->held = h->id;
}

void held_cancel(struct nucleus *n, struct held *h)
{
    struct parcel *q = h->parcel;
    struct port *p = h->port;
    if (q == NULL) {
        tell_cancelled(n, h);
        held_free(n, h);
        return;
    }
    h->parcel = NULL;
    if (h->delivered) { /* being forwarded */
        q->role = PARCEL_ORPHAN;
        q->held = NULL;
        fx_put(&n->fx, NUC_NET_CANCEL)->ticket = q->ticket;
        held_free(n, h);
        return;
    }
    held_free(n, h);
    queue_remove(n, q);
    parcel_free(n, q);
    n->counts.refused++;
    queue_work(n, p);
}

/* The deadline of a remote caller passed while its request was queued. */
void held_expired(struct nucleus *n, struct held *h)
{
    struct parcel *q = h->parcel;
    struct port *p = h->port;
    CHECK(q != NULL && !h->delivered);
    queue_remove(n, q);
    parcel_free(n, q);
    h->parcel = NULL;
    n->counts.refused++;
    held_answer(n, h, p->ui, MOTET_E_TIMEOUT);
    queue_work(n, p);
}

void held_abandon(struct nucleus *n, struct held *h, enum motet_err err)
{
    if (h->parcel == NULL) {
        held_answer(n, h, h->port->ui, err);
        return;
    }
    /* Being forwarded: its outcome is for the caller, whoever lives here. */
    list_remove(&h->of_port);
    h->port = NULL;
}

/* ---- Replies ------------------------------------------------------------- */

/* The delivered request `in->held` of the actor. NULL and the reason in *err */
static struct held *owed(const struct nucleus *n, const struct nuc_in *in,
                         enum motet_err *err)
{
    struct held *h = held_get(n, in->held);
    *err = MOTET_E_STATE;
    if (h == NULL || h->port == NULL || !h->delivered || h->parcel != NULL) {
        return NULL;
    }
    if (h->port->actor == NULL || !ui_equal(h->port->actor->ui, in->actor)) {
        *err = MOTET_E_PERMISSION;
        return NULL;
    }
    if (h->port->frozen) {
        *err = MOTET_E_MOVING;
        return NULL;
    }
    return h;
}

static enum motet_err reply_away(struct nucleus *n, const struct held *h,
                                 const struct msg *reply)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_INNER, &err);
    if (q == NULL) {
        return err;
    }
    q->src = h->port->ui;
    q->dst = h->msg.reply_to;
    q->msg = *reply;
    q->wait = true;
    q->deadline_ns = h->deadline_ns; /* after which nobody waits for it */
    parcel_to_net(n, q);
    return MOTET_OK;
}

enum motet_err held_reply(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    struct held *h = owed(n, in, &err);
    if (h == NULL && err != MOTET_E_STATE && err != MOTET_E_PERMISSION) {
        return err;
    }
    if (msg_check(n, &in->msg) != MOTET_OK) {
        return msg_check(n, &in->msg);
    }
    if (in->msg.status >= MOTET_E_COUNT) {
        return MOTET_E_INVALID;
    }
    if (h == NULL) {
        const enum motet_err after = debt_reply(n, in);
        return after == MOTET_E_STATE ? err : after;
    }
    return held_answered(n, h, &in->msg);
}

enum motet_err held_answered(struct nucleus *n, struct held *h,
                             const struct msg *answer)
{
    const struct msg reply = {
        .kind = MSG_REPLY,
        .annex_bytes = answer->annex_bytes,
        .status = answer->status,
        .call = h->msg.call,
        .pi = port_pi(h->port),
        .data = answer->data,
    };
    if (h->remote) {
        const enum motet_err err = reply_away(n, h, &reply);
        if (err != MOTET_OK) {
            return err;
        }
    }
    trace(n, TRACE_REPLY, answer->status, h->id, h->port->ui.lo);
    struct call *c = h->call;
    held_free(n, h);
    if (c != NULL) {
        call_finish(n, c, (enum motet_err)reply.status, &reply);
    }
    return MOTET_OK;
}

/* ---- Forwarding ---------------------------------------------------------- */

/* How often the request has been handed on, once it is so again. Each of those
 * who did so tells the caller, and what they tell may cross on its way. */
static uint16_t hops_after(const struct msg *request)
{
    return (uint16_t)(request->status + 1);
}

/* The request as it goes on: the caller's identity, what is left of its time.
 */
static struct msg onward(const struct nucleus *n, const struct held *h,
                         struct motet_ui target)
{
    struct msg m = h->msg;
    m.status = hops_after(&h->msg);
    m.target = ui_is_group(target) ? target : (struct motet_ui){0};
    if (h->deadline_ns != DEADLINE_NEVER) {
        const uint64_t left_ns = h->deadline_ns - n->now_ns;
        m.remaining_ms = (uint32_t)((left_ns - 1) / NS_PER_MS + 1);
    }
    return m;
}

static void tell_forwarded(struct nucleus *n, const struct held *h,
                           struct motet_ui from, struct motet_ui to,
                           struct place_of place)
{
    const struct msg note = {
        .kind = MSG_FORWARDED,
        .status = hops_after(&h->msg),
        .call = h->msg.call,
        .reply_to = to,
        .target = {.hi = place.site, .lo = place.incarnation},
    };
    parcel_inner(n, from, h->msg.reply_to, &note);
}

/* To another port here: the same request, held by another. */
static enum motet_err forward_here(struct nucleus *n, struct held *h,
                                   struct port *to, const struct msg *msg)
{
    struct port *from = h->port;
    if (!queue_open(n, to, msg_bytes(msg))) {
        return queue_want(n, to, from->ui);
    }
    if (port_side(n, to) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    if (h->remote && !deadline_set(&n->timers, &h->timer, h->deadline_ns)) {
        return MOTET_E_NO_MEMORY;
    }
    h->delivered = false;
    h->port = to;
    struct buf *data = h->msg.data;
    h->msg.data = NULL;
    const enum motet_err err = queue_accept(n, to, from->ui, msg, h);
    if (err != MOTET_OK) {
        deadline_clear(&n->timers, &h->timer);
        h->delivered = true;
        h->port = from;
        h->msg.data = data;
        return err;
    }
    bond_cut(n, &h->holder);
    list_remove(&h->of_port);
    list_append(&to->side->helds, &h->of_port);
    if (h->call != NULL) {
        h->call->server = to->ui;
        h->call->hops = msg->status;
    } else {
        tell_forwarded(n, h, from->ui, to->ui,
                       (struct place_of){.site = n->cfg.site,
                                         .incarnation = n->cfg.incarnation});
    }
    h->msg.status = msg->status;
    return MOTET_OK;
}

static enum motet_err forward_away(struct nucleus *n, struct held *h,
                                   struct motet_ui dst, const struct msg *msg)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_FORWARD, &err);
    if (q == NULL) {
        return err;
    }
    q->src = h->port->ui;
    q->dst = dst;
    q->msg = *msg;
    q->held = h;
    q->wait = true;
    q->forwarded = true;
    q->deadline_ns = h->deadline_ns;
    h->parcel = q;
    bond_cut(n, &h->holder); /* it is in nobody's hand now */
    h->msg.data = NULL;
    parcel_to_net(n, q);
    return MOTET_OK;
}

enum motet_err held_forward(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    struct motet_ui dst = in->dest.target;
    struct port *to;
    struct held *h = owed(n, in, &err);
    if (h == NULL) {
        return err;
    }
    if (h->deadline_ns <= n->now_ns) {
        return MOTET_E_TIMEOUT;
    }
    if (h->msg.status >= FORWARDS_MAX) {
        return MOTET_E_LIMIT;
    }
    if (ui_is_group(dst)) {
        err = in->dest.mode == MOTET_TO_ALL ? MOTET_E_INVALID
                                            : group_pick(n, &in->dest, &dst);
        if (err != MOTET_OK) {
            return err;
        }
    }
    err = route(n, h->port, dst, &to);
    if (err != MOTET_OK) {
        return err;
    }
    const struct msg msg = onward(n, h, in->dest.target);
    return to != NULL ? forward_here(n, h, to, &msg)
                      : forward_away(n, h, dst, &msg);
}

void held_forwarded(struct nucleus *n, struct held *h, struct motet_ui server,
                    struct place_of place, enum motet_err err)
{
    const struct motet_ui from = h->parcel->src;
    const uint16_t hops = hops_after(&h->msg);
    struct call *c = h->call;
    h->parcel = NULL;
    if (err != MOTET_OK) {
        held_answer(n, h, from, err);
        return;
    }
    if (c == NULL) {
        tell_forwarded(n, h, from, server, place);
    }
    held_free(n, h);
    if (c != NULL) {
        call_moved(n, c, server, place, hops);
    }
}
