#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

/* Counts of values in log-linear buckets: 32 to each power of two, so that a
 * value read back is at most 1/32 too high. Plain data, fixed size. */
enum {
    HISTOGRAM_SUB_BITS = 5,
    HISTOGRAM_POWERS = 44, /* up to 2^44: 4.8 hours in nanoseconds */
    HISTOGRAM_BUCKETS = (HISTOGRAM_POWERS - HISTOGRAM_SUB_BITS + 1)
                        << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count;
    uint64_t min;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);

/** Counts one value; what is above the range counts as the highest. */
void histogram_add(struct histogram *h, uint64_t value);

/** Adds all of `from` to `to`. */
void histogram_merge(struct histogram *to, const struct histogram *from);

/** The least value that at least `per_100000` of 100,000 values do not exceed,
 * as the upper end of its bucket and at most the maximum; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, uint32_t per_100000);

#endif
