#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include "client.h"

enum { NS_PER_MS = 1000000, POLL_MAX_MS = 1 << 30 };

uint64_t now_ns(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t after_ms(int64_t timeout_ms)
{
    if (timeout_ms < 0 || timeout_ms > ATTACH_TIMEOUT_MAX_MS) {
        return DEADLINE_NEVER;
    }
    return now_ns() + (uint64_t)timeout_ms * NS_PER_MS;
}

int64_t ms_until(uint64_t at_ns)
{
    if (at_ns == DEADLINE_NEVER) {
        return MOTET_FOREVER;
    }
    const uint64_t now = now_ns();
    return at_ns <= now ? 0
                        : (int64_t)((at_ns - now + NS_PER_MS - 1) / NS_PER_MS);
}

void stream_lose(struct motet *m)
{
    if (m->lost) {
        return;
    }
    m->lost = true;
    letter_free(m, m->coming);
    m->coming = NULL;
    list_foreach (it, &m->requests) {
        struct request *r = LIST_ENTRY(it, struct request, link);
        const bool may = r->op == ATTACH_SEND || r->op == ATTACH_CALL;
        const enum motet_err err =
            may ? MOTET_E_MAYBE_DETACHED : MOTET_E_DETACHED;
        request_remove(m, r);
        r->done = true;
        r->result.err = err;
        if (r->async && r->op == ATTACH_RECEIVE) {
            request_free(m, r);
        } else if (r->async) {
            request_tell(m, r,
                         r->op == ATTACH_SEND ? MOTET_EVENT_SENT
                                              : MOTET_EVENT_CALL_DONE,
                         err);
        }
    }
}

/* Waits until the socket is ready. @return poll's events, 0 at the deadline */
static int wait_for(struct motet *m, short events, uint64_t by_ns)
{
    for (;;) {
        struct pollfd p = {.fd = m->fd, .events = events};
        int64_t ms = ms_until(by_ns);
        ms = ms > POLL_MAX_MS ? POLL_MAX_MS : ms;
        const int ready = poll(&p, 1, (int)ms);
        if (ready > 0) {
            return p.revents;
        }
        if (ready < 0 && errno != EINTR) {
            return POLLERR;
        }
        if (ready == 0 && ms != MOTET_FOREVER && ms_until(by_ns) == 0) {
            return 0;
        }
    }
}

/* @param flags  MSG_DONTWAIT or 0
 * @return OK: a packet was taken in; AGAIN: there is none; DETACHED */
static enum motet_err take_packet(struct motet *m, int flags)
{
    bool reset = false;
    for (;;) {
        const ssize_t size = recv(m->fd, m->packet, sizeof m->packet, flags);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0 && errno == EAGAIN) {
            return MOTET_E_AGAIN;
        }
        if (size < 0 && errno == ECONNRESET && !reset) {
            reset = true; /* said once; what came before can still be read */
            continue;
        }
        if (size > 0 && arrive(m, (size_t)size) && !m->lost) {
            loop_signal(m);
            return MOTET_OK;
        }
        stream_lose(m);
        loop_signal(m);
        return MOTET_E_DETACHED;
    }
}

enum motet_err stream_read(struct motet *m, uint64_t by_ns)
{
    if (m->lost) {
        return MOTET_E_DETACHED;
    }
    for (;;) {
        const bool forever = by_ns == DEADLINE_NEVER;
        if (!forever && wait_for(m, POLLIN, by_ns) == 0) {
            return MOTET_E_TIMEOUT;
        }
        const enum motet_err err = take_packet(m, forever ? 0 : MSG_DONTWAIT);
        if (err != MOTET_E_AGAIN) {
            return err;
        }
    }
}

/* The site does not read just now. It may be waiting for this end to read: so
 * both directions are served. */
static enum motet_err make_room(struct motet *m, uint64_t by_ns)
{
    const int ready = wait_for(m, POLLIN | POLLOUT, by_ns);
    if (ready == 0) {
        return MOTET_E_TIMEOUT;
    }
    if ((ready & ~POLLOUT) != 0) {
        const enum motet_err err = take_packet(m, MSG_DONTWAIT);
        return err == MOTET_E_AGAIN ? MOTET_OK : err;
    }
    return MOTET_OK;
}

