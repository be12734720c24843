#include "directory_world.h"
#include "sites/core/directory.h"

/* Several directories: whatever the network does, all end with the same. */

TestSuite(directory_world, .timeout = 30);

static struct dw w;

Test(directory_world, a_change_is_everywhere_at_once)
{
    dw_init(&w, 5, 1);
    dw_mesh(&w);
    dw_must(&w, 0, 1, 50, 0, true);
    dw_must(&w, 0, 2, 0, 3, true);
    dw_run(&w, w.now_ns + 15 * MS_NS);
    cr_expect(dw_agrees(&w));
    for (uint32_t i = 0; i < 5; i++) {
        cr_expect_eq(w.nodes[i].told_count, 2);
        cr_expect_eq(directory_version(w.nodes[i].d, DW_SITE0), 2);
    }
    dw_must(&w, 0, 1, 50, 0, false);
    dw_run(&w, w.now_ns + 15 * MS_NS);
    cr_expect(dw_agrees(&w));
    cr_expect_eq(w.nodes[4].told_count, 1);
    dw_fini(&w);
}

Test(directory_world, changes_of_10_ms_go_together)
{
    dw_init(&w, 2, 1);
    dw_mesh(&w);
    dw_run(&w, w.now_ns + 5 * MS_NS);
    w.sent = 0;
    for (uint32_t i = 1; i <= DIR_RECORDS_MAX; i++) {
        dw_must(&w, 0, i, 50, 0, true);
    }
    dw_run(&w, w.now_ns + 15 * MS_NS);
    cr_expect_eq(w.sent, 1, "at the limit of one message");
    for (uint32_t i = 1; i <= DIR_RECORDS_MAX + 1; i++) {
        dw_must(&w, 0, 1000 + i, 50, 0, true);
    }
    w.sent = 0;
    dw_run(&w, w.now_ns + 15 * MS_NS);
    cr_expect_eq(w.sent, 2, "one past it");
    cr_expect(dw_agrees(&w));
    dw_fini(&w);
}

Test(directory_world, random_changes_on_a_bad_network_end_in_agreement)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        dw_init(&w, 6, seed);
        dw_mesh(&w);
        w.loss = 300000;
        w.spread_ns = 60 * MS_NS; /* overtaking */
        for (uint32_t k = 0; k < 600; k++) {
            const uint32_t i = (uint32_t)prng_below(&w.prng, 6);
            const uint32_t subject = 1 + (uint32_t)prng_below(&w.prng, 40);
            const uint32_t group = (uint32_t)prng_below(&w.prng, 3);
            dw_must(&w, i, subject, group, prng_below(&w.prng, 4),
                    prng_chance(&w.prng, 600000));
            dw_run(&w, w.now_ns + prng_below(&w.prng, 10 * MS_NS));
            if (prng_chance(&w.prng, 30000)) {
                const uint32_t j = (uint32_t)prng_below(&w.prng, 6);
                dw_session(&w, i, j, !w.up[i][j]);
            }
        }
        w.loss = 0;
        dw_mesh(&w);
        dw_run(&w, w.now_ns + 3 * SEC_NS);
        cr_expect(dw_agrees(&w), "seed %u", (unsigned)seed);
        dw_fini(&w);
    }
}

