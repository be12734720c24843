#include <stdio.h>

#include "netmgr/core/netmgr.h"
#include "netmgr_move.h"

/* Flows of ports that move: what is refused first, then what stands still,
 * what goes along, and who is sent where. */

TestSuite(netmgr_move, .timeout = 20);

/* ---- What is refused -------------------------------------------------------
 */

static const struct image_item sending = {
    .kind = IMAGE_SFLOW,
    .port = {ONE_PEER, (UINT64_C(20) << 32) + (1 << 28) + 3},
    .peer = {ONE_SITE, (UINT64_C(10) << 32) + (1 << 28) + 4},
    .place = {.site = ONE_SITE, .incarnation = ONE_INCARNATION},
    .origin = {.site = ONE_PEER},
    .origin_epoch = 1,
    .base = 3,
    .hi = 4,
    .end = 6,
};

static void bad(struct one *o, struct image_item it, const char *what)
{
    cr_expect_eq(item(o, it), MOTET_E_PROTOCOL, "%s", what);
}

Test(netmgr_move, items_that_make_no_sense)
{
    struct one o;
    one_session(one_new(&o));
    bad(&o, sending, "a flow from a port that is not frozen");
    bad(&o, receiving, "a flow to a port that is not frozen");
    freeze(&o, sending.port);
    bad(&o, (struct image_item){.kind = IMAGE_PORT, .port = sending.port},
        "what is for the nucleus");
    bad(&o, (struct image_item){.kind = IMAGE_KEPT}, "kept of no flow");
    struct image_item it = sending;
    it.base = 0;
    bad(&o, it, "a flow that begins with number 0");
    it = sending;
    it.hi = 2;
    bad(&o, it, "a flow of which less was sent than acknowledged");
    it = sending;
    it.end = 3;
    bad(&o, it, "a flow of which more was sent than there is");
    it = sending;
    it.origin.site = 0;
    bad(&o, it, "a flow that began nowhere");
    it = sending;
    it.origin_epoch = 0;
    bad(&o, it, "a flow that began never");
    it = sending;
    it.end = it.hi = UINT64_MAX;
    cr_expect_eq(item(&o, it), MOTET_E_LIMIT, "a flow of too many messages");
    cr_assert_eq(item(&o, sending), MOTET_OK);
    bad(&o, sending, "one flow twice");

    it = receiving;
    it.base = 0;
    bad(&o, it, "a record that expects number 0");
    it = receiving;
    it.epoch = 0;
    bad(&o, it, "a record of a sender without an epoch");
    it = receiving;
    it.origin.site = 0;
    bad(&o, it, "a record of what began nowhere");
    it = receiving;
    it.origin_epoch = 0;
    bad(&o, it, "a record of what began never");
    it = receiving;
    it.place.site = 0;
    bad(&o, it, "a record of a sender that is nowhere");
    cr_assert_eq(item(&o, receiving), MOTET_OK);
    one_free(&o);
}

Test(netmgr_move, kept_messages_that_make_no_sense)
{
    struct one o;
    one_session(one_new(&o));
    freeze(&o, sending.port);
    cr_assert_eq(item(&o, sending), MOTET_OK);
    struct image_item kept = {.kind = IMAGE_KEPT,
                              .flag = true,
                              .left_ns = UINT64_MAX,
                              .msg = {.kind = 0}};
    bad(&o, kept, "of no kind");
    kept.msg.kind = MSG_REPLY;
    bad(&o, kept, "a reply in a flow of what is queued");
    kept.msg.kind = MSG_SEND;
    kept.msg.annex_bytes = 1;
    bad(&o, kept, "an annex of no bytes");
    kept.msg.annex_bytes = 0;
    kept.flag = false;
    kept.msg.data = buf_new(&o.mem, 3);
    bad(&o, kept, "a hole that has bytes");
    image_release(&kept);
    kept.flag = true;
    for (uint64_t seq = sending.base; seq < sending.end; seq++) {
        cr_expect_eq(item(&o, kept), MOTET_OK);
    }
    bad(&o, kept, "more of them than there are");
    one_free(&o);
}

