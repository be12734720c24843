#include "directory_one.h"
#include "sites/core/directory.h"

/* What a directory refuses, what it says of its own, and its limits. */

TestSuite(directory_rules, .timeout = 20);

/* ---- Refusals -------------------------------------------------------------
 */

Test(directory_rules, a_publish_that_makes_no_sense, .init = setup,
     .fini = teardown)
{
    cr_expect_eq(step((struct dir_in){.kind = DIR_IN_PUBLISH}), MOTET_E_INVALID,
                 "no record");
    cr_expect_eq(publish(0, 50, true), MOTET_OK, "hi is not 0");
    struct record r = dw_record(1, 50, true);
    r.kind = 0;
    const struct dir_in in = {.kind = DIR_IN_PUBLISH, .record = &r};
    cr_expect_eq(step(in), MOTET_E_INVALID, "no kind");
    r.kind = RECORD_OWNER + 1;
    cr_expect_eq(step(in), MOTET_E_INVALID, "no such kind");
    r = dw_record(1, 50, true);
    memset(r.name, 'x', sizeof r.name);
    cr_expect_eq(step(in), MOTET_E_INVALID, "a name without an end");
    r = dw_record(1, 50, true);
    r.subject = (struct motet_ui){0, 0};
    cr_expect_eq(step(in), MOTET_E_INVALID, "no subject");
    cr_expect_eq(directory_version(d, 10), 1, "nothing but one was published");
}

Test(directory_rules, messages_that_make_no_sense, .init = setup,
     .fini = teardown)
{
    struct dir_msg msg = delta(BOB, 1, 0, 2);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "no session: no word");
    peer(BOB, true);
    got(BOB, NULL);
    msg = delta(10, 1, 0, 2);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "I am the author of mine");
    msg = delta(0, 1, 0, 2);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "no author");
    msg = delta(BOB, 1, 0, DIR_RECORDS_MAX + 1);
    cr_assert_eq(msg.record_count, DIR_RECORDS_MAX + 1);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "one record too many");
    msg = delta(BOB, 1, 0, 2);
    msg.records = NULL;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "no records");
    msg = delta(BOB, 1, 0, 2);
    rows[1].version = 1;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "not in order");
    msg = delta(BOB, 1, 0, 2);
    msg.upto = 1;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "beyond its end");
    msg = delta(BOB, 1, 0, 2);
    msg.after = 3;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "ends before it begins");
    msg = delta(BOB, 1, 1, 2);
    msg.first = true;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "a first part that is none");
    msg = delta(BOB, 1, 0, 2);
    memset(rows[1].name, 'x', sizeof rows[1].name);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 0, "a name without an end");
    msg = delta(BOB, 1, 0, DIR_RECORDS_MAX);
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), DIR_RECORDS_MAX, "at the limit");
}

Test(directory_rules, digests_that_make_no_sense, .init = setup,
     .fini = teardown)
{
    static struct dir_digest entries[DIR_DIGEST_MAX + 1];
    for (uint32_t i = 0; i <= DIR_DIGEST_MAX; i++) {
        entries[i] = (struct dir_digest){100 + i, 1, 1};
    }
    struct dir_msg msg = {.kind = DIR_DIGEST, .want = true, .digest = entries};
    peer(BOB, true);
    got(BOB, &msg);
    cr_expect_eq(seen_count, 0, "empty");
    msg.digest_count = DIR_DIGEST_MAX + 1;
    got(BOB, &msg);
    cr_expect_eq(seen_count, 0, "one entry too many");
    msg.digest_count = DIR_DIGEST_MAX;
    got(BOB, &msg);
    cr_expect_eq(seen_count, 1, "at the limit");
    cr_expect_eq(seen[0].msg.digest_count, DIR_DIGEST_MAX, "I lack all");
    entries[7].author = entries[6].author;
    got(BOB, &msg);
    cr_expect_eq(seen_count, 0, "not in order");
    digest(BOB, true, 10, 1, 99);
    cr_expect_eq(seen_count, 0, "nobody knows my records better than I");
    digest(BOB, true, 10, 9, 99);
    cr_expect_eq(seen_count, 0, "even in another life");
}

