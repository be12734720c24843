#include "nucleus/core/nucleus.h"
#include "nucleus_move.h"
#include "proto/image.h"

/* Ports that leave one nucleus for another; refusals first. */

TestSuite(nucleus_move, .timeout = 20);

/* ---- Refusals --------------------------------------------------------------
 */

Test(nucleus_move, what_cannot_be_frozen)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, false);
    const struct motet_ui port = world_port(&p.from, a);
    cr_expect_eq(freeze(&p.from, world_far(1)), MOTET_E_NO_PORT);
    cr_expect_eq(port_op(&p.from, NUC_PORT_THAW, port, false), MOTET_E_STATE);
    cr_expect_eq(port_op(&p.from, NUC_PORT_DROP, port, false), MOTET_E_STATE);
    cr_expect_eq(port_op(&p.from, NUC_PORT_ACTIVATE, port, false),
                 MOTET_E_STATE);
    cr_expect_eq(port_op(&p.from, NUC_PORT_DISCARD, port, false),
                 MOTET_E_STATE);
    cr_assert_eq(freeze(&p.from, port), MOTET_OK);
    cr_expect_eq(freeze(&p.from, port), MOTET_E_MOVING);
    cr_expect_eq(port_op(&p.from, NUC_PORT_ACTIVATE, port, false),
                 MOTET_E_STATE, "it did not come here");
    cr_expect_eq(port_op(&p.from, NUC_PORT_DISCARD, port, false),
                 MOTET_E_STATE);
    struct nuc_in in = world_in(&p.from, NUC_PORT_GIVE);
    in.port = port;
    in.subject = world_actor(&p.from, true);
    cr_expect_eq(world_step(&p.from, &in), MOTET_E_MOVING);
    cr_assert_eq(port_op(&p.from, NUC_PORT_THAW, port, false), MOTET_OK);
    cr_expect_eq(world_step(&p.from, &in), MOTET_E_DECLINED);
    pair_fini(&p);
}

/* Room is heard of when it stays after all: the network manager says it once.
 */
Test(nucleus_move, room_while_it_is_frozen)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    cr_assert_eq(freeze(&p.from, port), MOTET_OK);
    struct nuc_in in = world_in(&p.from, NUC_NET_ROOM_FOR);
    in.src = port;
    in.dst = world_far(1);
    cr_assert_eq(world_step(&p.from, &in), MOTET_OK);
    cr_expect(ui_equal(world_one(&p.from, NUC_ROOM)->dst, world_far(1)));
    cr_assert_eq(port_op(&p.from, NUC_PORT_THAW, port, false), MOTET_OK);
    pair_fini(&p);
}

Test(nucleus_move, ports_that_are_not_taken)
{
    pair_init(&p);
    const struct motet_ui shy = world_actor(&p.to, true);
    const struct motet_ui port = ui_make(MOVE_FROM, 3, UI_PORT, 1);
    struct image_item it = {.kind = IMAGE_PORT, .port = port};
    cr_expect_eq(install(world_far(1), port, it), MOTET_E_NO_ACTOR);
    cr_expect_eq(install(shy, port, it), MOTET_E_DECLINED);
    it.port = ui_of_control(MOVE_FROM);
    cr_expect_eq(install(p.owner, it.port, it), MOTET_E_PROTOCOL);
    it.port = ui_make(0, 3, UI_PORT, 1);
    cr_expect_eq(install(p.owner, it.port, it), MOTET_E_PROTOCOL, "no site");
    it.port = port;
    it.kind = IMAGE_WATCH;
    cr_expect_eq(install(p.owner, port, it), MOTET_E_PROTOCOL, "no port yet");
    it.kind = IMAGE_PORT;
    cr_assert_eq(install(p.owner, port, it), MOTET_OK);
    cr_expect_eq(install(p.owner, port, it), MOTET_E_EXISTS);
    it.kind = IMAGE_SFLOW;
    cr_expect_eq(install(p.owner, port, it), MOTET_E_PROTOCOL);
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, port, false), MOTET_OK);
    cr_expect_eq(info(&p.to, port), MOTET_E_NO_PORT);
    it.kind = IMAGE_PORT;
    cr_assert_eq(install(p.owner, port, it), MOTET_OK, "again");
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, port, false), MOTET_OK);
    pair_fini(&p);
}

