#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"

/* A hash map from a 128-bit key to a pointer: open addressing, linear probing,
 * deletion by shifting back, grown by doubling. Never iterated (order would
 * depend on the hash): owners keep a list beside it. Keys are hashed with a
 * secret seed, since peers choose them. */
struct map_slot {
    uint64_t hi;
    uint64_t lo;
    void *value; /* NULL = empty */
};

struct map {
    struct mem *mem;
    struct map_slot *slots;
    uint32_t capacity; /* power of two, 0 before the first insertion */
    uint32_t count;
    uint64_t seed[2];
};

/** An empty map. Borrows `mem`; allocates nothing yet. */
void map_init(struct map *m, struct mem *mem, uint64_t seed);

void map_fini(struct map *m);

/** @return the value, or NULL if there is none */
void *map_get(const struct map *m, uint64_t hi, uint64_t lo);

/**
 * Inserts; the key must be new (CHECKed), `value` not NULL.
 *
 * @return false at the memory cap; nothing changed then
 */
MUST_USE bool map_put(struct map *m, uint64_t hi, uint64_t lo, void *value);

/** Removes and returns the value, or NULL if there was none. */
void *map_remove(struct map *m, uint64_t hi, uint64_t lo);

#endif
