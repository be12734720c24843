#include <criterion/criterion.h>

#include "deploy/fault/fate.h"

/* What the engine does to packets and to streams: exact where nothing is drawn,
 * within five standard deviations where something is. */

TestSuite(fate, .timeout = 20);

#define MS 1000000ULL
#define SECOND 1000000000ULL

enum { MANY = 100000 };

static struct fate_link link_of(uint64_t seed)
{
    struct fate_link l;
    fate_init(&l, seed);
    return l;
}

static struct fate_verdict send_at(struct fate_link *l, uint64_t now_ns,
                                   size_t size)
{
    struct fate_verdict v;
    fate_packet(l, now_ns, size, &v);
    return v;
}

/* How many of MANY packets, one each microsecond, got this verdict. */
static uint64_t count(struct fate_link *l, enum fate reason)
{
    for (uint64_t i = 0; i < MANY; i++) {
        (void)send_at(l, i * 1000, 100);
    }
    return l->stats.judged[reason];
}

static void near(uint64_t got, uint64_t expected)
{
    /* 5 sqrt(n p (1 - p)) is 791 at most for n = 100,000. */
    const uint64_t off = got > expected ? got - expected : expected - got;
    cr_expect(off < 800, "%lu is not near %lu", (unsigned long)got,
              (unsigned long)expected);
}

Test(fate, a_perfect_link_passes_all_at_once)
{
    struct fate_link l = link_of(1);
    for (uint64_t i = 0; i < 1000; i++) {
        const struct fate_verdict v = send_at(&l, i, 1 + i);
        cr_assert_eq(v.reason, FATE_PASSED);
        cr_assert_eq(v.count, 1);
        cr_assert_eq(v.copy[0].at_ns, i);
        cr_assert_eq(v.copy[0].flip, FATE_WHOLE);
    }
    cr_expect_eq(l.stats.packets, 1000);
    cr_expect_eq(l.stats.judged[FATE_PASSED], 1000);
    cr_expect_eq(l.stats.delayed, 0);
}

Test(fate, cut_and_blackhole_pass_nothing)
{
    struct fate_link l = link_of(1);
    l.params.cut = true;
    cr_expect_eq(count(&l, FATE_CUT), MANY);
    l.params.blackhole = true;
    cr_expect_eq(count(&l, FATE_BLACKHOLE), MANY);
    cr_expect_eq(l.stats.judged[FATE_PASSED], 0);
}

Test(fate, loss)
{
    struct fate_link l = link_of(2);
    l.params.loss = 300000;
    near(count(&l, FATE_LOSS), MANY * 3 / 10);
    l.params.loss = FATE_CERTAIN;
    const uint64_t before = l.stats.judged[FATE_PASSED];
    (void)count(&l, FATE_LOSS);
    cr_expect_eq(l.stats.judged[FATE_PASSED], before);
}

/* With p = 1/100 and a mean length of 10: of 109 packets 100 - 1 + 10 ... the
 * chain is in a burst for length / (length + (1 - p) / p) of the packets. */
Test(fate, bursts_have_their_share_and_their_length)
{
    struct fate_link l = link_of(3);
    uint64_t lost = 0;
    uint64_t runs = 0;
    bool before = false;
    l.params.burst = 10000;
    l.params.burst_length = 10;
    for (uint64_t i = 0; i < MANY; i++) {
        const bool now = send_at(&l, i, 1).reason == FATE_BURST;
        lost += now ? 1 : 0;
        runs += now && !before ? 1 : 0;
        before = now;
    }
    const uint64_t length_x100 = lost * 100 / runs;
    cr_expect(lost > MANY * 7 / 100 && lost < MANY * 11 / 100, "%lu lost",
              (unsigned long)lost);
    cr_expect(length_x100 > 900 && length_x100 < 1150, "length %lu / 100",
              (unsigned long)length_x100);
}

Test(fate, of_a_burst_a_part_may_pass)
{
    struct fate_link l = link_of(4);
    l.params.burst = FATE_CERTAIN; /* always in one */
    l.params.burst_kept = 250000;
    near(count(&l, FATE_PASSED), MANY / 4);
}

Test(fate, duplicates)
{
    struct fate_link l = link_of(5);
    l.params.duplicate = 200000;
    (void)count(&l, FATE_PASSED);
    near(l.stats.duplicated, MANY / 5);
    l.params.duplicate = FATE_CERTAIN;
    cr_expect_eq(send_at(&l, SECOND, 1).count, 2);
}

