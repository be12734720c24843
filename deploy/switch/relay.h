#ifndef SWITCH_RELAY_H
#define SWITCH_RELAY_H

#include <netinet/in.h>

#include "inside.h"

/* The relay between processes of this host. A site listens where it always
 * does; it dials each other site at an address of its own on loopback (its
 * *via*), at the other's port. There is a *door* for each ordered pair: a TCP
 * listener and a UDP socket at VIA-OF-A:PORT-OF-B. What comes in at it is from
 * A and for B, and goes through the link from A to B; what B says on the same
 * connection comes back through the link from B to A. A datagram leaves by the
 * door of the opposite pair, so that an answer to its sender finds the way. */

struct relay;

struct door {
    uv_tcp_t tcp;
    uv_udp_t udp;
    struct net *net;
    uint32_t from;
    uint32_t to;
    unsigned handles; /* not yet closed */
};

struct relay {
    struct sockaddr_in target; /* where the site listens */
    struct in_addr via;
    struct door *doors[PORTS_MAX]; /* to each other port */
};

/** The socket of a new door begins to receive. @return false: libuv's error */
int datagram_open(struct door *d, const struct sockaddr_in *at);

/** A connection has come in at a door. */
void session_accept(struct door *d);
/** Ends all connections from or to a port. */
void sessions_end(struct port *p);

static inline const struct sockaddr *sockaddr_of(const struct sockaddr_in *in)
{
    return (const struct sockaddr *)(const void *)in;
}

#endif
