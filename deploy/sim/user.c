#include <stdio.h>

#include "world.h"

/* The user's own actor runs on each site in the place of the load. What must
 * hold of it, its author says in functions that look at all of them at once. */

enum { NAME_OF_PROMISE = CHECK_INVARIANT };

static size_t gather(struct world *w, struct motet_look_actor *actors)
{
    size_t count = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct node *n = &w->node[i];
        const void *state =
            n->site == NULL ? NULL : site_actor_state(n->site, "user");
        if (state != NULL && !n->apart) {
            actors[count++] = (struct motet_look_actor){
                .site = n->name,
                .state = state,
                .now_ns = w->now_ns + n->clock_ns,
            };
        }
    }
    return count;
}

void user_look(struct world *w, enum motet_when when)
{
    const struct plugin *user = w->opt->plugin;
    struct motet_look_actor actors[NODES_MAX];
    if (user == NULL || user->invariant_count == 0) {
        return;
    }
    const struct motet_look look = {
        .when = when, .actors = actors, .count = gather(w, actors)};
    for (size_t i = 0; i < user->invariant_count; i++) {
        const struct motet_invariant *v = &user->invariants[i];
        char why[CHECK_TEXT_MAX - 64] = "";
        char text[CHECK_TEXT_MAX];
        const uint64_t bit = 1ULL << i % 64; /* each is told once a run */
        if (v->when != when || (w->broken & bit) != 0 ||
            v->holds(&look, why, sizeof why)) {
            continue;
        }
        w->broken |= bit;
        (void)snprintf(text, sizeof text, "%.60s: %s", v->name, why);
        world_accuse(w, NAME_OF_PROMISE, 0, text);
    }
}
