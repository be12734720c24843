#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* The sending side of a flow, answer by answer; refusals first. */

TestSuite(netmgr_send, .timeout = 20);

Test(netmgr_send, refused_at_once)
{
    struct one o;
    one_session(one_new(&o));
    struct net_in in = one_send_in(&o, 1, 0, 0);
    in.dst = ui_make(1234, 1, UI_PORT, 1);
    cr_expect_eq(one_step(&o, in), MOTET_E_NO_SITE, "never heard of");
    one_where(&o, one_there(), 1234, 1, 2);
    in.dst = one_there();
    cr_expect_eq(one_step(&o, in), MOTET_E_UNREACHABLE, "others have met it");
    one_where(&o, one_there(), ONE_PEER, 20, 3);
    one_dead(&o, 19);
    in.dst = ui_make(ONE_PEER, 19, UI_PORT, 1);
    cr_expect_eq(one_step(&o, in), MOTET_E_SITE_DEAD, "an older incarnation");
    in.dst = ui_make(ONE_SITE, ONE_INCARNATION, UI_PORT, 1);
    cr_expect_eq(one_step(&o, in), MOTET_E_NO_PORT, "of this site");
    in.dst = ui_of_name("group");
    cr_expect_eq(one_step(&o, in), MOTET_E_INVALID, "a group");
    in.dst = one_there();
    in.msg.kind = MSG_KIND_COUNT;
    cr_expect_eq(one_step(&o, in), MOTET_E_INVALID, "no such kind");
    in.msg.kind = MSG_SEND;
    in.msg.annex_bytes = 1;
    cr_expect_eq(one_step(&o, in), MOTET_E_INVALID, "an annex of no bytes");
    cr_expect_eq(one_send(&o, 1, (16 << 20) + 1, 0), MOTET_E_TOO_BIG);
    cr_expect_eq(one_send(&o, 1, 16 << 20, 0), MOTET_OK);
    one_dead(&o, 20);
    cr_expect_eq(one_outcome(&o, 1), MOTET_E_SITE_DEAD);
    cr_expect_eq(one_send(&o, 2, 1, 0), MOTET_E_SITE_DEAD);
    in = one_send_in(&o, 3, 0, 0);
    in.dst = ui_of_control(ONE_PEER);
    cr_expect_eq(one_step(&o, in), MOTET_E_SITE_DEAD, "its control port");
    one_free(&o);
}

/* Where the ports of earlier lives of this site live is told later. */
Test(netmgr_send, an_open_past)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.past_open = true;
    one_create(&o, &cfg);
    one_session(&o);
    const struct motet_ui moved = ui_make(ONE_SITE, 9, UI_PORT, 1);
    const struct motet_ui ended = ui_make(ONE_SITE, 9, UI_PORT, 2);
    struct net_in in = one_send_in(&o, 1, 0, 0);
    in.dst = moved;
    cr_assert_eq(one_step(&o, in), MOTET_OK);
    in.ticket = 2;
    in.dst = ended;
    cr_assert_eq(one_step(&o, in), MOTET_OK);
    one_flush(&o);
    cr_expect_eq(one_frames(&o, NET_BIND), 0, "not to this life");
    one_where(&o, moved, ONE_PEER, 20, 2);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_BIND), 1);
    cr_assert_eq(one_step(&o, (struct net_in){.kind = NET_IN_DEAD,
                                              .site = ONE_SITE,
                                              .incarnation = 9}),
                 MOTET_OK);
    cr_expect_eq(one_outcome(&o, 2), MOTET_E_SITE_DEAD);
    in.ticket = 3;
    cr_expect_eq(one_step(&o, in), MOTET_E_SITE_DEAD);
    in.dst = moved;
    cr_expect_eq(one_step(&o, in), MOTET_OK);
    cr_expect_eq(one_step(&o, (struct net_in){.kind = NET_IN_DEAD,
                                              .site = ONE_SITE,
                                              .incarnation = ONE_INCARNATION}),
                 MOTET_E_INVALID, "this life is not over");
    one_free(&o);
}

