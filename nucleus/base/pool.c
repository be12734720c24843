#include "nucleus/base/pool.h"

#include <stdbool.h>
#include <string.h>

#include "nucleus/base/check.h"

enum {
    CHUNK_BYTES = 8192, /* a chunk is not larger, unless one item is */
    CHUNKS_FIRST = 4,
    ITEM_BYTES_MAX = 1 << 20,
};

#define LIMIT_MAX (UINT32_C(1) << 31)
#define POOL_TAKEN UINT32_MAX

static size_t stride_bytes(const struct pool *p)
{
    return p->item_bytes + sizeof(struct pool_tail);
}

static size_t chunk_bytes(const struct pool *p)
{
    return p->chunk_items * stride_bytes(p);
}

void pool_init(struct pool *p, struct mem *mem, uint32_t item_bytes,
               uint32_t limit)
{
    CHECK(item_bytes >= 1 && item_bytes <= ITEM_BYTES_MAX);
    CHECK(limit >= 1 && limit <= LIMIT_MAX);
    *p = (struct pool){
        .mem = mem,
        .item_bytes = (item_bytes + 7) / 8 * 8,
        .limit = limit,
        .chunk_items = 1,
    };
    while (chunk_bytes(p) * 2 <= CHUNK_BYTES && p->chunk_items < limit) {
        p->chunk_items *= 2;
        p->chunk_shift++;
    }
}

void pool_fini(struct pool *p)
{
    for (uint32_t i = 0; i < p->chunk_count; i++) {
        mem_free(p->mem, p->chunks[i], chunk_bytes(p));
    }
    mem_free(p->mem, p->chunks, p->chunks_max * sizeof(void *));
    pool_init(p, p->mem, p->item_bytes, p->limit);
}

static struct pool_tail *tail_of(const struct pool *p, void *item)
{
    return (struct pool_tail *)(void *)((char *)item + p->item_bytes);
}

/* Room for one more chunk in the table of chunks. */
static bool reserve(struct pool *p)
{
    if (p->chunk_count < p->chunks_max) {
        return true;
    }
    const uint32_t length =
        p->chunks_max == 0 ? CHUNKS_FIRST : p->chunks_max * 2;
    void **chunks =
        mem_resize(p->mem, p->chunks, p->chunks_max * sizeof(void *),
                   length * sizeof(void *));
    if (chunks == NULL) {
        return false;
    }
    p->chunks = chunks;
    p->chunks_max = length;
    return true;
}

/* The first item of an index never given out before. */
static void *take_fresh(struct pool *p)
{
    if (p->high == p->limit) {
        return NULL;
    }
    if (p->high >> p->chunk_shift == p->chunk_count) {
        if (!reserve(p)) {
            return NULL;
        }
        void *chunk = mem_alloc(p->mem, chunk_bytes(p));
        if (chunk == NULL) {
            return NULL;
        }
        p->chunks[p->chunk_count] = chunk;
        p->chunk_count++;
    }
    const uint32_t index = p->high;
    p->high++;
    void *item = pool_at(p, index);
    tail_of(p, item)->index = index;
    return item;
}

static void *take_freed(struct pool *p)
{
    void *item = pool_at(p, p->free_head - 1);
    p->free_head = tail_of(p, item)->next;
    return item;
}

void *pool_take(struct pool *p)
{
    void *item = p->free_head != 0 ? take_freed(p) : take_fresh(p);
    if (item != NULL) {
        tail_of(p, item)->next = POOL_TAKEN;
        p->used++;
    }
    return item;
}

void pool_put(struct pool *p, void *item)
{
    const uint32_t index = pool_index(p, item);
    struct pool_tail *tail = tail_of(p, item);
    CHECK(tail->next == POOL_TAKEN && p->used > 0);
    memset(item, 0, p->item_bytes);
    tail->next = p->free_head;
    p->free_head = index + 1;
    p->used--;
}

uint32_t pool_index(const struct pool *p, const void *item)
{
    struct pool_tail tail;
    memcpy(&tail, (const char *)item + p->item_bytes, sizeof tail);
    CHECK(pool_at(p, tail.index) == item);
    return tail.index;
}