/* What belongs to a port that has come for good is not taken any more. */
Test(nucleus_move, items_come_before_the_port_lives)
{
    pair_init(&p);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    move_port(&p, port);
    const struct image_item it = {
        .kind = IMAGE_WATCH, .id = 9, .peer = world_far(1)};
    cr_expect_eq(install(p.owner, port, it), MOTET_E_PROTOCOL);
    pair_fini(&p);
}

static const struct motet_ui came = {MOVE_FROM,
                                     (UINT64_C(3) << 32) + (1 << 28) + 1};

/* An item that is refused; what it would need has come before. */
static void refused(enum motet_err why, struct image_item it, const char *what)
{
    const struct image_item port = {.kind = IMAGE_PORT, .port = came};
    cr_assert_eq(install(p.owner, came, port), MOTET_OK);
    it.port = came;
    cr_expect_eq(install(p.owner, came, it), why, "%s", what);
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, came, false), MOTET_OK);
}

/* By a peer that breaks the protocol. */
static void bad(struct image_item it, const char *what)
{
    refused(MOTET_E_PROTOCOL, it, what);
}

static struct msg request(void)
{
    return (struct msg){
        .kind = MSG_REQUEST, .call = 5, .reply_to = world_far(1)};
}

static const struct place_of far = {.site = WORLD_PEER, .incarnation = 1};

Test(nucleus_move, members_that_make_no_sense)
{
    pair_init(&p);
    bad((struct image_item){.kind = IMAGE_MEMBER, .peer = came},
        "a member of what is no group");
    bad((struct image_item){.kind = IMAGE_MEMBER,
                            .peer = ui_of_name("a"),
                            .name = "b"},
        "a member of a group by another name");
    bad((struct image_item){.kind = IMAGE_MEMBER, .peer = ui_of_name("a")},
        "a member of a named group without the name");
    pair_fini(&p);
}

Test(nucleus_move, held_requests_that_make_no_sense)
{
    pair_init(&p);
    struct image_item it = {
        .kind = IMAGE_HELD, .id = 1, .place = far, .msg = request()};
    it.msg.kind = MSG_SEND;
    bad(it, "a held message that is no request");
    it.msg = request();
    it.msg.call = 0;
    bad(it, "a held request of no call");
    it.msg = request();
    it.msg.reply_to = ui_of_name("a");
    bad(it, "a held request of a group");
    it.msg = request();
    it.id = 0;
    bad(it, "a held request without a name");
    it.id = 1;
    it.place.site = 0;
    bad(it, "a held request from nowhere");
    it.place = far;
    it.msg.annex_bytes = 1;
    bad(it, "a held request with an annex of no bytes");
    pair_fini(&p);
}

Test(nucleus_move, queued_messages_that_make_no_sense)
{
    pair_init(&p);
    struct image_item it = {
        .kind = IMAGE_QUEUED, .id = 7, .peer = world_far(1), .msg = request()};
    bad(it, "a queued request that is not held");
    it.id = 0;
    bad(it, "a queued request without its name");
    it.msg.kind = MSG_SEND;
    it.id = 7;
    bad(it, "a queued message that is held");
    it.id = 0;
    it.msg.kind = MSG_REPLY;
    bad(it, "a queued reply");
    it.msg.kind = MSG_SEND;
    it.msg.annex_bytes = 1;
    bad(it, "a queued message with an annex of no bytes");
    pair_fini(&p);
}

