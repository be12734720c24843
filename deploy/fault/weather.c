#include "fate.h"

#define MS 1000000ULL

void fate_weather(struct fate_params *f, uint64_t *rate, struct prng *p,
                  uint32_t badness)
{
    static const uint64_t mean_us[] = {100, 1000, 8000, 40000};
    CHECK(badness < FATE_WEATHERS);
    f->reorder_by_ns = 50 * MS;
    /* One draw a statement: the order of others is the compiler's. */
    f->delay_ns = prng_below(p, mean_us[badness] * 1000);
    f->tail_ns = prng_below(p, mean_us[badness] * 1000);
    if (badness >= 2) {
        *rate = prng_between(p, 500000, 20000000);
    }
    if (badness > 0) {
        static const uint32_t loss[] = {0, 1000, 20000, 150000};
        f->loss = (uint32_t)prng_below(p, loss[badness]);
        f->duplicate = (uint32_t)prng_below(p, loss[badness]);
        f->reorder = (uint32_t)prng_below(p, loss[badness]);
    }
    if (badness > 1 && prng_chance(p, 300000)) {
        f->burst = (uint32_t)prng_below(p, 10000);
        f->burst_length = (uint32_t)prng_between(p, 2, 20);
    }
}
