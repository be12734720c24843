#include "core.h"

/* Ports that leave, or stay after all.
 *
 * From the first attempt on a port is *global*: what goes between it and other
 * ports here takes the network manager's loop, and what ties them to each other
 * is kept as between sites. So there is nothing to be converted when it goes,
 * and nothing that could fail then. */

/* ---- Making it global ---------------------------------------------------- */

/* A request that waits for room here and is not accepted yet. */
static void release_request(struct nucleus *n, struct parcel *q)
{
    struct held *h = q->held;
    struct call *c = q->call;
    q->held = NULL;
    h->parcel = NULL;
    held_free(n, h);
    c->leg = q;
}

/* What waits for room here goes through the network manager from now on. */
static void release_parked(struct nucleus *n, struct parcel *q)
{
    if (deadline_armed(&q->timer)) {
        q->deadline_ns = q->timer.at_ns;
    }
    queue_remove(n, q);
    q->wait = true;
    if (q->role == PARCEL_REQUEST) {
        release_request(n, q);
    }
    parcel_to_net(n, q);
}

/* Of those who wait before `p`, all, or those of `src`. */
static void release_all(struct nucleus *n, struct port *p,
                        const struct port *src)
{
    list_foreach (node, &p->side->parked) {
        struct parcel *q = LIST_ENTRY(node, struct parcel, node);
        if (q->msg.kind == MSG_NEWS) {
            if (src == NULL) {
                queue_remove(n, q);
                queue_put(n, p, q);
            }
        } else if (src == NULL || ui_equal(q->src, src->ui)) {
            release_parked(n, q);
        }
    }
    if (src != NULL && !list_linked(&p->work)) {
        list_append(&n->work, &p->work); /* others may fit now */
    }
}

/* How many effects that takes at most. */
static uint32_t parked_near(const struct nucleus *n, const struct port *p)
{
    uint32_t count = p->side != NULL ? p->side->parked_count : 0;
    for (uint32_t i = 0; n->counts.waiters > 0 && i < n->parcels.pool.high;
         i++) {
        const struct parcel *q = pool_at(&n->parcels.pool, i);
        count += q->state == PARCEL_PARKED && ui_equal(q->src, p->ui);
    }
    return count;
}

static void release_sent(struct nucleus *n, const struct port *p)
{
    for (uint32_t i = 0; n->counts.waiters > 0 && i < n->parcels.pool.high;
         i++) {
        const struct parcel *q = pool_at(&n->parcels.pool, i);
        if (q->state == PARCEL_PARKED && ui_equal(q->src, p->ui)) {
            release_all(n, q->port, p);
        }
    }
}

/* A request that is being forwarded may be back here already, for another: only
 * one of the two can be found by its caller. */
static enum motet_err globalize_held(struct nucleus *n, struct held *h)
{
    const struct msg *m = &h->msg;
    if (held_find(n, m->reply_to, m->call) != NULL) {
        return MOTET_E_AGAIN;
    }
    return held_globalize(n, h) ? MOTET_OK : MOTET_E_NO_MEMORY;
}

static enum motet_err globalize_requests(struct nucleus *n, struct port *p)
{
    enum motet_err err = MOTET_OK;
    list_foreach (node, &p->side->helds) {
        struct held *h = LIST_ENTRY(node, struct held, of_port);
        if (h->call != NULL && err == MOTET_OK) {
            err = globalize_held(n, h);
        }
    }
    list_foreach (node, &p->side->calls) {
        const struct call *c = LIST_ENTRY(node, struct call, of_port);
        if (c->held != NULL && err == MOTET_OK) {
            err = globalize_held(n, c->held);
        }
    }
    return err;
}

static bool globalize_watches(struct nucleus *n, struct port *p)
{
    list_foreach (node, &p->side->watchers) {
        struct watcher *w = LIST_ENTRY(node, struct watcher, node);
        if (w->kind == WATCHER_HERE &&
            !watch_globalize(n, CONTAINER_OF(w, struct watch, of))) {
            return false;
        }
    }
    list_foreach (node, &p->side->watches) {
        struct watch *w = LIST_ENTRY(node, struct watch, of_port);
        if (list_linked(&w->of.node) && !ui_is_group(w->subject) &&
            !watch_globalize(n, w)) {
            return false;
        }
    }
    return true;
}

/* Each tie may be of either kind at any time: what is half done does no harm.
 */
