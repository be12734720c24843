#include <string.h>

#include "core.h"

/* What a port takes along, item by item. It is frozen: nothing changes between
 * two of them. */

enum stage {
    STAGE_PORT,
    STAGE_MEMBERS,
    STAGE_HELDS,
    STAGE_QUEUE,
    STAGE_CALLS,
    STAGE_WATCHES,
    STAGE_WATCHERS,
    STAGE_WAITS,
    STAGE_STALLED,
    STAGE_END
};

static uint64_t left(const struct nucleus *n, uint64_t deadline_ns)
{
    if (deadline_ns == DEADLINE_NEVER) {
        return UINT64_MAX;
    }
    return deadline_ns > n->now_ns ? deadline_ns - n->now_ns : 0;
}

static uint64_t armed(const struct nucleus *n, const struct deadline *t)
{
    return deadline_armed(t) ? left(n, t->at_ns) : UINT64_MAX;
}

static struct place_of place_of_bond(const struct bond *b)
{
    return (struct place_of){.site = b->peer != NULL ? b->peer->site : 0,
                             .incarnation = b->incarnation};
}

static void give_msg(struct image_item *it, const struct msg *msg)
{
    it->msg = *msg;
    (void)buf_ref(it->msg.data);
}

static void give_port(const struct nucleus *n, const struct port *p,
                      struct image_item *it)
{
    it->kind = IMAGE_PORT;
    it->key = port_key(n, p);
    if (p->side != NULL && p->side->has_pi) {
        it->pi = p->side->pi;
    } else if (p->actor != NULL) {
        it->pi = p->actor->pi;
    }
    it->enabled = p->enabled;
    it->priority = p->priority;
    it->msgs = p->side != NULL ? p->side->msgs_max : 0;
    it->bytes = p->side != NULL ? p->side->bytes_max : 0;
    it->seq = p->seq;
}

static void give_member(const struct member *m, struct image_item *it)
{
    it->kind = IMAGE_MEMBER;
    it->peer = m->group->ui;
    memcpy(it->name, m->group->name, sizeof it->name);
}

static void give_held(const struct nucleus *n, const struct held *h,
                      struct image_item *it)
{
    it->kind = IMAGE_HELD;
    it->id = h->id;
    it->flag = h->delivered;
    it->left_ns = left(n, h->deadline_ns);
    it->place = place_of_bond(&h->bond);
    if (h->delivered) {
        it->holder = h->holder.peer != NULL
                         ? place_of_bond(&h->holder)
                         : (struct place_of){n->cfg.site, n->cfg.incarnation};
    }
    give_msg(it, &h->msg);
    if (it->msg.data == NULL) { /* it is with the message, which follows */
        it->msg.annex_bytes = 0;
    }
}

static void give_queued(const struct nucleus *n, const struct parcel *q,
                        struct image_item *it)
{
    it->kind = IMAGE_QUEUED;
    it->peer = q->src;
    it->seq = q->seq;
    it->age_ns = n->now_ns - q->queued_ns;
    it->id = q->held != NULL ? q->held->id : 0;
    give_msg(it, &q->msg);
}

static void give_call(const struct nucleus *n, const struct call *c,
                      struct image_item *it)
{
    it->kind = IMAGE_CALL;
    it->id = c->id;
    it->peer = c->server;
    it->place = place_of_bond(&c->bond);
    it->left_ns = armed(n, &c->timer);
    it->hops = c->hops;
    it->err = c->no;
    it->err2 = c->maybe;
    it->flag = c->bereft;
}

static void give_watch(const struct watch *w, struct image_item *it)
{
    it->kind = IMAGE_WATCH;
    it->id = w->id;
    it->peer = w->subject;
    it->place = place_of_bond(&w->bond);
}

/* The site as such, watched from itself: from elsewhere that is an incarnation
 * like any other. */
static void give_site_watch(const struct nucleus *n, struct image_item *it)
{
    if (ui_kind(it->peer) == UI_SITE && ui_site(it->peer) == n->cfg.site) {
        it->place = (struct place_of){.site = n->cfg.site,
                                      .incarnation = n->cfg.incarnation};
    }
}

static void give_watcher(struct watcher *w, struct image_item *it)
{
    CHECK(w->kind == WATCHER_REMOTE);
    const struct watcher_remote *r = CONTAINER_OF(w, struct watcher_remote, of);
    it->kind = IMAGE_WATCHER;
    it->id = r->id;
    it->peer = r->watching;
    it->place = place_of_bond(&r->bond);
}

static uint64_t subject_id(const struct nucleus *n, const struct parcel *q,
                           struct image_item *it)
{
    switch (q->role) {
    case PARCEL_PART:
        it->err = q->fanout->err;
        it->token = q->fanout->token;
        it->notify = (uint8_t)q->fanout->notify;
        return pool_index(&n->fanout_pool, q->fanout) + UINT64_C(1);
    case PARCEL_REQUEST:
        return q->call->id;
    case PARCEL_FORWARD:
        return q->held->id;
    case PARCEL_WATCH:
        return q->watch->id;
    case PARCEL_SEND:
    case PARCEL_INNER:
    case PARCEL_ORPHAN:
    case PARCEL_INBOUND:
        break;
    }
    return 0;
}