/* ---- Standing still --------------------------------------------------------
 */

Test(netmgr_move, what_a_frozen_port_sends_waits)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 10, 50), MOTET_OK);
    freeze(&o, one_here());
    one_flush(&o);
    cr_expect_eq(o.count, 0);
    one_wait(&o, 100);
    cr_expect_eq(one_outcome(&o, 1), MOTET_E_COUNT, "nor does its time pass");
    image(&o, one_here());
    cr_assert_eq(item_count, 2);
    here(&o, one_here(), 2);
    one_wait(&o, 0);
    cr_expect_eq(one_outcome(&o, 1), MOTET_E_TIMEOUT);
    cr_assert_eq(one_send(&o, 2, 10, 0), MOTET_OK);
    one_flush(&o);
    cr_expect_eq(one_frames(&o, NET_BIND), 1);
    cr_expect_eq(one_bound(&o)->src_epoch, 2);
    one_free(&o);
}

/* What was acknowledged meanwhile is asked for by a new BIND. */
Test(netmgr_move, acknowledgements_meanwhile_are_asked_for)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    const uint32_t handle = one_bound(&o)->handle;
    const uint64_t base = one_bound(&o)->base;
    freeze(&o, one_here());
    one_ack(&o, (struct net_ack){.handle = handle,
                                 .next = base + 1,
                                 .credit_msgs = base + 9});
    cr_expect_eq(one_outcome(&o, 1), MOTET_E_COUNT);
    here(&o, one_here(), 2);
    one_flush(&o);
    cr_expect(one_bound(&o)->resume);
    cr_expect_eq(one_bound(&o)->base, base);
    cr_expect_eq(one_frames(&o, NET_DATA), 0, "it may have come");
    one_ack(&o, (struct net_ack){.handle = one_bound(&o)->handle,
                                 .next = base + 1,
                                 .credit_msgs = base + 9});
    cr_expect_eq(one_outcome(&o, 1), MOTET_OK);
    one_free(&o);
}

/* ---- What goes along -------------------------------------------------------
 */

/* Five are sent, two of them acknowledged; then the port stands still, and its
 * image is in `items`. @return the number of the first */
static uint64_t frozen_after_two_of_five(struct one *o)
{
    one_session(one_new(o));
    for (uint64_t i = 1; i <= 5; i++) {
        cr_assert_eq(one_send(o, i, 10, i == 5 ? 80 : 0), MOTET_OK);
    }
    one_flush(o);
    const uint64_t base = one_bound(o)->base;
    one_ack(o, (struct net_ack){.handle = one_bound(o)->handle,
                                .next = base + 2,
                                .credit_msgs = base + 5,
                                .credit_bytes = 10});
    o->now += 30 * ONE_MS;
    freeze(o, one_here());
    image(o, one_here());
    cr_assert_eq(item_count, 4);
    return base;
}

Test(netmgr_move, send_counters_and_what_has_no_outcome)
{
    struct one o;
    const uint64_t base = frozen_after_two_of_five(&o);
    const struct image_item *f = &items[0];
    cr_expect_eq(f->kind, IMAGE_SFLOW);
    cr_expect(ui_equal(f->port, one_here()) && ui_equal(f->peer, one_there()));
    cr_expect_eq(f->base, base + 2);
    cr_expect_eq(f->hi, base + 5);
    cr_expect_eq(f->end, base + 5);
    cr_expect_eq(f->origin.site, ONE_SITE);
    cr_expect_eq(f->origin_epoch, 1);
    cr_expect_eq(f->place.site, ONE_PEER);
    cr_expect_eq(f->place.incarnation, 20);
    for (uint32_t i = 1; i < 4; i++) {
        cr_expect(items[i].kind == IMAGE_KEPT && items[i].flag);
        cr_expect_eq(items[i].ticket, i + 2);
        cr_expect_eq(items[i].msg.kind, MSG_SEND);
    }
    cr_expect_eq(items[1].left_ns, UINT64_MAX);
    cr_expect_eq(items[3].left_ns, 50 * ONE_MS);
    one_free(&o);
}

