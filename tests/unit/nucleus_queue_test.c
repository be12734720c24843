#include "nucleus/core/nucleus.h"
#include "nucleus_world.h"

TestSuite(nucleus_queue, .timeout = 10);

static const struct motet_ui none = {0};

/* A queue that holds four. */
static const struct nuc_port_attr four = {.enabled = true, .queue_msgs_max = 4};

struct pair {
    struct world w;
    struct motet_ui server, in;  /* pull */
    struct motet_ui client, out; /* push */
};

static void pair_init(struct pair *p, struct nuc_port_attr attr)
{
    world_init(&p->w, NULL);
    p->server = world_actor(&p->w, false);
    p->in = world_port_with(&p->w, p->server, attr);
    p->client = world_actor(&p->w, true);
    p->out = world_port(&p->w, p->client);
}

static void fill(struct pair *p, uint32_t messages)
{
    for (uint32_t i = 0; i < messages; i++) {
        cr_assert_eq(world_send(&p->w, p->client, p->out, p->in, i), MOTET_OK);
        cr_assert(p->w.out.settled);
    }
}

static enum motet_err take(struct pair *p)
{
    return world_receive(&p->w, p->server, p->in, 77, 0);
}

Test(nucleus_queue, the_limit_and_one_past_it)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_expect_eq(nucleus_counts(p.w.n).queued_msgs, 4);
    cr_expect_eq(p.w.count, 0, "the sender was told by the step itself");
    world_fini(&p.w);
}

Test(nucleus_queue, bytes_and_one_past_them)
{
    static struct pair p;
    pair_init(&p, (struct nuc_port_attr){.queue_bytes_max = 16});
    fill(&p, 2);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_expect_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_OK);
    world_fini(&p.w);
}

Test(nucleus_queue, an_empty_queue_takes_any_size)
{
    static struct pair p;
    pair_init(&p, (struct nuc_port_attr){.queue_bytes_max = 1});
    fill(&p, 1);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_expect_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_deliver_send(&p.w, world_far(1), p.in), MOTET_OK);
    world_fini(&p.w);
}

Test(nucleus_queue, room_is_told_once_when_half_is_free)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    cr_assert_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_assert_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_assert_eq(world_deliver_send(&p.w, world_far(1), p.in), MOTET_E_AGAIN);
    cr_assert_eq(world_deliver_send(&p.w, world_far(1), p.in), MOTET_E_AGAIN);
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_seen(&p.w, NUC_ROOM), 0, "three are queued yet");
    cr_expect_eq(world_seen(&p.w, NUC_NET_ROOM), 0);
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect(ui_equal(world_one(&p.w, NUC_ROOM)->dst, p.in));
    cr_expect(ui_equal(world_one(&p.w, NUC_ROOM)->port, p.out));
    cr_expect(ui_equal(world_one(&p.w, NUC_NET_ROOM)->port, p.in));
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_seen(&p.w, NUC_ROOM), 1);
    world_fini(&p.w);
}

Test(nucleus_queue, parked_ones_enter_in_order)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    for (uint64_t t = 4; t < 7; t++) {
        cr_assert_eq(world_send_wait(&p.w, p.client, p.out, p.in, t, 1 << 30),
                     MOTET_OK);
        cr_expect_not(p.w.out.settled);
    }
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 9), MOTET_E_AGAIN,
                 "no overtaking");
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(take(&p), MOTET_OK);
    }
    for (uint32_t i = 0; i < 7; i++) {
        cr_expect_eq(world_nth(&p.w, NUC_DELIVER, i)->seq, i + 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(world_nth(&p.w, NUC_SENT, i)->token, i + 4);
        cr_expect_eq(world_nth(&p.w, NUC_SENT, i)->err, MOTET_OK);
    }
    cr_expect_eq(nucleus_counts(p.w.n).waiters, 0);
    world_fini(&p.w);
}

Test(nucleus_queue, a_parked_one_ends_at_its_deadline)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    cr_expect_eq(world_send_wait(&p.w, p.client, p.out, p.in, 5, 0),
                 MOTET_E_FULL, "in the past: now or not");
    const uint64_t at = p.w.now_ns + 100;
    cr_assert_eq(world_send_wait(&p.w, p.client, p.out, p.in, 6, at), MOTET_OK);
    cr_expect_eq(nucleus_deadline_ns(p.w.n), at);
    world_pass(&p.w, 99);
    cr_expect_eq(world_seen(&p.w, NUC_SENT), 0);
    world_pass(&p.w, 1);
    cr_expect_eq(world_one(&p.w, NUC_SENT)->err, MOTET_E_FULL);
    cr_expect(ui_equal(world_one(&p.w, NUC_SENT)->port, p.out));
    cr_expect_eq(nucleus_counts(p.w.n).refused, 1);
    cr_expect_eq(nucleus_deadline_ns(p.w.n), DEADLINE_NEVER);
    world_fini(&p.w);
}

