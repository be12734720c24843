#include <string.h>

#include "core.h"

/* Ports that come: the items of image.c, in their order, make a frozen port
 * that only has to be thawed. All memory that it needs is taken here, so that
 * what follows cannot fail. What comes is believed as little as any message. */

static uint64_t deadline(const struct nucleus *n, uint64_t left_ns)
{
    return left_ns >= DEADLINE_NEVER - n->now_ns ? DEADLINE_NEVER
                                                 : n->now_ns + left_ns;
}

static struct peer *peer_at(struct nucleus *n, struct place_of place,
                            enum motet_err *err)
{
    *err = MOTET_E_PROTOCOL;
    return place.site != 0 ? peer_want(n, place.site, err) : NULL;
}

static bool is_port(struct motet_ui ui)
{
    const enum ui_kind kind = ui_kind(ui);
    return (kind == UI_PORT || kind == UI_CONTROL) && ui_site(ui) != 0;
}

/* ---- The port ------------------------------------------------------------ */

static void fill_port(struct port *p, struct actor *a,
                      const struct image_item *it)
{
    p->ui = it->port;
    p->actor = a;
    p->seq = it->seq;
    p->priority = it->priority;
    p->frozen = true;
    p->embryo = true;
    p->global = true;
    list_init(&p->queue);
}

static enum motet_err take_port(struct nucleus *n, const struct nuc_in *in)
{
    enum motet_err err = MOTET_OK;
    const struct image_item *it = in->item;
    struct actor *a = actor_get(n, in->actor);
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (ui_kind(it->port) != UI_PORT || ui_site(it->port) == 0) {
        return MOTET_E_PROTOCOL;
    }
    if (!a->adopts) {
        return MOTET_E_DECLINED;
    }
    if (port_get(n, it->port) != NULL) {
        return MOTET_E_EXISTS;
    }
    struct port *p = pool_take_or(&n->port_pool, &err);
    if (p == NULL) {
        return err;
    }
    fill_port(p, a, it);
    struct port_side *s = port_side(n, p);
    p->enabled = it->enabled;
    if (s == NULL || (p->enabled && !queue_rank(p)) ||
        !map_put(&n->port_by_ui, p->ui.hi, p->ui.lo, p)) {
        port_free(n, p);
        return MOTET_E_NO_MEMORY;
    }
    s->msgs_max = it->msgs;
    s->bytes_max = it->bytes;
    s->has_pi = true;
    s->pi = it->pi;
    s->has_key = true;
    s->key = it->key;
    list_append(&n->ports, &p->node);
    list_append(&a->ports, &p->of_actor);
    trace(n, TRACE_PORT_NEW, 2, p->ui.lo, a->ui.lo);
    return MOTET_OK;
}

static enum motet_err take_member(struct nucleus *n, struct port *p,
                                  const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    const bool named = it->name[0] != '\0';
    if (!ui_is_group(it->peer) ||
        (ui_kind(it->peer) == UI_STATIC_GROUP &&
         (!named || !ui_name_ok(it->name) ||
          !ui_equal(ui_of_name(it->name), it->peer)))) {
        return MOTET_E_PROTOCOL;
    }
    struct join *j = pool_take_or(&n->join_pool, &err);
    if (j == NULL) {
        return err;
    }
    j->group = group_want(n, it->peer, &err);
    if (j->group == NULL) {
        pool_put(&n->join_pool, j);
        return err;
    }
    j->group->joins++;
    if (named) {
        group_name(j->group, it->name);
    }
    list_append(&p->side->joins, &j->node);
    return MOTET_OK;
}

bool adopt_joins(struct nucleus *n, struct port *p)
{
    while (p->side != NULL && !list_empty(&p->side->joins)) {
        if (!fx_ready(n)) {
            return false;
        }
        struct join *j = LIST_ENTRY(p->side->joins.next, struct join, node);
        struct group *g = j->group;
        list_remove(&j->node);
        pool_put(&n->join_pool, j);
        group_publish(n, g, p->ui, true);
        /* Kept until it has a member, or the directory has no room. */
        if (p->actor == NULL || group_use(n, p->actor, g) != MOTET_OK) {
            trace(n, TRACE_REFUSE, 0, g->ui.lo, p->ui.lo);
        }
        g->joins--;
    }
    return true;
}

/* ---- What it has received ------------------------------------------------ */

static enum motet_err take_holder(struct nucleus *n, struct held *h,
                                  const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    struct peer *peer =
        it->holder.site != 0 ? peer_want(n, it->holder.site, &err) : NULL;
    if (err != MOTET_OK) {
        held_free(n, h);
        return err;
    }
    if (peer != NULL) {
        bond_tie(&h->holder, peer, &peer->holders, it->holder.incarnation);
    }
    h->msg.data = it->msg.data;
    return MOTET_OK;
}

