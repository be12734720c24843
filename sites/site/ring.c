#include "ring.h"

#include <string.h>

#include "nucleus/base/check.h"

enum { RING_FIRST = 64 };

void ring_init(struct ring *r, struct mem *mem, uint32_t item_bytes)
{
    *r = (struct ring){.mem = mem, .item_bytes = item_bytes};
}

void ring_fini(struct ring *r)
{
    mem_free(r->mem, r->items, (size_t)r->capacity * r->item_bytes);
    r->items = NULL;
    r->capacity = 0;
    r->count = 0;
}

static void grow(struct ring *r)
{
    uint32_t capacity = r->capacity == 0 ? RING_FIRST : r->capacity * 2;
    size_t size = r->item_bytes;
    uint8_t *items = mem_alloc(r->mem, capacity * size);

    CHECK(items != NULL);
    if (r->count > 0) {
        uint32_t first = r->capacity - r->head;
        memcpy(items, r->items + r->head * size, first * size);
        memcpy(items + first * size, r->items, r->head * size);
    }
    mem_free(r->mem, r->items, r->capacity * size);
    r->items = items;
    r->capacity = capacity;
    r->head = 0;
}

void *ring_push(struct ring *r)
{
    if (r->count == r->capacity) {
        grow(r);
    }
    uint32_t at = (r->head + r->count++) & (r->capacity - 1);
    return r->items + (size_t)at * r->item_bytes;
}

void *ring_at(const struct ring *r, uint32_t index)
{
    CHECK(index < r->count);
    const uint32_t at = (r->head + index) & (r->capacity - 1);
    return r->items + (size_t)at * r->item_bytes;
}

void *ring_pop(struct ring *r)
{
    if (r->count == 0) {
        return NULL;
    }
    void *item = r->items + (size_t)r->head * r->item_bytes;
    r->head = (r->head + 1) & (r->capacity - 1);
    r->count--;
    return item;
}
