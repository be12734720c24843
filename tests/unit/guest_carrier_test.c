#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "deploy/qemu/carrier.h"

/* Two carriers, one at each end of a link: as in the guest and on the host. */

TestSuite(guest_carrier, .timeout = 20);

enum { ROUNDS = 400, PACKET = 1000, CONNECTIONS_MAX = 8 };

static struct carrier *host;
static struct carrier *guest;
static int raw[2];                  /* the link, for what is no carrier */
static int served[CONNECTIONS_MAX]; /* the guest's ends of connections */
static size_t served_count;
static bool refuse;
static uint32_t seen_uid;
static enum link_op last_op;
static size_t last_size;

static int on_open(void *ctx, uint32_t uid, uint32_t gid)
{
    int pair[2];
    (void)ctx;
    (void)gid;

    seen_uid = uid;
    if (refuse) {
        return -1;
    }
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
                 0);
    served[served_count++] = pair[1];
    return pair[0];
}

static void on_frame(void *ctx, const struct link_frame *f)
{
    (void)ctx;
    last_op = f->op;
    last_size = f->size;
}

static void begin(void)
{
    static const struct carrier_hooks hooks = {.open = on_open,
                                               .frame = on_frame};

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, raw), 0);
    host = carrier_create(raw[0], &hooks);
    guest = carrier_create(raw[1], &hooks);
    served_count = 0;
    refuse = false;
}

static void finish(void)
{
    carrier_destroy(host);
    carrier_destroy(guest);
    for (size_t i = 0; i < served_count; i++) {
        close(served[i]);
    }
}

static bool turn(struct carrier *c)
{
    static struct pollfd fds[CARRIER_FDS];
    const size_t n = carrier_fds(c, fds);

    (void)poll(fds, (nfds_t)n, 0);
    return carrier_work(c, fds, n);
}

static void run(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        cr_assert(turn(host));
        cr_assert(turn(guest));
    }
}

/* A program attaches; its end of the connection. */
static int attach(uint32_t uid)
{
    int pair[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair),
                 0);
    carrier_open(host, pair[0], uid, 0);
    run(3);
    return pair[1];
}

static bool is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 0;
}

Test(guest_carrier, packets_arrive_whole_and_in_order, .init = begin,
     .fini = finish)
{
    static char packet[65536];
    const size_t sizes[] = {1, 4096, sizeof packet, 1};
    const int program = attach(1234);

    cr_assert_eq(served_count, 1);
    cr_assert_eq(seen_uid, 1234);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        memset(packet, (int)i + 1, sizeof packet);
        cr_assert_eq(send(program, packet, sizes[i], 0), (ssize_t)sizes[i]);
        run(20);
        cr_assert_eq(recv(served[0], packet, sizeof packet, 0),
                     (ssize_t)sizes[i]);
        cr_assert_eq(packet[0], (char)(i + 1));
        cr_assert_eq(packet[sizes[i] - 1], (char)(i + 1));
        cr_assert_eq(send(served[0], "back", 4, 0), 4);
        run(3);
        cr_assert_eq(recv(program, packet, sizeof packet, 0), 4);
    }
    close(program);
}

/* Sends until it would block. @return packets sent */
static size_t fill(int fd)
{
    static const char packet[PACKET] = {1};
    size_t n = 0;

    for (int idle = 0; idle < 20;) {
        if (send(fd, packet, sizeof packet, MSG_DONTWAIT) == PACKET) {
            n++;
            idle = 0;
        } else {
            idle++;
        }
        run(1);
    }
    return n;
}

Test(guest_carrier, one_that_does_not_read_holds_up_no_other, .init = begin,
     .fini = finish)
{
    static char packet[65536];
    const int idle = attach(0);
    const int busy = attach(0);
    const size_t sent = fill(idle);

    cr_assert_lt(sent * PACKET, 8U * LINK_WINDOW, "it is bounded");
    for (int i = 0; i < ROUNDS; i++) {
        cr_assert_eq(send(busy, "x", 1, 0), 1);
        run(2);
        cr_assert_eq(recv(served[1], packet, sizeof packet, 0), 1);
    }
    size_t got = 0;
    for (int i = 0; i < 20000 && got < sent; i++) {
        if (recv(served[0], packet, sizeof packet, 0) == PACKET) {
            got++;
        }
        run(1);
    }
    cr_assert_eq(got, sent, "all of it arrives in the end");
    close(idle);
    close(busy);
}

Test(guest_carrier, the_end_of_one_side_is_the_end_of_the_other, .init = begin,
     .fini = finish)
{
    char packet[PACKET];
    const int first = attach(0);
    const int second = attach(0);

    const size_t sent = fill(first);
    close(first);
    size_t got = 0;
    for (int i = 0; i < 20000 && got < sent; i++) {
        got += recv(served[0], packet, sizeof packet, 0) == PACKET ? 1 : 0;
        run(1);
    }
    cr_assert_eq(got, sent, "what was said before comes first");
    cr_assert(is_closed(served[0]));
    close(served[1]);
    served[1] = -1;
    run(10);
    cr_assert(is_closed(second));
    close(second);
}