Test(nucleus_move, watches_and_calls_that_make_no_sense)
{
    pair_init(&p);
    struct image_item it = {.kind = IMAGE_WATCH, .peer = world_far(1)};
    bad(it, "a watch without a name");
    it.id = 3;
    it.peer = p.owner;
    bad(it, "a watch of an actor");
    it.kind = IMAGE_WATCHER;
    it.peer = world_far(1);
    bad(it, "a watcher from nowhere");
    it.place = far;
    it.peer = p.owner;
    bad(it, "a watcher that is an actor");

    it = (struct image_item){.kind = IMAGE_CALL, .id = 3, .err = MOTET_E_COUNT};
    bad(it, "a call that ends in no error");
    pair_fini(&p);
}

Test(nucleus_move, messages_that_make_no_sense)
{
    pair_init(&p);
    struct image_item it = {.kind = IMAGE_PARCEL,
                            .peer = world_far(1),
                            .role = 0,
                            .msg = {.kind = MSG_SEND}};
    bad(it, "of no role");
    it.role = 200;
    bad(it, "of a role past the last");
    it.role = 1;
    it.notify = 200;
    bad(it, "told in no way");
    it.notify = NUC_NOTIFY_ALWAYS;
    it.msg.kind = 0;
    bad(it, "of no kind");
    it.msg.kind = MSG_SEND;
    refused(MOTET_OK, it, "nothing is wrong with that");
    for (uint8_t role = 2; role <= 8; role++) {
        it.role = role;
        it.id = 77; /* there is no such call, request or watch */
        const struct image_item port = {.kind = IMAGE_PORT, .port = came};
        cr_assert_eq(install(p.owner, came, port), MOTET_OK);
        it.port = came;
        const enum motet_err err = install(p.owner, came, it);
        cr_expect(err == MOTET_OK || err == MOTET_E_PROTOCOL, "role %u", role);
        cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, came, false), MOTET_OK);
    }
    it.role = 1;
    it.kind = IMAGE_WAITING;
    it.dest.target = world_far(1);
    bad(it, "waiting for a member of what is no group");
    it = (struct image_item){.kind = IMAGE_KEPT, .ticket = 5, .flag = true};
    bad(it, "kept, without its parcel");
    pair_fini(&p);
}

/* At each limit there: refused, and nothing of it is left. */
Test(nucleus_move, no_room)
{
    struct nucleus_limits tight = nucleus_limits_default();
    tight.ports_max = 2; /* one is taken by nobody yet */
    pair_init_with(&p, &tight);
    (void)world_port(&p.to, p.owner);
    (void)world_port(&p.to, p.owner);
    const struct motet_ui a = world_actor(&p.from, true);
    const struct motet_ui port = world_port(&p.from, a);
    freeze_and_pack(&p, port);
    cr_expect_eq(unpack(&p, p.count), MOTET_E_LIMIT);
    pair_fini(&p);

    tight = nucleus_limits_default();
    tight.watches_max = 1;
    pair_init_with(&p, &tight);
    const struct motet_ui b = world_actor(&p.from, true);
    const struct motet_ui two = world_port(&p.from, b);
    cr_assert_eq(world_watch(&p.from, b, two, world_far(1)), MOTET_OK);
    cr_assert_eq(world_watch(&p.from, b, two, world_far(2)), MOTET_OK);
    freeze_and_pack(&p, two);
    cr_expect_eq(unpack(&p, p.count), MOTET_E_LIMIT);
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, two, false), MOTET_OK);
    cr_expect_eq(nucleus_counts(p.to.n).watches, 0);
    pair_fini(&p);
}

/* ---- Standing still --------------------------------------------------------
 */