Test(nucleus_queue, the_end_of_the_port_settles_all)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    cr_assert_eq(world_send_wait(&p.w, p.client, p.out, p.in, 5, 1 << 30),
                 MOTET_OK);
    cr_assert_eq(
        world_receive(&p.w, p.server, world_port(&p.w, p.server), 3, 1 << 30),
        MOTET_OK);
    cr_assert_eq(world_actor_end(&p.w, p.server, MOTET_NEWS_CRASHED), MOTET_OK);
    cr_expect_eq(world_one(&p.w, NUC_SENT)->err, MOTET_E_CRASHED);
    cr_expect_eq(world_seen(&p.w, NUC_NET_PORT_END), 2);
    cr_expect_eq(world_seen(&p.w, NUC_RECEIVE_END), 0, "nobody is left");
    const struct nuc_counts c = nucleus_counts(p.w.n);
    cr_expect_eq(c.lost, 4);
    cr_expect_eq(c.refused, 1);
    cr_expect_eq(c.queued_msgs, 0);
    cr_expect_eq(c.ports, 1);
    cr_expect_eq(c.waiters, 0);
    cr_expect_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_NO_PORT);
    world_fini(&p.w);
}

Test(nucleus_queue, who_was_told_again_hears_of_the_end)
{
    static struct pair p;
    pair_init(&p, four);
    fill(&p, 4);
    cr_assert_eq(world_send(&p.w, p.client, p.out, p.in, 4), MOTET_E_AGAIN);
    cr_assert_eq(world_port_end(&p.w, p.server, p.in), MOTET_OK);
    const struct nuc_effect *e = world_one(&p.w, NUC_ROOM);
    cr_expect(ui_equal(e->actor, p.client));
    cr_expect(ui_equal(e->port, p.out));
    cr_expect(ui_equal(e->dst, p.in));
    world_fini(&p.w);
}

Test(nucleus_queue, the_network_is_told_how_much_room_there_is)
{
    static struct pair p;
    pair_init(&p, four);
    for (uint32_t i = 1; i <= 4; i++) {
        cr_assert_eq(world_deliver_send(&p.w, world_far(1), p.in), MOTET_OK);
        cr_expect_eq(p.w.out.room_msgs, 4 - i);
        cr_expect_eq(p.w.out.room_bytes, (4 << 20) - 8 * i);
    }
    /* Told of none, it waits for word even if it offers nothing. */
    cr_assert_eq(take(&p), MOTET_OK);
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_seen(&p.w, NUC_NET_ROOM), 1);
    world_fini(&p.w);
}

/* Local senders always wait; the network always offers. Both get on. */
static void race(uint32_t limit)
{
    static struct pair p;
    uint32_t local = 0;
    uint32_t remote = 0;
    bool invited = true;
    pair_init(&p, (struct nuc_port_attr){.queue_msgs_max = limit});
    for (int round = 0; round < 4000; round++) {
        while (nucleus_counts(p.w.n).waiters < 8) {
            cr_assert_eq(
                world_send_wait(&p.w, p.client, p.out, p.in, 0, DEADLINE_NEVER),
                MOTET_OK);
        }
        if (invited) {
            invited = world_deliver_send(&p.w, world_far(1), p.in) == MOTET_OK;
        }
        cr_assert_eq(take(&p), MOTET_OK);
        invited = invited || world_seen(&p.w, NUC_NET_ROOM) > 0;
        const struct nuc_effect *e = world_one(&p.w, NUC_DELIVER);
        local += ui_equal(e->src, p.out);
        remote += !ui_equal(e->src, p.out);
        world_clear(&p.w);
    }
    cr_expect_gt(local, 800, "limit %u: local %u", limit, local);
    cr_expect_gt(remote, 800, "limit %u: remote %u", limit, remote);
    world_fini(&p.w);
}

Test(nucleus_queue, neither_side_starves)
{
    static const uint32_t limits[] = {1, 2, 3, 4, 8, 100};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        race(limits[i]);
    }
}

/* ---- Receiving -------------------------------------------------------------
 */

