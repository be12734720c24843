#include <stdio.h>

#include "world.h"

/* What the faults that are about sites do to one. */

/* The state file is lost or rolled back; never so that the file and the clock
 * both say less than was used before: that only the memory of peers covers. */
static void hurt_state(struct node *n, enum chaos_kind kind)
{
    const struct world *w = n->world;
    const int64_t wall =
        WALL_START_S + (int64_t)(w->now_ns / SECOND) + n->wall_s;
    if ((kind == CHAOS_LOSE_STATE || kind == CHAOS_ROLL_BACK) &&
        wall > (int64_t)n->stored) {
        n->stored = kind == CHAOS_LOSE_STATE ? 0 : n->stored_before;
    }
}

static void end_life(struct node *n, const struct chaos_fault *f)
{
    struct world *w = n->world;
    if (n->site == NULL || n->apart ||
        (f->kind == CHAOS_RESTART && n->paused)) {
        return;
    }
    if (f->kind == CHAOS_RESTART) {
        node_leave(n);
    } else {
        node_crash(n, "crashes");
    }
    hurt_state(n, f->kind);
    world_at(w, &n->boot, DUE_BOOT, w->now_ns + f->for_ns);
}

/* A second copy of a site is started: same key, a copy of its state file. */
static void start_twin(struct node *n)
{
    struct world *w = n->world;
    struct node *t = &w->node[w->node_count];
    if (t->site != NULL || n->site == NULL || n->apart) {
        return;
    }
    t->id = n->id;
    t->stored = n->stored;
    t->wall_s = n->wall_s;
    const unsigned number = n->index + 1;
    (void)snprintf(t->name, sizeof t->name, "site%u", number);
    (void)snprintf(t->addr, sizeof t->addr, "site%u:7118", number);
    w->twin_of = n->index;
    faults_relink(w);
    seen(w, SEEN_WORLD_TWIN_RUNS);
    node_boot(t);
}

void faults_strike(struct node *n, const struct chaos_fault *f)
{
    struct world *w = n->world;
    switch ((int)f->kind) { /* those it is about */
    case CHAOS_KILL:
    case CHAOS_RESET:
    case CHAOS_RESTART:
    case CHAOS_LOSE_STATE:
    case CHAOS_ROLL_BACK:
        end_life(n, f);
        break;
    case CHAOS_PAUSE:
        if (!n->apart) {
            node_pause(n, f->for_ns);
        }
        break;
    case CHAOS_TWIN:
        start_twin(n);
        break;
    case CHAOS_SLOW:
    case CHAOS_STUCK:
        work_manner(w->work, n,
                    f->kind == CHAOS_SLOW ? MANNER_SLOW : MANNER_STUCK);
        break;
    case CHAOS_DISK_FULL:
        n->full_until_ns = w->now_ns + f->for_ns;
        break;
    case CHAOS_CLOCK:
        n->wall_s += f->by;
        break;
    case CHAOS_STRANGER:
        if (n->site != NULL) {
            net_stranger(n);
        }
        break;
    default:
        break;
    }
}
