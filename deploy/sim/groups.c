#include <stdio.h>

#include "nucleus/base/hash.h"
#include "nucleus/base/ui.h"
#include "work.h"

/* The truth of groups, seen from outside when all is quiet. */

/* In place of pointers; none: it was never noted. */
enum { IS_IN = 1, HAS_LEFT };

static uint64_t fold(struct motet_ui ui)
{
    return hash_fold(ui.hi, ui.lo);
}

void groups_note(struct work *work, struct motet_ui group, struct motet_ui port,
                 bool in)
{
    const uintptr_t how = in ? IS_IN : HAS_LEFT;
    (void)map_remove(&work->known, fold(port), fold(group));
    CHECK(map_put(&work->known, fold(port), fold(group), (void *)how));
}

static void accuse(struct world *w, int promise, struct motet_ui port,
                   struct motet_ui group, const struct node *n,
                   const char *what)
{
    char text[CHECK_TEXT_MAX];
    char who[WORLD_UI_SIZE];
    char where[WORLD_UI_SIZE];
    (void)snprintf(text, sizeof text, "port %s %s group %s, %s says",
                   world_ui(w, port, who), what, world_ui(w, group, where),
                   n->name);
    world_accuse(w, promise, n->id, text);
}

static bool lives(const struct spot *s)
{
    return s->live && s->node->site != NULL && s->node->life == s->life;
}

static bool next_member(const struct node *n, struct motet_ui group,
                        uint32_t index, struct nuc_member *m)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_GROUP_LIST,
        .now_ns = n->world->now_ns + n->clock_ns,
        .dest = {.target = group},
        .index = index,
    };
    if (site_op(n->site, &in, &out) != MOTET_OK) {
        return false;
    }
    *m = out.member;
    return true;
}

/* What a site says of a group: each member lives, and lives there. */
static void inspect_members(struct world *w, const struct node *n,
                            struct motet_ui group)
{
    struct nuc_member m;
    for (uint32_t i = 0; next_member(n, group, i, &m); i++) {
        const struct spot *s = ops_spot(w->work, m.port);
        if (s == NULL || s->node->apart) {
            continue;
        }
        if (!lives(s)) {
            accuse(w, 8, m.port, group, n, "has ended and is still in");
        } else if (s->node->id != m.site) {
            accuse(w, 8, m.port, group, n, "is elsewhere than its entry in");
        }
    }
}

static bool is_member(const struct node *n, struct motet_ui group,
                      struct motet_ui port)
{
    struct nuc_member m;
    for (uint32_t i = 0; next_member(n, group, i, &m); i++) {
        if (motet_ui_equal(m.port, port)) {
            return true;
        }
    }
    return false;
}

/* Who was put into it is in it, wherever it lives by now. */
static void inspect_joined(struct world *w, const struct node *n,
                           struct motet_ui group)
{
    for (uint32_t i = 0; i < SPOTS && i < w->work->spots; i++) {
        const struct spot *s = &w->work->spot[i];
        if (!lives(s) || s->node->apart) {
            continue;
        }
        const uintptr_t how =
            (uintptr_t)map_get(&w->work->known, fold(s->ui), fold(group));
        if (how != 0 && (how == IS_IN) != is_member(n, group, s->ui)) {
            accuse(w, s->node == n ? 6 : 8, s->ui, group, n,
                   how == IS_IN ? "is not in its" : "has left and is still in");
        }
    }
}

static void inspect_group(struct world *w, struct motet_ui group)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct node *n = &w->node[i];
        if (n->site != NULL && !n->apart) {
            inspect_members(w, n, group);
            inspect_joined(w, n, group);
        }
    }
}

void groups_inspect(struct world *w)
{
    char name[8];
    if (w->tuning.tight) {
        return; /* not each entry found room */
    }
    for (unsigned i = 0; i < GROUPS; i++) {
        (void)snprintf(name, sizeof name, "g%u", i);
        inspect_group(w, ui_of_name(name));
    }
    for (uint32_t i = 0; i < DYNAMIC_GROUPS && i < w->work->dynamics; i++) {
        inspect_group(w, w->work->dynamic[i].ui);
    }
}
