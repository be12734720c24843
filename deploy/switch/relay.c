#include "relay.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 64 };

static enum sent relay_send(struct port *p, const uint8_t *bytes, size_t size)
{
    (void)p;
    (void)bytes;
    (void)size;
    return SENT_NOBODY; /* frames do not come this way */
}

/* ---- doors -----------------------------------------------------------------
 */

static void on_door_closed(uv_handle_t *handle)
{
    struct door *d = handle->data;

    if (--d->handles == 0) {
        free(d);
    }
}

static void door_close(struct door *d)
{
    uv_close((uv_handle_t *)&d->tcp, on_door_closed);
    uv_close((uv_handle_t *)&d->udp, on_door_closed);
}

static void on_connection(uv_stream_t *stream, int status)
{
    if (status == 0) {
        session_accept(stream->data);
    }
}

static bool door_open(struct port *from, struct port *to, char *why)
{
    struct net *n = from->net;
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = to->relay->target.sin_port,
                             .sin_addr = from->relay->via};
    struct door *d = calloc(1, sizeof *d);

    CHECK(d != NULL && uv_tcp_init(&n->loop, &d->tcp) == 0 &&
          uv_udp_init(&n->loop, &d->udp) == 0);
    d->net = n;
    d->from = from->index;
    d->to = to->index;
    d->handles = 2;
    d->tcp.data = d;
    d->udp.data = d;
    int err = uv_tcp_bind(&d->tcp, sockaddr_of(&at), 0);
    err = err != 0 ? err
                   : uv_listen((uv_stream_t *)&d->tcp, BACKLOG, on_connection);
    err = err != 0 ? err : datagram_open(d, &at);
    if (err != 0) {
        char host[INET_ADDRSTRLEN];
        (void)inet_ntop(AF_INET, &at.sin_addr, host, sizeof host);
        snprintf(why, WHY_MAX, "%s:%u: %s", host, ntohs(at.sin_port),
                 uv_strerror(err));
        door_close(d);
        return false;
    }
    from->relay->doors[to->index] = d;
    return true;
}

/* ---- the port --------------------------------------------------------------
 */

static void relay_close(struct port *p)
{
    struct net *n = p->net;

    sessions_end(p);
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        struct relay *other = n->ports[i].relay;
        if (p->relay->doors[i] != NULL) {
            door_close(p->relay->doors[i]);
        }
        if (other != NULL && other->doors[p->index] != NULL) {
            door_close(other->doors[p->index]);
            other->doors[p->index] = NULL;
        }
    }
    free(p->relay);
    p->relay = NULL;
}

const struct port_kind relay_kind = {"relay", relay_send, relay_close};

static bool read_target(const char *text, struct sockaddr_in *to)
{
    char host[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    char *end;

    if (colon == NULL || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    const unsigned long port = strtoul(colon + 1, &end, 10);
    *to = (struct sockaddr_in){.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &to->sin_addr) == 1 && *end == '\0' &&
           port >= 1 && port <= 65535;
}

bool relay_open(struct port *p, char **words, size_t count, char *why)
{
    struct net *n = p->net;
    struct relay *r = calloc(1, sizeof *r);

    CHECK(r != NULL);
    if (count != 2 || !read_target(words[0], &r->target) ||
        inet_pton(AF_INET, words[1], &r->via) != 1) {
        snprintf(why, WHY_MAX, "say: port NAME relay HOST:PORT VIA");
        free(r);
        return false;
    }
    p->relay = r;
    for (uint32_t i = 0; i < PORTS_MAX; i++) {
        struct port *other = &n->ports[i];
        if (other != p && other->relay != NULL &&
            (!door_open(p, other, why) || !door_open(other, p, why))) {
            relay_close(p);
            return false;
        }
    }
    return true;
}