Test(nucleus_move, a_frozen_port_stands_still)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, true);
    const struct motet_ui port = world_port(w, a);
    struct msg late = {.kind = MSG_REQUEST, .call = 5, .remaining_ms = 5};
    late.reply_to = world_far(1);
    cr_expect_not(nucleus_actor_frozen(w->n, a));
    cr_assert_eq(freeze(w, port), MOTET_OK);
    cr_expect(nucleus_actor_frozen(w->n, a));
    cr_expect_eq(world_deliver_send(w, world_far(1), port), MOTET_E_AGAIN);
    cr_expect_eq(world_deliver(w, world_far(1), port, late), MOTET_E_AGAIN);
    cr_expect_eq(world_seen(w, NUC_NET_ROOM), 0);
    cr_assert_eq(port_op(w, NUC_PORT_THAW, port, false), MOTET_OK);
    cr_expect(ui_equal(world_one(w, NUC_NET_ROOM)->port, port),
              "who was sent away is told");
    cr_expect_not(nucleus_actor_frozen(w->n, a));
    cr_expect_eq(world_deliver_send(w, world_far(1), port), MOTET_OK);
    cr_expect_eq(world_seen(w, NUC_DELIVER), 1);
    pair_fini(&p);
}

/* No deadline of it passes: it is told where it will live. */
Test(nucleus_move, nothing_of_a_frozen_port_is_told)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, false);
    const struct motet_ui port = world_port(w, a);
    struct msg request = {.kind = MSG_REQUEST, .call = 5, .remaining_ms = 5};
    request.reply_to = world_far(1);
    cr_assert_eq(world_deliver(w, world_far(1), port, request), MOTET_OK);
    cr_assert_eq(world_call(w, a, port, world_far(2), w->now_ns + 5 * WORLD_MS),
                 MOTET_OK);
    cr_assert_eq(world_outcome(w, world_one(w, NUC_TO_NET)->ticket, MOTET_OK),
                 MOTET_OK);
    cr_assert_eq(world_watch(w, a, port, world_far(3)), MOTET_OK);
    cr_assert_eq(
        world_outcome(w, world_nth(w, NUC_TO_NET, 1)->ticket, MOTET_OK),
        MOTET_OK);
    world_clear(w);
    cr_assert_eq(freeze(w, port), MOTET_OK);
    world_pass(w, 50 * WORLD_MS);
    cr_assert_eq(world_site(w, WORLD_PEER, 1, NUC_SITE_DEAD), MOTET_OK);
    cr_expect_eq(w->count, 0, "neither deadlines nor a death");
    cr_assert_eq(port_op(w, NUC_PORT_THAW, port, false), MOTET_OK);
    world_pass(w, 0);
    cr_expect_eq(world_one(w, NUC_CALL_DONE)->err, MOTET_E_MAYBE_SITE_DEAD,
                 "or that it was not answered in time");
    cr_assert_eq(world_receive(w, a, port, 1, 0), MOTET_OK);
    cr_expect_eq(world_one(w, NUC_DELIVER)->news, MOTET_NEWS_SITE_DEAD,
                 "the request is over, the news come");
    pair_fini(&p);
}

/* ---- Left behind, and given up ---------------------------------------------
 */

Test(nucleus_move, the_queue_is_dropped_if_asked_for)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, false);
    const struct motet_ui port = world_port(w, a);
    const struct motet_ui b = world_actor(w, true);
    const struct motet_ui near = world_port(w, b);
    cr_assert_eq(world_deliver_send(w, world_far(1), port), MOTET_OK);
    cr_assert_eq(ask(w, port, 5, 0, 4), MOTET_OK);
    cr_assert_eq(world_call(w, b, near, port, DEADLINE_NEVER), MOTET_OK);
    cr_assert_eq(port_op(w, NUC_PORT_FREEZE, port, true), MOTET_OK);
    cr_expect_eq(sent(w, MSG_REPLY)->msg.status, MOTET_E_MOVING);
    cr_expect_eq(world_one(w, NUC_CALL_DONE)->err, MOTET_E_MOVING);
    cr_expect_eq(motet_err_ran(MOTET_E_MOVING), MOTET_RAN_NO);
    cr_expect_eq(nucleus_counts(w->n).lost, 3);
    pack(&p, port);
    cr_expect_eq(items_of(&p, IMAGE_QUEUED) + items_of(&p, IMAGE_HELD), 0);
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    cr_assert_eq(port_op(w, NUC_PORT_DROP, port, false), MOTET_OK);
    cr_assert_eq(port_op(&p.to, NUC_PORT_ACTIVATE, port, false), MOTET_OK);
    cr_expect_eq(world_one(&p.to, NUC_PORT_ADOPTED)->seq, 3, "the cut");
    pair_fini(&p);
}

