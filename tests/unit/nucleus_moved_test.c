#include "nucleus/core/nucleus.h"
#include "nucleus_move.h"
#include "proto/image.h"

/* What goes along with a port from one nucleus to another. */

TestSuite(nucleus_moved, .timeout = 20);

/* ---- What goes along -------------------------------------------------------
 */

Test(nucleus_moved, the_port_itself)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, false);
    const struct motet_ui port =
        world_port_with(&p.from, a,
                        (struct nuc_port_attr){.enabled = true,
                                               .priority = 9,
                                               .queue_msgs_max = 7,
                                               .queue_bytes_max = 7000});
    cr_assert_eq(world_deliver_send(&p.from, world_far(1), port), MOTET_OK);
    cr_assert_eq(info(&p.from, port), MOTET_OK);
    const uint64_t key = p.from.out.port.key;
    move_port(&p, port);
    cr_expect_eq(info(&p.from, port), MOTET_E_NO_PORT);
    cr_expect(ui_equal(world_one(&p.from, NUC_PORT_MOVED)->port, port));
    cr_expect(ui_equal(world_one(&p.from, NUC_PORT_MOVED)->actor, a));
    cr_expect_eq(world_seen(&p.from, NUC_PORT_GONE), 0);
    const struct nuc_effect *e = world_one(&p.to, NUC_PORT_ADOPTED);
    cr_expect(ui_equal(e->actor, p.owner));
    cr_expect_eq(e->key, key);
    cr_assert_eq(info(&p.to, port), MOTET_OK);
    const struct nuc_port_info *i = &p.to.out.port;
    cr_expect(ui_equal(i->actor, p.owner));
    cr_expect_eq(i->key, key);
    cr_expect(i->attr.enabled);
    cr_expect_eq(i->attr.priority, 9);
    cr_expect_eq(i->attr.queue_msgs_max, 7);
    cr_expect_eq(i->attr.queue_bytes_max, 7000);
    cr_expect_eq(i->seq, 1);
    cr_expect_not(i->frozen);
    struct nuc_in in = world_in(&p.to, NUC_GROUP_NEW);
    in.actor = p.owner;
    cr_assert_eq(world_step(&p.to, &in), MOTET_OK);
    pair_fini(&p);
}

Test(nucleus_moved, a_disabled_port_stays_disabled)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, false);
    const struct motet_ui port =
        world_port_with(&p.from, a, (struct nuc_port_attr){0});
    move_port(&p, port);
    cr_assert_eq(info(&p.to, port), MOTET_OK);
    cr_expect_not(p.to.out.port.attr.enabled);
    pair_fini(&p);
}

