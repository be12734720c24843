#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"

#define DEADLINE_NEVER UINT64_MAX

/* One timer, embedded in its owner. `slot` 0 means not armed. */
struct deadline {
    uint64_t at_ns;
    uint64_t order; /* ties fire in the order armed */
    uint32_t slot;
    uint32_t kind; /* the owner's word, to tell its timers apart */
};

/* A binary heap of armed deadlines. */
struct deadlines {
    struct mem *mem;
    struct deadline **heap; /* heap[0] unused */
    uint32_t count;
    uint32_t capacity;
    uint64_t next_order;
};

/** None armed. Borrows `mem` until deadlines_fini(); allocates nothing yet. */
void deadlines_init(struct deadlines *d, struct mem *mem);

/** Gives the heap back. Deadlines still armed are not touched (their owners may
 * be gone): they must not be used with `d` again. */
void deadlines_fini(struct deadlines *d);

/**
 * Arms, or moves when armed already (behind those of the same time).
 * DEADLINE_NEVER disarms.
 *
 * @return false at the memory cap (only when it was not armed); unarmed then
 */
MUST_USE bool deadline_set(struct deadlines *d, struct deadline *t,
                           uint64_t at_ns);

/** Disarms; harmless when not armed. */
void deadline_clear(struct deadlines *d, struct deadline *t);

static inline bool deadline_armed(const struct deadline *t)
{
    return t->slot != 0;
}

/** The earliest armed time, DEADLINE_NEVER when none. */
static inline uint64_t deadlines_next(const struct deadlines *d)
{
    return d->count == 0 ? DEADLINE_NEVER : d->heap[1]->at_ns;
}

/** Disarms and returns the earliest one if it is due at `now_ns`, else NULL. */
struct deadline *deadlines_pop(struct deadlines *d, uint64_t now_ns);

#endif
