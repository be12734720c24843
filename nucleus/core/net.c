#include "core.h"

/* What the network manager brings. It comes from certified sites, but nothing
 * in it is believed: it can be refused, it cannot break anything. */

static void grant(const struct nucleus *n, struct port *p, struct nuc_out *out)
{
    const uint32_t msgs_max = port_msgs_max(n, p);
    const uint32_t bytes_max = port_bytes_max(n, p);
    out->room_msgs = p->msgs < msgs_max ? msgs_max - p->msgs : 0;
    out->room_bytes = p->bytes < bytes_max ? bytes_max - p->bytes : 0;
    if (!queue_fits(n, p, 1, QUEUE_NET)) {
        out->room_msgs = 0;
    }
    /* Who is told that there is no room is told when there is. */
    p->starved = p->starved || out->room_msgs == 0 || out->room_bytes == 0;
}

static enum motet_err accept(struct nucleus *n, struct port *p,
                             const struct nuc_in *in, struct held *h,
                             struct nuc_out *out)
{
    struct msg msg = in->msg;
    msg.status = 0;
    const enum motet_err err = queue_accept(n, p, in->src, &msg, h);
    if (err != MOTET_OK) {
        return err;
    }
    if (queue_hungry(p)) {
        p->run++;
    }
    grant(n, p, out);
    return MOTET_OK;
}

/* The port for a queued message, with room for it. NULL and the reason */
static struct port *entry(struct nucleus *n, const struct nuc_in *in,
                          enum motet_err *err)
{
    struct port *p = port_get(n, in->dst);
    *err = MOTET_E_NO_PORT;
    if (p == NULL) {
        return NULL;
    }
    *err = msg_check(n, &in->msg);
    if (*err != MOTET_OK) {
        return NULL;
    }
    if (!queue_fits(n, p, msg_bytes(&in->msg), QUEUE_NET)) {
        p->starved = true;
        *err = MOTET_E_AGAIN;
        return NULL;
    }
    return p;
}

/* Whether a life of a site is over. What comes from there comes too late: its
 * end was told. A new life may speak before membership tells of it. */
static bool ghost(struct nucleus *n, struct place_of place)
{
    struct peer *p = peer_get(n, place.site);
    if (p != NULL && place.incarnation > p->incarnation) {
        peer_advance(p, place.incarnation);
    }
    return p != NULL && place.incarnation != 0 && place.incarnation <= p->dead;
}

static struct place_of place_of_src(const struct nuc_in *in)
{
    return place_or_birth(in->place, in->src);
}

static struct place_of place_of_caller(const struct nuc_in *in)
{
    return place_or_birth(in->about, in->msg.reply_to);
}

static enum motet_err take_send(struct nucleus *n, const struct nuc_in *in,
                                struct nuc_out *out)
{
    enum motet_err err;
    if (ghost(n, place_of_src(in))) {
        return MOTET_E_SITE_DEAD;
    }
    struct port *p = entry(n, in, &err);
    return p != NULL ? accept(n, p, in, NULL, out) : err;
}

/* The call made here that a returning message is about, or NULL. */
static struct call *call_of(const struct nucleus *n, const struct nuc_in *in)
{
    struct call *c = call_get(n, in->msg.call);
    return c != NULL && ui_equal(c->port->ui, in->dst) ? c : NULL;
}

/* A request of a caller here may come back from a server that forwarded it. A
 * caller or a server that has moved is as good as elsewhere. */
static enum motet_err own_call(const struct nucleus *n, const struct nuc_in *in,
                               const struct port *server, struct call **call)
{
    *call = NULL;
    if (place_of_caller(in).site != n->cfg.site) {
        return MOTET_OK;
    }
    const struct port *caller = port_get(n, in->msg.reply_to);
    if (caller != NULL && (caller->global || server->global)) {
        return MOTET_OK;
    }
    struct call *c = call_get(n, in->msg.call);
    if (c == NULL || !ui_equal(c->port->ui, in->msg.reply_to)) {
        return MOTET_E_CANCELLED; /* it has ended */
    }
    *call = c;
    return c->held == NULL ? MOTET_OK : MOTET_E_PROTOCOL;
}

