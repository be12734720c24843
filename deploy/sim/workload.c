#include <stdio.h>

#include "work.h"

struct work *work_new(struct world *w)
{
    struct work *k = world_alloc(w, sizeof *k);
    const size_t size = BODY_MAX + PATTERN_SHIFT;
    k->world = w;
    k->pattern = world_alloc(w, size);
    struct prng p;
    prng_init(&p, 1);
    for (size_t i = 0; i < size; i++) {
        k->pattern[i] = (uint8_t)prng_next(&p);
    }
    return k;
}

void work_free(struct work *k)
{
    struct world *w = k->world;
    mem_free(&w->mem, k->pattern, BODY_MAX + PATTERN_SHIFT);
    mem_free(&w->mem, k, sizeof *k);
}

static void spawn(struct work *k, struct node *n, uint32_t number)
{
    char name[24];
    char args[64];
    const struct plugin *user = k->world->opt->plugin;
    (void)snprintf(name, sizeof name, "worker%u", number);
    if (user != NULL) { /* one on each site */
        if (number == 0) {
            k->gone[n->index][0] = site_spawn(n->site, user->table, "user",
                                              user->args) != MOTET_OK;
        }
        return;
    }
    (void)snprintf(args, sizeof args, "%llx %x %x",
                   (unsigned long long)(uintptr_t)k, n->index, number);
    k->gone[n->index][number] =
        site_spawn(n->site, &worker_table, name, args) != MOTET_OK;
}

void work_spawn(struct work *k, struct node *n)
{
    for (uint32_t i = 0; i < k->world->tuning.actors; i++) {
        spawn(k, n, i);
    }
}

void work_respawn(struct work *k, struct node *n)
{
    if (n->is_twin) {
        return;
    }
    for (uint32_t i = 0; i < k->world->tuning.actors; i++) {
        if (k->gone[n->index][i]) {
            spawn(k, n, i);
        }
    }
}

void work_drain(struct work *k)
{
    k->draining = true;
}

void work_probe(struct work *k)
{
    k->probing = true;
}

static bool is_live_port(const struct work *k, struct motet_ui ui)
{
    for (uint32_t i = 0; i < SPOTS; i++) {
        const struct spot *s = &k->spot[i];
        if (motet_ui_equal(s->ui, ui)) {
            return s->live && s->node->site != NULL && !s->node->apart &&
                   s->node->life == s->life;
        }
    }
    return false;
}

/* AGAIN was said of a port that lives: there must have been room since. */
static void judge_again(struct work *k, struct node *n, uint32_t number)
{
    char name[24];
    (void)snprintf(name, sizeof name, "worker%u", number);
    const struct worker *worker = site_actor_state(n->site, name);
    for (uint32_t i = 0; worker != NULL && i < AGAIN_MAX; i++) {
        if (!ui_is_zero(worker->again[i].port) &&
            is_live_port(k, worker->again[i].dest)) {
            check_accuse(k->world->check, 13, k->world->now_ns, n->id,
                         "a sender was told to try again, and never heard of "
                         "room");
        }
    }
}

void work_judge(struct work *k)
{
    struct world *w = k->world;
    char text[CHECK_TEXT_MAX];
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *from = &w->node[i];
        if (from->apart || from->site == NULL) {
            continue;
        }
        for (uint32_t number = 0; number < w->tuning.actors; number++) {
            judge_again(k, from, number);
        }
        for (uint32_t j = 0; j < w->node_count; j++) {
            if (j == i || w->node[j].apart || k->answered[i][j]) {
                continue;
            }
            (void)snprintf(text, sizeof text, "no call from %s to %s succeeds",
                           from->name, w->node[j].name);
            check_accuse(w->check, 13, w->now_ns, from->id, text);
        }
    }
}

void work_manner(struct work *k, const struct node *n, enum manner manner)
{
    k->manner[n->index] = manner;
}
