#include "state.h"

/* Where a port lives. A port that never moved lives at its birth site, in the
 * incarnation that made it; of the others the last known owner is kept, in a
 * bounded table. A wrong guess costs a redirect. */

static struct override *find(const struct netmgr *n, struct motet_ui dst)
{
    return map_get(&n->override_by_ui, dst.hi, dst.lo);
}

struct place locate(const struct netmgr *n, struct motet_ui dst)
{
    const struct override *o = find(n, dst);
    if (o != NULL) {
        return (struct place){
            .site = o->site, .incarnation = o->incarnation, .epoch = o->epoch};
    }
    return (struct place){
        .site = ui_site(dst),
        .incarnation = ui_kind(dst) == UI_CONTROL ? 0 : ui_incarnation(dst),
    };
}

static struct override *make(struct netmgr *n, struct motet_ui dst)
{
    struct override *o = pool_take(&n->override_pool);
    if (o == NULL) {
        if (list_empty(&n->overrides)) {
            return NULL;
        }
        o = LIST_ENTRY(list_first(&n->overrides), struct override, lru);
        list_remove(&o->lru);
        map_remove(&n->override_by_ui, o->dst.hi, o->dst.lo);
    }
    if (!map_put(&n->override_by_ui, dst.hi, dst.lo, o)) {
        pool_put(&n->override_pool, o);
        return NULL;
    }
    o->dst = dst;
    o->epoch = 0;
    return o;
}

bool locate_moved(struct netmgr *n, struct motet_ui dst, struct place where)
{
    struct override *o = find(n, dst);
    if (o != NULL && where.epoch <= o->epoch) {
        return false;
    }
    if (o == NULL) {
        o = make(n, dst);
    }
    if (o == NULL) {
        return true; /* not remembered: the next guess costs a redirect */
    }
    o->site = where.site;
    o->incarnation = where.incarnation;
    o->epoch = where.epoch;
    list_remove(&o->lru);
    list_append(&n->overrides, &o->lru);
    trace_add(n->trace, n->now, TRACE_MOVED, 0, dst.lo, where.site);
    return true;
}

/* Flows to the port follow at once unless something is uncertain: then its
 * former owner has the word. */
static void follow(struct netmgr *n, struct peer *from, struct motet_ui dst,
                   struct place where)
{
    list_foreach (it, &from->sflows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, node);
        if (ui_equal(f->dst, dst) && f->hi == f->una) {
            sflow_move(n, f, where);
        }
    }
}

enum motet_err locate_in_where(struct netmgr *n, const struct net_in *in)
{
    if (in->site == 0) {
        return MOTET_E_INVALID;
    }
    struct place before = locate(n, in->dst);
    struct place where = {
        .site = in->site, .incarnation = in->incarnation, .epoch = in->epoch};
    if (!locate_moved(n, in->dst, where) || before.site == where.site) {
        return MOTET_OK;
    }
    struct peer *from = peer_find(n, before.site);
    if (from != NULL) {
        follow(n, from, in->dst, where);
    }
    return MOTET_OK;
}