static bool caller_ok(struct motet_ui ui)
{
    const enum ui_kind kind = ui_kind(ui);
    return (kind == UI_PORT || kind == UI_CONTROL) && ui_site(ui) != 0;
}

static enum motet_err take_request(struct nucleus *n, const struct nuc_in *in,
                                   struct nuc_out *out)
{
    enum motet_err err;
    struct call *c;
    if (!caller_ok(in->msg.reply_to) || in->msg.call == 0) {
        return MOTET_E_PROTOCOL;
    }
    if (ghost(n, place_of_src(in)) || ghost(n, place_of_caller(in))) {
        return MOTET_E_SITE_DEAD;
    }
    struct port *p = entry(n, in, &err);
    if (p == NULL) {
        return err;
    }
    err = own_call(n, in, p, &c);
    if (err != MOTET_OK) {
        return err;
    }
    struct held *h = held_new(n, p, &in->msg, c, place_of_caller(in), 0, &err);
    if (h == NULL) {
        return err;
    }
    if (c == NULL && !deadline_set(&n->timers, &h->timer, h->deadline_ns)) {
        held_free(n, h);
        return MOTET_E_NO_MEMORY;
    }
    if (c != NULL) {
        c->held = h;
    }
    err = accept(n, p, in, h, out);
    if (err != MOTET_OK) {
        held_free(n, h);
        return err;
    }
    if (c != NULL) {
        bond_cut(n, &c->bond);
        c->server = p->ui;
        c->hops = in->msg.status;
    }
    return MOTET_OK;
}

/* ---- What returns -------------------------------------------------------- */

static enum motet_err take_news(struct nucleus *n, const struct nuc_in *in,
                                struct nuc_out *out)
{
    (void)out;
    struct watch *w = watch_get(n, in->msg.call);
    if (in->msg.status < MOTET_NEWS_CLOSED ||
        in->msg.status > MOTET_NEWS_LEFT) {
        return MOTET_E_PROTOCOL;
    }
    if (w != NULL && ui_equal(w->port->ui, in->dst) &&
        ui_equal(w->subject, in->src)) {
        watch_fire(n, w, (enum motet_news)in->msg.status);
    }
    buf_unref(in->msg.data);
    return MOTET_OK;
}

static enum motet_err take_reply(struct nucleus *n, const struct nuc_in *in,
                                 struct nuc_out *out)
{
    (void)out;
    struct call *c = call_of(n, in);
    if (c == NULL) {
        buf_unref(in->msg.data); /* late: the call ended before */
        return MOTET_OK;
    }
    enum motet_err err = (enum motet_err)in->msg.status;
    if (in->msg.status >= MOTET_E_COUNT || msg_check(n, &in->msg) != MOTET_OK) {
        err = MOTET_E_MAYBE_LOST;
    }
    call_finish(n, c, err, &in->msg);
    return MOTET_OK;
}

static enum motet_err take_cancel(struct nucleus *n, const struct nuc_in *in,
                                  struct nuc_out *out)
{
    (void)out;
    struct held *h = held_find(n, in->msg.reply_to, in->msg.call);
    if (h != NULL) {
        held_cancel(n, h);
    }
    buf_unref(in->msg.data);
    return MOTET_OK;
}

static enum motet_err take_forwarded(struct nucleus *n, const struct nuc_in *in,
                                     struct nuc_out *out)
{
    (void)out;
    const struct motet_ui server = in->msg.reply_to;
    struct call *c = call_of(n, in);
    if (!caller_ok(server)) {
        return MOTET_E_PROTOCOL;
    }
    const struct port *here = port_get(n, server);
    struct place_of place = {.site = in->msg.target.hi,
                             .incarnation = (uint32_t)in->msg.target.lo};
    if (place.site == 0) {
        place = in->about;
    }
    if (here != NULL && !here->global) {
        /* Its request is, or was, at a port here: known already. */
    } else if (c != NULL) {
        call_moved(n, c, server, place, in->msg.status);
    } else {
        /* The call has ended, and the new server may not know. */
        const struct msg cancel = {
            .kind = MSG_CANCEL,
            .call = in->msg.call,
            .reply_to = in->dst,
        };
        parcel_inner(n, in->dst, server, &cancel);
    }
    buf_unref(in->msg.data);
    return MOTET_OK;
}

