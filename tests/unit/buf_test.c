#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "nucleus/base/buf.h"

TestSuite(buf, .timeout = 5);

Test(buf, refuses_past_the_cap)
{
    struct mem m;
    mem_init(&m, sizeof(struct buf) + 10);
    cr_assert_null(buf_new(&m, 11), "one past");
    cr_assert_null(buf_copy(&m, "0123456789a", 11), "one past");
    cr_assert_null(buf_new(&m, UINT32_MAX), "no overflow");
    cr_assert_eq(m.blocks, 0);
    struct buf *b = buf_copy(&m, "0123456789", 10);
    cr_assert_not_null(b, "at the cap");
    cr_assert_eq(memcmp(b->data, "0123456789", 10), 0);
    buf_unref(b);
    cr_assert_eq(m.blocks, 0);
}

Test(buf, null_has_no_references)
{
    cr_assert_null(buf_ref(NULL));
    buf_unref(NULL);
}

Test(buf, the_last_reference_frees)
{
    struct mem m;
    mem_init(&m, 1000);
    struct buf *b = buf_new(&m, 8);
    cr_assert_eq(b->size, 8);
    cr_assert_eq(memcmp(b->data, "\0\0\0\0\0\0\0\0", 8), 0, "zeroed");
    cr_assert_eq(buf_ref(b), b);
    buf_unref(b);
    cr_assert_eq(m.blocks, 1, "one reference is left");
    buf_unref(b);
    cr_assert_eq(m.blocks, 0);
    cr_assert_eq(m.used_bytes, 0);
}

Test(buf, empty_is_a_block_too)
{
    struct mem m;
    mem_init(&m, 1000);
    struct buf *a = buf_new(&m, 0);
    struct buf *b = buf_copy(&m, NULL, 0);
    cr_assert(a != NULL && b != NULL && a->size == 0 && b->size == 0);
    buf_unref(a);
    buf_unref(b);
    cr_assert_eq(m.blocks, 0);
}

Test(buf, one_reference_too_many_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    mem_init(&m, 1000);
    struct buf *b = buf_new(&m, 8);
    b->refs = UINT32_MAX;
    (void)buf_ref(b);
}