Test(netmgr_move, what_has_no_outcome_gets_it_there)
{
    struct one o, to;
    const uint64_t base = frozen_after_two_of_five(&o);
    other_new(&to);
    freeze(&to, one_here());
    give_all(&to, 10);
    one_flush(&to);
    cr_expect_eq(one_frames(&to, NET_BIND), 0, "it does not live here yet");
    here(&to, one_here(), 2);
    one_flush(&to);
    const struct net_bind *b = one_bound(&to);
    cr_expect(b->resume);
    cr_expect_eq(b->base, base + 2);
    cr_expect_eq(b->src_epoch, 2);
    cr_expect_eq(b->origin_site, ONE_SITE);
    cr_expect_eq(b->origin_epoch, 1);
    one_ack(&to, (struct net_ack){.handle = b->handle,
                                  .next = base + 3,
                                  .credit_msgs = base + 9,
                                  .credit_bytes = 1000});
    cr_expect_eq(one_outcome(&to, 3), MOTET_OK);
    one_flush(&to);
    cr_assert_eq(one_frames(&to, NET_DATA), 2);
    cr_expect_eq(one_sent(&to, 0)->seq, base + 3);
    cr_expect_eq(one_sent(&to, 1)->seq, base + 4);
    cr_assert_eq(one_send(&to, 9, 1, 0), MOTET_OK);
    one_flush(&to);
    cr_expect_eq(one_sent(&to, 0)->seq, base + 5, "and so on");

    away(&o, one_here(), OTHER_SITE, OTHER_INCARNATION, 2);
    cr_expect_null(one_effect(&o, NET_OUTCOME, 0), "told there, once");
    cr_expect_eq(netmgr_counts(o.net).flows_out, 0);
    cr_expect_eq(netmgr_counts(o.net).pending, 0);
    one_wait(&o, 5000);
    cr_expect_null(one_effect(&o, NET_OUTCOME, 0));
    one_free(&o);
    one_free(&to);
}

/* It moves on: where its numbers began is not where it came from. */
Test(netmgr_move, the_origin_of_a_flow_stays)
{
    struct one to;
    other_new(&to);
    struct image_item it = sending;
    it.port = one_here();
    it.peer = one_there();
    it.place = (struct place_of){.site = ONE_PEER, .incarnation = 20};
    it.origin.site = 77;
    it.origin_epoch = 9;
    it.hi = it.end = it.base;
    freeze(&to, one_here());
    cr_assert_eq(item(&to, it), MOTET_OK);
    here(&to, one_here(), 11);
    freeze(&to, one_here());
    image(&to, one_here());
    cr_assert_eq(item_count, 1);
    cr_expect_eq(items[0].origin.site, 77);
    cr_expect_eq(items[0].origin_epoch, 9);
    one_free(&to);
}

/* What was given up leaves a hole, and the hole goes along. */
Test(netmgr_move, voids_go_along)
{
    struct one o, to;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    const uint64_t base = one_bound(&o)->base;
    cr_assert_eq(one_send(&o, 2, 10, 0), MOTET_OK);
    cr_assert_eq(one_step(&o, (struct net_in){.kind = NET_IN_CANCEL,
                                              .ticket = 1,
                                              .src = one_here(),
                                              .dst = one_there()}),
                 MOTET_OK);
    freeze(&o, one_here());
    image(&o, one_here());
    cr_assert_eq(item_count, 3);
    cr_expect_not(items[1].flag);
    cr_expect_eq(items[1].ticket, 0);
    cr_expect(items[2].flag);
    other_new(&to);
    freeze(&to, one_here());
    give_all(&to, 0);
    here(&to, one_here(), 2);
    one_flush(&to);
    one_ack(&to, (struct net_ack){.handle = one_bound(&to)->handle,
                                  .next = base,
                                  .credit_msgs = base + 9,
                                  .credit_bytes = 1000});
    one_flush(&to);
    cr_expect(one_sent(&to, 0)->flags & NET_DATA_VOID);
    cr_expect_eq(one_sent(&to, 0)->seq, base);
    cr_expect_eq(one_sent(&to, 1)->seq, base + 1);
    one_free(&o);
    one_free(&to);
}

