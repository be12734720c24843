#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* The receiving side of a flow, frame by frame; refusals first. */

TestSuite(netmgr_recv, .timeout = 20);

static const struct net_ack *ack(struct one *o)
{
    one_flush(o);
    const struct one_effect *a = one_frame(o, NET_ACK, 0);
    return a == NULL ? NULL : &a->e.frame.u.ack;
}

static void send(struct one *o, uint64_t seq, uint16_t round)
{
    one_data(o, (struct net_data){.handle = 1, .seq = seq, .round = round});
}

static bool offered(const struct one *o)
{
    return one_effect(o, NET_OFFER, 0) != NULL;
}

struct bad {
    const char *reason;
    struct net_data d;
};

static const struct bad bads[] = {
    {"a fragment over the limit",
     {.total = NET_FRAGMENT_BYTES + 1, .size = NET_FRAGMENT_BYTES + 1}},
    {"more than the whole", {.total = 10, .size = 11}},
    {"an offset behind the end", {.total = 10, .offset = 11, .size = 0}},
    {"the last one does not end it", {.total = 10, .size = 9}},
    {"more to come, but it ends", {.total = 9, .size = 9, .flags = 1}},
    {"more to come of nothing", {.total = 9, .size = 0, .flags = 1}},
    {"an annex larger than all",
     {.total = 4, .size = 4, .msg = {.kind = MSG_SEND, .annex_bytes = 5}}},
    {"an annex over the limit",
     {.total = 200,
      .size = 200,
      .msg = {.kind = MSG_SEND, .annex_bytes = 121}}},
    {"a kind of the other group", {.msg = {.kind = MSG_REPLY}}},
    {"no such kind", {.msg = {.kind = MSG_KIND_COUNT}}},
};

Test(netmgr_recv, frames_that_break_the_protocol)
{
    for (size_t i = 0; i < ARRAY_LEN(bads); i++) {
        struct one o;
        one_session(one_new(&o));
        one_bind(&o, 1, 1, false);
        struct net_data d = bads[i].d;
        d.handle = 1;
        d.seq = 1;
        one_data(&o, d);
        cr_expect(one_effect(&o, NET_STRANGER, 0) != NULL, "%s",
                  bads[i].reason);
        cr_expect(!offered(&o), "%s", bads[i].reason);
        one_free(&o);
    }
}

Test(netmgr_recv, two_messages_under_one_number)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    struct net_data d = {
        .handle = 1, .seq = 1, .flags = 1, .total = 30, .size = 10};
    one_data(&o, d);
    d.total = 31;
    d.offset = 10;
    one_data(&o, d);
    cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
    one_free(&o);
}

Test(netmgr_recv, one_handle_for_two_flows)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    struct net_bind b = one_flow(1, 1);
    b.returning = true;
    one_give_bind(&o, 1, b);
    cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
    one_free(&o);
}

/* Who sends from a port that has moved has it. */
Test(netmgr_recv, where_a_source_lives_is_learned)
{
    struct one o;
    one_session(one_new(&o));
    const struct motet_ui moved = ui_make(1234, 1, UI_PORT, 1);
    struct net_bind b = one_flow(1, 1);
    b.src = moved;
    b.src_epoch = 2;
    b.origin_site = 1234;
    one_give_bind(&o, 1, b);
    uint64_t epoch;
    const struct place_of place = netmgr_where(o.net, moved, &epoch);
    cr_expect_eq(place.site, ONE_PEER);
    cr_expect_eq(place.incarnation, 20);
    cr_expect_eq(epoch, 2);
    cr_expect(one_effect(&o, NET_WHERE, 0) != NULL);
    one_free(&o);
}

Test(netmgr_recv, an_unknown_handle_is_told)
{
    struct one o;
    one_session(one_new(&o));
    send(&o, 1, 0);
    cr_assert_eq(one_frame(&o, NET_UNBOUND, 0)->e.frame.u.unbound, 1);
    send(&o, 2, 0);
    cr_assert_eq(one_frames(&o, NET_UNBOUND), 0, "once in a turn");
    one_flush(&o);
    send(&o, 3, 0);
    cr_assert_eq(one_frames(&o, NET_UNBOUND), 1);
    one_free(&o);
}