/* In order, with their numbers and sizes; what was taken is not there again. */
Test(nucleus_moved, the_queue)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, false);
    const struct motet_ui port = world_port(w, a);
    for (uint32_t i = 0; i < 5; i++) {
        struct msg m = world_msg(w, 10 + i);
        m.kind = MSG_SEND;
        m.annex_bytes = (uint8_t)i;
        m.target = ui_of_name("g");
        memset(m.data->data, (int)('a' + i), 10 + i);
        cr_assert_eq(world_deliver(w, world_far(1 + i), port, m), MOTET_OK);
    }
    cr_assert_eq(world_receive(w, a, port, 1, 0), MOTET_OK);
    cr_assert_eq(world_one(w, NUC_DELIVER)->seq, 1);
    freeze_and_pack(&p, port);
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    cr_assert_eq(info(&p.to, port), MOTET_OK);
    cr_expect_eq(p.to.out.port.queue_msgs, 4);
    cr_expect_eq(p.to.out.port.queue_bytes, 11 + 12 + 13 + 14);
    cr_assert_eq(port_op(w, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(port_op(&p.to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    cr_expect_eq(world_one(&p.to, NUC_PORT_ADOPTED)->seq, 1, "the cut");
    cr_expect_eq(nucleus_counts(w->n).queued_msgs, 0);
    cr_assert_eq(world_seen(&p.to, NUC_DELIVER), 4);
    for (uint32_t i = 1; i < 5; i++) {
        const struct nuc_effect *e = world_nth(&p.to, NUC_DELIVER, i - 1);
        cr_expect_eq(e->seq, i + 1);
        cr_expect(ui_equal(e->src, world_far(1 + i)));
        cr_expect(ui_equal(e->target, ui_of_name("g")));
        cr_expect_eq(e->msg.annex_bytes, i);
        cr_expect_eq(msg_bytes(&e->msg), 10 + i);
        cr_expect_eq(e->msg.data->data[9], 'a' + i);
    }
    cr_assert_eq(world_deliver_send(&p.to, world_far(1), port), MOTET_OK);
    cr_expect_eq(world_nth(&p.to, NUC_DELIVER, 4)->seq, 6, "and it goes on");
    pair_fini(&p);
}

Test(nucleus_moved, queued_requests_with_an_annex)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, false);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(ask(&p.from, port, 5, 0, 16), MOTET_OK);
    cr_assert_eq(ask(&p.from, port, 6, 40, 0), MOTET_OK);
    move_port(&p, port);
    cr_assert_eq(world_seen(&p.to, NUC_DELIVER), 2);
    const struct nuc_effect *e = world_nth(&p.to, NUC_DELIVER, 0);
    const uint64_t second = world_nth(&p.to, NUC_DELIVER, 1)->held;
    cr_expect_eq(e->msg.annex_bytes, 16);
    cr_expect_eq(msg_bytes(&e->msg), 20);
    /* Handed on from there, it has its annex yet. */
    cr_assert_eq(world_forward(&p.to, p.owner, e->held, world_far(2)),
                 MOTET_OK);
    const struct nuc_effect *on = sent(&p.to, MSG_REQUEST);
    cr_expect_eq(on->msg.annex_bytes, 16);
    cr_expect_eq(msg_bytes(&on->msg), 20);
    cr_expect_eq(on->msg.call, 5);
    cr_assert_eq(world_reply(&p.to, p.owner, second), MOTET_OK);
    cr_expect_eq(sent(&p.to, MSG_REPLY)->msg.call, 6);
    pair_fini(&p);
}

Test(nucleus_moved, a_queued_request_keeps_its_deadline)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, false);
    const struct motet_ui port =
        world_port_with(&p.from, a, (struct nuc_port_attr){0});
    p.to.now_ns = UINT64_C(7777) * WORLD_MS; /* another clock */
    p.owner = world_actor(&p.to, false);
    struct nuc_in in = world_in(&p.to, NUC_ACTOR_ADOPTS);
    in.actor = p.owner;
    in.in = true;
    cr_assert_eq(world_step(&p.to, &in), MOTET_OK);
    cr_assert_eq(ask(&p.from, port, 5, 40, 0), MOTET_OK);
    world_pass(&p.from, 15 * WORLD_MS);
    move_port(&p, port);
    world_pass(&p.to, 24 * WORLD_MS);
    cr_expect_eq(world_seen(&p.to, NUC_TO_NET), 0);
    world_pass(&p.to, 1 * WORLD_MS);
    cr_expect_eq(sent(&p.to, MSG_REPLY)->msg.status, MOTET_E_TIMEOUT);
    pair_fini(&p);
}

/* Its former actor has it in hand: what that says goes after the port, and is
 * said in the name of the port, once. */
