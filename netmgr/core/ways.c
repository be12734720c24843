#include <string.h>

#include "parts.h"

/* Which way small messages go on the link with a site: that of all links, or
 * one of its own. A site is known by its name, so that it can be said before it
 * was ever met. */

static struct net_way *find(struct netmgr *n, const char *name)
{
    for (uint32_t i = 0; i < n->way_count; i++) {
        if (strcmp(n->ways[i].name, name) == 0) {
            return &n->ways[i];
        }
    }
    return NULL;
}

enum net_transport way_of(const struct netmgr *n, const struct peer *p)
{
    for (uint32_t i = 0; i < n->way_count; i++) {
        if (p != NULL && strcmp(n->ways[i].name, p->name) == 0) {
            return n->ways[i].way;
        }
    }
    return n->transport;
}

bool ways_any(const struct netmgr *n)
{
    for (uint32_t i = 0; i < n->way_count; i++) {
        if (n->ways[i].way != NET_TCP) {
            return true;
        }
    }
    return n->transport != NET_TCP;
}

static enum motet_err set(struct netmgr *n, const char *name,
                          enum net_transport way)
{
    struct net_way *w = find(n, name);
    if (w == NULL && n->way_count == NET_WAYS_MAX) {
        return MOTET_E_LIMIT;
    }
    if (w == NULL) {
        w = &n->ways[n->way_count++];
        text_copy(w->name, sizeof(w->name), name);
    }
    w->way = way;
    return MOTET_OK;
}

bool ways_init(struct netmgr *n, const struct net_way *ways, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (set(n, ways[i].name, ways[i].way) != MOTET_OK) {
            return false;
        }
    }
    return true;
}

/* A path is offered in the HELLO and ends with its session; so where there is
 * to be one, or none any more, the session breaks and is resumed. */
static void renew(struct netmgr *n, struct peer *p)
{
    if (p->conns[NET_CONTROL] != NULL) {
        net_conn_close(n, p->conns[NET_CONTROL]);
    }
}

enum motet_err ways_in(struct netmgr *n, const struct net_in *in)
{
    if (in->name == NULL || in->name[0] == '\0' ||
        strnlen(in->name, MOTET_NAME_MAX + 1) > MOTET_NAME_MAX ||
        in->way > NET_AUTO) {
        return MOTET_E_INVALID;
    }
    struct peer *about = NULL;
    list_foreach (it, &n->peers) {
        struct peer *p = LIST_ENTRY(it, struct peer, node);
        about = p->up && strcmp(p->name, in->name) == 0 ? p : about;
    }
    const enum net_transport before = way_of(n, about);
    const enum motet_err err = set(n, in->name, in->way);
    if (err != MOTET_OK || about == NULL) {
        return err;
    }
    if ((before == NET_TCP) != (in->way == NET_TCP)) {
        renew(n, about);
    } else {
        fast_judge(n, about);
    }
    return MOTET_OK;
}
