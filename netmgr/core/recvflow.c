#include "nucleus/base/hash.h"
#include "parts.h"

/* Flows from other sites: BIND, the records of what was accepted, eviction.
 *
 * A record outlives its handle, and the port: GONE then says exactly what that
 * port took. The sender frees an idle flow well before its record here may be
 * evicted, and begins the next one with higher numbers; so eviction is seen
 * only by a flow that had messages without an outcome and no session for half a
 * minute, and that is told MAYBE_LOST. */

/* ---- Indices ---------------------------------------------------------------
 */

struct rflow *rflow_by_handle(const struct netmgr *n, const struct peer *p,
                              uint32_t handle)
{
    return map_get(&n->rflow_by_handle, p->site, handle);
}

uint64_t rflow_id(const struct netmgr *n, const struct rflow *r)
{
    return (uint64_t)r->generation << 32 | (pool_index(&n->rflow_pool, r) + 1);
}

struct rflow *rflow_by_id(const struct netmgr *n, uint64_t id)
{
    uint32_t index = (uint32_t)id;
    struct rflow *r = index == 0 ? NULL : pool_at(&n->rflow_pool, index - 1);
    return r != NULL && r->generation == (uint32_t)(id >> 32) ? r : NULL;
}

static struct rflow *find(const struct netmgr *n, struct motet_ui src,
                          struct motet_ui dst, bool returning, uint64_t key[2])
{
    key[0] = hash_words(n->key_seed, src.hi, src.lo);
    key[1] = hash_words(n->key_seed, dst.hi, dst.lo) + (returning ? 1 : 0);
    struct rflow *r = map_get(&n->rflow_by_key, key[0], key[1]);
    while (r != NULL && !(r->returning == returning && ui_equal(r->src, src) &&
                          ui_equal(r->dst, dst))) {
        r = r->chain;
    }
    return r;
}

struct rflow *rflow_find(const struct netmgr *n, struct motet_ui src,
                         struct motet_ui dst, bool returning)
{
    uint64_t key[2];
    return find(n, src, dst, returning, key);
}

static bool index_put(struct netmgr *n, struct rflow *r)
{
    struct rflow *first = map_get(&n->rflow_by_key, r->key_hi, r->key_lo);
    if (first == NULL) {
        return map_put(&n->rflow_by_key, r->key_hi, r->key_lo, r);
    }
    r->chain = first->chain;
    first->chain = r;
    return true;
}

static void index_remove(struct netmgr *n, struct rflow *r)
{
    struct rflow *first = map_get(&n->rflow_by_key, r->key_hi, r->key_lo);
    if (first == r) {
        map_remove(&n->rflow_by_key, r->key_hi, r->key_lo);
        if (r->chain != NULL) { /* a place was just made */
            CHECK(map_put(&n->rflow_by_key, r->key_hi, r->key_lo, r->chain));
        }
        return;
    }
    while (first != NULL && first->chain != r) {
        first = first->chain;
    }
    CHECK(first != NULL);
    first->chain = r->chain;
}

struct pflows *pflows_find(const struct map *m, struct motet_ui ui)
{
    return map_get(m, ui.hi, ui.lo);
}

struct pflows *pflows_get(struct netmgr *n, struct map *m, struct motet_ui ui)
{
    struct pflows *p = pflows_find(m, ui);
    if (p != NULL) {
        return p;
    }
    p = pool_take(&n->pflows_pool);
    if (p == NULL) {
        return NULL;
    }
    p->ui = ui;
    list_init(&p->flows);
    if (!map_put(m, ui.hi, ui.lo, p)) {
        pool_put(&n->pflows_pool, p);
        return NULL;
    }
    return p;
}

void pflows_release(struct netmgr *n, struct map *m, struct pflows *p)
{
    if (p != NULL && list_empty(&p->flows)) {
        map_remove(m, p->ui.hi, p->ui.lo);
        pool_put(&n->pflows_pool, p);
    }
}

/* ---- Life of a record ------------------------------------------------------
 */

void rflow_part_drop(struct rflow *r)
{
    if (r->part != NULL) {
        r->peer->assembly_bytes -= r->part->size;
        buf_unref(r->part);
        r->part = NULL;
    }
    r->have = 0;
}

void rflow_touch(struct netmgr *n, struct rflow *r)
{
    r->used_ns = n->now;
    if (r->lru.next != &n->lru) { /* not the last one already */
        list_remove(&r->lru);
        list_append(&n->lru, &r->lru);
    }
}

void rflow_unbind(struct netmgr *n, struct rflow *r)
{
    if (r->handle != 0) {
        map_remove(&n->rflow_by_handle, r->peer->site, r->handle);
        r->handle = 0;
    }
    rflow_part_drop(r);
    list_remove(&r->due);
    list_remove(&r->wait);
    r->ack = ACK_NONE;
    r->unacked_msgs = 0;
    r->unacked_bytes = 0;
    r->round = 0;
    r->refused = 0;
    r->gone = 0;
    r->starved = false;
}