Test(netmgr_recv, in_order_once_and_acknowledged)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 5, false);
    send(&o, 6, 0);
    cr_assert(!offered(&o), "too early");
    send(&o, 5, 0);
    cr_assert(offered(&o));
    send(&o, 5, 0);
    cr_assert(!offered(&o), "twice");
    send(&o, 6, 0);
    cr_assert(offered(&o));
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->next, 7);
    cr_assert_eq(a->credit_msgs, 107);
    cr_assert_eq(one_frames(&o, NET_ACK), 1, "one for all of the turn");
    cr_assert(ack(&o) == NULL);
    one_free(&o);
}

Test(netmgr_recv, a_request_is_acknowledged_late)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    one_data(&o, (struct net_data){
                     .handle = 1, .seq = 1, .msg = {.kind = MSG_REQUEST}});
    cr_assert(ack(&o) == NULL);
    one_wait(&o, 4);
    cr_assert(one_frame(&o, NET_ACK, 0) == NULL);
    one_wait(&o, 1);
    cr_assert_eq(one_frame(&o, NET_ACK, 0)->e.frame.u.ack.next, 2);
    one_free(&o);
}

Test(netmgr_recv, or_with_data_the_other_way)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    one_data(&o, (struct net_data){
                     .handle = 1, .seq = 1, .msg = {.kind = MSG_REQUEST}});
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    cr_assert_eq(ack(&o)->next, 2);
    one_free(&o);
}

Test(netmgr_recv, no_room_raises_the_round)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    o.verdict = MOTET_E_AGAIN;
    send(&o, 1, 0);
    cr_assert(offered(&o));
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->round, 1);
    cr_assert_eq(a->flags, NET_ACK_REWIND);
    cr_assert_eq(a->next, 1);
    cr_assert_eq(a->credit_msgs, 1, "no credit");
    o.verdict = MOTET_OK;
    send(&o, 1, 0);
    cr_assert(!offered(&o), "of an older round");
    (void)!one_step(&o,
                    (struct net_in){.kind = NET_IN_ROOM, .dst = one_here()});
    a = ack(&o);
    cr_assert_eq(a->flags, 0);
    cr_assert_gt(a->credit_msgs, 1);
    send(&o, 1, 1);
    cr_assert(offered(&o));
    one_free(&o);
}

Test(netmgr_recv, one_more_may_always_be_tried)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    o.room = 0; /* it took the last place */
    send(&o, 1, 0);
    cr_assert_eq(ack(&o)->credit_msgs, 3);
    one_free(&o);
}

Test(netmgr_recv, a_refused_one_waits_for_its_void)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    o.verdict = MOTET_E_PERMISSION;
    send(&o, 1, 0);
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->flags, NET_ACK_REFUSED);
    cr_assert_eq(a->status, MOTET_E_PERMISSION);
    cr_assert_eq(a->next, 1);
    cr_assert_eq(a->round, 1);
    o.verdict = MOTET_OK;
    send(&o, 1, 1);
    cr_assert(!offered(&o), "no second chance");
    send(&o, 2, 1);
    cr_assert(!offered(&o), "nor a later one");
    one_data(&o,
             (struct net_data){
                 .handle = 1, .seq = 1, .round = 1, .flags = NET_DATA_VOID});
    cr_assert(!offered(&o));
    send(&o, 2, 1);
    cr_assert(offered(&o));
    cr_assert_eq(ack(&o)->next, 3);
    one_free(&o);
}

Test(netmgr_recv, a_port_that_is_gone)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    send(&o, 1, 0);
    o.verdict = MOTET_E_NO_PORT;
    send(&o, 2, 0);
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->flags, NET_ACK_GONE);
    cr_assert_eq(a->status, MOTET_E_NO_PORT);
    cr_assert_eq(a->next, 2, "the first was taken");
    send(&o, 3, 0);
    cr_assert(!offered(&o));
    one_free(&o);
}

Test(netmgr_recv, a_port_that_ends_says_how_far_it_came)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    send(&o, 1, 0);
    (void)ack(&o);
    (void)!one_step(
        &o, (struct net_in){.kind = NET_IN_PORT_END, .dst = one_here()});
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->flags, NET_ACK_GONE);
    cr_assert_eq(a->status, MOTET_E_CLOSED);
    cr_assert_eq(a->next, 2);
    one_free(&o);
}