static enum motet_err take_held(struct nucleus *n, struct port *p,
                                const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    if (it->msg.kind != MSG_REQUEST || !is_port(it->msg.reply_to) ||
        it->msg.call == 0 || it->id == 0 || it->place.site == 0 ||
        msg_check(n, &it->msg) != MOTET_OK) {
        return MOTET_E_PROTOCOL;
    }
    if (held_find(n, it->msg.reply_to, it->msg.call) != NULL) {
        return MOTET_E_AGAIN; /* it was handed on to here, which it does not
                               * know yet over there */
    }
    struct held *h = held_new(n, p, &it->msg, NULL, it->place, it->id, &err);
    if (h == NULL) {
        return err == MOTET_E_PROTOCOL ? MOTET_E_EXISTS : err;
    }
    h->deadline_ns = deadline(n, it->left_ns);
    if (it->flag) {
        h->delivered = true;
        return take_holder(n, h, it);
    }
    if (!deadline_set(&n->timers, &h->timer, h->deadline_ns)) {
        held_free(n, h);
        return MOTET_E_NO_MEMORY;
    }
    buf_unref(it->msg.data);
    return MOTET_OK;
}

/* The request that a queued message is, if it is one. */
static enum motet_err held_of(const struct nucleus *n, const struct port *p,
                              const struct image_item *it, struct held **held)
{
    *held = it->id != 0 ? held_get(n, it->id) : NULL;
    if ((it->msg.kind == MSG_REQUEST) != (it->id != 0)) {
        return MOTET_E_PROTOCOL;
    }
    if (it->id != 0 && (*held == NULL || (*held)->port != p ||
                        (*held)->delivered || (*held)->parcel != NULL)) {
        return MOTET_E_PROTOCOL;
    }
    return MOTET_OK;
}

static enum motet_err take_queued(struct nucleus *n, struct port *p,
                                  const struct image_item *it)
{
    struct held *h;
    enum motet_err err = held_of(n, p, it, &h);
    if (err != MOTET_OK) {
        return err;
    }
    if (msg_returns(it->msg.kind) || it->msg.kind < MSG_SEND ||
        msg_check(n, &it->msg) != MOTET_OK) {
        return MOTET_E_PROTOCOL;
    }
    struct parcel *q = parcel_take(n, PARCEL_INBOUND, &err);
    if (q == NULL) {
        return err;
    }
    q->state = PARCEL_QUEUED;
    q->port = p;
    q->src = it->peer;
    q->dst = p->ui;
    q->msg = it->msg;
    q->seq = it->seq;
    q->queued_ns = it->age_ns < n->now_ns ? n->now_ns - it->age_ns : 0;
    q->order = ++n->arrivals;
    q->held = h;
    if (h != NULL) {
        h->parcel = q;
    }
    list_append(&p->queue, &q->node);
    if (q->msg.kind != MSG_NEWS) {
        p->msgs++;
        p->bytes += msg_bytes(&q->msg);
        n->counts.queued_msgs++;
        n->counts.queued_bytes += msg_bytes(&q->msg);
    }
    return MOTET_OK;
}

/* ---- What it has asked for ----------------------------------------------- */

static enum motet_err take_call(struct nucleus *n, struct port *p,
                                const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    if (it->err >= MOTET_E_COUNT || it->err2 >= MOTET_E_COUNT) {
        return MOTET_E_PROTOCOL;
    }
    if (call_get(n, it->id) != NULL) {
        return MOTET_E_EXISTS;
    }
    struct call *c = ids_adopt(&n->calls, it->id, &err);
    if (c == NULL) {
        return err;
    }
    c->id = it->id;
    c->port = p;
    c->server = it->peer;
    c->hops = it->hops;
    c->no = it->err;
    c->maybe = it->err2;
    c->bereft = it->flag;
    c->timer.kind = TIMER_CALL;
    list_append(&p->side->calls, &c->of_port);
    if (!deadline_set(&n->timers, &c->timer, deadline(n, it->left_ns))) {
        call_forget(n, c);
        return MOTET_E_NO_MEMORY;
    }
    if (it->place.site == 0) {
        return MOTET_OK;
    }
    struct peer *peer = peer_at(n, it->place, &err);
    if (peer == NULL) {
        call_forget(n, c);
        return err;
    }
    bond_tie(&c->bond, peer, &peer->calls, it->place.incarnation);
    return MOTET_OK;
}