/* As above, and what was withdrawn is soon forgotten: full lists. */
Test(directory_world, forgotten_withdrawals_end_in_agreement)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        dw_init(&w, 4, seed);
        for (uint32_t i = 0; i < 4; i++) {
            dw_kill(&w, i);
            struct directory_config cfg = dw_config(&w, i);
            cfg.tombstone_ns = 200 * MS_NS;
            w.nodes[i].d = directory_create(&cfg);
        }
        dw_mesh(&w);
        for (uint32_t k = 0; k < 600; k++) {
            const uint32_t i = (uint32_t)prng_below(&w.prng, 4);
            const uint32_t j = (uint32_t)prng_below(&w.prng, 4);
            dw_must(&w, i, 1 + (uint32_t)prng_below(&w.prng, 300), 0,
                    prng_below(&w.prng, 4), prng_chance(&w.prng, 600000));
            if (prng_chance(&w.prng, 50000)) {
                dw_session(&w, i, j, !w.up[i][j]);
            }
            w.loss = prng_chance(&w.prng, 500000) ? 500000 : 0;
            dw_run(&w, w.now_ns + prng_below(&w.prng, 20 * MS_NS));
        }
        w.loss = 0;
        dw_mesh(&w);
        dw_run(&w, w.now_ns + 3 * SEC_NS);
        cr_expect(dw_agrees(&w), "seed %u", (unsigned)seed);
        dw_fini(&w);
    }
}

/* A chain: the ends know of each other through the middle only. */
Test(directory_world, records_pass_through_third_sites)
{
    dw_init(&w, 4, 3);
    for (uint32_t i = 0; i < 3; i++) {
        dw_session(&w, i, i + 1, true);
    }
    dw_must(&w, 0, 1, 50, 0, true);
    dw_must(&w, 3, 2, 50, 0, true);
    dw_run(&w, w.now_ns + 8 * SEC_NS);
    cr_expect(dw_agrees(&w));
    cr_expect_eq(w.nodes[3].told_count, 2);
    dw_fini(&w);
}

Test(directory_world, a_newcomer_gets_each_record_about_once)
{
    dw_init(&w, 6, 4);
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t j = i + 1; j < 5; j++) {
            dw_session(&w, i, j, true);
        }
    }
    for (uint32_t k = 0; k < 1000; k++) {
        dw_must(&w, k % 5, 1 + k, 50, 0, true);
    }
    dw_run(&w, w.now_ns + 3 * SEC_NS);
    w.sent_records = 0;
    w.spread_ns = MS_NS; /* in order, as in a session */
    dw_mesh(&w);
    dw_run(&w, w.now_ns + 100 * MS_NS);
    cr_expect(dw_agrees(&w));
    cr_expect_leq(w.sent_records, 2000, "%u", (unsigned)w.sent_records);
    dw_fini(&w);
}

/* ---- Lists too long for the naive model: two sites, records counted only --
 */

enum { LONG = 20000 };

static void long_step(uint32_t i, struct dir_in in)
{
    in.now_ns = w.now_ns;
    cr_assert_eq(directory_step(w.nodes[i].d, &in), MOTET_OK);
}

