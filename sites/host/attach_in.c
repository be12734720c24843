#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "attach_inside.h"

/* The first frame of a message: room for all of it, or why not. */
static void begin(struct peer *p, const struct attach_frame *f)
{
    struct site *site = peer_site(p);
    const uint32_t body_bytes = f->total - f->annex_bytes;
    p->begun = *f;
    p->refused = MOTET_OK;
    CHECK(p->data == NULL);
    if (body_bytes > site_config(site)->nucleus.body_bytes_max) {
        p->refused = MOTET_E_TOO_BIG;
    } else if (f->total > 0) {
        p->data = site_buf(site, f->total);
        p->refused = p->data != NULL ? MOTET_OK : MOTET_E_NO_MEMORY;
    }
}

static void forget_message(struct peer *p)
{
    buf_unref(p->data);
    p->data = NULL;
}

/* A frame of an op with payload. */
static void take_part(struct peer *p, const struct attach_frame *f)
{
    uint32_t at = 0;
    const enum attach_gathered g = attach_gather(&p->gather, f, &at);
    if (g == ATTACH_BAD) {
        peer_doom(p, "parts of a message came out of turn");
        return;
    }
    if (g == ATTACH_TAKEN_BACK) {
        forget_message(p);
        return;
    }
    if ((f->flags & ATTACH_CONT) == 0) {
        begin(p, f);
    }
    if (p->data != NULL && f->chunk_bytes > 0) {
        memcpy(p->data->data + at, f->chunk, f->chunk_bytes);
    }
    if (g == ATTACH_WHOLE) {
        struct buf *data = p->data;
        p->data = NULL;
        peer_request(p, &p->begun, data, p->refused);
    }
}

static void take_frame(struct peer *p, const struct attach_frame *f)
{
    if (p->attached == (f->op == ATTACH_HELLO)) {
        peer_doom(p,
                  p->attached ? "said hello twice" : "did not say hello first");
    } else if (p->gather.op != 0 || attach_has_payload(f->op)) {
        take_part(p, f);
    } else {
        peer_request(p, f, NULL, MOTET_OK);
    }
}

static void take_packet(struct peer *p, size_t size)
{
    struct attach_frame f;
    struct reader r = reader_of(p->server->in, size);
    while (reader_left(&r) > 0 && !p->doomed && !p->last) {
        if (peer_site(p) == NULL) {
            peer_doom(p, NULL);
        } else if (!attach_decode(&r, ATTACH_CLIENT, &f)) {
            peer_doom(p, "sent what is no frame");
        } else {
            take_frame(p, &f);
        }
    }
}

/* @return false when nothing more can be read now */
static bool read_packet(struct peer *p)
{
    struct attach *a = p->server;
    if (peer_frozen(p)) {
        peer_freeze(p);
        return false;
    }
    const ssize_t size = recv(p->fd, a->in, sizeof a->in, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) {
        return true;
    }
    if (size < 0 && errno == EAGAIN) {
        return false;
    }
    if (size < 0 && errno == ECONNRESET && !p->reset) {
        p->reset = true; /* once; what was sent before can still be read */
        return true;
    }
    if (size <= 0) {
        peer_doom(p, NULL);
        return false;
    }
    if (size > ATTACH_PACKET_MAX) {
        peer_doom(p, "sent a packet that is too long");
        return false;
    }
    take_packet(p, (size_t)size);
    return !p->doomed && !p->last;
}

void peer_read(struct peer *p)
{
    unsigned packets = 0;
    const struct site *site = peer_site(p);
    if (site != NULL && site_moved(site)) {
        return; /* it hears of that first; in the next turn of the loop */
    }
    while (packets < ATTACH_READS_PER_TURN && !p->doomed && !peer_over(p) &&
           read_packet(p)) {
        packets++;
    }
    guest_dirty(p);
}