static enum motet_err tie_watch(struct nucleus *n, struct watch *w,
                                const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    w->subject = it->peer;
    if (ui_is_group(it->peer)) {
        struct group *g = group_want(n, it->peer, &err);
        if (g == NULL) {
            w->subject = (struct motet_ui){0};
            return err;
        }
        list_append(&g->watchers, &w->of.node);
        return MOTET_OK;
    }
    if (ui_kind(it->peer) == UI_SITE && ui_site(it->peer) == n->cfg.site &&
        (it->place.incarnation == 0 ||
         it->place.incarnation == n->cfg.incarnation)) {
        return MOTET_OK; /* its end would be ours */
    }
    if (it->place.site == 0) { /* to be asked (again) */
        return deadline_set(&n->timers, &w->timer,
                            n->now_ns + RETRY_MS * NS_PER_MS)
                   ? MOTET_OK
                   : MOTET_E_NO_MEMORY;
    }
    struct peer *peer = peer_at(n, it->place, &err);
    if (peer == NULL) {
        return err;
    }
    bond_tie(&w->bond, peer, &peer->watches, it->place.incarnation);
    return MOTET_OK;
}

static enum motet_err take_watch(struct nucleus *n, struct port *p,
                                 const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    if (it->id == 0 || (!ui_is_group(it->peer) && !is_port(it->peer) &&
                        ui_kind(it->peer) != UI_SITE)) {
        return MOTET_E_PROTOCOL;
    }
    struct watch *w = watch_new(n, p, it->id, &err);
    if (w == NULL) {
        return err;
    }
    err = tie_watch(n, w, it);
    if (err != MOTET_OK) {
        watch_free(n, w);
    }
    return err;
}

static enum motet_err take_watcher(struct nucleus *n, struct port *p,
                                   const struct image_item *it)
{
    if (!is_port(it->peer) || it->place.site == 0) {
        return MOTET_E_PROTOCOL;
    }
    return watcher_new(n, p, it->peer, it->id, it->place);
}

/* ---- What it has sent ---------------------------------------------------- */

static struct fanout *fanout_of(struct nucleus *n, struct port *p,
                                const struct image_item *it,
                                enum motet_err *err)
{
    list_foreach (node, &p->side->fanouts) {
        struct fanout *f = LIST_ENTRY(node, struct fanout, image);
        if (f->image_id == it->id) {
            return f;
        }
    }
    struct fanout *f = pool_take_or(&n->fanout_pool, err);
    if (f != NULL) {
        f->image_id = it->id;
        f->err = it->err;
        f->notify = (enum nuc_notify)it->notify;
        f->actor = p->actor->ui;
        f->src = p->ui;
        f->token = it->token;
        list_append(&p->side->fanouts, &f->image);
    }
    return f;
}

/* Ties a message to what its outcome is for. */
static enum motet_err bind_parcel(struct nucleus *n, struct port *p,
                                  struct parcel *q, const struct image_item *it)
{
    enum motet_err err = MOTET_E_PROTOCOL;
    if (q->role == PARCEL_PART) {
        q->fanout = fanout_of(n, p, it, &err);
        if (q->fanout != NULL) {
            q->fanout->open++;
        }
        return q->fanout != NULL ? MOTET_OK : err;
    }
    if (q->role == PARCEL_REQUEST) {
        q->call = call_get(n, it->id);
        if (q->call == NULL || q->call->port != p || q->call->leg != NULL) {
            return err;
        }
        q->call->leg = q;
    } else if (q->role == PARCEL_FORWARD) {
        q->held = held_get(n, it->id);
        if (q->held == NULL || q->held->port != p || !q->held->delivered ||
            q->held->parcel != NULL) {
            return err;
        }
        q->held->parcel = q;
        bond_cut(n, &q->held->holder); /* it is in nobody's hand */
    } else if (q->role == PARCEL_WATCH) {
        q->watch = watch_get(n, it->id);
        if (q->watch == NULL || q->watch->port != p || q->watch->leg != NULL) {
            return err;
        }
        q->watch->leg = q;
        deadline_clear(&n->timers, &q->watch->timer);
    }
    return MOTET_OK;
}

static enum motet_err place_parcel(struct nucleus *n, struct port *p,
                                   struct parcel *q,
                                   const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    if (it->kind == IMAGE_PARCEL) {
        q->state = PARCEL_NET;
        n->filled = q;
        return MOTET_OK;
    }
    if (!deadline_set(&n->timers, &q->timer,
                      it->kind == IMAGE_STALLED
                          ? n->now_ns + RETRY_MS * NS_PER_MS
                          : q->deadline_ns)) {
        return MOTET_E_NO_MEMORY;
    }
    if (it->kind == IMAGE_STALLED) {
        struct peer *peer = peer_want(n, ui_site(q->dst), &err);
        if (peer != NULL) {
            q->state = PARCEL_STALLED;
            list_append(&peer->stalled, &q->node);
        }
        return err;
    }
    struct group *g = ui_is_group(it->dest.target)
                          ? group_want(n, it->dest.target, &err)
                          : NULL;
    if (g == NULL) {
        return err == MOTET_OK ? MOTET_E_PROTOCOL : err;
    }
    q->state = PARCEL_WAITING;
    list_append(&g->waiting, &q->node);
    list_append(&p->side->waits, &q->of_src);
    n->counts.waiters++;
    return MOTET_OK;
}