static void fill(struct world *w, struct motet_ui a, struct motet_ui port)
{
    const struct motet_cap cap = group(w, a, "service");
    insert(w, a, &cap, port);
    cr_assert_eq(ask(w, port, 5, 0, 4), MOTET_OK);
    cr_assert_eq(ask(w, port, 6, 50, 4), MOTET_OK);
    cr_assert_eq(ask(w, port, 7, 0, 0), MOTET_OK);
    cr_assert_eq(world_receive(w, a, port, 1, 0), MOTET_OK);
    cr_assert_eq(world_deliver_send(w, world_far(1), port), MOTET_OK);
    cr_assert_eq(world_call(w, a, port, world_far(2), DEADLINE_NEVER),
                 MOTET_OK);
    cr_assert_eq(world_outcome(w, sent(w, MSG_REQUEST)->ticket, MOTET_OK),
                 MOTET_OK);
    cr_assert_eq(world_watch(w, a, port, world_far(3)), MOTET_OK);
    cr_assert_eq(world_watch(w, a, port, ui_of_name("other")), MOTET_OK);
    cr_assert_eq(world_deliver(w, world_far(1), port,
                               (struct msg){.kind = MSG_WATCH, .call = 33}),
                 MOTET_OK);
    struct nuc_in in = world_in(w, NUC_SEND);
    in.actor = a;
    in.port = port;
    in.dest = (struct motet_dest){.target = ui_of_name("g"), .wait = true};
    in.msg = world_msg(w, 8);
    cr_assert_eq(world_step(w, &in), MOTET_OK);
}

static void pack_all(struct world *w, struct motet_ui port)
{
    freeze_and_pack(&p, port);
    struct image_item parcel;
    cr_assert(nucleus_image_parcel(w->n, sent(w, MSG_WATCH)->ticket, &parcel));
    image_put(&p, &parcel);
}

/* However much of it has come: what is discarded leaves nothing behind, and the
 * port serves where it was. */
Test(nucleus_move, given_up_at_any_item)
{
    uint32_t all = 1;
    for (uint32_t count = 1; count <= all; count++) {
        pair_init(&p);
        const struct motet_ui a = world_actor(&p.from, false);
        const struct motet_ui port = world_port(&p.from, a);
        fill(&p.from, a, port);
        pack_all(&p.from, port);
        all = p.count;
        const size_t before = p.to.mem.used_bytes;
        cr_assert_eq(unpack(&p, count), MOTET_OK);
        cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, port, false), MOTET_OK);
        const struct nuc_counts c = nucleus_counts(p.to.n);
        cr_expect_eq(c.ports + c.groups + c.members + c.calls + c.held +
                         c.watches + c.waiters + c.queued_msgs + c.queued_bytes,
                     0, "after %u of %u items", count, all);
        cr_expect_eq(p.to.count, 0, "nobody is told anything");
        cr_expect_eq(nucleus_deadline_ns(p.to.n), DEADLINE_NEVER);
        cr_assert_eq(unpack(&p, p.count), MOTET_OK, "and it can come again");
        cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, port, false), MOTET_OK);
        cr_expect_leq(p.to.mem.used_bytes, before + (1 << 20));

        world_clear(&p.from);
        cr_assert_eq(port_op(&p.from, NUC_PORT_THAW, port, false), MOTET_OK);
        cr_assert_eq(world_receive(&p.from, a, port, 1, 0), MOTET_OK);
        cr_expect_eq(world_one(&p.from, NUC_DELIVER)->seq, 2);
        pair_fini(&p);
    }
    cr_expect_geq(all, 13);
}

