#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* The sending side of a flow that loses its connection, its peer, the place of
 * its port or its record, and what becomes of its messages. */

TestSuite(netmgr_resume, .timeout = 20);

static void break_and_resume(struct one *o)
{
    one_down(o, 1);
    struct net_hello h = one_hello();
    one_meet(o, 2, &h);
    one_flush(o);
}

Test(netmgr_resume, resumption)
{
    struct one o;
    one_session(one_new(&o));
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(one_send(&o, i, 1, 0), MOTET_OK);
    }
    one_flush(&o);
    uint32_t h = one_bound(&o)->handle;
    uint64_t b = one_bound(&o)->base;
    break_and_resume(&o);
    const struct net_bind *bind = one_bound(&o);
    cr_assert(bind->resume);
    cr_assert_neq(bind->handle, h);
    cr_assert_eq(bind->base, b);
    cr_assert_eq(one_frames(&o, NET_DATA), 0, "the answer is waited for");
    struct net_ack a = {.handle = h, .next = b + 3};
    one_ack_on(&o, 2, a);
    cr_assert_eq(one_outcome(&o, 3), MOTET_E_COUNT, "of another connection");
    a.handle = h + 1;
    a.next = b + 2;
    a.credit_msgs = b + 9;
    one_ack_on(&o, 2, a);
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->seq, b + 2);
    one_free(&o);
}

Test(netmgr_resume, what_was_lost_with_a_connection_is_certain_again)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    uint64_t b = one_bound(&o)->base;
    break_and_resume(&o);
    one_ack_on(&o, 2,
               (struct net_ack){.handle = one_bound(&o)->handle, .next = b});
    struct net_in in = {.kind = NET_IN_CANCEL,
                        .ticket = 1,
                        .src = one_here(),
                        .dst = one_there()};
    cr_assert_eq(one_step(&o, in), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_CANCELLED);
    one_free(&o);
}

Test(netmgr_resume, a_record_that_was_evicted)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    uint64_t b = one_bound(&o)->base;
    one_down(&o, 1);
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    struct net_hello h = one_hello();
    one_meet(&o, 2, &h);
    one_flush(&o);
    one_ack_on(&o, 2,
               (struct net_ack){.handle = one_bound(&o)->handle,
                                .flags = NET_ACK_GONE,
                                .status = MOTET_E_MAYBE_LOST,
                                .next = b});
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_MAYBE_LOST);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_COUNT);
    one_flush(&o);
    cr_assert_eq(one_bound(&o)->base, b + 1);
    cr_assert(!one_bound(&o)->resume);
    cr_assert_eq(one_sent(&o, 0)->seq, b + 1);
    one_free(&o);
}

Test(netmgr_resume, death)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    struct net_in later = one_send_in(&o, 3, 0, 0);
    later.dst = ui_make(ONE_PEER, 21, UI_PORT, 1);
    cr_assert_eq(one_step(&o, later), MOTET_OK, "of its next life");
    one_dead(&o, 20);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_MAYBE_SITE_DEAD);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_SITE_DEAD);
    cr_assert_eq(one_outcome(&o, 3), MOTET_E_COUNT);
    struct net_hello h = one_hello();
    h.incarnation = 21;
    one_meet(&o, 2, &h);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->seq, one_bound(&o)->base);
    one_free(&o);
}

Test(netmgr_resume, bye)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_give(&o, 1, (struct net_frame){.kind = NET_BYE});
    cr_assert_eq(one_effect(&o, NET_PEER_BYE, 0)->e.incarnation, 20);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_COUNT, "its ports may have moved");
    one_dead(&o, 20);
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_SITE_DEAD);
    one_free(&o);
}

Test(netmgr_resume, moved)
{
    struct one o;
    one_session(one_new(&o));
    struct net_hello h = one_hello();
    h.site = 9;
    strcpy(h.name, "third");
    one_meet(&o, 2, &h);
    for (uint64_t i = 1; i <= 3; i++) {
        cr_assert_eq(one_send(&o, i, 1, 0), MOTET_OK);
    }
    one_flush(&o);
    uint64_t b = one_bound(&o)->base;
    one_give(&o, 1,
             (struct net_frame){.kind = NET_MOVED,
                                .u = {.moved = {.handle = one_bound(&o)->handle,
                                                .site = 9,
                                                .incarnation = 20,
                                                .epoch = 2,
                                                .next = b + 1}}});
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_E_COUNT);
    one_flush(&o);
    const struct one_effect *bind = one_frame(&o, NET_BIND, 0);
    cr_assert_eq(bind->e.conn, 2);
    cr_assert_eq(bind->e.frame.u.bind.base, b + 1);
    cr_assert_eq(bind->e.frame.u.bind.epoch, 2);
    /* The second may have been taken before the move: its record has moved. */
    cr_assert(bind->e.frame.u.bind.resume);
    cr_assert(one_frame(&o, NET_DATA, 0) == NULL);
    one_ack_on(&o, 2,
               (struct net_ack){.handle = one_bound(&o)->handle,
                                .next = b + 2,
                                .credit_msgs = b + 16,
                                .credit_bytes = 65536});
    cr_assert_eq(one_outcome(&o, 2), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 3), MOTET_E_COUNT);
    one_flush(&o);
    cr_assert_eq(one_sent(&o, 0)->seq, b + 2);
    cr_assert_eq(one_send(&o, 4, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_frame(&o, NET_DATA, 0)->e.conn, 2);
    one_free(&o);
}

Test(netmgr_resume, a_flow_begins_again_above_its_old_numbers)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    uint64_t b = one_bound(&o)->base;
    uint32_t first = one_bound(&o)->handle;
    one_ack(&o, (struct net_ack){.handle = first, .next = b + 1});
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(netmgr_counts(o.net).flows_out, 1);
    one_pass(&o, 15500);
    cr_assert_eq(netmgr_counts(o.net).flows_out, 0, "idle for 15 s");
    cr_assert_eq(one_send(&o, 2, 1, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_gt(one_bound(&o)->base, b + 1);
    one_free(&o);
}

/* ... however many it had. */
Test(netmgr_resume, a_flow_begins_again_above_two_million_numbers)
{
    struct one o;
    one_session(one_new(&o));
    uint64_t next = 0;
    uint32_t h = 0;
    for (uint64_t i = 0; i < (2 << 20) / 1000 + 100; i++) {
        struct net_in in = one_send_in(&o, 0, 0, 0);
        for (int k = 0; k < 1000; k++) {
            cr_assert_eq(one_step(&o, in), MOTET_OK);
        }
        one_flush(&o);
        if (h == 0) {
            h = one_bound(&o)->handle;
            next = one_bound(&o)->base;
        }
        do {
            next += one_frames(&o, NET_DATA);
            (void)!one_step(&o, (struct net_in){.kind = NET_IN_DRAINED,
                                                .conn = 1,
                                                .size = UINT32_MAX});
            one_ack(&o, (struct net_ack){.handle = h,
                                         .next = next,
                                         .credit_msgs = next + 1000,
                                         .credit_bytes = 1 << 20});
            one_flush(&o);
        } while (one_frames(&o, NET_DATA) > 0);
    }
    one_wait(&o, 15000);
    cr_assert_eq(netmgr_counts(o.net).flows_out, 0);
    cr_assert_eq(one_send(&o, 1, 1, 0), MOTET_OK);
    one_flush(&o);
    struct net_hello hello = one_hello();
    one_meet(&o, 2, &hello);
    one_flush(&o);
    cr_assert_geq(one_bound(&o)->base, next);
    one_free(&o);
}
