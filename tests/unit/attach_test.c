#include <criterion/criterion.h>
#include <fcntl.h>
#include <motet/motet.h>

#include "attach_ground.h"
#include "attach_raw.h"
#include "proto/attach.h"
#include "sites/host/attach.h"

TestSuite(attach, .timeout = 60);

#define OK(expr) cr_assert_eq((expr), MOTET_OK, "%s", #expr)

/* The others notice nothing. */
static void still_well(struct motet *m, struct motet_port *port)
{
    struct motet_msg msg;
    OK(motet_send(port, motet_to_ui(motet_port_ui(port)), raw_text("well"),
                  1000));
    OK(motet_receive(port, &msg, 1000));
    cr_assert(!motet_lost(m));
}

/* ---- hostile peers --------------------------------------------------------
 */

struct hostile {
    const char *why;
    const char *log; /* what the line of log must say */
    void (*act)(const struct ground *g, int fd);
    bool greets;
};

static void send_raw(int fd, const void *data, size_t size)
{
    (void)send(fd, data, size, MSG_NOSIGNAL);
}

static void op_before_hello(const struct ground *g, int fd)
{
    (void)g;
    raw_say(fd, &(struct attach_frame){.op = ATTACH_PORT_NEW, .id = 1});
}

static void hello_twice(const struct ground *g, int fd)
{
    (void)g;
    struct attach_frame again = raw_hello;
    again.id = 2;
    raw_say(fd, &again);
}

static void garbage(const struct ground *g, int fd)
{
    (void)g;
    send_raw(fd, "GET / HTTP/1.0\r\n\r\n", 18);
}

static void short_frame(const struct ground *g, int fd)
{
    uint8_t packet[ATTACH_PACKET_MAX];
    (void)g;
    const struct attach_frame f = {.op = ATTACH_PORT_NEW, .id = 9};
    send_raw(fd, packet, raw_frame(&f, packet) - 1);
}

static void long_length(const struct ground *g, int fd)
{
    uint8_t packet[ATTACH_PACKET_MAX];
    (void)g;
    const struct attach_frame f = {.op = ATTACH_PORT_NEW, .id = 9};
    const size_t size = raw_frame(&f, packet);
    memset(packet + 4, 0xff, 4);
    send_raw(fd, packet, size);
}

static void long_packet(const struct ground *g, int fd)
{
    static uint8_t packet[ATTACH_PACKET_MAX + 1];
    (void)g;
    send_raw(fd, packet, sizeof packet);
}

static void op_of_the_site(const struct ground *g, int fd)
{
    (void)g;
    raw_say(fd, &(struct attach_frame){.op = ATTACH_SENT, .id = 9});
}

static void two_messages_mixed(const struct ground *g, int fd)
{
    (void)g;
    const struct motet_ui port = raw_port(fd);
    const struct attach_frame one = raw_big_send(port, 5);
    const struct attach_frame two = raw_big_send(port, 6);
    raw_say(fd, &one);
    raw_say(fd, &two);
}

static void op_in_a_message(const struct ground *g, int fd)
{
    (void)g;
    const struct attach_frame one = raw_big_send(raw_port(fd), 5);
    raw_say(fd, &one);
    raw_say(fd, &(struct attach_frame){.op = ATTACH_PORT_NEW, .id = 6});
}

static void receive_twice(const struct ground *g, int fd)
{
    (void)g;
    const struct attach_frame f = {
        .op = ATTACH_RECEIVE, .id = 5, .timeout_ms = -1};
    raw_say(fd, &f);
    raw_say(fd, &f);
}

static const struct hostile hostiles[] = {
    {"an op before hello", "hello first", op_before_hello, false},
    {"hello twice", "hello twice", hello_twice, true},
    {"garbage for hello", "no frame", garbage, false},
    {"garbage", "no frame", garbage, true},
    {"a frame cut short", "no frame", short_frame, true},
    {"a length of 4 GiB", "no frame", long_length, true},
    {"a packet too long", "too long", long_packet, true},
    {"an op of the site", "no frame", op_of_the_site, true},
    {"two messages mixed", "out of turn", two_messages_mixed, true},
    {"an op inside a message", "out of turn", op_in_a_message, true},
    {"one id for two receives", "twice", receive_twice, true},
};

Test(attach, a_hostile_peer_costs_itself_and_one_line)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    for (size_t i = 0; i < ARRAY_LEN(hostiles); i++) {
        const struct hostile *h = &hostiles[i];
        const uint32_t before = ground_logged(&g);
        const int fd = h->greets ? raw_greeted(&g) : ground_raw(&g);
        h->act(&g, fd);
        cr_expect(raw_closed(fd), "%s", h->why);
        close(fd);
        still_well(m, port);
        cr_expect_eq(ground_logged(&g), before + 1, "%s", h->why);
        cr_expect_not_null(strstr(g.last_log, h->log), "%s: %s", h->why,
                           g.last_log);
    }
    motet_detach(m);
    ground_stop(&g);
}

