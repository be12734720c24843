#include "core.h"

/* Watches made here. The terminal news of a watch has its parcel reserved from
 * the start, so that it never fails to come. */

struct watch *watch_get(const struct nucleus *n, uint64_t id)
{
    struct watch *w = ids_at(&n->watches, id);
    return w != NULL && w->id == id ? w : ids_adopted(&n->watches, id);
}

void watch_free(struct nucleus *n, struct watch *w)
{
    list_remove(&w->of.node);
    list_remove(&w->of_port);
    bond_cut(n, &w->bond);
    deadline_clear(&n->timers, &w->timer);
    if (w->last != NULL) {
        parcel_free(n, w->last);
    }
    if (w->leg != NULL && w->leg->state == PARCEL_STALLED) {
        parcel_free(n, w->leg);
    } else if (w->leg != NULL) {
        w->leg->role = PARCEL_INBOUND; /* its outcome concerns nobody */
        w->leg->watch = NULL;
    }
    if (ui_is_group(w->subject)) {
        group_unwant(n, group_get(n, w->subject));
    }
    ids_put(&n->watches, w, w->id);
}

static void fill(struct parcel *q, const struct watch *w, enum motet_news news,
                 struct motet_ui subject)
{
    q->src = subject;
    q->dst = w->port->ui;
    q->msg = (struct msg){
        .kind = MSG_NEWS,
        .status = (uint16_t)news,
        .call = w->id,
    };
}

void watch_fire(struct nucleus *n, struct watch *w, enum motet_news news)
{
    struct parcel *q = w->last;
    struct port *p = w->port;
    trace(n, TRACE_NEWS, (uint32_t)news, w->id, p->ui.lo);
    w->last = NULL;
    fill(q, w, news, w->subject);
    watch_free(n, w);
    queue_news(n, p, q);
}

void watch_tell(struct nucleus *n, struct watch *w, enum motet_news news,
                struct motet_ui subject)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_INBOUND, &err);
    if (q == NULL) {
        return;
    }
    trace(n, TRACE_NEWS, (uint32_t)news, w->id, subject.lo);
    fill(q, w, news, subject);
    queue_news(n, w->port, q);
}

void watch_drop(struct nucleus *n, struct watch *w)
{
    const enum ui_kind kind = ui_kind(w->subject);
    const bool remote =
        (kind == UI_PORT || kind == UI_CONTROL) && !list_linked(&w->of.node);
    if (remote && !bond_dead(&w->bond)) {
        const struct msg unwatch = {.kind = MSG_UNWATCH, .call = w->id};
        parcel_inner(n, w->port->ui, w->subject, &unwatch);
    }
    watch_free(n, w);
}

/* ---- Asking another site ------------------------------------------------- */

bool watch_ask(struct nucleus *n, struct watch *w)
{
    enum motet_err err;
    struct parcel *q = parcel_take(n, PARCEL_WATCH, &err);
    if (q == NULL) {
        return false;
    }
    q->src = w->port->ui;
    q->dst = w->subject;
    q->msg = (struct msg){.kind = MSG_WATCH, .call = w->id};
    q->wait = true;
    q->watch = w;
    w->leg = q;
    parcel_to_net(n, q);
    return true;
}

/* Later, when the other side may have room. At the memory cap the watch cannot
 * be kept, and must end in some news: as far as can be told from here, the site
 * is gone. */
static void ask_later(struct nucleus *n, struct watch *w)
{
    const uint64_t at_ns = n->now_ns + RETRY_MS * NS_PER_MS;
    if (!deadline_set(&n->timers, &w->timer, at_ns)) {
        watch_fire(n, w, MOTET_NEWS_SITE_DEAD);
    }
}

void watch_expired(struct nucleus *n, struct watch *w)
{
    if (w->leg == NULL && !watch_ask(n, w)) {
        ask_later(n, w);
    }
}

/* Ties it to where its subject is now; it may be over already. At the memory
 * cap the watch cannot be kept. */
static void tie(struct nucleus *n, struct watch *w, struct place_of place)
{
    enum motet_err err;
    struct peer *p = peer_want(n, place.site, &err);
    if (p == NULL) {
        watch_fire(n, w, MOTET_NEWS_SITE_DEAD);
        return;
    }
    bond_cut(n, &w->bond);
    bond_tie(&w->bond, p, &p->watches, place.incarnation);
    if (bond_dead(&w->bond)) {
        watch_fire(n, w, p->news);
    }
}

/* Its subject moved to a site that was not met yet. That may be met, or may
 * have died and be forgotten. */
static void ask_the_lost(struct nucleus *n, struct watch *w)
{
    if (w->lost_ns == 0) {
        w->lost_ns = n->now_ns;
    }
    if (n->now_ns - w->lost_ns < LOST_MS * NS_PER_MS) {
        ask_later(n, w);
    } else {
        watch_fire(n, w, MOTET_NEWS_SITE_DEAD);
    }
}

void watch_leg(struct nucleus *n, struct watch *w, enum motet_err err,
               struct place_of place)
{
    w->leg = NULL;
    if (err == MOTET_E_UNREACHABLE) {
        ask_the_lost(n, w);
        return;
    }
    w->lost_ns = 0;
    switch ((int)err) {
    case MOTET_OK:
        tie(n, w, place);
        return;
    case MOTET_E_NO_PORT:
    case MOTET_E_CLOSED:
    case MOTET_E_INVALID:
    case MOTET_E_PROTOCOL:
    case MOTET_E_PERMISSION:
        watch_fire(n, w, MOTET_NEWS_CLOSED);
        return;
    case MOTET_E_CRASHED:
        watch_fire(n, w, MOTET_NEWS_CRASHED);
        return;
    case MOTET_E_NO_SITE:
    case MOTET_E_SITE_DEAD:
    case MOTET_E_MAYBE_SITE_DEAD:
        watch_fire(n, w, MOTET_NEWS_SITE_DEAD);
        return;
    default:
        ask_later(n, w);
    }
}

