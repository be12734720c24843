#include "nucleus/core/nucleus.h"
#include "nucleus_scene.h"

TestSuite(nucleus_call, .timeout = 10);

/* ---- Here ------------------------------------------------------------------
 */

Test(nucleus_call, what_is_refused)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const struct motet_ui gone =
        ui_make(WORLD_SITE, WORLD_INCARNATION, UI_PORT, 99);
    const struct motet_ui older =
        ui_make(WORLD_SITE, WORLD_INCARNATION - 1, UI_PORT, 1);
    cr_expect_eq(world_call(&s.w, s.client, s.out, s.in, s.w.now_ns),
                 MOTET_E_TIMEOUT);
    cr_expect_eq(world_call(&s.w, s.client, s.in, s.in, 1 << 30),
                 MOTET_E_PERMISSION);
    cr_expect_eq(world_call(&s.w, s.client, gone, s.in, 1 << 30),
                 MOTET_E_INVALID);
    cr_expect_eq(world_call(&s.w, s.client, s.out, gone, 1 << 30),
                 MOTET_E_NO_PORT);
    cr_expect_eq(world_call(&s.w, s.client, s.out, older, 1 << 30),
                 MOTET_E_SITE_DEAD);
    cr_expect_eq(world_call(&s.w, s.client, s.out, s.client, 1 << 30),
                 MOTET_E_INVALID, "an actor is no port");
    cr_expect_eq(s.w.count, 0);
    cr_expect_eq(world_reply(&s.w, s.server, 1), MOTET_E_STATE);
    cr_expect_eq(cancel(&s, s.client, 1), MOTET_E_STATE);
    scene_fini(&s);
}

Test(nucleus_call, a_reply_completes_it_once)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, s.in, 5);
    const struct nuc_effect *e = world_one(&s.w, NUC_DELIVER);
    const uint64_t held = e->held;
    cr_assert_neq(held, 0);
    cr_expect(ui_equal(e->src, s.out));
    cr_expect_eq(e->msg.remaining_ms, 5);
    cr_expect_eq(world_reply(&s.w, s.client, held), MOTET_E_PERMISSION);
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_OK);
    e = world_one(&s.w, NUC_CALL_DONE);
    cr_expect_eq(e->err, MOTET_OK);
    cr_expect_eq(e->call, call);
    cr_expect_eq(msg_bytes(&e->msg), 5);
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_E_STATE, "once");
    world_pass(&s.w, 10 * WORLD_MS);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 1);
    scene_fini(&s);
}

Test(nucleus_call, a_reply_may_be_a_refusal)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, s.in, 5);
    struct nuc_in in = world_in(&s.w, NUC_REPLY);
    in.actor = s.server;
    in.held = world_one(&s.w, NUC_DELIVER)->held;
    in.msg.status = MOTET_E_COUNT;
    cr_expect_eq(world_step(&s.w, &in), MOTET_E_INVALID);
    in.msg = world_msg(&s.w, 4); /* not given on */
    in.msg.status = MOTET_E_PERMISSION;
    cr_expect_eq(world_step(&s.w, &in), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_PERMISSION);
    scene_fini(&s);
}

Test(nucleus_call, the_deadline_finds_the_request_queued)
{
    static struct scene s;
    scene_init(&s, false, 0);
    (void)call_for(&s, s.in, 5);
    world_pass(&s.w, 5 * WORLD_MS);
    cr_expect_eq(done(&s), MOTET_E_TIMEOUT, "it never ran");
    cr_expect_eq(nucleus_counts(s.w.n).queued_msgs, 0);
    cr_expect_eq(nucleus_counts(s.w.n).refused, 1);
    scene_fini(&s);
}

