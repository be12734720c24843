#include "core.h"

/* Members of groups: how they come and go, and which of them gets a message. */

/* ---- Who gets it --------------------------------------------------------- */

static bool reachable(const struct member *m)
{
    const struct peer *p = m->peer;
    if (p == NULL) {
        return true;
    }
    return p->state == NUC_SITE_REACHABLE &&
           (ui_kind(m->ui) != UI_PORT || ui_site(m->ui) != p->site ||
            ui_incarnation(m->ui) > p->dead);
}

static struct member *first_member(const struct group *g)
{
    return LIST_ENTRY(g->members.next, struct member, node);
}

static struct member *next_member(const struct group *g, const struct member *m)
{
    struct list *node = list_after(&g->members, &m->node);
    return node != NULL ? LIST_ENTRY(node, struct member, node)
                        : first_member(g);
}

static bool wanted(const struct member *m, const struct motet_dest *dest)
{
    const uint64_t site = ui_site(dest->co);
    return dest->mode == MOTET_TO_ON_SITE       ? m->site == site
           : dest->mode == MOTET_TO_NOT_ON_SITE ? m->site != site
                                                : true;
}

/* The next in turn; one that cannot be reached only if there is no other. */
static struct member *in_turn(struct group *g, const struct motet_dest *dest)
{
    struct member *m = g->turn != NULL ? g->turn : first_member(g);
    struct member *chosen = NULL;
    for (uint32_t i = 0; i < g->count; i++, m = next_member(g, m)) {
        if (!wanted(m, dest)) {
            continue;
        }
        if (reachable(m)) {
            chosen = m;
            break;
        }
        if (chosen == NULL) {
            chosen = m;
        }
    }
    if (chosen != NULL) {
        g->turn = next_member(g, chosen);
    }
    return chosen;
}

/* Here; else, of those that can be reached, the one soonest reached. */
static struct member *nearest(const struct group *g)
{
    struct member *best = NULL;
    list_foreach (node, &g->members) {
        struct member *m = LIST_ENTRY(node, struct member, node);
        if (m->peer == NULL) {
            return m;
        }
        if (best == NULL || (reachable(m) && !reachable(best)) ||
            (reachable(m) == reachable(best) &&
             m->peer->rtt_ns < best->peer->rtt_ns)) {
            best = m;
        }
    }
    return best;
}

enum motet_err group_pick(struct nucleus *n, const struct motet_dest *dest,
                          struct motet_ui *member)
{
    if ((unsigned)dest->mode >= MOTET_MODE_COUNT) {
        return MOTET_E_INVALID;
    }
    const bool by_site =
        dest->mode == MOTET_TO_ON_SITE || dest->mode == MOTET_TO_NOT_ON_SITE;
    if (by_site && ui_site(dest->co) == 0) {
        return MOTET_E_INVALID;
    }
    struct group *g = group_get(n, dest->target);
    if (g == NULL || g->count == 0) {
        return MOTET_E_NO_MEMBER;
    }
    const struct member *m =
        dest->mode == MOTET_TO_NEAREST ? nearest(g) : in_turn(g, dest);
    if (m == NULL) {
        return MOTET_E_NO_MEMBER;
    }
    *member = m->ui;
    return MOTET_OK;
}

/* Those who wait are tried once each for every member that joins. */
void group_work(struct nucleus *n, struct group *g)
{
    list_remove(&g->work);
    list_foreach (node, &g->waiting) {
        struct parcel *q = LIST_ENTRY(node, struct parcel, node);
        if (!fx_ready(n)) {
            list_append(&n->woken, &g->work);
            return;
        }
        const struct port *src = port_get(n, q->src);
        if ((src != NULL && src->frozen) ||
            group_pick(n, &q->dest, &q->dst) != MOTET_OK) {
            continue;
        }
        parcel_unwait(n, q);
        if (q->role == PARCEL_REQUEST) {
            call_woken(n, q);
        } else {
            send_woken(n, q);
        }
    }
    group_unwant(n, g);
}

/* ---- How they come and go ------------------------------------------------ */

static void tell_watchers(struct nucleus *n, struct group *g,
                          enum motet_news news, struct motet_ui member)
{
    list_foreach (node, &g->watchers) {
        struct watcher *w = LIST_ENTRY(node, struct watcher, node);
        watch_tell(n, CONTAINER_OF(w, struct watch, of), news, member);
    }
}

/* Ties a new member to its port here or to its site. */
static bool settle(struct nucleus *n, struct member *m, enum motet_err *err)
{
    if (m->site != n->cfg.site) {
        m->peer = peer_want(n, m->site, err);
        if (m->peer == NULL) {
            return false;
        }
        m->peer->members++;
        return true;
    }
    struct port *p = port_get(n, m->ui);
    struct port_side *side = port_side(n, p);
    if (side == NULL) {
        *err = MOTET_E_NO_MEMORY;
        return false;
    }
    list_append(&side->members, &m->of_port);
    return true;
}

