#include "work.h"

/* What the workers of a process share; the bodies of their messages are parts
 * of one pattern, so that a changed one is seen. */

struct work *work_new(struct world *w)
{
    struct work *k = mem_alloc(&w->mem, sizeof *k);
    const size_t size = BODY_MAX + PATTERN_SHIFT;
    CHECK(k != NULL);
    k->world = w;
    k->mortal = true;
    map_init(&k->known, &w->mem, 1);
    k->pattern = mem_alloc(&w->mem, size);
    CHECK(k->pattern != NULL);
    struct prng p;
    prng_init(&p, 1);
    for (size_t i = 0; i < size; i++) {
        k->pattern[i] = (uint8_t)prng_next(&p);
    }
    return k;
}

void work_free(struct work *k)
{
    struct world *w = k->world;
    map_fini(&k->known);
    mem_free(&w->mem, k->pattern, BODY_MAX + PATTERN_SHIFT);
    mem_free(&w->mem, k, sizeof *k);
}
