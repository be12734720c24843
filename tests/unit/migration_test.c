#include "migration_one.h"
#include "sites/core/migration.h"

/* A machine as the source of moves, and the table as a whole. */

TestSuite(migration, .timeout = 20);

Test(migration, a_start_that_makes_no_sense_is_refused, .init = setup,
     .fini = teardown)
{
    struct mig_port p[2] = {a_port(1), a_port(1)};
    cr_assert_eq(start_to(0, p, 1), MOTET_E_INVALID);
    cr_assert_eq(start_to(ME, p, 1), MOTET_E_INVALID);
    cr_assert_eq(start_to(BOB, p, 0), MOTET_E_INVALID);
    cr_assert_eq(start_to(BOB, NULL, 1), MOTET_E_INVALID);
    cr_assert_eq(start_to(BOB, p, 2), MOTET_E_INVALID, "a port twice");
    p[0].epoch = UINT64_MAX - 1;
    cr_assert_eq(start_to(BOB, p, 1), MOTET_E_INVALID);
    cr_assert_eq(
        step((struct mig_in){
            .kind = MIG_IN_START, .site = BOB, .ports = &p[1], .count = 1}),
        MOTET_E_INVALID, "no incarnation");
    cr_assert_eq(migration_last(m).number, 0, "no number is spent");
    cr_assert_eq(seen_count, 0);
}

Test(migration, a_port_moves_once_at_a_time, .init = setup, .fini = teardown)
{
    start_one(1);
    const struct mig_port p[2] = {a_port(2), a_port(1)};
    cr_assert_eq(start_to(EVE, p, 2), MOTET_E_STATE);
    cr_assert_eq(migration_state(m, p[0].ui, NULL), MIG_NONE,
                 "nothing is left of what was refused");
    held(1, 3);
    const struct mig_port q = a_port(3);
    cr_assert_eq(start_to(EVE, &q, 1), MOTET_E_STATE);
}

Test(migration, limits_away, .init = setup, .fini = teardown)
{
    cfg.limits.moves_max = 2;
    cfg.limits.ports_max = 3;
    again();
    struct mig_port p[4];
    for (uint32_t i = 0; i < 4; i++) {
        p[i] = a_port(10 + i);
    }
    cr_assert_eq(start_to(BOB, p, 4), MOTET_E_INVALID);
    cr_assert_eq(start_to(BOB, p, 3), MOTET_OK);
    start_one(1);
    p[0] = a_port(2);
    cr_assert_eq(start_to(BOB, p, 1), MOTET_E_LIMIT);
    got(answer(MIG_REFUSE, migration_last(m)));
    cr_assert_eq(start_to(BOB, p, 1), MOTET_OK);
}

Test(migration, the_oldest_move_holds_the_numbers_back, .init = setup,
     .fini = teardown)
{
    cfg.limits.unsettled_max = 4;
    again();
    const struct mig_xid first = start_one(1);
    for (int i = 0; i < 3; i++) {
        got(answer(MIG_REFUSE, start_one(2)));
    }
    const struct mig_port p = a_port(2);
    cr_assert_eq(start_to(BOB, &p, 1), MOTET_E_LIMIT);
    got(answer(MIG_REFUSE, first));
    start_one(2);
    const struct mig_effect *e = effect_of(MIG_SEND);
    cr_assert_eq(e->frame.settled, 5);
    cr_assert_eq(e->frame.xid.number, 5);
}

Test(migration, no_memory_changes_nothing, .init = setup, .fini = teardown)
{
    const struct mig_port p = a_port(1);
    mem.cap_bytes = mem.used_bytes + 64;
    cr_assert_eq(start_to(BOB, &p, 1), MOTET_E_NO_MEMORY);
    cr_assert_eq(migration_last(m).number, 0);
    cr_assert_eq(prepare(his(MIG_PREPARE, 1), 1, MOTET_OK), MOTET_E_NO_MEMORY);
    cr_assert(sent(MIG_REFUSE), "answers need no memory");
    cr_assert_eq(effect_of(MIG_SEND)->frame.err, MOTET_E_NO_MEMORY);
    mem.cap_bytes = 64 << 20;
    start_one(1);
}

