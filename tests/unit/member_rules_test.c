#include "member_one.h"
#include "sites/core/member.h"

/* What a machine makes of single inputs: refusals, acquaintance, suspicion. */

TestSuite(member_rules, .timeout = 10);

/* ---- Refusals -------------------------------------------------------------
 */

Test(member_rules, strangers_are_not_listened_to, .init = setup,
     .fini = teardown)
{
    told(BOB, about(ZOE, 1, MEMBER_ALIVE, 0));
    cr_expect_eq(seen_count, 0, "no session: no word");
    cr_expect_eq(state_of(ZOE), 0);
}

Test(member_rules, nonsense_is_ignored, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(BOB, about(0, 1, MEMBER_ALIVE, 0));
    cr_expect_eq(find(MEMBER_STATE, 0, 0), NULL, "no site");
    told(BOB, about(ZOE, 1, 0, 0));
    cr_expect_eq(state_of(ZOE), 0, "no state");
    told(BOB, about(ZOE, 1, MEMBER_LEFT + 1, 0));
    cr_expect_eq(state_of(ZOE), 0, "no such state");
    struct member_update u = about(ZOE, 1, MEMBER_ALIVE, 0);
    memset(u.name, 'x', sizeof u.name);
    told(BOB, u);
    cr_expect_eq(state_of(ZOE), 0, "a name without an end");
    u = about(ZOE, 1, MEMBER_ALIVE, 0);
    memset(u.address, 'x', sizeof u.address);
    told(BOB, u);
    cr_expect_eq(state_of(ZOE), 0, "an address without an end");
    step((struct member_in){
        .kind = MEMBER_IN_MSG, .site = BOB, .incarnation = INC});
    cr_expect_eq(seen_count, 0, "no message");
    static struct member_msg msg = {.kind = MEMBER_PING,
                                    .update_count = MEMBER_UPDATES_MAX + 1};
    step((struct member_in){
        .kind = MEMBER_IN_MSG, .site = BOB, .incarnation = INC, .msg = &msg});
    cr_expect_eq(seen_count, 0, "more updates than there can be");
    step((struct member_in){.kind = MEMBER_IN_MSG,
                            .site = BOB,
                            .incarnation = INC - 1,
                            .msg = &msg});
    cr_expect_eq(seen_count, 0, "an earlier life speaks");
    session(ME, INC, true);
    cr_expect_eq(seen_count, 0, "a session with oneself");
}

Test(member_rules, the_dead_are_not_heard, .init = with_bob_and_eve,
     .fini = teardown)
{
    step((struct member_in){
        .kind = MEMBER_IN_DEAD, .site = BOB, .incarnation = INC});
    cr_expect_eq(state_of(BOB), MEMBER_DEAD);
    told(BOB, about(ME, INC, MEMBER_DEAD, 0));
    cr_expect_eq(seen_count, 0, "the dead cannot kill");
    session(BOB, INC, true);
    cr_expect_eq(state_of(BOB), MEMBER_DEAD, "dead is final");
    session(BOB, INC - 1, true);
    cr_expect_eq(state_of(BOB), MEMBER_DEAD, "more so an earlier life");
    session(BOB, INC + 1, true);
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "a new life is another matter");
}