static bool parcel_ok(const struct image_item *it)
{
    if (it->role < PARCEL_SEND || it->role > PARCEL_ORPHAN ||
        it->msg.kind < MSG_SEND || it->msg.kind >= MSG_KIND_COUNT ||
        it->notify > NUC_NOTIFY_ALWAYS || it->err >= MOTET_E_COUNT) {
        return false;
    }
    return it->kind != IMAGE_WAITING || it->role == PARCEL_SEND ||
           it->role == PARCEL_REQUEST;
}

static enum motet_err take_parcel(struct nucleus *n, struct port *p,
                                  const struct image_item *it,
                                  struct nuc_out *out)
{
    enum motet_err err = MOTET_OK;
    if (!parcel_ok(it) || !ui_equal(it->port, p->ui)) {
        return MOTET_E_PROTOCOL;
    }
    struct parcel *q = parcel_take(n, (enum parcel_role)it->role, &err);
    if (q == NULL) {
        return err;
    }
    q->notify = (enum nuc_notify)it->notify;
    q->wait = it->wait;
    q->forwarded = it->flag;
    q->actor = p->actor->ui;
    q->src = p->ui;
    q->dst = it->peer;
    q->dest = it->dest;
    q->msg = it->msg;
    q->msg.data = NULL;
    q->token = it->token;
    q->deadline_ns = deadline(n, it->left_ns);
    err = bind_parcel(n, p, q, it);
    if (err == MOTET_OK) {
        err = place_parcel(n, p, q, it);
    } else {
        q->role = PARCEL_INBOUND;
    }
    if (err != MOTET_OK) {
        parcel_moved(n, q);
        return err;
    }
    if (it->kind != IMAGE_PARCEL) {
        q->msg.data = it->msg.data;
    }
    out->ticket = q->ticket;
    return MOTET_OK;
}

/* Of a message that is handed over again if need be, a reference is kept. */
static enum motet_err take_kept(struct nucleus *n, const struct image_item *it)
{
    struct parcel *q = n->filled;
    n->filled = NULL;
    if (q == NULL || q->ticket != it->ticket || q->msg.kind != it->msg.kind) {
        n->filled = q;
        return MOTET_E_PROTOCOL;
    }
    if (parcel_keeps(q)) {
        q->msg = it->msg;
        (void)buf_ref(q->msg.data);
    }
    return MOTET_OK;
}

enum motet_err adopt_item(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out)
{
    const struct image_item *it = in->item;
    if (it == NULL) {
        return MOTET_E_INVALID;
    }
    if (it->kind == IMAGE_PORT) {
        return take_port(n, in);
    }
    struct port *p = port_get(n, in->port);
    if (p == NULL || !p->embryo || p->actor == NULL) {
        return MOTET_E_PROTOCOL;
    }
    switch ((int)it->kind) {
    case IMAGE_MEMBER:
        return take_member(n, p, it);
    case IMAGE_HELD:
        return take_held(n, p, it);
    case IMAGE_QUEUED:
        return take_queued(n, p, it);
    case IMAGE_CALL:
        return take_call(n, p, it);
    case IMAGE_WATCH:
        return take_watch(n, p, it);
    case IMAGE_WATCHER:
        return take_watcher(n, p, it);
    case IMAGE_PARCEL:
    case IMAGE_STALLED:
    case IMAGE_WAITING:
        return take_parcel(n, p, it, out);
    case IMAGE_KEPT:
        return take_kept(n, it);
    default:
        return MOTET_E_PROTOCOL;
    }
}

bool nucleus_image_whole(const struct nucleus *n, struct motet_ui port)
{
    const struct port *p = port_get(n, port);
    if (p == NULL || n->filled != NULL) {
        return false;
    }
    list_foreach (node, &p->side->helds) {
        const struct held *h = LIST_ENTRY(node, const struct held, of_port);
        if (!h->delivered && h->parcel == NULL) {
            return false;
        }
    }
    /* What is being given up waits for the outcome of its request. */
    list_foreach (node, &p->side->calls) {
        const struct call *c = LIST_ENTRY(node, const struct call, of_port);
        if (c->no != MOTET_OK &&
            (c->leg == NULL || c->leg->state == PARCEL_WAITING)) {
            return false;
        }
    }
    return true;
}
