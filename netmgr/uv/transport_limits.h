#ifndef TRANSPORT_LIMITS_H
#define TRANSPORT_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#include "transport.h"

/* The limits of the driver, each with the load or attack it answers. They are
 * constants of the product (DESIGN section 12); a test makes them smaller so
 * that it need not wait. */
struct transport_limits {
    uint32_t strangers;        /* accepted and not yet authenticated */
    uint32_t strangers_of_one; /* of those, from one address (IPv6: one /64) */
    uint32_t strangers_loopback; /* of those, from a loopback address */
    uint32_t stranger_bytes;     /* read before authentication */
    uint32_t stranger_ms;        /* until authenticated: silent peers */
    uint32_t dial_ms;            /* resolve, connect and authenticate */
    uint32_t linger_ms;          /* to write the rest after a close */
    uint32_t conns;              /* of all kinds */
    uint32_t refusal_ms;         /* between two reports of one cause */
    size_t pending_bytes;        /* given to transport_write(), not yet gone:
                                  * past it the connection is closed */
};

extern const struct transport_limits transport_limits_default;

/** As transport_open(), with other limits (copied). */
struct transport *transport_open_limited(const struct transport_config *cfg,
                                         const struct transport_limits *limits,
                                         char *why, size_t why_size);

#endif