static void long_publish(uint32_t subject, bool present)
{
    const struct record r = dw_record(subject, 50, present);
    long_step(0, (struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
    while (directory_effect(w.nodes[0].d) != NULL) {
    }
}

/* Carries all messages, and what they cause, and so on; then a second passes.
 */
static void long_second(void)
{
    for (uint32_t pass = 0; pass < 8; pass++) {
        const uint32_t i = pass % 2;
        const struct dir_effect *e;
        while ((e = directory_effect(w.nodes[i].d)) != NULL) {
            if (e->kind == DIR_SEND) {
                long_step(1 - i, (struct dir_in){.kind = DIR_IN_MSG,
                                                 .site = DW_SITE0 + i,
                                                 .msg = e->msg});
            }
        }
    }
    w.now_ns += SEC_NS;
    long_step(0, (struct dir_in){.kind = DIR_IN_TICK});
    long_step(1, (struct dir_in){.kind = DIR_IN_TICK});
}

static void long_init(void)
{
    dw_init(&w, 2, 5);
    for (uint32_t i = 0; i < 2; i++) {
        dw_kill(&w, i);
        struct directory_config cfg = dw_config(&w, i);
        cfg.records_max = LONG;
        cfg.tombstone_ns = SEC_NS;
        w.nodes[i].d = directory_create(&cfg);
        cr_assert_not_null(w.nodes[i].d);
    }
    for (uint32_t k = 1; k <= LONG; k++) {
        long_publish(k, true);
    }
}

/* More than one answer's worth: the rest comes with the next digests. */
static void long_meet(uint32_t records)
{
    long_step(0, (struct dir_in){
                     .kind = DIR_IN_PEER, .site = DW_SITE0 + 1, .up = true});
    long_step(
        1, (struct dir_in){.kind = DIR_IN_PEER, .site = DW_SITE0, .up = true});
    uint32_t rounds = 0;
    while (rounds < 10 &&
           directory_view(w.nodes[0].d) != directory_view(w.nodes[1].d)) {
        long_second();
        rounds++;
    }
    cr_expect_eq(directory_records(w.nodes[1].d), records);
    cr_expect(rounds >= 2 && rounds <= 4, "%u rounds", rounds);
    dw_fini(&w);
}

Test(directory_world, a_long_list_comes_in_several_answers)
{
    long_init();
    long_meet(LONG);
}

Test(directory_world, so_does_one_with_forgotten_withdrawals)
{
    long_init();
    long_publish(LONG, false);
    w.now_ns += 2 * SEC_NS;
    long_step(0, (struct dir_in){.kind = DIR_IN_TICK});
    long_meet(LONG - 1);
}

Test(directory_world, the_dead_stay_dead)
{
    dw_init(&w, 4, 6);
    dw_mesh(&w);
    dw_must(&w, 0, 1, 50, 0, true);
    dw_must(&w, 0, 2, 0, 4, true);
    dw_run(&w, w.now_ns + SEC_NS);
    for (uint32_t j = 1; j < 4; j++) {
        dw_session(&w, 0, j, false);
    }
    dw_kill(&w, 0);
    dw_gone(&w, 1, 0, 1);
    cr_expect_eq(w.nodes[1].told_count, 0, "its records go");
    cr_expect_eq(w.nodes[2].told_count, 2);
    dw_run(&w, w.now_ns + 5 * SEC_NS);
    cr_expect_eq(w.nodes[1].told_count, 0, "and others do not bring them back");
    dw_gone(&w, 2, 0, 1);
    dw_gone(&w, 3, 0, 1);
    cr_expect(dw_agrees(&w));
    dw_born(&w, 0, 2);
    dw_must(&w, 0, 3, 50, 0, true);
    dw_mesh(&w);
    dw_run(&w, w.now_ns + 100 * MS_NS);
    cr_expect(dw_agrees(&w));
    cr_expect_eq(w.nodes[1].told_count, 1, "the next life is another matter");
    dw_fini(&w);
}

Test(directory_world, a_new_life_replaces_the_old_one)
{
    dw_init(&w, 3, 7);
    dw_mesh(&w);
    dw_must(&w, 0, 1, 50, 0, true);
    dw_must(&w, 0, 2, 50, 0, true);
    dw_run(&w, w.now_ns + SEC_NS);
    dw_session(&w, 0, 1, false);
    dw_session(&w, 0, 2, false);
    dw_kill(&w, 0);
    dw_born(&w, 0, 2);
    dw_must(&w, 0, 2, 50, 0, true);
    dw_mesh(&w);
    dw_run(&w, w.now_ns + SEC_NS);
    cr_expect(dw_agrees(&w));
    cr_expect_eq(w.nodes[1].told_count, 1);
    dw_fini(&w);
}

Test(directory_world, the_same_seed_gives_the_same_trace)
{
    uint64_t hash[2];
    for (int k = 0; k < 2; k++) {
        dw_init(&w, 4, 99);
        dw_mesh(&w);
        w.loss = 200000;
        for (uint32_t i = 0; i < 100; i++) {
            dw_must(&w, i % 4, 1 + i % 7, 50, i, true);
            dw_run(&w, w.now_ns + 7 * MS_NS);
        }
        dw_run(&w, w.now_ns + 3 * SEC_NS);
        hash[k] = w.nodes[0].trace.hash ^ w.nodes[3].trace.hash;
        dw_fini(&w);
    }
    cr_expect_eq(hash[0], hash[1]);
}
