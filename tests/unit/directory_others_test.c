#include "directory_one.h"
#include "sites/core/directory.h"

/* What a directory takes from others, and what it says that it has. */

TestSuite(directory_others, .timeout = 20);

Test(directory_others, a_delta_must_follow, .init = setup, .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 1, 0, 5);
    cr_expect_eq(seen_count, 5);
    take(BOB, 1, 0, 5);
    cr_expect_eq(seen_count, 0, "known");
    take(BOB, 1, 3, 7);
    cr_expect_eq(seen_count, 2, "what is new of it");
    take(BOB, 1, 9, 12);
    cr_expect_eq(directory_version(d, BOB), 7, "a gap");
    cr_expect(seen_count == 1 && seen[0].msg.kind == DIR_DIGEST &&
              seen[0].site == BOB && seen[0].first.version == 7);
    take(BOB, 1, 9, 12);
    cr_expect_eq(seen_count, 0, "asked for once in 100 ms");
    now_ns += 100 * MS_NS;
    take(BOB, 1, 9, 12);
    cr_expect_eq(seen_count, 1);
}

Test(directory_others, lives_of_an_author, .init = setup, .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 5, 0, 2);
    take(BOB, 4, 0, 9);
    cr_expect_eq(directory_version(d, BOB), 2, "an earlier life");
    take(BOB, 6, 0, 1);
    cr_expect_eq(seen_count, 3);
    cr_expect(!seen[0].in && !seen[1].in && seen[2].in, "first the old go");
    gone(BOB, 5);
    cr_expect_eq(directory_records(d), 1, "that was an earlier life");
    gone(BOB, 6);
    cr_expect(seen_count == 1 && !seen[0].in);
    take(BOB, 6, 0, 1);
    cr_expect_eq(directory_records(d), 0, "gone");
    digest(BOB, true, BOB, 6, 1);
    cr_expect_eq(seen_count, 0, "nor asked for");
    take(BOB, 7, 0, 1);
    cr_expect_eq(directory_records(d), 1);
    gone(10, 1);
    cr_assert_eq(publish(1, 50, true), MOTET_OK, "I live");
    gone(77, 3);
    take(77, 3, 0, 1);
    cr_expect_eq(directory_version(d, 77), 0, "gone before it was known");
}

Test(directory_others, a_full_list_sweeps, .init = setup, .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 1, 0, 6);
    /* 2 and 5 were withdrawn, 6 became 9. */
    struct dir_msg msg = delta(BOB, 1, 0, 4);
    rows[1] = rows[2];
    rows[2] = rows[3];
    msg.record_count = 3;
    msg.full = msg.first = true;
    got(BOB, &msg);
    cr_expect(seen_count == 1 && !seen[0].in && seen[0].record.subject.lo == 2);
    msg = delta(BOB, 1, 8, 9);
    rows[0].subject.lo = 6;
    msg.full = true;
    got(BOB, &msg);
    cr_expect(seen_count == 1 && seen[0].kind == DIR_SEND &&
                  seen[0].first.version == 4,
              "a part was lost: from where the list broke off");
    msg = delta(BOB, 1, 8, 9);
    rows[0].subject.lo = 6;
    msg.full = true;
    msg.after = 4;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 4, "1, 3, 4 and 6");
    cr_expect_eq(directory_version(d, BOB), 9);
}

static void take_full(uint64_t after, uint64_t upto)
{
    struct dir_msg msg = delta(BOB, 1, after, upto);
    msg.full = true;
    msg.first = after == 0;
    got(BOB, &msg);
}

/* The record at which the list will go on changes before it does. */
Test(directory_others, a_full_list_goes_on_after_changes, .init = setup,
     .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 1, 0, 6);
    take_full(0, 4);
    digest(BOB, true, BOB, 1, 9);
    cr_expect_eq(seen[0].first.version, 4, "5 and 6 may be withdrawn");
    struct dir_msg msg = delta(BOB, 1, 6, 7);
    rows[0].subject.lo = 5;
    rows[0].epoch = 1;
    got(BOB, &msg);
    digest(BOB, true, BOB, 1, 9);
    cr_expect_eq(seen[0].first.version, 4, "still");
    msg = delta(BOB, 1, 6, 7); /* 6 is not in it */
    rows[0].subject.lo = 5;
    rows[0].epoch = 1;
    msg.after = 4;
    msg.full = true;
    got(BOB, &msg);
    cr_expect(seen_count == 1 && !seen[0].in && seen[0].record.subject.lo == 6);
    digest(BOB, true, BOB, 1, 9);
    cr_expect_eq(seen[0].first.version, 7);
}

