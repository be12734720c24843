#include "core.h"

/* A queue of effects in chunks, so that one that was given out stays where it
 * is while steps add others. Chunks are used again; of a burst FX_KEEP stay. */

enum { FX_KEEP = 4 };

static struct fx_chunk *first_chunk(const struct effects *fx)
{
    return LIST_ENTRY(fx->chunks.next, struct fx_chunk, node);
}

static struct fx_chunk *last_chunk(const struct effects *fx)
{
    return LIST_ENTRY(fx->chunks.prev, struct fx_chunk, node);
}

static void count_room(struct effects *fx)
{
    fx->room = FX_CHUNK - last_chunk(fx)->tail + fx->spare_count * FX_CHUNK;
}

static void next_chunk(struct effects *fx)
{
    struct list *node = list_first(&fx->spare);
    CHECK(node != NULL);
    list_remove(node);
    fx->spare_count--;
    list_append(&fx->chunks, node);
}

static bool add_spare(struct effects *fx)
{
    struct fx_chunk *c = mem_alloc(fx->mem, sizeof *c);
    if (c == NULL) {
        return false;
    }
    list_append(&fx->spare, &c->node);
    fx->spare_count++;
    return true;
}

bool fx_init(struct effects *fx, struct mem *mem)
{
    *fx = (struct effects){.mem = mem};
    list_init(&fx->chunks);
    list_init(&fx->spare);
    while (fx->spare_count < FX_KEEP) {
        if (!add_spare(fx)) {
            return false;
        }
    }
    next_chunk(fx);
    count_room(fx);
    return true;
}

void fx_fini(struct effects *fx)
{
    list_foreach (node, &fx->chunks) {
        struct fx_chunk *c = LIST_ENTRY(node, struct fx_chunk, node);
        for (uint32_t i = c->head + fx->lent; i < c->tail; i++) {
            buf_unref(c->effects[i].msg.data);
        }
        fx->lent = false;
        mem_free(fx->mem, c, sizeof *c);
    }
    list_foreach (node, &fx->spare) {
        struct fx_chunk *c = LIST_ENTRY(node, struct fx_chunk, node);
        mem_free(fx->mem, c, sizeof *c);
    }
}

bool fx_reserve(struct effects *fx, uint32_t count)
{
    while (fx->room < count) {
        if (!add_spare(fx)) {
            return false;
        }
        count_room(fx);
    }
    return true;
}

struct nuc_effect *fx_put(struct effects *fx, enum nuc_effect_kind kind)
{
    CHECK(fx->room > 0);
    struct fx_chunk *c = last_chunk(fx);
    if (c->tail == FX_CHUNK) {
        next_chunk(fx);
        c = last_chunk(fx);
    }
    struct nuc_effect *e = &c->effects[c->tail];
    *e = (struct nuc_effect){.kind = kind};
    c->tail++;
    fx->count++;
    fx->room--;
    return e;
}

static void trim(struct effects *fx)
{
    while (fx->spare_count >= FX_KEEP) {
        struct list *node = fx->spare.next;
        list_remove(node);
        fx->spare_count--;
        mem_free(fx->mem, LIST_ENTRY(node, struct fx_chunk, node),
                 sizeof(struct fx_chunk));
    }
}

/* The effect that was given out is done with. */
static void drop_lent(struct effects *fx)
{
    struct fx_chunk *c = first_chunk(fx);
    fx->lent = false;
    c->head++;
    if (c->head < c->tail) {
        return;
    }
    if (c != last_chunk(fx)) {
        list_remove(&c->node);
        list_append(&fx->spare, &c->node);
        fx->spare_count++;
    }
    c->head = 0;
    c->tail = 0;
    if (fx->count == 0) {
        trim(fx);
    }
    count_room(fx);
}

struct nuc_effect *fx_take(struct effects *fx)
{
    if (fx->lent) {
        drop_lent(fx);
    }
    if (fx->count == 0) {
        return NULL;
    }
    fx->count--;
    fx->lent = true;
    struct fx_chunk *c = first_chunk(fx);
    return &c->effects[c->head];
}
