#include "migration_one.h"
#include "sites/core/migration.h"

/* A machine as the destination of moves: what it holds, refuses, remembers. */

TestSuite(migration_held, .timeout = 20);

Test(migration_held, an_offer_that_makes_no_sense_is_ignored, .init = setup,
     .fini = teardown)
{
    struct mig_frame f[9];
    for (int i = 0; i < 9; i++) {
        f[i] = his(MIG_PREPARE, 1);
    }
    f[0].to_incarnation = MY_INC - 1;
    f[1].to_incarnation = MY_INC + 1;
    f[2].from_incarnation = BOB_INC + 1;
    f[3].xid.site = EVE;
    f[4].xid.number = 0;
    f[5].settled = 2;
    f[6].xid.number = 4097;
    f[7].kind = MIG_COMMIT;
    f[8].from_incarnation = f[8].xid.incarnation = 0;
    for (int i = 0; i < 9; i++) {
        cr_expect_eq(asks(f[i], 1), MIG_IGNORE, "%d", i);
        cr_expect_eq(prepare(f[i], 1, MOTET_E_STATE), MOTET_OK, "%d", i);
        cr_expect_eq(seen_count, 0, "%d", i);
        cr_expect_eq(prepare(f[i], 1, MOTET_OK), MOTET_E_STALE, "%d", i);
    }
}

Test(migration_held, an_offer_is_refused_for_ever, .init = setup,
     .fini = teardown)
{
    const struct mig_frame f = his(MIG_PREPARE, 1);
    cr_assert_eq(asks(f, 1), MIG_INSTALL);
    cr_assert_eq(prepare(f, 1, MOTET_E_PERMISSION), MOTET_OK);
    cr_assert(sent(MIG_REFUSE));
    cr_assert_eq(effect_of(MIG_SEND)->frame.err, MOTET_E_PERMISSION);
    cr_assert_eq(asks(f, 1), MIG_ANSWER);
    cr_assert_eq(prepare(f, 1, MOTET_OK), MOTET_E_STATE, "what was installed");
    cr_assert(sent(MIG_REFUSE));
    cr_assert_eq(migration_state(m, a_port(1).ui, NULL), MIG_NONE);
}

Test(migration_held, an_offer_beyond_what_there_is_room_for, .init = setup,
     .fini = teardown)
{
    cfg.limits.moves_max = 1;
    again();
    start_one(1);
    cr_assert_eq(asks(his(MIG_PREPARE, 1), 1), MIG_ANSWER, "moves away");
    cr_assert_eq(prepare(his(MIG_PREPARE, 1), 1, MOTET_E_STATE), MOTET_OK);
    cr_assert(sent(MIG_REFUSE));
    held(2, 2);
    cr_assert_eq(asks(his(MIG_PREPARE, 3), 3), MIG_ANSWER, "full");
    cr_assert_eq(prepare(his(MIG_PREPARE, 3), 3, MOTET_E_STATE), MOTET_OK);
    cr_assert_eq(effect_of(MIG_SEND)->frame.err, MOTET_E_LIMIT);
    cr_assert_eq(asks(his(MIG_PREPARE, 2), 2), MIG_ANSWER, "held");
    cr_assert_eq(prepare(his(MIG_PREPARE, 2), 2, MOTET_E_STATE), MOTET_OK);
    cr_assert(sent(MIG_PREPARED));
}

Test(migration_held, offers_overtake_each_other, .init = setup,
     .fini = teardown)
{
    held(2, 2);
    held(1, 1);
}

Test(migration_held, an_earlier_incarnation_is_over_from_the_first_frame,
     .init = setup, .fini = teardown)
{
    held(1, 1);
    struct mig_frame f = his(MIG_PREPARE, 1);
    f.from_incarnation = f.xid.incarnation = BOB_INC - 1;
    cr_assert_eq(asks(f, 2), MIG_IGNORE);
    cr_assert_eq(prepare(f, 2, MOTET_E_STATE), MOTET_OK);
    cr_assert_eq(seen_count, 0);
}

Test(migration_held, a_move_that_comes, .init = setup, .fini = teardown)
{
    held(1, 1);
    cr_assert(sent(MIG_PREPARED));
    cr_assert_eq(prepare(his(MIG_PREPARE, 1), 1, MOTET_E_STATE), MOTET_OK);
    cr_assert(sent(MIG_PREPARED));
    got(his(MIG_COMMIT, 1));
    cr_assert(did(MIG_ACTIVATE, MOTET_OK, 1) && sent(MIG_COMMIT_ACK));
    cr_assert_eq(migration_state(m, a_port(1).ui, NULL), MIG_NONE);
    cr_assert_eq(migration_deadline_ns(m), DEADLINE_NEVER);
    got(his(MIG_COMMIT, 1));
    cr_assert(sent(MIG_COMMIT_ACK) && effect_of(MIG_ACTIVATE) == NULL);
    cr_assert_eq(prepare(his(MIG_PREPARE, 1), 1, MOTET_E_STATE), MOTET_OK);
    cr_assert(sent(MIG_REFUSE));
    got(his(MIG_ABORT, 1));
    cr_assert_eq(seen_count, 0, "not in the table");
}

