#include "nucleus/core/nucleus.h"
#include "nucleus_scene.h"

TestSuite(nucleus_served, .timeout = 10);

/* ---- Asked from elsewhere --------------------------------------------------
 */

static struct msg request(uint64_t call, uint32_t remaining_ms)
{
    return (struct msg){
        .kind = MSG_REQUEST,
        .call = call,
        .remaining_ms = remaining_ms,
        .reply_to = world_far(1),
    };
}

static enum motet_err ask(struct scene *s, struct msg m)
{
    return world_deliver(&s->w, world_far(1), s->in, m);
}

static enum motet_err ask_cancel(struct scene *s, uint64_t call)
{
    const struct msg m = {
        .kind = MSG_CANCEL, .call = call, .reply_to = world_far(1)};
    return world_deliver(&s->w, world_far(1), s->in, m);
}

/* The reply on its way out. */
static enum motet_err answered(const struct scene *s)
{
    const struct nuc_effect *e = world_one(&s->w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_REPLY);
    cr_expect(ui_equal(e->dst, world_far(1)));
    return (enum motet_err)e->msg.status;
}

static void drop_replies(struct scene *s)
{
    while (world_seen(&s->w, NUC_TO_NET) > 0) {
        const uint64_t t = world_nth(&s->w, NUC_TO_NET, 0)->ticket;
        world_clear(&s->w);
        cr_assert_eq(world_outcome(&s->w, t, MOTET_OK), MOTET_OK);
    }
}

Test(nucleus_served, bad_requests_are_refused)
{
    static struct scene s;
    scene_init(&s, true, 0);
    struct msg m = request(5, 0);
    m.reply_to = (struct motet_ui){0};
    cr_expect_eq(ask(&s, m), MOTET_E_PROTOCOL);
    cr_expect_eq(ask(&s, request(0, 0)), MOTET_E_PROTOCOL);
    m = request(5, 0);
    m.annex_bytes = 1;
    cr_expect_eq(ask(&s, m), MOTET_E_INVALID);
    m.kind = (enum msg_kind)77;
    cr_expect_eq(ask(&s, m), MOTET_E_PROTOCOL);
    m = request(5, 0);
    m.reply_to = s.out;
    cr_expect_eq(ask(&s, m), MOTET_E_CANCELLED, "no such call was made here");
    cr_expect_eq(ask(&s, request(5, 0)), MOTET_OK);
    cr_expect_eq(ask(&s, request(5, 0)), MOTET_E_PROTOCOL, "twice");
    cr_assert_eq(world_actor_end(&s.w, s.server, MOTET_NEWS_CLOSED), MOTET_OK);
    cr_expect_eq(answered(&s), MOTET_E_MAYBE_CLOSED);
    cr_expect_eq(ask(&s, request(6, 0)), MOTET_E_NO_PORT);
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, a_remote_caller_is_answered)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(ask(&s, request(5, 20)), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_DELIVER);
    cr_assert_eq(world_reply(&s.w, s.server, e->held), MOTET_OK);
    cr_expect_eq(answered(&s), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_TO_NET)->msg.call, 5);
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, a_stalled_reply_is_sent_again)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(ask(&s, request(5, 0)), MOTET_OK);
    cr_assert_eq(
        world_reply(&s.w, s.server, world_one(&s.w, NUC_DELIVER)->held),
        MOTET_OK);
    const uint64_t t = ticket(&s);
    world_clear(&s.w);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_E_AGAIN), MOTET_OK);
    cr_expect_eq(s.w.count, 0);
    struct nuc_in in = world_in(&s.w, NUC_NET_ROOM_FOR);
    in.src = s.in;
    in.dst = world_far(2);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 0, "another flow");
    cr_expect(ui_equal(world_one(&s.w, NUC_ROOM)->port, s.in));
    cr_expect(ui_equal(world_one(&s.w, NUC_ROOM)->dst, world_far(2)));
    in.dst = world_far(1);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_eq(msg_bytes(&world_one(&s.w, NUC_TO_NET)->msg), 5);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_E_MAYBE_LOST), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 2, "a double does no harm");
    cr_assert_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_OK);
    scene_fini(&s);
}

/* Stalled ones are tried a few at a time, until all have got through. */
Test(nucleus_served, stalled_replies_follow_each_other)
{
    enum { REPLIES = 100 };
    static struct scene s;
    scene_init(&s, true, 0);
    for (uint64_t call = 1; call <= REPLIES; call++) {
        cr_assert_eq(ask(&s, request(call, 0)), MOTET_OK);
        cr_assert_eq(
            world_reply(&s.w, s.server, world_one(&s.w, NUC_DELIVER)->held),
            MOTET_OK);
        const uint64_t t = ticket(&s);
        world_clear(&s.w);
        cr_assert_eq(world_outcome(&s.w, t, MOTET_E_AGAIN), MOTET_OK);
    }
    struct nuc_in in = world_in(&s.w, NUC_NET_ROOM_FOR);
    in.src = s.in;
    in.dst = world_far(1);
    cr_assert_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_lt(world_seen(&s.w, NUC_TO_NET), 20);
    for (uint32_t i = 0; i < REPLIES; i++) {
        const struct nuc_effect *e = world_nth(&s.w, NUC_TO_NET, i);
        cr_assert_eq(e->msg.call, i + 1, "in order");
        cr_assert_eq(world_outcome(&s.w, e->ticket, MOTET_OK), MOTET_OK);
    }
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), REPLIES);
    scene_fini(&s);
}

