#include <criterion/criterion.h>
#include <stdlib.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/hash.h"
#include "nucleus/base/map.h"
#include "nucleus/base/pool.h"
#include "nucleus/base/prng.h"
#include "nucleus/base/trace.h"

/* P14 for the base: what the modules answer depends on the seed alone. The same
 * seeded work is done with the heap laid out differently each time, and what it
 * gave is compared: with each other, and with the number that every compiler at
 * every level of optimisation must give. */
TestSuite(determinism, .timeout = 20);

struct thing {
    uint64_t id;
    struct deadline timer;
};

struct world {
    struct mem mem;
    struct pool things;
    struct map by_id;
    struct deadlines timers;
    struct prng chance;
    struct trace trace;
    uint64_t next_id;
};

/* Makes the next blocks of the heap fall elsewhere. */
static void disturb(void **blocks, size_t count, uint64_t seed)
{
    struct prng p;
    prng_init(&p, seed);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(prng_between(&p, 1, 20000));
    }
    for (size_t i = 0; i < count; i += 2) {
        free(blocks[i]);
        blocks[i] = NULL;
    }
}

static void make(struct world *w, uint64_t now_ns)
{
    struct thing *thing = pool_take(&w->things);
    if (thing == NULL) {
        trace_add(&w->trace, now_ns, TRACE_REFUSE, w->things.used, 0, 0);
        return;
    }
    w->next_id++;
    thing->id = w->next_id;
    CHECK(map_put(&w->by_id, 1, thing->id, thing));
    CHECK(deadline_set(&w->timers, &thing->timer,
                       now_ns + prng_exponential(&w->chance, 100)));
    trace_add(&w->trace, now_ns, TRACE_PORT_NEW, pool_index(&w->things, thing),
              thing->id, thing->timer.at_ns);
}

static void end(struct world *w, struct thing *thing, uint64_t now_ns)
{
    trace_add(&w->trace, now_ns, TRACE_PORT_END, pool_index(&w->things, thing),
              thing->id, thing->timer.order);
    deadline_clear(&w->timers, &thing->timer);
    CHECK(map_remove(&w->by_id, 1, thing->id) == thing);
    pool_put(&w->things, thing);
}

static uint64_t live(uint64_t seed, uint64_t layout)
{
    void *blocks[50];
    struct world w = {0};
    disturb(blocks, 50, layout);
    mem_init(&w.mem, 1 << 20);
    pool_init(&w.things, &w.mem, sizeof(struct thing), 200);
    map_init(&w.by_id, &w.mem, seed);
    deadlines_init(&w.timers, &w.mem);
    prng_init(&w.chance, seed);
    trace_init(&w.trace, NULL);
    for (uint64_t now_ns = 0; now_ns < 5000; now_ns++) {
        for (uint64_t i = prng_below(&w.chance, 5); i > 0; i--) {
            make(&w, now_ns);
        }
        const uint64_t id = prng_between(&w.chance, 0, w.next_id);
        struct thing *thing = map_get(&w.by_id, 1, id);
        if (thing != NULL) {
            end(&w, thing, now_ns);
        }
        struct deadline *t;
        while ((t = deadlines_pop(&w.timers, now_ns)) != NULL) {
            end(&w, CONTAINER_OF(t, struct thing, timer), now_ns);
        }
    }
    const uint64_t hash = hash_fold(w.trace.hash, w.mem.peak_bytes);
    deadlines_fini(&w.timers);
    map_fini(&w.by_id);
    pool_fini(&w.things);
    cr_assert_eq(w.mem.blocks, 0);
    for (size_t i = 1; i < 50; i += 2) {
        free(blocks[i]);
    }
    return hash;
}

Test(determinism, addresses_change_nothing)
{
    const uint64_t hash = live(1, 0);
    for (uint64_t layout = 1; layout < 10; layout++) {
        cr_assert_eq(live(1, layout), hash);
    }
    cr_assert_neq(live(2, 0), hash, "the seed does");
}

Test(determinism, every_build_gives_the_same)
{
    const uint64_t hash = live(42, 0);
    cr_assert_eq(hash, 0x9d3736e19947f843, "0x%lx", (unsigned long)hash);
}