Test(attach, death_at_any_moment_is_no_news_for_others)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    close(ground_raw(&g));
    close(raw_greeted(&g));
    int fd = raw_greeted(&g);
    const struct attach_frame f = raw_big_send(raw_port(fd), 5);
    raw_say(fd, &f); /* the first part of a message */
    close(fd);
    fd = raw_greeted(&g);
    send_raw(fd, "", 0); /* a packet of nothing */
    cr_expect(raw_closed(fd));
    close(fd);
    still_well(m, port);
    cr_expect_eq(ground_logged(&g), 0, "%s", g.last_log);
    motet_detach(m);
    ground_stop(&g);
}

/* Answers nobody reads: its requests are not read any more, at a bound; and
 * nobody else notices. When it reads, it gets every answer. */
Test(attach, a_peer_that_does_not_read_is_not_read)
{
    struct ground g = {0};
    g.limits = attach_limits_default();
    g.limits.out_bytes_max = 100000;
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, NULL);
    const int fd = raw_greeted(&g);
    uint64_t asked = 0;
    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    uint64_t last_ms = ground_ms();
    while (ground_ms() - last_ms < 300) {
        uint8_t packet[ATTACH_PACKET_MAX];
        struct attach_frame f = {.op = ATTACH_ACTOR_FIND, .id = asked + 2};
        (void)snprintf(f.name, sizeof f.name, "nobody");
        const size_t size = raw_frame(&f, packet);
        if (send(fd, packet, size, MSG_NOSIGNAL) > 0) {
            asked++;
            last_ms = ground_ms();
            cr_assert(asked < 1000000, "it is read for ever");
        } else {
            still_well(m, port);
        }
    }
    uint64_t answered = 0;
    while (answered < asked) {
        static uint8_t packet[ATTACH_PACKET_MAX];
        cr_assert(raw_ready(fd, 5000));
        const ssize_t size = recv(fd, packet, sizeof packet, 0);
        cr_assert_gt(size, 0);
        struct reader r = reader_of(packet, (size_t)size);
        while (reader_left(&r) > 0) {
            struct attach_frame f;
            cr_assert(attach_decode(&r, ATTACH_SITE, &f));
            cr_assert_eq(f.id, answered + 2);
            cr_assert_eq(f.err, MOTET_E_NO_ACTOR);
            answered++;
        }
    }
    close(fd);
    still_well(m, port);
    cr_expect_eq(ground_logged(&g), 0, "%s", g.last_log);
    motet_detach(m);
    ground_stop(&g);
}

/* It asks for 64 messages and reads none: what is over the bound stays in the
 * queue of its port, where it counts against the limit of the port. */
Test(attach, messages_for_a_peer_that_does_not_read_stay_in_its_queue)
{
    enum { RECEIVES = 64, SIZE = 100000 };
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *from = ground_port(m, NULL);
    const int fd = raw_greeted(&g);
    const struct motet_ui port = raw_port(fd);
    for (uint64_t i = 0; i < RECEIVES; i++) {
        raw_say(fd, &(struct attach_frame){
                        .op = ATTACH_RECEIVE, .id = 10 + i, .timeout_ms = -1});
    }
    unsigned sent = 0;
    while (sent < RECEIVES) {
        const enum motet_err err = motet_try_send(from, motet_to_ui(port),
                                                  motet_body(NULL, SIZE), 1000);
        if (err == MOTET_E_AGAIN) {
            break;
        }
        OK(err);
        sent++;
    }
    struct motet_port_info info;
    OK(motet_port_info(m, port, &info));
    cr_expect_gt(info.queue_msgs, 10);
    /* 1 MiB, one more, the socket's own buffer, and the turn in between. */
    cr_expect_lt(sent - info.queue_msgs, 30, "%u sent", sent);
    /* It reads: all come, in order, and each receive has one answer. */
    unsigned got = 0;
    uint32_t left = 0;
    while (got < sent) {
        static uint8_t packet[ATTACH_PACKET_MAX];
        cr_assert(raw_ready(fd, 5000), "%u of %u", got, sent);
        const ssize_t size = recv(fd, packet, sizeof packet, 0);
        cr_assert_gt(size, 0);
        struct reader r = reader_of(packet, (size_t)size);
        while (reader_left(&r) > 0) {
            struct attach_frame f;
            cr_assert(attach_decode(&r, ATTACH_SITE, &f));
            cr_assert_eq(f.op, ATTACH_DELIVER);
            if ((f.flags & ATTACH_CONT) == 0) {
                cr_assert_eq(left, 0);
                cr_assert_eq(f.seq, got + 1);
                left = f.total;
            }
            left -= f.chunk_bytes;
            got += left == 0;
        }
    }
    cr_expect_eq(ground_logged(&g), 0);
    close(fd);
    motet_detach(m);
    ground_stop(&g);
}

