#include <stdio.h>
#include <string.h>

#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* The path over datagrams as the network manager sees it: when it is offered,
 * what takes it, and that nothing changes its outcome when it comes and goes.
 * Refusals first. */

TestSuite(netmgr_fast, .timeout = 20);

enum { CONTROL = 1, FAST = 9 };

static void begin(struct one *o, enum net_transport transport)
{
    one_init(o);
    struct netmgr_config cfg = one_config(o);
    cfg.transport = transport;
    one_create(o, &cfg);
}

/* A session with a peer that takes a path, with that token. */
static void session(struct one *o, uint64_t features)
{
    struct net_hello h = one_hello();
    h.features = features;
    h.token = 77;
    one_meet(o, CONTROL, &h);
    cr_assert(one_effect(o, NET_SESSION, 0) != NULL);
}

static enum motet_err path_up(struct one *o, uint64_t conn, uint64_t control,
                              uint32_t size)
{
    return one_step(o, (struct net_in){.kind = NET_IN_PATH,
                                       .conn = conn,
                                       .dial = control,
                                       .size = size});
}

static void up(struct one *o, enum net_transport transport)
{
    begin(o, transport);
    session(o, NET_HELLO_PATH);
    cr_assert_eq(path_up(o, FAST, CONTROL, 1000), MOTET_OK);
}

static struct one_effect frame(const struct one *o, enum net_frame_kind kind)
{
    const struct one_effect *e = one_frame(o, kind, 0);
    cr_assert(e != NULL, "no frame of kind %d", kind);
    return *e;
}

static void ack(struct one *o, uint64_t conn, uint32_t handle, uint64_t next)
{
    one_ack_on(o, conn,
               (struct net_ack){.handle = handle,
                                .next = next,
                                .credit_msgs = next + 100,
                                .credit_bytes = 1 << 20});
}

