#include <criterion/criterion.h>
#include <motet/motet.h>

#include "attach_ground.h"
#include "libmotet_ground.h"
#include "sites/host/attach.h"

/* Ports that go from one program to another of the same site; between sites:
 * tests/integration/moves_test.py. */

TestSuite(libmotet_moves, .timeout = 60);

static struct motet *attach_as(struct ground *g, const char *name, bool adopts)
{
    struct motet *m;
    CHECK(motet_attach_as(g->path, name, &m) == MOTET_OK);
    if (adopts) {
        CHECK(motet_adopts(m, true) == MOTET_OK);
    }
    return m;
}

/* The next event, which must be of this kind. */
static struct motet_event event_of(struct motet *m, enum motet_event_kind kind)
{
    struct motet_event e;
    OK(motet_event(m, &e, 2000));
    cr_assert_eq(e.kind, kind, "%d, not %d", (int)e.kind, (int)kind);
    return e;
}

static struct motet_port *adopted(struct motet *m, struct motet_ui ui)
{
    const struct motet_event e = event_of(m, MOTET_EVENT_PORT_ADOPTED);
    cr_assert(motet_ui_equal(e.port, ui));
    struct motet_port *port = motet_port_find(m, ui);
    cr_assert_not_null(port);
    return port;
}

Test(libmotet_moves, what_cannot_be_is_refused)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = attach_as(&g, "one", false);
    struct motet *shy = attach_as(&g, "shy", false);
    struct motet_port *port = ground_port(m, "tally");
    const struct motet_cap cap = motet_port_cap(port);
    struct motet_cap none = {.ui = cap.ui};
    struct motet_move move;

    ERR(motet_adopts(NULL, true), MOTET_E_INVALID);
    ERR(motet_port_migrate(NULL, "paris", 0, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, NULL, 0, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, "", 0, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, "/shy", 0, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, "paris/", 0, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, "paris/shy", 2, 1000), MOTET_E_INVALID);
    ERR(motet_port_migrate(port, "rome/shy", 0, 1000), MOTET_E_NO_SITE);
    ERR(motet_port_migrate(port, "paris/nobody", 0, 1000), MOTET_E_NO_ACTOR);
    ERR(motet_port_migrate(port, "paris/shy", 0, 1000), MOTET_E_DECLINED);
    none.ui.lo += 1000;
    ERR(motet_migrate_start(m, &none, "paris/shy", 0, 1000, &move),
        MOTET_E_NO_PORT);
    move = (struct motet_move){.site = motet_site_ui(m), .id = 99};
    ERR(motet_migrate_wait(m, &move, NULL, 1000), MOTET_E_STATE);
    ERR(motet_migrate_abort(m, &move, 1000), MOTET_E_STATE);

    /* Consent is given, and taken back. */
    OK(motet_adopts(shy, true));
    OK(motet_adopts(shy, false));
    ERR(motet_port_migrate(port, "paris/shy", 0, 1000), MOTET_E_DECLINED);
    struct motet_event e;
    ERR(motet_event(m, &e, 0), MOTET_E_TIMEOUT); /* nothing has happened */
    OK(motet_port_disable(port));
    motet_detach(m);
    motet_detach(shy);
    ground_stop(&g);
}

