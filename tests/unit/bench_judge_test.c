#include <criterion/criterion.h>

#include "nucleus/base/check.h"
#include "tools/bench/judge.h"

/* What may be concluded from measurements. */

TestSuite(bench_judge, .timeout = 10);

static uint64_t median(const uint64_t *v, size_t n)
{
    return judge_median(v, n);
}

Test(bench_judge, median)
{
    const uint64_t none[1] = {7};
    const uint64_t odd[] = {9, 1, 5};
    const uint64_t even[] = {4, 1, 3, 2};

    cr_expect_eq(median(none, 0), 0);
    cr_expect_eq(median(none, 1), 7);
    cr_expect_eq(median(odd, 3), 5);
    cr_expect_eq(median(even, 4), 2, "the lower of two");
}

Test(bench_judge, spread)
{
    const uint64_t two[] = {90, 110};
    const uint64_t five[] = {1000, 98, 100, 102, 1};
    const uint64_t zeroes[] = {0, 0, 0};
    const uint64_t wild[] = {0, 0, UINT64_MAX};

    cr_expect_eq(judge_spread(two, 1), 0);
    cr_expect_eq(judge_spread(two, 2), 111, "10 of 90");
    cr_expect_eq(judge_spread(five, 5), 20, "without the least and the most");
    cr_expect_eq(judge_spread(zeroes, 3), 0);
    cr_expect_eq(judge_spread(wild, 3), UINT32_MAX);
}

static const struct line {
    const char *why;
    struct judge_figure f;
    enum judge_word word;
} lines[] = {
    {"not known now", {true, 0, 10, 0, 0}, JUDGE_SAME},
    {"not known then", {true, 10, 0, 0, 0}, JUDGE_SAME},
    {"the same", {true, 10, 10, 0, 0}, JUDGE_SAME},
    {"less than counts", {true, 96, 100, 0, 0}, JUDGE_SAME},
    {"a rate that fell", {true, 90, 100, 0, 0}, JUDGE_WORSE},
    {"a rate that rose", {true, 110, 100, 0, 0}, JUDGE_BETTER},
    {"a time that rose", {false, 110, 100, 0, 0}, JUDGE_WORSE},
    {"a time that fell", {false, 90, 100, 0, 0}, JUDGE_BETTER},
    {"within the noise of both", {false, 190, 100, 450, 450}, JUDGE_SAME},
    {"beyond the noise of both", {false, 191, 100, 450, 450}, JUDGE_WORSE},
};

Test(bench_judge, compare)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const struct judge_change c = judge_compare(&lines[i].f);
        cr_expect_eq(c.word, lines[i].word, "%s", lines[i].why);
    }
}

Test(bench_judge, too_noisy)
{
    struct judge_noise n = {JUDGE_OTHERS, JUDGE_SPREAD};

    cr_expect_null(judge_noisy(&n), "at the limits");
    n.others++;
    cr_expect_not_null(judge_noisy(&n));
    n = (struct judge_noise){0, JUDGE_SPREAD + 1};
    cr_expect_not_null(judge_noisy(&n));
}
