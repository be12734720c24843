#include "core.h"

/* Calls made here, from the request to the one completion. */

struct call *call_get(const struct nucleus *n, uint64_t id)
{
    struct call *c = ids_at(&n->calls, id);
    return c != NULL && c->id == id ? c : ids_adopted(&n->calls, id);
}

static void free_call(struct nucleus *n, struct call *c)
{
    list_remove(&c->of_port);
    bond_cut(n, &c->bond);
    deadline_clear(&n->timers, &c->timer);
    ids_put(&n->calls, c, c->id);
}

void call_forget(struct nucleus *n, struct call *c)
{
    CHECK(c->held == NULL);
    if (c->leg != NULL) {
        c->leg->call = NULL;
        c->leg->role = PARCEL_INBOUND;
    }
    free_call(n, c);
}

static void tell_done(struct nucleus *n, const struct call *c,
                      enum motet_err err, const struct msg *reply)
{
    const struct actor *a = c->port->actor;
    if (a == NULL) {
        buf_unref(reply != NULL ? reply->data : NULL);
        return;
    }
    struct nuc_effect *e = fx_put(&n->fx, NUC_CALL_DONE);
    e->actor = a->ui;
    e->port = c->port->ui;
    e->call = c->id;
    e->err = err;
    if (reply == NULL) {
        return;
    }
    if (err == MOTET_OK) {
        e->msg = *reply;
    } else {
        buf_unref(reply->data);
    }
}

void call_finish(struct nucleus *n, struct call *c, enum motet_err err,
                 const struct msg *reply)
{
    trace(n, TRACE_CALL_END, (uint32_t)err, c->id, c->port->ui.lo);
    if (c->leg != NULL) {
        c->leg->call = NULL; /* answered before its acceptance was known */
        c->leg->role = PARCEL_INBOUND;
    }
    struct held *h = c->held;
    if (h != NULL) {
        h->call = NULL;
    }
#ifdef MOTET_BUG_ANSWER_TWICE
    tell_done(n, c, err, NULL);
#endif
    tell_done(n, c, err, reply);
    free_call(n, c);
    if (h != NULL) {
        held_cancel(n, h);
    }
}

static void send_cancel(struct nucleus *n, const struct call *c)
{
    const struct msg cancel = {
        .kind = MSG_CANCEL,
        .call = c->id,
        .reply_to = c->port->ui,
    };
    trace(n, TRACE_CANCEL, 0, c->id, c->server.lo);
    parcel_inner(n, c->port->ui, c->server, &cancel);
}

/* ---- Making one ---------------------------------------------------------- */

static struct call *new_call(struct nucleus *n, struct port *src,
                             uint64_t deadline_ns, enum motet_err *err)
{
    uint64_t id;
    *err = MOTET_E_NO_MEMORY;
    if (port_side(n, src) == NULL) {
        return NULL;
    }
    struct call *c = ids_take(&n->calls, &id, err);
    if (c == NULL) {
        return NULL;
    }
    c->id = id;
    c->port = src;
    c->timer.kind = TIMER_CALL;
    if (!deadline_set(&n->timers, &c->timer, deadline_ns)) {
        *err = MOTET_E_NO_MEMORY;
        ids_put(&n->calls, c, id);
        return NULL;
    }
    list_append(&src->side->calls, &c->of_port);
    return c;
}

/* What is left, rounded up; 0 = no deadline. */
static uint32_t remaining_ms(const struct nucleus *n, uint64_t deadline_ns)
{
    if (deadline_ns == DEADLINE_NEVER) {
        return 0;
    }
    const uint64_t left_ns =
        deadline_ns > n->now_ns ? deadline_ns - n->now_ns : 1;
    const uint64_t ms = (left_ns - 1) / NS_PER_MS + 1;
    return ms < UINT32_MAX ? (uint32_t)ms : 0;
}

static struct msg stamp(const struct nucleus *n, const struct nuc_in *in,
                        const struct call *c)
{
    struct msg m = {
        .kind = MSG_REQUEST,
        .annex_bytes = in->msg.annex_bytes,
        .remaining_ms = remaining_ms(n, in->deadline_ns),
        .call = c->id,
        .reply_to = c->port->ui,
        .pi = port_pi(c->port),
        .data = in->msg.data,
    };
    if (ui_is_group(in->dest.target)) {
        m.target = in->dest.target;
    }
    return m;
}

static struct parcel *pack(struct nucleus *n, struct call *c,
                           const struct msg *msg, struct motet_ui dst,
                           enum motet_err *err)
{
    struct parcel *q = parcel_take(n, PARCEL_REQUEST, err);
    if (q != NULL) {
        q->wait = true;
        q->src = c->port->ui;
        q->dst = dst;
        q->msg = *msg;
        q->call = c;
        q->deadline_ns =
            deadline_armed(&c->timer) ? c->timer.at_ns : DEADLINE_NEVER;
    }
    return q;
}

