#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/mem.h"

/* Items of one size with a limit. Memory is taken in chunks as the pool grows
 * and an item never moves. An item keeps its index for life; indices are dense
 * and reused, so an id that leaves the machine carries a generation as well
 * (the owner's business). Freed items are reused last in, first out. Behind
 * each item stand 8 bytes of the pool's own. */
struct pool {
    struct mem *mem;
    uint32_t item_bytes; /* rounded up to 8 */
    uint32_t limit;      /* items at most */
    uint32_t used;       /* items given out */
    uint32_t high;       /* indices ever given out */
    uint32_t free_head;  /* index + 1, 0 = none */
    uint32_t chunk_count;
    uint32_t chunk_items; /* a power of two */
    uint32_t chunk_shift; /* log2(chunk_items) */
    uint32_t chunks_max;  /* length of `chunks` */
    void **chunks;
};

/* What stands behind each item. */
struct pool_tail {
    uint32_t index;
    uint32_t next; /* when free: index + 1 of the next free one, 0 = none;
                    * POOL_TAKEN when given out */
};

/**
 * An empty pool.
 *
 * @param item_bytes  1 to 1 MiB
 * @param limit       1 to 2^31 items
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

/** Puts an item back. CHECKs that it is one of this pool's, and out. */
void pool_put(struct pool *p, void *item);

/** The index of an item of this pool (CHECKed), O(1). */
uint32_t pool_index(const struct pool *p, const void *item);

/** The item at an index; NULL if the index was never given out. It may have
 * been put back since: then it is all zeroes, by which the owner can tell. */
static inline void *pool_at(const struct pool *p, uint32_t index)
{
    if (index >= p->high) {
        return NULL;
    }
    char *chunk = p->chunks[index >> p->chunk_shift];
    const size_t stride = p->item_bytes + sizeof(struct pool_tail);
    return chunk + (index & (p->chunk_items - 1)) * stride;
}

#endif