/* Sends one packet. */
static enum motet_err send_packet(struct motet *m, struct iovec *iov,
                                  size_t count, uint64_t by_ns)
{
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
    for (;;) {
        if (m->lost) {
            return MOTET_E_DETACHED;
        }
        if (sendmsg(m->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            return MOTET_OK;
        }
        if (errno == EAGAIN || errno == ENOBUFS) {
            const enum motet_err err = make_room(m, by_ns);
            if (err == MOTET_E_TIMEOUT && m->patient && m->frozen) {
                by_ns = after_ms(PATIENCE_MS);
            } else if (err != MOTET_OK) {
                return err;
            }
        } else if (errno != EINTR) {
            /* What the site said before it went is still to be read. */
            while (take_packet(m, MSG_DONTWAIT) == MOTET_OK) {
            }
            stream_lose(m);
            return MOTET_E_DETACHED;
        }
    }
}

/* Takes back what an earlier call could not finish. */
static enum motet_err send_void(struct motet *m, uint64_t by_ns)
{
    uint8_t head[ATTACH_HEADER_BYTES];
    struct writer w = writer_of(head, sizeof head);
    if (m->void_op == 0) {
        return MOTET_OK;
    }
    attach_void(m->void_op, m->void_id, &w);
    struct iovec iov = {.iov_base = head, .iov_len = w.at};
    const enum motet_err err = send_packet(m, &iov, 1, by_ns);
    if (err == MOTET_OK) {
        m->void_op = 0;
    }
    return err;
}

/* The pieces from byte `at` on, `size` bytes of them. @return how many */
static size_t slice(const struct motet *m, const struct motet_bytes *parts,
                    size_t count, size_t at, size_t size, struct iovec *iov)
{
    size_t used = 0;
    for (size_t i = 0; i < count && size > 0; i++) {
        if (at >= parts[i].size) {
            at -= parts[i].size;
            continue;
        }
        const size_t here = parts[i].size - at;
        const size_t taken = here < size ? here : size;
        const uint8_t *from = parts[i].data;
        /* sendmsg() only reads; its interface does not say so. */
        union {
            const void *in;
            void *out;
        } base = {.in = from != NULL ? from + at : m->zeroes};
        iov[used++] = (struct iovec){.iov_base = base.out, .iov_len = taken};
        size -= taken;
        at = 0;
    }
    CHECK(size == 0);
    return used;
}

enum motet_err stream_write(struct motet *m, const struct attach_frame *f,
                            const struct motet_bytes *parts, size_t count,
                            uint64_t by_ns)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    uint8_t head[ATTACH_HEADER_BYTES + ATTACH_FIELDS_MAX];
    struct iovec iov[1 + 1 + MOTET_PARTS_MAX];
    struct attach_parcel p = {.op = f->op,
                              .id = f->id,
                              .fields = fields,
                              .field_bytes = (uint32_t)attach_fields(f, fields),
                              .total = f->total};
    enum motet_err err = send_void(m, by_ns);
    bool begun = false;
    CHECK(count <= 1 + MOTET_PARTS_MAX);
    while (err == MOTET_OK && !attach_cut_done(&p)) {
        struct writer w = writer_of(head, sizeof head);
        const uint32_t at = p.at;
        uint32_t chunk;
        CHECK(attach_cut(&p, &w, ATTACH_PACKET_MAX, &chunk));
        iov[0] = (struct iovec){.iov_base = head, .iov_len = w.at};
        const size_t used = 1 + slice(m, parts, count, at, chunk, iov + 1);
        err = send_packet(m, iov, used, by_ns);
        begun = begun || err == MOTET_OK;
    }
    if (err != MOTET_OK && begun && !m->lost) {
        m->void_op = f->op;
        m->void_id = f->id;
    }
    return err;
}

enum motet_err stream_say(struct motet *m, const struct attach_frame *f,
                          const struct motet_bytes *parts, size_t count)
{
    m->patient = true;
    const enum motet_err err =
        stream_write(m, f, parts, count, after_ms(PATIENCE_MS));
    m->patient = false;
    if (err != MOTET_OK) {
        stream_lose(m);
        loop_signal(m);
        return MOTET_E_DETACHED;
    }
    return MOTET_OK;
}