Test(migration, answers_of_others_count_for_nothing, .init = setup,
     .fini = teardown)
{
    const struct mig_xid xid = start_one(1);
    struct mig_frame f[6];
    for (int i = 0; i < 6; i++) {
        f[i] = answer(MIG_PREPARED, xid);
    }
    f[0].to_incarnation--;
    f[1].from_incarnation--;
    f[2].xid.incarnation--;
    f[3].xid.number++;
    f[4].xid.site = BOB;
    f[5].kind = MIG_FRAME_COUNT;
    for (int i = 0; i < 6; i++) {
        got(f[i]);
        cr_expect_eq(seen_count, 0, "%d", i);
    }
    const struct mig_frame good = answer(MIG_PREPARED, xid);
    cr_assert_eq(step((struct mig_in){
                     .kind = MIG_IN_FRAME, .site = EVE, .frame = &good}),
                 MOTET_OK);
    cr_assert_eq(seen_count, 0, "not the destination");
    got(answer(MIG_NEVER, xid));
    cr_assert_eq(seen_count, 0, "not in the table");
    got(answer(MIG_COMMIT_ACK, xid));
    cr_assert_eq(seen_count, 0, "not in the table");
    cr_assert_eq(migration_state(m, a_port(1).ui, NULL), MIG_FRZ);
}

Test(migration, a_move_that_succeeds, .init = setup, .fini = teardown)
{
    const struct mig_xid xid = start_one(1);
    cr_assert(sent(MIG_PREPARE));
    cr_assert_eq(seen[0].kind, MIG_STEP);
    struct mig_xid of;
    cr_assert_eq(migration_state(m, a_port(1).ui, &of), MIG_FRZ);
    cr_assert_eq(of.number, xid.number);
    got(answer(MIG_QUERY, xid));
    cr_assert(sent(MIG_NOTHING));
    cr_assert_eq(effect_of(MIG_STEP)->to, MIG_FRZ);
    got(answer(MIG_PREPARED, xid));
    cr_assert(sent(MIG_COMMIT));
    cr_assert_eq(migration_state(m, a_port(1).ui, NULL), MIG_FWD);
    got(answer(MIG_PREPARED, xid));
    cr_assert(sent(MIG_COMMIT));
    got(answer(MIG_QUERY, xid));
    cr_assert(sent(MIG_COMMIT));
    got(answer(MIG_REFUSE, xid));
    cr_assert(sent(MIG_NOTHING));
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_CANCEL, .xid = xid}),
                 MOTET_E_STATE);
    got(answer(MIG_COMMIT_ACK, xid));
    cr_assert(did(MIG_DROP, MOTET_OK, 0));
    cr_assert_eq(migration_state(m, a_port(1).ui, NULL), MIG_NONE);
    cr_assert_eq(migration_deadline_ns(m), DEADLINE_NEVER);
    got(answer(MIG_PREPARED, xid));
    cr_assert(sent(MIG_ABORT), "a late answer");
    got(answer(MIG_QUERY, xid));
    cr_assert(sent(MIG_ABORT));
}

Test(migration, commit_is_repeated_ever_slower, .init = setup, .fini = teardown)
{
    got(answer(MIG_PREPARED, start_one(1)));
    const uint64_t waits_ms[] = {100, 200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < ARRAY_LEN(waits_ms); i++) {
        cr_assert_eq(migration_deadline_ns(m), now_ns + waits_ms[i] * MS_NS);
        tick_after(waits_ms[i] * MS_NS - 1);
        cr_assert_eq(seen_count, 0);
        tick_after(1);
        cr_assert(sent(MIG_COMMIT));
    }
}

Test(migration, abort_for_each_reason, .init = setup, .fini = teardown)
{
    struct mig_xid xid = start_one(1);
    struct mig_frame f = answer(MIG_REFUSE, xid);
    f.err = MOTET_E_PERMISSION;
    got(f);
    cr_assert(did(MIG_THAW, MOTET_E_PERMISSION, 2) && sent(MIG_NOTHING));

    f = answer(MIG_REFUSE, start_one(1));
    f.err = MOTET_E_COUNT;
    got(f);
    cr_assert(did(MIG_THAW, MOTET_E_STATE, 2), "no such error");

    xid = start_one(1);
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_CANCEL, .xid = xid}),
                 MOTET_OK);
    cr_assert(did(MIG_THAW, MOTET_E_CANCELLED, 2) && sent(MIG_ABORT));
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_CANCEL, .xid = xid}),
                 MOTET_E_STATE);

    start_one(1);
    tick_after(SEC_NS);
    cr_assert(did(MIG_THAW, MOTET_E_TIMEOUT, 2) && sent(MIG_ABORT));
    got(answer(MIG_PREPARED, migration_last(m)));
    cr_assert(sent(MIG_ABORT));

    start_one(1);
    gone(BOB_INC - 1);
    cr_assert_eq(seen_count, 0);
    gone(BOB_INC);
    cr_assert(did(MIG_THAW, MOTET_E_SITE_DEAD, 2) && sent(MIG_NOTHING));
    const struct mig_port p = a_port(1);
    cr_assert_eq(start_to(BOB, &p, 1), MOTET_E_SITE_DEAD);
}

