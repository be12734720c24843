#include <string.h>

#include "nucleus/base/hash.h"
#include "world.h"

/* Datagrams of paths. Each has its own fate on the link; now and then one is
 * spoiled besides; those too large for the way vanish; and now and then the way
 * forgets from which port a site spoke, as a NAT does. An address is three
 * bytes: the node, and the port under which the other side knows it; port 0 is
 * where it listens. */

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

/* Is the way wide enough for this one? Now and then it changes. */
static bool fits(struct world *w, struct nat *nat, size_t size)
{
    struct prng *r = &w->path_chance;
    if (!w->healed && prng_chance(r, FORGOTTEN)) {
        nat->port++;
    }
    if (!w->healed && prng_chance(r, NARROWED)) {
        nat->narrow = !nat->narrow;
    }
    return size <= (!w->healed && nat->narrow ? MTU_NARROW : MTU_WIDE);
}

static void fly(struct node *from, struct node *to, const struct site_effect *e,
                const struct fate_copy *copy)
{
    struct world *w = from->world;
    struct prng *r = &w->path_chance;
    struct datagram *d = world_alloc(w, sizeof *d);
    d->to = to;
    d->life = to->life;
    d->input = input_new(w, SITE_IN_DATAGRAM, 0, e->size);
    memcpy(d->input->bytes, e->bytes, e->size);
    d->input->from = udp_addr_of(from, w->nat[from->index][to->index].port);
    if (copy->flip != FATE_WHOLE) {
        d->input->bytes[copy->flip / 8] ^= (uint8_t)(1U << copy->flip % 8);
    }
    if (!w->healed && prng_chance(r, SPOILED)) {
        d->input->bytes[prng_below(r, e->size)] ^=
            (uint8_t)(1U << prng_below(r, 8));
    }
    list_append(&w->datagrams, &d->link);
    world_at(w, &d->arrive, DUE_DATAGRAM, copy->at_ns);
}

void udp_send_from(struct node *from, const struct site_effect *e)
{
    struct world *w = from->world;
    struct node *to = node_of(w, &e->to);
    const uint16_t port = (uint16_t)(e->to.bytes[1] | e->to.bytes[2] << 8);
    struct fate_verdict v;
    w->report->datagrams++;
    if (to != NULL && w->link[from->index][to->index].cuts == 0 &&
        points_lose(w, from, to)) {
        return;
    }
    if (to == NULL || to == from ||
        (port != 0 && port != w->nat[to->index][from->index].port) ||
        !fits(w, &w->nat[from->index][to->index], e->size)) {
        return;
    }
    fate_packet(&w->link[from->index][to->index].fate, w->now_ns, e->size, &v);
    for (uint32_t i = 0; i < v.count; i++) {
        if (v.copy[i].at_ns != FATE_NEVER) {
            fly(from, to, e, &v.copy[i]);
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