static enum motet_err globalize(struct nucleus *n, struct port *p)
{
    enum motet_err err = MOTET_OK;
    if (p->global) {
        return MOTET_OK;
    }
    if (!fx_reserve(&n->fx, parked_near(n, p) + FX_SPARE + FX_STEP)) {
        return MOTET_E_NO_MEMORY;
    }
    if (p->side != NULL) {
        release_all(n, p, NULL);
    }
    release_sent(n, p);
    if (p->side != NULL) {
        err = globalize_requests(n, p);
    }
    if (err == MOTET_OK && p->side != NULL && !globalize_watches(n, p)) {
        err = MOTET_E_NO_MEMORY;
    }
    p->global = err == MOTET_OK;
    return err;
}

/* ---- What its actors are told ------------------------------------------- */

/* How many watches it takes along. */
static uint64_t watches_of(const struct port *p)
{
    uint64_t count = 0;
    if (p->side != NULL) {
        list_foreach (node, &p->side->watches) {
            count++;
        }
    }
    return count;
}

/* ---- Frozen, and not ----------------------------------------------------- */

/* @return false: some are left, in a moment */
static bool drop_queue(struct nucleus *n, struct port *p)
{
    while (!list_empty(&p->queue)) {
        struct parcel *q = LIST_ENTRY(p->queue.next, struct parcel, node);
        struct held *h = q->held;
        if (!fx_ready(n)) {
            return false;
        }
        queue_remove(n, q);
        if (h != NULL) {
            h->parcel = NULL;
            held_answer(n, h, p->ui, MOTET_E_MOVING);
        }
        n->counts.lost += q->msg.kind != MSG_NEWS;
        parcel_free(n, q);
    }
    return true;
}

enum motet_err move_freeze(struct nucleus *n, const struct nuc_in *in,
                           struct nuc_out *out)
{
    (void)out;
    struct port *p = port_get(n, in->port);
    if (p == NULL) {
        return MOTET_E_NO_PORT;
    }
    if (ui_kind(p->ui) != UI_PORT) {
        return MOTET_E_STATE;
    }
    if (p->frozen) {
        return MOTET_E_MOVING;
    }
    if (list_linked(&p->work) || !list_empty(&n->told) ||
        (in->in && !drop_queue(n, p))) {
        return MOTET_E_AGAIN;
    }
    const enum motet_err err = globalize(n, p);
    if (err != MOTET_OK) {
        return err;
    }
    p->frozen = true;
    if (p->actor != NULL) {
        p->actor->frozen++;
    }
    CHECK(!p->enabled || queue_rank(p));
    trace(n, TRACE_FREEZE, p->msgs, p->ui.lo, p->seq);
    return MOTET_OK;
}

static void look_at_bonds(struct nucleus *n, const struct port_side *s)
{
    list_foreach (node, &s->calls) {
        bond_look(n, &LIST_ENTRY(node, struct call, of_port)->bond);
    }
    list_foreach (node, &s->helds) {
        struct held *h = LIST_ENTRY(node, struct held, of_port);
        bond_look(n, &h->bond);
        bond_look(n, &h->holder);
    }
    list_foreach (node, &s->watches) {
        bond_look(n, &LIST_ENTRY(node, struct watch, of_port)->bond);
    }
    list_foreach (node, &s->watchers) {
        struct watcher *w = LIST_ENTRY(node, struct watcher, node);
        if (w->kind == WATCHER_REMOTE) {
            bond_look(n, &CONTAINER_OF(w, struct watcher_remote, of)->bond);
        }
    }
}

/* Its groups may have members by now, its stalled messages room. */
static void wake_parcels(struct nucleus *n, const struct port *p)
{
    list_foreach (node, &p->side->waits) {
        const struct parcel *q = LIST_ENTRY(node, struct parcel, of_src);
        struct group *g = group_get(n, q->dest.target);
        if (g != NULL && g->count > 0 && !list_linked(&g->work)) {
            list_append(&n->woken, &g->work);
        }
    }
    list_foreach (node, &n->peers) {
        struct peer *peer = LIST_ENTRY(node, struct peer, node);
        if (!list_empty(&peer->stalled)) {
            peer->restart = true;
            if (!list_linked(&peer->work)) {
                list_append(&n->dying, &peer->work);
            }
        }
    }
}

static void tell_moved(struct nucleus *n, const struct port *p,
                       const struct actor *from)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_PORT_MOVED);
    e->actor = from->ui;
    e->port = p->ui;
    e->watch = watches_of(p);
}

/* The last message that was taken from it. */
static uint64_t cut(const struct port *p)
{
    const struct list *first = list_first(&p->queue);
    return first != NULL
               ? LIST_ENTRY(p->queue.next, struct parcel, node)->seq - 1
               : p->seq;
}