Test(fate, delay_and_jitter_have_bounds)
{
    struct fate_link l = link_of(6);
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    l.params.delay_ns = 20 * MS;
    l.params.jitter_ns = 5 * MS;
    for (uint64_t i = 0; i < MANY; i++) {
        const uint64_t late = send_at(&l, i, 1).copy[0].at_ns - i;
        low = late < low ? late : low;
        high = late > high ? late : high;
    }
    cr_expect(low >= 15 * MS && low < 15 * MS + MS / 10);
    cr_expect(high <= 25 * MS && high > 25 * MS - MS / 10);
    cr_expect_eq(l.stats.delayed, MANY);
}

Test(fate, more_jitter_than_delay_is_never_early)
{
    struct fate_link l = link_of(7);
    l.params.delay_ns = MS;
    l.params.jitter_ns = 10 * MS;
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t at_ns = send_at(&l, SECOND, 1).copy[0].at_ns;
        cr_assert(at_ns >= SECOND && at_ns <= SECOND + 11 * MS);
    }
}

Test(fate, the_tail_has_its_mean)
{
    struct fate_link l = link_of(8);
    uint64_t sum = 0;
    l.params.tail_ns = MS;
    for (uint64_t i = 0; i < MANY; i++) {
        sum += send_at(&l, 0, 1).copy[0].at_ns;
    }
    cr_expect(sum / MANY > MS * 98 / 100 && sum / MANY < MS * 102 / 100);
}

Test(fate, reorder_lets_others_overtake)
{
    struct fate_link l = link_of(9);
    uint64_t last = 0;
    uint64_t overtaken = 0;
    l.params.reorder = 100000;
    l.params.reorder_by_ns = 20000;
    for (uint64_t i = 0; i < MANY; i++) {
        const uint64_t at_ns = send_at(&l, i * 1000, 1).copy[0].at_ns;
        overtaken += at_ns < last ? 1 : 0;
        last = at_ns > last ? at_ns : last;
    }
    near(l.stats.reordered, MANY / 10);
    cr_expect(overtaken > MANY / 10);
}

Test(fate, a_corrupt_copy_has_one_bit_of_it_wrong)
{
    struct fate_link l = link_of(10);
    uint64_t seen = 0;
    l.params.corrupt = 500000;
    for (uint64_t i = 0; i < MANY; i++) {
        const uint64_t flip = send_at(&l, 0, 3).copy[0].flip;
        cr_assert(flip == FATE_WHOLE || flip < 24);
        seen |= flip == FATE_WHOLE ? 0 : 1U << flip;
    }
    cr_expect_eq(seen, 0xffffff);
    near(l.stats.corrupted, MANY / 2);
}

Test(fate, rate_spaces_packets_and_the_queue_is_finite)
{
    struct fate_link l = link_of(11);
    l.params.rate = 1000000; /* 1 us a byte */
    l.params.queue = 3000;
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(send_at(&l, 0, 1000).copy[0].at_ns, i * MS);
    }
    cr_expect_eq(send_at(&l, 0, 1000).reason, FATE_QUEUE);
    cr_expect_eq(send_at(&l, MS - 1, 1000).reason, FATE_QUEUE);
    cr_expect_eq(send_at(&l, MS, 1000).copy[0].at_ns, 4 * MS);
    cr_expect_eq(send_at(&l, 10 * MS, 9000).copy[0].at_ns, 19 * MS,
                 "one that need not wait always fits");
    l.params.rate = 0;
    cr_expect_eq(send_at(&l, 10 * MS, 1).copy[0].at_ns, 10 * MS);
}

Test(fate, a_clog_holds_and_lets_go)
{
    struct fate_link l = link_of(12);
    l.params.clog = true;
    cr_expect_eq(send_at(&l, 5, 1).copy[0].at_ns, FATE_NEVER);
    cr_expect_eq(fate_release(&l, 7), FATE_NEVER);
    l.params.clog = false;
    cr_expect_eq(fate_release(&l, 7), 7);
    l.clogged_until_ns = 100;
    cr_expect_eq(send_at(&l, 10, 1).copy[0].at_ns, 100);
    cr_expect_eq(send_at(&l, 101, 1).copy[0].at_ns, 101);
}

