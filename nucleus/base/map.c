#include "nucleus/base/map.h"

#include <stddef.h>

#include "nucleus/base/hash.h"

enum {
    CAPACITY_FIRST = 16,
    CAPACITY_MAX = 1 << 30,
    /* Of 8 slots at most 5 are taken: then a look-up of a key that is not
     * there meets fewer than 4 slots on average. */
    LOAD_PER_8 = 5,
};

void map_init(struct map *m, struct mem *mem, uint64_t seed)
{
    *m = (struct map){
        .mem = mem,
        .seed = {seed, hash_fold(seed, 1)},
    };
}

/* One slot more than the capacity: it remembers where a key was found last,
 * since most look-ups are for the same key as the one before. */
static size_t slots_bytes(uint32_t capacity)
{
    return capacity == 0 ? 0 : ((size_t)capacity + 1) * sizeof(struct map_slot);
}

void map_fini(struct map *m)
{
    mem_free(m->mem, m->slots, slots_bytes(m->capacity));
    m->slots = NULL;
    m->capacity = 0;
    m->count = 0;
}

/* The slot where a key would like to be. */
static uint32_t home(const struct map *m, uint64_t hi, uint64_t lo)
{
    return (uint32_t)hash_words(m->seed, hi, lo) & (m->capacity - 1);
}

/* The slot of a key, or the empty one where it belongs. There is always an
 * empty one, for the table is never full. */
static uint32_t seek(const struct map *m, uint64_t hi, uint64_t lo)
{
    uint32_t at = home(m, hi, lo);
    while (m->slots[at].value != NULL &&
           (m->slots[at].lo != lo || m->slots[at].hi != hi)) {
        at = (at + 1) & (m->capacity - 1);
    }
    return at;
}

void *map_get(const struct map *m, uint64_t hi, uint64_t lo)
{
    if (m->count == 0) {
        return NULL;
    }
    struct map_slot *hint = &m->slots[m->capacity];
    const struct map_slot *last = &m->slots[hint->lo];
    if (last->lo == lo && last->hi == hi && last->value != NULL) {
        return last->value;
    }
    hint->lo = seek(m, hi, lo);
    return m->slots[hint->lo].value;
}

static bool grow(struct map *m)
{
    if (m->capacity >= CAPACITY_MAX) {
        return false;
    }
    struct map big = *m;
    big.capacity = m->capacity == 0 ? CAPACITY_FIRST : m->capacity * 2;
    big.slots = mem_alloc(m->mem, slots_bytes(big.capacity));
    if (big.slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < m->capacity; i++) {
        const struct map_slot *s = &m->slots[i];
        if (s->value != NULL) {
            big.slots[seek(&big, s->hi, s->lo)] = *s;
        }
    }
    mem_free(m->mem, m->slots, slots_bytes(m->capacity));
    *m = big;
    return true;
}

bool map_put(struct map *m, uint64_t hi, uint64_t lo, void *value)
{
    CHECK(value != NULL);
    const uint64_t room = (uint64_t)m->capacity * LOAD_PER_8 / 8;
    if (m->count >= room && !grow(m)) {
        return false;
    }
    struct map_slot *s = &m->slots[seek(m, hi, lo)];
    CHECK(s->value == NULL);
    *s = (struct map_slot){.hi = hi, .lo = lo, .value = value};
    m->count++;
    return true;
}

void *map_remove(struct map *m, uint64_t hi, uint64_t lo)
{
    if (m->count == 0) {
        return NULL;
    }
    const uint32_t mask = m->capacity - 1;
    uint32_t hole = seek(m, hi, lo);
    void *value = m->slots[hole].value;
    if (value == NULL) {
        return NULL;
    }
    /* Whoever comes after the hole and was pushed past it moves back into it
     * (Knuth vol. 3, 6.4, algorithm R). */
    for (uint32_t at = (hole + 1) & mask; m->slots[at].value != NULL;
         at = (at + 1) & mask) {
        const uint32_t want = home(m, m->slots[at].hi, m->slots[at].lo);
        if (((at - want) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->count--;
    return value;
}
