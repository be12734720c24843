#ifndef QEMU_RELAY_H
#define QEMU_RELAY_H

#include <poll.h>

#include "link.h"

/* One end of a link: carries the packets of connections (SOCK_SEQPACKET) over
 * it, each in a channel. The same code at both ends, on poll(). */

enum {
    RELAY_CHANNELS_MAX = 1024,   /* as many as a site takes attachments */
    RELAY_OUT_MAX = 1024 * 1024, /* bytes waiting for the link; above it no
                                  * connection is read */
    RELAY_FDS = RELAY_CHANNELS_MAX + 1,
};

struct relay_hooks {
    void *ctx;

    /** The other end opens a channel. @return a connection, taken; -1: no */
    int (*open)(void *ctx, uint32_t uid, uint32_t gid);

    /** A frame that is not of a channel. */
    void (*frame)(void *ctx, const struct link_frame *f);
};

struct relay;

/** @param fd  of the link; taken, made non-blocking
 * @param hooks  copied */
struct relay *relay_create(int fd, const struct relay_hooks *hooks);
void relay_destroy(struct relay *r);

/** Fills in what to wait for; at most RELAY_FDS. @return how many */
size_t relay_fds(struct relay *r, struct pollfd *fds);

/** Does what poll() found; the same array and number. @return false: the link
 * is at its end, or the other end talks nonsense */
MUST_USE bool relay_work(struct relay *r, const struct pollfd *fds, size_t n);

/** Sends a frame that is not of a channel. */
void relay_send(struct relay *r, enum link_op op, const void *payload,
                size_t size);

/** Sends a file under the same path. @return false: it cannot be read, or is
 * too big */
MUST_USE bool relay_file(struct relay *r, const char *path);

/** Opens a channel for a connection, which is taken. */
void relay_open(struct relay *r, int fd, uint32_t uid, uint32_t gid);

/** Closes all channels without a word: the other end has begun anew. */
void relay_drop(struct relay *r);

/** The other end was cut off in the middle of a word: what it said before is
 * read and forgotten, what waits for it too, and all channels are closed. */
void relay_restart(struct relay *r);

/** Tries for `ms` to write what is waiting for the link. */
void relay_flush(struct relay *r, int ms);

#endif