/* The record of what was taken of each flow: nothing is taken twice. */
Test(netmgr_move, what_was_taken_goes_along)
{
    struct one o, to;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    for (uint64_t seq = 1; seq <= 3; seq++) {
        one_data(&o, (struct net_data){.handle = 1, .seq = seq});
        cr_assert_not_null(one_effect(&o, NET_OFFER, 0));
    }
    freeze(&o, one_here());
    image(&o, one_here());
    cr_assert_eq(item_count, 1);
    const struct image_item *f = &items[0];
    cr_expect_eq(f->kind, IMAGE_RFLOW);
    cr_expect(ui_equal(f->port, one_here()) && ui_equal(f->peer, one_there()));
    cr_expect_eq(f->base, 4);
    cr_expect_eq(f->epoch, 1);
    cr_expect_eq(f->place.site, ONE_PEER);
    cr_expect_eq(f->origin.site, ONE_PEER);

    other_new(&to);
    freeze(&to, one_here());
    give_all(&to, 0);
    here(&to, one_here(), 2);
    one_bind(&to, 1, 2, true);
    one_flush(&to);
    cr_assert_eq(one_frames(&to, NET_ACK), 1);
    cr_expect_eq(one_frame(&to, NET_ACK, 0)->e.frame.u.ack.next, 4);
    one_data(&to, (struct net_data){.handle = 1, .seq = 3});
    cr_expect_null(one_effect(&to, NET_OFFER, 0), "taken before");
    one_data(&to, (struct net_data){.handle = 1, .seq = 4});
    cr_expect_not_null(one_effect(&to, NET_OFFER, 0));
    one_free(&o);
    one_free(&to);
}

/* What is said of it where it does not live (yet) is hearsay. */
Test(netmgr_move, only_the_owner_speaks_for_a_flow)
{
    struct one to;
    other_new(&to);
    one_bind(&to, 1, 2, true);
    one_flush(&to);
    cr_assert_eq(one_frames(&to, NET_ACK), 1);
    const struct net_ack *a = &one_frame(&to, NET_ACK, 0)->e.frame.u.ack;
    cr_expect(a->flags & NET_ACK_GONE);
    cr_expect_eq(a->status, MOTET_E_MAYBE_LOST);
    freeze(&to, one_here());
    struct image_item it = receiving;
    it.port = one_here();
    it.peer = one_there();
    it.place = (struct place_of){.site = ONE_PEER, .incarnation = 20};
    it.origin.site = ONE_PEER;
    it.base = 7;
    cr_assert_eq(item(&to, it), MOTET_OK);
    image(&to, one_here());
    cr_expect_eq(item_count, 0, "it is not given on before it lives here");
    here(&to, one_here(), 2);
    image(&to, one_here());
    cr_assert_eq(item_count, 1);
    cr_expect_eq(items[0].base, 7);
    one_free(&to);
}

/* ---- Who is sent where -----------------------------------------------------
 */

Test(netmgr_move, who_asks_a_former_owner_is_sent_on)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    one_data(&o, (struct net_data){.handle = 1, .seq = 1});
    freeze(&o, one_here());
    o.verdict = MOTET_E_AGAIN;
    one_data(&o, (struct net_data){.handle = 1, .seq = 2});
    away(&o, one_here(), OTHER_SITE, OTHER_INCARNATION, 2);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_MOVED), 1, "who has a flow hears at once");
    const struct net_moved *m = &one_frame(&o, NET_MOVED, 0)->e.frame.u.moved;
    cr_expect_eq(m->handle, 1);
    cr_expect_eq(m->site, OTHER_SITE);
    cr_expect_eq(m->incarnation, OTHER_INCARNATION);
    cr_expect_eq(m->epoch, 2);
    cr_expect_eq(m->next, 2);
    one_bind(&o, 2, 2, true);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_MOVED), 1, "and who comes later");
    cr_expect_eq(one_frame(&o, NET_MOVED, 0)->e.frame.u.moved.handle, 2);
    one_free(&o);
}

