#include "member_one.h"
#include "sites/core/member.h"

/* What others say, of others and of this site; what is done for others; limits.
 */

TestSuite(member_told, .timeout = 20);

/* ---- Deaths told by others ------------------------------------------------
 */

Test(member_told, a_death_told_against_evidence_is_checked,
     .init = with_bob_and_eve, .fini = teardown)
{
    told(EVE, about(BOB, INC, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "fresh evidence");
    session(BOB, INC, false);
    pass(900);
    told(EVE, about(BOB, INC, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "still fresh");
    pass(200);
    cr_expect_eq(state_of(BOB), MEMBER_DEAD, "half a window is enough");
}

Test(member_told, a_death_told_of_a_suspect_without_evidence_is_taken,
     .init = with_bob_and_eve, .fini = teardown)
{
    pass(1999);
    session(BOB, INC, false);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    told(EVE, about(BOB, INC, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "1,999 ms old");
    pass(1);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT);
    told(EVE, about(BOB, INC, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_DEAD, "2,000 ms old");
}

/* Many others, who are all heard; so that nobody probes BOB for a while. */
Test(member_told, a_death_told_of_one_with_a_session_is_checked,
     .init = with_bob_and_eve, .fini = teardown)
{
    for (uint64_t i = 0; i < 60; i++) {
        session(100 + i, INC, true);
    }
    for (uint32_t k = 0; k < 22; k++) {
        pass(100);
        for (uint64_t i = 0; i < 61; i++) {
            step((struct member_in){.kind = MEMBER_IN_HEARD,
                                    .site = i == 60 ? EVE : 100 + i,
                                    .incarnation = INC});
        }
    }
    cr_assert_eq(state_of(BOB), MEMBER_ALIVE, "not probed yet");
    told(EVE, about(BOB, INC, MEMBER_DEAD, 0));
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "quiet for 2,200 ms");
}

static void told_by_a_later_eve(struct member_update u)
{
    static struct member_msg msg = {.kind = MEMBER_GOSSIP, .update_count = 1};
    msg.updates[0] = u;
    session(EVE, INC + 1, true); /* she does not answer the probes here */
    step((struct member_in){.kind = MEMBER_IN_MSG,
                            .site = EVE,
                            .incarnation = INC + 1,
                            .msg = &msg});
}

Test(member_told, the_dead_who_are_said_to_live_are_met,
     .init = with_bob_and_eve, .fini = teardown)
{
    step((struct member_in){
        .kind = MEMBER_IN_DEAD, .site = BOB, .incarnation = INC});
    pass(3999);
    told_by_a_later_eve(about(BOB, INC, MEMBER_ALIVE, 9));
    cr_expect_eq(find(MEMBER_MEET, BOB, 0), NULL, "an echo of its life");
    pass(1);
    told_by_a_later_eve(about(BOB, INC, MEMBER_ALIVE, 9));
    cr_expect_not_null(find(MEMBER_MEET, BOB, 0), "a contradiction");
    cr_expect_eq(state_of(BOB), MEMBER_DEAD);
    told_by_a_later_eve(about(BOB, INC, MEMBER_ALIVE, 9));
    cr_expect_eq(find(MEMBER_MEET, BOB, 0), NULL, "once a second");
}

Test(member_told, an_earlier_end_is_not_the_end, .init = with_bob_and_eve,
     .fini = teardown)
{
    step((struct member_in){
        .kind = MEMBER_IN_DEAD, .site = BOB, .incarnation = INC - 1});
    step((struct member_in){
        .kind = MEMBER_IN_BYE, .site = BOB, .incarnation = INC - 1});
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE);
}

Test(member_told, who_leaves_is_not_suspected, .init = with_bob_and_eve,
     .fini = teardown)
{
    step((struct member_in){
        .kind = MEMBER_IN_BYE, .site = BOB, .incarnation = INC});
    const struct seen *news = find(MEMBER_STATE, BOB, 0);
    cr_expect(news != NULL && news->state == MEMBER_LEFT);
    session(BOB, INC, false);
    cr_expect_eq(seen_count, 0);
    static struct member_msg msg = {.kind = MEMBER_PING, .update_count = 1};
    msg.updates[0] = about(EVE, INC, MEMBER_LEFT, 0);
    step((struct member_in){
        .kind = MEMBER_IN_MSG, .site = EVE, .incarnation = INC, .msg = &msg});
    cr_expect_eq(sent(EVE, MEMBER_ACK), NULL, "and is not answered any more");
    cr_expect_eq(state_of(EVE), MEMBER_LEFT);
    uint64_t lowest;
    cr_expect_eq(members_alive(m, &lowest), 1);
}

/* ---- About this site ------------------------------------------------------
 */

Test(member_told, a_suspicion_of_me_is_refuted, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(BOB, about(ME, INC - 1, MEMBER_DEAD, 0));
    cr_expect_eq(find(MEMBER_SELF_DEAD, ME, 0), NULL, "a former life");
    told(BOB, about(ME, INC, MEMBER_SUSPECT, 4));
    message(BOB, MEMBER_PING, 9, 0, false);
    const struct seen *ack = sent(BOB, MEMBER_ACK);
    cr_assert_not_null(ack);
    cr_expect_eq(ack->msg.seq, 9);
    cr_assert(carries(ack, ME, MEMBER_ALIVE));
    for (uint32_t i = 0; i < ack->msg.update_count; i++) {
        if (ack->msg.updates[i].site == ME) {
            cr_expect_eq(ack->msg.updates[i].refutes, 5);
        }
    }
}

Test(member_told, my_own_death_is_told_once, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(BOB, about(ME, INC, MEMBER_DEAD, 0));
    const struct seen *s = find(MEMBER_SELF_DEAD, ME, 0);
    cr_assert_not_null(s);
    cr_expect_eq(s->incarnation, INC + 1);
    told(BOB, about(ME, INC, MEMBER_DEAD, 0));
    cr_expect_eq(find(MEMBER_SELF_DEAD, ME, 0), NULL);
}

Test(member_told, a_later_life_of_mine_is_beyond_me, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(BOB, about(ME, UINT32_MAX, MEMBER_ALIVE, 0));
    cr_expect_eq(find(MEMBER_SELF_DEAD, ME, 0), NULL, "there is none after it");
    told(BOB, about(ME, INC + 7, MEMBER_ALIVE, 0));
    const struct seen *s = find(MEMBER_SELF_DEAD, ME, 0);
    cr_assert_not_null(s);
    cr_expect_eq(s->incarnation, INC + 8);
}

Test(member_told, a_stall_drops_suspicions, .init = with_bob_and_eve,
     .fini = teardown)
{
    told(EVE, about(BOB, INC, MEMBER_SUSPECT, 0));
    cr_assert_eq(state_of(BOB), MEMBER_SUSPECT);
    step((struct member_in){.kind = MEMBER_IN_STALL, .late_ns = 99 * MS_NS});
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "not worth the name");
    step((struct member_in){.kind = MEMBER_IN_STALL, .late_ns = 100 * MS_NS});
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE);
    session(BOB, INC, false);
    pass(15999);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "8 windows of 2 s");
    pass(1);
    cr_expect_eq(state_of(BOB), MEMBER_DEAD);
}

