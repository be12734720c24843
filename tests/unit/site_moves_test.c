#include "site_world.h"
#include "sites/site/site.h"

/* Moves between whole sites; refusals first. */

TestSuite(site_moves, .timeout = 30);

static struct sw w;
static struct motet_ui giver, taker, port;

static void tight(struct site_config *cfg, int index)
{
    if (index == 1) {
        cfg->nucleus.ports_max = 3; /* its control port, and two more */
    }
}

/* site0 has a port, site1 an actor that takes it. */
static void begin_with(uint32_t sites,
                       void (*tune)(struct site_config *cfg, int index))
{
    sw_init(&w, sites, tune);
    giver = sw_actor(&w, 0, "giver", false);
    port = sw_port(&w, 0, giver);
    taker = sw_actor(&w, 1, "taker", true);
}

static void begin(void)
{
    begin_with(2, NULL);
}

/* It serves at site0, as if nothing had been. */
static void stayed(void)
{
    cr_expect(sw_lives(&w, 0, port));
    cr_expect_not(sw_lives(&w, 1, port));
    cr_expect_not(nucleus_actor_frozen(site_nucleus(w.at[0].site), giver));
    const struct motet_ui from = sw_port(&w, 1, taker);
    const uint32_t before = sw_heard(&w, 0, NUC_DELIVER);
    cr_assert_eq(sw_send(&w, 1, taker, from, port, 1), MOTET_OK);
    sw_run(&w, 50);
    sw_receive(&w, 0, giver, port);
    cr_expect_eq(sw_heard(&w, 0, NUC_DELIVER), before + 1);
}

/* ---- Refusals --------------------------------------------------------------
 */

Test(site_moves, refused_at_once)
{
    uint64_t id;
    begin();
    cr_expect_eq(sw_ask(&w, 0, -1, giver, port, "taker", false, &id),
                 MOTET_E_NO_SITE);
    cr_expect_eq(sw_ask(&w, 0, 0, giver, port, "taker", false, &id),
                 MOTET_E_INVALID, "it is here");
    cr_expect_eq(
        sw_ask(&w, 0, 1, giver, ui_of_control(sw_id(0)), "taker", false, &id),
        MOTET_E_STATE, "the control port does not move");
    cr_expect_eq(
        sw_ask(&w, 0, 1, giver, ui_make(9, 9, UI_PORT, 9), "taker", false, &id),
        MOTET_E_NO_PORT);
    const struct motet_ui other = sw_actor(&w, 0, "other", false);
    cr_expect_eq(sw_ask(&w, 0, 1, other, port, "taker", false, &id),
                 MOTET_E_INVALID, "a port of another actor");
    const struct move_request whole = {
        .to = sw_id(1), .actor = giver, .receiver = ""};
    cr_expect_eq(moves_start(w.at[0].site, &whole, &id), MOTET_E_STATE,
                 "an actor that does not save its state");
    stayed();
    sw_fini(&w);
}

Test(site_moves, no_such_actor_there)
{
    begin();
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "nobody"), MOTET_E_NO_ACTOR);
    stayed();
    sw_fini(&w);
}

Test(site_moves, an_actor_that_takes_none)
{
    begin();
    (void)sw_actor(&w, 1, "shy", false);
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "shy"), MOTET_E_DECLINED);
    stayed();
    sw_fini(&w);
}

Test(site_moves, no_room_there)
{
    begin_with(2, tight);
    (void)sw_port(&w, 1, taker);
    (void)sw_port(&w, 1, taker);
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_E_LIMIT);
    cr_expect(sw_lives(&w, 0, port));
    cr_expect_not(sw_lives(&w, 1, port));
    sw_fini(&w);
}

Test(site_moves, it_is_moving_already)
{
    uint64_t first, second;
    begin();
    sw_hold(&w, 0, 1, true);
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &first),
                 MOTET_OK);
    cr_expect_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &second),
                 MOTET_E_MOVING, "asked for");
    sw_run(&w, 20);
    cr_expect_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &second),
                 MOTET_E_MOVING, "begun");
    sw_hold(&w, 0, 1, false);
    cr_expect_eq(sw_end(&w, 0, first, 3000), MOTET_OK);
    sw_fini(&w);
}

Test(site_moves, a_site_that_is_dead)
{
    begin_with(3, NULL);
    sw_kill(&w, 1);
    sw_run(&w, 300);
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_E_UNREACHABLE);
    sw_run(&w, 6000);
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_E_SITE_DEAD);
    cr_expect(sw_lives(&w, 0, port));
    sw_fini(&w);
}