void rflow_free(struct netmgr *n, struct rflow *r)
{
    if (n->offered == r) {
        n->offered = NULL; /* its VERDICT comes too late */
    }
    rflow_unbind(n, r);
    list_remove(&r->node);
    list_remove(&r->lru);
    list_remove(&r->port);
    pflows_release(n, &n->dport_by_ui, r->dport);
    index_remove(n, r);
    r->peer->stats.flows_in--;
    r->generation = 0;
    pool_put(&n->rflow_pool, r);
}

/* What was evicted is remembered by the site whose numbers they are. */
static uint64_t *evicted_of(struct netmgr *n, uint64_t origin_site)
{
    struct peer *p = peer_find(n, origin_site);
    return p != NULL ? &p->evicted_next : &n->evicted_next;
}

static void evict(struct netmgr *n, struct rflow *r)
{
    uint64_t *most = evicted_of(n, r->origin_site);
    *most = r->next > *most ? r->next : *most;
    rflow_free(n, r);
}

/* Whether the record of a flow that asks for it may have been evicted. A site
 * that was forgotten, or died, has left its highest number behind. */
static bool may_be_evicted(struct netmgr *n, const struct peer *p,
                           const struct net_bind *b)
{
    if (b->base < *evicted_of(n, b->origin_site)) {
        return true;
    }
    return b->origin_site != p->site && b->base < n->evicted_abroad;
}

void rflow_rehome(struct rflow *r, struct peer *p)
{
    if (r->peer != p) {
        list_remove(&r->node);
        r->peer->stats.flows_in--;
        r->peer = p;
        p->stats.flows_in++;
        list_append(&p->rflows, &r->node);
    }
    r->incarnation = p->incarnation;
}

/* The least recently used record, if a packet of it can be under way no more.
 */
static bool evict_one(struct netmgr *n)
{
    struct list *it = list_first(&n->lru);
    struct rflow *r = it == NULL ? NULL : LIST_ENTRY(it, struct rflow, lru);
    if (r == NULL || n->now - r->used_ns < RECV_IDLE_NS) {
        return false;
    }
    evict(n, r);
    return true;
}

/* Records of flows that their senders freed long ago. A flow of a site without
 * a session may still have messages there: its record stays while there is
 * room for it; and so does that of one that waits for room. */
void rflow_sweep(struct netmgr *n)
{
    list_foreach (it, &n->lru) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, lru);
        if (n->now - r->used_ns < RECV_SWEEP_NS) {
            timer_set(n, &n->sweep, r->used_ns + RECV_SWEEP_NS);
            return;
        }
        if (r->peer->up && !r->starved && r->refused == 0) {
            evict(n, r);
        } else {
            rflow_touch(n, r);
        }
    }
}

struct rflow *rflow_make(struct netmgr *n, struct peer *p,
                         const struct net_bind *b)
{
    uint64_t key[2];
    uint32_t most = n->limits.flows_max;
    (void)find(n, b->src, b->dst, b->returning, key);
    if (n->peer_pool.used > 2) {
        most -= most / 4; /* one site cannot take the records of all */
    }
    if ((n->rflow_pool.used >= n->limits.flows_max && !evict_one(n)) ||
        p->stats.flows_in >= most) {
        return NULL;
    }
    struct pflows *d = pflows_get(n, &n->dport_by_ui, b->dst);
    struct rflow *r = d == NULL ? NULL : pool_take(&n->rflow_pool);
    if (r == NULL) {
        pflows_release(n, &n->dport_by_ui, d);
        return NULL;
    }
    r->key_hi = key[0];
    r->key_lo = key[1];
    if (!index_put(n, r)) {
        pool_put(&n->rflow_pool, r);
        pflows_release(n, &n->dport_by_ui, d);
        return NULL;
    }
    r->peer = p;
    r->incarnation = p->incarnation;
    r->dport = d;
    r->src = b->src;
    r->dst = b->dst;
    r->returning = b->returning;
    r->src_epoch = b->src_epoch;
    r->origin_site = b->origin_site;
    r->origin_epoch = b->origin_epoch;
    r->sure = locate_own(n, b->dst);
    r->generation = n->next_generation++;
    n->next_generation += n->next_generation == 0;
    r->next = b->base;
    r->used_ns = n->now;
    list_append(&p->rflows, &r->node);
    list_append(&d->flows, &r->port);
    if (list_empty(&n->lru)) {
        timer_before(n, &n->sweep, n->now + RECV_SWEEP_NS);
    }
    list_append(&n->lru, &r->lru);
    p->stats.flows_in++;
    return r;
}

/* ---- BIND ------------------------------------------------------------------
 */

