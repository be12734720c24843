#include "judge.h"

#include <string.h>

#include "nucleus/base/check.h"

static void sort(uint64_t *v, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const uint64_t x = v[i];
        size_t at = i;
        for (; at > 0 && v[at - 1] > x; at--) {
            v[at] = v[at - 1];
        }
        v[at] = x;
    }
}

static void sorted(uint64_t out[JUDGE_RUNS_MAX], const uint64_t *v,
                   size_t count)
{
    CHECK(count <= JUDGE_RUNS_MAX);
    memcpy(out, v, count * sizeof *v);
    sort(out, count);
}

uint64_t judge_median(const uint64_t *values, size_t count)
{
    uint64_t v[JUDGE_RUNS_MAX];

    if (count == 0) {
        return 0;
    }
    sorted(v, values, count);
    return v[(count - 1) / 2];
}

uint32_t judge_spread(const uint64_t *values, size_t count)
{
    uint64_t v[JUDGE_RUNS_MAX];
    const size_t out = count >= 5 ? 1 : 0; /* on either side */

    if (count < 2) {
        return 0;
    }
    sorted(v, values, count);
    const uint64_t median = v[(count - 1) / 2];
    const uint64_t range = v[count - 1 - out] - v[out];
    if (median == 0) {
        return range == 0 ? 0 : UINT32_MAX;
    }
    const double part = (double)range * 500 / (double)median;
    return part < 1e6 ? (uint32_t)(part + 0.5) : 1000000;
}

struct judge_change judge_compare(const struct judge_figure *f)
{
    struct judge_change c = {.word = JUDGE_SAME};

    c.noise = f->now_spread + f->before_spread;
    c.noise = c.noise > JUDGE_LEAST ? c.noise : JUDGE_LEAST;
    if (f->now <= 0 || f->before <= 0) {
        return c;
    }
    c.change = (f->now - f->before) / f->before * 1000;
    if (c.change > (double)c.noise) {
        c.word = f->more_is_better ? JUDGE_BETTER : JUDGE_WORSE;
    } else if (-c.change > (double)c.noise) {
        c.word = f->more_is_better ? JUDGE_WORSE : JUDGE_BETTER;
    }
    return c;
}

const char *judge_noisy(const struct judge_noise *n)
{
    if (n->others > JUDGE_OTHERS) {
        return "other programs used the processors";
    }
    if (n->spread > JUDGE_SPREAD) {
        return "the same was too different from run to run";
    }
    return NULL;
}
