#include <arpa/inet.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

/* UDP: a message is one datagram, or as many as it needs; one way, batches
 * leave as one by segmentation offload, and come likewise. What is lost is not
 * sent again: it is counted. */

enum {
    DATAGRAM_BYTES = 1400, /* of a message that needs several */
    MESSAGE_BYTES = 65000, /* of one batch */
    SEGMENTS_MAX = 64,     /* the kernel's limit */
    CLOCK_EVERY = 64,
    SOCKET_BYTES = 4 << 20,
    END_TRIES = 200, /* to tell the other side, each after END_MS */
    END_MS = 10,
};

static int socks[2]; /* of the two sides, connected to each other */
static uint8_t data[FLOOR_SIZE_MAX];

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int open_one(struct sockaddr_in *at)
{
    const int room = SOCKET_BYTES;
    socklen_t size = sizeof *at;
    *at = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    floor_must(fd >= 0 && bind(fd, (struct sockaddr *)at, size) == 0 &&
                   getsockname(fd, (struct sockaddr *)at, &size) == 0,
               "a UDP socket on loopback");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return fd;
}

static void prepare(const struct floor_options *o)
{
    struct sockaddr_in at[2];
    const int on = 1;
    for (int i = 0; i < 2; i++) {
        socks[i] = open_one(&at[i]);
    }
    for (int i = 0; i < 2; i++) {
        floor_must(
            connect(socks[i], (struct sockaddr *)&at[1 - i], sizeof at[0]) == 0,
            "connect");
    }
    if (o->send && o->batch) {
        (void)setsockopt(socks[1], SOL_UDP, UDP_GRO, &on, sizeof on);
    }
}

static bool put(int fd, size_t size, size_t segment)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
    struct iovec piece = {data, size};
    struct msghdr h = {.msg_iov = &piece, .msg_iovlen = 1};
    const uint16_t each = (uint16_t)segment;
    if (segment < size) {
        memset(control, 0, sizeof control);
        h.msg_control = control;
        h.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof each);
        memcpy(CMSG_DATA(c), &each, sizeof each);
    }
    return sendmsg(fd, &h, 0) == (ssize_t)size;
}

/* A message of any size, datagram by datagram. */
static bool put_message(int fd, size_t size)
{
    for (size_t left = size; left > 0;) {
        const size_t n = least(left, DATAGRAM_BYTES);
        if (!put(fd, n, n)) {
            return false;
        }
        left -= n;
    }
    return true;
}

/* Until `size` bytes came. @return false: it is the end */
static bool get_message(int fd, size_t size)
{
    for (size_t got = 0; got < size;) {
        const ssize_t n = recv(fd, data, sizeof data, 0);
        if (n <= 0) {
            return false;
        }
        got += (size_t)n;
    }
    return true;
}

/* -- the two sides --------------------------------------------------------- */

/* An empty datagram is the end; the answer is how many bytes came before. */
static void count(void)
{
    uint64_t bytes = 0;
    for (;;) {
        const ssize_t n = recv(socks[1], data, sizeof data, 0);
        if (n == 0) {
            (void)send(socks[1], &bytes, sizeof bytes, 0);
            break;
        }
        bytes += n > 0 ? (uint64_t)n : 0;
    }
}

static void serve(const struct floor_options *o)
{
    (void)close(socks[0]);
    if (o->send) {
        count();
        return;
    }
    while (get_message(socks[1], o->size) && put_message(socks[1], o->size)) {
    }
}

static bool trip(void *ctx)
{
    const struct floor_options *o = ctx;
    return put_message(socks[0], o->size) && get_message(socks[0], o->size);
}

/* Says that it is the end, until the other side tells what came. */
static uint64_t ask_what_came(void)
{
    const struct timeval wait = {.tv_usec = END_MS * 1000};
    uint64_t bytes = 0;
    (void)setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (int i = 0; i < END_TRIES; i++) {
        (void)send(socks[0], data, 0, 0);
        if (recv(socks[0], &bytes, sizeof bytes, 0) == sizeof bytes) {
            return bytes;
        }
    }
    floor_die("the other side did not say what it received");
}

static void stream_out(const struct floor_options *o, struct floor_result *r)
{
    const size_t each = least(o->size, DATAGRAM_BYTES);
    size_t per_send = o->batch ? least(MESSAGE_BYTES / each, SEGMENTS_MAX) : 1;
    uint64_t bytes = 0;
    const double start = floor_now_s();
    do {
        for (int i = 0; i < CLOCK_EVERY; i++) {
            const size_t size = per_send * each;
            if (put(socks[0], size, each)) {
                bytes += size;
            } else if (per_send > 1) {
                per_send = 1; /* no segmentation here */
            }
        }
    } while (floor_now_s() - start < o->seconds);
    const uint64_t came = ask_what_came();
    r->elapsed_s = floor_now_s() - start;
    r->messages = came / o->size;
    r->lost = (bytes - least(came, bytes)) / o->size;
}

static void measure(const struct floor_options *o, struct floor_result *r)
{
    struct floor_options copy = *o;
    (void)close(socks[1]);
    if (o->send) {
        stream_out(o, r);
        return;
    }
    floor_ask(o, trip, &copy, r);
    for (int i = 0; i < END_MS; i++) {
        (void)send(socks[0], data, 0, 0); /* the end */
    }
}

const struct floor_pair floor_datagram = {prepare, serve, measure};
