#include "member_world.h"
#include "sites/core/member.h"

/* What the protocol promises in numbers; models/swim.c found them first. */

TestSuite(member_numbers, .timeout = 60);

#ifndef TRIALS
#define TRIALS 300
#endif

static struct world w;

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* One site of 32 after the other crashes without a word, and comes back. The
 * time until the last of the others knows: a wait for somebody's probe to come
 * round (4 per second and site, so e^-4 of them take a second), a period, the
 * window. */
static void time_crashes(uint32_t loss, uint64_t *known_ns)
{
    world_init(&w, 32, 42);
    w.loss = loss;
    world_run(&w, 10 * SEC_NS);
    cr_assert(world_agrees(&w));
    for (uint32_t k = 0; k < TRIALS; k++) {
        world_run(&w, w.now_ns + prng_below(&w.prng, SEC_NS));
        const uint64_t crash_ns = w.now_ns;
        w.victim = (uint32_t)prng_below(&w.prng, 32);
        w.knowing = 0;
        for (uint32_t j = 0; j < 32; j++) {
            w.blocked[w.victim][j] = w.blocked[j][w.victim] = true;
        }
        world_crash(&w, w.victim, false);
        while (w.knowing < 31 && w.now_ns < crash_ns + 8 * SEC_NS) {
            world_run(&w, w.now_ns + 50 * MS_NS);
        }
        cr_assert_eq(w.knowing, 31, "trial %u: %u know", k, w.knowing);
        known_ns[k] = w.all_known_ns - crash_ns;
        world_heal(&w);
        world_born(&w, w.victim, w.nodes[w.victim].incarnation + 1);
        world_run(&w, w.now_ns + 3 * SEC_NS);
        cr_assert(world_agrees(&w), "trial %u", k);
    }
    cr_expect_eq(w.false_deaths, 0);
    world_fini(&w);
    qsort(known_ns, TRIALS, sizeof *known_ns, by_value);
}

Test(member_numbers, a_silent_crash_is_known_to_all_in_time)
{
    uint64_t known_ns[TRIALS];
    time_crashes(0, known_ns);
    cr_log_info("p50 %u ms, p99 %u ms, worst %u ms",
                (unsigned)(known_ns[TRIALS / 2] / MS_NS),
                (unsigned)(known_ns[(TRIALS - 1) * 99 / 100] / MS_NS),
                (unsigned)(known_ns[TRIALS - 1] / MS_NS));
    cr_expect_leq(known_ns[TRIALS / 2], 2600 * MS_NS);
    cr_expect_leq(known_ns[(TRIALS - 1) * 99 / 100], 3600 * MS_NS);
}

Test(member_numbers, so_it_is_at_a_loss_of_10_percent)
{
    uint64_t known_ns[TRIALS];
    time_crashes(100000, known_ns);
    cr_log_info("p50 %u ms, p99 %u ms, worst %u ms",
                (unsigned)(known_ns[TRIALS / 2] / MS_NS),
                (unsigned)(known_ns[(TRIALS - 1) * 99 / 100] / MS_NS),
                (unsigned)(known_ns[TRIALS - 1] / MS_NS));
    cr_expect_leq(known_ns[TRIALS / 2], 2800 * MS_NS);
    cr_expect_leq(known_ns[(TRIALS - 1) * 99 / 100], 3600 * MS_NS);
}

#ifndef NODE_HOURS
#define NODE_HOURS 4
#endif

Test(member_numbers, no_false_death_at_a_loss_of_10_percent)
{
    world_init(&w, 32, 7);
    w.loss = 100000;
    world_run(&w, NODE_HOURS * 3600 / 32 * SEC_NS);
    cr_log_info("%u messages per site and second",
                (unsigned)(w.sent / (NODE_HOURS * 3600)));
    cr_expect_eq(w.false_deaths, 0);
    cr_expect(world_agrees(&w));
    world_fini(&w);
}
