#include "netmgr/core/netmgr.h"
#include "netmgr_move.h"

/* The loop: a flow whose two ends are at one site by now. */

TestSuite(netmgr_loop, .timeout = 20);

/* Feeds back what this site sends to itself. @return how many frames */
static uint32_t loop(struct one *o)
{
    static struct net_frame frames[64];
    static uint64_t conns[64];
    uint32_t count = 0;
    uint32_t fed = 0;
    for (int turn = 0; turn < 8; turn++) {
        one_flush(o);
        for (uint32_t i = 0; i < o->count && count < 64; i++) {
            const struct net_effect *e = &o->got[i].e;
            if (e->kind == NET_FRAME && e->conn != 1) {
                conns[count] = e->conn;
                frames[count++] = e->frame;
            }
        }
        for (; fed < count; fed++) {
            static const uint8_t zeroes[NET_FRAGMENT_BYTES];
            if (frames[fed].kind == NET_DATA) {
                frames[fed].u.data.bytes = zeroes;
                frames[fed].u.data.hold = NULL;
            }
            one_give(o, conns[fed], frames[fed]);
            if (one_effect(o, NET_OFFER, 0) != NULL) {
                return fed + 1;
            }
        }
    }
    return count;
}

/* A port to which something was under way has come to this very site. */
Test(netmgr_loop, the_destination_comes_here)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    freeze(&o, one_there());
    struct image_item it = receiving;
    it.place =
        (struct place_of){.site = ONE_SITE, .incarnation = ONE_INCARNATION};
    it.base = 1; /* it had not arrived there */
    cr_assert_eq(item(&o, it), MOTET_OK);
    here(&o, one_there(), 2);
    cr_expect_gt(loop(&o), 1);
    const struct one_effect *e = one_effect(&o, NET_OFFER, 0);
    cr_assert_not_null(e, "once more, by the loop");
    cr_expect(ui_equal(e->e.src, one_here()));
    cr_expect(ui_equal(e->e.dst, one_there()));
    cr_expect_eq(e->e.place.site, ONE_SITE);
    one_free(&o);
}

/* Likewise, where it had arrived: then only its outcome comes. */
Test(netmgr_loop, the_destination_comes_here_with_it)
{
    struct one o;
    one_session(one_new(&o));
    cr_assert_eq(one_send(&o, 1, 10, 0), MOTET_OK);
    one_flush(&o);
    const uint64_t base = one_bound(&o)->base;
    freeze(&o, one_there());
    struct image_item it = receiving;
    it.base = base + 1;
    cr_assert_eq(item(&o, it), MOTET_OK);
    here(&o, one_there(), 2);
    bool told = false;
    for (int turn = 0; turn < 8; turn++) {
        one_flush(&o);
        const uint32_t count = o.count;
        static struct one_effect seen[64];
        cr_assert_lt(count, 64);
        memcpy(seen, o.got, count * sizeof seen[0]);
        for (uint32_t i = 0; i < count; i++) {
            if (seen[i].e.kind == NET_FRAME && seen[i].e.conn != 1) {
                one_give(&o, seen[i].e.conn, seen[i].e.frame);
                cr_expect_null(one_effect(&o, NET_OFFER, 0));
                told |= one_outcome(&o, 1) == MOTET_OK;
            }
        }
    }
    cr_expect(told);
    one_free(&o);
}