Test(netmgr_send, the_queue_of_a_flow_has_a_limit)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.limits.flow_msgs_max = 10;
    one_create(&o, &cfg);
    one_session(&o);
    for (uint64_t i = 1; i <= 10; i++) {
        cr_assert_eq(one_send(&o, i, 1, 0), MOTET_OK);
    }
    cr_assert_eq(one_send(&o, 11, 1, 0), MOTET_E_AGAIN);
    struct net_in in = one_send_in(&o, 11, 0, 0);
    in.wait = true; /* who waits has as many again */
    for (; in.ticket <= 20; in.ticket++) {
        cr_assert_eq(one_step(&o, in), MOTET_OK);
    }
    cr_assert_eq(one_step(&o, in), MOTET_E_AGAIN);
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    one_ack(&o, (struct net_ack){.handle = h,
                                 .next = b + 10,
                                 .credit_msgs = b + 100,
                                 .credit_bytes = 1000});
    cr_assert(one_effect(&o, NET_ROOM_FOR, 0) == NULL, "half is still full");
    one_flush(&o);
    one_ack(&o, (struct net_ack){.handle = h,
                                 .next = b + 15,
                                 .credit_msgs = b + 100,
                                 .credit_bytes = 1000});
    const struct one_effect *room = one_effect(&o, NET_ROOM_FOR, 0);
    cr_assert(room != NULL && ui_equal(room->e.dst, one_there()));
    one_free(&o);
}

Test(netmgr_send, and_one_in_bytes)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 5 << 20, 0), MOTET_OK, "one may be more");
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_E_AGAIN);
    one_free(&o);
}

Test(netmgr_send, credit)
{
    struct one o;
    one_session(one_new(&o));
    for (uint64_t i = 1; i <= 40; i++) {
        cr_assert_eq(one_send(&o, i, 100, 0), MOTET_OK);
    }
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 16, "the initial credit");
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 0);
    one_ack(&o, (struct net_ack){.handle = h,
                                 .next = b + 16,
                                 .credit_msgs = b + 20,
                                 .credit_bytes = 1 << 20});
    cr_assert_eq(one_outcome(&o, 16), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 17), MOTET_E_COUNT);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 4);
    one_ack(&o, (struct net_ack){.handle = h,
                                 .next = b + 20,
                                 .credit_msgs = b + 40,
                                 .credit_bytes = 250});
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 2, "bytes count as well");
    one_free(&o);
}

Test(netmgr_send, an_ack_of_what_was_never_sent)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    one_ack(&o, (struct net_ack){.handle = one_bound(&o)->handle,
                                 .next = one_bound(&o)->base + 2});
    cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_COUNT);
    one_free(&o);
}

Test(netmgr_send, deadlines)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 10), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_send(&o, 2, 1, 10), MOTET_OK);
    one_wait(&o, 10);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_MAYBE_TIMEOUT, "transmitted");
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_TIMEOUT, "never transmitted");
    cr_assert_eq(one_frames(&o, NET_DATA), 0);
    cr_assert_eq(netmgr_counts(o.net).pending, 0);
    one_free(&o);
}

Test(netmgr_send, a_deadline_while_the_queue_is_full)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 10), MOTET_OK);
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    one_ack(&o, (struct net_ack){.handle = h,
                                 .flags = NET_ACK_REWIND,
                                 .round = 1,
                                 .next = b,
                                 .credit_msgs = b});
    one_wait(&o, 10);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_FULL);
    cr_assert_eq(one_sent(&o, 0)->flags & NET_DATA_VOID, NET_DATA_VOID);
    cr_assert_eq(one_sent(&o, 0)->round, 1);
    cr_assert_eq(one_frames(&o, NET_DATA), 1, "a VOID needs no credit");
    one_ack(&o, (struct net_ack){.handle = h,
                                 .round = 1,
                                 .next = b + 1,
                                 .credit_msgs = b + 9,
                                 .credit_bytes = 100});
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->seq, b + 1);
    one_free(&o);
}

Test(netmgr_send, cancel)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    struct net_in in = {.kind = NET_IN_CANCEL,
                        .ticket = 2,
                        .src = one_here(),
                        .dst = one_there()};
    cr_assert_eq(one_step(&o, in), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_CANCELLED);
    cr_assert_eq(one_step(&o, in), MOTET_E_STATE, "once only");
    in.ticket = 1;
    cr_assert_eq(one_step(&o, in), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_MAYBE_CANCELLED);
    one_free(&o);
}

Test(netmgr_send, refused)
{
    struct one o;
    one_session(one_new(&o));
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(one_send(&o, i, 1, 0), MOTET_OK);
    }
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    struct net_ack a = {.handle = h,
                        .flags = NET_ACK_REFUSED,
                        .status = MOTET_E_PERMISSION,
                        .round = 1,
                        .next = b + 1,
                        .credit_msgs = b + 9,
                        .credit_bytes = 100};
    one_ack(&o, a);
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_PERMISSION);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->seq, b + 1);
    cr_assert_eq(one_sent(&o, 0)->flags & NET_DATA_VOID, NET_DATA_VOID);
    cr_assert_eq(one_sent(&o, 1)->seq, b + 2);
    cr_assert_eq(one_sent(&o, 1)->round, 1);
    one_ack(&o, a); /* once more */
    cr_assert_eq(one_outcome(&o, 3), MOTET_E_COUNT);
    one_free(&o);
}

