#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BATCH = 32,             /* messages in one system call */
    SEGMENTS_MAX = 64,      /* datagrams in one message: the kernel's limit */
    MESSAGE_BYTES = 65000,  /* of one message, headers not counted */
    OUT_BYTES = 512 << 10,  /* gathered before they leave */
    IN_MESSAGES = 8,        /* read in one system call */
    IN_BYTES = 65536,       /* of one message, coalesced */
    READ_ROUNDS = 4,        /* in a turn of the loop */
    SOCKET_BYTES = 4 << 20, /* asked of the kernel; it gives what it may */
    CONTROL_BYTES = 128,
};

struct message {
    struct path_addr to;
    size_t at; /* in `out` */
    size_t size;
    size_t segment; /* of each but the last */
    unsigned count;
    bool full;
};

struct udp {
    uv_poll_t poll;
    int fd;
    int family;
    udp_on_datagram on_datagram;
    void *ctx;
    void (*closed)(void *ctx);
    bool closing;
    uint32_t overflow; /* of the kernel's queue, as last told */
    struct udp_counts counts;
    unsigned message_count;
    size_t out_size;
    struct message messages[BATCH];
    /* For the kernel: here and not on the stack, for they are large. */
    struct mmsghdr out_all[BATCH];
    struct iovec out_pieces[BATCH];
    struct sockaddr_storage out_to[BATCH];
    _Alignas(struct cmsghdr) uint8_t
        out_control[BATCH][CMSG_SPACE(sizeof(uint16_t))];
    struct mmsghdr in_all[IN_MESSAGES];
    struct iovec in_pieces[IN_MESSAGES];
    struct sockaddr_storage in_from[IN_MESSAGES];
    _Alignas(struct cmsghdr) uint8_t in_control[IN_MESSAGES][CONTROL_BYTES];
    uint8_t out[OUT_BYTES];
    uint8_t in[IN_MESSAGES][IN_BYTES];
};

/* ---- Addresses -------------------------------------------------------------
 */

bool udp_addr(const struct sockaddr *sa, struct path_addr *out)
{
    size_t size = 0;
    if (sa->sa_family == AF_INET) {
        size = sizeof(struct sockaddr_in);
    } else if (sa->sa_family == AF_INET6) {
        size = sizeof(struct sockaddr_in6);
    }
    *out = (struct path_addr){.size = (uint8_t)size};
    if (size == 0 || size > PATH_ADDR_BYTES) {
        return false;
    }
    memcpy(out->bytes, sa, size);
    return true;
}

/* An IPv4 address on a socket of IPv6. */
static socklen_t map_address(struct sockaddr_storage *sa)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    memcpy(&four, sa, sizeof four);
    six.sin6_port = four.sin_port;
    six.sin6_addr.s6_addr[10] = 0xff;
    six.sin6_addr.s6_addr[11] = 0xff;
    memcpy(&six.sin6_addr.s6_addr[12], &four.sin_addr, 4);
    memcpy(sa, &six, sizeof six);
    return sizeof six;
}

static socklen_t address_for(const struct udp *u, const struct path_addr *a,
                             struct sockaddr_storage *sa)
{
    memcpy(sa, a->bytes, a->size);
    if (u->family == AF_INET6 && sa->ss_family == AF_INET) {
        return map_address(sa);
    }
    return a->size;
}

/* ---- Sending ---------------------------------------------------------------
 */

static void set_segment(struct msghdr *h, uint8_t *control, size_t segment)
{
    const uint16_t size = (uint16_t)segment;
    h->msg_control = control;
    h->msg_controllen = CMSG_SPACE(sizeof size);
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof size);
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