Test(site_moves, no_answer_in_time)
{
    begin();
    sw_hold(&w, 0, 1, true);
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_E_TIMEOUT);
    sw_hold(&w, 0, 1, false);
    sw_run(&w, 500);
    stayed();
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_OK, "now");
    sw_fini(&w);
}

/* The first byte of what it sends from port to port of the control says which
 * version it is. */
static void make_older(struct sw *world, int to)
{
    static const uint8_t now[] = {WIRE_MIGRATE_VERSION, MIG_PREPARE};
    uint32_t found = 0;
    for (uint32_t n = 0; n < world->wires; n++) {
        for (int side = 0; side < 2; side++) {
            struct sw_bytes *b = world->wire[n].first[side];
            for (; b != NULL && world->wire[n].at[side] == to; b = b->next) {
                uint8_t *at = memmem(b->bytes, b->size, now, sizeof now);
                if (at != NULL) {
                    at[0]++;
                    found++;
                }
            }
        }
    }
    cr_assert_eq(found, 1);
}

Test(site_moves, a_site_of_another_version)
{
    uint64_t id;
    begin();
    sw_hold(&w, 0, 1, true);
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &id), MOTET_OK);
    sw_run(&w, 5);
    make_older(&w, 1);
    sw_hold(&w, 0, 1, false);
    cr_expect_eq(sw_end(&w, 0, id, 500), MOTET_E_VERSION, "without delay");
    stayed();
    sw_fini(&w);
}

/* ---- Given up --------------------------------------------------------------
 */

Test(site_moves, given_up_before_the_commit)
{
    uint64_t id;
    begin();
    sw_hold(&w, 0, 1, true);
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &id), MOTET_OK);
    sw_run(&w, 20);
    cr_expect_not(sw_lives(&w, 0, port), "it is frozen");
    cr_assert_eq(moves_cancel(w.at[0].site, id), MOTET_OK);
    cr_expect_eq(sw_end(&w, 0, id, 1), MOTET_E_CANCELLED);
    cr_expect_eq(moves_cancel(w.at[0].site, id), MOTET_E_STATE, "it is over");
    cr_expect_eq(moves_cancel(w.at[0].site, id + 1), MOTET_E_STATE, "no such");
    sw_hold(&w, 0, 1, false);
    sw_run(&w, 100);
    stayed();
    cr_expect_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_OK);
    sw_fini(&w);
}

/* PREPARED has come, COMMIT is on its way: too late. */
Test(site_moves, not_given_up_after_the_commit)
{
    uint64_t id;
    begin();
    w.held[1][0] = true;
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &id), MOTET_OK);
    sw_run(&w, 20);
    w.held[0][1] = true;
    w.held[1][0] = false;
    sw_run(&w, 20);
    cr_assert(moves_find(w.at[0].site, id)->at_ns[MOVE_COMMITTED] != 0);
    cr_expect_eq(moves_cancel(w.at[0].site, id), MOTET_E_STATE);
    sw_hold(&w, 0, 1, false);
    cr_expect_eq(sw_end(&w, 0, id, 1000), MOTET_OK);
    cr_expect(sw_lives(&w, 1, port));
    sw_fini(&w);
}

/* Its new actor ends before it has heard of the COMMIT: then the port ends, and
 * nothing is said of where it lives. */
Test(site_moves, its_actor_ends_before_it_comes)
{
    uint64_t id, epoch;
    struct nuc_out none;
    begin();
    w.held[1][0] = true;
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &id), MOTET_OK);
    sw_run(&w, 20);
    w.held[0][1] = true;
    w.held[1][0] = false;
    sw_run(&w, 20);
    struct nuc_in in = sw_in(&w, NUC_ACTOR_END);
    in.actor = taker;
    in.news = MOTET_NEWS_CLOSED;
    cr_assert_eq(sw_op(&w, 1, &in, &none), MOTET_OK);
    sw_hold(&w, 0, 1, false);
    sw_run(&w, 5000);
    cr_expect_not(sw_lives(&w, 0, port));
    cr_expect_not(sw_lives(&w, 1, port));
    const struct record r = {.kind = RECORD_OWNER, .subject = port};
    for (int at = 0; at < 2; at++) {
        cr_expect_not(directory_said(site_directory(w.at[at].site), &r, &epoch),
                      "site%d", at);
    }
    sw_fini(&w);
}

/* ---- What goes along -------------------------------------------------------
 */

static struct motet_ui client, out;

static void add_client(int at)
{
    client = sw_actor(&w, at, "client", false);
    out = sw_port(&w, at, client);
}

