#ifndef BENCH_JUDGE_H
#define BENCH_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What repeated measurements say: arithmetic, nothing else. Spreads and shares
 * are in parts of a thousand. */

enum {
    JUDGE_RUNS_MAX = 99,
    JUDGE_LEAST = 50,   /* a smaller change is never more than noise */
    JUDGE_OTHERS = 150, /* of the processors, used by others: too noisy */
    JUDGE_SPREAD = 350, /* of the floor, or of ours without one: too noisy */
};

/** The median; of an even number, the lower of the two. 0 for none. */
uint64_t judge_median(const uint64_t *values, size_t count);

/** Half of the way from the least to the most, as a part of the median; with
 * five values or more the least and the most are left out. */
uint32_t judge_spread(const uint64_t *values, size_t count);

/* One figure, now and before. */
struct judge_figure {
    bool more_is_better;
    double now, before; /* 0 = not known */
    uint32_t now_spread, before_spread;
};

enum judge_word { JUDGE_SAME, JUDGE_BETTER, JUDGE_WORSE };

struct judge_change {
    enum judge_word word;
    double change; /* of `before`, in parts of a thousand */
    uint32_t noise;
};

/** A change counts when it is larger than both spreads together, and than
 * JUDGE_LEAST. */
struct judge_change judge_compare(const struct judge_figure *f);

/* What went on meanwhile. */
struct judge_noise {
    uint32_t others; /* share of all processors that others used */
    uint32_t spread; /* of the floor's figures; without a floor, of ours */
};

/** Why nothing should be concluded, or NULL. */
const char *judge_noisy(const struct judge_noise *n);

#endif