Test(nucleus_call, the_deadline_finds_the_request_parked)
{
    static struct scene s;
    scene_init(&s, false, 1);
    cr_assert_eq(world_send(&s.w, s.client, s.out, s.in, 1), MOTET_OK);
    (void)call_for(&s, s.in, 5);
    cr_expect_eq(nucleus_counts(s.w.n).waiters, 1);
    world_pass(&s.w, 5 * WORLD_MS);
    cr_expect_eq(done(&s), MOTET_E_FULL);
    scene_fini(&s);
}

Test(nucleus_call, the_deadline_finds_the_request_with_the_server)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, s.in, 5);
    const uint64_t held = world_one(&s.w, NUC_DELIVER)->held;
    world_pass(&s.w, 5 * WORLD_MS);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_TIMEOUT);
    cr_expect_eq(world_one(&s.w, NUC_CANCELLED)->held, held);
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_E_STATE);
    scene_fini(&s);
}

Test(nucleus_call, a_parked_request_is_served_in_its_turn)
{
    static struct scene s;
    scene_init(&s, false, 1);
    cr_assert_eq(world_send(&s.w, s.client, s.out, s.in, 1), MOTET_OK);
    (void)call_for(&s, s.in, 5);
    const struct motet_ui any = {0};
    cr_assert_eq(world_receive(&s.w, s.server, any, 1, 0), MOTET_OK);
    cr_assert_eq(world_receive(&s.w, s.server, any, 2, 0), MOTET_OK);
    cr_assert_eq(
        world_reply(&s.w, s.server, world_nth(&s.w, NUC_DELIVER, 1)->held),
        MOTET_OK);
    cr_expect_eq(done(&s), MOTET_OK);
    scene_fini(&s);
}

/* How the end of the server is told, by where the request was. */
Test(nucleus_call, the_server_ends)
{
    static const struct row {
        bool push; /* the request is with the server, else queued */
        enum motet_news news;
        enum motet_err err;
    } rows[] = {
        {false, MOTET_NEWS_CLOSED, MOTET_E_CLOSED},
        {false, MOTET_NEWS_CRASHED, MOTET_E_CRASHED},
        {true, MOTET_NEWS_CLOSED, MOTET_E_MAYBE_CLOSED},
        {true, MOTET_NEWS_CRASHED, MOTET_E_MAYBE_CRASHED},
    };
    for (const struct row *r = rows; r < rows + ARRAY_LEN(rows); r++) {
        static struct scene s;
        scene_init(&s, r->push, 0);
        (void)call_for(&s, s.in, 5);
        cr_assert_eq(world_actor_end(&s.w, s.server, r->news), MOTET_OK);
        cr_expect_eq(done(&s), r->err, "row %zu", (size_t)(r - rows));
        scene_fini(&s);
    }
}

Test(nucleus_call, the_caller_ends)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, s.in, 5);
    cr_assert_eq(world_port_end(&s.w, s.client, s.out), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_CLOSED);
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 1);
    scene_fini(&s);

    scene_init(&s, true, 0);
    (void)call_for(&s, s.in, 5);
    cr_assert_eq(world_actor_end(&s.w, s.client, MOTET_NEWS_CRASHED), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "nobody to tell");
    cr_expect_eq(world_seen(&s.w, NUC_CANCELLED), 1);
    scene_fini(&s);
}

Test(nucleus_call, forwarded_to_a_port_here)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const struct motet_ui other = world_actor(&s.w, false);
    const struct motet_ui to = world_port_with(
        &s.w, other, (struct nuc_port_attr){.queue_msgs_max = 1});
    (void)call_for(&s, s.in, 5);
    const uint64_t held = world_one(&s.w, NUC_DELIVER)->held;
    cr_assert_eq(world_send(&s.w, s.client, s.out, to, 1), MOTET_OK);
    cr_expect_eq(world_forward(&s.w, s.server, held, to), MOTET_E_AGAIN);
    cr_assert_eq(world_receive(&s.w, other, to, 1, 0), MOTET_OK);
    world_clear(&s.w);
    cr_expect_eq(world_forward(&s.w, s.server, held, to), MOTET_OK,
                 "still held");
    cr_expect_eq(world_reply(&s.w, s.server, held), MOTET_E_STATE);
    cr_assert_eq(world_receive(&s.w, other, to, 2, 0), MOTET_OK);
    const struct nuc_effect *e = world_one(&s.w, NUC_DELIVER);
    cr_expect(ui_equal(e->src, s.out), "the caller's identity");
    cr_expect_eq(msg_bytes(&e->msg), 8);
    cr_assert_eq(world_reply(&s.w, other, e->held), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_OK);
    scene_fini(&s);
}

