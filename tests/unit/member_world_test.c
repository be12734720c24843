#include "member_world.h"
#include "sites/core/member.h"

/* Stories: several sites, partitions, crashes. */

TestSuite(member_world, .timeout = 30);

static struct world w;

Test(member_world, strangers_meet_through_a_seed)
{
    world_init(&w, 16, 1);
    world_run(&w, 4 * SEC_NS);
    cr_expect(world_agrees(&w));
    cr_expect_eq(w.false_deaths, 0);
    world_fini(&w);
}

Test(member_world, a_crash_with_broken_sessions_is_known_in_2500_ms)
{
    world_init(&w, 32, 2);
    w.loss = 100000;
    world_run(&w, 10 * SEC_NS);
    cr_assert(world_agrees(&w));
    for (uint32_t round = 0; round < 10; round++) {
        const uint64_t crash_ns = w.now_ns;
        w.victim = round * 3;
        w.knowing = 0;
        world_crash(&w, w.victim, true);
        world_run(&w, crash_ns + 5 * SEC_NS);
        cr_expect_eq(w.knowing, 31);
        cr_expect_leq(w.all_known_ns - crash_ns, 2500 * MS_NS, "%u: %u ms",
                      round, (unsigned)((w.all_known_ns - crash_ns) / MS_NS));
        world_born(&w, w.victim, w.nodes[w.victim].incarnation + 1);
        world_run(&w, w.now_ns + 8 * SEC_NS);
        cr_assert(world_agrees(&w), "%u", round);
    }
    cr_expect_eq(w.false_deaths, 0);
    world_fini(&w);
}

Test(member_world, the_smaller_side_of_a_split_is_reborn_the_larger_never)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        world_init(&w, 5, seed);
        w.loss = seed % 3 == 0 ? 100000 : 0;
        world_run(&w, 5 * SEC_NS);
        cr_assert(world_agrees(&w));
        const uint32_t small = seed % 2 == 0 ? 0x3 : 0x14; /* two sites */
        world_split(&w, small);
        world_run(&w, w.now_ns + (3 + seed % 10) * SEC_NS);
        for (uint32_t i = 0; i < 5; i++) {
            for (uint32_t j = 0; j < 5; j++) {
                const bool apart = (small >> i & 1) != (small >> j & 1);
                cr_assert_eq(world_holds_dead(&w, i, j), apart);
            }
        }
        world_heal(&w);
        world_run(&w, w.now_ns + 10 * SEC_NS);
        cr_expect(world_agrees(&w), "seed %u", (unsigned)seed);
        for (uint32_t i = 0; i < 5; i++) {
            cr_expect_eq(w.nodes[i].lives, small >> i & 1 ? 2 : 1,
                         "seed %u, site %u: %u lives", (unsigned)seed, i,
                         w.nodes[i].lives);
        }
        world_fini(&w);
    }
}

/* Only one site of each side can reach the other side at first: the reborn
 * stands between those who hold each other for dead. */
Test(member_world, a_reborn_site_does_not_carry_deaths_to_the_winners)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        world_init(&w, 5, seed);
        world_run(&w, 5 * SEC_NS);
        world_split(&w, 0x3);
        world_run(&w, w.now_ns + 6 * SEC_NS);
        w.blocked[0][2] = w.blocked[2][0] = false;
        w.blocked[0][3] = w.blocked[3][0] = false;
        w.blocked[0][4] = w.blocked[4][0] = false;
        world_run(&w, w.now_ns + 10 * SEC_NS);
        world_heal(&w);
        world_run(&w, w.now_ns + 10 * SEC_NS);
        cr_expect(world_agrees(&w), "seed %u", (unsigned)seed);
        for (uint32_t i = 0; i < 5; i++) {
            if (i >= 2) {
                cr_expect_eq(w.nodes[i].lives, 1, "seed %u, site %u lives %u",
                             (unsigned)seed, i, w.nodes[i].lives);
            } else {
                cr_expect_geq(w.nodes[i].lives, 2);
            }
        }
        world_fini(&w);
    }
}