Test(guest_carrier, a_refused_connection_is_closed, .init = begin,
     .fini = finish)
{
    refuse = true;
    const int program = attach(0);

    run(5);
    cr_assert(is_closed(program));
    close(program);
}

Test(guest_carrier, a_restart_forgets_half_a_word, .init = begin,
     .fini = finish)
{
    uint8_t half[LINK_HEADER_BYTES];
    const int program = attach(0);

    link_header(half, LINK_FILE, 0, PACKET);
    cr_assert_eq(write(raw[1], half, sizeof half), (ssize_t)sizeof half);
    cr_assert(turn(host));
    carrier_restart(host);
    cr_assert(is_closed(program));
    carrier_drop(guest);
    carrier_send(guest, LINK_HELLO, NULL, 0);
    run(3);
    cr_assert_eq(last_op, LINK_HELLO);
    cr_assert_eq(last_size, 0);
    close(program);
}

static int anew_count;

static void on_anew(void *ctx)
{
    (void)ctx;
    anew_count++;
}

/* As when a machine goes on from a snapshot: each end was in the middle of a
 * word to another. */
Test(guest_carrier, one_that_calls_is_understood, .init = begin, .fini = finish)
{
    static const struct carrier_hooks hooks = {
        .open = on_open, .frame = on_frame, .anew = on_anew};
    uint8_t half[LINK_HEADER_BYTES];
    int link[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, link), 0);
    struct carrier *old = carrier_create(link[1], &hooks);
    link_header(half, LINK_FILE, 0, PACKET);
    cr_assert_eq(write(link[0], half, sizeof half), (ssize_t)sizeof half);
    cr_assert_eq(write(link[1], half, sizeof half), (ssize_t)sizeof half);
    cr_assert(turn(old));
    struct carrier *fresh = carrier_create(link[0], &hooks);
    carrier_call(fresh);
    carrier_await_call(fresh);
    for (int i = 0; i < 50 && anew_count == 0; i++) {
        cr_assert(turn(fresh));
        cr_assert(turn(old));
    }
    cr_assert_eq(anew_count, 1);
    carrier_call(old);
    carrier_send(old, LINK_HELLO, NULL, 0);
    for (int i = 0; i < 50 && anew_count == 1; i++) {
        cr_assert(turn(old));
        cr_assert(turn(fresh));
    }
    cr_assert_eq(anew_count, 2);
    cr_assert_eq(last_op, LINK_HELLO);
    last_op = LINK_OPS;
    carrier_send(fresh, LINK_START, NULL, 0);
    for (int i = 0; i < 5; i++) {
        cr_assert(turn(fresh));
        cr_assert(turn(old));
    }
    cr_assert_eq(last_op, LINK_START);
    carrier_destroy(fresh);
    carrier_destroy(old);
}

/* As a machine does that ends: its last words are heard though it takes none.
 */
Test(guest_carrier, last_words_are_heard, .init = begin, .fini = finish)
{
    static const uint8_t much[30000];
    (void)signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 4; i++) {
        carrier_send(guest, LINK_FILE, much, sizeof much);
    }
    carrier_send(guest, LINK_EXIT, "\0\0\0\0", 4);
    carrier_flush(guest, 0);
    cr_assert_eq(shutdown(raw[1], SHUT_RDWR), 0);
    for (int i = 0; i < ROUNDS; i++) {
        carrier_send(host, LINK_SIGNAL, "\1\0\0\0", 4);
        if (!turn(host)) {
            break;
        }
    }
    cr_assert_eq(last_op, LINK_EXIT);
    cr_assert_not(turn(host));
}

Test(guest_carrier, nonsense_ends_the_link, .init = begin, .fini = finish)
{
    static const uint8_t nonsense[LINK_HEADER_BYTES] = {
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, LINK_DATA};

    cr_assert_eq(write(raw[1], nonsense, sizeof nonsense),
                 (ssize_t)sizeof nonsense);
    cr_assert(!turn(host));
}

Test(guest_carrier, more_connections_than_fit_are_turned_away, .init = begin,
     .fini = finish)
{
    int pair[2];

    refuse = true;
    for (int i = 0; i <= CARRIER_CHANNELS_MAX; i++) {
        cr_assert_eq(
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0,
            "%d: %s", i, strerror(errno));
        carrier_open(host, pair[0], 0, 0);
        if (i == CARRIER_CHANNELS_MAX) {
            cr_assert(is_closed(pair[1]));
        }
        close(pair[1]);
    }
}