Test(member_told, a_stall_does_not_free_who_has_no_session,
     .init = with_bob_and_eve, .fini = teardown)
{
    session(BOB, INC, false);
    pass(1900);
    step((struct member_in){.kind = MEMBER_IN_STALL, .late_ns = 500 * MS_NS});
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "suspected anew");
    pass(1900);
    cr_expect_eq(state_of(BOB), MEMBER_SUSPECT, "and for longer");
}

Test(member_told, a_stall_spoils_the_probe_under_way, .init = with_bob_and_eve,
     .fini = teardown)
{
    while (sent(BOB, MEMBER_PING) == NULL) {
        pass(1);
        if (sent(EVE, MEMBER_PING) != NULL) {
            message(EVE, MEMBER_ACK, sent(EVE, MEMBER_PING)->msg.seq, 0, false);
        }
    }
    step((struct member_in){.kind = MEMBER_IN_STALL, .late_ns = 100 * MS_NS});
    pass(1200);
    cr_expect_eq(state_of(BOB), MEMBER_ALIVE);
}

/* A miss that no helper confirmed may be my own fault: Lifeguard. */
Test(member_told, silent_helpers_make_modest, .fini = teardown)
{
    for (int silent = 0; silent < 2; silent++) {
        with_bob_and_eve();
        uint32_t misses = 0;
        while (misses == 0) {
            pass(1);
            const struct seen *ping = sent(EVE, MEMBER_PING);
            const struct seen *req = sent(EVE, MEMBER_PING_REQ);
            misses = state_of(BOB) == MEMBER_SUSPECT ? 1 : 0;
            if (ping != NULL) {
                message(EVE, MEMBER_ACK, ping->msg.seq, 0, false);
            }
            if (req != NULL && !silent) {
                message(EVE, MEMBER_NACK, req->msg.seq, BOB, false);
            }
        }
        session(EVE, INC, false);
        pass(2100);
        cr_expect_eq(state_of(EVE), silent ? MEMBER_SUSPECT : MEMBER_DEAD,
                     "the window is longer when I may be at fault");
        if (!silent) {
            teardown();
        }
    }
}

