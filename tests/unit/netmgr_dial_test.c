#include "netmgr/core/netmgr.h"
#include "netmgr_one.h"

/* Dialing: whom it meets, and how often it is tried. */

TestSuite(netmgr_dial, .timeout = 20);

enum { BESIDE_MS = 800, DIALS_MAX = 4 /* waiting at once */ };

static uint64_t dialed(struct one *o, uint64_t site)
{
    cr_assert_eq(one_step(o, (struct net_in){.kind = NET_IN_PEER,
                                             .site = site,
                                             .addr = "there:1"}),
                 MOTET_OK);
    one_wait(o, 0);
    const struct one_effect *d = one_effect(o, NET_DIAL, 0);
    cr_assert(d != NULL);
    cr_assert_eq(d->e.site, site);
    cr_assert_str_eq(d->text, "there:1");
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

/* Both dialed: the connection dialed by the higher site id stays. */
Test(netmgr_dial, crossed)
{
    for (int higher = 0; higher < 2; higher++) {
        uint64_t peer = higher ? ONE_SITE - 1 : ONE_PEER;
        struct one o;
        uint64_t dial = dialed(one_new(&o), peer);
        one_answered(&o, 1, dial);
        const struct one_effect *sent = one_frame(&o, NET_HELLO, 0);
        cr_assert(!sent->hello.answer);
        cr_assert_eq(sent->hello.to_site, peer);
        struct net_hello h = one_hello();
        h.site = peer;
        one_meet(&o, 2, &h);
        if (higher) {
            cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err,
                         MOTET_E_AGAIN);
            cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 2);
        } else {
            cr_assert_eq(one_effect(&o, NET_CLOSE, 0)->e.conn, 1);
            cr_assert(one_effect(&o, NET_SESSION, 0)->e.up);
        }
        one_free(&o);
    }
}

Test(netmgr_dial, another_site_answers)
{
    struct one o;
    uint64_t dial = dialed(one_new(&o), ONE_PEER);
    one_answered(&o, 1, dial);
    struct net_hello h = one_hello();
    h.site = ONE_PEER + 1;
    h.answer = true;
    one_give_hello(&o, 1, &h);
    cr_assert_eq(one_frame(&o, NET_REFUSE, 0)->refuse.err, MOTET_E_AUTH);
    one_free(&o);
}

Test(netmgr_dial, refused_as_stale)
{
    struct one o;
    uint64_t dial = dialed(one_new(&o), ONE_PEER);
    one_answered(&o, 1, dial);
    struct net_refuse r = {.err = MOTET_E_STALE, .incarnation = 99};
    one_give(&o, 1,
             (struct net_frame){.kind = NET_REFUSE, .u = {.refuse = &r}});
    const struct one_effect *us = one_effect(&o, NET_REFUSED_US, 0);
    cr_assert_eq(us->e.err, MOTET_E_STALE);
    cr_assert_eq(us->e.incarnation, 99);
    one_free(&o);
}

Test(netmgr_dial, back_off_doubles_to_two_seconds)
{
    struct one o;
    uint64_t dial = dialed(one_new(&o), ONE_PEER);
    uint64_t least = 25;
    for (int i = 0; i < 12; i++) {
        fail(&o, dial);
        uint64_t at = netmgr_deadline_ns(o.net);
        uint64_t wait = (at - o.now) / ONE_MS;
        cr_expect(wait >= least && wait <= 2 * least, "%d: %lu", i,
                  (unsigned long)wait);
        o.now = at;
        one_wait(&o, 0);
        dial = one_effect(&o, NET_DIAL, 0)->e.dial;
        least = least * 2 > 1000 ? 1000 : least * 2;
    }
    one_free(&o);
}

Test(netmgr_dial, a_seed_that_is_this_site)
{
    struct one o;
    one_new(&o);
    (void)!one_step(&o, (struct net_in){.kind = NET_IN_PEER, .addr = "here:1"});
    one_wait(&o, 0);
    uint64_t dial = one_effect(&o, NET_DIAL, 0)->e.dial;
    one_answered(&o, 1, dial);
    struct net_hello mine = one_frame(&o, NET_HELLO, 0)->hello;
    one_meet(&o, 2, &mine);
    struct net_refuse r = one_frame(&o, NET_REFUSE, 0)->refuse;
    one_give(&o, 1,
             (struct net_frame){.kind = NET_REFUSE, .u = {.refuse = &r}});
    cr_assert(one_effect(&o, NET_REFUSED_US, 0) == NULL);
    one_wait(&o, 60000);
    cr_assert(one_effect(&o, NET_DIAL, 0) == NULL);
    one_free(&o);
}

/* ---- Where what was sent may have been lost: a link that is whole again is in
 * use within a second. ------------------------------------------------------
 */

Test(netmgr_dial, not_answered_it_is_dialed_again_beside)
{
    struct one o;
    const uint64_t first = dialed(one_new(&o), ONE_PEER);
    cr_expect_eq(dialed_after(&o, BESIDE_MS - 1), 0, "not yet");
    const uint64_t second = dialed_after(&o, 1);
    cr_assert_neq(second, 0);
    cr_expect_neq(second, first);
    one_answered(&o, 1, first); /* late, and good all the same */
    cr_assert(one_frame(&o, NET_HELLO, 0) != NULL);
    cr_expect_eq(dialed_after(&o, BESIDE_MS), 0, "one says HELLO already");
    one_free(&o);
}

/* Or each of many in vain would make the next one wait longer. */
Test(netmgr_dial, what_fails_beside_another_is_no_reason_to_wait)
{
    struct one o;
    uint64_t last = dialed(one_new(&o), ONE_PEER);
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
    dial[0] = dialed(one_new(&o), ONE_PEER);
    for (int i = 1; i <= DIALS_MAX; i++) {
        dial[i] = dialed_after(&o, BESIDE_MS);
        cr_assert_neq(dial[i], 0);
    }
    one_answered(&o, 1, dial[0]);
    cr_expect(one_frame(&o, NET_HELLO, 0) == NULL);
    cr_expect(one_effect(&o, NET_CLOSE, 0) != NULL);
    one_answered(&o, 2, dial[1]);
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
    one_down(&o, 1);
    one_meet(&o, 2, &h);
    one_wait(&o, 0);
    const struct one_effect *d = one_effect(&o, NET_DIAL, 0);
    cr_assert(d != NULL, "at once");
    cr_expect_eq(d->e.lane, NET_BULK);
    one_free(&o);
}