Test(site_moves, the_queue_with_its_requests)
{
    begin_with(3, NULL);
    add_client(2);
    for (uint64_t i = 1; i <= 5; i++) {
        cr_assert_eq(sw_send(&w, 2, client, out, port, i), MOTET_OK);
    }
    const uint64_t call = sw_call(&w, 2, client, out, port);
    sw_run(&w, 50);
    cr_assert_eq(sw_heard(&w, 2, NUC_SENT), 5);
    cr_assert_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_OK);
    cr_expect_eq(sw_one(&w, 1, NUC_PORT_ADOPTED, 0)->seq, 0, "the cut");
    cr_assert_eq(sw_send(&w, 2, client, out, port, 6), MOTET_OK);
    sw_run(&w, 50);
    sw_receive(&w, 1, taker, port);
    cr_assert_eq(sw_heard(&w, 1, NUC_DELIVER), 7);
    for (uint32_t i = 0; i < 7; i++) {
        cr_expect_eq(sw_one(&w, 1, NUC_DELIVER, i)->seq, i + 1);
    }
    const struct nuc_effect *asked = sw_one(&w, 1, NUC_DELIVER, 5);
    cr_assert_neq(asked->held, 0);
    cr_expect_eq(asked->msg.annex_bytes, 4);
    struct nuc_out none;
    struct nuc_in in = sw_in(&w, NUC_REPLY);
    in.actor = taker;
    in.held = asked->held;
    cr_assert_eq(sw_op(&w, 1, &in, &none), MOTET_OK);
    sw_run(&w, 50);
    cr_expect_eq(sw_one(&w, 2, NUC_CALL_DONE, 0)->call, call);
    cr_expect_eq(sw_one(&w, 2, NUC_CALL_DONE, 0)->err, MOTET_OK);
    sw_fini(&w);
}

Test(site_moves, the_queue_is_dropped_if_asked_for)
{
    uint64_t id;
    begin_with(3, NULL);
    add_client(2);
    cr_assert_eq(sw_send(&w, 2, client, out, port, 1), MOTET_OK);
    (void)sw_call(&w, 2, client, out, port);
    sw_run(&w, 50);
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", true, &id), MOTET_OK);
    cr_assert_eq(sw_end(&w, 0, id, 1000), MOTET_OK);
    const struct move_note *n = moves_find(w.at[0].site, id);
    cr_expect_eq(n->dropped, 2);
    cr_expect_eq(n->queued, 0);
    sw_run(&w, 50);
    cr_expect_eq(sw_one(&w, 2, NUC_CALL_DONE, 0)->err, MOTET_E_MOVING);
    sw_receive(&w, 1, taker, port);
    cr_expect_eq(sw_heard(&w, 1, NUC_DELIVER), 0);
    sw_fini(&w);
}

/* To and fro, and what is sent meanwhile comes once, in order. */
Test(site_moves, round_and_round)
{
    begin_with(3, NULL);
    add_client(2);
    const char *const names[] = {"home", "taker", "third"};
    struct motet_ui actor[] = {sw_actor(&w, 0, "home", true), taker,
                               sw_actor(&w, 2, "third", true)};
    struct motet_ui owner = giver;
    uint64_t token = 0;
    int at = 0;
    for (int i = 0; i < 12; i++) {
        const int to = i % 3 == 2 ? (at + 2) % 3 : (at + 1) % 3;
        uint64_t id;
        cr_assert_eq(sw_ask(&w, at, to, owner, port, names[to], false, &id),
                     MOTET_OK);
        for (int k = 0; k < 4; k++) {
            cr_assert_eq(sw_send(&w, 2, client, out, port, ++token), MOTET_OK);
            sw_run(&w, 1);
        }
        cr_assert_eq(sw_end(&w, at, id, 1000), MOTET_OK, "move %d", i);
        cr_expect_not(sw_lives(&w, at, port));
        cr_expect(sw_lives(&w, to, port));
        at = to;
        owner = actor[to];
    }
    sw_run(&w, 200);
    sw_receive(&w, at, owner, port);
    cr_assert_eq(sw_heard(&w, at, NUC_DELIVER), token);
    for (uint32_t i = 0; i < token; i++) {
        cr_expect_eq(sw_one(&w, at, NUC_DELIVER, i)->seq, i + 1);
    }
    cr_expect_eq(sw_heard(&w, 2, NUC_SENT), token);
    sw_fini(&w);
}

