#include "agree.h"

#include <string.h>

#include "client.h"
#include "say.h"

enum { LOOK_PAUSE_NS = 10000000 };

struct view {
    uint64_t members;
    uint64_t directory;
    uint64_t alive;
    uint64_t links;
};

static void count_links(const Motet__ControlReply *reply, void *user)
{
    struct view *v = user;

    for (size_t i = 0; i < reply->n_links; i++) {
        v->links += reply->links[i]->up ? 1 : 0;
    }
}

static bool ask(struct client *c, struct view *v)
{
    Motet__ControlReply *reply;
    const struct motet_ui first = {0, 0};

    *v = (struct view){0};
    if (control_ask(c, 0, MOTET__CONTROL_REQUEST__OP__STATUS, first, NULL,
                    &reply) != MOTET_OK) {
        return false;
    }
    bool ok = reply->site != NULL;
    if (ok) {
        v->members = reply->site->members_view;
        v->directory = reply->site->directory_view;
        v->alive = reply->site->alive;
    }
    motet__control_reply__free_unpacked(reply, NULL);
    return ok && control_pages(c, 0, MOTET__CONTROL_REQUEST__OP__LINKS,
                               count_links, v) == MOTET_OK;
}

static bool look_at(struct cluster *c, struct site_files *site, struct view *v)
{
    struct client client = {.cluster = c};

    if (client_attach(&client, site) != MOTET_OK) {
        return false;
    }
    bool ok = ask(&client, v);
    client_close(&client);
    return ok;
}

bool agree_look(struct cluster *c, struct agree *a)
{
    struct view first = {0};
    bool same = true;
    bool any = false;

    *a = (struct agree){.alive = UINT64_MAX};
    for (size_t i = 0; i < c->count; i++) {
        struct view v;
        if (!c->sites[i].running) {
            continue;
        }
        if (!look_at(c, &c->sites[i], &v)) {
            a->mute = &c->sites[i];
            a->alive = 0;
            return false;
        }
        same = same && (!any || (v.members == first.members &&
                                 v.directory == first.directory));
        first = any ? first : v;
        any = true;
        a->alive = v.alive < a->alive ? v.alive : a->alive;
        a->links += v.links;
    }
    a->view = first.members;
    a->alive = any ? a->alive : 0;
    return same && a->alive == c->running &&
           a->links == c->running * (c->running - 1);
}

static const struct site_files *ended(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running && !process_look(&c->sites[i].process)) {
            return &c->sites[i];
        }
    }
    return NULL;
}

bool agree_wait(struct cluster *c, uint64_t timeout_ns,
                volatile const int *stop, struct agree *a)
{
    uint64_t from = clock_ns();

    for (;;) {
        bool agreed = agree_look(c, a);
        a->took_ns = clock_ns() - from;
        if (agreed) {
            return true;
        }
        a->ended = ended(c);
        if (a->ended != NULL || a->took_ns >= timeout_ns ||
            (stop != NULL && *stop)) {
            return false;
        }
        clock_sleep(LOOK_PAUSE_NS);
    }
}
