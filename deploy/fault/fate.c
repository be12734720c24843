#include "fate.h"

#include "nucleus/base/hash.h"

__extension__ typedef unsigned __int128 uint128;

#define SECOND_NS 1000000000ULL
#define RETRY_NS 50000000ULL /* before a lost segment is sent again */

enum { RETRIES_MAX = 8 }; /* then it passes: 13 s are punishment enough */

static const char *const reasons[] = {
#define FATE_AS_TEXT(name, text) text,
    FATES(FATE_AS_TEXT)
#undef FATE_AS_TEXT
};

const char *fate_text(enum fate reason)
{
    CHECK(reason < FATE_COUNT);
    return reasons[reason];
}

uint64_t fate_seed(uint64_t seed, uint64_t from, uint64_t to)
{
    return hash_fold(hash_fold(hash_fold(0, seed), from), to);
}

void fate_init(struct fate_link *l, uint64_t seed)
{
    *l = (struct fate_link){0};
    prng_init(&l->chance, seed);
    prng_init(&l->aside, ~seed);
}

/* ---- Draws -----------------------------------------------------------------
 * One number of the generator each, whatever comes of it. */

static uint64_t draw_below(struct prng *p, uint64_t bound)
{
    return (uint64_t)((uint128)prng_next(p) * bound >> 64);
}

static bool draw_chance(struct prng *p, uint32_t chance)
{
    return draw_below(p, FATE_CERTAIN) < chance;
}

static uint64_t draw_delay(const struct fate_params *f, struct prng *p)
{
    uint64_t ns = f->delay_ns + draw_below(p, 2 * f->jitter_ns + 1);
    ns = ns > f->jitter_ns ? ns - f->jitter_ns : 0;
    return ns + prng_exponential(p, f->tail_ns);
}

static bool draw_burst(struct fate_link *l, struct prng *p)
{
    const struct fate_params *f = &l->params;
    const uint64_t length =
        f->burst_length > 0 ? f->burst_length : FATE_BURST_LENGTH;
    const bool begins = draw_chance(p, f->burst);
    const bool ends = draw_below(p, length) == 0;
    const bool kept = draw_chance(p, f->burst_kept);
    if (p == &l->aside || f->burst == 0) {
        l->in_burst = l->in_burst && f->burst > 0;
        return false;
    }
    const bool inside = l->in_burst || begins;
    l->in_burst = inside && !ends;
    return inside && !kept;
}

static enum fate draw_loss(struct fate_link *l, struct prng *p)
{
    const bool burst = draw_burst(l, p);
    const bool loss = draw_chance(p, l->params.loss);
    if (l->params.blackhole) {
        return FATE_BLACKHOLE;
    }
    if (l->params.cut) {
        return FATE_CUT;
    }
    return burst ? FATE_BURST : loss ? FATE_LOSS : FATE_PASSED;
}

/* ---- Rate and queue --------------------------------------------------------
 */

/* When `size` bytes sent now have left the link. */
static uint64_t leave(struct fate_link *l, uint64_t now_ns, size_t size)
{
    const uint64_t rate = l->params.rate;
    if (l->free_ns < now_ns || rate == 0) {
        l->free_ns = now_ns;
    }
    if (rate > 0) {
        const uint128 ns = (uint128)size * SECOND_NS / rate;
        l->free_ns +=
            ns < (uint128)SECOND_NS << 20 ? (uint64_t)ns : SECOND_NS << 20;
    }
    return l->free_ns;
}

static bool is_full(const struct fate_link *l, uint64_t now_ns, size_t size)
{
    const struct fate_params *f = &l->params;
    if (f->rate == 0 || l->free_ns <= now_ns) {
        return false;
    }
    const uint128 waiting =
        ((uint128)(l->free_ns - now_ns) * f->rate + SECOND_NS - 1) / SECOND_NS;
    return waiting + size > (f->queue > 0 ? f->queue : FATE_QUEUE_BYTES);
}

/* ---- Packets ---------------------------------------------------------------
 */

static uint64_t clogged(const struct fate_link *l, uint64_t at_ns)
{
    if (l->params.clog) {
        return FATE_NEVER;
    }
    return at_ns > l->clogged_until_ns ? at_ns : l->clogged_until_ns;
}

