#include "core.h"

/* Other sites: what is known of them, and what ends with them. */

struct peer *peer_get(const struct nucleus *n, uint64_t site)
{
    return map_get(&n->peer_by_site, site, 0);
}

struct peer *peer_want(struct nucleus *n, uint64_t site, enum motet_err *err)
{
    struct peer *p = peer_get(n, site);
    if (p != NULL) {
        return p;
    }
    p = pool_take_or(&n->peer_pool, err);
    if (p == NULL) {
        return NULL;
    }
    if (!map_put(&n->peer_by_site, site, 0, p)) {
        pool_put(&n->peer_pool, p);
        *err = MOTET_E_NO_MEMORY;
        return NULL;
    }
    p->site = site;
    p->state = NUC_SITE_REACHABLE; /* until told otherwise */
    if (site == n->cfg.site) {     /* its earlier lives are over */
        p->incarnation = n->cfg.incarnation;
        p->dead = n->cfg.past_open ? 0 : n->cfg.incarnation - 1;
        p->news = MOTET_NEWS_SITE_DEAD;
    }
    struct list *lists[] = {&p->calls,    &p->helds,   &p->watches,
                            &p->watchers, &p->holders, &p->stalled};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        list_init(lists[i]);
    }
    list_append(&n->peers, &p->node);
    return p;
}

void peer_unwant(struct nucleus *n, struct peer *p)
{
    if (p->known || p->members > 0 || list_linked(&p->work)) {
        return;
    }
    if (!list_empty(&p->calls) || !list_empty(&p->helds) ||
        !list_empty(&p->watches) || !list_empty(&p->watchers) ||
        !list_empty(&p->holders) || !list_empty(&p->stalled)) {
        return;
    }
    (void)map_remove(&n->peer_by_site, p->site, 0);
    list_remove(&p->node);
    pool_put(&n->peer_pool, p);
}

struct place_of place_of_birth(struct motet_ui ui)
{
    return (struct place_of){.site = ui_site(ui),
                             .incarnation = ui_incarnation(ui)};
}

struct place_of place_or_birth(struct place_of place, struct motet_ui ui)
{
    return place.site != 0 ? place : place_of_birth(ui);
}

void bond_tie(struct bond *b, struct peer *p, struct list *list,
              uint32_t incarnation)
{
    b->peer = p;
    b->incarnation = incarnation != 0 ? incarnation : p->incarnation;
    list_append(list, &b->node);
}

void bond_cut(struct nucleus *n, struct bond *b)
{
    struct peer *p = b->peer;
    if (p == NULL) {
        return;
    }
    list_remove(&b->node);
    b->peer = NULL;
    peer_unwant(n, p);
}

bool bond_dead(const struct bond *b)
{
    return b->peer != NULL && b->incarnation != 0 &&
           b->incarnation <= b->peer->dead;
}

void bond_look(struct nucleus *n, struct bond *b)
{
    if (bond_dead(b) && !list_linked(&b->peer->work)) {
        list_append(&n->dying, &b->peer->work);
    }
}

/* ---- Deaths -------------------------------------------------------------- */

typedef void ender(struct nucleus *n, struct bond *b);
typedef const struct port *owner(struct bond *b);

static const struct port *call_port(struct bond *b)
{
    return CONTAINER_OF(b, struct call, bond)->port;
}

static const struct port *held_port(struct bond *b)
{
    return CONTAINER_OF(b, struct held, bond)->port;
}

static const struct port *watch_port(struct bond *b)
{
    return CONTAINER_OF(b, struct watch, bond)->port;
}

static const struct port *watcher_port(struct bond *b)
{
    return CONTAINER_OF(b, struct watcher_remote, bond)->port;
}

static void end_call(struct nucleus *n, struct bond *b)
{
    call_bereft(n, CONTAINER_OF(b, struct call, bond));
}

static void end_held(struct nucleus *n, struct bond *b)
{
    held_cancel(n, CONTAINER_OF(b, struct held, bond));
}

static const struct port *holder_port(struct bond *b)
{
    return CONTAINER_OF(b, struct held, holder)->port;
}

/* Whoever would have answered it is no more. */
static void end_holder(struct nucleus *n, struct bond *b)
{
    struct held *h = CONTAINER_OF(b, struct held, holder);
    held_answer(n, h, h->port->ui, MOTET_E_MAYBE_SITE_DEAD);
}