Test(nucleus_call, the_limit_and_one_past_it)
{
    static struct world w;
    struct nucleus_limits limits = nucleus_limits_default();
    limits.calls_max = 2;
    world_init(&w, &limits);
    const struct motet_ui a = world_actor(&w, true);
    const struct motet_ui p = world_port(&w, a);
    cr_expect_eq(world_call(&w, a, p, p, 1 << 30), MOTET_OK);
    cr_expect_eq(world_call(&w, a, p, p, 1 << 30), MOTET_OK);
    cr_expect_eq(world_call(&w, a, p, p, 1 << 30), MOTET_E_LIMIT);
    cr_assert_eq(world_reply(&w, a, world_nth(&w, NUC_DELIVER, 0)->held),
                 MOTET_OK);
    cr_expect_eq(world_call(&w, a, p, p, 1 << 30), MOTET_OK);
    world_fini(&w);
}

/* ---- Elsewhere -------------------------------------------------------------
 */

Test(nucleus_call, the_outcome_before_acceptance)
{
    static const struct row {
        enum motet_err outcome, err;
    } rows[] = {
        {MOTET_E_NO_PORT, MOTET_E_NO_PORT},
        {MOTET_E_SITE_DEAD, MOTET_E_SITE_DEAD},
        {MOTET_E_MAYBE_SITE_DEAD, MOTET_E_MAYBE_SITE_DEAD},
        {MOTET_E_AGAIN, MOTET_E_AGAIN},
    };
    for (const struct row *r = rows; r < rows + ARRAY_LEN(rows); r++) {
        static struct scene s;
        scene_init(&s, true, 0);
        (void)call_for(&s, world_far(1), 5);
        cr_assert_eq(world_outcome(&s.w, ticket(&s), r->outcome), MOTET_OK);
        cr_expect_eq(done(&s), r->err);
        scene_fini(&s);
    }
}

/* The deadline comes before the network manager knows: it must say. */
Test(nucleus_call, a_deadline_asks_the_network_back)
{
    static const struct row {
        enum motet_err outcome, err;
        bool tell; /* the server is told */
    } rows[] = {
        {MOTET_E_CANCELLED, MOTET_E_TIMEOUT, false},
        {MOTET_E_MAYBE_CANCELLED, MOTET_E_MAYBE_TIMEOUT, true},
        {MOTET_OK, MOTET_E_MAYBE_TIMEOUT, true},
        {MOTET_E_NO_PORT, MOTET_E_NO_PORT, false},
    };
    for (const struct row *r = rows; r < rows + ARRAY_LEN(rows); r++) {
        static struct scene s;
        scene_init(&s, true, 0);
        (void)call_for(&s, world_far(1), 5);
        const uint64_t t = ticket(&s);
        world_pass(&s.w, 5 * WORLD_MS);
        cr_expect_eq(world_one(&s.w, NUC_NET_CANCEL)->ticket, t);
        cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0);
        world_clear(&s.w);
        cr_assert_eq(world_outcome(&s.w, t, r->outcome), MOTET_OK);
        cr_expect_eq(done(&s), r->err, "row %zu", (size_t)(r - rows));
        cr_expect_eq(world_seen(&s.w, NUC_TO_NET), r->tell);
        scene_fini(&s);
    }
}

