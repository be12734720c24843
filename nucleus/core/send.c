#include "core.h"

/* One-way messages. A message goes to a queue here or to the network manager;
 * the sender cannot tell which, but by time. */

enum motet_err msg_check(const struct nucleus *n, const struct msg *msg)
{
    if (msg->annex_bytes > MOTET_ANNEX_MAX ||
        msg->annex_bytes > msg_bytes(msg)) {
        return MOTET_E_INVALID;
    }
    if (msg_body_bytes(msg) > n->cfg.limits.body_bytes_max) {
        return MOTET_E_TOO_BIG;
    }
    return MOTET_OK;
}

enum motet_err route(const struct nucleus *n, const struct port *src,
                     struct motet_ui ui, struct port **port)
{
    *port = port_get(n, ui);
    if (*port != NULL) {
        if ((*port)->global || (src != NULL && src->global)) {
            *port = NULL;
        }
        return MOTET_OK;
    }
    const enum ui_kind kind = ui_kind(ui);
    if ((kind != UI_PORT && kind != UI_CONTROL) || ui_site(ui) == 0) {
        return MOTET_E_INVALID;
    }
    if (ui_site(ui) != n->cfg.site || port_away(n, ui)) {
        return MOTET_OK;
    }
    if (kind == UI_PORT && ui_incarnation(ui) < n->cfg.incarnation) {
        return n->cfg.past_open ? MOTET_OK : MOTET_E_SITE_DEAD;
    }
    return MOTET_E_NO_PORT; /* ended, in this life */
}

void count_outcome(struct nucleus *n, enum motet_err err)
{
    if (err == MOTET_OK) {
        return;
    }
    if (motet_err_ran(err) == MOTET_RAN_MAYBE) {
        n->counts.maybe++;
    } else {
        n->counts.refused++;
    }
}

void send_tell(struct nucleus *n, struct motet_ui actor, struct motet_ui src,
               uint64_t token, enum nuc_notify notify, enum motet_err err)
{
    if (err == MOTET_OK && notify != NUC_NOTIFY_ALWAYS) {
        return;
    }
    if (actor_get(n, actor) == NULL) {
        return;
    }
    struct nuc_effect *e = fx_put(&n->fx, NUC_SENT);
    e->actor = actor;
    e->port = src;
    e->token = token;
    e->err = err;
}

static struct msg stamp(const struct nuc_in *in, const struct port *src)
{
    struct msg m = {
        .kind = MSG_SEND,
        .annex_bytes = in->msg.annex_bytes,
        .pi = port_pi(src),
        .data = in->msg.data,
    };
    if (ui_is_group(in->dest.target)) {
        m.target = in->dest.target;
    }
    return m;
}

static struct parcel *pack(struct nucleus *n, const struct nuc_in *in,
                           const struct port *src, struct motet_ui dst,
                           enum motet_err *err)
{
    struct parcel *q = parcel_take(n, PARCEL_SEND, err);
    if (q != NULL) {
        q->notify = in->notify;
        q->wait = in->wait;
        q->actor = src->actor->ui;
        q->src = src->ui;
        q->dst = dst;
        q->msg = stamp(in, src);
        q->token = in->token;
        q->deadline_ns = in->deadline_ns;
    }
    return q;
}

/* A parcel that will block: counted and with its deadline armed. On an error
 * its message is still the caller's. */
static struct parcel *pack_blocked(struct nucleus *n, const struct nuc_in *in,
                                   const struct port *src, struct motet_ui dst,
                                   enum motet_err *err)
{
    *err = MOTET_E_LIMIT;
    if (n->counts.waiters >= n->cfg.limits.waiters_max) {
        return NULL;
    }
    struct parcel *q = pack(n, in, src, dst, err);
    if (q != NULL && !deadline_set(&n->timers, &q->timer, in->deadline_ns)) {
        *err = MOTET_E_NO_MEMORY;
        q->msg.data = NULL;
        parcel_free(n, q);
        return NULL;
    }
    return q;
}

