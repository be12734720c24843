#include <string.h>

#include "core.h"

/* Groups. Who is a member is told by NUC_GROUP_MEMBER alone, for ports here as
 * for others; insertion only publishes.
 *
 * A dynamic group's key cannot be looked up at another site, so its UI binds
 * it: hi is the site where it was allocated, and the 60 bits of lo beside the
 * kind are the SipHash of that site and the key under a constant. Any site can
 * check a key against a UI; who knows only the UI must try 2^60 keys. The key
 * is a PRF of the site's secret, its incarnation and a serial. */

enum { KEY_GROUP = 2 }; /* for secret_key() */

static struct motet_ui dynamic_ui(uint64_t site, uint64_t key)
{
    /* For ever: the UI of a group is part of the protocol. */
    static const uint64_t seed[2] = {0x6d6f746574206772, 1};
    const uint64_t words[2] = {site, key};
    uint8_t bytes[sizeof words];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(words[i / 8] >> (i % 8 * 8));
    }
    const uint64_t hash = hash_bytes(seed, bytes, sizeof bytes);
    const uint64_t kind_mask = UINT64_C(0xf) << 28;
    struct motet_ui ui = ui_make(site, 0, UI_GROUP, 0);
    ui.lo |= hash & ~kind_mask;
    return ui;
}

static bool key_ok(const struct motet_cap *cap)
{
    if (ui_kind(cap->ui) == UI_STATIC_GROUP) {
        return cap->key == 0;
    }
    return ui_equal(cap->ui, dynamic_ui(cap->ui.hi, cap->key));
}

struct group *group_want(struct nucleus *n, struct motet_ui ui,
                         enum motet_err *err)
{
    struct group *g = group_get(n, ui);
    if (g != NULL) {
        return g;
    }
    g = pool_take_or(&n->group_pool, err);
    if (g == NULL) {
        return NULL;
    }
    if (!map_put(&n->group_by_ui, ui.hi, ui.lo, g)) {
        pool_put(&n->group_pool, g);
        *err = MOTET_E_NO_MEMORY;
        return NULL;
    }
    g->ui = ui;
    g->named = ui_kind(ui) == UI_GROUP;
    list_init(&g->members);
    list_init(&g->watchers);
    list_init(&g->waiting);
    map_init(&g->by_port, n->mem, secret_key(n, 0, ui.hi, ui.lo));
    map_init(&g->users, n->mem, secret_key(n, 0, ui.lo, ui.hi));
    list_append(&n->groups, &g->node);
    return g;
}

void group_unwant(struct nucleus *n, struct group *g)
{
    if (g == NULL || g->count > 0 || g->users.count > 0 || g->joins > 0 ||
        !list_empty(&g->watchers) || !list_empty(&g->waiting)) {
        return;
    }
    (void)map_remove(&n->group_by_ui, g->ui.hi, g->ui.lo);
    list_remove(&g->node);
    list_remove(&g->work);
    map_fini(&g->by_port);
    map_fini(&g->users);
    pool_put(&n->group_pool, g);
}

void group_name(struct group *g, const char *name)
{
    if (!g->named) {
        memcpy(g->name, name, strlen(name) + 1);
        g->named = true;
    }
}

void group_publish(struct nucleus *n, const struct group *g,
                   struct motet_ui port, bool in)
{
    struct nuc_effect *e = fx_put(&n->fx, NUC_PUBLISH);
    e->target = g->ui;
    e->port = port;
    e->name = g->name;
    e->in = in;
}

/* ---- Operations ---------------------------------------------------------- */

/* As long as an actor that asked for it lives, the group is known here. */
enum motet_err group_use(struct nucleus *n, struct actor *a, struct group *g)
{
    enum motet_err err;
    if (map_get(&g->users, a->ui.hi, a->ui.lo) != NULL) {
        return MOTET_OK;
    }
    struct use *u = pool_take_or(&n->use_pool, &err);
    if (u == NULL) {
        return err;
    }
    if (!map_put(&g->users, a->ui.hi, a->ui.lo, u)) {
        pool_put(&n->use_pool, u);
        return MOTET_E_NO_MEMORY;
    }
    u->actor = a;
    u->group = g;
    list_append(&a->uses, &u->of_actor);
    return MOTET_OK;
}

void group_unuse(struct nucleus *n, struct use *u)
{
    struct group *g = u->group;
    (void)map_remove(&g->users, u->actor->ui.hi, u->actor->ui.lo);
    list_remove(&u->of_actor);
    pool_put(&n->use_pool, u);
    group_unwant(n, g);
}

