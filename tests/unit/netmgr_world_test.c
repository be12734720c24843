#include "netmgr/core/netmgr.h"
#include "netmgr_world.h"

/* Stories of several sites. */

TestSuite(netmgr_world, .timeout = 60);

static struct w_send to(int from, int other, uint32_t size)
{
    return (struct w_send){
        .from = from, .to = other, .kind = MSG_SEND, .size = size};
}

static void finish(struct world *w, int turns)
{
    for (int i = 0; i < turns && w_open_tickets(w) > 0; i++) {
        w_turn(w, W_MS);
    }
    cr_expect_eq(w_open_tickets(w), 0);
}

static void seed_at(struct world *w, int i, const char *addr)
{
    cr_assert_eq(
        w_step(w, i, (struct net_in){.kind = NET_IN_PEER, .addr = addr}),
        MOTET_OK);
}

static uint64_t breaks(const struct world *w, int i)
{
    struct net_link_stats s;
    uint64_t all = 0;
    uint64_t after = 0;
    while (netmgr_next_link(w->site[i].net, after, &s)) {
        all += s.breaks;
        after = s.site;
    }
    return all;
}

/* Everybody dials everybody: one session for each pair, and it stays. */
Test(netmgr_world, all_dial_all)
{
    for (int with_seeds = 0; with_seeds < 2; with_seeds++) {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            struct world *w = w_new(W_SITES, seed);
            for (int i = 0; i < W_SITES; i++) {
                for (int k = 0; k < W_SITES; k++) {
                    if (with_seeds) {
                        seed_at(w, i, w->site[k].addr);
                    } else {
                        w_know(w, i, k);
                    }
                }
            }
            w_run(w, 3000);
            uint64_t before = breaks(w, 0);
            w_run(w, 10000);
            for (int i = 0; i < W_SITES; i++) {
                cr_expect_eq(netmgr_counts(w->site[i].net).sessions,
                             W_SITES - 1, "seeds %d, seed %lu", with_seeds,
                             (unsigned long)seed);
                cr_expect_eq(w->site[i].refused_us, 0);
            }
            cr_expect_eq(breaks(w, 0), before, "no flapping");
            w_free(w);
        }
    }
}

Test(netmgr_world, a_black_hole_is_noticed_and_costs_nothing)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w_run(w, 100);
    cr_assert(w->site[0].up[1]);
    for (uint32_t i = 0; i < w->conns; i++) {
        w->conn[i].cut = true;
    }
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(w_send(w, to(0, 1, 50)), MOTET_OK);
    }
    w_run(w, 2000);
    cr_expect(w->site[0].up[1]);
    finish(w, 6000);
    cr_expect_eq(w->outcomes[MOTET_OK], 10, "by another connection");
    cr_expect_eq(w->site[0].downs, 0, "a break that heals at once is no news");
    w_free(w);
}

/* A loop that was late is no reason to believe that the others are silent. */
Test(netmgr_world, a_pause_breaks_nothing)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w_run(w, 1234);
    w->now += 20000 * W_MS;
    w_run(w, 2000);
    cr_expect_eq(w->site[0].downs + w->site[1].downs, 0);
    w_free(w);
}

Test(netmgr_world, a_new_life)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w_run(w, 100);
    w->site[1].ports[0].capacity = 3;
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(w_send(w, to(0, 1, 50)), MOTET_OK);
    }
    w_run(w, 20);
    w_kill(w, 1);
    w_run(w, 500);
    cr_expect_eq(w_open_tickets(w), 7, "nobody said that it is dead");
    w_boot(w, 1, 2, net_limits_default());
    struct w_send next = to(0, 1, 50);
    cr_assert_eq(w_send(w, next), MOTET_OK, "of the new life");
    finish(w, 3000);
    cr_expect_eq(w->site[0].superseded, 1);
    cr_expect_eq(w->outcomes[MOTET_OK], 4);
    cr_expect_eq(w->outcomes[MOTET_E_SITE_DEAD] +
                     w->outcomes[MOTET_E_MAYBE_SITE_DEAD],
                 7);
    w_free(w);
}