Test(migration, progress_and_distance_give_time, .init = setup,
     .fini = teardown)
{
    const struct mig_port p = a_port(1);
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_START,
                                      .site = BOB,
                                      .incarnation = BOB_INC,
                                      .rtt_ns = SEC_NS,
                                      .ports = &p,
                                      .count = 1}),
                 MOTET_OK);
    tick_after(4 * SEC_NS - 1);
    cr_assert_eq(seen_count, 0);
    cr_assert_eq(step((struct mig_in){.kind = MIG_IN_PROGRESS,
                                      .xid = migration_last(m)}),
                 MOTET_OK);
    tick_after(4 * SEC_NS - 1);
    cr_assert_eq(seen_count, 0);
    tick_after(1);
    cr_assert(sent(MIG_ABORT));
}

Test(migration, after_the_commit_only_never_resumes, .init = setup,
     .fini = teardown)
{
    got(answer(MIG_PREPARED, start_one(1)));
    struct mig_frame f = answer(MIG_NEVER, migration_last(m));
    f.from_incarnation--;
    got(f);
    cr_assert_eq(seen_count, 0, "another incarnation");
    got(answer(MIG_NEVER, migration_last(m)));
    cr_assert(did(MIG_THAW, MOTET_E_TIMEOUT, 2) && sent(MIG_NOTHING));

    got(answer(MIG_PREPARED, start_one(1)));
    gone(BOB_INC);
    cr_assert(did(MIG_DROP, MOTET_E_SITE_DEAD, 0) && sent(MIG_NOTHING));
}

Test(migration, a_higher_incarnation_is_the_end_of_the_lower, .init = setup,
     .fini = teardown)
{
    got(answer(MIG_PREPARED, start_one(1)));
    held(1, 2);
    struct mig_frame f = answer(MIG_NEVER, migration_last(m));
    f.from_incarnation++;
    got(f);
    cr_assert(did(MIG_DROP, MOTET_E_SITE_DEAD, 0));
    cr_assert_eq(seen_count, 4);
    cr_assert_eq(seen[3].kind, MIG_DISCARD);
    cr_assert_eq(seen[3].err, MOTET_E_SITE_DEAD);
    cr_assert_eq(asks(his(MIG_PREPARE, 2), 2), MIG_IGNORE);
    f = his(MIG_PREPARE, 1);
    f.from_incarnation = f.xid.incarnation = BOB_INC + 1;
    cr_assert_eq(asks(f, 2), MIG_INSTALL, "its numbers are its own");
}

Test(migration, moves_are_listed, .init = setup, .fini = teardown)
{
    struct mig_info info;
    cr_assert_not(migration_next(m, 0, &info));
    start_one(1);
    now_ns++;
    held(1, 2);
    cr_assert(migration_next(m, 0, &info));
    cr_assert(info.state == MIG_FRZ && info.site == BOB && info.ports == 1);
    cr_assert(migration_next(m, 1, &info));
    cr_assert(info.state == MIG_PRP && info.since_ns == now_ns);
    cr_assert_not(migration_next(m, 2, &info));
}