/* A capability of a group that is not known here. */
static struct motet_cap fresh(const struct nucleus *n, uint32_t serial)
{
    struct motet_cap cap;
    const uint64_t lo = (uint64_t)n->cfg.incarnation << 32 | serial;
    cap.key = secret_key(n, KEY_GROUP, n->cfg.site, lo);
    cap.ui = dynamic_ui(n->cfg.site, cap.key);
    return cap;
}

enum motet_err group_new(struct nucleus *n, const struct nuc_in *in,
                         struct nuc_out *out)
{
    struct actor *a = actor_get(n, in->actor);
    const char *name = in->name != NULL ? in->name : "";
    struct motet_cap cap;
    enum motet_err err;
    if (a == NULL) {
        return MOTET_E_NO_ACTOR;
    }
    if (name[0] != '\0') {
        if (!ui_name_ok(name)) {
            return MOTET_E_INVALID;
        }
        cap = (struct motet_cap){.ui = ui_of_name(name)};
    } else {
        if (n->group_serial == UINT32_MAX) {
            return MOTET_E_LIMIT;
        }
        n->group_serial++;
        cap = fresh(n, n->group_serial);
        if (group_get(n, cap.ui) != NULL) {
            return MOTET_E_AGAIN; /* a collision of hashes: the next is free */
        }
    }
    struct group *g = group_want(n, cap.ui, &err);
    if (g == NULL) {
        return err;
    }
    err = group_use(n, a, g);
    if (err != MOTET_OK) {
        group_unwant(n, g);
        return err;
    }
    group_name(g, name);
    out->cap = cap;
    return MOTET_OK;
}

/* What insertion and removal ask alike. */
static enum motet_err check_membership(const struct nucleus *n,
                                       const struct nuc_in *in, struct port **p)
{
    enum motet_err err;
    *p = port_of(n, in->port, in->actor, &err);
    if (*p == NULL) {
        return err;
    }
    if (!ui_is_group(in->cap.ui)) {
        return MOTET_E_INVALID;
    }
    return key_ok(&in->cap) ? MOTET_OK : MOTET_E_PERMISSION;
}

static struct member *find(const struct group *g, struct motet_ui ui)
{
    return g != NULL ? map_get(&g->by_port, ui.hi, ui.lo) : NULL;
}

enum motet_err group_insert(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct port *p;
    enum motet_err err = check_membership(n, in, &p);
    if (err != MOTET_OK) {
        return err;
    }
    struct group *g = group_get(n, in->cap.ui);
    if (find(g, p->ui) != NULL) {
        return MOTET_OK;
    }
    if (g == NULL || !g->named) {
        if (ui_kind(in->cap.ui) == UI_STATIC_GROUP) {
            return MOTET_E_NO_GROUP; /* nobody here said its name */
        }
        g = group_want(n, in->cap.ui, &err);
        if (g == NULL) {
            return err;
        }
    }
    if (n->member_pool.used >= n->cfg.limits.members_max) {
        err = MOTET_E_LIMIT;
    } else {
        err = group_use(n, p->actor, g);
    }
    if (err != MOTET_OK) {
        group_unwant(n, g);
        return err;
    }
    group_publish(n, g, p->ui, true);
    return MOTET_OK;
}

enum motet_err group_remove(struct nucleus *n, const struct nuc_in *in,
                            struct nuc_out *out)
{
    (void)out;
    struct port *p;
    const enum motet_err err = check_membership(n, in, &p);
    if (err != MOTET_OK) {
        return err;
    }
    const struct group *g = group_get(n, in->cap.ui);
    if (find(g, p->ui) == NULL) {
        return MOTET_E_NO_MEMBER;
    }
    group_publish(n, g, p->ui, false);
    return MOTET_OK;
}

enum motet_err group_list(struct nucleus *n, const struct nuc_in *in,
                          struct nuc_out *out)
{
    if (!ui_is_group(in->dest.target)) {
        return MOTET_E_INVALID;
    }
    struct group *g = group_get(n, in->dest.target);
    if (g == NULL || in->index >= g->count) {
        return MOTET_E_NO_MEMBER;
    }
    /* Whoever lists goes from one to the next: remember where it was. */
    if (g->at == NULL || g->at_index > in->index) {
        g->at = LIST_ENTRY(list_first(&g->members), struct member, node);
        g->at_index = 0;
    }
    while (g->at_index < in->index) {
        g->at = LIST_ENTRY(g->at->node.next, struct member, node);
        g->at_index++;
    }
    out->member = (struct nuc_member){.port = g->at->ui, .site = g->at->site};
    return MOTET_OK;
}
