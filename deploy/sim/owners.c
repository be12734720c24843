#include <stdio.h>

#include "work.h"

/* P5 and P6, seen from outside: no port lives on two sites, and in the end each
 * lives on one. */

static bool lives_on(const struct node *n, struct motet_ui port, bool *frozen)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_PORT_INFO,
        .now_ns = n->world->now_ns + n->clock_ns,
        .port = port,
    };
    *frozen = false;
    if (n->site == NULL || site_op(n->site, &in, &out) != MOTET_OK) {
        return false;
    }
    *frozen = out.port.frozen;
    return !out.port.frozen;
}

static void accuse(struct world *w, int promise, struct motet_ui port,
                   uint64_t site, const char *what)
{
    char text[CHECK_TEXT_MAX];
    (void)snprintf(text, sizeof text, "port %llx.%x.%x %s",
                   (unsigned long long)port.hi, (unsigned)(port.lo >> 32),
                   (unsigned)port.lo, what);
    world_accuse(w, promise, site, text);
}

static void inspect_spot(struct world *w, const struct spot *s, bool last)
{
    uint32_t owners = 0;
    bool half_way = false;
    bool apart = false;
    for (uint32_t i = 0; i < w->node_count; i++) {
        bool frozen = false;
        const struct node *n = &w->node[i];
        owners += lives_on(n, s->ui, &frozen);
        half_way |= frozen && !n->apart;
        apart |= frozen && n->apart;
    }
    if (owners > 1) {
        accuse(w, 5, s->ui, s->node->id, "lives on two sites at once");
    }
    if (!last || !s->live || s->node->site == NULL ||
        s->life != s->node->life || s->node->apart) {
        return;
    }
    if (half_way) {
        accuse(w, 6, s->ui, s->node->id, "has neither moved nor stayed");
    } else if (owners == 0 && !apart) {
        accuse(w, 6, s->ui, s->node->id, "was lost by a move");
    }
}

void moving_inspect(struct world *w, bool last)
{
    if (!w->work->moving) {
        return;
    }
    for (uint32_t i = 0; i < SPOTS && i < w->work->spots; i++) {
        if (w->work->spot[i].live) {
            inspect_spot(w, &w->work->spot[i], last);
        }
    }
}

/* ---- Actors that stand still -----------------------------------------------
 */

/* The actor of a port on that node; zero if the port is not there. */
static struct motet_ui actor_of(const struct node *n, struct motet_ui port)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_PORT_INFO,
        .now_ns = n->world->now_ns + n->clock_ns,
        .port = port,
    };
    const bool here =
        n->site != NULL && site_op(n->site, &in, &out) == MOTET_OK;
    return here ? out.port.actor : (struct motet_ui){0};
}

bool owners_live(const struct node *n, struct motet_ui port)
{
    return !ui_is_zero(actor_of(n, port));
}

static void tell(struct node *n, enum check_what what, struct motet_ui port)
{
    const struct check_event e = {
        .now_ns = n->world->now_ns,
        .what = what,
        .site = n->id,
        .incarnation = n->incarnation,
        .port = port,
    };
    world_tell(n->world, &e);
}

bool owners_here(struct work *k, struct motet_ui port, const struct node *node)
{
    const struct spot *s = ops_spot(k, port);
    return s == NULL || s->node == node;
}

void owners_set(struct work *k, struct motet_ui port, struct motet_ui actor)
{
    struct spot *s = ops_spot(k, port);
    if (s != NULL) {
        s->owner = actor;
    }
}

void owners_follow(struct work *k, struct motet_ui from, struct motet_ui to,
                   struct node *node)
{
    for (uint32_t i = 0; i < SPOTS && i < k->spots; i++) {
        struct spot *s = &k->spot[i];
        if (motet_ui_equal(s->owner, from)) {
            s->owner = to;
            s->node = node;
            s->life = node->life;
        }
    }
}

/* What else it has hears and says nothing either, nor does it hear of what its
 * ended ports have sent. */
static void freeze(struct work *k, struct node *n, struct motet_ui actor)
{
    for (uint32_t i = 0; i < SPOTS && i < k->spots; i++) {
        struct spot *s = &k->spot[i];
        if (s->node == n && s->life == n->life && !s->idle &&
            !ui_is_zero(actor) && motet_ui_equal(s->owner, actor)) {
            s->idle = true;
            n->idle = true;
            tell(n, CHECK_FROZEN, s->ui);
        }
    }
}

void work_port(struct work *k, struct node *n, struct motet_ui port,
               enum check_what what)
{
    if (what == CHECK_FROZEN) {
        freeze(k, n, actor_of(n, port));
        return;
    }
    struct spot *s = ops_spot(k, port);
    if (s != NULL && what == CHECK_PORT_END) {
        s->live = false;
        s->idle = false;
        s->owner = (struct motet_ui){0}; /* nobody hears of it here */
    } else if (s != NULL && what == CHECK_OWNER) {
        s->node = n;
        s->life = n->life;
        s->owner = actor_of(n, port);
        s->idle = nucleus_actor_frozen(site_nucleus(n->site), s->owner);
        if (s->idle) { /* its new actor does not hear of it yet */
            n->idle = true;
            tell(n, CHECK_FROZEN, port);
        }
    }
}

void work_thaw(struct work *k, struct node *n)
{
    bool left = false;
    for (uint32_t i = 0; n->idle && i < SPOTS && i < k->spots; i++) {
        struct spot *s = &k->spot[i];
        if (!s->idle || s->node != n) {
            continue;
        }
        if (nucleus_actor_frozen(site_nucleus(n->site), s->owner)) {
            left = true;
            continue;
        }
        s->idle = false;
        if (!s->live || !ui_is_zero(actor_of(n, s->ui))) {
            tell(n, CHECK_OWNER, s->ui);
        }
    }
    n->idle = left;
}
