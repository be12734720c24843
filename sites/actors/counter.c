#include <string.h>

#include "actors.h"

struct counter {
    uint64_t value;
};

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct motet_cap port;
    (void)state;
    (void)args;

    return actor_serve_as(self, "counter", &port);
}

static size_t decimal(uint64_t v, char text[24])
{
    char reversed[24];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++) {
        text[i] = reversed[n - 1 - i];
    }
    return n;
}

static bool is_get(const struct motet_view *view)
{
    return view->body_bytes == 3 && memcmp(view->body, "get", 3) == 0;
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    struct counter *c = state;
    char text[24];

    c->value += is_get(view) ? 0 : 1;
    if (view->held == 0) {
        return;
    }
    struct motet_out out = {.body = {text, decimal(c->value, text)}};
    enum motet_err err = motet_actor_reply(self, view->held, &out);
    (void)err; /* the caller gave up, or learns it by its deadline */
}

static size_t save(const void *state, void *out, size_t size)
{
    if (size >= sizeof(struct counter)) {
        memcpy(out, state, sizeof(struct counter));
    }
    return sizeof(struct counter);
}

static bool restore(void *state, const void *in, size_t size)
{
    if (size != sizeof(struct counter)) {
        return false;
    }
    memcpy(state, in, size);
    return true;
}

const struct motet_supervisor actor_counter = {
    .name = "counter",
    .state_bytes = sizeof(struct counter),
    .on_start = on_start,
    .on_message = on_message,
    .save = save,
    .restore = restore,
};
