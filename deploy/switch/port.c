#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "inside.h"

/* Ports: their table, and those of guests. */

enum { SOCKET_BYTES = 4 << 20, BACKLOG = 4, LENGTH_BYTES = 4 };

union un_addr {
    struct sockaddr_un un;
    struct sockaddr any;
};

static bool un_of(const char *path, union un_addr *a, char *why)
{
    memset(a, 0, sizeof *a);
    a->un.sun_family = AF_UNIX;
    if (strlen(path) >= sizeof a->un.sun_path) {
        snprintf(why, WHY_MAX, "the path of a socket has at most %zu bytes",
                 sizeof a->un.sun_path - 1);
        return false;
    }
    memcpy(a->un.sun_path, path, strlen(path));
    return true;
}

static int bound_socket(struct port *p, int type, const char *path, char *why)
{
    union un_addr a;
    const int bytes = SOCKET_BYTES;

    if (!un_of(path, &a, why)) {
        return -1;
    }
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)unlink(path);
    if (fd < 0 || bind(fd, &a.any, sizeof a.un) != 0) {
        snprintf(why, WHY_MAX, "%.108s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    snprintf(p->path, sizeof p->path, "%s", path);
    return fd;
}

/* ---- -netdev dgram ---------------------------------------------------------
 */

static void read_frames(struct port *p)
{
    static uint8_t bytes[FRAME_MAX];

    for (int i = 0; i < READS_MAX && p->watch != NULL; i++) {
        ssize_t n = read(p->watch->fd, bytes, sizeof bytes);
        if (n <= 0) {
            return;
        }
        bridge_frame(p, bytes, (size_t)n);
    }
}

void port_ready(void *ctx, int events)
{
    struct port *p = ctx;

    if ((events & UV_WRITABLE) != 0) {
        bridge_writable(p);
    }
    if ((events & UV_READABLE) != 0) {
        read_frames(p);
    }
    timer_arm(p->net);
}

static bool dgram_connect(struct port *p)
{
    union un_addr a;
    char why[WHY_MAX];

    if (!p->connected) {
        p->connected = un_of(p->peer, &a, why) &&
                       connect(p->watch->fd, &a.any, sizeof a.un) == 0;
    }
    return p->connected;
}

/* The queue of such a socket is 10 frames: EAGAIN is daily bread. A guest that
 * is down is nobody; one that came again has a new socket of the same name. */
static enum sent dgram_send(struct port *p, const uint8_t *bytes, size_t size)
{
    for (int i = 0; i < 2 && dgram_connect(p); i++) {
        if (send(p->watch->fd, bytes, size, MSG_NOSIGNAL) >= 0) {
            return SENT_DONE;
        }
        if (errno == EAGAIN || errno == ENOBUFS) {
            return SENT_LATER;
        }
        p->connected = false;
    }
    return SENT_NOBODY;
}

static void socket_close(struct port *p)
{
    watch_free(p->watch);
    watch_free(p->listener);
    p->watch = NULL;
    p->listener = NULL;
    if (p->path[0] != '\0') {
        (void)unlink(p->path);
    }
    free(p->in);
    free(p->out);
}

static const struct port_kind dgram_kind = {"dgram", dgram_send, socket_close};

static bool dgram_open(struct port *p, char **words, size_t count, char *why)
{
    union un_addr a;

    if (count != 2) {
        snprintf(why, WHY_MAX, "say: port NAME dgram LOCAL REMOTE");
        return false;
    }
    if (!un_of(words[1], &a, why)) {
        return false;
    }
    int fd = bound_socket(p, SOCK_DGRAM, words[0], why);
    if (fd < 0) {
        return false;
    }
    snprintf(p->peer, sizeof p->peer, "%s", words[1]);
    p->watch = watch_new(p->net, fd, port_ready, p);
    watch_for(p->watch, UV_READABLE);
    return true;
}

/* ---- -netdev stream: the length in four bytes, big-endian, then the frame --
 */

static void stream_gone(struct port *p)
{
    watch_free(p->watch);
    p->watch = NULL;
    p->in_size = 0;
    p->out_size = 0;
    list_foreach (it, &p->waiting) {
        p->lost++;
    }
}

static size_t length_at(const uint8_t *b)
{
    return (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
}

/* Takes whole frames off the front. @return false: no such stream */
static bool take_frames(struct port *p)
{
    size_t at = 0;

    while (p->in_size - at >= LENGTH_BYTES) {
        const size_t size = length_at(p->in + at);
        if (size > FRAME_MAX) {
            return false;
        }
        if (p->in_size - at < LENGTH_BYTES + size) {
            break;
        }
        bridge_frame(p, p->in + at + LENGTH_BYTES, size);
        at += LENGTH_BYTES + size;
    }
    p->in_size -= at;
    memmove(p->in, p->in + at, p->in_size);
    return true;
}

static void stream_read(struct port *p)
{
    const size_t room = FRAME_MAX + LENGTH_BYTES;

    for (int i = 0; i < READS_MAX; i++) {
        ssize_t n =
            recv(p->watch->fd, p->in + p->in_size, room - p->in_size, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            stream_gone(p);
            return;
        }
        p->in_size += (size_t)n;
        if (!take_frames(p)) {
            stream_gone(p);
            return;
        }
    }
}

/* What was left of a frame goes first. @return false: not all of it went */
static bool stream_flush(struct port *p)
{
    while (p->out_size > 0) {
        ssize_t n = send(p->watch->fd, p->out, p->out_size, MSG_NOSIGNAL);
        if (n < 0) {
            return false;
        }
        p->out_size -= (size_t)n;
        memmove(p->out, p->out + n, p->out_size);
    }
    return true;
}

static enum sent stream_send(struct port *p, const uint8_t *bytes, size_t size)
{
    if (p->watch == NULL) {
        return SENT_NOBODY;
    }
    if (!stream_flush(p)) {
        return SENT_LATER;
    }
    const uint8_t length[LENGTH_BYTES] = {(uint8_t)(size >> 24),
                                          (uint8_t)(size >> 16),
                                          (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(p->out, length, LENGTH_BYTES);
    memcpy(p->out + LENGTH_BYTES, bytes, size);
    p->out_size = LENGTH_BYTES + size;
    if (!stream_flush(p)) {
        watch_for(p->watch, UV_READABLE | UV_WRITABLE);
    }
    return SENT_DONE;
}

static void on_stream(void *ctx, int events)
{
    struct port *p = ctx;

    if ((events & UV_WRITABLE) != 0 && stream_flush(p)) {
        bridge_writable(p);
    }
    if ((events & UV_READABLE) != 0) {
        stream_read(p);
    }
    timer_arm(p->net);
}

/* The last one that connects is the guest: it was started again. */
static void on_accept(void *ctx, int events)
{
    struct port *p = ctx;
    int fd = accept4(p->listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd < 0) {
        return;
    }
    stream_gone(p);
    p->watch = watch_new(p->net, fd, on_stream, p);
    watch_for(p->watch, UV_READABLE);
}

static const struct port_kind stream_kind = {"stream", stream_send,
                                             socket_close};

static bool stream_open(struct port *p, char **words, size_t count, char *why)
{
    if (count != 1) {
        snprintf(why, WHY_MAX, "say: port NAME stream PATH");
        return false;
    }
    int fd = bound_socket(p, SOCK_STREAM, words[0], why);
    if (fd < 0) {
        return false;
    }
    p->in = malloc(FRAME_MAX + LENGTH_BYTES);
    p->out = malloc(FRAME_MAX + LENGTH_BYTES);
    CHECK(p->in != NULL && p->out != NULL && listen(fd, BACKLOG) == 0);
    p->listener = watch_new(p->net, fd, on_accept, p);
    watch_for(p->listener, UV_READABLE);
    return true;
}

/* ---- the table -------------------------------------------------------------
 */

static const struct {
    const struct port_kind *kind;
    bool (*open)(struct port *p, char **words, size_t count, char *why);
} kinds[] = {
    {&dgram_kind, dgram_open}, {&stream_kind, stream_open},
    {&tap_kind, tap_open},     {&namespace_kind, namespace_open},
    {&relay_kind, relay_open},
};

struct port *port_find(struct net *n, const char *name)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (n->ports[i].name[0] != '\0' &&
            strcmp(n->ports[i].name, name) == 0) {
            return &n->ports[i];
        }
    }
    return NULL;
}

/* The place of a name: where it was, else one that nobody had, else any. */
static struct port *free_port(struct net *n, const char *name)
{
    struct port *fresh = NULL;
    struct port *any = NULL;

    for (uint32_t i = PORTS_MAX; i-- > 0;) {
        struct port *p = &n->ports[i];
        if (p->name[0] != '\0') {
            continue;
        }
        if (strcmp(p->last, name) == 0) {
            return p;
        }
        any = p;
        fresh = p->last[0] == '\0' ? p : fresh;
    }
    return fresh != NULL ? fresh : any;
}

bool port_known(struct net *n, const char *name)
{
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        if (strcmp(n->ports[i].last, name) == 0) {
            return true;
        }
    }
    return false;
}

static const struct port_kind *kind_of(const char *name, size_t *k)
{
    for (*k = 0; *k < ARRAY_LEN(kinds); ++*k) {
        if (strcmp(kinds[*k].kind->name, name) == 0) {
            return kinds[*k].kind;
        }
    }
    return NULL;
}

/* @return false and why */
static bool may_be_added(struct net *n, char **words, size_t count, char *why)
{
    size_t k;

    if (count < 2) {
        snprintf(why, WHY_MAX, "say: port NAME KIND WORDS");
    } else if (!name_ok(words[0])) {
        snprintf(why, WHY_MAX, "\"%.100s\" is no name for a port", words[0]);
    } else if (port_find(n, words[0]) != NULL) {
        snprintf(why, WHY_MAX, "there is a port %.100s", words[0]);
    } else if (kind_of(words[1], &k) == NULL) {
        snprintf(why, WHY_MAX,
                 "no kind of port \"%.60s\"; there are dgram, stream, tap, "
                 "namespace and relay",
                 words[1]);
    } else if (free_port(n, words[0]) == NULL) {
        snprintf(why, WHY_MAX, "%d ports are the most", PORTS_MAX);
    } else {
        return true;
    }
    return false;
}

/* A place that another name had: its links are as new. */
static void take_over(struct port *p, const char *name)
{
    struct net *n = p->net;

    if (strcmp(p->last, name) == 0) {
        return;
    }
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        n->links[i][p->index].set = (struct fate_params){0};
        n->links[p->index][i].set = (struct fate_params){0};
    }
}

struct port *port_add(struct net *n, char **words, size_t count, char *why)
{
    size_t k;

    if (!may_be_added(n, words, count, why)) {
        return NULL;
    }
    struct port *p = free_port(n, words[0]);
    struct port fresh = {.net = n,
                         .index = (uint32_t)(p - n->ports),
                         .life = p->life + 1,
                         .kind = kind_of(words[1], &k),
                         .netns = -1};
    memcpy(fresh.last, p->last, sizeof fresh.last);
    *p = fresh;
    list_init(&p->waiting);
    if (!kinds[k].open(p, words + 2, count - 2, why)) {
        return NULL;
    }
    take_over(p, words[0]);
    snprintf(p->name, sizeof p->name, "%s", words[0]);
    snprintf(p->last, sizeof p->last, "%s", words[0]);
    links_make(n);
    return p;
}

void port_remove(struct port *p)
{
    bridge_forget(p);
    p->kind->close(p);
    p->name[0] = '\0';
    p->life++;
    links_make(p->net);
}