static enum motet_err park(struct nucleus *n, struct call *c, struct port *to,
                           const struct msg *msg, struct held *h)
{
    enum motet_err err;
    if (n->counts.waiters >= n->cfg.limits.waiters_max) {
        return MOTET_E_LIMIT;
    }
    struct parcel *q = pack(n, c, msg, to->ui, &err);
    if (q == NULL) {
        return err;
    }
    q->held = h;
    h->parcel = q;
    queue_park(n, to, q);
    return MOTET_OK;
}

/* To a port here. Takes msg->data on success. */
static enum motet_err place_here(struct nucleus *n, struct call *c,
                                 struct port *to, const struct msg *msg)
{
    enum motet_err err;
    struct held *h = held_new(n, to, msg, c, (struct place_of){0}, 0, &err);
    if (h == NULL) {
        return err;
    }
    c->held = h;
    if (queue_open(n, to, msg_bytes(msg))) {
        trace(n, TRACE_SEND, MSG_REQUEST, c->port->ui.lo, to->ui.lo);
        err = queue_accept(n, to, c->port->ui, msg, h);
    } else {
        err = park(n, c, to, msg, h);
    }
    if (err != MOTET_OK) {
        held_free(n, h);
    }
    return err;
}

static enum motet_err place_away(struct nucleus *n, struct call *c,
                                 struct motet_ui dst, const struct msg *msg)
{
    enum motet_err err;
    struct parcel *q = pack(n, c, msg, dst, &err);
    if (q == NULL) {
        return err;
    }
    c->leg = q;
    parcel_to_net(n, q);
    return MOTET_OK;
}

static enum motet_err place(struct nucleus *n, struct call *c,
                            struct motet_ui dst, const struct msg *msg)
{
    struct port *to;
    enum motet_err err = route(n, c->port, dst, &to);
    if (err != MOTET_OK) {
        return err;
    }
    c->server = dst;
    return to != NULL ? place_here(n, c, to, msg) : place_away(n, c, dst, msg);
}

/* No member to call yet. */
static enum motet_err await_member(struct nucleus *n, const struct nuc_in *in,
                                   struct call *c, const struct msg *msg)
{
    enum motet_err err;
    if (n->counts.waiters >= n->cfg.limits.waiters_max) {
        return MOTET_E_LIMIT;
    }
    struct group *g = group_want(n, in->dest.target, &err);
    if (g == NULL) {
        return err;
    }
    struct parcel *q = pack(n, c, msg, (struct motet_ui){0}, &err);
    if (q == NULL) {
        group_unwant(n, g);
        return err;
    }
    c->leg = q;
    q->dest = in->dest;
    q->state = PARCEL_WAITING;
    list_append(&g->waiting, &q->node);
    n->counts.waiters++;
    trace(n, TRACE_PARK, MSG_REQUEST, c->port->ui.lo, g->ui.lo);
    return MOTET_OK;
}

static enum motet_err start(struct nucleus *n, const struct nuc_in *in,
                            struct call *c)
{
    const struct msg msg = stamp(n, in, c);
    struct motet_ui dst = in->dest.target;
    if (ui_is_group(dst)) {
        const enum motet_err err = group_pick(n, &in->dest, &dst);
        if (err == MOTET_E_NO_MEMBER && in->dest.wait) {
            return await_member(n, in, c, &msg);
        }
        if (err != MOTET_OK) {
            return err;
        }
    }
    return place(n, c, dst, &msg);
}

enum motet_err call_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out)
{
    enum motet_err err;
    struct port *src = port_of(n, in->port, in->actor, &err);
    if (src == NULL) {
        return err == MOTET_E_NO_PORT ? MOTET_E_INVALID : err;
    }
    err = msg_check(n, &in->msg);
    if (err != MOTET_OK) {
        return err;
    }
    if (ui_is_group(in->dest.target) && in->dest.mode == MOTET_TO_ALL) {
        return MOTET_E_INVALID;
    }
    if (in->deadline_ns <= n->now_ns) {
        return MOTET_E_TIMEOUT;
    }
    struct call *c = new_call(n, src, in->deadline_ns, &err);
    if (c == NULL) {
        return err;
    }
    const uint64_t id = c->id;
    trace(n, TRACE_CALL, 0, id, src->ui.lo);
    err = start(n, in, c);
    if (err != MOTET_OK) {
        free_call(n, c);
        return err;
    }
    out->call = id;
    n->counts.sent++;
    return MOTET_OK;
}

void call_woken(struct nucleus *n, struct parcel *q)
{
    struct call *c = q->call;
    c->leg = NULL;
    const enum motet_err err = place(n, c, q->dst, &q->msg);
    if (err == MOTET_OK) {
        q->msg.data = NULL;
    } else {
        count_outcome(n, err);
        call_finish(n, c, err, NULL);
    }
    parcel_free(n, q);
}

/* ---- Its end from this side ---------------------------------------------- */