Test(netmgr_fast, is_offered_only_where_both_take_one)
{
    const struct {
        enum net_transport here;
        uint64_t there;
        bool offered;
    } cases[] = {
        {NET_TCP, NET_HELLO_PATH, false},
        {NET_UDP, 0, false},
        {NET_UDP, NET_HELLO_CHACHA, false},
        {NET_UDP, NET_HELLO_PATH, true},
        {NET_AUTO, NET_HELLO_PATH | NET_HELLO_CHACHA, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one o;
        begin(&o, cases[i].here);
        session(&o, cases[i].there);
        const struct one_effect *e = one_effect(&o, NET_PATH, 0);
        cr_assert_eq(e != NULL, cases[i].offered, "case %zu", i);
        const struct one_effect hello = frame(&o, NET_HELLO);
        cr_assert_eq((hello.hello.features & NET_HELLO_PATH) != 0,
                     cases[i].here != NET_TCP);
        if (e != NULL) {
            cr_assert_eq(e->e.conn, CONTROL);
            cr_assert_not(e->e.up);
            cr_assert_eq(e->e.tokens[0], 77);
            cr_assert_eq(e->e.tokens[1], hello.hello.token);
            cr_assert_eq(e->e.chacha, (cases[i].there & NET_HELLO_CHACHA) != 0);
        }
        one_free(&o);
    }
}

static enum motet_err way(struct one *o, const char *name,
                          enum net_transport to)
{
    return one_step(
        o, (struct net_in){.kind = NET_IN_WAY, .name = name, .way = to});
}

Test(netmgr_fast, a_way_that_cannot_be)
{
    struct one o;
    char name[MOTET_NAME_MAX + 2];
    begin(&o, NET_TCP);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_assert_eq(way(&o, NULL, NET_UDP), MOTET_E_INVALID);
    cr_assert_eq(way(&o, "", NET_UDP), MOTET_E_INVALID);
    cr_assert_eq(way(&o, name, NET_UDP), MOTET_E_INVALID);
    cr_assert_eq(way(&o, "b", (enum net_transport)3), MOTET_E_INVALID);
    for (int i = 0; i < NET_WAYS_MAX; i++) {
        snprintf(name, sizeof name, "s%d", i);
        cr_assert_eq(way(&o, name, NET_UDP), MOTET_OK);
    }
    cr_assert_eq(way(&o, "one-more", NET_UDP), MOTET_E_LIMIT);
    cr_assert_eq(way(&o, "s0", NET_TCP), MOTET_OK, "it has one already");
    one_free(&o);
}

Test(netmgr_fast, a_link_has_a_way_of_its_own)
{
    const struct {
        enum net_transport all, one;
        bool offered;
    } cases[] = {
        {NET_TCP, NET_UDP, true},
        {NET_TCP, NET_AUTO, true},
        {NET_UDP, NET_TCP, false},
        {NET_UDP, NET_AUTO, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct one o;
        struct net_hello h = one_hello();
        struct net_way w = {.way = cases[i].one};
        memcpy(w.name, h.name, sizeof w.name);
        one_init(&o);
        struct netmgr_config cfg = one_config(&o);
        cfg.transport = cases[i].all;
        cfg.ways = &w;
        cfg.way_count = 1;
        one_create(&o, &cfg);
        session(&o, NET_HELLO_PATH);
        cr_assert_eq(one_effect(&o, NET_PATH, 0) != NULL, cases[i].offered,
                     "case %zu", i);
        const struct one_effect hello = frame(&o, NET_HELLO);
        cr_assert_eq((hello.hello.features & NET_HELLO_PATH) != 0,
                     cases[i].offered, "the other side need not try");
        one_free(&o);
    }
}

Test(netmgr_fast, a_session_is_renewed_only_if_its_path_comes_or_goes)
{
    struct one o;
    const struct net_hello h = one_hello();
    up(&o, NET_UDP);
    cr_assert_eq(way(&o, h.name, NET_AUTO), MOTET_OK);
    cr_assert_eq(way(&o, "else", NET_TCP), MOTET_OK);
    cr_assert(one_effect(&o, NET_CLOSE, 0) == NULL);
    cr_assert_eq(way(&o, h.name, NET_TCP), MOTET_OK);
    const struct one_effect *fast = one_effect(&o, NET_CLOSE, 0);
    const struct one_effect *control = one_effect(&o, NET_CLOSE, 1);
    cr_assert(fast != NULL && control != NULL);
    cr_assert_eq(fast->e.conn + control->e.conn, FAST + CONTROL);
    one_free(&o);
}

Test(netmgr_fast, no_path_without_its_session)
{
    struct one o;
    begin(&o, NET_UDP);
    session(&o, NET_HELLO_PATH);
    cr_assert_eq(path_up(&o, FAST, 5, 1000), MOTET_E_NO_SITE);
    cr_assert_eq(path_up(&o, FAST, CONTROL, 0), MOTET_E_INVALID);
    cr_assert_eq(path_up(&o, 0, CONTROL, 1000), MOTET_E_INVALID);
    one_free(&o);
}

Test(netmgr_fast, a_hello_or_a_bye_on_it_breaks_the_protocol)
{
    const enum net_frame_kind kinds[] = {NET_HELLO, NET_REFUSE, NET_BYE};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct one o;
        struct net_hello h = one_hello();
        struct net_refuse r = {.err = MOTET_E_STALE};
        up(&o, NET_UDP);
        struct net_frame f = {.kind = kinds[i]};
        if (f.kind == NET_HELLO) {
            f.u.hello = &h;
        } else {
            f.u.refuse = &r;
        }
        one_give(&o, FAST, f);
        cr_assert(one_effect(&o, NET_STRANGER, 0) != NULL);
        const struct one_effect *close = one_effect(&o, NET_CLOSE, 0);
        cr_assert(close != NULL && close->e.conn == FAST);
        cr_assert(one_effect(&o, NET_CLOSE, 1) == NULL, "the session stays");
        one_free(&o);
    }
}

Test(netmgr_fast, small_messages_take_it_and_large_ones_do_not)
{
    struct one o;
    up(&o, NET_UDP);
    cr_assert_eq(one_send(&o, 1, 2500, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 3, "in parts of 1000");
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(one_frame(&o, NET_DATA, i)->e.conn, FAST);
    }
    ack(&o, FAST, frame(&o, NET_BIND).e.frame.u.bind.handle, 1 << 20 | 1);
    one_free(&o);

    up(&o, NET_UDP);
    cr_assert_eq(one_send(&o, 1, NET_EXPRESS_BYTES_MAX + 1, 0), MOTET_OK);
    one_wait(&o, 1);
    cr_assert_eq(one_frames(&o, NET_DATA), 0);
    const struct one_effect *dial = one_effect(&o, NET_DIAL, 0);
    cr_assert(dial != NULL && dial->e.lane == NET_BULK);
    one_free(&o);
}

Test(netmgr_fast, answers_take_it)
{
    struct one o;
    up(&o, NET_UDP);
    one_bind(&o, 3, 1, false); /* on CONTROL, as one from before */
    one_data(&o,
             (struct net_data){.handle = 3, .seq = 1, .total = 5, .size = 5});
    one_flush(&o);
    cr_assert_eq(frame(&o, NET_ACK).e.conn, FAST);
    one_free(&o);
}

/* A flow in the middle of something changes over when all its messages have
 * their outcome, by a new handle. */
Test(netmgr_fast, a_flow_changes_over_between_messages)
{
    struct one o;
    begin(&o, NET_UDP);
    session(&o, NET_HELLO_PATH);
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    const struct net_bind first = frame(&o, NET_BIND).e.frame.u.bind;
    cr_assert_eq(frame(&o, NET_DATA).e.conn, CONTROL);
    cr_assert_eq(path_up(&o, FAST, CONTROL, 1000), MOTET_OK);
    cr_assert_eq(one_send(&o, 2, 10, 0), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 0, "the first has no outcome yet");
    ack(&o, CONTROL, first.handle, first.base + 1);
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    one_flush(&o);
    const struct one_effect bind = frame(&o, NET_BIND);
    cr_assert_eq(bind.e.conn, FAST);
    cr_assert_neq(bind.e.frame.u.bind.handle, first.handle);
    cr_assert_eq(bind.e.frame.u.bind.base, first.base + 1);
    cr_assert_not(bind.e.frame.u.bind.resume);
    cr_assert_eq(frame(&o, NET_DATA).e.conn, FAST);
    one_free(&o);
}

/* What was under way when the path ended is neither lost nor sent blindly: the
 * flow asks, and goes on from what the other side says. */
Test(netmgr_fast, its_end_changes_no_outcome)
{
    struct one o;
    up(&o, NET_UDP);
    for (uint64_t ticket = 1; ticket <= 3; ticket++) {
        cr_assert_eq(one_send(&o, ticket, 10, 0), MOTET_OK);
    }
    one_flush(&o);
    const struct net_bind first = frame(&o, NET_BIND).e.frame.u.bind;
    cr_assert_eq(one_frames(&o, NET_DATA), 3);
    one_down(&o, FAST);
    cr_assert(one_effect(&o, NET_OUTCOME, 0) == NULL);
    one_flush(&o);
    const struct one_effect again = frame(&o, NET_BIND);
    cr_assert_eq(again.e.conn, CONTROL);
    cr_assert(again.e.frame.u.bind.resume);
    cr_assert_eq(one_frames(&o, NET_DATA), 0, "first it asks");
    ack(&o, CONTROL, first.handle, first.base + 3); /* late, of the old one */
    cr_assert(one_effect(&o, NET_OUTCOME, 0) == NULL, "it means nothing now");
    ack(&o, CONTROL, again.e.frame.u.bind.handle, first.base + 2);
    cr_assert_eq(one_outcome(&o, 1), MOTET_OK);
    cr_assert_eq(one_outcome(&o, 2), MOTET_OK);
    one_flush(&o);
    cr_assert_eq(one_frames(&o, NET_DATA), 1);
    cr_assert_eq(frame(&o, NET_DATA).e.frame.u.data.seq, first.base + 2);
    one_free(&o);
}

/* The BIND may have been on its way when the path ended: that there was no room
 * for the second one says nothing about the first. */
Test(netmgr_fast, no_room_after_its_end_is_not_certain)
{
    struct one o;
    up(&o, NET_UDP);
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    one_down(&o, FAST);
    one_flush(&o);
    const struct net_bind b = frame(&o, NET_BIND).e.frame.u.bind;
    one_ack_on(&o, CONTROL,
               (struct net_ack){.handle = b.handle,
                                .next = b.base,
                                .credit_msgs = b.base,
                                .flags = NET_ACK_GONE,
                                .status = MOTET_E_LIMIT});
    cr_assert_eq(one_outcome(&o, 1), MOTET_E_MAYBE_LOST);
    one_free(&o);
}

/* The other side goes on by CONTROL: there the path is down. */
Test(netmgr_fast, a_flow_that_resumes_elsewhere_tells_of_its_end)
{
    struct one o;
    up(&o, NET_UDP);
    for (uint32_t handle = 1; handle <= 2; handle++) {
        struct net_bind b = one_flow(handle, 1);
        b.resume = handle == 2;
        one_give_bind(&o, handle == 1 ? FAST : CONTROL, b);
        cr_assert_eq(one_effect(&o, NET_CLOSE, 0) != NULL, handle == 2);
    }
    one_flush(&o);
    cr_assert_eq(frame(&o, NET_ACK).e.conn, CONTROL);
    one_free(&o);
}

Test(netmgr_fast, it_ends_with_its_session)
{
    struct one o;
    up(&o, NET_UDP);
    one_down(&o, CONTROL);
    const struct one_effect *close = one_effect(&o, NET_CLOSE, 0);
    cr_assert(close != NULL && close->e.conn == FAST);
    one_free(&o);
}

/* ---- The better of the two -------------------------------------------------
 */

static uint64_t taken(struct one *o, uint64_t ticket)
{
    cr_assert_eq(one_send(o, ticket, 10, 0), MOTET_OK);
    one_flush(o);
    const struct one_effect data = frame(o, NET_DATA);
    one_give(o, data.e.conn,
             (struct net_frame){
                 .kind = NET_ACK,
                 .u = {.ack = {.handle = data.e.frame.u.data.handle,
                               .next = data.e.frame.u.data.seq + 1,
                               .credit_msgs = data.e.frame.u.data.seq + 100,
                               .credit_bytes = 1 << 20}}});
    return data.e.conn;
}

/* The next PING of each; CONTROL answers at once. */
static void answer_pings(struct one *o, uint64_t fast_after_ns)
{
    one_wait(o, 2000);
    const struct one_effect *ping = NULL;
    for (uint32_t k = 0; (ping = one_frame(o, NET_PING, k)) != NULL; k++) {
        if (ping->e.conn == FAST) {
            break;
        }
    }
    cr_assert(ping != NULL);
    const uint64_t asked = ping->e.frame.u.ping;
    one_pong(o, CONTROL, asked);
    o->now += fast_after_ns;
    one_pong(o, FAST, asked);
}

Test(netmgr_fast, auto_takes_the_one_that_answers_sooner)
{
    struct one o;
    begin(&o, NET_AUTO);
    session(&o, NET_HELLO_PATH);
    uint64_t asked = o.now;
    o.now += 20 * ONE_MS;
    one_pong(&o, CONTROL, asked);
    cr_assert_eq(path_up(&o, FAST, CONTROL, 1000), MOTET_OK);
    cr_assert_eq(taken(&o, 1), CONTROL, "it was not asked yet");
    asked = o.now; /* of the PING when it came up */
    o.now += 20 * ONE_MS;
    one_pong(&o, FAST, asked);
    cr_assert_eq(taken(&o, 2), FAST);
    for (int i = 0; i < 60; i++) { /* it becomes slow: 200 ms */
        answer_pings(&o, 200 * ONE_MS);
    }
    cr_assert_eq(taken(&o, 3), CONTROL);
    one_free(&o);
}

Test(netmgr_fast, one_slow_answer_does_not_count_for_long)
{
    struct one o;
    begin(&o, NET_AUTO);
    session(&o, NET_HELLO_PATH);
    one_pong(&o, CONTROL, o.now);
    cr_assert_eq(path_up(&o, FAST, CONTROL, 1000), MOTET_OK);
    const uint64_t asked = o.now;
    o.now += 20 * ONE_MS;
    one_pong(&o, FAST, asked);
    cr_assert_eq(taken(&o, 1), CONTROL);
    for (int i = 0; i < 8; i++) {
        answer_pings(&o, 0);
    }
    cr_assert_eq(taken(&o, 2), FAST);
    one_free(&o);
}