static void end_watch(struct nucleus *n, struct bond *b)
{
#ifdef MOTET_BUG_SKIP_DEATH
    return;
#endif
    watch_fire(n, CONTAINER_OF(b, struct watch, bond), b->peer->news);
}

static void end_watcher(struct nucleus *n, struct bond *b)
{
    watcher_remote_free(n, CONTAINER_OF(b, struct watcher_remote, bond));
}

/* Ends what is tied to an incarnation that is over; of a frozen port, whoever
 * owns it then does so. @return false when the effects ran short */
static bool end_bonds(struct nucleus *n, struct list *list, ender *end,
                      owner *of)
{
    list_foreach (node, list) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (!bond_dead(b) || (of(b) != NULL && of(b)->frozen)) {
            continue;
        }
        if (!fx_ready(n)) {
            return false;
        }
        end(n, b);
    }
    return true;
}

static bool end_all(struct nucleus *n, struct peer *p)
{
    return end_bonds(n, &p->calls, end_call, call_port) &&
           end_bonds(n, &p->helds, end_held, held_port) &&
           end_bonds(n, &p->holders, end_holder, holder_port) &&
           end_bonds(n, &p->watches, end_watch, watch_port) &&
           end_bonds(n, &p->watchers, end_watcher, watcher_port);
}

void peer_work(struct nucleus *n, struct peer *p)
{
    list_remove(&p->work);
    p->members++; /* keeps it while its last bonds go */
    bool done = end_all(n, p);
    if (done && p->restart) {
        p->restart = false;
        parcel_restart(n, p, (struct motet_ui){0}, (struct motet_ui){0},
                       UINT32_MAX);
        done = !p->restart;
    }
    p->members--;
    if (!done && !list_linked(&p->work)) {
        list_append(&n->dying, &p->work);
    }
    peer_unwant(n, p);
}

static void bury(struct nucleus *n, struct peer *p, uint32_t incarnation,
                 enum motet_news news)
{
    if (incarnation <= p->dead) {
        return;
    }
    trace(n, TRACE_DEAD, incarnation, p->site, (uint64_t)news);
    p->dead = incarnation;
    p->news = news;
    /* What it was still to be told is of no use to its successor; but a port
     * may have moved: the network manager knows. */
    p->restart = p->restart || !list_empty(&p->stalled);
    if (!list_linked(&p->work)) {
        list_append(&n->dying, &p->work);
    }
}

/* ---- What membership says ------------------------------------------------ */

/* Ties made by the names of the site as such, before it was heard of. */
static void adopt(struct list *list, uint32_t incarnation)
{
    list_foreach (node, list) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (b->incarnation == 0) {
            b->incarnation = incarnation;
        }
    }
}

void peer_advance(struct peer *p, uint32_t incarnation)
{
    if (p->incarnation == 0) {
        adopt(&p->calls, incarnation);
        adopt(&p->helds, incarnation);
        adopt(&p->watches, incarnation);
        adopt(&p->watchers, incarnation);
    }
    p->incarnation = incarnation;
    p->state = NUC_SITE_REACHABLE;
}

static void tell_watches(struct nucleus *n, struct peer *p,
                         enum nuc_site_state state)
{
    const enum motet_news news = state == NUC_SITE_REACHABLE
                                     ? MOTET_NEWS_REACHABLE
                                     : MOTET_NEWS_UNREACHABLE;
    list_foreach (node, &p->watches) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (!bond_dead(b) && b->incarnation <= p->incarnation) {
            struct watch *w = CONTAINER_OF(b, struct watch, bond);
            watch_tell(n, w, news, w->subject);
        }
    }
}

static void set_state(struct nucleus *n, struct peer *p,
                      const struct nuc_in *in)
{
    switch (in->state) {
    case NUC_SITE_REACHABLE:
    case NUC_SITE_UNREACHABLE:
        if (in->incarnation <= p->dead) {
            return; /* late: the dead do not come back */
        }
        if (in->state != p->state) {
            tell_watches(n, p, in->state);
        }
        p->rtt_ns = in->rtt_ns;
        break;
    case NUC_SITE_DEAD:
        bury(n, p, in->incarnation, MOTET_NEWS_SITE_DEAD);
        break;
    case NUC_SITE_LEFT:
        bury(n, p, in->incarnation, MOTET_NEWS_LEFT);
        break;
    }
    p->state = in->state;
}