/* A WATCH of it is answered by the nucleus, behind what it had sent. */
Test(netmgr_recv, what_returns_is_offered_after_the_end_of_its_port)
{
    struct one o;
    one_session(one_new(&o));
    struct net_bind b = one_flow(1, 1);
    b.returning = true;
    one_give_bind(&o, 1, b);
    struct net_data d = {.handle = 1, .seq = 1, .msg = {.kind = MSG_WATCH}};
    one_data(&o, d);
    cr_assert(offered(&o));
    (void)ack(&o);
    (void)!one_step(
        &o, (struct net_in){.kind = NET_IN_PORT_END, .dst = one_here()});
    cr_expect_eq(one_frames(&o, NET_ACK), 0);
    d.seq = 2;
    one_data(&o, d);
    cr_expect(offered(&o));
    one_free(&o);
}

Test(netmgr_recv, a_port_that_moved)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    send(&o, 1, 0);
    one_where(&o, one_here(), 99, 4, 2);
    o.verdict = MOTET_E_NO_PORT;
    send(&o, 2, 0);
    one_flush(&o);
    cr_assert(one_frame(&o, NET_ACK, 0) == NULL);
    const struct net_moved *m = &one_frame(&o, NET_MOVED, 0)->e.frame.u.moved;
    cr_assert_eq(m->site, 99);
    cr_assert_eq(m->incarnation, 4);
    cr_assert_eq(m->epoch, 2);
    cr_assert_eq(m->next, 2);
    one_free(&o);
}

Test(netmgr_recv, a_bind_never_goes_back)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 2, 10, false);
    send(&o, 10, 0); /* unknown handle: nothing */
    one_data(&o, (struct net_data){.handle = 2, .seq = 10});
    one_bind(&o, 1, 3, false);  /* out of the past */
    one_bind(&o, 2, 10, false); /* once more */
    cr_assert_eq(ack(&o)->next, 11);
    one_bind(&o, 3, 5, true);
    cr_assert_eq(ack(&o)->next, 11);
    one_bind(&o, 4, 50, false); /* all before have their outcome */
    one_data(&o, (struct net_data){.handle = 4, .seq = 50});
    cr_assert(offered(&o));
    one_free(&o);
}

/* Connections break; records stay. */
Test(netmgr_recv, a_record_outlives_its_connection)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    send(&o, 1, 0);
    one_down(&o, 1);
    struct net_hello h = one_hello();
    one_meet(&o, 2, &h);
    struct net_bind b = one_flow(9, 1);
    b.resume = true;
    one_give_bind(&o, 2, b);
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->next, 2);
    cr_assert_eq(a->handle, 9);
    one_free(&o);
}

static void bind_from(struct one *o, uint32_t serial, uint32_t handle,
                      uint64_t base, bool resume)
{
    struct net_bind b = one_flow(handle, base);
    b.src = ui_make(ONE_PEER, 20, UI_PORT, serial);
    b.resume = resume;
    one_give_bind(o, 1, b);
}

Test(netmgr_recv, records_have_a_limit)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.limits.flows_max = 4;
    one_create(&o, &cfg);
    one_session(&o);
    for (uint32_t i = 1; i <= 4; i++) {
        bind_from(&o, i, i, 10 * i, false);
        one_data(&o, (struct net_data){.handle = i, .seq = 10 * i});
        cr_assert(offered(&o));
    }
    bind_from(&o, 5, 5, 1, false);
    const struct net_ack *a = &one_frame(&o, NET_ACK, 0)->e.frame.u.ack;
    cr_assert_eq(a->handle, 5);
    cr_assert_eq(a->flags, NET_ACK_GONE);
    cr_assert_eq(a->status, MOTET_E_LIMIT);
    one_pass(&o, 29000);
    bind_from(&o, 6, 6, 1, false);
    cr_assert_eq(one_frame(&o, NET_ACK, 0)->e.frame.u.ack.status,
                 MOTET_E_LIMIT);
    one_pass(&o, 2000);
    bind_from(&o, 7, 7, 100, false); /* takes the place of the first */
    cr_assert(one_frame(&o, NET_ACK, 0) == NULL);
    bind_from(&o, 1, 8, 10, true); /* of which nothing is known any more */
    a = &one_frame(&o, NET_ACK, 0)->e.frame.u.ack;
    cr_assert_eq(a->flags, NET_ACK_GONE);
    cr_assert_eq(a->status, MOTET_E_MAYBE_LOST);
    bind_from(&o, 1, 9, 11, true); /* numbers that it never saw */
    a = ack(&o);
    cr_assert_eq(a->flags, 0);
    cr_assert_eq(a->next, 11);
    one_free(&o);
}

