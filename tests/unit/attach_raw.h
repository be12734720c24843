#ifndef ATTACH_RAW_H
#define ATTACH_RAW_H

#include <criterion/criterion.h>

#include "attach_ground.h"

/* ---- a peer that may say anything -----------------------------------------
 */

/* One frame, or the first one of a message; its payload is whatever `out`
 * holds. */
static inline size_t raw_frame(const struct attach_frame *f,
                               uint8_t out[ATTACH_PACKET_MAX])
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    struct attach_parcel p = {
        .op = f->op, .id = f->id, .fields = fields, .total = f->total};
    uint32_t chunk;
    p.field_bytes = (uint32_t)attach_fields(f, fields);
    struct writer w = writer_of(out, ATTACH_PACKET_MAX);
    cr_assert(attach_cut(&p, &w, ATTACH_PACKET_MAX, &chunk));
    return w.at + chunk;
}

static inline void raw_say(int fd, const struct attach_frame *f)
{
    uint8_t packet[ATTACH_PACKET_MAX];
    const size_t size = raw_frame(f, packet);
    cr_assert_eq(send(fd, packet, size, MSG_NOSIGNAL), (ssize_t)size, "%s",
                 attach_op_name(f->op));
}

static const struct attach_frame raw_hello = {
    .op = ATTACH_HELLO,
    .id = 1,
    .magic = ATTACH_MAGIC,
    .version = ATTACH_VERSION,
};

static inline bool raw_ready(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms) == 1;
}

/* The next packet has one frame. @return false: closed */
static inline bool raw_hear(int fd, struct attach_frame *f)
{
    static uint8_t packet[ATTACH_PACKET_MAX];
    cr_assert(raw_ready(fd, 5000), "no answer");
    const ssize_t size = recv(fd, packet, sizeof packet, 0);
    if (size <= 0) {
        return false;
    }
    struct reader r = reader_of(packet, (size_t)size);
    cr_assert(attach_decode(&r, ATTACH_SITE, f));
    return true;
}

static inline int raw_greeted(const struct ground *g)
{
    struct attach_frame f;
    const int fd = ground_raw(g);
    raw_say(fd, &raw_hello);
    cr_assert(raw_hear(fd, &f));
    cr_assert_eq(f.op, ATTACH_RESULT);
    cr_assert_eq(f.err, MOTET_OK);
    return fd;
}

static inline struct motet_ui raw_port(int fd)
{
    struct attach_frame f = {.op = ATTACH_PORT_NEW, .id = 2, .enabled = true};
    raw_say(fd, &f);
    cr_assert(raw_hear(fd, &f));
    cr_assert_eq(f.err, MOTET_OK);
    return f.cap.ui;
}

/* The site has closed; what it said before is read over. */
static inline bool raw_closed(int fd)
{
    static uint8_t packet[ATTACH_PACKET_MAX];
    const uint64_t until = ground_ms() + 5000;
    while (ground_ms() < until) {
        if (raw_ready(fd, 100) && recv(fd, packet, sizeof packet, 0) <= 0) {
            return true;
        }
    }
    return false;
}

static inline struct motet_out raw_text(const char *s)
{
    return motet_body(s, strlen(s));
}

/* The first frame of a message of 1 MiB. */
static inline struct attach_frame raw_big_send(struct motet_ui port,
                                               uint64_t id)
{
    return (struct attach_frame){.op = ATTACH_SEND,
                                 .id = id,
                                 .port = port,
                                 .dest = {.target = port},
                                 .timeout_ms = 1000,
                                 .total = 1 << 20};
}

#endif
