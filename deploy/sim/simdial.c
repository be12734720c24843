#include <stdio.h>
#include <string.h>

#include "world.h"

/* How connections begin. */

enum { STRANGER_BYTES_MAX = 2000 }; /* in one part */

static const uint64_t dial_timeout_ns = 3 * SECOND;

static struct wire *new_wire(struct world *w, struct node *from,
                             struct node *to, bool datagram)
{
    struct wire *x = world_alloc(w, sizeof *x);
    x->world = w;
    x->number = ++w->wire_count;
    x->datagram = datagram;
    x->node[0] = from;
    x->node[1] = to;
    x->life[0] = from != NULL ? from->life : 0;
    x->life[1] = to->life;
    x->state[0] = END_UP;
    x->state[1] = END_COMING;
    for (uint32_t i = 0; i < 2; i++) {
        x->way[i].wire = x;
        x->way[i].side = i;
        x->way[i].drained_at_ns = w->now_ns;
    }
    list_append(&w->wires, &x->link);
    CHECK(map_put(&w->wire_of, x->number, 0, x));
    return x;
}

static struct input *up_input(struct wire *x, uint32_t side)
{
    struct world *w = x->world;
    const struct node *other = x->node[1 - side];
    struct input *in = input_new(w, SITE_IN_CONN_UP, x->number * 2 + side, 0);
    in->peer = other != NULL && !w->tuning.insecure ? other->id : 0;
    in->datagram = x->datagram;
    (void)snprintf(in->addr, sizeof in->addr, "%s:%u",
                   other != NULL ? other->name : "stranger",
                   (unsigned)(40000 + x->number % 20000));
    return in;
}

static struct node *node_at(struct world *w, const char *addr)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        if (w->node[i].site != NULL && strcmp(w->node[i].addr, addr) == 0) {
            return &w->node[i];
        }
    }
    return NULL;
}

void net_dial(struct node *from, const struct site_effect *e)
{
    struct world *w = from->world;
    struct dialing *d = world_alloc(w, sizeof *d);
    d->from = from;
    d->life = from->life;
    d->dial = e->dial;
    d->peer = w->tuning.insecure ? 0 : e->peer;
    (void)snprintf(d->addr, sizeof d->addr, "%s", e->addr);
    const struct node *to = node_at(w, d->addr);
    uint64_t ns = dial_timeout_ns;
    if (to != NULL && to != from) {
        struct link *there = &w->link[from->index][to->index];
        struct link *back = &w->link[to->index][from->index];
        d->reached = there->cuts == 0 && back->cuts == 0;
        if (d->reached) {
            ns = fate_delay(&there->fate);
            ns += fate_delay(&back->fate);
        }
    } else if (to == from || prng_chance(&w->net_chance, 500000)) {
        ns = MS;
    }
    world_at(w, &d->done, DUE_DIALED, w->now_ns + ns);
}

void net_on_dialed(struct dialing *d)
{
    struct node *from = d->from;
    struct world *w = from->world;
    struct node *to = d->reached ? node_at(w, d->addr) : NULL;
    const bool waits = from->site != NULL && from->life == d->life;
    if (waits && to != NULL && to != from &&
        (d->peer == 0 || d->peer == to->id)) {
        struct wire *x =
            new_wire(w, from, to, w->datagram[from->index][to->index]);
        struct input *in = up_input(x, 0);
        in->dial = d->dial;
        in->from = udp_addr_of(to, 0);
        (void)snprintf(in->addr, sizeof in->addr, "%s", d->addr);
        node_input(from, in);
        net_append(&x->way[0], up_input(x, 1), false);
    } else if (waits) {
        struct input *in = input_new(w, SITE_IN_DIAL_FAILED, 0, 0);
        in->dial = d->dial;
        node_input(from, in);
    }
    mem_free(&w->mem, d, sizeof *d);
}

void net_stranger(struct node *to)
{
    struct world *w = to->world;
    struct wire *x = new_wire(w, NULL, to, false);
    net_append(&x->way[0], up_input(x, 1), false);
    const uint64_t parts = prng_between(&w->net_chance, 1, 4);
    for (uint64_t i = 0; i < parts; i++) {
        const size_t size = prng_between(&w->net_chance, 1, STRANGER_BYTES_MAX);
        struct input *in = input_new(w, SITE_IN_BYTES, x->number * 2 + 1, size);
        for (size_t k = 0; k < size; k++) {
            in->bytes[k] = (uint8_t)prng_next(&w->net_chance);
        }
        if (prng_chance(&w->net_chance, 500000)) {
            in->bytes[0] = 1; /* the kind of a HELLO */
        }
        net_append(&x->way[0], in, false);
    }
    x->state[0] = END_CLOSED; /* it does not listen */
    net_append(&x->way[0], NULL, true);
}