static void tell_adopted(struct nucleus *n, const struct port *p)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_PORT_ADOPTED);
    e->actor = p->actor->ui;
    e->port = p->ui;
    e->key = port_key(n, p);
    e->seq = cut(p);
    e->watch = watches_of(p);
}

/* It is owned here: whatever was put off is due. */
static void thaw(struct nucleus *n, struct port *p)
{
    const bool embryo = p->embryo; /* its actor goes on meanwhile */
    p->frozen = false;
    p->embryo = false;
    if (p->actor == NULL) {
        port_end(n, p, (enum motet_news)p->news, true);
        return;
    }
    p->actor->frozen -= embryo ? 0 : 1;
    CHECK(!p->enabled || queue_rank(p));
    if (p->side != NULL) {
        look_at_bonds(n, p->side);
        wake_parcels(n, p);
    }
    if (!list_linked(&p->work)) {
        list_append(&n->work, &p->work);
    }
}

static struct port *frozen_port(const struct nucleus *n, struct motet_ui ui,
                                bool embryo)
{
    struct port *p = port_get(n, ui);
    return p != NULL && p->frozen && p->embryo == embryo ? p : NULL;
}

enum motet_err move_thaw(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    (void)out;
    struct port *p = frozen_port(n, in->port, false);
    if (p == NULL) {
        return MOTET_E_STATE;
    }
    trace(n, TRACE_THAW, 0, p->ui.lo, p->seq);
    thaw(n, p);
    return MOTET_OK;
}

enum motet_err move_activate(struct nucleus *n, const struct nuc_in *in,
                             struct nuc_out *out)
{
    (void)out;
    struct port *p = frozen_port(n, in->port, true);
    if (p == NULL) {
        return MOTET_E_STATE;
    }
    trace(n, TRACE_THAW, 1, p->ui.lo, p->seq);
    list_foreach (node, &p->side->fanouts) {
        list_remove(node);
    }
    if (p->actor != NULL) {
        tell_adopted(n, p);
    }
    thaw(n, p);
    return MOTET_OK;
}

/* ---- Gone ---------------------------------------------------------------- */

static void shed(struct nucleus *n, struct port *p)
{
    p->frozen = false;
    p->moved = true;
    if (p->actor != NULL && !p->embryo) {
        p->actor->frozen--;
    }
    port_end(n, p, MOTET_NEWS_CLOSED, true);
}

enum motet_err move_drop(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    (void)out;
    struct port *p = frozen_port(n, in->port, false);
    if (p == NULL) {
        return MOTET_E_STATE;
    }
    if (p->actor != NULL) {
        tell_moved(n, p, p->actor);
    }
    if (p->actor != NULL && p->side != NULL && !in->in) {
        list_foreach (node, &p->side->helds) {
            debt_new(n, p, LIST_ENTRY(node, struct held, of_port));
        }
    }
    shed(n, p);
    return MOTET_OK;
}

enum motet_err move_discard(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct port *p = frozen_port(n, in->port, true);
    if (p == NULL) {
        return MOTET_E_STATE;
    }
    if (n->filled != NULL && ui_equal(n->filled->src, p->ui)) {
        parcel_moved(n, n->filled);
    }
    shed(n, p);
    return MOTET_OK;
}

static void forget_parcel(struct nucleus *n, struct parcel *q)
{
    if (q->held != NULL) {
        q->held->parcel = NULL;
    }
    queue_remove(n, q);
    parcel_free(n, q);
}

static void forget_held(struct nucleus *n, struct held *h)
{
    if (h->parcel != NULL) { /* its outcome is told elsewhere */
        h->parcel->role = PARCEL_INBOUND;
        h->parcel->held = NULL;
        h->parcel = NULL;
    }
    held_free(n, h);
}

static void forget_wait(struct nucleus *n, struct parcel *q)
{
    struct group *g = group_get(n, q->dest.target);
    parcel_unwait(n, q);
    if (q->call != NULL) {
        q->call->leg = NULL;
    }
    parcel_free(n, q);
    group_unwant(n, g);
}

static void forget_join(struct nucleus *n, struct join *j)
{
    struct group *g = j->group;
    list_remove(&j->node);
    pool_put(&n->join_pool, j);
    g->joins--;
    group_unwant(n, g);
}

/* One of its messages that found no room at the network manager. */
static bool forget_stalled(struct nucleus *n, const struct port *p)
{
    list_foreach (peer, &n->peers) {
        list_foreach (node, &LIST_ENTRY(peer, struct peer, node)->stalled) {
            struct parcel *q = LIST_ENTRY(node, struct parcel, node);
            if (ui_equal(q->src, p->ui)) {
                parcel_moved(n, q);
                return true;
            }
        }
    }
    return false;
}