/* ---- what becomes of callers ----------------------------------------------
 */

Test(attach, callers_hear_of_a_crash)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *from = ground_port(m, NULL);
    const int fd = raw_greeted(&g);
    const struct motet_ui port = raw_port(fd);
    struct motet_event event;
    struct motet_msg msg;
    struct attach_frame f;
    uint64_t watch;
    OK(motet_watch(from, port, &watch));
    OK(motet_call_start(from, motet_to_ui(port), raw_text("taken"), 5000, 1,
                        NULL));
    OK(motet_call_start(from, motet_to_ui(port), raw_text("queued"), 5000, 2,
                        NULL));
    raw_say(fd, &(struct attach_frame){
                    .op = ATTACH_RECEIVE, .id = 10, .timeout_ms = -1});
    cr_assert(raw_hear(fd, &f));
    cr_assert_eq(f.op, ATTACH_DELIVER);
    close(fd);
    for (int i = 0; i < 2; i++) {
        OK(motet_event(m, &event, 1000));
        cr_expect_eq(event.kind, MOTET_EVENT_CALL_DONE);
        cr_expect_eq(event.err,
                     event.token == 1 ? MOTET_E_MAYBE_CRASHED : MOTET_E_CRASHED,
                     "%s", motet_err_name(event.err));
    }
    OK(motet_receive(from, &msg, 1000));
    cr_expect_eq(msg.kind, MOTET_MSG_NEWS);
    cr_expect_eq(msg.news, MOTET_NEWS_CRASHED);
    motet_detach(m);
    ground_stop(&g);
}

Test(attach, a_bye_is_no_crash)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *from = ground_port(m, NULL);
    struct motet_msg msg;
    uint64_t watch;
    const int fd = raw_greeted(&g);
    OK(motet_watch(from, raw_port(fd), &watch));
    /* With an answer that it has not read, and gone before it is heard. */
    raw_say(fd, &(struct attach_frame){.op = ATTACH_PORT_NEW, .id = 3});
    cr_assert(raw_ready(fd, 5000));
    ground_tell(&g, GROUND_FREEZE);
    raw_say(fd, &(struct attach_frame){.op = ATTACH_BYE, .id = 4});
    close(fd);
    ground_thaw(&g);
    OK(motet_receive(from, &msg, 1000));
    cr_expect_eq(msg.news, MOTET_NEWS_CLOSED);
    motet_detach(m);
    ground_stop(&g);
}

/* More than is read in a turn, from one that is gone with an answer that it has
 * not read: poll() says so as an error, after which libuv looks no more. */
Test(attach, what_the_dead_have_said_is_read_to_its_end)
{
    enum { SAID = 3 * 16 };
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *to = ground_port(m, "server");
    struct motet_msg msg;
    uint64_t watch;
    const int fd = raw_greeted(&g);
    const struct motet_ui from = raw_port(fd);
    OK(motet_watch(to, from, &watch));
    raw_say(fd, &(struct attach_frame){.op = ATTACH_PORT_NEW, .id = 3});
    cr_assert(raw_ready(fd, 5000));
    ground_tell(&g, GROUND_FREEZE);
    for (uint64_t i = 0; i < SAID; i++) {
        raw_say(fd, &(struct attach_frame){.op = ATTACH_SEND,
                                           .id = 10 + i,
                                           .port = from,
                                           .dest = motet_to("server"),
                                           .timeout_ms = 1000,
                                           .total = 8});
    }
    close(fd);
    ground_thaw(&g);
    for (int i = 0; i < SAID; i++) {
        OK(motet_receive(to, &msg, 1000));
        cr_assert_eq(msg.kind, MOTET_MSG_MESSAGE, "%d", i);
    }
    OK(motet_receive(to, &msg, 1000));
    cr_assert_eq(msg.kind, MOTET_MSG_NEWS);
    cr_expect_eq(msg.news, MOTET_NEWS_CRASHED);
    motet_detach(m);
    ground_stop(&g);
}

Test(attach, a_caller_that_dies_is_known_to_the_server)
{
    struct ground g = {0};
    ground_start(&g);
    struct motet *m = ground_attach(&g);
    struct motet_port *port = ground_port(m, "server");
    struct motet_msg msg;
    struct motet_event event;
    const int fd = raw_greeted(&g);
    const struct attach_frame f = {.op = ATTACH_CALL,
                                   .id = 9,
                                   .port = raw_port(fd),
                                   .dest = motet_to("server"),
                                   .timeout_ms = -1};
    raw_say(fd, &f);
    OK(motet_receive(port, &msg, 1000));
    close(fd);
    OK(motet_event(m, &event, 1000));
    cr_expect_eq(event.kind, MOTET_EVENT_CANCELLED);
    cr_expect_eq(event.held, msg.held);
    motet_detach(m);
    ground_stop(&g);
}