static enum motet_err send_here(struct nucleus *n, const struct nuc_in *in,
                                struct port *src, struct port *dst,
                                struct nuc_out *out)
{
    enum motet_err err;
    if (queue_open(n, dst, msg_bytes(&in->msg))) {
        const struct msg m = stamp(in, src);
        trace(n, TRACE_SEND, MSG_SEND, src->ui.lo, dst->ui.lo);
        err = queue_accept(n, dst, src->ui, &m, NULL);
        out->settled = err == MOTET_OK;
        return err;
    }
    if (!in->wait) {
        return queue_want(n, dst, src->ui);
    }
    if (in->deadline_ns <= n->now_ns) {
        return MOTET_E_FULL;
    }
    if (port_side(n, dst) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct parcel *q = pack_blocked(n, in, src, dst->ui, &err);
    if (q == NULL) {
        return err;
    }
    queue_park(n, dst, q);
    return MOTET_OK;
}

static enum motet_err send_away(struct nucleus *n, const struct nuc_in *in,
                                const struct port *src, struct motet_ui dst)
{
    enum motet_err err;
    struct parcel *q = pack(n, in, src, dst, &err);
    if (q == NULL) {
        return err;
    }
    parcel_to_net(n, q);
    return MOTET_OK;
}

/* No member yet, or others wait for one: behind them. */
static enum motet_err await_member(struct nucleus *n, const struct nuc_in *in,
                                   struct port *src)
{
    enum motet_err err;
    if (in->deadline_ns <= n->now_ns) {
        return MOTET_E_NO_MEMBER;
    }
    if (port_side(n, src) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct group *g = group_want(n, in->dest.target, &err);
    if (g == NULL) {
        return err;
    }
    struct parcel *q = pack_blocked(n, in, src, (struct motet_ui){0}, &err);
    if (q == NULL) {
        group_unwant(n, g);
        return err;
    }
    q->dest = in->dest;
    q->state = PARCEL_WAITING;
    list_append(&g->waiting, &q->node);
    list_append(&src->side->waits, &q->of_src);
    n->counts.waiters++;
    n->counts.sent++;
    trace(n, TRACE_PARK, MSG_SEND, src->ui.lo, g->ui.lo);
    return MOTET_OK;
}

static enum motet_err send_group(struct nucleus *n, const struct nuc_in *in,
                                 struct port *src, struct nuc_out *out,
                                 struct motet_ui *dst)
{
    struct group *g = group_get(n, in->dest.target);
    if (in->dest.wait && g != NULL && !list_empty(&g->waiting)) {
        return await_member(n, in, src);
    }
    if (in->dest.mode == MOTET_TO_ALL && g != NULL && g->count > 0) {
        return fanout_send(n, in, src, g, out);
    }
    const enum motet_err err = group_pick(n, &in->dest, dst);
    if (err == MOTET_E_NO_MEMBER && in->dest.wait) {
        return await_member(n, in, src);
    }
    return err;
}

enum motet_err send_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out)
{
    enum motet_err err;
    struct motet_ui dst = in->dest.target;
    struct port *to;
    struct port *src = port_of(n, in->port, in->actor, &err);
    if (src == NULL) {
        return err == MOTET_E_NO_PORT ? MOTET_E_INVALID : err;
    }
    err = msg_check(n, &in->msg);
    if (err != MOTET_OK) {
        return err;
    }
    if (ui_is_group(in->dest.target)) {
        dst = (struct motet_ui){0};
        err = send_group(n, in, src, out, &dst);
        if (err != MOTET_OK || ui_zero(dst)) {
            return err;
        }
    }
    err = route(n, src, dst, &to);
    if (err != MOTET_OK) {
        return err;
    }
    err = to != NULL ? send_here(n, in, src, to, out)
                     : send_away(n, in, src, dst);
    n->counts.sent += err == MOTET_OK;
    return err;
}

/* ---- A member arrived ---------------------------------------------------- */

static void enter_late(struct nucleus *n, struct parcel *q, struct port *to)
{
    if (queue_open(n, to, msg_bytes(&q->msg))) {
        parcel_accepted(n, q);
        queue_put(n, to, q);
    } else if (!q->wait) {
        parcel_settle(n, q, queue_want(n, to, q->src));
    } else if (port_side(n, to) == NULL ||
               !deadline_set(&n->timers, &q->timer, q->deadline_ns)) {
        parcel_settle(n, q, MOTET_E_NO_MEMORY);
    } else {
        queue_park(n, to, q);
    }
}

void send_woken(struct nucleus *n, struct parcel *q)
{
    struct port *to;
    const struct port *src = port_get(n, q->src);
    enum motet_err err = route(n, src, q->dst, &to);
    if (err == MOTET_OK && src == NULL) {
        err = MOTET_E_CLOSED; /* nothing comes from a port that has ended */
    }
    if (err != MOTET_OK) {
        parcel_settle(n, q, err);
    } else if (to != NULL) {
        enter_late(n, q, to);
    } else {
        parcel_to_net(n, q);
    }
}
