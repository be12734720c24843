#include <criterion/criterion.h>
#include <motet/motet.h>

#include "attach_ground.h"
#include "libmotet_ground.h"
#include "sites/host/attach.h"

TestSuite(libmotet_end, .timeout = 60);

static bool readable(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

/* ---- groups and watches ---------------------------------------------------
 */

Test(libmotet_end, groups)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *ports[70];
    struct motet_member members[100];
    struct motet_cap group;
    struct motet_cap wrong;
    struct motet_msg msg;
    size_t count;
    OK(motet_group(m, NULL, &group));
    cr_expect_neq(group.key, 0);
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        ports[i] = ground_port(m, NULL);
        OK(motet_group_insert(ports[i], &group));
    }
    wrong = group;
    wrong.key++;
    ERR(motet_group_insert(ports[0], &wrong), MOTET_E_PERMISSION);
    OK(motet_group_insert(ports[0], &group));
    OK(motet_group_list(m, group.ui, members, 100, &count));
    cr_assert_eq(count, 70);
    for (size_t i = 0; i < count; i++) {
        cr_expect(motet_ui_equal(members[i].port, motet_port_ui(ports[i])));
        cr_expect(motet_ui_equal(members[i].site, motet_site_ui(m)));
    }
    OK(motet_group_list(m, group.ui, members, 65, &count));
    cr_expect_eq(count, 65);
    OK(motet_group_remove(ports[1], &group));
    ERR(motet_group_remove(ports[1], &group), MOTET_E_NO_MEMBER);
    OK(motet_send(ports[1], motet_to_all(group.ui), text("all"), 1000));
    for (size_t i = 0; i < ARRAY_LEN(ports); i++) {
        ERR(motet_receive(ports[i], &msg, 0),
            i == 1 ? MOTET_E_TIMEOUT : MOTET_OK);
    }
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet_end, a_watch_hears_the_end_after_the_last_message)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *a = ground_attach(&g);
    struct motet_port *watcher = ground_port(a, NULL);
    struct motet_msg msg;
    uint64_t watches[2];
    for (int i = 0; i < 2; i++) {
        struct motet *b = ground_attach(&g);
        struct motet_port *port = ground_port(b, NULL);
        const struct motet_ui ui = motet_port_ui(port);
        OK(motet_watch(watcher, ui, &watches[i]));
        OK(motet_send(port, motet_to_ui(motet_port_ui(watcher)), text("last"),
                      1000));
        if (i == 0) {
            motet_port_delete(port);
        }
        motet_detach(b);
        OK(motet_receive(watcher, &msg, 1000));
        cr_expect(says(&msg, "last"));
        OK(motet_receive(watcher, &msg, 1000));
        cr_expect_eq(msg.kind, MOTET_MSG_NEWS);
        cr_expect_eq(msg.news, MOTET_NEWS_CLOSED);
        cr_expect_eq(msg.watch, watches[i]);
        cr_expect(motet_ui_equal(msg.subject, ui));
        cr_expect_eq(motet_reply(&msg, "x", 1), MOTET_E_STATE);
    }
    struct motet_port *other = ground_port(a, NULL);
    uint64_t watch;
    OK(motet_watch(watcher, motet_port_ui(other), &watch));
    OK(motet_unwatch(a, watch));
    motet_port_delete(other);
    ERR(motet_receive(watcher, &msg, 30), MOTET_E_TIMEOUT);
    motet_detach(a);
    ground_stop(&g);
}

/* ---- the end of others ----------------------------------------------------
 */

Test(libmotet_end, a_deleted_port_says_what_was_not_executed)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "brief");
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_prefetch(s, 4));
    OK(motet_call_start(motet_own_port(m), motet_to("brief"), text("1"), 5000,
                        1, &call));
    OK(motet_call_start(motet_own_port(m), motet_to("brief"), text("2"), 5000,
                        2, &call));
    OK(motet_receive(port, &msg, 1000));
    /* The second one waits in this program, never seen: it did not run. */
    cr_assert(readable(motet_fd(s), 1000));
    OK(motet_dispatch(s));
    motet_port_delete(port);
    for (int i = 0; i < 2; i++) {
        OK(motet_event(m, &event, 1000));
        cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
        cr_expect_neq(event.err, MOTET_OK);
        if (event.token == 2) {
            cr_expect_eq(motet_err_ran(event.err), MOTET_RAN_NO, "%s",
                         motet_err_name(event.err));
        }
    }
    motet_detach(m);
    motet_detach(s);
    ground_stop(&g);
}

Test(libmotet_end, a_lost_site_ends_everything)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *s = ground_attach(&g);
    struct motet_port *port = ground_port(s, "gone");
    struct motet_port *from = ground_port(m, NULL);
    struct motet_msg msg;
    struct motet_event event;
    uint64_t call;
    OK(motet_call_start(from, motet_to("gone"), text("x"), MOTET_FOREVER, 4,
                        &call));
    OK(motet_receive(port, &msg, 1000));
    ground_tell(&g, GROUND_REBIRTH);
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(event.err, MOTET_E_MAYBE_DETACHED);
    cr_expect_eq(event.token, 4);
    ERR(motet_event(m, &event, 1000), MOTET_E_DETACHED);
    ERR(motet_receive(port, &msg, 1000), MOTET_E_DETACHED);
    ERR(motet_send(from, motet_to("gone"), text("x"), 1000), MOTET_E_DETACHED);
    ERR(motet_call(m, motet_to("gone"), text("x"), &msg, 1000),
        MOTET_E_DETACHED);
    ERR(motet_send_start(from, motet_to("gone"), text("x"), 1000, 1),
        MOTET_E_DETACHED);
    ERR(motet_dispatch(m), MOTET_E_DETACHED);
    cr_expect(motet_lost(m));
    struct motet_port *more;
    ERR(motet_port_create(m, NULL, &more), MOTET_E_DETACHED);
    motet_detach(m);
    motet_detach(s);

    /* The next life takes new attachments on the same socket. */
    m = ground_attach(&g);
    port = ground_port(m, "gone");
    OK(motet_send(port, motet_to("gone"), text("again"), 1000));
    OK(motet_receive(port, &msg, 1000));
    motet_detach(m);
    ground_stop(&g);
}

