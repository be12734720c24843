#include <criterion/criterion.h>

#include "nucleus/base/trace.h"

TestSuite(trace, .timeout = 5);

static struct trace_record ring[TRACE_RING];

static uint64_t hash_of(uint64_t now_ns, enum trace_what what, uint32_t extra,
                        uint64_t a, uint64_t b)
{
    struct trace t;
    trace_init(&t, NULL);
    trace_add(&t, now_ns, what, extra, a, b);
    return t.hash;
}

Test(trace, every_field_is_in_the_hash)
{
    const uint64_t hash = hash_of(1, TRACE_SEND, 2, 3, 4);
    cr_assert_eq(hash, hash_of(1, TRACE_SEND, 2, 3, 4));
    cr_assert_neq(hash, hash_of(0, TRACE_SEND, 2, 3, 4));
    cr_assert_neq(hash, hash_of(1, TRACE_ACCEPT, 2, 3, 4));
    cr_assert_neq(hash, hash_of(1, TRACE_SEND, 0, 3, 4));
    cr_assert_neq(hash, hash_of(1, TRACE_SEND, 2, 0, 4));
    cr_assert_neq(hash, hash_of(1, TRACE_SEND, 2, 3, 0));
    cr_assert_neq(hash, hash_of(1, TRACE_SEND, 2, 4, 3));
}

Test(trace, the_ring_keeps_the_last_and_changes_no_hash)
{
    struct trace with;
    struct trace without;
    trace_init(&with, ring);
    trace_init(&without, NULL);
    for (uint64_t i = 0; i < TRACE_RING + 3; i++) {
        trace_add(&with, i, TRACE_PROBE, 7, i * 2, i * 3);
        trace_add(&without, i, TRACE_PROBE, 7, i * 2, i * 3);
    }
    cr_assert_eq(with.hash, without.hash);
    cr_assert_eq(with.count, TRACE_RING + 3);
    cr_assert_eq(ring[2].now_ns, TRACE_RING + 2, "the newest");
    cr_assert_eq(ring[3].now_ns, 3, "the oldest kept");
    cr_assert_eq(ring[3].what, TRACE_PROBE);
    cr_assert_eq(ring[3].extra, 7);
    cr_assert_eq(ring[3].a, 6);
    cr_assert_eq(ring[3].b, 9);
}

Test(trace, names)
{
    cr_assert_str_eq(trace_name(TRACE_COUNT), "?");
    cr_assert_str_eq(trace_name((enum trace_what)UINT32_MAX), "?");
    cr_assert_str_eq(trace_name(TRACE_BOOT), "BOOT");
    cr_assert_str_eq(trace_name(TRACE_VIOLATION), "VIOLATION");
    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        cr_assert_not_null(trace_name((enum trace_what)i));
    }
}
