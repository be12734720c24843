#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdbool.h>
#include <stdint.h>

/* xoshiro256++ (Blackman, Vigna 2019), seeded by splitmix64. Chance in the pure
 * part comes from here and from nowhere else. Not for secrets. */
struct prng {
    uint64_t s[4];
};

void prng_init(struct prng *p, uint64_t seed);

uint64_t prng_next(struct prng *p);

/** Uniform in [0, bound); `bound` 1 or more. Unbiased (Lemire 2019). */
uint64_t prng_below(struct prng *p, uint64_t bound);

/** True with a probability of `per_million` in 1,000,000. */
bool prng_chance(struct prng *p, uint32_t per_million);

/** Uniform in [low, high], both included; CHECKs low <= high. */
uint64_t prng_between(struct prng *p, uint64_t low, uint64_t high);

/** Exponentially distributed with the given mean, in integers (table and
 * linear interpolation; no floating point), at most 16 times the mean. */
uint64_t prng_exponential(struct prng *p, uint64_t mean);

#endif
