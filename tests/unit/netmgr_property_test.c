#include "netmgr/core/netmgr.h"
#include "netmgr_world.h"

/* Random sends with random deadlines between sites whose connections break,
 * whose queues are full, whose packets are lost, whose memory runs out, and who
 * crash and come back; then everything heals. */

TestSuite(netmgr_property, .timeout = 120);

struct mix {
    const char *name;
    int sites;
    int turns;
    bool datagram, crashes, port_ends, little_memory, small_limits;
};

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

static void random_send(struct world *w, const struct mix *mix)
{
    static const enum msg_kind kinds[] = {MSG_SEND, MSG_SEND, MSG_REQUEST,
                                          MSG_REPLY};
    int from = (int)draw(w, 0, (uint64_t)mix->sites - 1);
    int to = (from + (int)draw(w, 1, (uint64_t)mix->sites - 1)) % mix->sites;
    struct w_send a = {
        .from = from,
        .to = to,
        .from_port = (int)draw(w, 0, W_PORTS - 1),
        .to_port = (int)draw(w, 0, W_PORTS - 1),
        .kind = kinds[draw(w, 0, 3)],
        .size = draw_size(w),
        .timeout_ns = draw(w, 0, 2) == 0 ? 0 : draw(w, 1, 800) * W_MS,
        .wait = draw(w, 0, 1) == 1,
    };
    enum motet_err err = w_send(w, a);
    bool expected = err == MOTET_OK || err == MOTET_E_AGAIN ||
                    (err == MOTET_E_NO_MEMORY && mix->little_memory) ||
                    (err == MOTET_E_LIMIT && mix->small_limits) ||
                    (err == MOTET_E_SITE_DEAD && mix->crashes);
    cr_assert(expected, "%s: %s", mix->name, motet_err_name(err));
}

static void random_cancel(struct world *w)
{
    uint32_t back = (uint32_t)draw(w, 0, 30);
    if (w->tickets <= back) {
        return;
    }
    uint32_t id = w->tickets - back;
    if (w->ticket[id].flow % 2 != 0) {
        return; /* what returns cannot be cancelled */
    }
    uint32_t from = w->ticket[id].flow / (W_SITES * W_PORTS * 2);
    (void)!w_step(w, (int)from / W_PORTS,
                  (struct net_in){.kind = NET_IN_CANCEL,
                                  .ticket = id,
                                  .src = w->ticket[id].src,
                                  .dst = w->ticket[id].dst});
    if (!w->ticket[id].done) {
        w_broken(w, "a cancelled message without an outcome", id);
    }
}

static void know_all(struct world *w, const struct mix *mix, int i)
{
    for (int k = 0; k < mix->sites; k++) {
        if (k != i) {
            w_know(w, i, k);
        }
    }
}

static struct net_limits limits(const struct mix *mix)
{
    struct net_limits l = net_limits_default();
    if (mix->small_limits) {
        l.flows_max = 20;
        l.flow_msgs_max = 5;
        l.flow_bytes_max = 20000;
        l.credit_msgs_initial = 1;
        l.credit_bytes_initial = 1;
        l.assembly_bytes_max = 70000;
        l.lane_backlog_bytes = 1000;
    }
    return l;
}

static void boot(struct world *w, const struct mix *mix, int i,
                 uint32_t incarnation)
{
    w_boot(w, i, incarnation, limits(mix));
    for (int p = 0; p < W_PORTS; p++) {
        w->site[i].ports[p].capacity = (uint32_t)draw(w, 1, 40);
    }
    if (mix->little_memory) {
        w->site[i].mem.cap_bytes = w->site[i].mem.used_bytes + 400000;
    }
}

static void crash(struct world *w, const struct mix *mix)
{
    int i = (int)draw(w, 0, (uint64_t)mix->sites - 1);
    uint32_t next = w->site[i].incarnation + 1;
    w_kill(w, i);
    if (draw(w, 0, 1) == 0) {
        for (int k = 0; k < mix->sites; k++) {
            if (k != i) {
                (void)!w_step(w, k,
                              (struct net_in){.kind = NET_IN_DEAD,
                                              .site = w->site[i].id,
                                              .incarnation = next - 1});
            }
        }
    }
    boot(w, mix, i, next);
    know_all(w, mix, i);
}