/* No flow for it: said at once, and where the BIND came from, for nothing here
 * could say it again when that connection breaks. */
static void refuse_bind(struct netmgr *n, const struct conn *c,
                        const struct net_bind *b, enum motet_err status)
{
    struct net_ack *a = &effect_frame(n, c, NET_ACK)->frame.u.ack;
    a->handle = b->handle;
    a->flags = NET_ACK_GONE;
    a->status = (uint16_t)status;
    a->next = b->base;
    a->credit_msgs = b->base;
}

/* Handles of a sender rise; they may wrap. */
static bool newer_handle(uint32_t a, uint32_t b)
{
    uint32_t ahead = a - b;
    return b == 0 || (ahead != 0 && ahead < UINT32_C(0x80000000));
}

/* Numbers that began later owe nothing to earlier ones: all of those have their
 * outcome over there. */
static void renumber(struct rflow *r, const struct net_bind *b)
{
    if (b->origin_epoch > r->origin_epoch) {
        r->origin_site = b->origin_site;
        r->origin_epoch = b->origin_epoch;
        r->next = b->base;
    } else if (b->base > r->next) {
        r->next = b->base; /* all before have their outcome over there */
    }
}

static bool take_handle(struct netmgr *n, struct rflow *r, struct peer *p,
                        const struct conn *c, const struct net_bind *b)
{
    rflow_unbind(n, r);
    rflow_rehome(r, p);
    r->src_epoch = b->src_epoch;
    r->last_handle = b->handle;
    if (!map_put(&n->rflow_by_handle, p->site, b->handle, r)) {
        return false; /* DATA will be answered UNBOUND */
    }
    r->handle = b->handle;
    r->lane = (uint8_t)c->lane;
    r->pi = b->pi;
    renumber(r, b);
    r->credit_msgs = r->next + n->limits.credit_msgs_initial;
    r->credit_bytes = n->limits.credit_bytes_initial;
    return true;
}

/* Of an owner of the source that has given it away, or of this one's past. */
static bool out_of_the_past(const struct rflow *r, const struct peer *p,
                            const struct net_bind *b)
{
    if (b->src_epoch != r->src_epoch) {
        return b->src_epoch < r->src_epoch;
    }
    return r->peer == p && r->incarnation == p->incarnation &&
           !newer_handle(b->handle, r->last_handle);
}

/* What was taken of the messages without an outcome is known where the port
 * lives, or ended. */
static void answer_resume(struct netmgr *n, struct rflow *r)
{
    if (map_get(&n->frozen, r->dst.hi, r->dst.lo) != NULL && r->sure) {
        r->starved = true; /* no more until it is known where it will live */
    } else if (!r->sure) {
        r->gone = MOTET_E_MAYBE_LOST; /* or MOVED, if that is known */
    }
    ack_due(n, r, ACK_NOW);
}

bool rflow_bind(struct netmgr *n, struct peer *p, const struct conn *c,
                const struct net_bind *b)
{
    if (b->handle == 0 || b->base == 0 || ui_is_group(b->dst) ||
        b->src_epoch == 0 || b->origin_site == 0 || b->origin_epoch == 0) {
        return false;
    }
    struct rflow *r = rflow_find(n, b->src, b->dst, b->returning);
    if (r != NULL && r->peer == p && b->handle == r->handle) {
        ack_due(n, r, ACK_NOW); /* once more: its answer was lost */
        return true;
    }
    if ((r != NULL && out_of_the_past(r, p, b)) ||
        locate(n, b->src).epoch > b->src_epoch) {
        return true; /* whoever owns the source now speaks for it */
    }
    if (b->src_epoch > 1) { /* the answer may be wanted before the records */
        (void)locate_follow(n, b->src,
                            (struct place){.site = p->site,
                                           .incarnation = p->incarnation,
                                           .epoch = b->src_epoch});
    }
    if (rflow_by_handle(n, p, b->handle) != NULL) {
        return false; /* one handle, two flows */
    }
    if (r != NULL && r->handle != 0 && r->lane == NET_FAST && b->resume &&
        c->lane == NET_CONTROL && p->conns[NET_FAST] != NULL) {
        /* It is down over there: what goes on it from here is lost. */
        net_conn_close(n, p->conns[NET_FAST]);
    }
    if (r == NULL && b->resume && may_be_evicted(n, p, b)) {
        refuse_bind(n, c, b, MOTET_E_MAYBE_LOST);
        return true;
    }
    if (r == NULL) {
        r = rflow_make(n, p, b);
    }
    if (r == NULL) {
        refuse_bind(n, c, b, MOTET_E_LIMIT);
        return true;
    }
    rflow_touch(n, r);
    if (take_handle(n, r, p, c, b) && b->resume) {
        answer_resume(n, r);
    }
    return true;
}
