#include "histogram.h"

#include "nucleus/base/check.h"

void histogram_init(struct histogram *h)
{
    *h = (struct histogram){.min = UINT64_MAX};
}

static uint32_t bucket_of(uint64_t v)
{
    const uint32_t sub = 1U << HISTOGRAM_SUB_BITS;

    if (v < sub) {
        return (uint32_t)v;
    }
    uint32_t power = 63U - (uint32_t)__builtin_clzll(v);
    if (power >= HISTOGRAM_POWERS) {
        return HISTOGRAM_BUCKETS - 1;
    }
    uint32_t shift = power - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) +
           ((uint32_t)(v >> shift) & (sub - 1));
}

/* The highest value that falls into a bucket. */
static uint64_t top_of(uint32_t bucket)
{
    const uint32_t sub = 1U << HISTOGRAM_SUB_BITS;

    if (bucket < sub) {
        return bucket;
    }
    uint32_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(sub + (bucket & (sub - 1))) << shift;
    return low + ((uint64_t)1 << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->count++;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->min = from->min < to->min ? from->min : to->min;
    to->max = from->max > to->max ? from->max : to->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

uint64_t histogram_at(const struct histogram *h, uint32_t per_100000)
{
    uint64_t seen = 0;

    CHECK(per_100000 <= 100000);
    if (h->count == 0) {
        return 0;
    }
    uint64_t want = h->count / 100000 * per_100000 +
                    (h->count % 100000 * per_100000 + 99999) / 100000;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= want && seen > 0) {
            uint64_t top = top_of(i);
            return top < h->max ? top : h->max;
        }
    }
    return h->max;
}
