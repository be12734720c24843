#include "actors.h"

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct motet_cap port;
    (void)state;
    (void)args;

    return actor_serve(self, "echo", true, &port);
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct motet_out out = {
        .annex = {view->annex, view->annex_bytes},
        .body = {view->body, view->body_bytes},
    };
    (void)state;

    if (view->held == 0) {
        return;
    }
    enum motet_err err = motet_actor_reply(self, view->held, &out);
    (void)err; /* the caller gave up, or learns it by its deadline */
}

const struct motet_supervisor actor_echo = {
    .name = "echo",
    .on_start = on_start,
    .on_message = on_message,
};
