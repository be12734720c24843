#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "nucleus/base/pool.h"
#include "nucleus/base/prng.h"

struct item {
    uint64_t id;
    uint8_t rest[92];
};

enum { LIMIT = 1000 };

TestSuite(pool, .timeout = 10);

static bool all_zero(const void *p, size_t size)
{
    const uint8_t *bytes = p;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

Test(pool, refuses_at_the_limit)
{
    struct mem m;
    struct pool p;
    mem_init(&m, 1 << 20);
    for (uint32_t limit = 1; limit < 200; limit += 11) {
        pool_init(&p, &m, sizeof(struct item), limit);
        for (uint32_t i = 0; i < limit; i++) {
            cr_assert_not_null(pool_take(&p), "%u of %u", i, limit);
        }
        cr_assert_null(pool_take(&p), "one past %u", limit);
        cr_assert_eq(p.used, limit);
        pool_put(&p, pool_at(&p, limit / 2));
        cr_assert_not_null(pool_take(&p), "one came back");
        cr_assert_null(pool_take(&p));
        pool_fini(&p);
        cr_assert_eq(m.blocks, 0);
    }
}

Test(pool, refuses_at_the_memory_cap_and_goes_on_after)
{
    struct mem m;
    struct pool p;
    mem_init(&m, 20000);
    pool_init(&p, &m, sizeof(struct item), LIMIT);
    uint32_t taken = 0;
    while (pool_take(&p) != NULL) {
        taken++;
    }
    cr_assert(taken > 0 && taken < LIMIT);
    cr_assert_eq(p.used, taken);
    cr_assert_eq(p.high, taken);
    const size_t used = m.used_bytes;
    cr_assert_null(pool_take(&p));
    cr_assert_eq(m.used_bytes, used, "nothing changed");
    m.cap_bytes = 1 << 20;
    cr_assert_not_null(pool_take(&p), "with room it goes on");
    pool_fini(&p);
    cr_assert_eq(m.blocks, 0);
}

Test(pool, an_index_never_given_out_is_nothing)
{
    struct mem m;
    struct pool p;
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, sizeof(struct item), LIMIT);
    cr_assert_null(pool_at(&p, 0));
    (void)pool_take(&p);
    cr_assert_not_null(pool_at(&p, 0));
    cr_assert_null(pool_at(&p, 1));
    cr_assert_null(pool_at(&p, UINT32_MAX));
    pool_fini(&p);
}

Test(pool, items_are_dense_and_never_move)
{
    static struct item *at[LIMIT];
    struct mem m;
    struct pool p;
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, sizeof(struct item), LIMIT);
    for (uint32_t i = 0; i < LIMIT; i++) {
        at[i] = pool_take(&p);
        cr_assert(all_zero(at[i], sizeof(struct item)));
        cr_assert_eq((uintptr_t)at[i] % 8, 0);
        memset(at[i], 0xff, sizeof(struct item));
        at[i]->id = i;
    }
    for (uint32_t i = 0; i < LIMIT; i++) {
        cr_assert_eq(pool_at(&p, i), at[i]);
        cr_assert_eq(pool_index(&p, at[i]), i);
        cr_assert_eq(at[i]->id, i);
    }
    pool_fini(&p);
    cr_assert_eq(m.blocks, 0);
}

Test(pool, last_in_first_out_and_zeroed)
{
    struct mem m;
    struct pool p;
    struct item *items[3];
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, sizeof(struct item), LIMIT);
    for (int i = 0; i < 3; i++) {
        items[i] = pool_take(&p);
        memset(items[i], 0xff, sizeof(struct item));
    }
    pool_put(&p, items[0]);
    pool_put(&p, items[2]);
    cr_assert(all_zero(pool_at(&p, 2), sizeof(struct item)), "put is zeroed");
    cr_assert_eq(p.used, 1);
    cr_assert_eq(pool_take(&p), items[2]);
    cr_assert(all_zero(items[2], sizeof(struct item)), "taken is zeroed");
    cr_assert_eq(pool_take(&p), items[0]);
    cr_assert_eq(pool_index(&p, pool_take(&p)), 3, "then a fresh one");
    pool_fini(&p);
}

Test(pool, a_small_one_takes_little_memory)
{
    struct mem m;
    struct pool p;
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, sizeof(struct item), 4);
    cr_assert_eq(m.used_bytes, 0, "nothing before the first item");
    (void)pool_take(&p);
    cr_assert_lt(m.used_bytes, 5 * (sizeof(struct item) + 8));
    pool_fini(&p);
    cr_assert_eq(m.blocks, 0);
}

/* A naive model: who is out, and with which number. */
Test(pool, agrees_with_a_model)
{
    enum { ITEMS = 300 };
    uint64_t out[ITEMS] = {0};
    uint32_t used = 0;
    struct mem m;
    struct pool p;
    struct prng chance;
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, 20, ITEMS);
    prng_init(&chance, 1);
    for (uint64_t step = 1; step < 20000; step++) {
        const uint32_t index = (uint32_t)prng_below(&chance, ITEMS);
        if (out[index] != 0) {
            uint64_t *item = pool_at(&p, index);
            cr_assert_eq(*item, out[index]);
            pool_put(&p, item);
            out[index] = 0;
            used--;
            continue;
        }
        uint64_t *item = pool_take(&p);
        cr_assert_not_null(item);
        cr_assert_eq(*item, 0);
        cr_assert_eq(out[pool_index(&p, item)], 0, "was not out");
        *item = step;
        out[pool_index(&p, item)] = step;
        used++;
        cr_assert_eq(p.used, used);
    }
    pool_fini(&p);
    cr_assert_eq(m.blocks, 0);
}

Test(pool, put_twice_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    struct pool p;
    mem_init(&m, 1 << 20);
    pool_init(&p, &m, 8, 4);
    void *item = pool_take(&p);
    (void)pool_take(&p);
    pool_put(&p, item);
    pool_put(&p, item);
}

Test(pool, put_of_another_pool_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    struct pool a;
    struct pool b;
    mem_init(&m, 1 << 20);
    pool_init(&a, &m, 8, 4);
    pool_init(&b, &m, 8, 4);
    (void)pool_take(&a);
    pool_put(&a, pool_take(&b));
}
