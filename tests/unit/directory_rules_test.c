#include "directory_world.h"
#include "sites/core/directory.h"

/* One directory, of site 10, and what it makes of single inputs. */

TestSuite(directory_rules, .timeout = 20);

enum { BOB = 20, EVE = 30, SEEN_MAX = 512 };

static struct mem mem;
static struct trace trace;
static struct directory *d;
static uint64_t now_ns;
static struct directory_config cfg;

struct seen {
    enum dir_effect_kind kind;
    uint64_t site;
    bool in;
    struct record record;
    struct dir_msg msg; /* without its arrays */
    struct dir_digest first, last;
};
static struct seen seen[SEEN_MAX];
static uint32_t seen_count;

static enum motet_err step(struct dir_in in)
{
    in.now_ns = now_ns;
    const enum motet_err err = directory_step(d, &in);
    const struct dir_effect *e;
    seen_count = 0;
    while ((e = directory_effect(d)) != NULL) {
        cr_assert_lt(seen_count, SEEN_MAX);
        struct seen *s = &seen[seen_count++];
        *s = (struct seen){.kind = e->kind, .site = e->site, .in = e->in};
        if (e->kind != DIR_SEND) {
            s->record = *e->record;
            continue;
        }
        s->msg = *e->msg;
        if (e->msg->digest_count > 0) {
            s->first = e->msg->digest[0];
            s->last = e->msg->digest[e->msg->digest_count - 1];
        }
    }
    return err;
}

static void setup(void)
{
    mem_init(&mem, 1 << 24);
    trace_init(&trace, NULL);
    now_ns = SEC_NS;
    cfg = directory_config_default();
    cfg.site = 10;
    cfg.incarnation = 1;
    cfg.seed = 5;
    cfg.mem = &mem;
    cfg.trace = &trace;
    d = directory_create(&cfg);
    cr_assert_not_null(d);
}

static void teardown(void)
{
    directory_destroy(d);
    cr_assert_eq(mem.used_bytes, 0);
    cr_assert_eq(mem.blocks, 0);
}

static void again(void)
{
    teardown();
    d = directory_create(&cfg);
    cr_assert_not_null(d);
}

static enum motet_err publish(uint32_t subject, uint32_t group, bool present)
{
    const struct record r = dw_record(subject, group, present);
    return step((struct dir_in){.kind = DIR_IN_PUBLISH, .record = &r});
}

static void peer(uint64_t site, bool up)
{
    cr_assert_eq(
        step((struct dir_in){
            .kind = DIR_IN_PEER, .site = site, .incarnation = 1, .up = up}),
        MOTET_OK);
}

static void got(uint64_t from, const struct dir_msg *msg)
{
    cr_assert_eq(
        step((struct dir_in){.kind = DIR_IN_MSG, .site = from, .msg = msg}),
        MOTET_OK);
}

static void gone(uint64_t site, uint32_t incarnation)
{
    cr_assert_eq(step((struct dir_in){.kind = DIR_IN_GONE,
                                      .site = site,
                                      .incarnation = incarnation}),
                 MOTET_OK);
}

static void tick(void)
{
    cr_assert_eq(step((struct dir_in){.kind = DIR_IN_TICK}), MOTET_OK);
}

/* A delta of `author` with records of the versions after + 1 to upto. */
static struct record rows[DIR_RECORDS_MAX + 1];
static struct dir_msg delta(uint64_t author, uint32_t incarnation,
                            uint64_t after, uint64_t upto)
{
    uint32_t count = 0;
    for (uint64_t v = after + 1; v <= upto && count < ARRAY_LEN(rows); v++) {
        rows[count] = dw_record((uint32_t)v, 50, true);
        rows[count].version = v;
        count++;
    }
    return (struct dir_msg){.kind = DIR_DELTA,
                            .author = author,
                            .incarnation = incarnation,
                            .after = after,
                            .upto = upto,
                            .record_count = count,
                            .records = rows};
}

static void take(uint64_t author, uint32_t incarnation, uint64_t after,
                 uint64_t upto)
{
    const struct dir_msg msg = delta(author, incarnation, after, upto);
    got(BOB, &msg);
}

static void digest(uint64_t from, bool want, uint64_t author,
                   uint32_t incarnation, uint64_t version)
{
    const struct dir_digest entry = {author, incarnation, version};
    const struct dir_msg msg = {
        .kind = DIR_DIGEST, .want = want, .digest_count = 1, .digest = &entry};
    got(from, &msg);
}

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

/* ---- Others' records ------------------------------------------------------
 */

Test(directory_rules, a_delta_must_follow, .init = setup, .fini = teardown)
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

Test(directory_rules, lives_of_an_author, .init = setup, .fini = teardown)
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

Test(directory_rules, a_full_list_sweeps, .init = setup, .fini = teardown)
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
Test(directory_rules, a_full_list_goes_on_after_changes, .init = setup,
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

Test(directory_rules, a_full_list_goes_on_after_forgetting, .init = setup,
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

Test(directory_rules, a_full_list_without_its_first_part, .init = setup,
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

Test(directory_rules, withdrawals_are_forgotten_in_time, .init = setup,
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

Test(directory_rules, all_authors_are_in_the_digests, .init = setup,
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

Test(directory_rules, what_a_digest_does_not_list_is_lacking, .init = setup,
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
