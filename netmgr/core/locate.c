#include "parts.h"

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

struct place_of netmgr_where(const struct netmgr *n, struct motet_ui port,
                             uint64_t *epoch)
{
    const struct place p = locate(n, port);
    *epoch = p.epoch;
    return (struct place_of){.site = p.site, .incarnation = p.incarnation};
}

bool locate_own(const struct netmgr *n, struct motet_ui dst)
{
    const struct override *o = find(n, dst);
    if (o != NULL) {
        return o->site == n->site;
    }
    return ui_site(dst) == n->site && (ui_kind(dst) == UI_CONTROL ||
                                       ui_incarnation(dst) == n->incarnation);
}

uint64_t locate_epoch(const struct netmgr *n, struct motet_ui port)
{
    const struct override *o = find(n, port);
    return o != NULL && o->site == n->site ? o->epoch : 1;
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
    if (where.site != n->site) {
        list_append(&n->overrides, &o->lru);
    }
    struct net_effect *e = effect_push(n, NET_WHERE);
    e->dst = dst;
    e->place =
        (struct place_of){.site = where.site, .incarnation = where.incarnation};
    e->epoch = where.epoch;
    trace_add(n->trace, n->now, TRACE_MOVED, (uint32_t)where.epoch, dst.lo,
              where.site);
    return true;
}

/* Kept like those of ports elsewhere: what it sent before its end still goes
 * out, at its last epoch. */
void locate_ended(struct netmgr *n, struct motet_ui dst)
{
    struct override *o = find(n, dst);
    if (o != NULL && o->site == n->site && !list_linked(&o->lru)) {
        list_append(&n->overrides, &o->lru);
    }
}

bool locate_follow(struct netmgr *n, struct motet_ui dst, struct place where)
{
    if (!locate_moved(n, dst, where)) {
        return false;
    }
    const struct pflows *to = pflows_find(&n->tport_by_ui, dst);
    if (to == NULL) {
        return true;
    }
    list_foreach (it, &to->flows) {
        struct sflow *f = LIST_ENTRY(it, struct sflow, of_dst);
        if (f->peer->site != where.site) {
            sflow_move(n, f, where);
        } else if (!f->frozen) {
            f->incarnation = where.incarnation;
            f->epoch = where.epoch;
        }
    }
    return true;
}

enum motet_err locate_in_where(struct netmgr *n, const struct net_in *in)
{
    if (in->site == 0 || in->epoch == 0) {
        return MOTET_E_INVALID;
    }
    const struct place where = {
        .site = in->site, .incarnation = in->incarnation, .epoch = in->epoch};
    (void)locate_follow(n, in->dst, where);
    return MOTET_OK;
}