Test(member_rules, the_end_of_an_unknown_life_is_no_news,
     .init = with_bob_and_eve, .fini = teardown)
{
    told(BOB, about(ZOE, 3, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(ZOE), 0);
    told(BOB, about(ZOE, 3, MEMBER_LEFT, 0));
    cr_expect_eq(state_of(ZOE), 0);
    told(BOB, about(ZOE, 3, MEMBER_ALIVE, 0));
    cr_expect_eq(state_of(ZOE), MEMBER_ALIVE);
    told(BOB, about(ZOE, 2, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(ZOE), MEMBER_ALIVE, "an earlier life ended");
}

/* ---- Acquaintance ---------------------------------------------------------
 */

Test(member_rules, this_site_is_the_first_of_all, .init = setup,
     .fini = teardown)
{
    struct member_info info;
    uint64_t lowest;
    cr_assert(members_next(m, 0, &info));
    cr_expect_eq(info.site, ME);
    cr_expect_str_eq(info.name, "me");
    cr_expect_not(members_next(m, ME, &info));
    cr_expect_not(members_next(m, 999, &info));
    cr_expect_eq(members_alive(m, &lowest), 1);
    cr_expect_eq(lowest, ME);
    cr_expect_eq(members_deadline_ns(m), DEADLINE_NEVER, "alone: nothing due");
}

Test(member_rules, a_session_is_an_acquaintance, .init = setup,
     .fini = teardown)
{
    session(BOB, INC, true);
    const struct seen *s = find(MEMBER_STATE, BOB, 0);
    cr_assert_not_null(s);
    cr_expect_eq(s->state, MEMBER_ALIVE);
    cr_expect_eq(find(MEMBER_MEET, BOB, 0), NULL, "they have met");
    cr_expect_not_null(sent(BOB, MEMBER_SYNC), "and tell all they know");
    session(BOB, INC, true);
    cr_expect_eq(seen_count, 0, "a new round trip is no news");
    pass(1000);
    cr_expect_not_null(sent(BOB, MEMBER_PING));
}

Test(member_rules, who_is_heard_of_is_met_at_most_once_a_second,
     .init = with_bob_and_eve, .fini = teardown)
{
    told(BOB, about(ZOE, 1, MEMBER_ALIVE, 0));
    cr_expect_not_null(find(MEMBER_MEET, ZOE, 0), "at first sight");
    uint32_t meets = 0;
    pass(1900);
    while (find(MEMBER_MEET, ZOE, meets) != NULL) {
        meets++;
    }
    cr_expect_eq(meets, 1, "%u", meets);
    session(ZOE, 1, true);
    pass(1500);
    cr_expect_eq(find(MEMBER_MEET, ZOE, 0), NULL, "they have met");
}

Test(member_rules, a_newer_life_ends_the_older, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(EVE, about(BOB, INC + 2, MEMBER_ALIVE, 0));
    const struct seen *old = find(MEMBER_STATE, BOB, 0);
    const struct seen *new = find(MEMBER_STATE, BOB, 1);
    cr_assert(old != NULL && new != NULL);
    cr_expect(old->incarnation == INC && old->state == MEMBER_DEAD);
    cr_expect(new->incarnation == INC + 2 && new->state == MEMBER_ALIVE);
    cr_expect_not_null(find(MEMBER_MEET, BOB, 0));
    session(BOB, INC, false);
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "that was the older's session");
    told(EVE, about(BOB, INC + 3, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_DEAD, "a later life: this one is over");
    cr_expect_eq(incarnation_of(BOB), INC + 2);
}

/* ---- Suspicion ------------------------------------------------------------
 */

Test(member_rules, a_broken_session_is_suspicious, .init = with_bob_and_eve,
     .fini = teardown)
{
    session(BOB, INC, false);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    pass(1);
    step((struct member_in){
        .kind = MEMBER_IN_HEARD, .site = BOB, .incarnation = INC});
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "evidence clears");
    const struct seen *news = find(MEMBER_STATE, BOB, 0);
    cr_expect(news != NULL && news->state == MEMBER_ALIVE);
    told(EVE, about(BOB, INC, MEMBER_SUSPECT, 0));
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "the same suspicion is answered");
    told(EVE, about(BOB, INC, MEMBER_SUSPECT, 1));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "another one is not");
}

Test(member_rules, what_came_with_the_break_is_no_evidence,
     .init = with_bob_and_eve, .fini = teardown)
{
    session(BOB, INC, false);
    step((struct member_in){
        .kind = MEMBER_IN_HEARD, .site = BOB, .incarnation = INC});
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    step((struct member_in){
        .kind = MEMBER_IN_HEARD, .site = BOB, .incarnation = INC + 1});
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "nor is another life");
}

