#ifndef RING_H
#define RING_H

#include <stdint.h>

#include "nucleus/base/mem.h"

/* A growing ring of items of one size: effects and events that wait their turn.
 * What is in it is bounded by what the machines hold, so its memory is not
 * capped a second time. */
struct ring {
    struct mem *mem;
    uint8_t *items;
    uint32_t item_bytes;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
};

void ring_init(struct ring *r, struct mem *mem, uint32_t item_bytes);
void ring_fini(struct ring *r);

/** A slot at the end, contents undefined; valid until the next push. */
void *ring_push(struct ring *r);

/** The index-th item from the oldest, below `count`; valid until the next push.
 */
void *ring_at(const struct ring *r, uint32_t index);

/** The oldest item, NULL when empty; valid until the next push. */
void *ring_pop(struct ring *r);

#endif