Test(netmgr_world, control_messages_and_good_bye)
{
    struct world *w = w_new(2, 1);
    struct net_in ctl = {.kind = NET_IN_CTL,
                         .site = w->site[1].id,
                         .bytes = (const uint8_t *)"hello",
                         .size = 5};
    cr_expect_eq(w_step(w, 0, ctl), MOTET_E_UNREACHABLE);
    w_know(w, 0, 1);
    w_run(w, 100);
    cr_expect_eq(w_step(w, 0, ctl), MOTET_OK);
    ctl.size = NET_CTL_BYTES_MAX + 1;
    cr_expect_eq(w_step(w, 0, ctl), MOTET_E_TOO_BIG);
    cr_assert_eq(w_send(w, to(1, 0, 5)), MOTET_OK);
    w->site[0].ports[0].capacity = 0;
    w_run(w, 10);
    cr_expect_eq(w->site[1].ctls, 1);
    (void)!w_step(w, 0, (struct net_in){.kind = NET_IN_LEAVE});
    w_run(w, 10);
    cr_expect_eq(w->site[1].byes, 1);
    cr_expect_eq(w_open_tickets(w), 0);
    w_free(w);
}

/* A large message, and many small ones beside it. */
Test(netmgr_world, small_ones_overtake_large_ones)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w_run(w, 100);
    struct w_send big = to(0, 1, 16 << 20);
    big.from_port = 1;
    cr_assert_eq(w_send(w, big), MOTET_OK);
    uint32_t large = w->tickets;
    w_run(w, 5);
    for (int i = 0; i < 200 && !w->ticket[large].done; i++) {
        cr_assert_eq(w_send(w, to(0, 1, 20)), MOTET_OK);
        w_run(w, 4);
        cr_expect(w->ticket[w->tickets].done, "round %d", i);
    }
    finish(w, 10000);
    cr_expect_eq(w->outcomes[MOTET_OK], w->tickets);
    w_free(w);
}

/* One receiver that stands still holds up nobody else. */
Test(netmgr_world, one_full_queue_holds_up_nobody)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w->site[1].ports[0].capacity = 1;
    w_run(w, 100);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(w_send(w, to(0, 1, 20)), MOTET_OK);
        struct w_send other = to(0, 1, 20);
        other.to_port = 1;
        cr_assert_eq(w_send(w, other), MOTET_OK);
    }
    w_run(w, 50);
    cr_expect_eq(w->site[1].ports[1].accepted, 100);
    cr_expect_eq(w->site[1].ports[0].accepted, 1);
    uint32_t frames = w->frames;
    w_run(w, 300);
    cr_expect_lt(w->frames - frames, 20, "a full queue is not polled");
    while (w_open_tickets(w) > 0) {
        w_pop(w, 1, 0, 1);
        w_run(w, 5);
    }
    cr_expect_eq(w->outcomes[MOTET_OK], 200);
    w_free(w);
}

/* More than one step can give. */
Test(netmgr_world, a_flood)
{
    struct world *w = w_new(2, 1);
    w_know(w, 0, 1);
    w_run(w, 100);
    for (int from = 0; from < W_PORTS; from++) {
        for (int port = 0; port < W_PORTS; port++) {
            for (int i = 0; i < 1000; i++) {
                struct w_send a = to(0, 1, 20);
                a.from_port = from;
                a.to_port = port;
                cr_assert_eq(w_send(w, a), MOTET_OK);
            }
        }
    }
    finish(w, 2000);
    cr_expect_eq(w->outcomes[MOTET_OK], 16000);
    w_free(w);
}

Test(netmgr_world, the_same_seed_the_same_trace)
{
    uint64_t hash[2];
    for (int round = 0; round < 2; round++) {
        struct world *w = w_new(2, 77);
        w_know(w, 0, 1);
        w_know(w, 1, 0);
        for (int i = 0; i < 300; i++) {
            (void)!w_send(w, to(i % 2, 1 - i % 2, (uint32_t)i * 50));
            if (i % 100 == 50) {
                w_break_all(w);
            }
            w_run(w, 3);
        }
        hash[round] = w->site[0].trace.hash;
        w_free(w);
    }
    cr_expect_eq(hash[0], hash[1]);
}
