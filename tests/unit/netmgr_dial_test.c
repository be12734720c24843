#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* Dialing where what was sent may have been lost: a link that is whole again is
 * in use within a second. */

TestSuite(netmgr_dial, .timeout = 20);

enum { BESIDE_MS = 800, DIALS_MAX = 4 /* waiting at once */ };

static uint64_t dialed(struct one *o)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_PEER,
                                             .site = ONE_PEER,
                                             .addr = "there:1"}),
                 MOTET_OK);
    one_wait(o, 0);
    const struct one_effect *d = one_effect(o, NET_DIAL, 0);
    cr_assert(d != NULL);
    return d->e.dial;
}

static uint64_t dialed_after(struct one *o, uint64_t ms)
{
    one_wait(o, ms);
    const struct one_effect *d = one_effect(o, NET_DIAL, 0);
    return d != NULL ? d->e.dial : 0;
}

static void fail(struct one *o, uint64_t dial)
{
    cr_assert_eq(
        one_step(o, (struct net_in){.kind = NET_IN_DIAL_FAILED, .dial = dial}),
        MOTET_OK);
}

static void answer(struct one *o, uint64_t dial, uint64_t conn)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_CONN_UP,
                                             .conn = conn,
                                             .dial = dial}),
                 MOTET_OK);
}

Test(netmgr_dial, not_answered_it_is_dialed_again_beside)
{
    struct one o;
    const uint64_t first = dialed(one_new(&o));
    cr_expect_eq(dialed_after(&o, BESIDE_MS - 1), 0, "not yet");
    const uint64_t second = dialed_after(&o, 1);
    cr_assert_neq(second, 0);
    cr_expect_neq(second, first);
    answer(&o, first, 1); /* late, and good all the same */
    cr_assert(one_frame(&o, NET_HELLO, 0) != NULL);
    cr_expect_eq(dialed_after(&o, BESIDE_MS), 0, "one says HELLO already");
    one_free(&o);
}

/* Or each of many in vain would make the next one wait longer. */
Test(netmgr_dial, what_fails_beside_another_is_no_reason_to_wait)
{
    struct one o;
    uint64_t last = dialed(one_new(&o));
    for (int i = 0; i < 10; i++) {
        const uint64_t next = dialed_after(&o, BESIDE_MS);
        cr_assert_neq(next, 0, "%d", i);
        fail(&o, last);
        last = next;
    }
    fail(&o, last);
    cr_expect_neq(dialed_after(&o, 50), 0, "the first back-off");
    one_free(&o);
}

Test(netmgr_dial, the_oldest_of_too_many_is_given_up)
{
    struct one o;
    uint64_t dial[DIALS_MAX + 1];
    dial[0] = dialed(one_new(&o));
    for (int i = 1; i <= DIALS_MAX; i++) {
        dial[i] = dialed_after(&o, BESIDE_MS);
        cr_assert_neq(dial[i], 0);
    }
    answer(&o, dial[0], 1);
    cr_expect(one_frame(&o, NET_HELLO, 0) == NULL);
    cr_expect(one_effect(&o, NET_CLOSE, 0) != NULL);
    answer(&o, dial[1], 2);
    cr_expect(one_frame(&o, NET_HELLO, 0) != NULL);
    one_free(&o);
}

static struct net_effect next_dial(struct one *o)
{
    const struct one_effect *d = NULL;
    for (int i = 0; d == NULL && i < 50; i++) {
        one_wait(o, 0);
        d = one_effect(o, NET_DIAL, 0);
        if (d == NULL) {
            o->now = netmgr_deadline_ns(o->net);
        }
    }
    cr_assert(d != NULL);
    return d->e;
}

/* The connection for large messages was dialed in vain while the link was cut;
 * what waits for it waits no longer than the session. */
Test(netmgr_dial, with_the_session_comes_what_is_dialed_beside_it)
{
    struct one o;
    struct net_hello h = one_hello();
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 1 << 20, 0), MOTET_OK);
    for (int i = 0; i < 6; i++) { /* a back-off of more than a second */
        const struct net_effect d = next_dial(&o);
        cr_assert_eq(d.lane, NET_BULK);
        fail(&o, d.dial);
    }
    cr_assert_eq(
        one_step(&o, (struct net_in){.kind = NET_IN_CONN_DOWN, .conn = 1}),
        MOTET_OK);
    one_accept(&o, 2);
    one_give_hello(&o, 2, &h);
    one_wait(&o, 0);
    const struct one_effect *d = one_effect(&o, NET_DIAL, 0);
    cr_assert(d != NULL, "at once");
    cr_expect_eq(d->e.lane, NET_BULK);
    one_free(&o);
}