Test(nucleus_call, accepted_then_the_deadline)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    world_clear(&s.w);
    world_pass(&s.w, 5 * WORLD_MS);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_TIMEOUT);
    const struct nuc_effect *e = world_one(&s.w, NUC_TO_NET);
    cr_expect_eq(e->msg.kind, MSG_CANCEL);
    cr_expect_eq(e->msg.call, call);
    cr_expect(ui_equal(e->msg.reply_to, s.out));
    /* A late reply is nothing. */
    cr_expect_eq(world_deliver(&s.w, world_far(1), s.out, reply_to(call, 0)),
                 MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 1);
    scene_fini(&s);
}

Test(nucleus_call, a_reply_may_come_before_the_outcome)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    const uint64_t t = ticket(&s);
    cr_expect_eq(world_deliver(&s.w, world_far(1), world_port(&s.w, s.client),
                               reply_to(call, MOTET_OK)),
                 MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "for another port");
    cr_assert_eq(
        world_deliver(&s.w, world_far(1), s.out, reply_to(call, MOTET_OK)),
        MOTET_OK);
    cr_expect_eq(done(&s), MOTET_OK);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_OK);
    cr_expect_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_E_STATE);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 1);
    scene_fini(&s);
}

Test(nucleus_call, the_status_of_a_stranger_is_checked)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    struct msg m = reply_to(call, MOTET_OK);
    m.status = 60000;
    cr_assert_eq(world_deliver(&s.w, world_far(1), s.out, m), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_LOST);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    scene_fini(&s);
}

Test(nucleus_call, the_servers_site_dies)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_UNREACHABLE),
                 MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "it may come back");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    scene_fini(&s);
}

Test(nucleus_call, a_newer_life_of_the_site_ends_the_older)
{
    static struct scene s;
    scene_init(&s, true, 0);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_REACHABLE), MOTET_OK);
    (void)call_for(&s, world_far(1), 5);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 2, NUC_SITE_REACHABLE), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0,
                 "its ports may have moved");
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD);
    scene_fini(&s);
}

Test(nucleus_call, the_site_dies_before_the_outcome)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, world_far(1), 5);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&s.w, NUC_CALL_DONE), 0, "the network must say");
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_E_SITE_DEAD), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_SITE_DEAD);
    scene_fini(&s);

    scene_init(&s, true, 0);
    (void)call_for(&s, world_far(1), 5);
    cr_assert_eq(world_site(&s.w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_assert_eq(world_outcome(&s.w, ticket(&s), MOTET_OK), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_SITE_DEAD, "it was accepted before");
    scene_fini(&s);
}

Test(nucleus_call, a_cancelled_call)
{
    static struct scene s;
    scene_init(&s, true, 0);
    const uint64_t call = call_for(&s, world_far(1), 5);
    cr_expect_eq(cancel(&s, s.server, call), MOTET_E_PERMISSION);
    cr_expect_eq(cancel(&s, s.client, call), MOTET_OK);
    cr_expect_eq(cancel(&s, s.client, call), MOTET_OK, "again is harmless");
    cr_assert_eq(world_outcome(&s.w, world_one(&s.w, NUC_NET_CANCEL)->ticket,
                               MOTET_E_CANCELLED),
                 MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_CANCELLED);
    scene_fini(&s);
}

Test(nucleus_call, the_callers_port_ends_before_the_outcome)
{
    static struct scene s;
    scene_init(&s, true, 0);
    (void)call_for(&s, world_far(1), 5);
    const uint64_t t = ticket(&s);
    cr_assert_eq(world_port_end(&s.w, s.client, s.out), MOTET_OK);
    cr_expect_eq(done(&s), MOTET_E_MAYBE_CLOSED);
    cr_expect_eq(world_one(&s.w, NUC_NET_CANCEL)->ticket, t);
    world_clear(&s.w);
    cr_assert_eq(world_outcome(&s.w, t, MOTET_OK), MOTET_OK);
    cr_expect_eq(world_one(&s.w, NUC_TO_NET)->msg.kind, MSG_CANCEL,
                 "the server learns it");
    scene_fini(&s);
}
