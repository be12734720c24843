#include "parts.h"

/* Flows of ports that move. While a port is frozen its flows from here stand
 * still: they are carried on by whoever will own it, and each outcome is told
 * once. Flows to it go on, but the nucleus takes nothing. */

static bool is_frozen(const struct netmgr *n, struct motet_ui port)
{
    return map_get(&n->frozen, port.hi, port.lo) != NULL;
}

static void thaw_flow(struct netmgr *n, struct sflow *f)
{
    f->frozen = false;
    sflow_unbind(n, f); /* what was said meanwhile was not heard */
    if (f->una < f->end) {
        f->idle_at_ns = DEADLINE_NEVER;
    } else {
        f->idle_at_ns = n->now + SEND_IDLE_NS;
    }
    timer_before(n, &f->timer, n->now);
    const struct place where = locate(n, f->dst);
    if (where.epoch > f->epoch || place_dead(f->peer, f->incarnation)) {
        sflow_move(n, f, where);
    } else {
        sflow_tidy(n, f);
    }
}

enum motet_err move_in_freeze(struct netmgr *n, const struct net_in *in)
{
    if (!is_frozen(n, in->dst) &&
        !map_put(&n->frozen, in->dst.hi, in->dst.lo, n)) {
        return MOTET_E_NO_MEMORY;
    }
    const struct pflows *from = pflows_find(&n->sport_by_ui, in->dst);
    if (from == NULL) {
        return MOTET_OK;
    }
    list_foreach (it, &from->flows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, of_src);
        f->frozen = true;
        list_remove(&f->ready);
        list_remove(&f->room);
    }
    return MOTET_OK;
}

enum motet_err move_in_here(struct netmgr *n, const struct net_in *in)
{
    const struct place here = {
        .site = n->site, .incarnation = n->incarnation, .epoch = in->epoch};
    (void)map_remove(&n->frozen, in->dst.hi, in->dst.lo);
    (void)locate_follow(n, in->dst, here);
    const struct pflows *from = pflows_find(&n->sport_by_ui, in->dst);
    if (from != NULL) {
        list_foreach (it, &from->flows) {
            struct sflow *f = LIST_ENTRY(it, struct sflow, of_src);
            if (f->frozen) {
                thaw_flow(n, f);
            }
        }
    }
    const struct pflows *to = pflows_find(&n->dport_by_ui, in->dst);
    if (to != NULL) {
        list_foreach (it, &to->flows) {
            LIST_ENTRY(it, struct rflow, port)->sure = true;
        }
    }
    return accept_in_room(n, in);
}

/* Who has a connection is told at once where to go. */
static void send_on(struct netmgr *n, struct rflow *r)
{
    r->sure = false;
    if (r->handle == 0) {
        return;
    }
    rflow_part_drop(r);
    r->gone = r->returning ? MOTET_E_MAYBE_LOST : MOTET_E_NO_PORT;
    r->starved = false;
    r->refused = 0;
    list_remove(&r->wait);
    ack_due(n, r, ACK_NOW);
}

enum motet_err move_in_away(struct netmgr *n, const struct net_in *in)
{
    struct pflows *from = pflows_find(&n->sport_by_ui, in->dst);
    (void)map_remove(&n->frozen, in->dst.hi, in->dst.lo);
    while (from != NULL && !list_empty(&from->flows)) {
        const bool last = from->flows.next == from->flows.prev;
        sflow_drop(n,
                   LIST_ENTRY(list_first(&from->flows), struct sflow, of_src));
        if (last) {
            break; /* `from` went with it */
        }
    }
    if (in->site != 0) {
        (void)locate_follow(n, in->dst,
                            (struct place){.site = in->site,
                                           .incarnation = in->incarnation,
                                           .epoch = in->epoch});
    } else {
        locate_ended(n, in->dst);
    }
    const struct pflows *to = pflows_find(&n->dport_by_ui, in->dst);
    if (to == NULL) {
        return MOTET_OK;
    }
    list_foreach (it, &to->flows) {
        send_on(n, LIST_ENTRY(it, struct rflow, port));
    }
    return MOTET_OK;
}

/* ---- The image: out --------------------------------------------------------
 */

enum { WALK_BEGIN, WALK_SFLOW, WALK_KEPT, WALK_RFLOWS, WALK_RFLOW, WALK_END };

