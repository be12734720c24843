#ifndef ADDRESS_H
#define ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "nucleus/base/check.h"

enum {
    ADDRESS_HOST_MAX = 256, /* with its NUL */
    ADDRESS_PORT_MAX = 6,
    ADDRESS_TEXT_MAX = 72, /* "[v6]:port" of any numeric address */
};

struct address_name {
    char host[ADDRESS_HOST_MAX];
    char port[ADDRESS_PORT_MAX]; /* 0 to 65535 */
};

/**
 * Splits "host:port" or "[v6]:port".
 *
 * @param why  on failure: a sentence, at least 256 bytes
 */
MUST_USE bool address_split(const char *text, struct address_name *name,
                            char *why, size_t why_size);

/** Fills `out` if the host is a numeric address.
 * @return false if it is a name that must be resolved */
MUST_USE bool address_numeric(const struct address_name *name,
                              struct sockaddr_storage *out);

/** "127.0.0.1:7117", "[::1]:7117"; "?" for another family.
 * @param out  ADDRESS_TEXT_MAX bytes */
void address_text(const struct sockaddr *sa, char *out);

bool address_is_loopback(const struct sockaddr *sa);

/** Whether two addresses belong to one source for the limits: the same IPv4
 * address, or the same /64 of IPv6. */
bool address_same_source(const struct sockaddr *a, const struct sockaddr *b);

#endif