/* A request that waits comes with its message, or the port does not. */
Test(nucleus_move, a_request_without_its_message)
{
    pair_init(&p);
    struct image_item it = {.kind = IMAGE_PORT, .port = came};
    cr_expect_not(nucleus_image_whole(p.to.n, came));
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    cr_expect(nucleus_image_whole(p.to.n, came));
    it = (struct image_item){
        .kind = IMAGE_HELD,
        .id = 1,
        .left_ns = 1,
        .place = {.site = WORLD_PEER, .incarnation = 1},
        .msg = {.kind = MSG_REQUEST, .call = 5, .reply_to = world_far(1)}};
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    cr_expect_not(nucleus_image_whole(p.to.n, came));
    it.kind = IMAGE_QUEUED;
    it.peer = world_far(1);
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    cr_expect(nucleus_image_whole(p.to.n, came));
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, came, false), MOTET_OK);
    pair_fini(&p);
}

/* So does a call that is being given up, with its request. */
Test(nucleus_move, a_call_without_its_request)
{
    pair_init(&p);
    struct image_item it = {.kind = IMAGE_PORT, .port = came};
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    it = (struct image_item){.kind = IMAGE_CALL,
                             .id = 3,
                             .err = MOTET_E_TIMEOUT,
                             .err2 = MOTET_E_MAYBE_TIMEOUT,
                             .left_ns = UINT64_MAX};
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    cr_expect_not(nucleus_image_whole(p.to.n, came));
    it = (struct image_item){.kind = IMAGE_STALLED,
                             .port = came,
                             .peer = world_far(1),
                             .role = 3,
                             .id = 3,
                             .left_ns = UINT64_MAX,
                             .msg = {.kind = MSG_REQUEST}};
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    cr_expect(nucleus_image_whole(p.to.n, came));
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, came, false), MOTET_OK);
    pair_fini(&p);
}

/* Between a message and what is kept of it, too. */
Test(nucleus_move, given_up_half_way_through_a_message)
{
    pair_init(&p);
    const struct image_item at = {.kind = IMAGE_PORT, .port = came};
    cr_assert_eq(install(p.owner, came, at), MOTET_OK);
    const struct image_item it = {.kind = IMAGE_PARCEL,
                                  .port = came,
                                  .peer = world_far(1),
                                  .role = 1,
                                  .msg = {.kind = MSG_SEND}};
    cr_assert_eq(install(p.owner, came, it), MOTET_OK);
    const uint64_t ticket = p.to.out.ticket;
    cr_assert_eq(port_op(&p.to, NUC_PORT_DISCARD, came, false), MOTET_OK);
    cr_expect_eq(world_outcome(&p.to, ticket, MOTET_OK), MOTET_E_STATE);
    pair_fini(&p);
}

/* It is back where it was, as it was. */
Test(nucleus_move, there_and_home)
{
    pair_init(&p);
    struct world *w = &p.from;
    const struct motet_ui a = world_actor(w, false);
    const struct motet_ui port = world_port(w, a);
    fill(w, a, port);
    pack_all(w, port);
    const uint32_t count = p.count;
    cr_assert_eq(unpack(&p, p.count), MOTET_OK);
    struct image_item kept = {.kind = IMAGE_KEPT,
                              .flag = true,
                              .ticket = p.to.out.ticket,
                              .msg = {.kind = MSG_WATCH}};
    cr_assert_eq(install(p.owner, port, kept), MOTET_OK);
    struct nuc_walk walk = {0};
    struct image_item it;
    uint32_t again = 0;
    while (nucleus_image(p.to.n, port, &walk, &it)) {
        for (uint32_t i = 0; i < count; i++) {
            const struct image_item *was = &p.items[i];
            again += was->kind == it.kind && was->id == it.id &&
                     was->seq == it.seq && ui_equal(was->peer, it.peer) &&
                     was->left_ns == it.left_ns && was->key == it.key &&
                     was->msg.annex_bytes == it.msg.annex_bytes &&
                     was->place.incarnation == it.place.incarnation;
        }
        image_release(&it);
    }
    cr_expect_eq(again, count - 2, "all but its group and its parcel");
    pair_fini(&p);
}