static uint64_t left(const struct netmgr *n, uint64_t deadline_ns)
{
    if (deadline_ns == DEADLINE_NEVER) {
        return UINT64_MAX;
    }
    return deadline_ns > n->now ? deadline_ns - n->now : 0;
}

static void give_sflow(const struct sflow *f, struct image_item *it)
{
    *it = (struct image_item){
        .kind = IMAGE_SFLOW,
        .port = f->src,
        .peer = f->dst,
        .returning = f->returning,
        .place = {.site = f->peer->site, .incarnation = f->incarnation},
        .epoch = f->epoch,
        .origin = {.site = f->origin_site},
        .origin_epoch = f->origin_epoch,
        .base = f->una,
        .hi = f->hi,
        .end = f->end,
    };
}

static void give_kept(const struct netmgr *n, const struct kept *k,
                      struct image_item *it)
{
    *it = (struct image_item){
        .kind = IMAGE_KEPT,
        .flag = k->live,
        .ticket = k->live ? k->ticket : 0,
        .left_ns = left(n, k->deadline_ns),
        .msg = {.kind = MSG_SEND},
    };
    if (k->live) {
        it->msg = k->msg;
        (void)buf_ref(it->msg.data);
    }
}

static void give_rflow(const struct rflow *r, struct image_item *it)
{
    *it = (struct image_item){
        .kind = IMAGE_RFLOW,
        .port = r->dst,
        .peer = r->src,
        .returning = r->returning,
        .place = {.site = r->peer->site, .incarnation = r->incarnation},
        .pi = r->pi,
        .epoch = r->src_epoch,
        .origin = {.site = r->origin_site},
        .origin_epoch = r->origin_epoch,
        .base = r->next,
    };
}

/* The flow of a list of them that comes after the one at which the walk is. */
static struct list *next_of(const struct pflows *all, struct list *at)
{
    if (all == NULL) {
        return NULL;
    }
    return at == NULL ? list_first(&all->flows) : list_after(&all->flows, at);
}

static bool walk_sflows(const struct netmgr *n, struct motet_ui port,
                        struct net_walk *walk, struct image_item *it)
{
    if (walk->stage == WALK_KEPT) {
        const struct sflow *f =
            LIST_ENTRY((struct list *)walk->at, const struct sflow, of_src);
        if (walk->seq < f->end) {
            give_kept(n, sflow_slot(f, walk->seq), it);
            walk->seq++;
            return true;
        }
    }
    struct list *at = next_of(pflows_find(&n->sport_by_ui, port),
                              walk->stage == WALK_KEPT ? walk->at : NULL);
    if (at == NULL) {
        walk->stage = WALK_RFLOWS;
        walk->at = NULL;
        return false;
    }
    const struct sflow *f = LIST_ENTRY(at, const struct sflow, of_src);
    walk->stage = WALK_KEPT;
    walk->at = at;
    walk->seq = f->una;
    give_sflow(f, it);
    return true;
}

bool netmgr_image(const struct netmgr *n, struct motet_ui port,
                  struct net_walk *walk, struct image_item *it)
{
    if (walk->stage < WALK_RFLOWS && walk_sflows(n, port, walk, it)) {
        return true;
    }
    const struct pflows *to = pflows_find(&n->dport_by_ui, port);
    while (walk->stage < WALK_END) {
        struct list *at =
            next_of(to, walk->stage == WALK_RFLOW ? walk->at : NULL);
        walk->stage = at == NULL ? WALK_END : WALK_RFLOW;
        walk->at = at;
        if (at == NULL) {
            break;
        }
        const struct rflow *r = LIST_ENTRY(at, const struct rflow, port);
#ifdef MOTET_BUG_LEAVE_FLOWS
        continue;
#endif
        if (r->sure) {
            give_rflow(r, it);
            return true;
        }
    }
    return false;
}

/* ---- The image: in ---------------------------------------------------------
 */