/* ---- Own records ----------------------------------------------------------
 */

Test(directory_rules, what_changes_nothing_is_no_change, .init = setup,
     .fini = teardown)
{
    cr_expect_eq(publish(1, 50, false), MOTET_OK);
    cr_expect_eq(directory_version(d, 10), 0, "nothing to withdraw");
    cr_expect_eq(publish(1, 50, true), MOTET_OK);
    cr_expect(seen_count == 1 && seen[0].kind == DIR_MEMBER && seen[0].in);
    cr_expect_eq(seen[0].site, 10);
    cr_expect_eq(publish(1, 50, true), MOTET_OK);
    cr_expect_eq(seen_count, 0, "known");
    cr_expect_eq(publish(1, 51, true), MOTET_OK);
    cr_expect_eq(publish(1, 0, true), MOTET_OK);
    cr_expect_eq(seen[0].kind, DIR_OWNER);
    cr_expect_eq(directory_version(d, 10), 3, "three records of one port");
    struct record r = dw_record(1, 0, true);
    r.epoch = 4;
    cr_expect_eq(step((struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r}),
                 MOTET_OK);
    cr_expect(seen_count == 1 && seen[0].in && seen[0].record.epoch == 4);
    cr_expect_eq(directory_records(d), 3);
    cr_expect_eq(publish(1, 50, false), MOTET_OK);
    cr_expect(seen_count == 1 && !seen[0].in);
    cr_expect_eq(publish(1, 50, false), MOTET_OK);
    cr_expect_eq(seen_count, 0, "withdrawn already");
    cr_expect_eq(directory_version(d, 10), 5);
    cr_expect_eq(directory_records(d), 2);
}

Test(directory_rules, a_view_does_not_depend_on_the_way, .init = setup,
     .fini = teardown)
{
    cr_expect_eq(directory_view(d), 0);
    cr_assert_eq(publish(1, 50, true), MOTET_OK);
    const uint64_t one = directory_view(d);
    cr_assert_eq(publish(2, 50, true), MOTET_OK);
    const uint64_t both = directory_view(d);
    cr_assert_eq(publish(1, 50, false), MOTET_OK);
    cr_expect_neq(directory_view(d), one);
    cr_assert_eq(publish(1, 50, true), MOTET_OK);
    cr_expect_eq(directory_view(d), both);
    cr_assert_eq(publish(1, 50, false), MOTET_OK);
    cr_assert_eq(publish(2, 50, false), MOTET_OK);
    cr_expect_eq(directory_view(d), 0);
}

Test(directory_rules, effects_outlive_steps, .init = setup, .fini = teardown)
{
    cr_assert_eq(publish(1, 50, true), MOTET_OK);
    struct record r = dw_record(1, 50, false);
    struct dir_in in = {.kind = DIR_IN_PUBLISH, .now_ns = now_ns, .record = &r};
    cr_assert_eq(directory_step(d, &in), MOTET_OK);
    const struct dir_effect *e = directory_effect(d);
    cr_assert(e != NULL && !e->in);
    r.present = true;
    cr_assert_eq(directory_step(d, &in), MOTET_OK);
    cr_expect(!e->in && !e->record->present, "as it was when taken");
    e = directory_effect(d);
    cr_expect(e != NULL && e->in);
}

Test(directory_rules, the_last_change_is_told_last, .init = setup,
     .fini = teardown)
{
    struct record r = dw_record(1, 50, true);
    const struct dir_in in = {
        .kind = DIR_IN_PUBLISH, .now_ns = now_ns, .record = &r};
    cr_assert_eq(directory_step(d, &in), MOTET_OK);
    r.subject.lo = 2;
    cr_assert_eq(directory_step(d, &in), MOTET_OK);
    r = dw_record(1, 50, false);
    cr_assert_eq(directory_step(d, &in), MOTET_OK);
    const struct dir_effect *e = directory_effect(d);
    cr_expect(e->in && e->record->subject.lo == 2);
    e = directory_effect(d);
    cr_expect(!e->in && e->record->subject.lo == 1);
    cr_expect_eq(directory_effect(d), NULL);
}