Test(nucleus_moved, an_answer_that_is_owed)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(ask(&p.from, port, 5, 0, 3), MOTET_OK);
    const uint64_t held = world_one(&p.from, NUC_DELIVER)->held;
    cr_assert_eq(freeze(&p.from, port), MOTET_OK);
    cr_expect_eq(world_reply(&p.from, a, held), MOTET_E_MOVING);
    pack(&p, port);
    cr_expect_eq(item_of(&p, IMAGE_HELD)->holder.site, MOVE_FROM);
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    world_clear(&p.from);
    cr_assert_eq(port_op(&p.from, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(port_op(&p.to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    cr_expect_eq(world_seen(&p.from, NUC_CANCELLED), 0);
    cr_expect_eq(world_seen(&p.to, NUC_DELIVER), 0, "it was delivered");
    const struct motet_ui other = world_actor(&p.from, true);
    cr_expect_eq(world_reply(&p.from, other, held), MOTET_E_STATE);
    cr_assert_eq(world_reply(&p.from, a, held), MOTET_OK);
    const struct nuc_effect *e = sent(&p.from, MSG_RELAY);
    cr_expect(ui_equal(e->src, ui_of_control(MOVE_FROM)));
    cr_expect(ui_equal(e->dst, port));
    cr_expect_eq(msg_bytes(&e->msg), 5);
    cr_expect_eq(world_reply(&p.from, a, held), MOTET_E_STATE, "once");

    struct msg relay = e->msg;
    relay.data = buf_copy(&p.to.mem, e->msg.data->data, e->msg.data->size);
    struct msg again = relay;
    again.data = NULL;
    cr_expect_eq(world_deliver(&p.to, world_far(1), port, again),
                 MOTET_E_PERMISSION, "not of a control port");
    cr_assert_eq(world_deliver(&p.to, ui_of_control(MOVE_FROM), port, relay),
                 MOTET_OK);
    e = sent(&p.to, MSG_REPLY);
    cr_expect(ui_equal(e->src, port));
    cr_expect(ui_equal(e->dst, world_far(1)));
    cr_expect_eq(e->msg.call, 5);
    cr_expect_eq(msg_bytes(&e->msg), 5);
    world_clear(&p.to);
    cr_assert_eq(world_deliver(&p.to, ui_of_control(MOVE_FROM), port, again),
                 MOTET_OK, "a second one is of no use");
    cr_expect_eq(world_seen(&p.to, NUC_TO_NET), 0);
    pair_fini(&p);
}

/* It is being handed on: whose hand it was in before does not matter. */
Test(nucleus_moved, a_request_that_is_being_handed_on)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(ask(&p.from, port, 5, 0, 3), MOTET_OK);
    const uint64_t held = world_one(&p.from, NUC_DELIVER)->held;
    cr_assert_eq(world_forward(&p.from, a, held, world_far(2)), MOTET_OK);
    struct image_item on;
    freeze_and_pack(&p, port);
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    cr_assert(nucleus_image_parcel(p.from.n, sent(&p.from, MSG_REQUEST)->ticket,
                                   &on));
    cr_assert_eq(install(p.owner, port, on), MOTET_OK);
    const uint64_t ticket = p.to.out.ticket;
    world_clear(&p.from);
    cr_assert_eq(port_op(&p.from, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(port_op(&p.to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    world_clear(&p.to);
    cr_assert_eq(world_site(&p.to, MOVE_FROM, 3, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_seen(&p.to, NUC_TO_NET), 0, "no answer");
    cr_assert_eq(world_outcome(&p.to, ticket, MOTET_E_FULL), MOTET_OK);
    cr_expect_eq(sent(&p.to, MSG_REPLY)->msg.status, MOTET_E_FULL);
    pair_fini(&p);
}

/* The port is on its way back: it cannot be told yet where to answer. */
Test(nucleus_moved, an_answer_while_the_port_comes_home)
{
    pair_init(&p);
    struct world *w = &p.to;
    const struct motet_ui port = world_port(w, p.owner);
    cr_assert_eq(ask(w, port, 5, 0, 0), MOTET_OK);
    const uint64_t held = world_one(w, NUC_DELIVER)->held;
    cr_assert_eq(freeze(w, port), MOTET_OK);
    cr_assert_eq(port_op(w, NUC_PORT_DROP, port, false), MOTET_OK);
    const struct image_item it = {.kind = IMAGE_PORT, .port = port};
    cr_assert_eq(install(p.owner, port, it), MOTET_OK);
    cr_expect_eq(world_reply(w, p.owner, held), MOTET_E_MOVING);
    cr_assert_eq(port_op(w, NUC_PORT_DISCARD, port, false), MOTET_OK);
    cr_expect_eq(world_reply(w, p.owner, held), MOTET_OK);
    pair_fini(&p);
}

/* Who has it in hand ends, or its site dies: then the caller hears so. */
Test(nucleus_moved, an_answer_that_never_comes)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(ask(&p.from, port, 5, 0, 0), MOTET_OK);
    cr_assert_eq(ask(&p.from, port, 6, 0, 0), MOTET_OK);
    move_port(&p, port);
    cr_assert_eq(world_actor_end(&p.from, a, MOTET_NEWS_CRASHED), MOTET_OK);
    const struct nuc_effect *e = world_nth(&p.from, NUC_TO_NET, 0);
    cr_expect_eq(e->msg.kind, MSG_RELAY);
    cr_expect_eq(e->msg.status, MOTET_E_MAYBE_CRASHED);
    cr_expect_eq(world_seen(&p.from, NUC_TO_NET), 2);
    cr_assert_eq(world_deliver(&p.to, ui_of_control(MOVE_FROM), port, e->msg),
                 MOTET_OK);
    cr_expect_eq(sent(&p.to, MSG_REPLY)->msg.status, MOTET_E_MAYBE_CRASHED);
    world_clear(&p.to);
    cr_assert_eq(world_site(&p.to, MOVE_FROM, 3, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(sent(&p.to, MSG_REPLY)->msg.status, MOTET_E_MAYBE_SITE_DEAD);
    cr_expect_eq(nucleus_counts(p.to.n).held, 0);
    pair_fini(&p);
}

/* An actor that moves along owes nothing where it was. */
Test(nucleus_moved, a_whole_actor_owes_nothing)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(ask(&p.from, port, 5, 0, 0), MOTET_OK);
    const uint64_t held = world_one(&p.from, NUC_DELIVER)->held;
    cr_assert_eq(freeze(&p.from, port), MOTET_OK);
    cr_assert_eq(port_op(&p.from, NUC_PORT_DROP, port, true), MOTET_OK);
    cr_expect_eq(world_reply(&p.from, a, held), MOTET_E_STATE);
    pair_fini(&p);
}

Test(nucleus_moved, a_call_that_is_under_way)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    cr_assert_eq(
        world_call(w, a, port, world_far(2), w->now_ns + 40 * WORLD_MS),
        MOTET_OK);
    const uint64_t call = w->out.call;
    cr_assert_eq(world_outcome(w, world_one(w, NUC_TO_NET)->ticket, MOTET_OK),
                 MOTET_OK);
    cr_assert_eq(
        world_call(w, a, port, world_far(3), w->now_ns + 40 * WORLD_MS),
        MOTET_OK);
    const uint64_t second = w->out.call;
    cr_assert_eq(
        world_outcome(w, world_nth(w, NUC_TO_NET, 1)->ticket, MOTET_OK),
        MOTET_OK);
    world_pass(w, 30 * WORLD_MS);
    move_port(&p, port);
    cr_expect_eq(nucleus_counts(w->n).calls, 0);
    struct msg reply = world_msg(&p.to, 4);
    reply.kind = MSG_REPLY;
    reply.call = call;
    cr_assert_eq(world_deliver(&p.to, world_far(2), port, reply), MOTET_OK);
    const struct nuc_effect *e = world_one(&p.to, NUC_CALL_DONE);
    cr_expect(ui_equal(e->actor, p.owner));
    cr_expect_eq(e->call, call);
    cr_expect_eq(e->err, MOTET_OK);
    cr_expect_eq(msg_bytes(&e->msg), 4);
    world_clear(&p.to);
    world_pass(&p.to, 9 * WORLD_MS);
    cr_expect_eq(world_seen(&p.to, NUC_CALL_DONE), 0);
    world_pass(&p.to, 1 * WORLD_MS);
    e = world_one(&p.to, NUC_CALL_DONE);
    cr_expect_eq(e->call, second);
    cr_expect_eq(e->err, MOTET_E_MAYBE_TIMEOUT);
    pair_fini(&p);
}

/* The place of its server goes along: a death there ends the call here. */
Test(nucleus_moved, a_call_to_a_site_that_dies)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    cr_assert_eq(world_call(w, a, port, world_far(2), DEADLINE_NEVER),
                 MOTET_OK);
    cr_assert_eq(world_outcome(w, world_one(w, NUC_TO_NET)->ticket, MOTET_OK),
                 MOTET_OK);
    move_port(&p, port);
    cr_assert_eq(world_site(&p.to, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(world_one(&p.to, NUC_CALL_DONE)->err, MOTET_E_MAYBE_SITE_DEAD);
    pair_fini(&p);
}

/* ---- Watches, both ways ----------------------------------------------------
 */

Test(nucleus_moved, watches_that_it_has)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    const struct motet_ui subjects[] = {world_far(2), ui_of_site(WORLD_PEER),
                                        ui_of_site(MOVE_FROM), ui_of_name("g"),
                                        world_far(3)};
    uint64_t ids[ARRAY_LEN(subjects)];
    for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
        cr_assert_eq(world_watch(w, a, port, subjects[i]), MOTET_OK);
        ids[i] = w->out.watch;
    }
    cr_assert_eq(
        world_outcome(w, world_nth(w, NUC_TO_NET, 0)->ticket, MOTET_OK),
        MOTET_OK);
    move_port(&p, port);
    cr_expect_eq(world_one(w, NUC_PORT_MOVED)->watch, ARRAY_LEN(subjects));
    cr_expect_eq(world_one(&p.to, NUC_PORT_ADOPTED)->watch,
                 ARRAY_LEN(subjects));
    cr_expect_eq(nucleus_counts(w->n).watches, 0);
    cr_expect_eq(nucleus_counts(p.to.n).watches, ARRAY_LEN(subjects));
    cr_expect_eq(world_seen(w, NUC_TO_NET), 0, "nobody is told to forget it");
    world_clear(&p.to);

    cr_assert_eq(
        world_member(&p.to, ui_of_name("g"), world_far(9), WORLD_PEER, true),
        MOTET_OK);
    const struct nuc_effect *e = world_one(&p.to, NUC_DELIVER);
    cr_expect_eq(e->news, MOTET_NEWS_JOINED_GROUP);
    cr_expect_eq(e->watch, ids[3]);
    world_clear(&p.to);

    cr_assert_eq(world_site(&p.to, MOVE_FROM, 3, NUC_SITE_DEAD), MOTET_OK);
    e = world_one(&p.to, NUC_DELIVER);
    cr_expect_eq(e->news, MOTET_NEWS_SITE_DEAD);
    cr_expect_eq(e->watch, ids[2], "the site that it left");
    world_clear(&p.to);

    struct msg news = {
        .kind = MSG_NEWS, .status = MOTET_NEWS_CLOSED, .call = ids[0]};
    cr_assert_eq(world_deliver(&p.to, world_far(2), port, news), MOTET_OK);
    e = world_one(&p.to, NUC_DELIVER);
    cr_expect_eq(e->news, MOTET_NEWS_CLOSED);
    cr_expect_eq(e->watch, ids[0]);
    world_clear(&p.to);

    world_pass(&p.to, UINT64_C(1000) * WORLD_MS);
    e = sent(&p.to, MSG_WATCH); /* nobody had answered the first one */
    cr_expect(ui_equal(e->dst, world_far(3)));
    cr_expect_eq(e->msg.call, ids[4]);
    pair_fini(&p);
}

Test(nucleus_moved, those_who_watch_it)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    const struct motet_ui b = world_actor(w, true);
    const struct motet_ui near = world_port(w, b);
    cr_assert_eq(world_deliver(w, world_far(1), port,
                               (struct msg){.kind = MSG_WATCH, .call = 33}),
                 MOTET_OK);
    cr_assert_eq(world_watch(w, b, near, port), MOTET_OK);
    const uint64_t id = w->out.watch;
    move_port(&p, port);
    cr_expect_eq(items_of(&p, IMAGE_WATCHER), 2, "local or not");
    cr_expect_eq(world_seen(w, NUC_DELIVER), 0, "to move is no end");
    cr_expect_eq(world_seen(w, NUC_TO_NET), 0);
    cr_assert_eq(world_port_end(&p.to, p.owner, port), MOTET_OK);
    cr_assert_eq(world_seen(&p.to, NUC_TO_NET), 2);
    for (uint32_t i = 0; i < 2; i++) {
        const struct nuc_effect *e = world_nth(&p.to, NUC_TO_NET, i);
        const bool far = ui_equal(e->dst, world_far(1));
        cr_expect_eq(e->msg.kind, MSG_NEWS);
        cr_expect_eq(e->msg.status, MOTET_NEWS_CLOSED);
        cr_expect(far || ui_equal(e->dst, near));
        cr_expect_eq(e->msg.call, far ? 33 : id);
    }
    cr_assert_eq(world_deliver(w, port, near,
                               (struct msg){.kind = MSG_NEWS,
                                            .status = MOTET_NEWS_CLOSED,
                                            .call = id}),
                 MOTET_OK);
    cr_expect_eq(world_one(w, NUC_DELIVER)->news, MOTET_NEWS_CLOSED);
    pair_fini(&p);
}

/* ---- Groups, and what waits ------------------------------------------------
 */

Test(nucleus_moved, its_groups)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    const struct motet_cap named = group(w, a, "service");
    const struct motet_cap nameless = group(w, a, "");
    insert(w, a, &named, port);
    insert(w, a, &nameless, port);
    move_port(&p, port);
    cr_expect_eq(items_of(&p, IMAGE_MEMBER), 2);
    cr_expect_eq(world_seen(w, NUC_PUBLISH), 0,
                 "the site withdraws what it said");
    cr_assert_eq(world_seen(&p.to, NUC_PUBLISH), 2);
    const struct nuc_effect *e = world_nth(&p.to, NUC_PUBLISH, 0);
    cr_expect(e->in && ui_equal(e->port, port));
    cr_expect(ui_equal(e->target, named.ui));
    e = world_nth(&p.to, NUC_PUBLISH, 1);
    cr_expect(e->in && ui_equal(e->target, nameless.ui));
    struct nuc_in in = world_in(&p.to, NUC_GROUP_LIST);
    in.dest.target = named.ui;
    cr_assert_eq(world_step(&p.to, &in), MOTET_OK);
    cr_expect(ui_equal(p.to.out.member.port, port));
    cr_expect_eq(p.to.out.member.site, MOVE_TO);
    pair_fini(&p);
}

/* Home again before anybody heard that it was away: it is a member as before,
 * and leaves when it ends. */
Test(nucleus_moved, its_groups_when_it_comes_home_at_once)
{
    pair_init(&p);
    struct world *w = &p.to;
    const struct motet_ui port = world_port(w, p.owner);
    const struct motet_cap cap = group(w, p.owner, "service");
    insert(w, p.owner, &cap, port);
    cr_assert_eq(freeze(w, port), MOTET_OK);
    cr_assert_eq(port_op(w, NUC_PORT_DROP, port, false), MOTET_OK);
    struct image_item it = {.kind = IMAGE_PORT, .port = port};
    cr_assert_eq(install(p.owner, port, it), MOTET_OK);
    it = (struct image_item){
        .kind = IMAGE_MEMBER, .peer = cap.ui, .name = "service"};
    cr_assert_eq(install(p.owner, port, it), MOTET_OK);
    cr_assert_eq(port_op(w, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    world_clear(w);
    cr_assert_eq(world_port_end(w, p.owner, port), MOTET_OK);
    const struct nuc_effect *e = world_one(w, NUC_PUBLISH);
    cr_expect_not(e->in);
    cr_expect(ui_equal(e->target, cap.ui));
    pair_fini(&p);
}

Test(nucleus_moved, what_waits_for_a_member)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    struct nuc_in in = world_in(w, NUC_SEND);
    in.actor = a;
    in.port = port;
    in.dest = (struct motet_dest){.target = ui_of_name("g"), .wait = true};
    in.msg = world_msg(w, 8);
    in.token = 42;
    in.deadline_ns = w->now_ns + 40 * WORLD_MS;
    cr_assert_eq(world_step(w, &in), MOTET_OK);
    world_pass(w, 10 * WORLD_MS);
    move_port(&p, port);
    cr_expect_eq(nucleus_counts(w->n).waiters, 0);
    cr_expect_eq(world_seen(w, NUC_SENT), 0);
    world_pass(&p.to, 29 * WORLD_MS);
    cr_expect_eq(world_seen(&p.to, NUC_SENT), 0);
    cr_assert_eq(
        world_member(&p.to, ui_of_name("g"), world_far(9), WORLD_PEER, true),
        MOTET_OK);
    const struct nuc_effect *e = sent(&p.to, MSG_SEND);
    cr_expect(ui_equal(e->src, port));
    cr_expect(ui_equal(e->dst, world_far(9)));
    cr_assert_eq(world_outcome(&p.to, e->ticket, MOTET_OK), MOTET_OK);
    cr_expect_eq(world_one(&p.to, NUC_SENT)->token, 42);
    cr_expect_eq(world_one(&p.to, NUC_SENT)->err, MOTET_OK);
    pair_fini(&p);
}

/* What is with the network manager is told where the port lives now. */
Test(nucleus_moved, what_was_sent_and_has_no_outcome)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    cr_assert_eq(world_send(w, a, port, world_far(2), 42), MOTET_OK);
    const uint64_t ticket = world_one(w, NUC_TO_NET)->ticket;
    freeze_and_pack(&p, port);
    struct image_item parcel;
    cr_expect_not(nucleus_image_parcel(w->n, ticket + 1, &parcel));
    cr_assert(nucleus_image_parcel(w->n, ticket, &parcel));
    image_put(&p, &parcel);
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    const uint64_t there = p.to.out.ticket;
    struct image_item kept = {.kind = IMAGE_KEPT,
                              .flag = true,
                              .ticket = there,
                              .msg = {.kind = MSG_SEND}};
    cr_assert_eq(install(p.owner, port, kept), MOTET_OK);
    cr_expect_eq(install(p.owner, port, kept), MOTET_E_PROTOCOL, "once");
    cr_assert_eq(port_op(w, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(world_outcome(w, ticket, MOTET_E_MAYBE_MOVED), MOTET_OK);
    cr_expect_eq(world_seen(w, NUC_SENT), 0, "who owns it now will hear it");
    cr_assert_eq(port_op(&p.to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    cr_assert_eq(world_outcome(&p.to, there, MOTET_E_FULL), MOTET_OK);
    const struct nuc_effect *e = world_one(&p.to, NUC_SENT);
    cr_expect_eq(e->token, 42);
    cr_expect_eq(e->err, MOTET_E_FULL);
    cr_expect(ui_equal(e->actor, p.owner));
    pair_fini(&p);
}
