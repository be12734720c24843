#include "address.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static bool port_ok(const char *port)
{
    size_t n = strspn(port, "0123456789");
    return n > 0 && n < ADDRESS_PORT_MAX && port[n] == '\0' &&
           strtol(port, NULL, 10) <= 65535;
}

/* Where the host begins and ends, and the port; false if it has no such form.
 */
static bool split(const char *text, const char **host, size_t *n,
                  const char **port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return false;
    }
    *port = colon + 1;
    if (text[0] == '[') {
        *host = text + 1;
        *n = (size_t)(colon - text);
        if (*n < 3 || colon[-1] != ']') {
            return false;
        }
        *n -= 2;
        return true;
    }
    *host = text;
    *n = (size_t)(colon - text);
    return *n > 0 && memchr(text, ':', *n) == NULL;
}

bool address_split(const char *text, struct address_name *name, char *why,
                   size_t why_size)
{
    const char *host;
    const char *port;
    size_t n;
    if (!split(text, &host, &n, &port) || n >= sizeof name->host ||
        !port_ok(port)) {
        (void)snprintf(why, why_size,
                       "\"%.100s\" is no address; write host:port or "
                       "[v6]:port, the port from 0 to 65535",
                       text);
        return false;
    }
    memcpy(name->host, host, n);
    name->host[n] = '\0';
    (void)snprintf(name->port, sizeof name->port, "%s", port);
    return true;
}

bool address_numeric(const struct address_name *name,
                     struct sockaddr_storage *out)
{
    int port = (int)strtol(name->port, NULL, 10);
    memset(out, 0, sizeof *out);
    return uv_ip4_addr(name->host, port, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(name->host, port, (struct sockaddr_in6 *)out) == 0;
}

static struct sockaddr_in in4(const struct sockaddr *sa)
{
    struct sockaddr_in in;
    memcpy(&in, sa, sizeof in);
    return in;
}

static struct sockaddr_in6 in6(const struct sockaddr *sa)
{
    struct sockaddr_in6 in;
    memcpy(&in, sa, sizeof in);
    return in;
}

void address_text(const struct sockaddr *sa, char *out)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in = in4(sa);
        (void)uv_ip4_name(&in, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host,
                       ntohs(in.sin_port));
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in = in6(sa);
        (void)uv_ip6_name(&in, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host,
                       ntohs(in.sin6_port));
    } else {
        (void)snprintf(out, ADDRESS_TEXT_MAX, "?");
    }
}

bool address_is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in = in4(sa);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in = in6(sa);
        return IN6_IS_ADDR_LOOPBACK(&in.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr) &&
                in.sin6_addr.s6_addr[12] == 127);
    }
    return false;
}

bool address_same_source(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family) {
        return false;
    }
    if (a->sa_family == AF_INET) {
        return in4(a).sin_addr.s_addr == in4(b).sin_addr.s_addr;
    }
    struct sockaddr_in6 x = in6(a);
    struct sockaddr_in6 y = in6(b);
    /* All mapped IPv4 addresses share one /64. */
    size_t n = IN6_IS_ADDR_V4MAPPED(&x.sin6_addr) ? 16 : 8;
    return memcmp(&x.sin6_addr, &y.sin6_addr, n) == 0;
}