Test(nucleus_served, a_cancellation_is_not_for_ever)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    world_clear(&s.w);
    world_pass(&s.w, 5 * WORLD_MS);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_CANCEL);
    cr_expect_eq(e->deadline_ns, s.w.now_ns + UINT64_C(10000) * WORLD_MS);
    cr_assert_eq(world_outcome(&s.w, e->ticket, MOTET_E_TIMEOUT), MOTET_OK);
    scene_fini(&s);
}

Test(nucleus_served, a_refused_reply_is_tried_again_in_time)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(ask(&s, request(5, 2500)), MOTET_OK);
    cr_assert_eq(
        world_reply(&s.w, s.server, world_one(&s.w, NUC_DELIVER)->held),
        MOTET_OK);
    const uint64_t t = ticket(&s);
    for (uint32_t tries = 1; tries <= 2; tries++) {
        cr_assert_eq(world_outcome(&s.w, t, MOTET_E_LIMIT), MOTET_OK);
        cr_expect_eq(world_seen(&s.w, NUC_TO_NET), tries);
        world_pass(&s.w, UINT64_C(1000) * WORLD_MS);
        cr_expect_eq(world_seen(&s.w, NUC_TO_NET), tries + 1);
    }
    cr_assert_eq(world_outcome(&s.w, t, MOTET_E_LIMIT), MOTET_OK);
    world_pass(&s.w, UINT64_C(1000) * WORLD_MS);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 3, "nobody waits any more");
    scene_fini(&s);
}

/* The end of a site was told: nothing comes from it after that. */
Test(nucleus_served, the_dead_are_not_heard)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(ask(&s, request(5, 0)), MOTET_E_SITE_DEAD);
    cr_expect_eq(world_deliver_send(&s.w, world_far(1), s.in),
                 MOTET_E_SITE_DEAD);
    const struct msg m = {.kind = MSG_WATCH, .call = 1};
    cr_expect_eq(world_deliver(&s.w, world_far(1), s.in, m), MOTET_E_SITE_DEAD);
    const struct motet_ui newer = ui_make(WORLD_PEER, 2, UI_PORT, 1);
    cr_expect_eq(world_deliver_send(&s.w, newer, s.in), MOTET_OK);
    struct msg by_dead = request(6, 0);
    cr_expect_eq(world_deliver(&s.w, newer, s.in, by_dead), MOTET_E_SITE_DEAD,
                 "forwarded for a caller that is dead");
    scene_fini(&s);
}

Test(nucleus_served, a_queued_request_is_too_late)
{
    static struct scene s;
    scene_init(&s, false, 0);
    cr_assert_eq(ask(&s, request(5, 20)), MOTET_OK);
    world_pass(&s.w, 20 * WORLD_MS);
    cr_expect_eq(answered(&s), MOTET_E_TIMEOUT);
    cr_expect_eq(nucleus_counts(s.w.n).queued_msgs, 0);
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, a_remote_caller_cancels)
{
    static struct scene s;
    scene_init(&s, false, 0);
    cr_assert_eq(ask(&s, request(5, 20)), MOTET_OK);
    cr_assert_eq(ask(&s, request(6, 20)), MOTET_OK);
    cr_assert_eq(ask_cancel(&s, 6), MOTET_OK);
    cr_expect_eq(nucleus_counts(s.w.n).queued_msgs, 1);
    cr_assert_eq(world_receive(&s.w, s.server, s.in, 1, 0), MOTET_OK);
    cr_assert_eq(ask_cancel(&s, 5), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_CANCELLED)->held,
                 world_one(&s.w, NUC_DELIVER)->held);
    cr_assert_eq(ask_cancel(&s, 5), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 1);
    scene_fini(&s);
}

Test(nucleus_served, the_callers_site_dies)
{
    static struct scene s;
    scene_init(&s, true, 0);
    for (uint64_t call = 1; call <= 400; call++) {
        cr_assert_eq(ask(&s, request(call, 0)), MOTET_OK);
    }
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 400);
    scene_fini(&s);
}

/* A control port has no incarnation in its name: its site's present one. */
Test(nucleus_served, the_callers_site_is_known_later)
{
    static struct scene s;
    scene_init(&s, true, 0);
    struct msg m = request(5, 0);
    m.reply_to = ui_of_control(WORLD_PEER);
    cr_assert_eq(ask(&s, m), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 4, NUC_SITE_REACHABLE), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 0);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 5, NUC_SITE_REACHABLE), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 4, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 1);
    scene_fini(&s);
}