Test(libmotet_moves, the_old_handle_says_that_it_has_moved)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = attach_as(&g, "one", false);
    struct motet *other = attach_as(&g, "two", true);
    struct motet_port *port = ground_port(m, "tally");
    const struct motet_ui ui = motet_port_ui(port);
    struct motet_cap group;
    struct motet_msg msg;
    OK(motet_group(m, "elsewhere", &group));
    OK(motet_port_migrate(port, "paris/two", 0, 2000));
    (void)event_of(m, MOTET_EVENT_PORT_MOVED);

    const struct motet_dest to = motet_to("tally");
    ERR(motet_send(port, to, text("x"), 500), MOTET_E_MOVED);
    ERR(motet_try_send(port, to, text("x"), 500), MOTET_E_MOVED);
    ERR(motet_send_start(port, to, text("x"), 500, 1), MOTET_E_MOVED);
    ERR(motet_call_from(port, to, text("x"), NULL, 500), MOTET_E_MOVED);
    ERR(motet_call_start(port, to, text("x"), 500, 1, NULL), MOTET_E_MOVED);
    ERR(motet_receive(port, &msg, MOTET_FOREVER), MOTET_E_MOVED);
    ERR(motet_watch(port, ui, NULL), MOTET_E_MOVED);
    ERR(motet_port_enable(port, 0), MOTET_E_MOVED);
    ERR(motet_port_disable(port), MOTET_E_MOVED);
    ERR(motet_group_insert(port, &group), MOTET_E_MOVED);
    ERR(motet_port_migrate(port, "paris/two", 0, 500), MOTET_E_MOVED);
    cr_expect_null(motet_port_find(m, ui));
    motet_port_delete(port); /* does not touch the port */

    struct motet_port *mine = adopted(other, ui);
    OK(motet_send(motet_own_port(m), to, text("still there"), 2000));
    OK(motet_receive(mine, &msg, 2000));
    cr_expect(says(&msg, "still there"));
    cr_expect_eq(msg.port, mine);
    OK(motet_port_disable(mine));
    OK(motet_port_enable(mine, 3));
    OK(motet_send(mine, motet_to_ui(ui), text("to itself"), 2000));
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

/* All that was queued goes along; what was received stays, and is answered. */
Test(libmotet_moves, what_was_received_is_answered_by_who_has_it)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *asker = ground_attach(&g);
    struct motet *m = attach_as(&g, "one", false);
    struct motet *other = attach_as(&g, "two", true);
    struct motet_port *port = ground_port(m, "tally");
    const struct motet_ui ui = motet_port_ui(port);
    struct motet_port *from = ground_port(asker, NULL);
    const char *words[] = {"held", "fetched", "queued"};
    struct motet_msg msg[3];
    for (uint64_t i = 0; i < 3; i++) {
        OK(motet_call_start(from, motet_to("tally"), text(words[i]), 5000, i,
                            NULL));
    }
    OK(motet_receive(port, &msg[0], 2000));
    uint64_t kept;
    OK(motet_save(&msg[0], &kept));
    OK(motet_prefetch(m, 1)); /* the second comes here, and is not looked at */
    ERR(motet_event(m, &(struct motet_event){0}, 100), MOTET_E_TIMEOUT);
    OK(motet_prefetch(m, 0));
    OK(motet_port_migrate(port, "paris/two", 0, 2000));
    (void)event_of(m, MOTET_EVENT_PORT_MOVED);
    struct motet_port *mine = adopted(other, ui);

    OK(motet_receive(mine, &msg[2], 2000));
    cr_expect(says(&msg[2], "queued"));
    cr_expect_eq(msg[2].seq, 3);
    OK(motet_reply(&msg[2], "third", 5));
    OK(motet_receive(port, &msg[1], 2000));
    cr_expect(says(&msg[1], "fetched"));
    cr_expect_eq(msg[1].port, port);
    OK(motet_reply(&msg[1], "second", 6));
    OK(motet_restore(m, kept, &msg[0]));
    motet_port_delete(port);
    OK(motet_restore(m, kept, &msg[0]));
    cr_expect_null(msg[0].port);
    OK(motet_reply(&msg[0], "first", 5));
    const uint64_t order[] = {2, 1, 0};
    for (int i = 0; i < 3; i++) {
        const struct motet_event e = event_of(asker, MOTET_EVENT_CALL_DONE);
        ERR(e.err, MOTET_OK);
        cr_expect_eq(e.token, order[i]);
    }
    motet_detach(asker);
    motet_detach(m);
    motet_detach(other);
    ground_stop(&g);
}

/* Its outcome comes to who has the port now, and is nothing to them: not even
 * where they have begun something under the same number. */
