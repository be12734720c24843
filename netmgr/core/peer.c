#include <string.h>

#include "parts.h"

/* Sites: acquaintance, dialing, death, misbehaviour. */

struct peer *peer_find(const struct netmgr *n, uint64_t site)
{
    return map_get(&n->peer_by_site, site, 0);
}

static bool peer_idle(const struct peer *p)
{
    return !p->wanted && !p->up && p->conns[NET_CONTROL] == NULL &&
           p->conns[NET_BULK] == NULL && p->dials[NET_CONTROL].id == 0 &&
           p->dials[NET_BULK].id == 0 && list_empty(&p->sflows) &&
           list_empty(&p->rflows);
}

void peer_free(struct netmgr *n, struct peer *p)
{
    if (p->evicted_next > n->evicted_next) {
        n->evicted_next = p->evicted_next;
    }
    list_foreach (it, &n->conns) {
        struct conn *c = LIST_ENTRY(it, struct conn, node);
        if (c->whom == p) {
            c->whom = NULL;
        }
    }
    map_remove(&n->peer_by_site, p->site, 0);
    list_remove(&p->node);
    list_remove(&p->dirty);
    deadline_clear(&n->timers, &p->ping);
    deadline_clear(&n->timers, &p->ack);
    deadline_clear(&n->timers, &p->blip);
    deadline_clear(&n->timers, &p->dials[NET_CONTROL].timer);
    deadline_clear(&n->timers, &p->dials[NET_BULK].timer);
    pool_put(&n->peer_pool, p);
}

/* At the limit a site that nobody needs any more makes room. What is known of
 * its incarnations goes with it. */
static void forget_one(struct netmgr *n)
{
    list_foreach (it, &n->peers) {
        struct peer *p = LIST_ENTRY(it, struct peer, node);
        if (peer_idle(p)) {
            peer_free(n, p);
            return;
        }
    }
}

static bool start_timers(struct netmgr *n, struct peer *p)
{
    bool ok = timer_start(n, &p->ping, TIMER_PING) &&
              timer_start(n, &p->blip, TIMER_BLIP) &&
              timer_start(n, &p->ack, TIMER_ACK);
    for (int lane = 0; lane < NET_LANES_DIALED; lane++) {
        p->dials[lane].peer = p;
        p->dials[lane].lane = (enum net_lane)lane;
        ok = ok && timer_start(n, &p->dials[lane].timer, TIMER_DIAL);
    }
    return ok;
}

struct peer *net_peer_get(struct netmgr *n, uint64_t site)
{
    struct peer *p = peer_find(n, site);
    if (p != NULL) {
        return p;
    }
    if (n->peer_pool.used >= n->limits.peers_max) {
        forget_one(n);
    }
    p = pool_take(&n->peer_pool);
    if (p == NULL) {
        return NULL;
    }
    p->site = site;
    p->evicted_next = n->evicted_next;
    list_init(&p->sflows);
    list_init(&p->rflows);
    list_init(&p->ready[NET_CONTROL]);
    list_init(&p->ready[NET_BULK]);
    list_init(&p->ready[NET_FAST]);
    list_init(&p->acks);
    list_init(&p->lazy_acks);
    list_init(&p->starved);
    list_append(&n->peers, &p->node);
    if (!start_timers(n, p) || !map_put(&n->peer_by_site, site, 0, p)) {
        peer_free(n, p);
        return NULL;
    }
    return p;
}

void peer_dirty(struct netmgr *n, struct peer *p)
{
    if (!list_linked(&p->dirty)) {
        list_append(&n->dirty, &p->dirty);
    }
}

bool peer_banned(const struct netmgr *n, const struct peer *p)
{
    return n->now < p->banned_ns;
}

/* ---- Acquaintance ----------------------------------------------------------
 */

static enum motet_err seed_new(struct netmgr *n, const char *addr)
{
    list_foreach (it, &n->seeds) {
        if (strcmp(LIST_ENTRY(it, struct seed, node)->addr, addr) == 0) {
            return MOTET_OK;
        }
    }
    struct seed *s = pool_take(&n->seed_pool);
    if (s == NULL) {
        return n->seed_pool.used >= SEEDS_MAX ? MOTET_E_LIMIT
                                              : MOTET_E_NO_MEMORY;
    }
    if (!timer_start(n, &s->timer, TIMER_SEED)) {
        pool_put(&n->seed_pool, s);
        return MOTET_E_NO_MEMORY;
    }
    text_copy(s->addr, sizeof(s->addr), addr);
    list_append(&n->seeds, &s->node);
    timer_set(n, &s->timer, n->now);
    return MOTET_OK;
}