Test(directory_others, a_full_list_goes_on_after_forgetting, .init = setup,
     .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 1, 0, 4);
    struct dir_msg msg = delta(BOB, 1, 4, 6);
    rows[0].present = false;
    got(BOB, &msg);
    take_full(0, 4);
    now_ns += cfg.tombstone_ns;
    tick(); /* 5 is forgotten */
    msg = delta(BOB, 1, 6, 7);
    msg.after = 4;
    msg.full = true;
    got(BOB, &msg);
    cr_expect_eq(directory_records(d), 5, "1 to 4 and 7");
}

Test(directory_others, a_full_list_without_its_first_part, .init = setup,
     .fini = teardown)
{
    peer(BOB, true);
    take(BOB, 1, 0, 6);
    struct dir_msg msg = delta(BOB, 1, 6, 9);
    msg.full = true;
    got(BOB, &msg);
    cr_expect_eq(directory_version(d, BOB), 6);
    cr_expect(seen_count == 1 && seen[0].first.version == 0,
              "all is asked for");
}

Test(directory_others, withdrawals_are_forgotten_in_time, .init = setup,
     .fini = teardown)
{
    for (uint32_t i = 1; i <= 10; i++) {
        cr_assert_eq(publish(i, 50, true), MOTET_OK);
    }
    const size_t used = mem.used_bytes;
    cr_assert_eq(publish(3, 50, false), MOTET_OK);
    tick();
    now_ns += cfg.tombstone_ns - 1;
    tick();
    cr_expect_eq(mem.used_bytes, used);
    peer(BOB, true);
    digest(BOB, false, 10, 1, 10);
    cr_expect(seen_count == 1 && !seen[0].msg.full &&
                  seen[0].msg.record_count == 1,
              "the tombstone alone");
    peer(BOB, false);
    now_ns += 1;
    cr_expect_leq(directory_deadline_ns(d), now_ns);
    const size_t kept = mem.used_bytes;
    tick();
    cr_expect_lt(mem.used_bytes, kept);
    peer(BOB, true);
    digest(BOB, false, 10, 1, 10);
    cr_expect(seen_count == 1 && seen[0].msg.full && seen[0].msg.first &&
                  seen[0].msg.record_count == 9 && seen[0].msg.upto == 11,
              "all that is left");
    digest(BOB, false, 10, 1, 11);
    cr_expect_eq(seen_count, 0, "nothing is missing");
}

Test(directory_others, all_authors_are_in_the_digests, .init = setup,
     .fini = teardown)
{
    peer(BOB, true);
    for (uint32_t i = 0; i < 600; i++) {
        take(1000 + i, 1, 0, 1);
    }
    now_ns += 2 * SEC_NS;
    tick();
    cr_expect_eq(seen_count, 3, "256, 256 and the rest");
    cr_expect_eq(seen[0].first.author, 0);
    cr_expect_eq(seen[0].last.author, seen[1].first.author);
    cr_expect_eq(seen[1].last.author, seen[2].first.author);
    cr_expect_eq(seen[2].last.author, UINT64_MAX);
    uint32_t entries = 0;
    for (uint32_t i = 0; i < 3; i++) {
        entries += seen[i].msg.digest_count;
    }
    cr_expect_eq(entries, 600 + 2 + 2);
}

Test(directory_others, what_a_digest_does_not_list_is_lacking, .init = setup,
     .fini = teardown)
{
    peer(BOB, true);
    peer(EVE, true);
    take(40, 1, 0, 1);
    take(60, 1, 0, 1);
    take(80, 1, 0, 1);
    struct dir_digest entries[] = {{40, 1, 1}, {70, 0, 0}};
    const struct dir_msg msg = {
        .kind = DIR_DIGEST, .want = true, .digest_count = 2, .digest = entries};
    got(EVE, &msg);
    cr_expect(seen_count == 1 && seen[0].msg.author == 60,
              "80 is not in the range of this part");
}