static bool shed_ties(struct nucleus *n, struct port_side *s)
{
    struct list *node;
    if ((node = list_first(&s->waits)) != NULL) {
        forget_wait(n, LIST_ENTRY(node, struct parcel, of_src));
    } else if ((node = list_first(&s->calls)) != NULL) {
        call_forget(n, LIST_ENTRY(node, struct call, of_port));
    } else if ((node = list_first(&s->watches)) != NULL) {
        watch_free(n, LIST_ENTRY(node, struct watch, of_port));
    } else if ((node = list_first(&s->members)) != NULL) {
        list_remove(node);
    } else if ((node = list_first(&s->joins)) != NULL) {
        forget_join(n, LIST_ENTRY(node, struct join, node));
    } else if ((node = list_first(&s->watchers)) != NULL) {
        struct watcher *w = LIST_ENTRY(node, struct watcher, node);
        watcher_remote_free(n, CONTAINER_OF(w, struct watcher_remote, of));
    } else {
        return false;
    }
    return true;
}

bool move_shed(struct nucleus *n, struct port *p)
{
    struct port_side *s = p->side;
    struct list *node;
    if ((node = list_first(&p->queue)) != NULL) {
        forget_parcel(n, LIST_ENTRY(node, struct parcel, node));
        return true;
    }
    if (s == NULL) {
        return forget_stalled(n, p);
    }
    if ((node = list_first(&s->parked)) != NULL) {
        forget_parcel(n, LIST_ENTRY(node, struct parcel, node));
    } else if ((node = list_first(&s->helds)) != NULL) {
        forget_held(n, LIST_ENTRY(node, struct held, of_port));
    } else if ((node = list_first(&s->wanting)) != NULL) {
        struct want *w = LIST_ENTRY(node, struct want, node);
        const struct port *src = port_get(n, w->src);
        if (src != NULL && src->actor != NULL) {
            struct nuc_effect *e = fx_put(&n->fx, NUC_ROOM);
            e->actor = src->actor->ui;
            e->port = src->ui;
            e->dst = p->ui;
        }
        queue_unwant(n, p, w);
    } else if ((node = list_first(&s->waiters)) != NULL) {
        waiter_end(n, LIST_ENTRY(node, struct waiter, node), MOTET_E_CLOSED);
    } else {
        return shed_ties(n, s) || forget_stalled(n, p);
    }
    return true;
}

/* ---- To another actor here ----------------------------------------------- */

/* @return false at the memory cap: nothing changed */
static bool change_actor(struct port *p, struct actor *to)
{
    struct actor *from = p->actor;
    deadline_clear(&from->ready, &p->ready);
    p->actor = to;
    if (p->enabled && !queue_rank(p)) {
        p->actor = from;
        CHECK(queue_rank(p)); /* the place was just made */
        return false;
    }
    list_remove(&p->of_actor);
    list_append(&to->ports, &p->of_actor);
    return true;
}

/* Whom the outcomes of what it has sent are told. */
static void give_outcomes(struct nucleus *n, const struct port *p,
                          const struct actor *to)
{
    for (uint32_t i = 0; i < n->parcels.pool.high; i++) {
        struct parcel *q = pool_at(&n->parcels.pool, i);
        if (q->state == 0 || !ui_equal(q->src, p->ui)) {
            continue;
        }
        q->actor = to->ui;
        if (q->role == PARCEL_PART) {
            q->fanout->actor = to->ui;
        }
    }
}

enum motet_err move_give(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    (void)out;
    struct port *p = port_get(n, in->port);
    struct actor *to = actor_get(n, in->subject);
    if (p == NULL || p->actor == NULL) {
        return MOTET_E_NO_PORT;
    }
    if (to == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (p->frozen) {
        return MOTET_E_MOVING;
    }
    if (!to->adopts) {
        return MOTET_E_DECLINED;
    }
    struct actor *from = p->actor;
    if (from == to) {
        return MOTET_OK;
    }
    if (p->side != NULL) {
        list_foreach (node, &p->side->helds) {
            debt_new(n, p, LIST_ENTRY(node, struct held, of_port));
        }
        list_foreach (node, &p->side->waiters) {
            waiter_end(n, LIST_ENTRY(node, struct waiter, node),
                       MOTET_E_CLOSED);
        }
    }
    if (!change_actor(p, to)) {
        return MOTET_E_NO_MEMORY;
    }
    give_outcomes(n, p, to);
    tell_moved(n, p, from);
    tell_adopted(n, p);
    queue_work(n, p);
    return MOTET_OK;
}