static enum motet_err take_sflow(struct netmgr *n, const struct image_item *it)
{
    enum motet_err err = MOTET_OK;
    struct place where = {.site = it->place.site,
                          .incarnation = it->place.incarnation,
                          .epoch = it->epoch};
    const struct place known = locate(n, it->peer);
    if (it->base == 0 || it->hi < it->base || it->end < it->hi ||
        it->origin.site == 0 || it->origin_epoch == 0 ||
        sflow_find(n, it->port, it->peer, it->returning) != NULL) {
        return MOTET_E_PROTOCOL;
    }
    if (it->end - it->base > 4 * (uint64_t)n->limits.flow_msgs_max + 1024) {
        return MOTET_E_LIMIT;
    }
    if (known.epoch > where.epoch || where.site == 0) {
        where = known;
    }
    struct peer *p = net_peer_get(n, where.site);
    if (p == NULL) {
        return MOTET_E_LIMIT;
    }
    struct sflow *f =
        sflow_make(n, p, it->port, it->peer, it->returning, where, &err);
    if (f == NULL) {
        return err;
    }
    f->frozen = true;
    f->origin_site = it->origin.site;
    f->origin_epoch = it->origin_epoch;
    f->una = f->nxt = f->end = it->base;
    f->hi = it->hi;
    f->top = it->end;
    n->filled = f;
    n->filled_at = it->end;
    return sflow_ring_fit(n, f, it->end - it->base + 1) ? MOTET_OK
                                                        : MOTET_E_NO_MEMORY;
}

static uint64_t deadline(const struct netmgr *n, uint64_t left_ns)
{
    return left_ns >= DEADLINE_NEVER - n->now ? DEADLINE_NEVER
                                              : n->now + left_ns;
}

static enum motet_err take_kept(struct netmgr *n, const struct image_item *it)
{
    struct sflow *f = n->filled;
    if (f == NULL || f->end == n->filled_at) {
        return MOTET_E_PROTOCOL;
    }
    if (!it->flag && it->msg.data != NULL) {
        return MOTET_E_PROTOCOL;
    }
    if (!it->flag) { /* a VOID */
        *sflow_slot(f, f->end) = (struct kept){.deadline_ns = DEADLINE_NEVER};
        f->end++;
        return MOTET_OK;
    }
    if (it->msg.kind < MSG_SEND || it->msg.kind >= MSG_KIND_COUNT ||
        msg_returns(it->msg.kind) != f->returning ||
        it->msg.annex_bytes > msg_bytes(&it->msg)) {
        return MOTET_E_PROTOCOL;
    }
    if (it->ticket != 0 && !outcome_reserve(n)) {
        return MOTET_E_NO_MEMORY;
    }
    sflow_append(n, f, &it->msg, it->ticket, deadline(n, it->left_ns));
    return MOTET_OK;
}

/* What is here of the flow already is hearsay. */
static enum motet_err take_rflow(struct netmgr *n, const struct image_item *it)
{
    const struct net_bind b = {
        .src = it->peer,
        .dst = it->port,
        .returning = it->returning,
        .src_epoch = it->epoch,
        .origin_site = it->origin.site,
        .origin_epoch = it->origin_epoch,
        .base = it->base,
    };
    if (b.base == 0 || b.src_epoch == 0 || b.origin_site == 0 ||
        b.origin_epoch == 0 || it->place.site == 0) {
        return MOTET_E_PROTOCOL;
    }
    struct peer *p = net_peer_get(n, it->place.site);
    struct rflow *r = rflow_find(n, b.src, b.dst, b.returning);
    if (p == NULL) {
        return MOTET_E_LIMIT;
    }
    if (r != NULL) {
        rflow_free(n, r);
    }
    r = rflow_make(n, p, &b);
    if (r == NULL) {
        return MOTET_E_LIMIT;
    }
    r->incarnation = it->place.incarnation;
    r->pi = it->pi;
    r->sure = false; /* until the port lives here */
#ifdef MOTET_BUG_NO_DEDUP
    r->next = 1;
#endif
    return MOTET_OK;
}

enum motet_err move_in_item(struct netmgr *n, const struct net_in *in)
{
    const struct image_item *it = in->item;
    if (it->kind == IMAGE_SFLOW && is_frozen(n, it->port)) {
        return take_sflow(n, it);
    }
    if (it->kind == IMAGE_KEPT) {
        return take_kept(n, it);
    }
    if (it->kind == IMAGE_RFLOW && is_frozen(n, it->port)) {
        return take_rflow(n, it);
    }
    return MOTET_E_PROTOCOL;
}