static void unsettle(struct nucleus *n, struct member *m)
{
    list_remove(&m->of_port);
    if (m->peer != NULL) {
        m->peer->members--;
        peer_unwant(n, m->peer);
        m->peer = NULL;
    }
}

static struct member *add(struct nucleus *n, struct group *g,
                          const struct nuc_in *in, enum motet_err *err)
{
    struct member *m = pool_take_or(&n->member_pool, err);
    if (m == NULL) {
        return NULL;
    }
    m->group = g;
    m->ui = in->src;
    m->site = in->site;
    m->epoch = in->epoch;
    if (!settle(n, m, err)) {
        pool_put(&n->member_pool, m);
        return NULL;
    }
    if (!map_put(&g->by_port, m->ui.hi, m->ui.lo, m)) {
        unsettle(n, m);
        pool_put(&n->member_pool, m);
        *err = MOTET_E_NO_MEMORY;
        return NULL;
    }
    list_append(&g->members, &m->node);
    g->count++;
    return m;
}

static enum motet_err move(struct nucleus *n, struct member *m,
                           const struct nuc_in *in)
{
    enum motet_err err;
    if (m->site == in->site) {
        /* It may have been away, and home before that was heard of. */
        const bool untied = m->site == n->cfg.site && !list_linked(&m->of_port);
        if (untied && !settle(n, m, &err)) {
            return err;
        }
        m->epoch = in->epoch;
        return MOTET_OK;
    }
    if (in->epoch < m->epoch) {
        return MOTET_OK; /* where it was before */
    }
    struct member moved = {.ui = m->ui, .site = in->site};
    if (!settle(n, &moved, &err)) {
        return err;
    }
    list_remove(&moved.of_port);
    unsettle(n, m);
    m->site = in->site;
    m->epoch = in->epoch;
    m->peer = moved.peer;
    if (m->peer == NULL) {
        list_append(&port_get(n, m->ui)->side->members, &m->of_port);
    }
    return MOTET_OK;
}

static enum motet_err join(struct nucleus *n, const struct nuc_in *in)
{
    enum motet_err err;
    if (in->site == n->cfg.site && port_get(n, in->src) == NULL) {
        return MOTET_E_NO_PORT; /* it ended in the meantime */
    }
    struct group *g = group_want(n, in->dest.target, &err);
    if (g == NULL) {
        return err;
    }
    if (in->name != NULL && in->name[0] != '\0') {
        group_name(g, in->name);
    }
    struct member *m = map_get(&g->by_port, in->src.hi, in->src.lo);
    if (m != NULL) {
        return move(n, m, in);
    }
    m = add(n, g, in, &err);
    if (m == NULL) {
        group_unwant(n, g);
        return err;
    }
    trace(n, TRACE_MEMBER_IN, 0, g->ui.lo, m->ui.lo);
    tell_watchers(n, g, MOTET_NEWS_JOINED_GROUP, m->ui);
    if (!list_empty(&g->waiting) && !list_linked(&g->work)) {
        list_append(&n->woken, &g->work);
    }
    return MOTET_OK;
}

static enum motet_err leave(struct nucleus *n, const struct nuc_in *in)
{
    struct group *g = group_get(n, in->dest.target);
    struct member *m =
        g != NULL ? map_get(&g->by_port, in->src.hi, in->src.lo) : NULL;
    if (m == NULL || m->site != in->site) {
        return MOTET_OK; /* it is told by where it lives now */
    }
    (void)map_remove(&g->by_port, in->src.hi, in->src.lo);
    if (g->turn == m) {
        struct member *next = next_member(g, m);
        g->turn = next != m ? next : NULL;
    }
    g->at = NULL;
    list_remove(&m->node);
    g->count--;
    unsettle(n, m);
    pool_put(&n->member_pool, m);
    trace(n, TRACE_MEMBER_OUT, 0, g->ui.lo, in->src.lo);
    tell_watchers(n, g, MOTET_NEWS_LEFT_GROUP, in->src);
    group_unwant(n, g);
    return MOTET_OK;
}

enum motet_err group_member(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    const struct motet_ui group = in->dest.target;
    const bool named = in->name != NULL && in->name[0] != '\0';
    if (!ui_is_group(group) || in->site == 0 ||
        (ui_kind(in->src) != UI_PORT && ui_kind(in->src) != UI_CONTROL)) {
        return MOTET_E_INVALID;
    }
    if (named &&
        (!ui_name_ok(in->name) || !ui_equal(ui_of_name(in->name), group))) {
        return MOTET_E_INVALID;
    }
    return in->in ? join(n, in) : leave(n, in);
}