enum motet_err peer_in(struct netmgr *n, const struct net_in *in)
{
    const char *addr = in->addr == NULL ? "" : in->addr;
    if (strnlen(addr, NET_ADDR_MAX + 1) > NET_ADDR_MAX ||
        (in->site == 0 && addr[0] == 0)) {
        return MOTET_E_INVALID;
    }
    if (in->site == n->site) {
        return MOTET_OK;
    }
    if (in->site == 0) {
        return seed_new(n, addr);
    }
    struct peer *p = net_peer_get(n, in->site);
    if (p == NULL) {
        return n->peer_pool.used >= n->limits.peers_max ? MOTET_E_LIMIT
                                                        : MOTET_E_NO_MEMORY;
    }
    p->wanted = true;
    if (addr[0] != 0 && strcmp(p->addr, addr) != 0) {
        text_copy(p->addr, sizeof(p->addr), addr);
        p->dials[NET_CONTROL].not_before_ns = 0;
    }
    net_peer_want(n, p, NET_CONTROL);
    return MOTET_OK;
}

enum motet_err peer_in_forget(struct netmgr *n, const struct net_in *in)
{
    struct peer *p = peer_find(n, in->site);
    if (p == NULL) {
        return MOTET_E_NO_SITE;
    }
    p->wanted = false;
    for (int lane = NET_LANE_COUNT - 1; lane >= 0; lane--) {
        if (lane < NET_LANES_DIALED) {
            p->dials[lane].wanted = false;
        }
        if (p->conns[lane] != NULL) {
            net_conn_close(n, p->conns[lane]);
        }
    }
    return MOTET_OK;
}

/* ---- Death -----------------------------------------------------------------
 *
 * A site goes down first: its sessions end. Its ports may have moved: only when
 * all is known of where they went (NET_IN_DEAD) do the flows end that are left.
 */

bool place_dead(const struct peer *p, uint32_t incarnation)
{
    if (incarnation != 0) {
        return incarnation <= p->lost;
    }
    return p->incarnation == 0 && p->dead != 0 && p->dead >= p->seen;
}

static void end_sflow(struct netmgr *n, struct peer *p, struct sflow *f)
{
    const struct place where = locate(n, f->dst);
    if (f->frozen) {
        return; /* looked at when it thaws */
    }
    if (where.site != p->site ||
        (where.incarnation != 0 && where.incarnation > p->lost)) {
        sflow_move(n, f, where);
        return;
    }
    sflow_settle_all(n, f, MOTET_E_MAYBE_SITE_DEAD, MOTET_E_SITE_DEAD);
}

/* Of flows for incarnations up to this one; with `any`, of those for whichever
 * incarnation lives, instead. */
static void end_sflows(struct netmgr *n, struct peer *p, uint32_t incarnation,
                       bool any)
{
    list_foreach (it, &p->sflows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, node);
        if (any ? f->incarnation == 0
                : f->incarnation != 0 && f->incarnation <= incarnation) {
            end_sflow(n, p, f);
        }
    }
}

/* Records of what came from there. Of a port they stay until it is known where
 * that lives; the names of the site as such speak for its next life. */
static void end_rflows(struct netmgr *n, struct peer *p, uint32_t incarnation,
                       bool ports)
{
    list_foreach (it, &p->rflows) {
        struct rflow *r = LIST_ENTRY(it, struct rflow, node);
        const bool port = ui_kind(r->src) == UI_PORT;
        if (port != ports || r->incarnation > incarnation) {
            continue;
        }
        const struct place where = locate(n, r->src);
        struct peer *to = where.epoch != 0 && where.site != p->site
                              ? net_peer_get(n, where.site)
                              : NULL;
        if (port && to != NULL) {
            rflow_unbind(n, r);
            rflow_rehome(r, to);
        } else {
            rflow_free(n, r);
        }
    }
}

