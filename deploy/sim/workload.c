#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "work.h"

static void spawn(struct work *k, struct node *n, uint32_t number)
{
    char name[WORKER_NAME_SIZE];
    char args[64];
    const struct plugin *user = k->world->opt->plugin;
    (void)worker_name(n->index, number, name);
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

const struct motet_supervisor *work_kind(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, worker_table.name) == 0 ? &worker_table : NULL;
}

void work_drain(struct work *k)
{
    k->draining = true;
}

void work_probe(struct work *k)
{
    k->probing = true;
}

static bool is_live_port(struct work *k, struct motet_ui ui)
{
    const struct spot *s = ops_spot(k, ui);
    return s != NULL && s->live && s->node->site != NULL && !s->node->apart &&
           s->node->life == s->life;
}

/* AGAIN was said of a port that lives: there must have been room since. */
static void judge_again(struct work *k, struct node *n, uint32_t home,
                        uint32_t number)
{
    char name[WORKER_NAME_SIZE];
    const struct worker *worker =
        site_actor_state(n->site, worker_name(home, number, name));
    for (uint32_t i = 0; worker != NULL && i < AGAIN_MAX; i++) {
        if (!ui_is_zero(worker->again[i].port) &&
            is_live_port(k, worker->again[i].dest)) {
            world_accuse(k->world, 13, n->id,
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
            for (uint32_t home = 0; home < w->node_count; home++) {
                judge_again(k, from, home, number);
            }
        }
        for (uint32_t j = 0; j < w->node_count; j++) {
            if (j == i || w->node[j].apart || k->answered[i][j]) {
                continue;
            }
            (void)snprintf(text, sizeof text, "no call from %s to %s succeeds",
                           from->name, w->node[j].name);
            world_accuse(w, 13, from->id, text);
        }
    }
}

void work_manner(struct work *k, const struct node *n, enum manner manner)
{
    k->manner[n->index] = manner;
}

void worker_settle(struct worker *k, const char *args)
{
    char *at = NULL;
    k->work = (struct work *)(uintptr_t)strtoull(args, &at, 16);
    const uint64_t node = strtoull(at, &at, 16);
    k->number = (uint32_t)strtoull(at, &at, 16);
    k->node = &k->work->world->node[node];
    k->home = k->node;
}

bool ops_heard_of(const struct worker *k, struct motet_ui port)
{
    struct member_info info;
    const struct members *m = site_members(k->node->site);
    if (ui_is_group(port) || ui_site(port) == k->node->id) {
        return true;
    }
    for (uint64_t at = 0; members_next(m, at, &info); at = info.site) {
        if (info.site == ui_site(port)) {
            return info.incarnation >= ui_incarnation(port);
        }
    }
    return false;
}