Test(nucleus_queue, a_receive_waits_or_not)
{
    static struct pair p;
    pair_init(&p, four);
    cr_assert_eq(take(&p), MOTET_OK);
    cr_expect_eq(world_one(&p.w, NUC_RECEIVE_END)->err, MOTET_E_TIMEOUT);
    world_clear(&p.w);
    cr_assert_eq(world_receive(&p.w, p.server, none, 5, 1 << 30), MOTET_OK);
    cr_expect_eq(world_receive(&p.w, p.server, none, 5, 1 << 30),
                 MOTET_E_EXISTS);
    cr_expect_eq(p.w.count, 0);
    fill(&p, 1);
    cr_expect_eq(world_one(&p.w, NUC_DELIVER)->token, 5);
    cr_expect_eq(world_nth(&p.w, NUC_DELIVER, 0)->msg.pi.gid, 2);
    world_clear(&p.w);
    cr_assert_eq(world_receive(&p.w, p.server, p.in, 6, p.w.now_ns + 10),
                 MOTET_OK);
    world_pass(&p.w, 10);
    cr_expect_eq(world_one(&p.w, NUC_RECEIVE_END)->err, MOTET_E_TIMEOUT);
    cr_expect_eq(world_nth(&p.w, NUC_RECEIVE_END, 0)->token, 6);
    world_fini(&p.w);
}

Test(nucleus_queue, any_takes_the_oldest_of_the_highest_priority)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, false);
    const struct motet_ui ports[] = {
        world_port_with(&w, a, (struct nuc_port_attr){true, 5, 0, 0}),
        world_port_with(&w, a, (struct nuc_port_attr){true, 1, 0, 0}),
        world_port_with(&w, a, (struct nuc_port_attr){true, 5, 0, 0}),
        world_port_with(&w, a, (struct nuc_port_attr){false, 0, 0, 0}),
    };
    static const uint32_t sent[] = {3, 2, 0, 1, 0, 2, 1};
    static const uint32_t order[] = {1, 1, 2, 0, 0, 2};
    for (size_t i = 0; i < ARRAY_LEN(sent); i++) {
        cr_assert_eq(world_send(&w, a, ports[0], ports[sent[i]], 0), MOTET_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        cr_assert_eq(world_receive(&w, a, none, 0, 0), MOTET_OK);
        cr_expect(ui_equal(world_one(&w, NUC_DELIVER)->port, ports[order[i]]),
                  "take %zu", i);
        world_clear(&w);
    }
    cr_assert_eq(world_receive(&w, a, none, 0, 0), MOTET_OK);
    cr_expect_eq(world_seen(&w, NUC_RECEIVE_END), 1, "one is disabled");
    /* Who waits already sees a change of the enabled set. */
    cr_assert_eq(world_receive(&w, a, none, 8, 1 << 30), MOTET_OK);
    cr_assert_eq(
        world_port_set(&w, a, ports[3], (struct nuc_port_attr){true, 0, 0, 0}),
        MOTET_OK);
    cr_expect_eq(world_one(&w, NUC_DELIVER)->token, 8);
    world_fini(&w);
}

Test(nucleus_queue, a_disabled_port_of_a_push_actor_queues)
{
    static struct world w;
    world_init(&w, NULL);
    const struct motet_ui a = world_actor(&w, true);
    const struct motet_ui p =
        world_port_with(&w, a, (struct nuc_port_attr){.enabled = false});
    for (uint64_t i = 0; i < 600; i++) {
        cr_assert_eq(world_send(&w, a, p, p, i), MOTET_OK);
    }
    cr_expect_eq(w.count, 0);
    cr_assert_eq(
        world_port_set(&w, a, p, (struct nuc_port_attr){.enabled = true}),
        MOTET_OK);
    cr_expect_eq(world_seen(&w, NUC_DELIVER), 600);
    for (uint32_t i = 0; i < 600; i++) {
        cr_assert_eq(world_nth(&w, NUC_DELIVER, i)->seq, i + 1);
    }
    world_fini(&w);
}

Test(nucleus_queue, a_stopped_receive)
{
    static struct pair p;
    pair_init(&p, four);
    struct nuc_in stop = world_in(&p.w, NUC_RECEIVE_STOP);
    stop.actor = p.server;
    stop.token = 5;
    cr_expect_eq(world_step(&p.w, &stop), MOTET_E_STATE);
    cr_assert_eq(world_receive(&p.w, p.server, p.in, 5, 1 << 30), MOTET_OK);
    cr_expect_eq(world_step(&p.w, &stop), MOTET_OK);
    cr_expect_eq(world_one(&p.w, NUC_RECEIVE_END)->err, MOTET_E_CANCELLED);
    cr_assert_eq(world_receive(&p.w, p.server, p.in, 5, 1 << 30), MOTET_OK);
    world_clear(&p.w);
    cr_assert_eq(world_port_end(&p.w, p.server, p.in), MOTET_OK);
    cr_expect_eq(world_one(&p.w, NUC_RECEIVE_END)->err, MOTET_E_CLOSED);
    world_fini(&p.w);
}
