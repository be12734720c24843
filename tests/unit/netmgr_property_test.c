#include "netmgr/core/netmgr.h"
#include "netmgr_world.h"

/* Random sends with random deadlines between two sites whose connections break,
 * whose queues are full and whose packets are lost; then everything heals. */

TestSuite(netmgr_property, .timeout = 120);

static uint64_t draw(struct world *w, uint64_t low, uint64_t high)
{
    return prng_between(&w->prng, low, high);
}

static uint32_t draw_size(struct world *w)
{
    switch (draw(w, 0, 19)) {
    case 0:
        return (uint32_t)draw(w, 8192, 60000);
    case 1:
        return 0;
    default:
        return (uint32_t)draw(w, 1, 300);
    }
}

static void random_send(struct world *w)
{
    static const enum msg_kind kinds[] = {MSG_SEND, MSG_SEND, MSG_REQUEST,
                                          MSG_REPLY};
    int from = (int)draw(w, 0, 1);
    struct w_send a = {
        .from = from,
        .to = 1 - from,
        .from_port = (int)draw(w, 0, W_PORTS - 1),
        .to_port = (int)draw(w, 0, W_PORTS - 1),
        .kind = kinds[draw(w, 0, 3)],
        .size = draw_size(w),
        .timeout_ns = draw(w, 0, 2) == 0 ? 0 : draw(w, 1, 800) * W_MS,
        .wait = draw(w, 0, 1) == 1,
    };
    enum motet_err err = w_send(w, a);
    cr_assert(err == MOTET_OK || err == MOTET_E_AGAIN, "%s",
              motet_err_name(err));
}

static void random_cancel(struct world *w)
{
    uint32_t back = (uint32_t)draw(w, 0, 30);
    if (w->tickets > back) {
        uint32_t id = w->tickets - back;
        uint32_t from = w->ticket[id].flow / (W_SITES * W_PORTS * 2);
        (void)!w_step(w, (int)from / W_PORTS,
                      (struct net_in){.kind = NET_IN_CANCEL, .ticket = id});
        if (!w->ticket[id].done) {
            w_broken(w, "a cancelled message without an outcome", id);
        }
    }
}

static void random_fault(struct world *w)
{
    switch (draw(w, 0, 299)) {
    case 0:
        w_break_all(w);
        break;
    case 1:
        if (w->conns > w->first_conn) {
            w_break(w, &w->conn[draw(w, w->first_conn, w->conns - 1)]);
        }
        break;
    case 2:
        w->partition = !w->partition;
        break;
    case 3:
        if (w->conns > w->first_conn) { /* a black hole */
            w->conn[w->conns - 1].cut = true;
        }
        break;
    case 4: {
        struct w_port *p =
            &w->site[draw(w, 0, 1)].ports[draw(w, 0, W_PORTS - 1)];
        p->verdict = p->verdict == MOTET_OK ? MOTET_E_PERMISSION : MOTET_OK;
        break;
    }
    default:
        break;
    }
}

static void random_pops(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        for (int p = 0; p < W_PORTS; p++) {
            if (draw(w, 0, 5) == 0) {
                w_pop(w, i, p, (uint32_t)draw(w, 0, 8));
            }
        }
    }
}

static void heal(struct world *w)
{
    w->partition = false;
    w->loss = 0;
    w->dup = 0;
    w->reorder = 0;
    for (int i = 0; i < 2; i++) {
        for (int p = 0; p < W_PORTS; p++) {
            w->site[i].ports[p].verdict = MOTET_OK;
        }
    }
}

static void run_seed(uint64_t seed, bool datagram, int turns)
{
    struct world *w = w_new(2, seed);
    w->datagram = datagram;
    w->loss = datagram ? 100000 : 0;
    w->dup = datagram ? 50000 : 0;
    w->reorder = datagram ? 50000 : 0;
    for (int i = 0; i < 2; i++) {
        for (int p = 0; p < W_PORTS; p++) {
            w->site[i].ports[p].capacity = (uint32_t)draw(w, 1, 40);
        }
    }
    w_know(w, 0, 1);
    w_know(w, 1, 0);
    for (int turn = 0; turn < turns && w->broken == NULL; turn++) {
        for (uint64_t sends = draw(w, 0, 6); sends > 0; sends--) {
            random_send(w);
        }
        if (draw(w, 0, 9) == 0) {
            random_cancel(w);
        }
        random_fault(w);
        random_pops(w);
        w_turn(w, draw(w, 1, 3) * W_MS);
    }
    heal(w);
    for (int turn = 0; turn < 20000 && w_open_tickets(w) > 0; turn++) {
        random_pops(w);
        w_turn(w, W_MS);
    }
    cr_expect(w->broken == NULL, "seed %lu datagram %d: %s (ticket %u)",
              (unsigned long)seed, datagram, w->broken, w->broken_ticket);
    cr_expect_eq(w_open_tickets(w), 0, "P13: seed %lu datagram %d: %u open",
                 (unsigned long)seed, datagram, w_open_tickets(w));
    cr_expect_gt(w->outcomes[MOTET_OK], 100);
    cr_expect_eq(w->site[0].strangers + w->site[1].strangers, 0);
    w->broken = NULL;
    w_free(w);
}

Test(netmgr_property, streams)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed, false, 1500);
    }
}

Test(netmgr_property, datagrams)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        run_seed(seed, true, 1000);
    }
}
