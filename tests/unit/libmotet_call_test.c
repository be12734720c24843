#include <criterion/criterion.h>
#include <motet/motet.h>

#include "attach_ground.h"
#include "libmotet_ground.h"
#include "sites/host/attach.h"

TestSuite(libmotet_call, .timeout = 60);

/* ---- calls ----------------------------------------------------------------
 */

Test(libmotet_call, a_call_is_answered)
{
    struct ground g = {0};
    ground_start(&g);
    struct server s = {.ground = &g, .name = "echo", .calls = 101};
    server_start(&s);
    struct motet *m = ground_attach(&g);
    struct motet_msg reply;
    for (int i = 0; i < 100; i++) {
        char word[16];
        (void)snprintf(word, sizeof word, "hello %d", i);
        OK(motet_call(m, motet_to("echo"), text(word), &reply, 5000));
        cr_assert(says(&reply, word));
        cr_assert_null(reply.port);
    }
    OK(motet_call(m, motet_to("echo"), text("quiet"), NULL, 5000));
    pthread_join(s.thread, NULL);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet_call, a_call_nobody_answers_ends_by_its_deadline)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *other = ground_attach(&g);
    struct motet_port *port = ground_port(other, "deaf");
    struct motet_msg msg;
    uint64_t start = ground_ms();
    enum motet_err err = motet_call(m, motet_to("deaf"), text("x"), &msg, 80);
    uint64_t took = ground_ms() - start;
    cr_expect(err == MOTET_E_TIMEOUT || err == MOTET_E_MAYBE_TIMEOUT, "%s",
              motet_err_name(err));
    cr_expect(took >= 79 && took < 500, "%llu ms", (unsigned long long)took);

    /* Received, and not answered: it may have run. */
    uint64_t call;
    struct motet_event event;
    OK(motet_call_start(motet_own_port(m), motet_to("deaf"), text("y"), 200, 5,
                        &call));
    do {
        OK(motet_receive(port, &msg, 1000));
    } while (!says(&msg, "y"));
    cr_expect(msg.remaining_ms > 0 && msg.remaining_ms <= 200);
    OK(motet_event(m, &event, 2000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_TIMEOUT);
    cr_expect_eq(event.token, 5);
    cr_expect_eq(event.call, call);
    cr_expect_null(event.reply);
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

Test(libmotet_call, a_call_is_refused_forwarded_and_answered_late)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *first = ground_attach(&g);
    struct motet *second = ground_attach(&g);
    struct motet_port *from = ground_port(m, NULL);
    struct motet_port *front = ground_port(first, "front");
    struct motet_port *back = ground_port(second, "back");
    struct motet_msg msg;
    struct motet_msg kept;
    struct motet_event event;
    uint64_t call;
    uint64_t id;

    OK(motet_call_start(from, motet_to("front"), text("a"), 5000, 1, &call));
    OK(motet_receive(front, &msg, 1000));
    cr_expect_eq(msg.kind, MOTET_MSG_CALL);
    ERR(motet_refuse(&msg, MOTET_E_MAYBE_LOST), MOTET_E_INVALID);
    ERR(motet_refuse(&msg, MOTET_OK), MOTET_E_INVALID);
    OK(motet_refuse(&msg, MOTET_E_PERMISSION));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.err, MOTET_E_PERMISSION);

    OK(motet_call_start(from, motet_to("front"), text("b"), 5000, 2, &call));
    OK(motet_receive(front, &msg, 1000));
    ERR(motet_forward(&msg, motet_to("nobody")), MOTET_E_NO_MEMBER);
    OK(motet_forward(&msg, motet_to("back")));
    ERR(motet_forward(&msg, motet_to("back")), MOTET_E_STATE);
    OK(motet_receive(back, &msg, 1000));
    cr_expect(motet_ui_equal(msg.source, motet_port_ui(from)),
              "the caller's identity");
    OK(motet_reply(&msg, "from behind", 11));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.err, MOTET_OK);
    cr_assert_not_null(event.reply);
    cr_expect_eq(event.reply->body_bytes, 11);
    cr_expect_arr_eq(event.reply->body, "from behind", 11);

    OK(motet_call_start(from, motet_to("front"), text("later"), 5000, 3,
                        &call));
    OK(motet_receive(front, &msg, 1000));
    OK(motet_save(&msg, &id));
    ERR(motet_receive(front, &kept, 0), MOTET_E_TIMEOUT);
    ERR(motet_restore(first, id + 1, &kept), MOTET_E_STATE);
    OK(motet_restore(first, id, &kept));
    cr_expect(says(&kept, "later"));
    cr_expect_eq(kept.port, front);
    OK(motet_reply(&kept, kept.body, kept.body_bytes));
    motet_msg_free(&kept);
    ERR(motet_restore(first, id, &kept), MOTET_E_STATE);
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.token, 3);
    cr_expect_arr_eq(event.reply->body, "later", 5);
    motet_detach(m);
    motet_detach(first);
    motet_detach(second);
    ground_stop(&g);
}

