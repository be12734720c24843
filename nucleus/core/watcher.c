#include "core.h"

/* Watches of ports here: made here, or at other sites. */

static struct watcher_remote *find(const struct nucleus *n,
                                   struct motet_ui watching, uint64_t id)
{
    struct watcher_remote *w =
        map_get(&n->watcher_by_id, ui_fold(n, watching), id);
    return w != NULL && ui_equal(w->watching, watching) ? w : NULL;
}

void watcher_remote_free(struct nucleus *n, struct watcher_remote *w)
{
    list_remove(&w->of.node);
    bond_cut(n, &w->bond);
    (void)map_remove(&n->watcher_by_id, ui_fold(n, w->watching), w->id);
    pool_put(&n->watcher_pool, w);
}

enum motet_err watcher_new(struct nucleus *n, struct port *p,
                           struct motet_ui watching, uint64_t id,
                           struct place_of place)
{
    enum motet_err err = MOTET_E_NO_MEMORY;
    const uint64_t key = ui_fold(n, watching);
    struct watcher_remote *w = map_get(&n->watcher_by_id, key, id);
    if (w != NULL) {
        return w->port == p ? MOTET_OK : MOTET_E_PROTOCOL;
    }
    place = place_or_birth(place, watching);
    if (port_side(n, p) == NULL) {
        return MOTET_E_NO_MEMORY;
    }
    struct peer *peer = peer_want(n, place.site, &err);
    if (peer == NULL) {
        return err;
    }
    w = pool_take_or(&n->watcher_pool, &err);
    if (w == NULL) {
        peer_unwant(n, peer);
        return err;
    }
    if (!map_put(&n->watcher_by_id, key, id, w)) {
        pool_put(&n->watcher_pool, w);
        peer_unwant(n, peer);
        return MOTET_E_NO_MEMORY;
    }
    w->of.kind = WATCHER_REMOTE;
    w->watching = watching;
    w->port = p;
    w->id = id;
    list_append(&p->side->watchers, &w->of.node);
    bond_tie(&w->bond, peer, &peer->watchers, place.incarnation);
    return MOTET_OK;
}

void watcher_end(struct nucleus *n, struct motet_ui watching, uint64_t id)
{
    struct watcher_remote *w = find(n, watching, id);
    if (w != NULL) {
        watcher_remote_free(n, w);
    }
}

void watcher_fire(struct nucleus *n, struct port *p, struct watcher *w,
                  enum motet_news news)
{
    if (w->kind == WATCHER_HERE) {
        watch_fire(n, CONTAINER_OF(w, struct watch, of), news);
        return;
    }
    struct watcher_remote *r = CONTAINER_OF(w, struct watcher_remote, of);
    const struct msg msg = {
        .kind = MSG_NEWS,
        .status = (uint16_t)news,
        .call = r->id,
    };
    trace(n, TRACE_NEWS, (uint32_t)news, r->id, p->ui.lo);
    parcel_inner(n, p->ui, r->watching, &msg);
    watcher_remote_free(n, r);
}