static void leave_group(struct nucleus *n, struct call *c)
{
    struct parcel *q = c->leg;
    struct group *g = group_get(n, q->dest.target);
    c->leg = NULL;
    parcel_unwait(n, q);
    n->counts.refused++;
    parcel_free(n, q);
    group_unwant(n, g);
}

static void give_up_here(struct nucleus *n, struct call *c, enum motet_err no,
                         enum motet_err maybe)
{
    const struct held *h = c->held;
    const bool fresh = !h->delivered;
    const bool full = fresh && h->parcel->state == PARCEL_PARKED;
    if (full && no == MOTET_E_TIMEOUT) {
        no = MOTET_E_FULL;
    }
    call_finish(n, c, fresh ? no : maybe, NULL);
}

void call_give_up(struct nucleus *n, struct call *c, enum motet_err no,
                  enum motet_err maybe)
{
    if (c->no != MOTET_OK) {
        return;
    }
    if (c->held != NULL) {
        give_up_here(n, c, no, maybe);
    } else if (c->leg == NULL) {
        send_cancel(n, c);
        call_finish(n, c, maybe, NULL);
    } else if (c->leg->state == PARCEL_WAITING) {
        leave_group(n, c);
        call_finish(n, c, no == MOTET_E_TIMEOUT ? MOTET_E_NO_MEMBER : no, NULL);
    } else {
        c->no = no;
        c->maybe = maybe;
        parcel_ask_back(n, c->leg);
    }
}

void call_abandon(struct nucleus *n, struct call *c)
{
    if (c->held == NULL && c->leg != NULL && c->leg->state != PARCEL_WAITING) {
        if (c->no == MOTET_OK) {
            parcel_ask_back(n, c->leg);
        }
        c->leg->role = PARCEL_ORPHAN;
        c->leg->call = NULL;
        c->leg = NULL;
        call_finish(n, c, MOTET_E_MAYBE_CLOSED, NULL);
        return;
    }
    call_give_up(n, c, MOTET_E_CLOSED, MOTET_E_MAYBE_CLOSED);
}

void call_expired(struct nucleus *n, struct call *c)
{
    call_give_up(n, c, MOTET_E_TIMEOUT, MOTET_E_MAYBE_TIMEOUT);
}

enum motet_err call_cancel(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    (void)out;
    struct call *c = call_get(n, in->call);
    if (c == NULL) {
        return MOTET_E_STATE;
    }
    if (c->port->actor == NULL || !ui_equal(c->port->actor->ui, in->actor)) {
        return MOTET_E_PERMISSION;
    }
    if (c->port->frozen) {
        return MOTET_E_MOVING;
    }
    call_give_up(n, c, MOTET_E_CANCELLED, MOTET_E_MAYBE_CANCELLED);
    return MOTET_OK;
}

/* ---- What happens to it -------------------------------------------------- */

/* Ties it to where its request is now. */
static void tie(struct nucleus *n, struct call *c, struct place_of place)
{
    enum motet_err err;
    struct peer *p = peer_want(n, place.site, &err);
    if (p != NULL) { /* else its deadline remains */
        bond_tie(&c->bond, p, &p->calls, place.incarnation);
    }
}

void call_leg(struct nucleus *n, struct call *c, enum motet_err err,
              struct place_of place)
{
    c->leg = NULL;
    if (err != MOTET_OK && motet_err_ran(err) == MOTET_RAN_NO) {
        const bool back = err == MOTET_E_CANCELLED && c->no != MOTET_OK;
        call_finish(n, c, back ? c->no : err, NULL);
        return;
    }
    if (c->held != NULL) {
        return; /* it was forwarded to a port here in the meantime */
    }
    if (c->no != MOTET_OK) {
        send_cancel(n, c);
        call_finish(n, c, c->maybe, NULL);
        return;
    }
    if (err != MOTET_OK) {
        send_cancel(n, c);
        call_finish(n, c, err, NULL);
        return;
    }
    if (c->bond.peer == NULL && !c->bereft) {
        tie(n, c, place);
    }
    if (c->bereft || bond_dead(&c->bond)) {
        call_finish(n, c, MOTET_E_MAYBE_SITE_DEAD, NULL);
    }
}

void call_moved(struct nucleus *n, struct call *c, struct motet_ui server,
                struct place_of place, uint16_t hops)
{
    if (hops <= c->hops) {
        return; /* further on already */
    }
    /* It may seem to be here still: that it left is not acknowledged yet. */
    c->hops = hops;
    bond_cut(n, &c->bond);
    c->server = server;
    c->bereft = false;
    tie(n, c, place_or_birth(place, server));
    if (bond_dead(&c->bond)) {
        call_bereft(n, c);
    }
}

void call_bereft(struct nucleus *n, struct call *c)
{
    if (c->leg != NULL) {
        bond_cut(n, &c->bond);
        c->bereft = true;
        return;
    }
    call_finish(n, c, MOTET_E_MAYBE_SITE_DEAD, NULL);
}