Test(member_rules, a_suspect_dies_at_the_end_of_its_window,
     .init = with_bob_and_eve, .fini = teardown)
{
    session(BOB, INC, false);
    pass(1999);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    cr_expect_not_null(sent(EVE, MEMBER_PING_REQ), "others are asked");
    pass(1);
    cr_expect_eq(state_of(BOB), MEMBER_DEAD);
    pass(200);
    cr_expect(carries(sent(EVE, MEMBER_GOSSIP), BOB, MEMBER_DEAD) ||
              carries(sent(EVE, MEMBER_PING), BOB, MEMBER_DEAD));
    pass(300 * 1000);
    cr_expect_eq(state_of(BOB), 0, "in the end it is forgotten");
}

Test(member_rules, a_site_that_does_not_answer_is_suspected,
     .init = with_bob_and_eve, .fini = teardown)
{
    pass(900);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    const struct seen *ping = sent(BOB, MEMBER_PING);
    cr_assert_not_null(ping);
    pass(150);
    cr_expect(carries(sent(BOB, MEMBER_PING), BOB, MEMBER_SUSPECT),
              "the suspect is told");
}

Test(member_rules, a_higher_refutation_clears, .init = with_bob_and_eve,
     .fini = teardown)
{
    session(BOB, INC, false);
    told(EVE, about(BOB, INC, MEMBER_ALIVE, 0));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "old news");
    told(EVE, about(BOB, INC, MEMBER_ALIVE, 1));
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE);
    told(EVE, about(BOB, INC, MEMBER_SUSPECT, 0));
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "refuted already");
}

Test(member_rules, a_late_voucher_is_no_evidence, .init = with_bob_and_eve,
     .fini = teardown)
{
    message(EVE, MEMBER_PING_REQ, 77, BOB, false);
    const struct seen *ping = sent(BOB, MEMBER_PING);
    cr_assert_not_null(ping, "a probe for another");
    const uint32_t before = ping->msg.seq;
    session(BOB, INC, false);
    pass(1);
    message(EVE, MEMBER_ACK, before, BOB, false);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "asked before the suspicion");
    message(EVE, MEMBER_ACK, before + 1000, BOB, false);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "never asked");
    pass(150);
    const struct seen *req = sent(EVE, MEMBER_PING_REQ);
    cr_assert_not_null(req);
    message(EVE, MEMBER_ACK, req->msg.seq, BOB, false);
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE, "asked after it");
}

/* A cut or a pause stretches a round trip to many seconds. */
Test(member_rules, a_stretched_round_trip_does_not_hide_a_death, .init = setup,
     .fini = teardown)
{
    step((struct member_in){.kind = MEMBER_IN_SESSION,
                            .site = BOB,
                            .incarnation = INC,
                            .name = "x",
                            .address = "x:1",
                            .up = true,
                            .rtt_ns = 20000 * MS_NS});
    pass(10000);
    cr_expect_neq(state_of(BOB), MEMBER_ALIVE);
}

/* What depends on an end that is told must ask first who is known. */
Test(member_rules, a_life_is_known_until_another_begins,
     .init = with_bob_and_eve, .fini = teardown)
{
    cr_expect(members_know(m, BOB, INC));
    cr_expect(members_know(m, ME, INC));
    cr_expect_not(members_know(m, BOB, INC - 1));
    cr_expect_not(members_know(m, BOB, INC + 1));
    cr_expect_not(members_know(m, ZOE, INC));
    told(EVE, about(BOB, INC, MEMBER_LEFT, 0));
    cr_expect(members_know(m, BOB, INC), "it has ended, and that was told");
    told(EVE, about(ZOE, INC, MEMBER_DEAD, 0));
    cr_expect_not(members_know(m, ZOE, INC), "nothing of it was told");
    told(EVE, about(BOB, INC + 1, MEMBER_ALIVE, 0));
    cr_expect_not(members_know(m, BOB, INC));
    cr_expect(members_know(m, BOB, INC + 1));
}
