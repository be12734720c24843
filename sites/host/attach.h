#ifndef ATTACH_H
#define ATTACH_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config.h"
#include "nucleus/core/nucleus.h"
#include "sites/site/site.h"

/* The site's end of attachments: a local SOCK_SEQPACKET socket on which
 * programs attach as user actors (proto/attach.h). The connection is the
 * capability: who the peer is, is asked of the kernel once, and when the
 * connection dies its actor dies. A peer that breaks the protocol, does not
 * read or dies in the middle of a word costs its own attachment and one line of
 * log. All on the loop's thread. */

struct attach;

struct attach_limits {
    uint32_t connections_max; /* 1,024 */
    uint32_t greeting_ms_max; /* 3,000 from connect to HELLO */
    uint32_t out_bytes_max;  /* 1 MiB waiting for a peer; above it, its requests
                              * are not read and its receives are withdrawn,
                              * so one message more at most */
    uint32_t receives_max;   /* 256 outstanding of one attachment; likewise: */
    uint32_t sends_max;      /* 4,096 */
    uint32_t calls_max;      /* 4,096 */
    uint32_t held_max;       /* 4,096 requests owed a reply */
    uint32_t ports_max;      /* 65,536 */
    uint32_t watches_max;    /* 4,096 */
    size_t memory_bytes_max; /* 64 MiB for all; messages are the site's */
};

struct attach_limits attach_limits_default(void);

struct attach_hooks {
    void *ctx;

    /** The site as it is now; NULL between two lives. */
    struct site *(*site)(void *ctx);

    /** One line for people, about one attachment. */
    void (*log)(void *ctx, const char *text);

    /** Effects of the site are waiting to be taken. May be NULL: then the host
     * takes them at the end of each turn of the loop, in uv_prepare. */
    void (*after_op)(void *ctx);

    const struct attach_limits *limits; /* copied; NULL: the defaults */
};

/**
 * Listens. The folder of the socket is made (0700) if it is missing. Without
 * `allow` the socket is for its owner and root (0600).
 *
 * @param loop   borrowed; its time is uv_hrtime(), as that of the site must be
 * @param path   of the socket, at most 107 bytes
 * @param allow  user ids, as numbers, that may attach beside root and the own
 *               one; borrowed for the call
 * @param hooks  copied
 * @param why    on failure: a sentence for people
 * @return NULL on failure
 */
struct attach *attach_open(uv_loop_t *loop, const char *path,
                           const struct config_list *allow,
                           const struct attach_hooks *hooks, char *why,
                           size_t why_size);

/** Takes an effect for an attached actor; borrows it for the call. `a` may be
 * NULL: nobody is attached then. */
void attach_effect(struct attach *a, const struct nuc_effect *e);

/** Writes what is waiting now, instead of in the next turn. `a` may be NULL. */
void attach_flush(struct attach *a);

/** The site is about to end: all attachments are told, closed, and let go of
 * its memory. The socket stays open for the next life. `a` may be NULL. */
void attach_rebirth(struct attach *a);

/** Likewise, and closes the socket; before the site is destroyed. `a` is freed
 * when its handles are closed: run the loop until uv_loop_close() is content.
 * `a` may be NULL. */
void attach_close(struct attach *a);

/** Attached programs, for status. `a` may be NULL. */
uint32_t attach_count(const struct attach *a);

#endif
