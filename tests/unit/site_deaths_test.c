#include "site_world.h"
#include "sites/site/deaths.h"

/* A death is told only when it is known what had moved away before it. */

TestSuite(site_deaths, .timeout = 30);

static struct sw w;
static struct motet_ui watcher, at, mover, port, taker;

/* site0 watches a port that was born at site2; site1 has an actor that takes
 * ports. */
static void begin(void)
{
    sw_init(&w, 3, NULL);
    sw_run(&w, 10000); /* it waits for nobody any more that it was to join */
    watcher = sw_actor(&w, 0, "watcher", false);
    at = sw_port(&w, 0, watcher);
    mover = sw_actor(&w, 2, "mover", false);
    port = sw_port(&w, 2, mover);
    taker = sw_actor(&w, 1, "taker", true);
    sw_watch(&w, 0, watcher, at, port);
    sw_run(&w, 100);
}

/* site0 holds that life of a site for dead. */
static void dies(int index, uint32_t incarnation)
{
    deaths_begin(w.at[0].site, sw_id(index), incarnation, NUC_SITE_DEAD);
    site_settle(w.at[0].site);
    sw_turn(&w);
}

/* How often a last word was told, and which. */
static uint32_t told(enum motet_news *news)
{
    uint32_t count = 0;
    sw_receive(&w, 0, watcher, at);
    for (uint32_t i = 0; i < sw_heard(&w, 0, NUC_DELIVER); i++) {
        const enum motet_news said = sw_one(&w, 0, NUC_DELIVER, i)->news;
        if (said <= MOTET_NEWS_LEFT) {
            *news = said;
            count++;
        }
    }
    return count;
}

static bool knows_of(int index, uint64_t site, uint32_t incarnation)
{
    struct list *node = NULL;
    struct tomb t;
    while (deaths_next(w.at[index].site, &node, &t)) {
        if (t.site == site) {
            return t.incarnation == incarnation;
        }
    }
    return false;
}

Test(site_deaths, told_when_all_have_answered)
{
    enum motet_news news;
    begin();
    sw_kill(&w, 2);
    sw_hold(&w, 0, 1, true);
    dies(2, 1);
    sw_run(&w, 300);
    cr_expect_eq(told(&news), 0, "site1 has not answered");
    cr_expect_not(knows_of(0, sw_id(2), 1));
    sw_hold(&w, 0, 1, false);
    sw_run(&w, 100);
    cr_assert_eq(told(&news), 1);
    cr_expect_eq(news, MOTET_NEWS_SITE_DEAD);
    cr_expect(knows_of(0, sw_id(2), 1));
    dies(2, 1);
    sw_run(&w, 300);
    cr_expect_eq(told(&news), 1, "once");
    sw_fini(&w);
}

/* An answer counts when what it tells of has come. */
Test(site_deaths, a_port_that_had_moved_away)
{
    enum motet_news news;
    uint64_t id;
    begin();
    sw_hold(&w, 0, 1, true);
    sw_hold(&w, 0, 2, true);
    cr_assert_eq(sw_ask(&w, 2, 1, mover, port, "taker", false, &id), MOTET_OK);
    cr_assert_eq(sw_end(&w, 2, id, 300), MOTET_OK);
    sw_kill(&w, 2);
    dies(2, 1);
    sw_run(&w, 300);
    cr_expect_eq(told(&news), 0);
    sw_hold(&w, 0, 1, false);
    sw_hold(&w, 0, 2, false);
    sw_run(&w, 500);
    cr_expect_eq(told(&news), 0, "it lives");
    cr_expect(knows_of(0, sw_id(2), 1), "and the death is over and done");
    struct nuc_out none;
    struct nuc_in in = sw_in(&w, NUC_PORT_END);
    in.actor = taker;
    in.port = port;
    cr_assert_eq(sw_op(&w, 1, &in, &none), MOTET_OK);
    sw_run(&w, 300);
    cr_assert_eq(told(&news), 1);
    cr_expect_eq(news, MOTET_NEWS_CLOSED);
    sw_fini(&w);
}

/* Who answers takes leave of that life: nothing that it offered is taken. */
Test(site_deaths, who_answers_will_not_take_its_ports)
{
    uint64_t id;
    struct mig_xid xid;
    begin();
    w.held[1][2] = true; /* PREPARED does not come */
    cr_assert_eq(sw_ask(&w, 2, 1, mover, port, "taker", false, &id), MOTET_OK);
    sw_run(&w, 20);
    cr_assert_eq(migration_state(site_migration(w.at[1].site), port, &xid),
                 MIG_PRP);
    dies(2, 1);
    sw_run(&w, 20);
    cr_expect_eq(migration_state(site_migration(w.at[1].site), port, &xid),
                 MIG_NONE);
    w.held[1][2] = false;
    cr_expect_neq(sw_end(&w, 2, id, 500), MOTET_OK);
    cr_expect_not(sw_lives(&w, 1, port));
    sw_fini(&w);
}

