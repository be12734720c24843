#ifndef UDP_H
#define UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "netmgr/path/path.h"

/* One UDP socket for all paths of a site, at the address of its listener. What
 * is sent in a turn leaves in as few system calls as the kernel allows: many
 * datagrams at once, and those of one size to one place as one (UDP_SEGMENT);
 * likewise on receipt (UDP_GRO). What the kernel does not take is dropped: that
 * is how a full queue looks to a path. Nothing is ever answered here. */

struct udp;

/** @param data  borrowed during the call */
typedef void (*udp_on_datagram)(void *ctx, const struct path_addr *from,
                                const uint8_t *data, size_t size);

/**
 * Binds to `sa` and reads from the loop on.
 *
 * @param err  on failure: errno
 * @return NULL on failure
 */
struct udp *udp_open(uv_loop_t *loop, const struct sockaddr *sa,
                     socklen_t sa_size, udp_on_datagram on_datagram, void *ctx,
                     int *err);

/** Closes; `closed` is called from the loop, then the memory goes. No events
 * after this call. */
void udp_close(struct udp *u, void (*closed)(void *ctx));

/** Queues a datagram (copied) until udp_flush(). */
void udp_send(struct udp *u, const struct path_addr *to, const uint8_t *data,
              size_t size);

void udp_flush(struct udp *u);

/** A socket address as paths keep it. @return false: none of ours */
bool udp_addr(const struct sockaddr *sa, struct path_addr *out);

struct udp_counts {
    uint64_t sends; /* system calls */
    uint64_t datagrams_out;
    uint64_t receives; /* system calls */
    uint64_t datagrams_in;
    uint64_t dropped_out; /* the kernel did not take them */
    uint64_t dropped_in;  /* by the kernel: its queue was full */
    bool segments;        /* UDP_SEGMENT is in use */
    bool coalesced;       /* UDP_GRO is in use */
};

struct udp_counts udp_counts(const struct udp *u);

#endif