/* A copy that left at `left_ns`; counted only if it is one. */
static struct fate_copy draw_copy(struct fate_link *l, struct prng *p,
                                  uint64_t left_ns, size_t size, bool is_one)
{
    const struct fate_params *f = &l->params;
    struct fate_copy c = {.at_ns = left_ns + draw_delay(f, p)};
    const bool reorder = draw_chance(p, f->reorder);
    const uint64_t by_ns = draw_below(
        p, (f->reorder_by_ns > 0 ? f->reorder_by_ns : FATE_REORDER_BY_NS) + 1);
    const bool corrupt = draw_chance(p, f->corrupt);
    const uint64_t bit = draw_below(p, (uint64_t)size * 8);
    c.at_ns = clogged(l, c.at_ns + (reorder ? by_ns : 0));
    c.flip = corrupt ? bit : FATE_WHOLE;
    if (is_one) {
        l->stats.reordered += reorder ? 1 : 0;
        l->stats.corrupted += corrupt ? 1 : 0;
    }
    return c;
}

static void judge(struct fate_link *l, struct prng *p, uint64_t now_ns,
                  size_t size, struct fate_verdict *v)
{
    *v = (struct fate_verdict){.reason = draw_loss(l, p)};
    const bool twice = draw_chance(p, l->params.duplicate);
    if (v->reason == FATE_PASSED && is_full(l, now_ns, size)) {
        v->reason = FATE_QUEUE;
    }
    uint64_t left_ns = now_ns;
    if (v->reason == FATE_PASSED) {
        left_ns = leave(l, now_ns, size);
        v->count = twice ? 2 : 1;
    }
    for (uint32_t i = 0; i < FATE_COPIES_MAX; i++) {
        const struct fate_copy c = draw_copy(l, p, left_ns, size, i < v->count);
        if (i < v->count) {
            v->copy[i] = c;
            l->stats.delayed += c.at_ns > now_ns ? 1 : 0;
        }
    }
    l->stats.packets++;
    l->stats.bytes += size;
    l->stats.judged[v->reason]++;
    l->stats.duplicated += v->count > 1 ? 1 : 0;
}

void fate_packet(struct fate_link *l, uint64_t now_ns, size_t size,
                 struct fate_verdict *v)
{
    CHECK(size > 0);
    judge(l, &l->chance, now_ns, size, v);
}

void fate_packet_aside(struct fate_link *l, uint64_t now_ns, size_t size,
                       struct fate_verdict *v)
{
    CHECK(size > 0);
    judge(l, &l->aside, now_ns, size, v);
}

/* ---- Streams ---------------------------------------------------------------
 */

uint64_t fate_stream(struct fate_link *l, uint64_t now_ns, size_t size,
                     uint64_t last_ns, uint64_t *flip)
{
    struct prng *p = &l->chance;
    CHECK(size > 0);
    l->stats.packets++;
    l->stats.bytes += size;
    *flip = FATE_WHOLE;
    if (l->params.cut) {
        l->stats.judged[FATE_CUT]++;
        return FATE_NEVER;
    }
    l->stats.judged[FATE_PASSED]++;
    uint64_t at_ns = leave(l, now_ns, size) + draw_delay(&l->params, p);
    for (unsigned i = 0; i < RETRIES_MAX; i++) {
        const enum fate reason = draw_loss(l, p);
        if (reason != FATE_LOSS && reason != FATE_BURST) {
            break;
        }
        at_ns += RETRY_NS << i;
    }
    if (draw_chance(p, l->params.corrupt)) {
        *flip = draw_below(p, (uint64_t)size * 8);
        l->stats.corrupted++;
    }
    at_ns = clogged(l, at_ns > last_ns ? at_ns : last_ns);
    l->stats.delayed += at_ns > now_ns ? 1 : 0;
    return at_ns;
}

uint64_t fate_delay(struct fate_link *l)
{
    return draw_delay(&l->params, &l->chance);
}

uint64_t fate_release(const struct fate_link *l, uint64_t now_ns)
{
    return clogged(l, now_ns);
}