/* ---- Limits ---------------------------------------------------------------
 */

Test(directory_rules, records_at_the_limit_and_one_past, .init = setup)
{
    cfg.records_max = 3;
    again();
    peer(BOB, true);
    take(BOB, 1, 0, 2);
    cr_expect_eq(publish(1, 50, true), MOTET_OK, "the third");
    cr_expect_eq(publish(2, 50, true), MOTET_E_LIMIT);
    cr_expect_eq(directory_version(d, 10), 1, "nothing changed");
    take(BOB, 1, 2, 3);
    cr_expect_eq(directory_version(d, BOB), 2, "to be asked for again");
    cr_expect_eq(publish(1, 50, false), MOTET_OK, "a tombstone needs no room");
    cr_expect_eq(publish(2, 50, true), MOTET_OK, "and gives it up");
    cr_expect_eq(directory_records(d), 3);
    gone(BOB, 1);
    cr_expect_eq(directory_records(d), 1);
    cr_expect_eq(publish(3, 50, true), MOTET_OK);
    teardown();
}

Test(directory_rules, authors_at_the_limit_and_one_past, .init = setup)
{
    cfg.authors_max = 3;
    again();
    peer(BOB, true);
    take(BOB, 1, 0, 1);
    take(EVE, 1, 0, 1);
    take(40, 1, 0, 1);
    cr_expect_eq(directory_version(d, 40), 0, "the fourth finds no room");
    gone(EVE, 1);
    take(EVE, 1, 0, 1);
    cr_expect_eq(directory_version(d, EVE), 0, "the dead are remembered");
    take(40, 1, 0, 1);
    cr_expect_eq(directory_version(d, 40), 1, "until there is need of room");
    gone(50, 1);
    cr_expect_eq(directory_version(d, BOB), 1, "the living are kept");
    teardown();
}

Test(directory_rules, peers_at_the_limit_and_one_past, .init = setup)
{
    cfg.authors_max = 2;
    again();
    peer(BOB, true);
    peer(EVE, true);
    peer(40, true);
    cr_expect_eq(seen_count, 0, "the third finds no room");
    peer(BOB, false);
    peer(40, true);
    cr_expect_eq(seen_count, 1);
    teardown();
}

Test(directory_rules, memory_at_the_cap_changes_nothing)
{
    setup();
    uint32_t refused = 0, taken = 0;
    for (size_t cap = 500; cap < 120000; cap += 97) {
        teardown();
        mem_init(&mem, cap);
        d = directory_create(&cfg);
        if (d == NULL) {
            cr_assert_eq(mem.used_bytes, 0);
            continue;
        }
        peer(BOB, true);
        for (uint32_t i = 1; i <= 60; i++) {
            const uint64_t version = directory_version(d, 10);
            const uint64_t view = directory_view(d);
            const enum motet_err err = publish(i, 50, true);
            if (err == MOTET_OK) {
                taken++;
                continue;
            }
            refused++;
            cr_assert_eq(err, MOTET_E_NO_MEMORY);
            cr_assert_eq(directory_version(d, 10), version);
            cr_assert_eq(directory_view(d), view);
        }
        take(BOB, 1, 0, 60);
        cr_assert_leq(directory_version(d, BOB), 60);
        now_ns += SEC_NS;
        tick();
        for (uint32_t i = 1; i <= 60; i++) {
            cr_assert_eq(publish(i, 50, false), MOTET_OK);
        }
        gone(BOB, 1);
        cr_assert_eq(directory_records(d), 0);
    }
    cr_expect(refused > 1000 && taken > 1000);
    teardown();
}