Test(member_world, a_large_cluster_heals_in_seconds)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        world_init(&w, 32, seed);
        w.loss = 50000;
        world_run(&w, 10 * SEC_NS);
        cr_assert(world_agrees(&w));
        const uint32_t small = 0x80001FFE; /* 13 of 32, not the first */
        world_split(&w, small);
        world_run(&w, w.now_ns + 20 * SEC_NS);
        world_heal(&w);
        const uint64_t heal_ns = w.now_ns;
        while (!world_agrees(&w) && w.now_ns < heal_ns + 20 * SEC_NS) {
            world_run(&w, w.now_ns + 50 * MS_NS);
        }
        cr_expect_leq(w.now_ns - heal_ns, 3 * SEC_NS, "seed %u: %u ms",
                      (unsigned)seed, (unsigned)((w.now_ns - heal_ns) / MS_NS));
        for (uint32_t i = 0; i < 32; i++) {
            cr_expect_eq(w.nodes[i].lives, small >> i & 1 ? 2 : 1,
                         "seed %u, site %u: %u lives", (unsigned)seed, i,
                         w.nodes[i].lives);
        }
        world_fini(&w);
    }
}

/* No site may be dialed by habit: what one hears of the other is enough. */
Test(member_world, a_healed_split_needs_only_one_bridge)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world_init(&w, 5, seed);
        world_run(&w, 5 * SEC_NS);
        w.seeds_dial = false;
        world_split(&w, 0x3);
        world_run(&w, w.now_ns + 10 * SEC_NS);
        world_heal(&w);
        world_dial(&w, 1, 4);
        world_run(&w, w.now_ns + 20 * SEC_NS);
        cr_expect(world_agrees(&w), "seed %u", (unsigned)seed);
        for (uint32_t i = 0; i < 5; i++) {
            cr_expect_eq(w.nodes[i].lives, i < 2 ? 2 : 1, "seed %u, site %u",
                         (unsigned)seed, i);
        }
        world_fini(&w);
    }
}

/* Each site reaches its two neighbours only: others vouch, nobody dies. */
Test(member_world, a_ring_of_overlapping_partitions_kills_nobody)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world_init(&w, 5, seed);
        w.loss = seed % 2 == 0 ? 50000 : 0;
        world_run(&w, 5 * SEC_NS);
        for (uint32_t i = 0; i < 5; i++) {
            const uint32_t far[2] = {(i + 2) % 5, (i + 3) % 5};
            for (int k = 0; k < 2; k++) {
                w.blocked[i][far[k]] = true;
                world_break(&w, i, far[k]);
            }
        }
        world_run(&w, w.now_ns + 60 * SEC_NS);
        uint64_t lowest;
        for (uint32_t i = 0; i < 5; i++) {
            cr_expect_eq(members_alive(w.nodes[i].m, &lowest), 5);
            cr_expect_eq(w.nodes[i].lives, 1);
        }
        world_heal(&w);
        world_run(&w, w.now_ns + 3 * SEC_NS);
        cr_expect(world_agrees(&w), "seed %u", (unsigned)seed);
        cr_expect_eq(w.false_deaths, 0, "seed %u", (unsigned)seed);
        world_fini(&w);
    }
}

Test(member_world, one_way_loss_ends_in_agreement)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world_init(&w, 5, seed);
        world_run(&w, 5 * SEC_NS);
        for (uint32_t j = 0; j < 4; j++) {
            w.blocked[4][j] = true; /* it hears all and reaches nobody */
        }
        world_run(&w, w.now_ns + 10 * SEC_NS);
        for (uint32_t j = 0; j < 4; j++) {
            cr_expect(world_holds_dead(&w, j, 4));
        }
        for (uint32_t j = 0; j < 4; j++) {
            w.session[4][j] = w.session[j][4] = false;
        }
        world_heal(&w);
        world_run(&w, w.now_ns + 10 * SEC_NS);
        cr_expect(world_agrees(&w), "seed %u", (unsigned)seed);
        for (uint32_t i = 0; i < 4; i++) {
            cr_expect_eq(w.nodes[i].lives, 1, "seed %u, site %u",
                         (unsigned)seed, i);
        }
        world_fini(&w);
    }
}

Test(member_world, the_same_seed_gives_the_same_trace)
{
    uint64_t hash[2];
    for (int k = 0; k < 2; k++) {
        world_init(&w, 8, 77);
        w.loss = 200000;
        world_run(&w, 10 * SEC_NS);
        world_crash(&w, 3, false);
        world_run(&w, 20 * SEC_NS);
        hash[k] = 0;
        for (uint32_t i = 0; i < 8; i++) {
            hash[k] ^= w.nodes[i].trace.hash + i;
        }
        world_fini(&w);
    }
    cr_expect_eq(hash[0], hash[1]);
}
