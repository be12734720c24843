#include <string.h>

#include "relay.h"

/* Datagrams through the relay, each by itself. */

enum { DATAGRAM_MAX = 65536 };

struct datagram {
    struct deadline due; /* the first: net's clock knows it by this */
    struct net *net;
    uint32_t from;
    uint32_t to;
    uint32_t life;
    size_t size;
    uint8_t bytes[];
};

static char read_bytes[DATAGRAM_MAX];

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    (void)handle;
    (void)size;
    *buf = uv_buf_init(read_bytes, sizeof read_bytes);
}

/* Leaves by the door of the opposite pair: that is where it can be answered. */
static void send_on(struct net *n, uint32_t from, uint32_t to, char *bytes,
                    size_t size)
{
    struct port *p = &n->ports[to];
    const uv_buf_t buf = uv_buf_init(bytes, (unsigned)size);

    if (p->relay == NULL || p->relay->doors[from] == NULL ||
        uv_udp_try_send(&p->relay->doors[from]->udp, &buf, 1,
                        sockaddr_of(&p->relay->target)) < 0) {
        p->lost++;
    } else {
        p->tx++;
    }
}

static void send_later(struct net *n, uint32_t from, uint32_t to,
                       const char *bytes, size_t size,
                       const struct fate_copy *c)
{
    struct datagram *d = mem_alloc_raw(&n->mem, sizeof *d + size);

    if (d == NULL) {
        n->ports[to].lost++;
        return;
    }
    *d = (struct datagram){.net = n,
                           .from = from,
                           .to = to,
                           .life = n->ports[to].life,
                           .size = size};
    memcpy(d->bytes, bytes, size);
    if (c->flip != FATE_WHOLE) {
        d->bytes[c->flip / 8] ^= (uint8_t)(1U << c->flip % 8);
    }
    d->due.kind = DUE_DATAGRAM;
    if (!deadline_set(&n->due, &d->due, c->at_ns)) {
        n->ports[to].lost++;
        mem_free(&n->mem, d, sizeof *d + size);
    }
}

void datagram_due(struct datagram *d)
{
    struct net *n = d->net;

    if (n->ports[d->to].life == d->life) {
        send_on(n, d->from, d->to, (char *)d->bytes, d->size);
    }
    mem_free(&n->mem, d, sizeof *d + d->size);
}

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buf,
                        const struct sockaddr *from, unsigned flags)
{
    const struct door *d = udp->data;
    struct net *n = d->net;
    struct fate_verdict v;

    if (size <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0) {
        return;
    }
    n->ports[d->from].rx++;
    const uint64_t now_ns = net_now();
    fate_packet(&n->links[d->from][d->to].fate, now_ns, (size_t)size, &v);
    for (uint32_t i = 0; i < v.count; i++) {
        const struct fate_copy *c = &v.copy[i];
        if (c->at_ns == FATE_NEVER) {
            n->ports[d->to].lost++; /* a clog of datagrams keeps none */
        } else if (c->at_ns <= now_ns && c->flip == FATE_WHOLE) {
            send_on(n, d->from, d->to, buf->base, (size_t)size);
        } else {
            send_later(n, d->from, d->to, buf->base, (size_t)size, c);
        }
    }
    timer_arm(n);
}

int datagram_open(struct door *d, const struct sockaddr_in *at)
{
    const int err = uv_udp_bind(&d->udp, sockaddr_of(at), 0);

    return err != 0 ? err : uv_udp_recv_start(&d->udp, on_alloc, on_datagram);
}