/* Each datagram of a message that did not leave as one. */
static void send_apart(struct udp *u, const struct message *m,
                       struct sockaddr_storage *sa, socklen_t sa_size)
{
    for (size_t at = 0; at < m->size; at += m->segment) {
        const size_t left = m->size - at;
        const size_t size = left < m->segment ? left : m->segment;
        u->counts.sends++;
        if (sendto(u->fd, u->out + m->at + at, size, MSG_DONTWAIT,
                   (struct sockaddr *)sa, sa_size) < 0) {
            u->counts.dropped_out++;
        }
    }
}

/* The first of the messages from `m` on did not leave. */
static void send_failed(struct udp *u, const struct message *m, int err)
{
    struct sockaddr_storage sa = {0};
    const socklen_t size = address_for(u, &m->to, &sa);
    if (m->count > 1 && (err == EIO || err == EINVAL || err == EOPNOTSUPP)) {
        u->counts.segments = false; /* this device cannot */
        send_apart(u, m, &sa, size);
        return;
    }
    u->counts.dropped_out += m->count;
}

static void prepare(struct udp *u, unsigned i)
{
    const struct message *m = &u->messages[i];
    struct msghdr *h = &u->out_all[i].msg_hdr;
    u->out_pieces[i] = (struct iovec){u->out + m->at, m->size};
    *h = (struct msghdr){
        .msg_iov = &u->out_pieces[i],
        .msg_iovlen = 1,
        .msg_name = &u->out_to[i],
        .msg_namelen = address_for(u, &m->to, &u->out_to[i]),
    };
    if (m->count > 1) {
        set_segment(h, u->out_control[i], m->segment);
    }
}

void udp_flush(struct udp *u)
{
    const unsigned count = u->message_count;
    for (unsigned i = 0; i < count; i++) {
        prepare(u, i);
    }
    for (unsigned at = 0; at < count;) {
        u->counts.sends++;
        const int sent =
            sendmmsg(u->fd, u->out_all + at, count - at, MSG_DONTWAIT);
        if (sent > 0) {
            at += (unsigned)sent;
            continue;
        }
        if (errno == EINTR) {
            continue;
        }
        send_failed(u, &u->messages[at], errno);
        at++;
    }
    u->message_count = 0;
    u->out_size = 0;
}

/* The message that takes one datagram more, or NULL. */
static struct message *open_message(struct udp *u, const struct path_addr *to,
                                    size_t size)
{
    if (u->message_count == 0 || !u->counts.segments) {
        return NULL;
    }
    struct message *m = &u->messages[u->message_count - 1];
    const bool fits = !m->full && m->count < SEGMENTS_MAX &&
                      size <= m->segment && m->size + size <= MESSAGE_BYTES;
    return fits && m->to.size == to->size &&
                   memcmp(m->to.bytes, to->bytes, to->size) == 0
               ? m
               : NULL;
}

void udp_send(struct udp *u, const struct path_addr *to, const uint8_t *data,
              size_t size)
{
    CHECK(size > 0 && size <= PATH_DATAGRAM_MAX);
    if (to->size == 0 || u->closing) {
        return;
    }
    struct message *m = open_message(u, to, size);
    if ((m == NULL && u->message_count == BATCH) ||
        u->out_size + size > OUT_BYTES) {
        udp_flush(u);
        m = NULL;
    }
    if (m == NULL) {
        m = &u->messages[u->message_count++];
        *m = (struct message){.to = *to, .at = u->out_size, .segment = size};
    }
    memcpy(u->out + u->out_size, data, size);
    u->out_size += size;
    m->size += size;
    m->count++;
    m->full = size < m->segment; /* a shorter one is the last */
    u->counts.datagrams_out++;
}

/* ---- Receiving -------------------------------------------------------------
 */

struct notes {
    size_t segment;
};

static struct notes read_control(struct udp *u, struct msghdr *h)
{
    struct notes n = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL;
         c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            n.segment = size > 0 ? (size_t)size : 0;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            uint32_t total;
            memcpy(&total, CMSG_DATA(c), sizeof total);
            u->counts.dropped_in += total - u->overflow;
            u->overflow = total;
        }
    }
    return n;
}