/* ---- Forwarding across sites -----------------------------------------------
 */

Test(nucleus_served, forwarded_to_another_site)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(ask(&s, request(5, 20)), MOTET_OK);
    const uint64_t held = world_one(&s.w, NUC_DELIVER)->held;
    world_pass(&s.w, 8 * WORLD_MS);
    cr_assert_eq(world_forward(&s.w, s.server, held, world_far(3)), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_REQUEST);
    cr_expect_eq(e->msg.remaining_ms, 12);
    cr_expect(ui_equal(e->msg.reply_to, world_far(1)));
    const uint64_t t = e->ticket;
    world_clear(&s.w);
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_E_STATE);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_OK);
    e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_FORWARDED);
    cr_expect(ui_equal(e->msg.reply_to, world_far(3)));
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, a_forward_that_fails_answers_the_caller)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(ask(&s, request(5, 20)), MOTET_OK);
    cr_assert_eq(world_forward(&s.w, s.server,
                               world_one(&s.w, NUC_DELIVER)->held,
                               world_far(3)),
                 MOTET_OK);
    const uint64_t t = ticket(&s);
    world_clear(&s.w);
    /* Even if the server's port ends in the meantime. */
    cr_assert_eq(world_port_end(&s.w, s.server, s.in), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_TO_NET), 0);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_E_NO_PORT), MOTET_OK);
    cr_expect_eq(answered(&s), MOTET_E_NO_PORT);
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, the_caller_follows_a_forwarded_call)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    const struct motet_ui third = ui_make(13, 4, UI_PORT, 1);
    struct msg m = {
        .kind = MSG_FORWARDED, .status = 1, .call = call, .reply_to = third};
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "it is not there now");
    cr_assert_eq(world_site(&s.w, 13, 4, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    world_clear(&s.w);
    /* Of a call that has ended: the new server is told. */
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_TO_NET)->msg.kind, MSG_CANCEL);
    drop_replies(&s);
    scene_fini(&s);
}

/* Two handed it on, one after the other, and what they tell crosses. */
Test(nucleus_served, the_last_forward_counts)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    struct msg m = {.kind = MSG_FORWARDED, .call = call};
    m.status = 2;
    m.reply_to = ui_make(14, 4, UI_PORT, 1);
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    m.status = 1;
    m.reply_to = ui_make(13, 4, UI_PORT, 1);
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_assert_eq(world_site(&s.w, 13, 4, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "it is further on");
    cr_assert_eq(world_site(&s.w, 14, 4, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    scene_fini(&s);
}

/* From a port here to the next site and on, before the first is acknowledged.
 */
Test(nucleus_served, a_forward_from_here_is_overtaken)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, s.in, 5);
    cr_assert_eq(world_forward(&s.w, s.server,
                               world_one(&s.w, NUC_DELIVER)->held,
                               world_far(1)),
                 MOTET_OK);
    const uint64_t t = ticket(&s);
    const struct msg m = {.kind = MSG_FORWARDED,
                          .status = 2,
                          .call = call,
                          .reply_to = ui_make(13, 4, UI_PORT, 1)};
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "it is further on");
    cr_assert_eq(world_site(&s.w, 13, 4, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    scene_fini(&s);
}

Test(nucleus_served, a_request_is_not_handed_on_for_ever)
{
    static struct scene s;
    scene_init(&s, true, 0);
    struct msg m = request(5, 0);
    m.status = 31;
    cr_assert_eq(ask(&s, m), MOTET_OK);
    uint64_t held = world_one(&s.w, NUC_DELIVER)->held;
    world_clear(&s.w);
    cr_assert_eq(world_forward(&s.w, s.server, held, s.in), MOTET_OK);
    held = world_one(&s.w, NUC_DELIVER)->held;
    cr_expect_eq(world_forward(&s.w, s.server, held, s.in), MOTET_E_LIMIT);
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_OK);
    drop_replies(&s);
    scene_fini(&s);
}

Test(nucleus_served, forwarded_to_a_dead_site)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    cr_assert_eq(world_site(&s.w, 13, 4, NUC_SITE_DEAD), MOTET_OK);
    const struct msg m = {.kind = MSG_FORWARDED,
                          .status = 1,
                          .call = call,
                          .reply_to = ui_make(13, 4, UI_PORT, 1)};
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    scene_fini(&s);
}

/* A call goes out, is forwarded back to a port here, and is answered here. */
Test(nucleus_served, a_call_comes_home)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    struct msg m = request(call, 5);
    m.reply_to = s.out;
    cr_assert_eq(ask(&s, m), MOTET_OK);
    cr_expect_eq(ask(&s, m), MOTET_E_PROTOCOL, "once");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_assert_eq(
        world_reply(&s.w, s.server, world_one(&s.w, NUC_DELIVER)->held),
        MOTET_OK);
    cr_expect_eq(done(&s), MOTET_OK);
    scene_fini(&s);
}