/* Whether it was a port of this life of this site, or moved here. */
static bool port_ended(const struct nucleus *n, const struct nuc_in *in)
{
    const struct motet_ui ui = in->dst;
    const bool born_here = ui_site(ui) == n->cfg.site &&
                           ui_incarnation(ui) == n->cfg.incarnation &&
                           ui_serial(ui) <= n->port_serial;
    return ui_kind(ui) == UI_PORT && (born_here || in->in);
}

static enum motet_err take_watch(struct nucleus *n, const struct nuc_in *in,
                                 struct nuc_out *out)
{
    (void)out;
    if (!caller_ok(in->src)) {
        return MOTET_E_PROTOCOL;
    }
    if (ghost(n, place_of_src(in))) {
        return MOTET_E_SITE_DEAD;
    }
    struct port *p = port_get(n, in->dst);
    if (p == NULL && !port_ended(n, in)) {
        return MOTET_E_NO_PORT;
    }
    if (p == NULL) {
        /* What it sent may still be on its way: the news follow that. */
        const struct msg news = {
            .kind = MSG_NEWS,
            .status = MOTET_NEWS_CLOSED,
            .call = in->msg.call,
        };
        parcel_inner(n, in->dst, in->src, &news);
        buf_unref(in->msg.data);
        return MOTET_OK;
    }
    const enum motet_err err =
        watcher_new(n, p, in->src, in->msg.call, place_of_src(in));
    if (err == MOTET_OK) {
        buf_unref(in->msg.data);
    }
    return err;
}

static enum motet_err take_unwatch(struct nucleus *n, const struct nuc_in *in,
                                   struct nuc_out *out)
{
    (void)out;
    watcher_end(n, in->src, in->msg.call);
    buf_unref(in->msg.data);
    return MOTET_OK;
}

static enum motet_err take_relay(struct nucleus *n, const struct nuc_in *in,
                                 struct nuc_out *out)
{
    (void)out;
    return debt_taken(n, in);
}

/* The effects are short: as if the port had no room. */
static enum motet_err defer(struct nucleus *n, const struct nuc_in *in)
{
    struct port *p = port_get(n, in->dst);
    if (p == NULL) {
        return MOTET_E_NO_PORT;
    }
    p->starved = true;
    if (!list_linked(&p->work)) {
        list_append(&n->work, &p->work);
    }
    return MOTET_E_AGAIN;
}

enum motet_err net_deliver(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    typedef enum motet_err taker(struct nucleus * n, const struct nuc_in *in,
                                 struct nuc_out *out);
    static taker *const takers[MSG_KIND_COUNT] = {
        [MSG_SEND] = take_send,     [MSG_REQUEST] = take_request,
        [MSG_NEWS] = take_news,     [MSG_REPLY] = take_reply,
        [MSG_CANCEL] = take_cancel, [MSG_FORWARDED] = take_forwarded,
        [MSG_WATCH] = take_watch,   [MSG_UNWATCH] = take_unwatch,
        [MSG_RELAY] = take_relay,
    };
    if ((unsigned)in->msg.kind >= MSG_KIND_COUNT ||
        takers[in->msg.kind] == NULL) {
        return MOTET_E_PROTOCOL;
    }
    struct port *to = port_get(n, in->dst);
    if (to == NULL && port_away(n, in->dst)) {
        return MOTET_E_NO_PORT; /* the network manager knows where it is */
    }
    if (to != NULL && to->frozen) {
        to->starved = true;
        return MOTET_E_AGAIN;
    }
    if (!fx_ready(n)) {
        return defer(n, in);
    }
    out->room_msgs = n->cfg.limits.queue_msgs_max;
    out->room_bytes = n->cfg.limits.queue_bytes_max;
    const enum motet_err err = takers[in->msg.kind](n, in, out);
    if (err != MOTET_OK) {
        out->room_msgs = 0;
        out->room_bytes = 0;
    }
    return err;
}