Test(libmotet_moves, what_was_begun_ends_as_moved)
{
    struct ground g = {.queue_msgs_max = 1};
    ground_start(&g);
    struct motet *server = ground_attach(&g);
    struct motet_port *slow = ground_port(server, "slow");
    struct motet_port *full = ground_port(server, "full");
    struct motet *m = attach_as(&g, "one", false);
    struct motet *other = attach_as(&g, "two", true);
    struct motet_port *port = ground_port(m, NULL);
    const struct motet_ui ui = motet_port_ui(port);
    struct motet_msg msg;
    OK(motet_send(port, motet_to("full"), text("a"), 1000));
    OK(motet_send_start(port, motet_to("full"), text("b"), 9000, 7));
    OK(motet_call_start(port, motet_to("slow"), text("c"), 9000, 8, NULL));
    OK(motet_receive(slow, &msg, 2000));
    OK(motet_port_migrate(port, "paris/two", 0, 2000));
    struct motet_event e = event_of(m, MOTET_EVENT_SENT);
    cr_expect_eq(e.token, 7);
    ERR(e.err, MOTET_E_MAYBE_MOVED);
    e = event_of(m, MOTET_EVENT_CALL_DONE);
    cr_expect_eq(e.token, 8);
    ERR(e.err, MOTET_E_MAYBE_MOVED);
    (void)event_of(m, MOTET_EVENT_PORT_MOVED);
    struct motet_port *mine = adopted(other, ui);

    /* The first that this one begins from it. */
    OK(motet_call_start(mine, motet_to("slow"), text("d"), 9000, 9, NULL));
    OK(motet_reply(&msg, "late", 4));
    OK(motet_receive(slow, &msg, 2000));
    cr_expect(says(&msg, "d"));
    OK(motet_receive(full, &msg, 2000));
    OK(motet_receive(full, &msg, 2000));
    cr_expect(says(&msg, "b"), "what was begun goes on");
    ERR(motet_event(other, &e, 100), MOTET_E_TIMEOUT);
    ERR(motet_event(m, &e, 100), MOTET_E_TIMEOUT);
    cr_expect(!motet_lost(m) && !motet_lost(other));
    motet_detach(m);
    motet_detach(other);
    motet_detach(server);
    ground_stop(&g);
}

/* One who waits for a message is told; one for any port waits on. */
Test(libmotet_moves, a_port_that_comes_back_has_another_handle)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *mover = ground_attach(&g);
    struct motet *m = attach_as(&g, "one", true);
    struct motet *other = attach_as(&g, "two", true);
    struct motet_port *port = ground_port(m, "tally");
    const struct motet_cap cap = {.ui = motet_port_ui(port)};
    struct motet_msg msg;
    for (int i = 0; i < 20; i++) {
        struct motet *to = i % 2 == 0 ? other : m;
        struct motet *from = i % 2 == 0 ? m : other;
        struct motet_move move;
        struct motet_move_info info;
        OK(motet_migrate_start(mover, &cap,
                               i % 2 == 0 ? "paris/two" : "paris/one", 0, 1000,
                               &move));
        OK(motet_migrate_wait(mover, &move, &info, 1000));
        cr_expect(info.over);
        ERR(motet_receive(port, &msg, 2000), MOTET_E_MOVED);
        if (i % 3 == 0) {
            motet_port_delete(port); /* others stay until detach */
        }
        (void)event_of(from, MOTET_EVENT_PORT_MOVED);
        port = adopted(to, cap.ui);
        OK(motet_send(motet_own_port(mover), motet_to("tally"), text("x"),
                      1000));
        OK(motet_receive_any(to, &msg, 1000));
        cr_expect_eq(msg.seq, (uint64_t)i + 1);
        cr_expect_eq(msg.port, port);
    }
    motet_detach(mover);
    motet_detach(other);
    motet_detach(m);
    ground_stop(&g);
}
