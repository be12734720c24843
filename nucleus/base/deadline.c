#include "nucleus/base/deadline.h"

#include <stddef.h>

enum { CAPACITY_FIRST = 16 };

void deadlines_init(struct deadlines *d, struct mem *mem)
{
    *d = (struct deadlines){.mem = mem};
}

static size_t heap_bytes(uint32_t capacity)
{
    return (size_t)capacity * sizeof(struct deadline *);
}

void deadlines_fini(struct deadlines *d)
{
    mem_free(d->mem, d->heap, heap_bytes(d->capacity));
    deadlines_init(d, d->mem);
}

static bool before(const struct deadline *a, const struct deadline *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct deadlines *d, struct deadline *t, uint32_t slot)
{
    d->heap[slot] = t;
    t->slot = slot;
}

/* Moves `t`, which belongs at `slot` or above, to its place. */
static void sift_up(struct deadlines *d, struct deadline *t, uint32_t slot)
{
    while (slot > 1 && before(t, d->heap[slot / 2])) {
        place(d, d->heap[slot / 2], slot);
        slot /= 2;
    }
    place(d, t, slot);
}

/* Moves `t`, which belongs at `slot` or below, to its place. */
static void sift_down(struct deadlines *d, struct deadline *t, uint32_t slot)
{
    while (slot <= d->count / 2) {
        uint32_t child = slot * 2;
        if (child < d->count && before(d->heap[child + 1], d->heap[child])) {
            child++;
        }
        if (before(t, d->heap[child])) {
            break;
        }
        place(d, d->heap[child], slot);
        slot = child;
    }
    place(d, t, slot);
}

static void settle(struct deadlines *d, struct deadline *t, uint32_t slot)
{
    if (slot > 1 && before(t, d->heap[slot / 2])) {
        sift_up(d, t, slot);
    } else {
        sift_down(d, t, slot);
    }
}

static bool reserve(struct deadlines *d)
{
    if (d->count + 1 < d->capacity) {
        return true;
    }
    if (d->capacity > UINT32_MAX / 2) {
        return false;
    }
    const uint32_t capacity =
        d->capacity == 0 ? CAPACITY_FIRST : d->capacity * 2;
    struct deadline **heap = mem_resize(
        d->mem, d->heap, heap_bytes(d->capacity), heap_bytes(capacity));
    if (heap == NULL) {
        return false;
    }
    d->heap = heap;
    d->capacity = capacity;
    return true;
}

bool deadline_set(struct deadlines *d, struct deadline *t, uint64_t at_ns)
{
    if (at_ns == DEADLINE_NEVER) {
        deadline_clear(d, t);
        return true;
    }
    uint32_t slot = t->slot;
    if (slot == 0) {
        if (!reserve(d)) {
            return false;
        }
        d->count++;
        slot = d->count;
    } else {
        CHECK(slot <= d->count && d->heap[slot] == t);
    }
    t->at_ns = at_ns;
    t->order = d->next_order;
    d->next_order++;
    settle(d, t, slot);
    return true;
}

void deadline_clear(struct deadlines *d, struct deadline *t)
{
    const uint32_t slot = t->slot;
    if (slot == 0) {
        return;
    }
    CHECK(slot <= d->count && d->heap[slot] == t);
    struct deadline *last = d->heap[d->count];
    d->heap[d->count] = NULL;
    d->count--;
    t->slot = 0;
    if (last != t) {
        settle(d, last, slot);
    }
}

struct deadline *deadlines_pop(struct deadlines *d, uint64_t now_ns)
{
    if (d->count == 0 || d->heap[1]->at_ns > now_ns) {
        return NULL;
    }
    struct deadline *t = d->heap[1];
    deadline_clear(d, t);
    return t;
}
