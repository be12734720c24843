#include <string.h>

#include "nucleus/base/hash.h"
#include "world.h"

/* Datagrams of paths. Each is lost, doubled, reordered, delayed or spoiled by
 * itself; those too large for the way vanish; and now and then the way forgets
 * from which port a site spoke, as a NAT does. An address is three bytes: the
 * node, and the port under which the other side knows it; port 0 is where it
 * listens. */

enum {
    SPOILED = 2000,  /* of a million */
    FORGOTTEN = 200, /* of a million: the port changes */
    NARROWED = 50,   /* of a million: the way carries less, or more again */
    MTU_WIDE = 1472,
    MTU_NARROW = 1200,
};

struct path_addr udp_addr_of(const struct node *n, uint16_t port)
{
    return (struct path_addr){
        .size = 3,
        .bytes = {(uint8_t)n->index, (uint8_t)port, (uint8_t)(port >> 8)}};
}

static struct node *node_of(struct world *w, const struct path_addr *a)
{
    const uint32_t index = a->bytes[0];
    if (a->size != 3 || index > w->node_count || w->node[index].site == NULL) {
        return NULL;
    }
    return &w->node[index];
}

void udp_secret(uint64_t wire, uint8_t secret[PATH_SECRET_BYTES])
{
    static const uint64_t key[2] = {0x736563726574, 0x776972};
    for (uint64_t i = 0; i < PATH_SECRET_BYTES / 8; i++) {
        const uint64_t word = hash_words(key, wire, i);
        memcpy(secret + i * 8, &word, 8);
    }
}

/* The weather of this datagram. @return false: it is lost */
static bool passes(struct world *w, struct node *from, struct node *to,
                   size_t size)
{
    struct prng *r = &w->path_chance;
    struct nat *nat = &w->nat[from->index][to->index];
    if (w->heals == 0 && prng_chance(r, FORGOTTEN)) {
        nat->port++;
    }
    if (w->heals == 0 && prng_chance(r, NARROWED)) {
        nat->narrow = !nat->narrow;
    }
    const struct link *l = &w->link[from->index][to->index];
    const size_t most = w->heals == 0 && nat->narrow ? MTU_NARROW : MTU_WIDE;
    return size <= most && l->cuts == 0 && !prng_chance(r, l->loss);
}

static void fly(struct node *from, struct node *to, const uint8_t *bytes,
                size_t size)
{
    struct world *w = from->world;
    struct prng *r = &w->path_chance;
    const struct link *l = &w->link[from->index][to->index];
    uint64_t at_ns = w->now_ns + l->delay_min_ns;
    if (l->delay_mean_ns > 0) {
        at_ns += prng_exponential(r, l->delay_mean_ns);
    }
    if (prng_chance(r, l->reorder)) {
        at_ns += prng_below(r, 50 * MS);
    }
    at_ns = at_ns < l->clogged_until_ns ? l->clogged_until_ns : at_ns;
    struct datagram *d = world_alloc(w, sizeof *d);
    d->to = to;
    d->life = to->life;
    d->input = input_new(w, SITE_IN_DATAGRAM, 0, size);
    memcpy(d->input->bytes, bytes, size);
    d->input->from = udp_addr_of(from, w->nat[from->index][to->index].port);
    if (w->heals == 0 && prng_chance(r, SPOILED)) {
        d->input->bytes[prng_below(r, size)] ^=
            (uint8_t)(1U << prng_below(r, 8));
    }
    list_append(&w->datagrams, &d->link);
    world_at(w, &d->arrive, DUE_DATAGRAM, at_ns);
}

void udp_send_from(struct node *from, const struct site_effect *e)
{
    struct world *w = from->world;
    struct node *to = node_of(w, &e->to);
    const uint16_t port = (uint16_t)(e->to.bytes[1] | e->to.bytes[2] << 8);
    w->report->datagrams++;
    if (to == NULL || to == from ||
        (port != 0 && port != w->nat[to->index][from->index].port)) {
        return;
    }
    const struct link *l = &w->link[from->index][to->index];
    const uint32_t copies =
        1 + (uint32_t)prng_chance(&w->path_chance, l->duplicate);
    for (uint32_t i = 0; i < copies; i++) {
        if (passes(w, from, to, e->size)) {
            fly(from, to, e->bytes, e->size);
        }
    }
}

void udp_on_datagram(struct datagram *d)
{
    struct world *w = d->to->world;
    list_remove(&d->link);
    if (d->to->site != NULL && d->to->life == d->life) {
        node_input(d->to, d->input);
    } else {
        input_free(w, d->input);
    }
    mem_free(&w->mem, d, sizeof *d);
}

void udp_fini(struct world *w)
{
    list_foreach (it, &w->datagrams) {
        struct datagram *d = LIST_ENTRY(it, struct datagram, link);
        deadline_clear(&w->due, &d->arrive);
        list_remove(&d->link);
        input_free(w, d->input);
        mem_free(&w->mem, d, sizeof *d);
    }
    CHECK(w->cipher.nonces_twice == 0);
}