/* Also who never sent to it hears where it lives. */
Test(site_moves, all_hear_where_it_is)
{
    begin_with(3, NULL);
    cr_assert_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_OK);
    sw_run(&w, 100);
    for (int at = 0; at < 3; at++) {
        uint64_t epoch;
        const struct place_of place =
            netmgr_where(site_netmgr(w.at[at].site), port, &epoch);
        cr_expect_eq(place.site, sw_id(1), "site%d", at);
        cr_expect_eq(place.incarnation, 1);
        cr_expect_eq(epoch, 2);
    }
    sw_fini(&w);
}

static struct motet_cap service(int at, struct motet_ui actor)
{
    struct nuc_out result;
    struct nuc_in in = sw_in(&w, NUC_GROUP_NEW);
    in.actor = actor;
    in.name = "service";
    cr_assert_eq(sw_op(&w, at, &in, &result), MOTET_OK);
    return result.cap;
}

/* The port enters a group, or leaves it. */
static void group_op(enum nuc_kind kind, int at, struct motet_ui actor,
                     struct motet_cap group)
{
    struct nuc_out result;
    struct nuc_in in = sw_in(&w, kind);
    in.actor = actor;
    in.cap = group;
    in.port = port;
    cr_assert_eq(sw_op(&w, at, &in, &result), MOTET_OK);
    sw_run(&w, 50);
}

static uint32_t members(int at, struct motet_cap group)
{
    struct nuc_out result;
    struct nuc_in in = sw_in(&w, NUC_GROUP_LIST);
    in.dest.target = group.ui;
    while (sw_op(&w, at, &in, &result) == MOTET_OK) {
        in.index++;
    }
    return in.index;
}

/* Its groups are said at the new site at once, at the old one until then. */
Test(site_moves, a_group_is_never_empty)
{
    begin();
    const struct motet_cap group = service(0, giver);
    group_op(NUC_GROUP_INSERT, 0, giver, group);
    sw_run(&w, 50);
    uint64_t id;
    cr_assert_eq(sw_ask(&w, 0, 1, giver, port, "taker", false, &id), MOTET_OK);
    for (int i = 0; i < 4000; i++) {
        sw_run(&w, 1);
        for (int at = 0; at < 2; at++) {
            struct nuc_out member;
            struct nuc_in list = sw_in(&w, NUC_GROUP_LIST);
            list.dest.target = group.ui;
            cr_assert_eq(sw_op(&w, at, &list, &member), MOTET_OK,
                         "empty at site%d after %d ms", at, i);
            if (i > 100) {
                cr_assert_eq(member.member.site, sw_id(1));
            }
            list.index = 1;
            cr_assert_eq(sw_op(&w, at, &list, &member), MOTET_E_NO_MEMBER);
        }
    }
    cr_expect_eq(sw_end(&w, 0, id, 1), MOTET_OK);
    sw_fini(&w);
}

/* A port in a group has been given away, and may come back to "home". */
static struct motet_cap begin_away(void)
{
    begin_with(3, NULL);
    (void)sw_actor(&w, 0, "home", true);
    const struct motet_cap group = service(0, giver);
    group_op(NUC_GROUP_INSERT, 0, giver, group);
    cr_assert_eq(sw_move(&w, 0, 1, giver, port, "taker"), MOTET_OK);
    return group;
}

/* What was said here of a port that was given away is still said for a while.
 * One that comes back until then may have left its groups meanwhile. */
Test(site_moves, it_left_its_group_while_it_was_away)
{
    const struct motet_cap group = begin_away();
    group_op(NUC_GROUP_REMOVE, 1, taker, group);
    cr_assert_eq(sw_move(&w, 1, 0, taker, port, "home"), MOTET_OK);
    sw_run(&w, 100);
    for (int at = 0; at < 3; at++) {
        cr_expect_eq(members(at, group), 0, "site%d", at);
    }
    sw_run(&w, 5000);
    for (int at = 0; at < 3; at++) {
        cr_expect_eq(members(at, group), 0, "later, site%d", at);
    }
    sw_fini(&w);
}

/* And one that has not is in them all the time. */
Test(site_moves, it_comes_back_to_its_group)
{
    const struct motet_cap group = begin_away();
    uint64_t id;
    cr_assert_eq(sw_ask(&w, 1, 0, taker, port, "home", false, &id), MOTET_OK);
    for (int i = 0; i < 4000; i++) {
        sw_run(&w, 1);
        for (int at = 0; at < 3; at++) {
            cr_assert_eq(members(at, group), 1, "site%d after %d ms", at, i);
        }
    }
    cr_expect_eq(sw_end(&w, 1, id, 1), MOTET_OK);
    sw_fini(&w);
}
