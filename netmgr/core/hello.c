#include <string.h>

#include "parts.h"

/* The HELLO rules of netmgr.h, in the order of the list: what a stranger is
 * told must not depend on what is known here. */

static bool text_ok(const char *text, size_t size)
{
    return strnlen(text, size) < size;
}

static enum hello_do refuse_with(struct net_refuse *refuse, enum motet_err err,
                                 uint32_t incarnation, const char *detail)
{
    refuse->err = err;
    refuse->incarnation = incarnation;
    text_copy(refuse->detail, sizeof(refuse->detail), detail);
    return HELLO_REFUSE;
}

static uint32_t after(uint32_t incarnation)
{
    return incarnation == UINT32_MAX ? incarnation : incarnation + 1;
}

/* May it speak to this cluster at all? */
static bool judge_stranger(const struct netmgr *n, const struct conn *c,
                           const struct net_hello *h, struct net_refuse *refuse)
{
    if (h->version_min > NET_VERSION_MAX || h->version_max < NET_VERSION_MIN ||
        h->version_min > h->version_max) {
        refuse_with(refuse, MOTET_E_VERSION, 0, "no common protocol version");
        return false;
    }
    const char *why = NULL;
    if (!text_ok(h->cluster, sizeof(h->cluster)) ||
        !text_ok(h->name, sizeof(h->name)) ||
        !text_ok(h->address, sizeof(h->address)) || h->site == 0 ||
        h->incarnation == 0) {
        why = "malformed hello";
    } else if (strcmp(h->cluster, n->cluster) != 0) {
        why = "another cluster";
    } else if (h->insecure != n->insecure) {
        why = n->insecure ? "this site is insecure" : "the peer is insecure";
    } else if (c->verified != h->site && (c->verified != 0 || !n->insecure)) {
        why = "not the site of the certificate";
    } else if (h->to_site != 0 && h->to_site != n->site) {
        why = "another site was meant";
    } else if (c->whom != NULL && c->whom->site != h->site) {
        why = "another site answered";
    }
    if (why != NULL) {
        refuse_with(refuse, MOTET_E_AUTH, 0, why);
    }
    return why == NULL;
}

/* Another live site of that name? */
static bool name_taken(const struct netmgr *n, const struct net_hello *h,
                       struct net_refuse *refuse)
{
    const char *owner = NULL;
    const char *addr = NULL;
    if (strcmp(h->name, n->name) == 0) {
        owner = n->name;
        addr = n->address;
    }
    list_foreach (it, &n->peers) {
        const struct peer *p = LIST_ENTRY(it, const struct peer, node);
        if (p->incarnation != 0 && p->site != h->site &&
            strcmp(p->name, h->name) == 0) {
            owner = p->name;
            addr = p->addr;
        }
    }
    if (owner == NULL || owner[0] == 0) {
        return false;
    }
    refuse_with(refuse, MOTET_E_NAME_TAKEN, 0, owner);
    text_add(refuse->detail, sizeof(refuse->detail), " is at ");
    text_add(refuse->detail, sizeof(refuse->detail), addr);
    text_add(refuse->detail, sizeof(refuse->detail), ", not at ");
    text_add(refuse->detail, sizeof(refuse->detail), h->address);
    return true;
}

/* Whether this side of a healed partition stays. */
static bool larger_here(const struct netmgr *n, const struct net_hello *h)
{
    if (n->view_sites != h->view_sites) {
        return n->view_sites > h->view_sites;
    }
    if (n->view_lowest != h->view_lowest) {
        return n->view_lowest < h->view_lowest;
    }
    return n->site < h->site;
}

/* One of the two declared the other dead. */
static enum hello_do judge_dead(const struct netmgr *n,
                                const struct net_hello *h, const struct peer *p,
                                struct net_refuse *refuse)
{
    bool dead_here = p != NULL && h->incarnation <= p->dead;
    bool dead_there = (h->features & NET_HELLO_DEAD) != 0 &&
                      h->to_site == n->site &&
                      h->to_incarnation >= n->incarnation;
    if (!dead_here && !dead_there) {
        return HELLO_ADOPT;
    }
    bool stays = dead_here && (!dead_there || larger_here(n, h));
    if (dead_here && h->to_site == 0 && !larger_here(n, h)) {
        /* It does not know whom it reached: dialed from here it will. */
        return HELLO_TELL;
    }
    if (!stays) {
        return HELLO_REBORN;
    }
    return refuse_with(refuse, MOTET_E_STALE,
                       after(p->dead > p->seen ? p->dead : p->seen),
                       "this incarnation was declared dead");
}

static enum hello_do judge_self(const struct netmgr *n,
                                const struct net_hello *h,
                                struct net_refuse *refuse)
{
    bool same =
        h->incarnation == n->incarnation && strcmp(h->address, n->address) == 0;
    refuse_with(refuse, MOTET_E_TWIN, n->incarnation, n->name);
    text_add(refuse->detail, sizeof(refuse->detail), " runs at ");
    text_add(refuse->detail, sizeof(refuse->detail), n->address);
    text_add(refuse->detail, sizeof(refuse->detail), ", and at ");
    text_add(refuse->detail, sizeof(refuse->detail), h->address);
    return same ? HELLO_SELF : HELLO_REFUSE;
}

