#include "nucleus/base/prng.h"

#include "nucleus/base/check.h"
#include "nucleus/base/hash.h"

__extension__ typedef unsigned __int128 uint128;

/* ln(1 + i/64) * 2^32 */
static const uint32_t logs[65] = {
    0x00000000, 0x03f81516, 0x07e0a6c4, 0x0bba2c7b, 0x0f851860, 0x1341d796,
    0x16f0d28b, 0x1a926d3a, 0x1e27076e, 0x21aefcfa, 0x252aa5f0, 0x289a56da,
    0x2bfe60e1, 0x2f571204, 0x32a4b53a, 0x35e7929d, 0x391fef8f, 0x3c4e0edc,
    0x3f7230db, 0x428c938a, 0x459d72af, 0x48a507ef, 0x4ba38aec, 0x4e993156,
    0x51862f08, 0x546ab61d, 0x5746f6fd, 0x5a1b207a, 0x5ce75fdb, 0x5fabe0ee,
    0x6268ce1b, 0x651e5071, 0x67cc8fb3, 0x6a73b26a, 0x6d13ddef, 0x6fad3677,
    0x723fdf1e, 0x74cbf9f8, 0x7751a813, 0x79d10987, 0x7c4a3d7f, 0x7ebd623e,
    0x812a952d, 0x8391f2e1, 0x85f39721, 0x884f9cf1, 0x8aa61e98, 0x8cf735a3,
    0x8f42faf4, 0x918986be, 0x93caf094, 0x96074f6a, 0x983eb99a, 0x9a7144ed,
    0x9c9f069b, 0x9ec81354, 0xa0ec7f42, 0xa30c5e11, 0xa527c2ee, 0xa73ec08e,
    0xa9516933, 0xab5fceae, 0xad6a0262, 0xaf701549, 0xb17217f8,
};

static const uint64_t log_of_2 = 0xb17217f8; /* ln(2) * 2^32 */

enum {
    LOG_BITS = 6,               /* of the mantissa choose a row of the table */
    EXPONENTIAL_MEANS_MAX = 16, /* no draw is longer, in means */
};

static uint64_t splitmix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

void prng_init(struct prng *p, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        p->s[i] = splitmix(&seed);
    }
}

uint64_t prng_next(struct prng *p)
{
    uint64_t *s = p->s;
    const uint64_t result = hash_rotate(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = hash_rotate(s[3], 45);
    return result;
}

uint64_t prng_below(struct prng *p, uint64_t bound)
{
    CHECK(bound > 0);
    uint128 product = (uint128)prng_next(p) * bound;
    if ((uint64_t)product < bound) {
        /* 2^64 mod bound: the products below it are one too many. */
        const uint64_t surplus = (0 - bound) % bound;
        while ((uint64_t)product < surplus) {
            product = (uint128)prng_next(p) * bound;
        }
    }
    return (uint64_t)(product >> 64);
}

bool prng_chance(struct prng *p, uint32_t per_million)
{
    return prng_below(p, 1000000) < per_million;
}

uint64_t prng_between(struct prng *p, uint64_t low, uint64_t high)
{
    CHECK(low <= high);
    if (high - low == UINT64_MAX) {
        return prng_next(p);
    }
    return low + prng_below(p, high - low + 1);
}

/* ln(m) * 2^32 of the mantissa m in [1, 2), given as its 63 bits below one. */
static uint64_t log_of_mantissa(uint64_t fraction)
{
    const uint64_t row = fraction >> (63 - LOG_BITS);
    const uint64_t rest = fraction >> (31 - LOG_BITS) & UINT32_MAX;
    const uint64_t step = logs[row + 1] - logs[row];
    return logs[row] + (step * rest >> 32);
}

uint64_t prng_exponential(struct prng *p, uint64_t mean)
{
    /* u = 2^-(zeros + 1) * m is uniform in (0, 1); -ln(u) is exponential. */
    const uint64_t u = prng_next(p) | 1;
    const unsigned zeros = (unsigned)__builtin_clzll(u);
    const uint64_t fraction = (u << zeros) & (UINT64_MAX >> 1);
    uint64_t means = (zeros + 1) * log_of_2 - log_of_mantissa(fraction);
    const uint64_t most = (uint64_t)EXPONENTIAL_MEANS_MAX << 32;
    if (means > most) {
        means = most;
    }
    const uint128 result = (uint128)means * mean >> 32;
    return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}