Test(netmgr_send, a_reason_that_is_none)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    one_ack(&o, (struct net_ack){.handle = one_bound(&o)->handle,
                                 .flags = NET_ACK_REFUSED,
                                 .status = 60000,
                                 .round = 1,
                                 .next = one_bound(&o)->base});
    cr_assert_eq(motet_err_ran(one_outcome(&o, 1)), MOTET_RAN_NO);
    one_free(&o);
}

Test(netmgr_send, gone)
{
    struct one o;
    one_session(one_new(&o));
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(one_send(&o, i, 1, 0), MOTET_OK);
    }
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    one_ack(&o, (struct net_ack){.handle = h,
                                 .flags = NET_ACK_GONE,
                                 .status = MOTET_E_CLOSED,
                                 .next = b + 1});
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_CLOSED);
    cr_assert_eq(one_outcome(&o, 3), MOTET_E_CLOSED);
    cr_assert_eq(one_send(&o, 4, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_neq(one_bound(&o)->handle, h);
    cr_assert_eq(one_bound(&o)->base, b + 3);
    one_free(&o);
}

/* The port there ends while nothing is kept here and no credit is left: what is
 * sent next binds anew, and is refused, instead of waiting for credit for ever.
 */
Test(netmgr_send, gone_with_nothing_kept_and_no_credit)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    one_ack(&o,
            (struct net_ack){.handle = h, .next = b + 1, .credit_msgs = b + 1});
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    one_ack(&o, (struct net_ack){.handle = h,
                                 .flags = NET_ACK_GONE,
                                 .status = MOTET_E_CLOSED,
                                 .next = b + 1});
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_neq(one_bound(&o)->handle, h);
    one_free(&o);
}

Test(netmgr_send, an_ack_that_was_overtaken)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    struct net_ack a = {.handle = one_bound(&o)->handle,
                        .round = 1,
                        .next = one_bound(&o)->base,
                        .credit_msgs = one_bound(&o)->base + 1,
                        .credit_bytes = 100};
    one_ack(&o, a);
    a.round = 0;
    a.credit_msgs = a.next;
    one_ack(&o, a);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->round, 1);
    one_free(&o);
}

/* 16 MiB do not hold up the small ones, and take the bulk lane. */
Test(netmgr_send, large_and_small)
{
    struct one o;
    one_session(one_new(&o));
    struct net_in big = one_send_in(&o, 1, 16 << 20, 0);
    big.src = ui_make(ONE_SITE, ONE_INCARNATION, UI_PORT, 99);
    cr_assert_eq(one_step(&o, big), MOTET_OK);
    for (uint64_t i = 2; i <= 5; i++) {
        cr_assert_eq(one_send(&o, i, 100, 0), MOTET_OK);
    }
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 4, "small ones at once");
    one_wait(&o, 0);
    const struct one_effect *dial = one_effect(&o, NET_DIAL, 0);
    cr_assert_eq(dial->e.lane, NET_BULK);
    one_answered(&o, 2, dial->e.dial);
    struct net_hello h = one_hello();
    h.lane = NET_BULK;
    h.answer = true;
    one_give_hello(&o, 2, &h);
    one_flush(&o);
    uint32_t pieces = one_frames(&o, NET_DATA);
    cr_assert_eq(pieces, 16, "256 KiB of backlog: %u", pieces);
    cr_assert_eq(one_frame(&o, NET_DATA, 0)->e.conn, 2);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 0);
    (void)!one_step(
        &o,
        (struct net_in){.kind = NET_IN_DRAINED, .conn = 2, .size = 2 * 16424});
    struct net_in small = one_send_in(&o, 6, 9000, 0);
    small.src = ui_make(ONE_SITE, ONE_INCARNATION, UI_PORT, 98);
    cr_assert_eq(one_step(&o, small), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->total, 16 << 20);
    cr_assert_eq(one_sent(&o, 1)->total, 9000, "they take turns");
    one_free(&o);
}

Test(netmgr_send, memory_that_runs_out_changes_nothing)
{
    struct one o;
    one_session(one_new(&o));
    struct net_in in = one_send_in(&o, 1, 10, 0);
    size_t cap = o.mem.cap_bytes;
    for (size_t extra = 0;; extra += 64) {
        struct net_counts before = netmgr_counts(o.net);
        o.mem.cap_bytes = o.mem.used_bytes + extra;
        enum motet_err err = one_step(&o, in);
        if (err == MOTET_OK) {
            break;
        }
        cr_assert_eq(err, MOTET_E_NO_MEMORY);
        cr_assert_eq(netmgr_counts(o.net).pending, before.pending);
    }
    o.mem.cap_bytes = cap;
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 1);
    one_free(&o);
}
