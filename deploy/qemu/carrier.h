#ifndef QEMU_CARRIER_H
#define QEMU_CARRIER_H

#include <poll.h>

#include "link.h"

/* One end of a link: carries the packets of connections (SOCK_SEQPACKET) over
 * it, each in a channel. The same code at both ends, on poll(). */

enum {
    CARRIER_CHANNELS_MAX = 1024,   /* as many as a site takes attachments */
    CARRIER_OUT_MAX = 1024 * 1024, /* bytes waiting for the link; above it no
                                    * connection is read */
    CARRIER_FDS = CARRIER_CHANNELS_MAX + 1,
};

struct carrier_hooks {
    void *ctx;

    /** The other end opens a channel. @return a connection, taken; -1: no */
    int (*open)(void *ctx, uint32_t uid, uint32_t gid);

    /** A frame that is not of a channel. */
    void (*frame)(void *ctx, const struct link_frame *f);

    /** The other end is not the one it was (carrier_call()): all channels are
     * closed, nothing waits for the link. NULL: then nonsense ends the link. */
    void (*anew)(void *ctx);
};

struct carrier;

/** @param fd  of the link; taken, made non-blocking
 * @param hooks  copied */
struct carrier *carrier_create(int fd, const struct carrier_hooks *hooks);
void carrier_destroy(struct carrier *r);

/** Fills in what to wait for; at most CARRIER_FDS. @return how many */
size_t carrier_fds(struct carrier *r, struct pollfd *fds);

/** Does what poll() found; the same array and number. @return false: the link
 * is at its end, or the other end talks nonsense */
MUST_USE bool carrier_work(struct carrier *r, const struct pollfd *fds,
                           size_t n);

/** Sends a frame that is not of a channel. */
void carrier_send(struct carrier *r, enum link_op op, const void *payload,
                  size_t size);

/** Sends a file under the same path. @return false: it cannot be read, or is
 * too big */
MUST_USE bool carrier_file(struct carrier *r, const char *path);

/** Opens a channel for a connection, which is taken. */
void carrier_open(struct carrier *r, int fd, uint32_t uid, uint32_t gid);

/** Closes all channels without a word: the other end has begun anew. */
void carrier_drop(struct carrier *r);

/** The other end was cut off in the middle of a word: what it said before is
 * read and forgotten, what waits for it too, and all channels are closed. */
void carrier_restart(struct carrier *r);

/** Says, whatever the other end takes it for, that here is another one than
 * before: what this end says next is understood. For a machine that goes on
 * from a snapshot. */
void carrier_call(struct carrier *r);

/** Reads over what comes until the other end calls. */
void carrier_await_call(struct carrier *r);

/** Tries for `ms` to write what is waiting for the link. */
void carrier_flush(struct carrier *r, int ms);

#endif
