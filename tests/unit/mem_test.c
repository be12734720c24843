#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "nucleus/base/mem.h"

TestSuite(mem, .timeout = 5);

static void expect_empty(const struct mem *m)
{
    cr_assert_eq(m->used_bytes, 0);
    cr_assert_eq(m->blocks, 0);
}

static bool all_zero(const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] != 0) {
            return false;
        }
    }
    return true;
}

Test(mem, refuses_nothing_and_too_much)
{
    struct mem m;
    mem_init(&m, 100);
    cr_assert_null(mem_alloc(&m, 0), "no bytes");
    cr_assert_null(mem_alloc(&m, 101), "one past the cap");
    cr_assert_null(mem_alloc(&m, SIZE_MAX), "no overflow");
    cr_assert_null(mem_alloc_raw(&m, 0), "no bytes");
    cr_assert_null(mem_alloc_raw(&m, 101), "one past the cap");
    expect_empty(&m);
    cr_assert_eq(m.peak_bytes, 0);
}

Test(mem, gives_up_to_the_cap_and_again_after_free)
{
    struct mem m;
    mem_init(&m, 100);
    uint8_t *a = mem_alloc(&m, 60);
    uint8_t *b = mem_alloc(&m, 40);
    cr_assert(a != NULL && b != NULL);
    cr_assert_null(mem_alloc(&m, 1), "full");
    cr_assert_eq(m.blocks, 2);
    memset(a, 0xff, 60);
    mem_free(&m, a, 60);
    cr_assert_null(mem_alloc(&m, 61), "one past what came back");
    a = mem_alloc(&m, 60);
    cr_assert(all_zero(a, 60), "zeroed");
    mem_free(&m, a, 60);
    mem_free(&m, b, 40);
    mem_free(&m, NULL, 7);
    expect_empty(&m);
    cr_assert_eq(m.peak_bytes, 100);
}

Test(mem, resize_grows_to_the_cap_only)
{
    struct mem m;
    mem_init(&m, 100);
    uint8_t *p = mem_resize(&m, NULL, 0, 10);
    cr_assert(p != NULL && all_zero(p, 10));
    memset(p, 7, 10);
    cr_assert_null(mem_resize(&m, p, 10, 101), "one past the cap");
    cr_assert_null(mem_resize(&m, p, 10, 0), "no bytes");
    cr_assert(m.used_bytes == 10 && m.blocks == 1, "nothing changed");
    cr_assert_eq(p[9], 7, "nothing changed");

    p = mem_resize(&m, p, 10, 100);
    cr_assert_not_null(p);
    cr_assert(p[0] == 7 && p[9] == 7, "the old bytes are kept");
    cr_assert(all_zero(p + 10, 90), "the new ones are zeroed");
    cr_assert_eq(m.used_bytes, 100);
    p = mem_resize(&m, p, 100, 5);
    cr_assert_eq(m.used_bytes, 5);
    cr_assert_eq(m.peak_bytes, 100);
    mem_free(&m, p, 5);
    expect_empty(&m);
}

Test(mem, a_free_of_more_than_was_given_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    mem_init(&m, 100);
    void *p = mem_alloc(&m, 10);
    (void)mem_alloc(&m, 10);
    mem_free(&m, p, 21);
}

Test(mem, a_free_of_the_wrong_size_is_seen_at_the_last, .signal = SIGABRT)
{
    struct mem m;
    mem_init(&m, 100);
    void *p = mem_alloc(&m, 10);
    mem_free(&m, p, 9);
}

Test(mem, a_free_without_a_block_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    int x = 0;
    mem_init(&m, 100);
    mem_free(&m, &x, sizeof x);
}