Test(libmotet_call, a_cancelled_call_reaches_the_server)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "slow");
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_call_start(motet_own_port(m), motet_to("slow"), text("x"),
                        MOTET_FOREVER, 1, &call));
    OK(motet_receive(port, &msg, 1000));
    cr_expect_eq(msg.remaining_ms, 0, "no deadline");
    OK(motet_cancel(m, call));
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_CANCELLED);
    ERR(motet_cancel(m, call), MOTET_E_STATE);

    OK(motet_dispatch(s));
    struct motet_ui nobody;
    ERR(motet_actor_find(s, "nobody", &nobody), MOTET_E_NO_ACTOR);
    cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE);
    OK(motet_event(s, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CANCELLED);
    cr_expect_eq(event.held, msg.held);
    motet_detach(m);
    motet_detach(s);
    ground_stop(&g);
}

/* ---- large and many -------------------------------------------------------
 */

static void fill(uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        data[i] = (uint8_t)(i * 31 + i / 257);
    }
}

Test(libmotet_call, large_bodies_both_ways)
{
    struct ground g = {0};
    ground_start(&g);
    struct server s = {.ground = &g, .name = "echo", .calls = 3};
    server_start(&s);
    struct motet *m = ground_attach(&g);
    static const size_t sizes[] = {100000, 5 << 20, MOTET_BODY_DEFAULT};
    uint8_t *body = malloc(MOTET_BODY_DEFAULT);
    cr_assert_not_null(body);
    fill(body, MOTET_BODY_DEFAULT);
    cr_expect_eq(motet_body_max(m), (size_t)MOTET_BODY_DEFAULT);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct motet_msg reply;
        OK(motet_call(m, motet_to("echo"), motet_body(body, sizes[i]), &reply,
                      20000));
        cr_assert_eq(reply.body_bytes, sizes[i]);
        cr_expect_eq(memcmp(reply.body, body, sizes[i]), 0, "%zu", sizes[i]);
    }
    free(body);
    pthread_join(s.thread, NULL);
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet_call, a_full_queue_pushes_back)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet *b = ground_attach(&g);
    struct motet_port *from = ground_port(a, NULL);
    struct motet_port *to;
    struct motet_msg msg;
    struct motet_event event;
    struct motet_port_info info;
    OK(motet_port_create_limited(b, "small", 3, 0, &to));
    for (int i = 0; i < 3; i++) {
        OK(motet_try_send(from, motet_to("small"), text("x"), 1000));
    }
    OK(motet_port_info(a, motet_port_ui(to), &info));
    cr_expect_eq(info.queue_msgs, 3);
    cr_expect_eq(info.queue_msgs_max, 3);
    ERR(motet_try_send(from, motet_to("small"), text("y"), 1000),
        MOTET_E_AGAIN);
    const uint64_t start = ground_ms();
    const enum motet_err err =
        motet_send(from, motet_to("small"), text("y"), 60);
    cr_expect_eq(motet_err_ran(err), MOTET_RAN_NO, "%s", motet_err_name(err));
    cr_expect_geq(ground_ms() - start, 59);

    OK(motet_receive(to, &msg, 1000));
    OK(motet_receive(to, &msg, 1000));
    OK(motet_event(a, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_ROOM);
    cr_expect(motet_ui_equal(event.port, motet_port_ui(from)));
    OK(motet_try_send(from, motet_to("small"), text("y"), 1000));
    OK(motet_try_send(from, motet_to("small"), text("y"), 1000));

    /* One that waits is let in when there is room, in its turn. */
    OK(motet_send_start(from, motet_to("small"), text("z"), 5000, 77));
    ERR(motet_event(a, &event, 30), MOTET_E_TIMEOUT);
    OK(motet_receive(to, &msg, 1000));
    OK(motet_event(a, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_SENT);
    cr_expect_eq(event.err, MOTET_OK);
    cr_expect_eq(event.token, 77);
    OK(motet_receive(to, &msg, 1000));
    OK(motet_receive(to, &msg, 1000));
    cr_expect(says(&msg, "y"));
    OK(motet_receive(to, &msg, 1000));
    cr_expect(says(&msg, "z"));
    motet_detach(a);
    motet_detach(b);
    ground_stop(&g);
}

/* More than the socket takes is on its way to a program that is busy sending
 * itself: nobody waits for the other for ever. */
Test(libmotet_call, both_directions_full_at_once)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet_port *port;
    enum { COUNT = 60, SIZE = 60000 };
    uint8_t *body = malloc(SIZE);
    struct motet_msg msg;
    struct motet_event event;
    cr_assert_not_null(body);
    fill(body, SIZE);
    OK(motet_port_create_limited(a, NULL, COUNT, COUNT * (SIZE + 200), &port));
    OK(motet_prefetch(a, 128));
    for (uint64_t i = 0; i < COUNT; i++) {
        body[0] = (uint8_t)i;
        OK(motet_send_start(port, motet_to_ui(motet_port_ui(port)),
                            motet_body(body, SIZE), 10000, i));
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        OK(motet_event(a, &event, 10000));
        cr_assert_eq(event.err, MOTET_OK);
        cr_assert_eq(event.token, i);
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        OK(motet_receive_any(a, &msg, 10000));
        cr_assert_eq(((const uint8_t *)msg.body)[0], i, "in order");
        cr_assert_eq(memcmp((const uint8_t *)msg.body + 1, body + 1, SIZE - 1),
                     0);
    }
    free(body);
    motet_detach(a);
    ground_stop(&g);
}
