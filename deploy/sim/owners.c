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
        inspect_spot(w, &w->work->spot[i], last);
    }
}