/* A witness that is dead is not waited for. */
Test(site_deaths, two_at_once)
{
    enum motet_news news;
    begin();
    sw_kill(&w, 2);
    sw_kill(&w, 1);
    dies(2, 1);
    sw_run(&w, 200);
    cr_expect_eq(told(&news), 0, "site1 may live");
    const struct member_in dead = {.kind = MEMBER_IN_DEAD,
                                   .now_ns = w.now_ns,
                                   .site = sw_id(1),
                                   .incarnation = 1};
    members_step(w.at[0].site->members, &dead);
    site_settle(w.at[0].site);
    sw_run(&w, 100);
    cr_assert_eq(told(&news), 1);
    cr_expect_eq(news, MOTET_NEWS_SITE_DEAD);
    sw_fini(&w);
}

/* ---- Of which deaths a port was told ---------------------------------------
 */

Test(site_deaths, a_tomb_from_elsewhere)
{
    begin();
    struct site *s = w.at[0].site;
    const struct tomb mine = {.site = sw_id(0), .incarnation = 1};
    cr_expect_not(deaths_told(s, &mine), "I live");
    sw_fini(&w);

    begin();
    s = w.at[0].site;
    const struct tomb stranger = {.site = 4711, .incarnation = 9};
    cr_expect_not(deaths_told(s, &stranger), "heard for the first time");
    cr_expect_not(knows_of(0, 4711, 9));
    site_settle(s);
    sw_run(&w, 200);
    cr_expect(deaths_told(s, &stranger), "all have answered");
    cr_expect(knows_of(0, 4711, 9));
    const struct tomb before = {.site = 4711, .incarnation = 8};
    cr_expect(deaths_told(s, &before), "and those before");
    const struct tomb after = {.site = 4711, .incarnation = 10};
    cr_expect_not(deaths_told(s, &after));
    site_settle(s);
    sw_run(&w, 200);
    cr_expect(knows_of(0, 4711, 10));
    cr_expect_not(knows_of(0, 4711, 9), "one for each site");
    sw_fini(&w);
}

/* What it was told of there is told here before it lives here: so the move
 * takes until all have answered, and no longer. */
Test(site_deaths, a_port_brings_the_deaths_along_that_it_was_told_of)
{
    uint64_t id;
    begin();
    const struct motet_ui near = sw_actor(&w, 1, "near", false);
    const struct motet_ui ear = sw_port(&w, 1, near);
    sw_watch(&w, 1, near, ear, ui_of_site(sw_id(2)));
    const struct motet_ui giver = sw_actor(&w, 0, "giver", false);
    const struct motet_ui going = sw_port(&w, 0, giver);
    sw_run(&w, 50);
    sw_hold(&w, 1, 2, true); /* site1 has not noticed */
    sw_kill(&w, 2);
    dies(2, 1);
    sw_run(&w, 50);
    cr_assert(knows_of(0, sw_id(2), 1));
    cr_assert_eq(sw_ask(&w, 0, 1, giver, going, "taker", false, &id), MOTET_OK);
    const enum motet_err err = sw_end(&w, 0, id, 1000);
    cr_expect_eq(err, MOTET_OK, "%s", motet_err_name(err));
    cr_expect(knows_of(1, sw_id(2), 1));
    sw_receive(&w, 1, near, ear);
    const uint32_t heard = sw_heard(&w, 1, NUC_DELIVER);
    cr_assert_gt(heard, 0);
    cr_expect_eq(sw_one(&w, 1, NUC_DELIVER, heard - 1)->news,
                 MOTET_NEWS_SITE_DEAD);
    sw_fini(&w);
}

/* However often it is offered: not before all have answered there, too. */
Test(site_deaths, a_port_waits_until_they_are_told)
{
    uint64_t id;
    const uint64_t stranger = 4711;
    begin();
    const struct motet_ui giver = sw_actor(&w, 0, "giver", false);
    const struct motet_ui going = sw_port(&w, 0, giver);
    sw_hold(&w, 1, 2, true);
    deaths_begin(w.at[0].site, stranger, 9, NUC_SITE_DEAD);
    site_settle(w.at[0].site);
    sw_run(&w, 50);
    cr_assert(knows_of(0, stranger, 9));
    cr_assert_not(knows_of(1, stranger, 9));
    cr_assert_eq(sw_ask(&w, 0, 1, giver, going, "taker", false, &id), MOTET_OK);
    for (int i = 0; i < 300; i++) {
        struct mig_xid xid;
        sw_run(&w, 1);
        cr_assert_neq(
            migration_state(site_migration(w.at[1].site), going, &xid), MIG_PRP,
            "after %d ms", i);
    }
    cr_expect_not(moves_find(w.at[0].site, id)->over, "it is offered again");
    sw_hold(&w, 1, 2, false);
    cr_expect_eq(sw_end(&w, 0, id, 500), MOTET_OK);
    cr_expect(knows_of(1, stranger, 9));
    sw_fini(&w);
}