Test(libmotet_end, what_came_before_the_end_can_still_be_read)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    struct motet_msg msg;
    OK(motet_prefetch(m, 2));
    OK(motet_send(port, motet_to_ui(motet_port_ui(port)), text("x"), 1000));
    struct motet_ui ui;
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    ground_stop(&g);
    OK(motet_receive(port, &msg, 1000));
    cr_expect(says(&msg, "x"));
    ERR(motet_receive(port, &msg, 1000), MOTET_E_DETACHED);
    motet_detach(m);
}

Test(libmotet_end, a_frozen_site_does_not_hold_a_call_past_its_deadline)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, "me");
    struct motet_msg msg;
    cr_assert_not_null(motet_own_port(m));
    ground_tell(&g, GROUND_FREEZE);
    uint64_t start = ground_ms();
    ERR(motet_call(m, motet_to("me"), text("x"), &msg, 100),
        MOTET_E_MAYBE_TIMEOUT);
    cr_expect(ground_ms() - start < 300);
    start = ground_ms();
    ERR(motet_send(port, motet_to("me"), text("x"), 100),
        MOTET_E_MAYBE_TIMEOUT);
    cr_expect(ground_ms() - start < 300);

    /* Too much for the socket: what was not wholly written is void. */
    ERR(motet_send(port, motet_to("me"), motet_body(NULL, 8 << 20), 100),
        MOTET_E_TIMEOUT);
    ground_thaw(&g);
    OK(motet_send(port, motet_to("me"), text("after"), 1000));
    int small = 0;
    do {
        OK(motet_receive(port, &msg, 1000));
        cr_expect_leq(msg.body_bytes, 5, "the void one has not come");
        small++;
    } while (!says(&msg, "after"));
    cr_expect_leq(small, 3);
    motet_detach(m);
    ground_stop(&g);
}

/* ---- in a foreign loop ----------------------------------------------------
 */

Test(libmotet_end, a_descriptor_for_foreign_loops)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet *other = ground_attach(&g);
    struct motet_port *port = ground_port(m, "loop");
    struct motet_port *from = ground_port(other, NULL);
    struct motet_msg msg;
    struct motet_event event;
    struct motet_ui ui;
    const int fd = motet_fd(m);
    cr_assert_geq(fd, 0);
    cr_expect_eq(motet_fd(m), fd);
    OK(motet_prefetch(m, 2));
    cr_expect(!readable(fd, 0));

    for (int i = 0; i < 5; i++) {
        OK(motet_send(from, motet_to("loop"), text("x"), 1000));
    }
    for (int i = 0; i < 5; i++) {
        cr_assert(readable(fd, 1000), "message %d", i);
        OK(motet_dispatch(m));
        cr_assert(readable(fd, 0), "not yet received");
        OK(motet_receive_any(m, &msg, 0));
        cr_expect_eq(msg.seq, (uint64_t)i + 1);
    }
    OK(motet_dispatch(m));
    ERR(motet_receive_any(m, &msg, 0), MOTET_E_TIMEOUT);
    cr_expect(!readable(fd, 20));

    /* What came while the library waited for something else. */
    OK(motet_send(from, motet_to("loop"), text("y"), 1000));
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    cr_expect(readable(fd, 0));
    OK(motet_receive_any(m, &msg, 0));
    cr_expect(!readable(fd, 0));

    OK(motet_send_start(port, motet_to("nobody"), text("x"), 1000, 3));
    cr_expect(readable(fd, 1000));
    OK(motet_dispatch(m));
    cr_expect(readable(fd, 0), "the event waits");
    OK(motet_event(m, &event, 0));
    cr_expect_eq(event.err, MOTET_E_NO_MEMBER);
    cr_expect_eq(event.token, 3);
    cr_expect(!readable(fd, 0));

    OK(motet_prefetch(m, 0));
    ERR(motet_actor_find(m, "none", &ui), MOTET_E_NO_ACTOR);
    while (readable(fd, 50)) { /* the ends of what was outstanding */
        OK(motet_dispatch(m));
    }
    OK(motet_send(from, motet_to("loop"), text("z"), 1000));
    cr_expect(!readable(fd, 30), "it was not asked for");
    OK(motet_receive_any(m, &msg, 0));
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

Test(libmotet_end, an_actor_has_a_name)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m;
    struct motet *twin;
    struct motet_ui ui;
    OK(motet_attach_as(g.path, "web", &m));
    cr_expect_neq(motet_attach_as(g.path, "web", &twin), MOTET_OK);
    OK(motet_actor_find(m, "web", &ui));
    cr_expect(motet_ui_equal(ui, motet_ui(m)));
    motet_detach(m);
    OK(motet_attach_as(g.path, "web", &m));
    motet_detach(m);
    ground_stop(&g);
}
