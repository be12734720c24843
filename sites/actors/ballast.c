#include <string.h>

#include "actors.h"

/* Idle ports for measurements of moves, and for whoever wants to see a site
 * with much on it go away. All of it moves as a whole. */

enum { PORTS_MAX = 16384 }; /* 256 KiB of state where it runs */

struct ballast {
    uint64_t count;
    struct motet_ui ports[PORTS_MAX];
};

static enum motet_err on_start(struct motet_self *self, void *state,
                               const char *args)
{
    struct motet_cap port;
    (void)state;
    (void)args;

    return actor_serve_as(self, "ballast", &port);
}

static void fit(struct motet_self *self, struct ballast *b, uint64_t want)
{
    struct motet_cap cap;

    while (b->count < want && motet_actor_port_new(self, &cap) == MOTET_OK) {
        b->ports[b->count++] = cap.ui;
    }
    while (b->count > want &&
           motet_actor_port_end(self, b->ports[b->count - 1]) == MOTET_OK) {
        b->count--;
    }
}

/* @return false: that is no number, or too large a one */
static bool read_number(const struct motet_view *view, uint64_t *n)
{
    const char *text = view->body;

    *n = 0;
    for (size_t i = 0; i < view->body_bytes; i++) {
        if (text[i] < '0' || text[i] > '9' || *n > PORTS_MAX) {
            return false;
        }
        *n = *n * 10 + (uint64_t)(text[i] - '0');
    }
    return view->body_bytes > 0 && *n <= PORTS_MAX;
}

static size_t decimal(uint64_t v, char text[24])
{
    size_t n = 24;

    do {
        text[--n] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    memmove(text, text + n, 24 - n);
    return 24 - n;
}

static void on_message(struct motet_self *self, void *state,
                       const struct motet_view *view)
{
    static const char wrong[] = "error=a number of ports, at most 16384";
    struct ballast *b = state;
    struct motet_out out = {.body = {wrong, sizeof wrong - 1}};
    char text[24];
    uint64_t want;

    if (view->body_bytes == 0) {
        out.body = (struct motet_bytes){text, decimal(b->count, text)};
    } else if (read_number(view, &want)) {
        fit(self, b, want);
        out.body = (struct motet_bytes){text, decimal(b->count, text)};
    }
    if (view->held == 0) {
        return;
    }
    enum motet_err err = motet_actor_reply(self, view->held, &out);
    (void)err; /* the caller gave up, or learns it by its deadline */
}

static size_t save(const void *state, void *out, size_t size)
{
    const struct ballast *b = state;
    const size_t bytes = b->count * sizeof b->ports[0];

    if (size >= bytes && bytes > 0) {
        memcpy(out, b->ports, bytes);
    }
    return bytes;
}

static bool restore(void *state, const void *in, size_t size)
{
    struct ballast *b = state;

    if (size % sizeof b->ports[0] != 0 || size > sizeof b->ports) {
        return false;
    }
    b->count = size / sizeof b->ports[0];
    if (size > 0) {
        memcpy(b->ports, in, size);
    }
    return true;
}

const struct motet_supervisor actor_ballast = {
    .name = "ballast",
    .state_bytes = sizeof(struct ballast),
    .on_start = on_start,
    .on_message = on_message,
    .save = save,
    .restore = restore,
};