/* The earlier lives of this site. */
static enum motet_err past_over(struct nucleus *n, const struct nuc_in *in)
{
    struct peer *self = map_get(&n->peer_by_site, n->cfg.site, 0);
    if (in->state != NUC_SITE_DEAD || in->incarnation >= n->cfg.incarnation) {
        return MOTET_OK;
    }
    n->cfg.past_open = false;
    if (self != NULL) { /* nothing was tied to it otherwise */
        bury(n, self, n->cfg.incarnation - 1, MOTET_NEWS_SITE_DEAD);
    }
    return MOTET_OK;
}

enum motet_err peer_op(struct nucleus *n, const struct nuc_in *in,
                       struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    if (in->site == 0 || in->incarnation == 0 ||
        in->state < NUC_SITE_REACHABLE || in->state > NUC_SITE_LEFT) {
        return MOTET_E_INVALID;
    }
    if (in->site == n->cfg.site) {
        return past_over(n, in);
    }
    struct peer *p = peer_want(n, in->site, &err);
    if (p == NULL) {
        return err;
    }
    p->known = true;
    if (in->incarnation > p->incarnation) {
        peer_advance(p, in->incarnation);
    }
    if (in->incarnation < p->incarnation) {
        if (in->state == NUC_SITE_DEAD || in->state == NUC_SITE_LEFT) {
            bury(n, p, in->incarnation,
                 in->state == NUC_SITE_DEAD ? MOTET_NEWS_SITE_DEAD
                                            : MOTET_NEWS_LEFT);
        }
        return MOTET_OK;
    }
    set_state(n, p, in);
    return MOTET_OK;
}

/* ---- Where ports live ---------------------------------------------------- */

static void retie(struct nucleus *n, struct bond *b, struct peer *to,
                  struct list *list, uint32_t incarnation)
{
    list_remove(&b->node);
    bond_tie(b, to, list, incarnation);
    bond_look(n, b);
}

/* What is tied to the port and not to that place yet. */
static void follow(struct nucleus *n, struct peer *from, struct peer *to,
                   struct motet_ui port, uint32_t incarnation)
{
    list_foreach (node, &from->calls) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (ui_equal(CONTAINER_OF(b, struct call, bond)->server, port)) {
            retie(n, b, to, &to->calls, incarnation);
        }
    }
    list_foreach (node, &from->helds) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (ui_equal(CONTAINER_OF(b, struct held, bond)->msg.reply_to, port)) {
            retie(n, b, to, &to->helds, incarnation);
        }
    }
    list_foreach (node, &from->watches) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        if (ui_equal(CONTAINER_OF(b, struct watch, bond)->subject, port)) {
            retie(n, b, to, &to->watches, incarnation);
        }
    }
    list_foreach (node, &from->watchers) {
        struct bond *b = LIST_ENTRY(node, struct bond, node);
        const struct watcher_remote *w =
            CONTAINER_OF(b, struct watcher_remote, bond);
        if (ui_equal(w->watching, port)) {
            retie(n, b, to, &to->watchers, incarnation);
        }
    }
}

/* Whether a port that was made here, and is not, lives elsewhere or has ended.
 */
bool port_away(const struct nucleus *n, struct motet_ui ui)
{
    return map_get(&n->away, ui.hi, ui.lo) != NULL ||
           (n->scattered && ui_kind(ui) == UI_PORT);
}

static void note_away(struct nucleus *n, const struct nuc_in *in)
{
    const struct motet_ui ui = in->port;
    if (ui_site(ui) != n->cfg.site) {
        return;
    }
    if (in->place.site == n->cfg.site) {
        (void)map_remove(&n->away, ui.hi, ui.lo);
    } else if (map_get(&n->away, ui.hi, ui.lo) == NULL &&
               (n->away.count >= n->cfg.limits.ports_max ||
                !map_put(&n->away, ui.hi, ui.lo, n))) {
        n->scattered = true;
    }
}

enum motet_err where_op(struct nucleus *n, const struct nuc_in *in,
                        struct nuc_out *out)
{
    (void)out;
    enum motet_err err;
    if (in->place.site == 0) {
        return MOTET_E_INVALID;
    }
    note_away(n, in);
    struct peer *to = peer_want(n, in->place.site, &err);
    if (to == NULL) {
        return err;
    }
    to->members++; /* keeps it, and those whose last bonds go */
    list_foreach (node, &n->peers) {
        struct peer *from = LIST_ENTRY(node, struct peer, node);
        if (from != to) {
            follow(n, from, to, in->port, in->place.incarnation);
            peer_unwant(n, from);
        }
    }
    to->members--;
    peer_unwant(n, to);
    return MOTET_OK;
}