Test(migration_held, in_doubt_it_asks_and_at_last_discards, .init = setup,
     .fini = teardown)
{
    held(1, 1);
    for (int i = 1; i < 60; i++) {
        tick_after(SEC_NS);
        cr_assert(sent(MIG_QUERY));
    }
    tick_after(SEC_NS);
    cr_assert(did(MIG_DISCARD, MOTET_OK, 0) && sent(MIG_NOTHING));
    got(his(MIG_COMMIT, 1));
    cr_assert(sent(MIG_NEVER));
    cr_assert_eq(asks(his(MIG_PREPARE, 1), 1), MIG_ANSWER);
}

Test(migration_held, what_was_aborted_or_denied_is_not_prepared, .init = setup,
     .fini = teardown)
{
    held(1, 1);
    got(his(MIG_ABORT, 1));
    cr_assert(did(MIG_DISCARD, MOTET_OK, 0));
    cr_assert_eq(asks(his(MIG_PREPARE, 1), 1), MIG_ANSWER);
    got(his(MIG_ABORT, 2));
    cr_assert(seen[0].to == MIG_NONE && sent(MIG_NOTHING));
    cr_assert_eq(asks(his(MIG_PREPARE, 2), 1), MIG_ANSWER);
    got(his(MIG_COMMIT, 3));
    cr_assert(sent(MIG_NEVER));
    cr_assert_eq(asks(his(MIG_PREPARE, 3), 1), MIG_ANSWER);
    cr_assert_eq(asks(his(MIG_PREPARE, 4), 1), MIG_INSTALL);
}

Test(migration_held, what_the_source_is_over_with_is_given_up, .init = setup,
     .fini = teardown)
{
    held(1, 1);
    struct mig_frame f = his(MIG_PREPARE, 2);
    f.settled = 2;
    cr_assert_eq(prepare(f, 2, MOTET_OK), MOTET_OK);
    cr_assert(did(MIG_DISCARD, MOTET_OK, 0) && sent(MIG_PREPARED));
    got(his(MIG_COMMIT, 1));
    cr_assert_eq(seen_count, 0, "too old for an answer");
    cr_assert_eq(asks(his(MIG_PREPARE, 1), 1), MIG_ANSWER);
}

Test(migration_held, activated_moves_are_remembered_exactly, .init = setup,
     .fini = teardown)
{
    for (uint64_t n = 1; n <= 4096; n++) {
        held(n, 1);
        got(his(n % 3 == 0 ? MIG_ABORT : MIG_COMMIT, n));
    }
    for (uint64_t n = 1; n <= 4096; n++) {
        got(his(MIG_COMMIT, n));
        cr_assert(sent(n % 3 == 0 ? MIG_NEVER : MIG_COMMIT_ACK));
    }
    cr_assert_eq(asks(his(MIG_PREPARE, 4097), 1), MIG_IGNORE);
    struct mig_frame f = his(MIG_PREPARE, 4097);
    f.settled = 2;
    cr_assert_eq(asks(f, 1), MIG_INSTALL);
    cr_assert_eq(prepare(f, 1, MOTET_OK), MOTET_OK);
    got(his(MIG_COMMIT, 2));
    cr_assert(sent(MIG_COMMIT_ACK));
    f = his(MIG_COMMIT, 4097 + 5000);
    f.settled = f.xid.number;
    got(f);
    cr_assert(sent(MIG_NEVER));
    got(his(MIG_COMMIT, 2));
    cr_assert_eq(seen_count, 0);
}

Test(migration_held, a_dead_source_is_never_replaced, .init = setup,
     .fini = teardown)
{
    held(1, 1);
    gone(BOB_INC);
    cr_assert(did(MIG_DISCARD, MOTET_E_SITE_DEAD, 0) && sent(MIG_NOTHING));
    got(his(MIG_COMMIT, 1));
    cr_assert_eq(seen_count, 0, "condemned: no answer");
    cr_assert_eq(asks(his(MIG_PREPARE, 2), 1), MIG_IGNORE);
}

static enum mig_ask asks_of(uint64_t site)
{
    const struct mig_port port = a_port(1);
    const struct mig_frame f = {
        .kind = MIG_PREPARE,
        .xid = {.site = site, .incarnation = 1, .number = 1},
        .from_incarnation = 1,
        .to_incarnation = MY_INC,
        .settled = 1};
    return migration_asks(m, site, &f, &port, 1);
}

static void refused_from(uint64_t site)
{
    const struct mig_frame f = {
        .kind = MIG_COMMIT,
        .xid = {.site = site, .incarnation = 1, .number = 1},
        .from_incarnation = 1,
        .to_incarnation = MY_INC,
        .settled = 1};
    cr_assert_eq(
        step((struct mig_in){.kind = MIG_IN_FRAME, .site = site, .frame = &f}),
        MOTET_OK);
}

Test(migration_held, sources_are_bounded_and_only_the_dead_make_room,
     .init = setup, .fini = teardown)
{
    for (uint64_t site = 1000; site < 2024; site++) {
        refused_from(site);
        cr_assert_eq(seen_count, 2);
    }
    refused_from(5000);
    cr_assert_eq(seen_count, 0, "no promise that cannot be kept");
    cr_assert_eq(asks_of(5000), MIG_ANSWER);
    cr_assert_eq(step((struct mig_in){
                     .kind = MIG_IN_GONE, .site = 1007, .incarnation = 1}),
                 MOTET_OK);
    cr_assert_eq(asks_of(1007), MIG_IGNORE);
    cr_assert_eq(asks_of(5000), MIG_INSTALL);
    refused_from(5000);
    cr_assert_eq(seen_count, 2);
    cr_assert_eq(asks_of(1000), MIG_ANSWER, "the living are remembered");
}