static void give(struct udp *u, const struct path_addr *from,
                 const uint8_t *data, size_t size, size_t segment)
{
    segment = segment == 0 ? size : segment;
    for (size_t at = 0; at < size && !u->closing; at += segment) {
        const size_t left = size - at;
        u->counts.datagrams_in++;
        u->on_datagram(u->ctx, from, data + at,
                       left < segment ? left : segment);
    }
}

/* @return whether there may be more */
static bool read_some(struct udp *u)
{
    for (unsigned i = 0; i < IN_MESSAGES; i++) {
        u->in_pieces[i] = (struct iovec){u->in[i], IN_BYTES};
        u->in_all[i].msg_hdr = (struct msghdr){
            .msg_iov = &u->in_pieces[i],
            .msg_iovlen = 1,
            .msg_name = &u->in_from[i],
            .msg_namelen = sizeof u->in_from[i],
            .msg_control = u->in_control[i],
            .msg_controllen = CONTROL_BYTES,
        };
    }
    u->counts.receives++;
    const int came =
        recvmmsg(u->fd, u->in_all, IN_MESSAGES, MSG_DONTWAIT, NULL);
    for (int i = 0; i < came && !u->closing; i++) {
        struct path_addr addr;
        const struct notes n = read_control(u, &u->in_all[i].msg_hdr);
        if (udp_addr((const struct sockaddr *)&u->in_from[i], &addr)) {
            give(u, &addr, u->in[i], u->in_all[i].msg_len, n.segment);
        }
    }
    return came == IN_MESSAGES;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct udp *u = poll->data;
    (void)status, (void)events; /* an error is read, and so forgotten */
    for (unsigned i = 0; i < READ_ROUNDS && !u->closing && read_some(u); i++) {
    }
}

/* ---- Life ------------------------------------------------------------------
 */

static void set_int(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value);
}

static bool try_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/* Never in fragments: what is too large is lost, and that is how a path learns
 * what the way carries. */
static void tune(struct udp *u)
{
    set_int(u->fd, SOL_SOCKET, SO_RCVBUF, SOCKET_BYTES);
    set_int(u->fd, SOL_SOCKET, SO_SNDBUF, SOCKET_BYTES);
    set_int(u->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    set_int(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    if (u->family == AF_INET6) {
        set_int(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    }
    /* Asked, as some kernels and some sandboxes have neither. */
    u->counts.segments = try_int(u->fd, SOL_UDP, UDP_SEGMENT, 0);
    u->counts.coalesced = try_int(u->fd, SOL_UDP, UDP_GRO, 1);
}

struct udp *udp_open(uv_loop_t *loop, const struct sockaddr *sa,
                     socklen_t sa_size, udp_on_datagram on_datagram, void *ctx,
                     int *err)
{
    const int fd =
        socket(sa->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, sa, sa_size) != 0) {
        *err = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    struct udp *u = calloc(1, sizeof *u);
    CHECK(u != NULL);
    u->fd = fd;
    u->family = sa->sa_family;
    u->on_datagram = on_datagram;
    u->ctx = ctx;
    tune(u);
    CHECK(uv_poll_init(loop, &u->poll, fd) == 0);
    u->poll.data = u;
    CHECK(uv_poll_start(&u->poll, UV_READABLE, on_readable) == 0);
    return u;
}

static void on_closed(uv_handle_t *handle)
{
    struct udp *u = handle->data;
    (void)close(u->fd);
    if (u->closed != NULL) {
        u->closed(u->ctx);
    }
    free(u);
}

void udp_close(struct udp *u, void (*closed)(void *ctx))
{
    udp_flush(u);
    u->closing = true;
    u->closed = closed;
    uv_close((uv_handle_t *)&u->poll, on_closed);
}

struct udp_counts udp_counts(const struct udp *u)
{
    return u->counts;
}
