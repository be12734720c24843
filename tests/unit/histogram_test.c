#include <criterion/criterion.h>

#include "nucleus/base/histogram.h"

TestSuite(histogram, .timeout = 5);

Test(histogram, an_empty_one_reads_zero)
{
    struct histogram h;

    histogram_init(&h);
    cr_expect_eq(histogram_at(&h, 50000), 0);
    cr_expect_eq(h.count, 0);
}

Test(histogram, a_value_reads_back_within_a_thirty_second)
{
    struct histogram h;

    for (uint64_t v = 1; v < (uint64_t)1 << 43; v += v / 7 + 1) {
        histogram_init(&h);
        histogram_add(&h, v);
        histogram_add(&h, (uint64_t)1 << 43);
        uint64_t got = histogram_at(&h, 50000);
        cr_expect(got >= v, "%lu read as %lu", v, got);
        cr_expect(got - v <= v / 32, "%lu read as %lu", v, got);
    }
}

Test(histogram, percentiles_of_a_ramp)
{
    struct histogram h;
    const struct {
        uint32_t at;
        uint64_t value;
    } want[] = {{1000, 100}, {50000, 5000}, {99000, 9900}, {100000, 10000}};

    histogram_init(&h);
    for (uint64_t v = 1; v <= 10000; v++) {
        histogram_add(&h, v);
    }
    cr_expect_eq(h.min, 1);
    cr_expect_eq(h.max, 10000);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        uint64_t got = histogram_at(&h, want[i].at);
        cr_expect(got >= want[i].value, "p%u: %lu", want[i].at, got);
        cr_expect(got <= want[i].value + want[i].value / 31, "p%u: %lu",
                  want[i].at, got);
    }
}

Test(histogram, what_is_off_the_scale_counts_as_the_highest)
{
    struct histogram h;

    histogram_init(&h);
    histogram_add(&h, UINT64_MAX);
    cr_expect_eq(histogram_at(&h, 100000) > (uint64_t)1 << 43, 1);
    cr_expect_eq(h.max, UINT64_MAX);
}

Test(histogram, merged_is_as_if_counted_together)
{
    struct histogram a;
    struct histogram b;

    histogram_init(&a);
    histogram_init(&b);
    histogram_add(&a, 10);
    histogram_add(&b, 1000);
    histogram_merge(&a, &b);
    cr_expect_eq(a.count, 2);
    cr_expect_eq(a.min, 10);
    cr_expect_eq(a.max, 1000);
    cr_expect_eq(histogram_at(&a, 50000), 10);
}
