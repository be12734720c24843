#include <criterion/criterion.h>
#include <string.h>

#include "deploy/fault/fate.h"

/* The engine against a naive model: a list of all packets that ever left, from
 * which everything is worked out anew for each packet. Where the engine draws,
 * the model says between which bounds the outcome must be. */

TestSuite(fate_property, .timeout = 60);

enum { PACKETS = 400, SEEDS = 300 };

struct sent {
    uint64_t from_ns; /* began to leave */
    uint64_t until_ns;
};

struct model {
    struct sent sent[PACKETS];
    uint64_t count;
};

/* Rates that divide a second, so that no time is rounded. */
static struct fate_params draw_params(struct prng *r)
{
    static const uint64_t rates[] = {0, 0, 100000, 1000000, 1000000000};
    struct fate_params p = {
        .delay_ns = prng_below(r, 3) * prng_below(r, 1000000),
        .jitter_ns = prng_below(r, 2) * prng_below(r, 1000000),
        .loss = (uint32_t)(prng_below(r, 2) * prng_below(r, 400000)),
        .burst = (uint32_t)(prng_below(r, 2) * prng_below(r, 100000)),
        .burst_length = (uint32_t)prng_below(r, 10),
        .duplicate = (uint32_t)(prng_below(r, 2) * prng_below(r, 1000000)),
        .reorder = (uint32_t)(prng_below(r, 2) * prng_below(r, 1000000)),
        .reorder_by_ns = prng_below(r, 2) * prng_below(r, 1000000),
        .corrupt = (uint32_t)(prng_below(r, 2) * prng_below(r, 1000000)),
        .rate = rates[prng_below(r, 5)],
        .queue = prng_below(r, 2) * prng_between(r, 1, 20000),
        .cut = prng_below(r, 20) == 0,
        .blackhole = prng_below(r, 20) == 0,
        .clog = prng_below(r, 20) == 0,
    };
    return p;
}

/* Bytes that have not left yet. */
static uint64_t waiting(const struct model *m, uint64_t rate, uint64_t now_ns)
{
    const uint64_t ns_per_byte = rate > 0 ? 1000000000 / rate : 1;
    uint64_t ns = 0;
    for (uint64_t i = 0; i < m->count; i++) {
        const struct sent *s = &m->sent[i];
        const uint64_t from = s->from_ns > now_ns ? s->from_ns : now_ns;
        ns += s->until_ns > from ? s->until_ns - from : 0;
    }
    return (ns + ns_per_byte - 1) / ns_per_byte;
}

/* Lets a packet leave; when has it? */
static uint64_t leave(struct model *m, uint64_t rate, uint64_t now_ns,
                      uint64_t size)
{
    uint64_t from = now_ns;
    for (uint64_t i = 0; i < m->count; i++) {
        from = m->sent[i].until_ns > from ? m->sent[i].until_ns : from;
    }
    const uint64_t until = from + size * (1000000000 / rate);
    m->sent[m->count++] = (struct sent){from, until};
    return until;
}

static void check_reason(const struct fate_params *p, const struct model *m,
                         uint64_t now_ns, uint64_t size,
                         const struct fate_verdict *v)
{
    const uint64_t queue = p->queue > 0 ? p->queue : FATE_QUEUE_BYTES;
    const uint64_t wait = waiting(m, p->rate, now_ns);
    const bool full = p->rate > 0 && wait > 0 && wait + size > queue;
    cr_assert_eq(v->reason == FATE_BLACKHOLE, p->blackhole);
    cr_assert_eq(v->reason == FATE_CUT, p->cut && !p->blackhole);
    cr_assert(v->reason != FATE_LOSS || p->loss > 0);
    cr_assert(v->reason != FATE_BURST || p->burst > 0);
    if (v->reason == FATE_PASSED || v->reason == FATE_QUEUE) {
        cr_assert_eq(v->reason == FATE_QUEUE, full);
    }
    cr_assert_eq(v->count == 0, v->reason != FATE_PASSED);
    cr_assert(v->count <= (p->duplicate > 0 ? 2U : 1U));
}

static void check_copies(const struct fate_params *p, uint64_t left_ns,
                         uint64_t size, const struct fate_verdict *v)
{
    const uint64_t by_ns =
        p->reorder_by_ns > 0 ? p->reorder_by_ns : FATE_REORDER_BY_NS;
    const uint64_t least =
        p->delay_ns > p->jitter_ns ? p->delay_ns - p->jitter_ns : 0;
    const uint64_t most =
        p->delay_ns + p->jitter_ns + (p->reorder > 0 ? by_ns : 0);
    for (uint32_t i = 0; i < v->count; i++) {
        const struct fate_copy *c = &v->copy[i];
        if (p->clog) {
            cr_assert_eq(c->at_ns, FATE_NEVER);
        } else {
            cr_assert(c->at_ns >= left_ns + least);
            cr_assert(c->at_ns <= left_ns + most);
        }
        cr_assert(c->flip == FATE_WHOLE ||
                  (p->corrupt > 0 && c->flip < size * 8));
    }
}

static void check_stats(const struct fate_link *l, uint64_t bytes,
                        uint64_t copies)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FATE_COUNT; i++) {
        sum += l->stats.judged[i];
    }
    cr_assert_eq(sum, PACKETS);
    cr_assert_eq(l->stats.packets, PACKETS);
    cr_assert_eq(l->stats.bytes, bytes);
    cr_assert_eq(l->stats.judged[FATE_PASSED] + l->stats.duplicated, copies);
    cr_assert(l->stats.reordered <= copies && l->stats.corrupted <= copies);
    cr_assert(l->stats.delayed <= copies);
}

static void run(uint64_t seed)
{
    static struct model m;
    struct fate_link l;
    struct prng r;
    uint64_t now_ns = 0;
    uint64_t bytes = 0;
    uint64_t copies = 0;
    prng_init(&r, seed);
    fate_init(&l, seed);
    memset(&m, 0, sizeof m);
    l.params = draw_params(&r);
    for (int i = 0; i < PACKETS; i++) {
        struct fate_verdict v;
        const uint64_t size = prng_between(&r, 1, 1500);
        now_ns += prng_below(&r, 3) * prng_below(&r, 1500000);
        fate_packet(&l, now_ns, size, &v);
        check_reason(&l.params, &m, now_ns, size, &v);
        uint64_t left_ns = now_ns;
        if (v.reason == FATE_PASSED && l.params.rate > 0) {
            left_ns = leave(&m, l.params.rate, now_ns, size);
        }
        check_copies(&l.params, left_ns, size, &v);
        bytes += size;
        copies += v.count;
    }
    check_stats(&l, bytes, copies);
}

Test(fate_property, agrees_with_the_model)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run(seed);
    }
}