/* Another life of a site that is connected, or a second copy of it. */
static enum hello_do judge_twin(const struct netmgr *n,
                                const struct net_hello *h, const struct peer *p,
                                struct net_refuse *refuse)
{
    const struct twin *t = &p->twin;
    bool asked = t->incarnation == h->incarnation &&
                 n->now - t->asked_ns < TWIN_FORGET_NS;
    if (!asked) {
        return HELLO_TWIN_ASK;
    }
    if (t->answered) {
        refuse_with(refuse, MOTET_E_TWIN, 0, p->name);
        text_add(refuse->detail, sizeof(refuse->detail), " runs at ");
        text_add(refuse->detail, sizeof(refuse->detail), p->addr);
        text_add(refuse->detail, sizeof(refuse->detail), ", and at ");
        text_add(refuse->detail, sizeof(refuse->detail), h->address);
        return HELLO_REFUSE;
    }
    return n->now - t->asked_ns < TWIN_WAIT_NS ? HELLO_WAIT : HELLO_SUPERSEDE;
}

/* A connection of that lane dialed from here still waits for its HELLO. */
static bool dialing(const struct netmgr *n, const struct peer *p,
                    enum net_lane lane)
{
    list_foreach (it, &n->conns) {
        const struct conn *c = LIST_ENTRY(it, const struct conn, node);
        if (c->whom == p && c->lane == lane && c->peer == NULL) {
            return true;
        }
    }
    return false;
}

enum hello_do hello_judge(const struct netmgr *n, const struct conn *c,
                          const struct net_hello *h, const struct peer *p,
                          struct net_refuse *refuse)
{
    if (!judge_stranger(n, c, h, refuse)) {
        return HELLO_REFUSE;
    }
    if (h->site == n->site) {
        return judge_self(n, h, refuse);
    }
    if (p != NULL && peer_banned(n, p)) {
        return refuse_with(refuse, MOTET_E_PERMISSION, 0,
                           "too many protocol violations");
    }
    enum hello_do dead = judge_dead(n, h, p, refuse);
    if (dead != HELLO_ADOPT) {
        return dead;
    }
    if (p != NULL && h->incarnation < p->seen) {
        return refuse_with(refuse, MOTET_E_STALE, after(p->seen),
                           "a newer incarnation was seen");
    }
    if (name_taken(n, h, refuse)) {
        return HELLO_REFUSE;
    }
    bool known = p != NULL && p->incarnation == h->incarnation;
    if (h->lane == NET_BULK && (!known || !p->up)) {
        return HELLO_WAIT;
    }
    bool moved = known && strcmp(h->address, p->hello_addr) != 0;
    if (!c->dialed && known && !moved && p->up && h->to_site == 0) {
        return refuse_with(refuse, MOTET_E_EXISTS, 0, "in session already");
    }
    if (p != NULL && p->up && h->lane == NET_CONTROL && (!known || moved)) {
        return judge_twin(n, h, p, refuse);
    }
    if (c->dialed && known && p->up && p->conns[h->lane] != NULL &&
        !p->conns[h->lane]->dialed && n->site < p->site) {
        return HELLO_WAIT; /* both dialed, as below */
    }
    if (!c->dialed && p != NULL && n->site > p->site &&
        dialing(n, p, h->lane)) {
        return HELLO_WAIT; /* both dialed: that of the higher site stays */
    }
    return HELLO_ADOPT;
}

void hello_write(const struct netmgr *n, const struct conn *c, bool answer,
                 const struct peer *to, struct net_hello *h)
{
    h->version_min = NET_VERSION_MIN;
    h->version_max = NET_VERSION_MAX;
    h->site = n->site;
    h->incarnation = n->incarnation;
    h->lane = c->lane;
    h->answer = answer;
    h->insecure = n->insecure;
    h->view_sites = n->view_sites;
    h->view_lowest = n->view_lowest;
    h->body_bytes_max = n->limits.body_bytes_max;
    if (to != NULL) {
        h->to_site = to->site;
        h->to_incarnation = to->seen > to->dead ? to->seen : to->dead;
        if (to->dead != 0 && to->dead >= to->seen) {
            h->features |= NET_HELLO_DEAD;
        }
    }
    if (c->token != 0 && !c->datagram &&
        (to == NULL || to->name[0] == '\0' || way_of(n, to) != NET_TCP)) {
        h->features |= NET_HELLO_PATH;
        h->features |= n->chacha ? NET_HELLO_CHACHA : 0;
        h->token = c->token;
    }
    text_copy(h->name, sizeof(h->name), n->name);
    text_copy(h->cluster, sizeof(h->cluster), n->cluster);
    text_copy(h->address, sizeof(h->address), n->address);
}
