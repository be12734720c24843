#include <criterion/criterion.h>
#include <signal.h>

#include "nucleus/base/map.h"
#include "nucleus/base/prng.h"

TestSuite(map, .timeout = 10);

static int values[2048];

Test(map, empty_has_nothing)
{
    struct mem m;
    struct map map;
    mem_init(&m, 1 << 20);
    map_init(&map, &m, 1);
    cr_assert_null(map_get(&map, 0, 0));
    cr_assert_null(map_remove(&map, 0, 0));
    cr_assert_eq(m.blocks, 0, "and takes no memory");
    map_fini(&map);
}

Test(map, refuses_at_the_memory_cap_and_changes_nothing)
{
    struct mem m;
    struct map map;
    mem_init(&m, 10000);
    map_init(&map, &m, 1);
    uint32_t count = 0;
    while (map_put(&map, 7, count, &values[count])) {
        count++;
        cr_assert_lt(count, 2000, "the cap holds");
    }
    cr_assert_gt(count, 0);
    const size_t used = m.used_bytes;
    cr_assert_not(map_put(&map, 7, count, &values[count]));
    cr_assert_eq(m.used_bytes, used);
    cr_assert_eq(map.count, count);
    cr_assert_null(map_get(&map, 7, count));
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_eq(map_get(&map, 7, i), &values[i]);
    }
    cr_assert_eq(map_remove(&map, 7, 0), &values[0]);
    cr_assert(map_put(&map, 7, count, &values[count]), "room came back");
    map_fini(&map);
    cr_assert_eq(m.blocks, 0);
}

Test(map, the_first_insertion_may_fail)
{
    struct mem m;
    struct map map;
    mem_init(&m, 1);
    map_init(&map, &m, 1);
    cr_assert_not(map_put(&map, 1, 1, &values[0]));
    cr_assert_null(map_get(&map, 1, 1));
    map_fini(&map);
    cr_assert_eq(m.blocks, 0);
}

Test(map, both_words_are_the_key)
{
    struct mem m;
    struct map map;
    mem_init(&m, 1 << 20);
    map_init(&map, &m, 1);
    cr_assert(map_put(&map, 1, 2, &values[0]));
    cr_assert(map_put(&map, 2, 1, &values[1]));
    cr_assert(map_put(&map, 0, 0, &values[2]), "zero is a key as any other");
    cr_assert_null(map_get(&map, 1, 1));
    cr_assert_null(map_get(&map, 2, 2));
    cr_assert_eq(map_get(&map, 1, 2), &values[0]);
    cr_assert_eq(map_get(&map, 2, 1), &values[1]);
    cr_assert_eq(map_get(&map, 0, 0), &values[2]);
    for (uint64_t i = 10; i < 15; i++) {
        cr_assert(map_put(&map, i, 9, &values[i]));
        cr_assert(map_put(&map, 9, i + 10, &values[i]));
    }
    for (uint64_t i = 100; i < 1000; i++) {
        cr_assert_null(map_get(&map, i, 9), "meets many with this low word");
        cr_assert_null(map_get(&map, 9, i), "and with this high word");
    }
    map_fini(&map);
}

/* Random insertions, removals and look-ups beside an array, for few keys (a
 * table of 16 slots, where clusters wrap around its end) and for many. */
static void play(uint32_t keys, uint32_t steps, uint64_t seed)
{
    void *model[2048] = {NULL};
    uint32_t count = 0;
    struct mem m;
    struct map map;
    struct prng p;
    mem_init(&m, 1 << 20);
    map_init(&map, &m, seed);
    prng_init(&p, seed);
    for (uint32_t step = 0; step < steps; step++) {
        const uint64_t key = prng_below(&p, keys);
        void *value = &values[prng_below(&p, 2048)];
        if (model[key] != NULL) {
            cr_assert_eq(map_remove(&map, key % 7, key), model[key]);
            model[key] = NULL;
            count--;
        } else {
            cr_assert_null(map_remove(&map, key % 7, key));
            cr_assert(map_put(&map, key % 7, key, value));
            model[key] = value;
            count++;
        }
        cr_assert_eq(map.count, count);
        const uint32_t looks = keys < 20 ? keys : 20;
        for (uint32_t i = 0; i < looks; i++) {
            const uint64_t at = looks < 20 ? i : prng_below(&p, keys);
            cr_assert_eq(map_get(&map, at % 7, at), model[at]);
        }
    }
    map_fini(&map);
    cr_assert_eq(m.blocks, 0);
}

Test(map, agrees_with_a_model_when_small)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        play(10, 300, seed);
    }
}

Test(map, agrees_with_a_model_when_large)
{
    play(2048, 20000, 1);
    play(300, 20000, 2);
}

Test(map, a_key_twice_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    struct map map;
    mem_init(&m, 1 << 20);
    map_init(&map, &m, 1);
    cr_assert(map_put(&map, 1, 2, &values[0]));
    (void)!map_put(&map, 1, 2, &values[1]);
}

Test(map, no_value_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    struct map map;
    mem_init(&m, 1 << 20);
    map_init(&map, &m, 1);
    (void)!map_put(&map, 1, 2, NULL);
}
