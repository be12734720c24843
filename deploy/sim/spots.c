#include "work.h"

/* Whose the ports are, as the actors themselves tell it: here and in motetd. */

void owners_set(struct work *k, struct motet_ui port, struct motet_ui actor)
{
    for (uint32_t i = 0; i < SPOTS && i < k->spots; i++) {
        if (motet_ui_equal(k->spot[i].ui, port)) {
            k->spot[i].owner = actor;
        }
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
