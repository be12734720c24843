#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conn.h"

/* Where a transport listens: for connections, and at the same address for
 * datagrams. */

enum { PORT_TRIES = 16 }; /* for one that is free for TCP and UDP */

/* A listening socket, or -1 and errno. */
static int listen_at(const struct sockaddr *sa, socklen_t size)
{
    const int yes = 1;
    int fd =
        socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, sa, size) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int err = errno;
        (void)close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int listen_on(const char *text, char *why, size_t why_size)
{
    struct address_name name;
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV | AI_PASSIVE};
    if (!address_split(text, &name, why, why_size)) {
        return -1;
    }
    int err = getaddrinfo(name.host, name.port, &hints, &found);
    if (err != 0) {
        (void)snprintf(why, why_size,
                       "cannot listen on %.100s: %s; is the name right?", text,
                       gai_strerror(err));
        return -1;
    }
    int fd = listen_at(found->ai_addr, found->ai_addrlen);
    if (fd < 0) {
        err = errno;
        const char *hint =
            err == EADDRINUSE      ? "; is another site running there?"
            : err == EADDRNOTAVAIL ? "; it is no address of this machine"
                                   : "";
        (void)snprintf(why, why_size, "cannot listen on %.100s: %s%s", text,
                       uv_strerror(uv_translate_sys_error(err)), hint);
    }
    freeaddrinfo(found);
    return fd;
}

/* Whether "host:port" leaves the port to the kernel. */
static bool any_port(const char *text)
{
    const size_t size = strlen(text);
    return size >= 2 && strcmp(text + size - 2, ":0") == 0;
}

static void on_datagram(void *ctx, const struct path_addr *from,
                        const uint8_t *data, size_t size)
{
    struct transport *t = ctx;
    t->events.datagram(t->ctx, from, data, size);
}

/* A UDP socket at the address of the listener `fd`. */
static struct udp *open_udp(struct transport *t, int fd, int *err)
{
    struct sockaddr_storage sa = {0};
    socklen_t size = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &size) != 0) {
        *err = errno;
        return NULL;
    }
    return udp_open(t->loop, (const struct sockaddr *)&sa, size, on_datagram, t,
                    err);
}

static void tell_no_udp(const char *address, int err, char *why,
                        size_t why_size)
{
    (void)snprintf(why, why_size,
                   "cannot take datagrams on %.100s: %s; free the UDP port, "
                   "or say transport tcp",
                   address, uv_strerror(uv_translate_sys_error(err)));
}

/* Listens for both. Where any port will do, one that is free for both. */
int transport_listen(struct transport *t, const struct transport_config *cfg,
                     char *why, size_t why_size)
{
    int err = 0;
    for (unsigned tries = 0; tries < PORT_TRIES; tries++) {
        const int fd = listen_on(cfg->listen, why, why_size);
        if (fd < 0 || !cfg->datagrams) {
            return fd;
        }
        t->udp = open_udp(t, fd, &err);
        if (t->udp != NULL) {
            return fd;
        }
        (void)close(fd);
        if (err != EADDRINUSE || !any_port(cfg->listen)) {
            break;
        }
    }
    tell_no_udp(cfg->listen, err, why, why_size);
    return -1;
}

bool transport_take_datagrams(struct transport *t, char *why, size_t why_size)
{
    int err = 0;
    uv_os_fd_t fd;
    if (t->udp != NULL || t->closing) {
        return true;
    }
    if (uv_fileno((const uv_handle_t *)&t->listener, &fd) == 0) {
        t->udp = open_udp(t, fd, &err);
    }
    if (t->udp == NULL) {
        tell_no_udp(t->address, err, why, why_size);
        return false;
    }
    t->refs++;
    return true;
}