Test(fate, the_same_seed_is_the_same_fate)
{
    struct fate_link a = link_of(13);
    struct fate_link b = link_of(13);
    struct fate_link c = link_of(14);
    uint64_t differ = 0;
    a.params = (struct fate_params){.loss = 200000,
                                    .delay_ns = MS,
                                    .jitter_ns = MS,
                                    .duplicate = 100000,
                                    .corrupt = 100000};
    b.params = a.params;
    c.params = a.params;
    for (uint64_t i = 0; i < 1000; i++) {
        const struct fate_verdict x = send_at(&a, i, 10);
        const struct fate_verdict y = send_at(&b, i, 10);
        const struct fate_verdict z = send_at(&c, i, 10);
        cr_assert_eq(memcmp(&x, &y, sizeof x), 0);
        differ += memcmp(&x, &z, sizeof x) != 0 ? 1 : 0;
    }
    cr_expect(differ > 900);
}

/* What else a link does changes nothing about who is lost. */
Test(fate, other_faults_do_not_shift_the_draws)
{
    struct fate_link a = link_of(15);
    struct fate_link b = link_of(15);
    struct fate_verdict aside;
    a.params.loss = 200000;
    b.params = (struct fate_params){.loss = 200000,
                                    .delay_ns = MS,
                                    .jitter_ns = MS,
                                    .tail_ns = MS,
                                    .duplicate = 500000,
                                    .reorder = 500000,
                                    .corrupt = 500000};
    for (uint64_t i = 0; i < 10000; i++) {
        fate_packet_aside(&b, i, 42, &aside);
        cr_assert_eq(send_at(&a, i, 10).reason, send_at(&b, i, 10).reason);
    }
}

Test(fate, what_is_aside_takes_no_part_in_bursts)
{
    struct fate_link l = link_of(20);
    struct fate_verdict v;
    l.params.burst = FATE_CERTAIN;
    for (uint64_t i = 0; i < 100; i++) {
        fate_packet_aside(&l, i, 1, &v);
        cr_assert_eq(v.reason, FATE_PASSED);
    }
    l.params.loss = FATE_CERTAIN;
    fate_packet_aside(&l, 100, 1, &v);
    cr_expect_eq(v.reason, FATE_LOSS);
}

Test(fate, directions_have_seeds_of_their_own)
{
    cr_expect_neq(fate_seed(1, 2, 3), fate_seed(1, 3, 2));
    cr_expect_neq(fate_seed(1, 2, 3), fate_seed(2, 2, 3));
    cr_expect_eq(fate_seed(1, 2, 3), fate_seed(1, 2, 3));
}

/* ---- streams ---------------------------------------------------------------
 */

Test(fate, a_stream_keeps_order_and_loses_nothing)
{
    struct fate_link l = link_of(16);
    uint64_t last = 0;
    uint64_t late = 0;
    uint64_t flip;
    l.params = (struct fate_params){
        .loss = 300000, .delay_ns = MS, .jitter_ns = MS, .duplicate = 500000};
    for (uint64_t i = 0; i < 10000; i++) {
        const uint64_t at_ns = fate_stream(&l, i * MS, 100, last, &flip);
        cr_assert(at_ns >= last && at_ns >= i * MS);
        cr_assert_neq(at_ns, FATE_NEVER);
        late += at_ns > last && at_ns >= i * MS + 50 * MS ? 1 : 0;
        last = at_ns;
    }
    cr_expect(late > 0);
    cr_expect_eq(l.stats.judged[FATE_PASSED], 10000);
}

Test(fate, even_a_dead_line_lets_a_stream_pass_in_the_end)
{
    struct fate_link l = link_of(17);
    uint64_t flip;
    l.params.loss = FATE_CERTAIN;
    cr_expect_eq(fate_stream(&l, 0, 1, 0, &flip), 255 * 50 * MS);
}

Test(fate, a_cut_holds_a_stream_up)
{
    struct fate_link l = link_of(18);
    uint64_t flip;
    l.params.cut = true;
    cr_expect_eq(fate_stream(&l, 0, 1, 0, &flip), FATE_NEVER);
    l.params.cut = false;
    cr_expect_eq(fate_stream(&l, 9, 1, 0, &flip), 9);
    l.params.clog = true;
    cr_expect_eq(fate_stream(&l, 9, 1, 0, &flip), FATE_NEVER);
}

Test(fate, a_stream_obeys_the_rate_and_may_be_corrupt)
{
    struct fate_link l = link_of(19);
    uint64_t flip;
    l.params.rate = 1000;
    l.params.queue = 1; /* a full queue is delay, not loss */
    cr_expect_eq(fate_stream(&l, 0, 1000, 0, &flip), SECOND);
    cr_expect_eq(flip, FATE_WHOLE);
    l.params.corrupt = FATE_CERTAIN;
    cr_expect_eq(fate_stream(&l, 0, 1000, SECOND, &flip), 2 * SECOND);
    cr_expect(flip < 8000);
}