void peer_bury(struct netmgr *n, struct peer *p, uint32_t incarnation)
{
    bool current = p->incarnation <= incarnation;
    if (incarnation > p->dead) {
        p->dead = incarnation;
    }
    if (incarnation > p->seen) {
        p->seen = incarnation;
    }
    if (!current) {
        return;
    }
    for (int lane = NET_LANE_COUNT - 1; lane >= 0; lane--) {
        if (p->conns[lane] != NULL) {
            net_conn_close(n, p->conns[lane]);
        }
    }
    end_rflows(n, p, incarnation, false);
    session_told_down(n, p);
    if (p->evicted_next > n->evicted_abroad) {
        n->evicted_abroad = p->evicted_next; /* its numbers may live on */
    }
    p->evicted_next = 0;
    p->incarnation = 0;
    p->srtt_ns = 0;
    p->told_rtt_ns = 0;
    p->twin.incarnation = 0;
    end_sflows(n, p, incarnation, true);
}

void peer_succeed(struct netmgr *n, struct peer *p, uint32_t incarnation)
{
    uint32_t old = p->incarnation;
    if (old != 0 && old < incarnation) {
        struct net_effect *e = effect_push(n, NET_SUPERSEDED);
        e->site = p->site;
        e->incarnation = old;
        peer_bury(n, p, old);
    }
}

static enum motet_err down(struct netmgr *n, const struct net_in *in,
                           struct peer **found)
{
    if (in->site == 0 || in->site == n->site) {
        return MOTET_E_INVALID;
    }
    struct peer *p = net_peer_get(n, in->site);
    if (p == NULL) {
        return MOTET_E_LIMIT;
    }
    peer_bury(n, p, in->incarnation);
    *found = p;
    return MOTET_OK;
}

enum motet_err peer_in_down(struct netmgr *n, const struct net_in *in)
{
    struct peer *p;
    return down(n, in, &p);
}

/* The earlier lives of this site. */
static enum motet_err past_over(struct netmgr *n, const struct net_in *in)
{
    if (in->incarnation >= n->incarnation) {
        return MOTET_E_INVALID;
    }
    n->self->lost = n->incarnation - 1;
    end_sflows(n, n->self, n->self->lost, false);
    return MOTET_OK;
}

enum motet_err peer_in_dead(struct netmgr *n, const struct net_in *in)
{
    struct peer *p;
    if (in->site == n->site) {
        return past_over(n, in);
    }
    const enum motet_err err = down(n, in, &p);
    if (err != MOTET_OK) {
        return err;
    }
    if (in->incarnation > p->lost) {
        p->lost = in->incarnation;
    }
    end_rflows(n, p, in->incarnation, true);
    end_sflows(n, p, in->incarnation, false);
    return MOTET_OK;
}

/* ---- Misbehaviour ----------------------------------------------------------
 */

static void count_violation(struct netmgr *n, struct peer *p)
{
    if (p->violations == 0 || n->now - p->violation_ns > VIOLATION_WINDOW_NS) {
        p->violation_ns = n->now;
        p->violations = 0;
    }
    p->violations++;
    if (p->violations < n->limits.violations_max) {
        return;
    }
    p->violations = 0;
    p->ban_ns = p->ban_ns == 0               ? BAN_MIN_NS
                : p->ban_ns * 2 > BAN_MAX_NS ? BAN_MAX_NS
                                             : p->ban_ns * 2;
    p->banned_ns = n->now + p->ban_ns;
    for (int lane = NET_LANE_COUNT - 1; lane >= 0; lane--) {
        if (p->conns[lane] != NULL) {
            net_conn_close(n, p->conns[lane]);
        }
    }
}

void peer_violation(struct netmgr *n, struct conn *c, const char *detail)
{
    struct peer *p = c->peer;
    if (p == NULL && c->verified != 0) {
        p = peer_find(n, c->verified);
    }
    struct net_effect *e = effect_push(n, NET_STRANGER);
    e->conn = c->id;
    e->site = p != NULL ? p->site : c->verified;
    e->err = MOTET_E_PROTOCOL;
    e->detail = detail;
    trace_add(n->trace, n->now, TRACE_VIOLATION, 0, e->site, c->id);
    net_conn_close(n, c);
    if (p != NULL) {
        count_violation(n, p);
    }
}