Test(netmgr_recv, records_are_swept)
{
    struct one o;
    one_session(one_new(&o));
    for (uint32_t i = 1; i <= 100; i++) {
        bind_from(&o, i, i, 10, false);
    }
    cr_assert_eq(netmgr_counts(o.net).flows_in, 100);
    one_pass(&o, 62000);
    cr_assert_eq(netmgr_counts(o.net).flows_in, 0);
    one_free(&o);
}

Test(netmgr_recv, a_message_too_big_is_refused_before_it_is_stored)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.limits.body_bytes_max = 100000;
    one_create(&o, &cfg);
    one_session(&o);
    one_bind(&o, 1, 1, false);
    size_t used = o.mem.used_bytes;
    struct net_data d = {.handle = 1,
                         .seq = 1,
                         .flags = NET_DATA_MORE,
                         .total = 100001,
                         .size = NET_FRAGMENT_BYTES};
    one_data(&o, d);
    cr_assert_eq(o.mem.used_bytes, used);
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->status, MOTET_E_TOO_BIG);
    bind_from(&o, 77, 2, 1, false);
    d.handle = 2;
    d.total = 100000;
    one_data(&o, d);
    cr_assert_geq(o.mem.used_bytes, used + 100000);
    one_free(&o);
}

/* A peer's unfinished messages have a limit; those over it wait. */
Test(netmgr_recv, unfinished_messages_have_a_limit)
{
    struct one o;
    one_init(&o);
    struct netmgr_config cfg = one_config(&o);
    cfg.limits.assembly_bytes_max = 40000;
    one_create(&o, &cfg);
    one_session(&o);
    struct net_data d = {.seq = 1,
                         .flags = NET_DATA_MORE,
                         .total = 20000,
                         .size = NET_FRAGMENT_BYTES};
    for (uint32_t i = 1; i <= 3; i++) {
        bind_from(&o, i, i, 1, false);
        d.handle = i;
        one_data(&o, d);
    }
    const struct net_ack *a = ack(&o);
    cr_assert_eq(a->handle, 3);
    cr_assert_eq(a->flags, NET_ACK_REWIND);
    d = (struct net_data){.handle = 1,
                          .seq = 1,
                          .total = 20000,
                          .offset = NET_FRAGMENT_BYTES,
                          .size = 20000 - NET_FRAGMENT_BYTES};
    one_data(&o, d);
    cr_assert(offered(&o));
    one_flush(&o);
    bool woken = false;
    for (uint32_t i = 0; i < one_frames(&o, NET_ACK); i++) {
        a = &one_frame(&o, NET_ACK, i)->e.frame.u.ack;
        woken = woken || (a->handle == 3 && a->flags == 0);
    }
    cr_assert(woken);
    one_free(&o);
}

Test(netmgr_recv, memory_that_runs_out_is_only_delay)
{
    struct one o;
    one_session(one_new(&o));
    one_bind(&o, 1, 1, false);
    size_t cap = o.mem.cap_bytes;
    o.mem.cap_bytes = o.mem.used_bytes;
    one_data(&o, (struct net_data){
                     .handle = 1, .seq = 1, .total = 9000, .size = 9000});
    cr_assert(!offered(&o));
    o.mem.cap_bytes = cap;
    cr_assert_eq(ack(&o)->flags, NET_ACK_REWIND);
    one_wait(&o, 100);
    const struct net_ack *a = &one_frame(&o, NET_ACK, 0)->e.frame.u.ack;
    cr_assert_eq(a->flags, 0);
    one_data(&o, (struct net_data){.handle = 1,
                                   .seq = 1,
                                   .round = a->round,
                                   .total = 9000,
                                   .size = 9000});
    cr_assert(offered(&o));
    one_free(&o);
}