Test(netmgr_move, the_newest_word_counts)
{
    struct one o;
    uint64_t epoch;
    one_new(&o);
    struct net_in in = {.kind = NET_IN_WHERE, .dst = one_there(), .epoch = 2};
    cr_expect_eq(one_step(&o, in), MOTET_E_INVALID, "nowhere");
    in.site = 99;
    in.epoch = 0;
    cr_expect_eq(one_step(&o, in), MOTET_E_INVALID, "at no epoch");
    struct place_of at = netmgr_where(o.net, one_there(), &epoch);
    cr_expect_eq(at.site, ONE_PEER, "it was born there");
    cr_expect_eq(at.incarnation, 20);
    cr_expect_eq(epoch, 0, "a guess");
    one_where(&o, one_there(), 99, 3, 5);
    const struct one_effect *told = one_effect(&o, NET_WHERE, 0);
    cr_assert_not_null(told);
    cr_expect_eq(told->e.place.site, 99);
    cr_expect_eq(told->e.epoch, 5);
    one_where(&o, one_there(), 98, 3, 4);
    one_where(&o, one_there(), 97, 3, 5);
    cr_expect_null(one_effect(&o, NET_WHERE, 0), "old news are none");
    at = netmgr_where(o.net, one_there(), &epoch);
    cr_expect_eq(at.site, 99);
    cr_expect_eq(epoch, 5);
    one_where(&o, one_there(), 98, 3, 6);
    cr_expect_eq(netmgr_where(o.net, one_there(), &epoch).site, 98);
    one_free(&o);
}

/* A flow goes after its port, asks there for what has no outcome, and sends
 * nothing more to where it was. */
Test(netmgr_move, a_sender_follows)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.site = OTHER_SITE;
    h.incarnation = OTHER_INCARNATION;
    (void)snprintf(h.name, sizeof h.name, "other");
    (void)snprintf(h.address, sizeof h.address, "other:1");
    one_meet(&o, 2, &h);
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    cr_assert_eq(one_send(&o, 2, 10, 0), MOTET_OK);
    one_flush(&o);
    cr_expect_eq(one_frame(&o, NET_BIND, 0)->e.conn, 1);
    const uint64_t base = one_bound(&o)->base;
    one_give(
        &o, 1,
        (struct net_frame){.kind = NET_MOVED,
                           .u = {.moved = {.handle = one_bound(&o)->handle,
                                           .site = OTHER_SITE,
                                           .incarnation = OTHER_INCARNATION,
                                           .epoch = 2,
                                           .next = base + 1}}});
    cr_expect_eq(one_outcome(&o, 1), MOTET_OK, "it was queued before");
    cr_expect_eq(one_outcome(&o, 2), MOTET_E_COUNT);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_BIND), 1);
    cr_expect_eq(one_frame(&o, NET_BIND, 0)->e.conn, 2);
    const struct net_bind *b = one_bound(&o);
    cr_expect(b->resume);
    cr_expect_eq(b->epoch, 2);
    cr_expect_eq(b->base, base + 1);
    cr_expect_eq(one_frames(&o, NET_DATA), 0);
    one_ack_on(&o, 2,
               (struct net_ack){.handle = b->handle,
                                .next = base + 1,
                                .credit_msgs = base + 9,
                                .credit_bytes = 1000});
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 1);
    cr_expect_eq(one_frame(&o, NET_DATA, 0)->e.conn, 2);
    cr_expect_eq(one_sent(&o, 0)->seq, base + 1);
    one_free(&o);
}