/* ---- Operations ---------------------------------------------------------- */

static struct watch *take_id(struct nucleus *n, uint64_t *id,
                             enum motet_err *err)
{
    if (*id == 0) {
        return ids_take(&n->watches, id, err);
    }
    if (watch_get(n, *id) != NULL) {
        *err = MOTET_E_EXISTS;
        return NULL;
    }
    return ids_adopt(&n->watches, *id, err);
}

struct watch *watch_new(struct nucleus *n, struct port *p, uint64_t id,
                        enum motet_err *err)
{
    *err = MOTET_E_NO_MEMORY;
    if (port_side(n, p) == NULL) {
        return NULL;
    }
    struct watch *w = take_id(n, &id, err);
    if (w == NULL) {
        return NULL;
    }
    w->last = parcel_take(n, PARCEL_INBOUND, err);
    if (w->last == NULL) {
        ids_put(&n->watches, w, id);
        return NULL;
    }
    w->id = id;
    w->of.kind = WATCHER_HERE;
    w->port = p;
    w->timer.kind = TIMER_WATCH;
    list_append(&p->side->watches, &w->of_port);
    return w;
}

static enum motet_err watch_group(struct nucleus *n, struct watch *w,
                                  struct motet_ui subject)
{
    enum motet_err err;
    struct group *g = group_want(n, subject, &err);
    if (g == NULL) {
        return err;
    }
    w->subject = subject;
    list_append(&g->watchers, &w->of.node);
    return MOTET_OK;
}

/* Ties it to the incarnation of the site that is known now. It may be dead
 * already. */
static enum motet_err watch_peer(struct nucleus *n, struct watch *w,
                                 struct motet_ui subject)
{
    enum motet_err err;
    struct peer *peer = peer_want(n, ui_site(subject), &err);
    if (peer == NULL) {
        return err;
    }
    bond_tie(&w->bond, peer, &peer->watches, 0);
    w->subject = subject;
    if (bond_dead(&w->bond)) {
        watch_fire(n, w, peer->news);
    }
    return MOTET_OK;
}

bool watch_globalize(struct nucleus *n, struct watch *w)
{
    enum motet_err err;
    struct port *p = port_get(n, w->subject);
    const struct place_of here = {.site = n->cfg.site,
                                  .incarnation = n->cfg.incarnation};
    struct peer *self = peer_want(n, here.site, &err);
    if (self == NULL ||
        watcher_new(n, p, w->port->ui, w->id, here) != MOTET_OK) {
        return false;
    }
    list_remove(&w->of.node);
    bond_tie(&w->bond, self, &self->watches, here.incarnation);
    return true;
}

static enum motet_err watch_site(struct nucleus *n, struct watch *w,
                                 struct motet_ui subject)
{
    if (ui_site(subject) == 0) {
        return MOTET_E_INVALID;
    }
    if (ui_site(subject) != n->cfg.site) {
        return watch_peer(n, w, subject);
    }
    w->subject = subject; /* its end would be ours */
    return MOTET_OK;
}

static enum motet_err watch_port(struct nucleus *n, struct watch *w,
                                 struct motet_ui subject)
{
    struct port *p;
    const enum motet_err err = route(n, w->port, subject, &p);
    if (err == MOTET_E_INVALID) {
        return err;
    }
    if (p != NULL) {
        if (port_side(n, p) == NULL) {
            return MOTET_E_NO_MEMORY;
        }
        w->subject = subject;
        list_append(&p->side->watchers, &w->of.node);
        return MOTET_OK;
    }
    w->subject = subject;
    if (err == MOTET_OK) {
        return watch_ask(n, w) ? MOTET_OK : MOTET_E_NO_MEMORY;
    }
    watch_fire(n, w,
               err == MOTET_E_SITE_DEAD ? MOTET_NEWS_SITE_DEAD
                                        : MOTET_NEWS_CLOSED);
    return MOTET_OK;
}

enum motet_err watch_op(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out)
{
    enum motet_err err;
    struct port *p = port_of(n, in->port, in->actor, &err);
    if (p == NULL) {
        return err;
    }
    struct watch *w = watch_new(n, p, 0, &err);
    if (w == NULL) {
        return err;
    }
    const uint64_t id = w->id;
    trace(n, TRACE_WATCH, 0, id, in->subject.lo);
    if (ui_is_group(in->subject)) {
        err = watch_group(n, w, in->subject);
    } else if (ui_kind(in->subject) == UI_SITE) {
        err = watch_site(n, w, in->subject);
    } else {
        err = watch_port(n, w, in->subject);
    }
    if (err != MOTET_OK) {
        watch_free(n, w);
        return err;
    }
    out->watch = id;
    return MOTET_OK;
}

enum motet_err watch_stop(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out)
{
    (void)out;
    struct watch *w = watch_get(n, in->watch);
    if (w == NULL) {
        return MOTET_E_STATE;
    }
    if (w->port->actor == NULL || !ui_equal(w->port->actor->ui, in->actor)) {
        return MOTET_E_PERMISSION;
    }
    if (w->port->frozen) {
        return MOTET_E_MOVING;
    }
    queue_drop_news(n, w->port, w->id);
    watch_drop(n, w);
    return MOTET_OK;
}