/* ---- For others -----------------------------------------------------------
 */

Test(member_told, a_probe_for_another_is_passed_on, .init = with_bob_and_eve,
     .fini = teardown)
{
    message(BOB, MEMBER_PING_REQ, 7, ZOE, false);
    const struct seen *nack = sent(BOB, MEMBER_NACK);
    cr_assert_not_null(nack, "never heard of");
    cr_expect(nack->msg.seq == 7 && nack->msg.target == ZOE);

    session(ZOE, INC, true);
    step((struct member_in){
        .kind = MEMBER_IN_DEAD, .site = ZOE, .incarnation = INC});
    for (uint32_t i = 0; i < 20; i++) { /* until it is no news any more */
        message(BOB, MEMBER_PING, i, 0, false);
    }
    message(BOB, MEMBER_PING_REQ, 7, ZOE, false);
    cr_expect(carries(sent(BOB, MEMBER_NACK), ZOE, MEMBER_DEAD),
              "who asks for the dead has missed the notice");

    message(BOB, MEMBER_PING_REQ, 8, EVE, false);
    const struct seen *ping = sent(EVE, MEMBER_PING);
    cr_assert_not_null(ping);
    message(EVE, MEMBER_ACK, ping->msg.seq, 0, false);
    const struct seen *ack = sent(BOB, MEMBER_ACK);
    cr_assert_not_null(ack);
    cr_expect(ack->msg.seq == 8 && ack->msg.target == EVE);

    message(BOB, MEMBER_PING_REQ, 9, EVE, false);
    pass(79);
    cr_expect_eq(sent(BOB, MEMBER_NACK), NULL);
    pass(1);
    cr_expect_not_null(sent(BOB, MEMBER_NACK), "four fifths of the time-out");
}

Test(member_told, all_is_told_who_wants_it_in_parts, .init = setup,
     .fini = teardown)
{
    session(BOB, INC, true);
    for (uint64_t i = 0; i < 31; i++) {
        told(BOB, about(1000 + i, 1, MEMBER_ALIVE, 0));
    }
    message(BOB, MEMBER_SYNC, 0, 0, true);
    uint32_t parts = 0, sites = 0;
    for (uint32_t i = 0; i < seen_count; i++) {
        if (seen[i].kind == MEMBER_SEND && seen[i].msg.kind == MEMBER_SYNC) {
            parts++;
            sites += seen[i].msg.update_count;
            cr_expect_not(seen[i].msg.want, "an answer asks for nothing");
        }
    }
    cr_expect_eq(parts, 3, "33 sites, 16 in a part");
    cr_expect_eq(sites, 33);
    message(BOB, MEMBER_SYNC, 0, 0, true);
    cr_expect_eq(sent(BOB, MEMBER_SYNC), NULL, "once a second");
}

Test(member_told, all_is_asked_for_every_five_seconds, .init = setup,
     .fini = teardown)
{
    session(BOB, INC, true);
    for (uint64_t i = 0; i < 31; i++) {
        told(BOB, about(1000 + i, 1, MEMBER_ALIVE, 0));
    }
    uint32_t parts = 0, wants = 0;
    for (uint32_t k = 0; k < 50; k++) {
        pass(100);
        for (uint32_t i = 0; i < seen_count; i++) {
            const bool sync =
                seen[i].kind == MEMBER_SEND && seen[i].msg.kind == MEMBER_SYNC;
            parts += sync ? 1 : 0;
            wants += sync && seen[i].msg.want ? 1 : 0;
            cr_expect(seen[i].kind != MEMBER_SEND || seen[i].site == BOB,
                      "there is no session with the others");
        }
        step((struct member_in){
            .kind = MEMBER_IN_HEARD, .site = BOB, .incarnation = INC});
    }
    cr_expect_eq(parts, 3);
    cr_expect_eq(wants, 1, "one answer to all parts");
}

