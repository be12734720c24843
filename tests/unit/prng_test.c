#include <criterion/criterion.h>
#include <math.h>
#include <signal.h>

#include "nucleus/base/prng.h"

TestSuite(prng, .timeout = 10);

/* The authors' reference code, state 1 2 3 4. */
Test(prng, next_is_xoshiro256_plus_plus)
{
    static const uint64_t want[] = {41943041, 58720359, 3588806011781223,
                                    3591011842654386, 9228616714210784205U};
    struct prng p = {.s = {1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        cr_expect_eq(prng_next(&p), want[i], "draw %zu", i);
    }
}

Test(prng, the_seed_is_spread_by_splitmix64)
{
    struct prng p;
    prng_init(&p, 1234567);
    cr_assert_eq(p.s[0], 6457827717110365317);
    cr_assert_eq(p.s[1], 3203168211198807973);
    cr_assert_eq(p.s[2], 9817491932198370423U);
    cr_assert_eq(p.s[3], 4593380528125082431);
    prng_init(&p, 0);
    cr_assert_neq(p.s[0] | p.s[1] | p.s[2] | p.s[3], 0, "zero is a seed too");
}

Test(prng, below_zero_is_a_bug, .signal = SIGABRT)
{
    struct prng p;
    prng_init(&p, 1);
    (void)prng_below(&p, 0);
}

Test(prng, between_the_wrong_way_round_is_a_bug, .signal = SIGABRT)
{
    struct prng p;
    prng_init(&p, 1);
    (void)prng_between(&p, 2, 1);
}

Test(prng, below_is_uniform)
{
    struct prng p;
    uint32_t counts[6] = {0};
    prng_init(&p, 1);
    for (int i = 0; i < 60000; i++) {
        counts[prng_below(&p, 6)]++;
    }
    for (int i = 0; i < 6; i++) {
        /* Five standard deviations of a fair die. */
        cr_expect(counts[i] > 9540 && counts[i] < 10460, "%d: %u", i,
                  counts[i]);
    }
    cr_assert_eq(prng_below(&p, 1), 0);
}

/* With a bound of 3/4 of 2^64 a biased draw gives the lower half of the bound
 * 1/2 too often by far: a third of it would come twice. */
Test(prng, below_has_no_bias)
{
    const uint64_t bound = UINT64_C(3) << 62;
    struct prng p;
    uint32_t thirds[3] = {0};
    prng_init(&p, 1);
    for (int i = 0; i < 30000; i++) {
        const uint64_t v = prng_below(&p, bound);
        cr_assert_lt(v, bound);
        thirds[v % 3]++;
    }
    for (int i = 0; i < 3; i++) {
        cr_expect(thirds[i] > 9590 && thirds[i] < 10410, "%d: %u", i,
                  thirds[i]);
    }
}

Test(prng, chance_keeps_its_promise)
{
    struct prng p;
    uint32_t hits = 0;
    prng_init(&p, 1);
    for (int i = 0; i < 100000; i++) {
        cr_assert_not(prng_chance(&p, 0));
        cr_assert(prng_chance(&p, 1000000));
        hits += prng_chance(&p, 100000);
    }
    cr_assert(hits > 9500 && hits < 10500, "%u", hits);
}

Test(prng, between_reaches_both_ends)
{
    struct prng p;
    bool seen[3] = {false};
    prng_init(&p, 1);
    for (int i = 0; i < 1000; i++) {
        const uint64_t v = prng_between(&p, 5, 7);
        cr_assert(v >= 5 && v <= 7);
        seen[v - 5] = true;
    }
    cr_assert(seen[0] && seen[1] && seen[2]);
    cr_assert_eq(prng_between(&p, 9, 9), 9);
    cr_assert_eq(prng_between(&p, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    bool high = false;
    for (int i = 0; i < 100; i++) {
        high = high || prng_between(&p, 0, UINT64_MAX) > UINT64_MAX / 2;
    }
    cr_assert(high, "the whole range");
}

/* Of an exponential distribution 63.21 % lie below the mean, 86.47 % below two
 * means, and the mean is the mean. */
Test(prng, exponential_has_its_shape)
{
    enum { DRAWS = 200000, MEAN = 1000000 };
    struct prng p;
    uint64_t sum = 0;
    uint32_t below_1 = 0;
    uint32_t below_2 = 0;
    prng_init(&p, 1);
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t v = prng_exponential(&p, MEAN);
        cr_assert_leq(v, 16 * (uint64_t)MEAN);
        sum += v;
        below_1 += v < MEAN;
        below_2 += v < 2 * (uint64_t)MEAN;
    }
    cr_expect(sum / DRAWS > 988000 && sum / DRAWS < 1012000, "mean %lu",
              (unsigned long)(sum / DRAWS));
    cr_expect(below_1 > 125340 && below_1 < 127500, "%u", below_1);
    cr_expect(below_2 > 172170 && below_2 < 173710, "%u", below_2);
}

/* The table and the line between its points are off by 0.0001 at most. */
Test(prng, exponential_is_the_logarithm)
{
    const uint64_t mean = UINT64_C(1) << 40;
    struct prng p;
    prng_init(&p, 1);
    for (int i = 0; i < 10000; i++) {
        struct prng same = p;
        const double u = ldexp((double)prng_next(&same), -64);
        const double got = ldexp((double)prng_exponential(&p, mean), -40);
        cr_assert_lt(fabs(got + log(u)), 0.0001, "%g: %g", u, got);
    }
}

Test(prng, exponential_at_its_limits)
{
    struct prng p;
    prng_init(&p, 1);
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(prng_exponential(&p, 0), 0);
        (void)prng_exponential(&p, UINT64_MAX);
    }
    /* A state that draws 0 next: the longest wait there is. */
    p = (struct prng){.s = {0, 0, 0, 1}};
    cr_assert_eq(prng_next(&(struct prng){.s = {0, 1, 0, 0}}), 0);
    p = (struct prng){.s = {0, 1, 0, 0}};
    cr_assert_eq(prng_exponential(&p, 100), 1600, "16 means and no more");
    p = (struct prng){.s = {0, 1, 0, 0}};
    cr_assert_eq(prng_exponential(&p, UINT64_MAX), UINT64_MAX, "no overflow");
}
