#include "core.h"

/* To all members of a group: one message each, one outcome for all. */

static void close_part(struct nucleus *n, struct fanout *f)
{
    f->open--;
    if (f->open > 0) {
        return;
    }
    send_tell(n, f->actor, f->src, f->token, f->notify, f->err);
    pool_put(&n->fanout_pool, f);
}

void fanout_part(struct nucleus *n, struct fanout *f, enum motet_err err)
{
    if (f->err == MOTET_OK) {
        f->err = err;
    }
    close_part(n, f);
}

/* Into a queue here, or before it. */
static enum motet_err part_here(struct nucleus *n, const struct nuc_in *in,
                                struct port *to, const struct msg *msg,
                                struct fanout *f)
{
    enum motet_err err = MOTET_E_NO_MEMORY;
    if (queue_open(n, to, msg_bytes(msg))) {
        return queue_accept(n, to, f->src, msg, NULL);
    }
    if (!in->wait) {
        return queue_want(n, to, f->src);
    }
    if (in->deadline_ns <= n->now_ns) {
        return MOTET_E_FULL;
    }
    if (n->counts.waiters >= n->cfg.limits.waiters_max) {
        return MOTET_E_LIMIT;
    }
    if (port_side(n, to) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct parcel *q = parcel_take(n, PARCEL_PART, &err);
    if (q == NULL) {
        return err;
    }
    if (!deadline_set(&n->timers, &q->timer, in->deadline_ns)) {
        parcel_free(n, q);
        return MOTET_E_NO_MEMORY;
    }
    q->src = f->src;
    q->dst = to->ui;
    q->msg = *msg;
    q->fanout = f;
    f->open++;
    queue_park(n, to, q);
    return MOTET_OK;
}

static enum motet_err part_away(struct nucleus *n, const struct nuc_in *in,
                                struct motet_ui dst, const struct msg *msg,
                                struct fanout *f)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_PART, &err);
    if (q == NULL) {
        return err;
    }
    q->src = f->src;
    q->dst = dst;
    q->msg = *msg;
    q->deadline_ns = in->deadline_ns;
    q->wait = in->wait;
    q->fanout = f;
    f->open++;
    parcel_to_net(n, q);
    return MOTET_OK;
}

/* One part with a reference of its own to the data. */
static void send_part(struct nucleus *n, const struct nuc_in *in,
                      const struct port *src, struct motet_ui dst,
                      const struct msg *msg, struct fanout *f)
{
    struct port *to;
    enum motet_err err = route(n, src, dst, &to);
    (void)buf_ref(msg->data);
    if (err == MOTET_OK) {
        err = to != NULL ? part_here(n, in, to, msg, f)
                         : part_away(n, in, dst, msg, f);
    }
    n->counts.sent++;
    if (err == MOTET_OK) {
        return;
    }
    buf_unref(msg->data);
    count_outcome(n, err);
    if (f->err == MOTET_OK) {
        f->err = err;
    }
}

enum motet_err fanout_send(struct nucleus *n, const struct nuc_in *in,
                           struct port *src, struct group *g,
                           struct nuc_out *out)
{
    enum motet_err err;
    if (!fx_reserve(&n->fx, g->count + FX_SPARE + FX_STEP)) {
        return MOTET_E_NO_MEMORY;
    }
    struct fanout *f = pool_take_or(&n->fanout_pool, &err);
    if (f == NULL) {
        return err;
    }
    const struct msg msg = {
        .kind = MSG_SEND,
        .annex_bytes = in->msg.annex_bytes,
        .target = g->ui,
        .pi = port_pi(src),
        .data = in->msg.data,
    };
    f->open = 1;
    f->notify = in->notify;
    f->actor = src->actor->ui;
    f->src = src->ui;
    f->token = in->token;
    list_foreach (node, &g->members) {
        send_part(n, in, src, LIST_ENTRY(node, struct member, node)->ui, &msg,
                  f);
    }
    trace(n, TRACE_SEND, MSG_SEND, src->ui.lo, g->ui.lo);
    buf_unref(msg.data);
    out->settled = f->open == 1 && f->err == MOTET_OK;
    if (out->settled) {
        pool_put(&n->fanout_pool, f);
    } else {
        close_part(n, f);
    }
    return MOTET_OK;
}
