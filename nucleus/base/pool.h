#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stdint.h>

#include "nucleus/base/mem.h"

/* Items of one size with a limit. Memory is taken in chunks as the pool grows
 * and an item never moves. An item keeps its index for life; indices are dense
 * and reused, so an id that leaves the machine carries a generation as well
 * (the owner's business). Freed items are reused last in, first out. */
struct pool {
    struct mem *mem;
    uint32_t item_bytes; /* rounded up to 8 */
    uint32_t limit;      /* items at most */
    uint32_t used;       /* items given out */
    uint32_t high;       /* indices ever given out */
    uint32_t free_head;  /* index + 1, 0 = none */
    uint32_t chunk_count;
    uint32_t chunk_items;
    uint32_t chunks_max; /* length of `chunks` */
    void **chunks;
};

/**
 * An empty pool.
 *
 * @param item_bytes  4 or more
 * @param limit       1 or more items
 *
 * Ownership: borrows `mem` until pool_fini(). Allocates nothing yet.
 */
void pool_init(struct pool *p, struct mem *mem, uint32_t item_bytes,
               uint32_t limit);

/** Gives all chunks back; items still out are lost. */
void pool_fini(struct pool *p);

/**
 * A zeroed item.
 *
 * @return NULL at the limit or at the memory cap
 */
void *pool_take(struct pool *p);

/** Puts an item back. CHECKs that it is one of this pool's. */
void pool_put(struct pool *p, void *item);

/** The index of an item of this pool, O(chunks) worst, usually O(1). */
uint32_t pool_index(const struct pool *p, const void *item);

/** The item at an index; NULL if the index was never given out. It may have
 * been put back since: the owner tells by its own content (zeroed by take). */
void *pool_at(const struct pool *p, uint32_t index);

#endif