/* An update goes out 4 * ceil(log10(n + 1)) times, and no more. */
Test(member_told, news_grow_old, .init = with_bob_and_eve, .fini = teardown)
{
    pass(10);
    told(BOB, about(ZOE, 1, MEMBER_ALIVE, 0));
    uint32_t times = 0;
    for (uint32_t i = 0; i < 20; i++) {
        message(BOB, MEMBER_PING, i, 0, false);
        times += carries(sent(BOB, MEMBER_ACK), ZOE, MEMBER_ALIVE) ? 1 : 0;
    }
    cr_expect_eq(times, 4, "4 sites: 4 times, not %u", times);
}

/* ---- Limits ---------------------------------------------------------------
 */

Test(member_told, sites_at_the_limit_and_one_past)
{
    setup_with(4, 1 << 24);
    session(BOB, INC, true);
    session(EVE, INC, true);
    session(ZOE, INC, true);
    session(50, INC, true);
    cr_expect_eq(state_of(50), 0, "the fifth finds no room");
    step((struct member_in){
        .kind = MEMBER_IN_DEAD, .site = EVE, .incarnation = INC});
    session(50, INC, true);
    cr_expect_eq(state_of(50), MEMBER_ALIVE, "a dead one makes room");
    cr_expect_eq(state_of(EVE), 0);
    teardown();
}

Test(member_told, memory_at_the_cap_is_no_fault)
{
    uint32_t created = 0;
    for (size_t cap = 1000; cap < 400000; cap += 501) {
        setup_with(64, cap);
        if (m == NULL) {
            cr_assert_eq(mem.used_bytes, 0);
            continue;
        }
        created++;
        for (uint64_t i = 0; i < 20; i++) {
            session(100 + i, INC, true);
            told(100, about(200 + i, INC, MEMBER_ALIVE, 0));
        }
        pass(1000);
        teardown();
    }
    cr_expect_gt(created, 100);
}

static void pass_unseen(uint64_t ms)
{
    const uint64_t until_ns = now_ns + ms * MS_NS;
    while (members_deadline_ns(m) <= until_ns) {
        now_ns =
            members_deadline_ns(m) > now_ns ? members_deadline_ns(m) : now_ns;
        const struct member_in in = {.kind = MEMBER_IN_TICK, .now_ns = now_ns};
        members_step(m, &in);
        while (members_effect(m) != NULL) {
        }
    }
    now_ns = until_ns;
}

/* This site is cut off from a thousand: no step may cost the square. */
Test(member_told, a_thousand_sites_are_lost_at_once, .init = setup)
{
    session(BOB, INC, true);
    const size_t used = mem.used_bytes;
    for (uint64_t i = 0; i < 1022; i++) {
        session(1000 + i, INC, true);
    }
    uint64_t lowest;
    cr_expect_eq(members_alive(m, &lowest), 1024);
    session(2, INC, true);
    cr_expect_eq(members_alive(m, &lowest), 1024, "one past the limit");
    cr_expect_leq((mem.used_bytes - used) / 1022, 2048, "%zu bytes for a site",
                  (mem.used_bytes - used) / 1022);
    session(BOB, INC, false);
    for (uint64_t i = 0; i < 1022; i++) {
        session(1000 + i, INC, false);
    }
    pass_unseen(2100);
    cr_expect_eq(members_alive(m, &lowest), 1);
    pass_unseen(301 * 1000);
    cr_expect_eq(state_of(1000), 0);
    cr_expect_eq(members_deadline_ns(m), DEADLINE_NEVER);
    teardown();
}

/* A sender that floods is answered as far as there is room; then it is not. */
Test(member_told, requests_beyond_the_limit_are_dropped,
     .init = with_bob_and_eve, .fini = teardown)
{
    for (uint32_t i = 0; i < 400; i++) {
        message(BOB, MEMBER_PING_REQ, i, EVE, false);
        cr_expect_eq(sent(EVE, MEMBER_PING) != NULL, i < 256, "%u", i);
    }
    pass(90);
    message(BOB, MEMBER_PING_REQ, 1000, EVE, false);
    cr_expect_not_null(sent(EVE, MEMBER_PING), "there is room again");
}

Test(member_told, equal_lives_make_equal_views, .init = with_bob_and_eve,
     .fini = teardown)
{
    const uint64_t view = members_view(m);
    told(EVE, about(BOB, INC, MEMBER_SUSPECT, 0));
    cr_expect_eq(members_view(m), view, "a suspect lives");
    told(EVE, about(BOB, INC + 1, MEMBER_ALIVE, 0));
    cr_expect_neq(members_view(m), view, "another life");
    const uint64_t other = members_view(m);
    members_destroy(m);
    setup();
    session(EVE, INC, true);
    session(BOB, INC + 1, true);
    cr_expect_eq(members_view(m), other, "the order does not matter");
}