static void give_parcel(const struct nucleus *n, const struct parcel *q,
                        enum image_kind kind, struct image_item *it)
{
    it->kind = kind;
    it->port = q->src;
    it->peer = q->dst;
    it->dest = q->dest;
    it->ticket = q->ticket;
    it->role = (uint8_t)q->role;
    it->notify = (uint8_t)q->notify;
    it->wait = q->wait;
    it->flag = q->forwarded;
    it->token = q->token;
    it->left_ns = left(n, q->deadline_ns);
    it->id = subject_id(n, q, it);
    if (kind != IMAGE_PARCEL) {
        give_msg(it, &q->msg);
    } else {
        it->msg = q->msg; /* its data is with the network manager */
        it->msg.data = NULL;
        it->msg.annex_bytes = 0;
    }
}

bool nucleus_image_parcel(const struct nucleus *n, uint64_t ticket,
                          struct image_item *it)
{
    const struct parcel *q = ids_at(&n->parcels, ticket);
    if (q == NULL || q->ticket != ticket || q->state != PARCEL_NET ||
        q->role == PARCEL_INBOUND) {
        return false;
    }
    *it = (struct image_item){.kind = IMAGE_PARCEL};
    give_parcel(n, q, IMAGE_PARCEL, it);
    return true;
}

/* The list of a stage. */
static const struct list *list_of(const struct port *p, int stage)
{
    const struct port_side *s = p->side;
    if (stage == STAGE_QUEUE) {
        return &p->queue;
    }
    if (s == NULL) {
        return NULL;
    }
    switch (stage) {
    case STAGE_MEMBERS:
#ifdef MOTET_BUG_LEAVE_GROUP
        return NULL;
#else
        return &s->members;
#endif
    case STAGE_HELDS:
        return &s->helds;
    case STAGE_CALLS:
        return &s->calls;
    case STAGE_WATCHES:
        return &s->watches;
    case STAGE_WATCHERS:
        return &s->watchers;
    case STAGE_WAITS:
        return &s->waits;
    default:
        return NULL;
    }
}

static void give(const struct nucleus *n, int stage, struct list *node,
                 struct image_item *it)
{
    switch (stage) {
    case STAGE_MEMBERS:
        give_member(LIST_ENTRY(node, struct member, of_port), it);
        break;
    case STAGE_HELDS:
        give_held(n, LIST_ENTRY(node, struct held, of_port), it);
        break;
    case STAGE_QUEUE:
        give_queued(n, LIST_ENTRY(node, struct parcel, node), it);
        break;
    case STAGE_CALLS:
        give_call(n, LIST_ENTRY(node, struct call, of_port), it);
        break;
    case STAGE_WATCHES:
        give_watch(LIST_ENTRY(node, struct watch, of_port), it);
        give_site_watch(n, it);
        break;
    case STAGE_WATCHERS:
        give_watcher(LIST_ENTRY(node, struct watcher, node), it);
        break;
    default:
        CHECK(stage == STAGE_WAITS);
        give_parcel(n, LIST_ENTRY(node, struct parcel, of_src), IMAGE_WAITING,
                    it);
    }
}

/* What found no room at the network manager is in no list of the port. */
static bool next_stalled(const struct nucleus *n, const struct port *p,
                         struct nuc_walk *walk, struct image_item *it)
{
    while (walk->index < n->parcels.pool.high) {
        const struct parcel *q = pool_at(&n->parcels.pool, walk->index);
        walk->index++;
        if (q->state == PARCEL_STALLED && ui_equal(q->src, p->ui)) {
            give_parcel(n, q, IMAGE_STALLED, it);
            return true;
        }
    }
    return false;
}

static bool any_stalled(const struct nucleus *n)
{
    list_foreach (node, &n->peers) {
        if (!list_empty(&LIST_ENTRY(node, struct peer, node)->stalled)) {
            return true;
        }
    }
    return false;
}

bool nucleus_image(const struct nucleus *n, struct motet_ui port,
                   struct nuc_walk *walk, struct image_item *it)
{
    const struct port *p = port_get(n, port);
    if (p == NULL || !p->frozen) {
        return false;
    }
    *it = (struct image_item){.port = port};
    if (walk->stage == STAGE_PORT) {
        walk->stage++;
        give_port(n, p, it);
        return true;
    }
    while (walk->stage < STAGE_STALLED) {
        const struct list *all = list_of(p, walk->stage);
        struct list *node = all == NULL        ? NULL
                            : walk->at == NULL ? list_first(all)
                                               : list_after(all, walk->at);
        walk->at = node;
        if (node != NULL) {
            give(n, walk->stage, node, it);
            return true;
        }
        walk->stage++;
    }
    if (walk->stage == STAGE_STALLED && any_stalled(n) &&
        next_stalled(n, p, walk, it)) {
        return true;
    }
    walk->stage = STAGE_END;
    return false;
}