Test(migration, steps_between_effects, .init = setup, .fini = teardown)
{
    const struct mig_port port = a_port(1);
    const struct mig_in in = {.kind = MIG_IN_START,
                              .now_ns = now_ns,
                              .site = BOB,
                              .incarnation = BOB_INC,
                              .ports = &port,
                              .count = 1};
    cr_assert_eq(migration_step(m, &in), MOTET_OK);
    const struct mig_effect *e = migration_effect(m);
    cr_assert_eq(e->kind, MIG_STEP);
    const struct mig_frame f[] = {answer(MIG_PREPARED, migration_last(m)),
                                  answer(MIG_COMMIT_ACK, migration_last(m))};
    for (int i = 0; i < 100; i++) {
        const struct mig_in more = {.kind = MIG_IN_FRAME,
                                    .now_ns = now_ns,
                                    .site = BOB,
                                    .frame = &f[i < 99 ? 0 : 1]};
        cr_assert_eq(migration_step(m, &more), MOTET_OK);
    }
    cr_assert(e->ports != &port && e->count == 1);
    cr_assert(ui_equal(e->ports[0].ui, port.ui), "borrowed until the next");
    take();
    cr_assert_eq(seen_count, 1 + 2 + 2 + 2, "a repeat is dropped, no more");
    cr_assert(sent(MIG_PREPARE));
    cr_assert(effect_of(MIG_DROP) != NULL);
    for (int i = 0; i < 100; i++) {
        const struct mig_in late = {.kind = MIG_IN_FRAME,
                                    .now_ns = now_ns,
                                    .site = BOB,
                                    .frame = &f[0]};
        cr_assert_eq(migration_step(m, &late), MOTET_OK);
    }
    take();
    cr_assert_eq(seen_count, 32, "answers to what is over are bounded");
}

/* Whether a test above follows each rule: the rules are followed here again,
 * in one process, for Criterion runs each test in its own. */
static void follow_all_as_source(void)
{
    got(answer(MIG_QUERY, start_one(1)));
    got(answer(MIG_REFUSE, migration_last(m)));
    start_one(1);
    tick_after(SEC_NS);
    (void)step((struct mig_in){.kind = MIG_IN_CANCEL, .xid = start_one(1)});
    got(answer(MIG_PREPARED, migration_last(m)));
    got(answer(MIG_QUERY, migration_last(m)));
    got(answer(MIG_PREPARED, start_one(1)));
    got(answer(MIG_PREPARED, migration_last(m)));
    got(answer(MIG_QUERY, migration_last(m)));
    got(answer(MIG_REFUSE, migration_last(m)));
    tick_after(SEC_NS / 10);
    got(answer(MIG_COMMIT_ACK, migration_last(m)));
    got(answer(MIG_PREPARED, start_one(1)));
    got(answer(MIG_NEVER, migration_last(m)));
    got(answer(MIG_PREPARED, start_one(1)));
    start_one(2);
}

static void follow_all_as_destination(void)
{
    held(1, 11);
    (void)prepare(his(MIG_PREPARE, 1), 11, MOTET_E_STATE);
    tick_after(SEC_NS);
    got(his(MIG_COMMIT, 1));
    got(his(MIG_COMMIT, 1));
    (void)prepare(his(MIG_PREPARE, 1), 11, MOTET_E_STATE);
    (void)prepare(his(MIG_PREPARE, 2), 11, MOTET_E_STATE);
    got(his(MIG_COMMIT, 2));
    got(his(MIG_ABORT, 3));
    held(4, 11);
    got(his(MIG_ABORT, 4));
    held(5, 11);
    tick_after(60 * SEC_NS);
    held(6, 11);
}

Test(migration, every_rule_can_be_followed, .init = setup, .fini = teardown)
{
    follow_all_as_destination();
    follow_all_as_source();
    gone(BOB_INC);
    uint32_t rules = 0;
    for (int s = 0; s < MIG_STATE_COUNT; s++) {
        for (int e = 0; e < MIG_EVENT_COUNT; e++) {
            const bool rule =
                mig_rule((enum mig_state)s, (enum mig_event)e) != NULL;
            rules += rule;
            cr_expect_eq(followed[s][e], rule, "%s %s",
                         mig_state_name((enum mig_state)s),
                         mig_event_name((enum mig_event)e));
        }
    }
    cr_assert_eq(rules, 28);
}

Test(migration, names_and_the_edges_of_the_table)
{
    cr_assert_str_eq(mig_state_name(MIG_PRP), "PRP");
    cr_assert_str_eq(mig_state_name(MIG_STATE_COUNT), "?");
    cr_assert_str_eq(mig_event_name(MIG_ON_HOLD_OVER), "HOLD_OVER");
    cr_assert_str_eq(mig_event_name(MIG_EVENT_COUNT), "?");
    cr_assert_null(mig_rule(MIG_STATE_COUNT, MIG_ON_START));
    cr_assert_null(mig_rule(MIG_OWN, MIG_EVENT_COUNT));
    cr_assert_null(mig_rule(MIG_FWD, MIG_ON_TIMEOUT), "never after commit");
    cr_assert_null(mig_rule(MIG_FWD, MIG_ON_CANCELLED));
    cr_assert_eq(mig_rule(MIG_FRZ, MIG_ON_PREPARED)->answer, MIG_COMMIT);
}