static void random_fault(struct world *w, const struct mix *mix)
{
    struct w_site *s = &w->site[draw(w, 0, (uint64_t)mix->sites - 1)];
    struct w_port *p = &s->ports[draw(w, 0, W_PORTS - 1)];
    uint32_t conns = w->conns - w->first_conn;
    switch (draw(w, 0, 299)) {
    case 0:
        w_break_all(w);
        break;
    case 1:
    case 2:
        if (conns > 0) {
            w_break(w, &w->conn[draw(w, w->first_conn, w->conns - 1)]);
        }
        break;
    case 3:
        w->partition = !w->partition;
        break;
    case 4:
        if (conns > 0) { /* a black hole */
            w->conn[draw(w, w->first_conn, w->conns - 1)].cut = true;
        }
        break;
    case 5:
        p->verdict = p->verdict == MOTET_OK ? MOTET_E_PERMISSION : MOTET_OK;
        break;
    case 6:
        if (mix->crashes && draw(w, 0, 1) == 0) {
            crash(w, mix);
        }
        break;
    case 7:
        if (mix->port_ends) {
            w_end_port(w, (int)(s - w->site), (int)(p - s->ports));
        }
        break;
    default:
        break;
    }
}

static void random_pops(struct world *w, const struct mix *mix)
{
    for (int i = 0; i < mix->sites; i++) {
        for (int p = 0; p < W_PORTS; p++) {
            if (draw(w, 0, 5) == 0) {
                w_pop(w, i, p, (uint32_t)draw(w, 0, 8));
            }
        }
    }
}

static void heal(struct world *w, const struct mix *mix)
{
    w->partition = false;
    w->loss = 0;
    w->dup = 0;
    w->reorder = 0;
    for (int i = 0; i < mix->sites; i++) {
        w->site[i].mem.cap_bytes = 256 << 20;
        for (int p = 0; p < W_PORTS; p++) {
            w->site[i].ports[p].verdict = MOTET_OK;
        }
    }
}

static struct world *begin(const struct mix *mix, uint64_t seed)
{
    struct world *w = w_new(0, seed);
    w->datagram = mix->datagram;
    w->loss = mix->datagram ? 100000 : 0;
    w->dup = mix->datagram ? 50000 : 0;
    w->reorder = mix->datagram ? 50000 : 0;
    for (int i = 0; i < mix->sites; i++) {
        boot(w, mix, i, 1);
    }
    for (int i = 0; i < mix->sites; i++) {
        know_all(w, mix, i);
    }
    return w;
}

static void run_seed(const struct mix *mix, uint64_t seed)
{
    struct world *w = begin(mix, seed);
    for (int turn = 0; turn < mix->turns && w->broken == NULL; turn++) {
        for (uint64_t sends = draw(w, 0, 6); sends > 0; sends--) {
            random_send(w, mix);
        }
        if (draw(w, 0, 9) == 0) {
            random_cancel(w);
        }
        random_fault(w, mix);
        random_pops(w, mix);
        w_turn(w, draw(w, 1, 3) * W_MS);
    }
    heal(w, mix);
    for (int turn = 0; turn < 20000 && w_open_tickets(w) > 0; turn++) {
        random_pops(w, mix);
        w_turn(w, W_MS);
    }
    cr_expect(w->broken == NULL, "%s, seed %lu: %s (ticket %u)", mix->name,
              (unsigned long)seed, w->broken, w->broken_ticket);
    cr_expect_eq(w_open_tickets(w), 0, "P13: %s, seed %lu: %u open", mix->name,
                 (unsigned long)seed, w_open_tickets(w));
    cr_expect_gt(w->outcomes[MOTET_OK], 50, "%s, seed %lu: %u", mix->name,
                 (unsigned long)seed, w->outcomes[MOTET_OK]);
    for (int i = 0; i < mix->sites; i++) {
        cr_expect_eq(w->site[i].strangers, 0);
        if (w_open_tickets(w) == 0) {
            cr_expect_eq(netmgr_counts(w->site[i].net).pending, 0);
        }
    }
    w->broken = NULL;
    w_free(w);
}

static void run(const struct mix *mix, uint64_t seeds)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        run_seed(mix, seed);
    }
}

Test(netmgr_property, streams)
{
    run(&(struct mix){.name = "streams", .sites = 2, .turns = 1500}, 20);
}

Test(netmgr_property, datagrams)
{
    run(
        &(struct mix){
            .name = "datagrams", .sites = 2, .turns = 1000, .datagram = true},
        20);
}

Test(netmgr_property, crashes)
{
    struct mix mix = {.name = "crashes",
                      .sites = 3,
                      .turns = 1500,
                      .crashes = true,
                      .port_ends = true};
    run(&mix, 20);
    mix.datagram = true;
    mix.name = "crashes, datagrams";
    run(&mix, 12);
}

Test(netmgr_property, little_memory)
{
    struct mix mix = {.name = "little memory",
                      .sites = 2,
                      .turns = 1000,
                      .little_memory = true};
    run(&mix, 20);
}

Test(netmgr_property, small_limits)
{
    struct mix mix = {.name = "small limits",
                      .sites = 3,
                      .turns = 1000,
                      .crashes = true,
                      .small_limits = true};
    run(&mix, 20);
    mix.datagram = true;
    mix.name = "small limits, datagrams";
    run(&mix, 12);
}
