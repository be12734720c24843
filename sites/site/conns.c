#include <string.h>

#include "inside.h"

enum { PACKET_PREFIX = 4 }; /* the length of a packet, inside `out` only */

void conns_init(struct site *s)
{
    list_init(&s->conns);
    list_init(&s->dirty);
    map_init(&s->conn_by_id, &s->own, prng_next(&s->prng));
}

void site_conn_free(struct site *s, struct conn *c)
{
    if (!c->fast && c->way != NULL) {
        paths_gone(s, c);
    }
    list_remove(&c->link);
    list_remove(&c->dirty);
    map_remove(&s->conn_by_id, c->id, 0);
    mem_free(&s->mem, c->in, c->in_capacity);
    mem_free(&s->mem, c->out, c->out_capacity);
    if (s->written == c) {
        s->written = NULL;
    }
    mem_free(&s->own, c, sizeof *c);
}

void conns_fini(struct site *s)
{
    list_foreach (it, &s->conns) {
        LIST_ENTRY(it, struct conn, link)->way = NULL; /* see paths_fini() */
        site_conn_free(s, LIST_ENTRY(it, struct conn, link));
    }
    map_fini(&s->conn_by_id);
}

void conn_up(struct site *s, const struct site_in *in)
{
    struct conn *c = mem_alloc(&s->own, sizeof *c);

    CHECK(c != NULL);
    CHECK(map_get(&s->conn_by_id, in->conn, 0) == NULL);
    c->id = in->conn;
    c->datagram = in->datagram;
    if (in->secret != NULL) {
        memcpy(c->secret, in->secret, sizeof c->secret);
    }
    if (in->udp != NULL) {
        c->has_udp = true;
        c->udp = *in->udp;
    }
    CHECK(map_put(&s->conn_by_id, c->id, 0, c));
    list_append(&s->conns, &c->link);
    site_net(s, &(struct net_in){.kind = NET_IN_CONN_UP,
                                 .conn = in->conn,
                                 .site = in->peer,
                                 .dial = in->dial,
                                 .datagram = in->datagram,
                                 .addr = in->addr});
}

void conn_down(struct site *s, uint64_t id)
{
    struct conn *c = map_get(&s->conn_by_id, id, 0);

    if (c == NULL) {
        return;
    }
    bool dead = c->dead;
    site_conn_free(s, c);
    if (!dead) {
        site_net(s, &(struct net_in){.kind = NET_IN_CONN_DOWN, .conn = id});
    }
}

/* ---- in --------------------------------------------------------------------
 */

static void violation(struct site *s, struct conn *c)
{
    site_net(s, &(struct net_in){.kind = NET_IN_VIOLATION, .conn = c->id});
    site_settle(s);
}

/* Reads whole frames from `data`; returns the bytes used. `c` may be closed on
 * the way (c->dead), but it is not freed. */
static size_t read_frames(struct site *s, struct conn *c, const uint8_t *data,
                          size_t size)
{
    size_t at = 0;

    while (at < size && !c->dead) {
        struct net_frame frame;
        size_t used = 0;
        enum wire_result r = wire_decode(s->frames, data + at, size - at,
                                         c->known, &frame, &used);
        if (r == WIRE_MORE) {
            break;
        }
        if (r == WIRE_BAD && c->datagram && !c->known) {
            return size; /* it came before the HELLO, which will come again */
        }
        if (r == WIRE_BAD) {
            violation(s, c);
            return size;
        }
        c->known = c->known || frame.kind == NET_HELLO;
        at += used;
        site_frame(s, c->id, &frame);
    }
    return at;
}

static bool reserve(struct mem *mem, uint8_t **data, size_t *capacity,
                    size_t need)
{
    size_t want = *capacity == 0 ? 4096 : *capacity;

    if (need <= *capacity) {
        return true;
    }
    while (want < need) {
        want *= 2;
    }
    uint8_t *grown = mem_resize(mem, *data, *capacity, want);
    if (grown == NULL) {
        return false;
    }
    *data = grown;
    *capacity = want;
    return true;
}

/* Keeps what is left of a stream until more comes. */
static void keep_rest(struct site *s, struct conn *c, const uint8_t *rest,
                      size_t size)
{
    if (!reserve(&s->mem, &c->in, &c->in_capacity, size)) {
        violation(s, c);
        return;
    }
    memmove(c->in, rest, size);
    c->in_size = size;
}

void conn_bytes(struct site *s, const struct site_in *in)
{
    struct conn *c = map_get(&s->conn_by_id, in->conn, 0);

    if (c == NULL || c->dead) {
        return;
    }
    if (c->datagram) {
        if (read_frames(s, c, in->bytes, in->size) != in->size && !c->dead) {
            violation(s, c);
        }
        return;
    }
    const uint8_t *data = in->bytes;
    size_t size = in->size;
    if (c->in_size > 0) {
        if (!reserve(&s->mem, &c->in, &c->in_capacity, c->in_size + size)) {
            violation(s, c);
            return;
        }
        memcpy(c->in + c->in_size, data, size);
        data = c->in;
        size += c->in_size;
        c->in_size = 0;
    }
    size_t used = read_frames(s, c, data, size);
    if (!c->dead && used < size) {
        keep_rest(s, c, data + used, size - used);
    }
}

/* ---- out -------------------------------------------------------------------
 */

static void open_packet(struct conn *c)
{
    memset(c->out + c->out_size, 0, PACKET_PREFIX);
    c->packet = c->out_size;
    c->out_size += PACKET_PREFIX;
}

static void grow_packet(struct conn *c, size_t size)
{
    uint32_t length;

    memcpy(&length, c->out + c->packet, PACKET_PREFIX);
    length += (uint32_t)size;
    memcpy(c->out + c->packet, &length, PACKET_PREFIX);
}

static bool packet_takes(const struct conn *c, size_t size)
{
    size_t length = c->out_size - c->packet - PACKET_PREFIX;

    return c->out_size > c->out_at && length + size <= WIRE_FRAME_MAX;
}

void conn_frame(struct site *s, uint64_t id, const struct net_frame *f)
{
    struct conn *c = map_get(&s->conn_by_id, id, 0);
    size_t size = wire_size(f);

    if (c == NULL || c->dead) {
        return;
    }
    if (c->fast) {
        paths_frame(s, c, f);
        return;
    }
    if (c->out_size + size > SITE_OUT_BYTES_MAX ||
        !reserve(&s->mem, &c->out, &c->out_capacity,
                 c->out_size + size + PACKET_PREFIX)) {
        site_conn_close(s,
                        id); /* not drained or no memory: it is dialed again */
        site_net(s, &(struct net_in){.kind = NET_IN_CONN_DOWN, .conn = id});
        return;
    }
    if (c->datagram) {
        if (!packet_takes(c, size)) {
            open_packet(c);
        }
        grow_packet(c, size);
    }
    struct writer w = writer_of(c->out + c->out_size, size);
    wire_encode(f, &w);
    CHECK(writer_ok(&w) && w.at == size);
    c->out_size += size;
    if (!list_linked(&c->dirty)) {
        list_append(&s->dirty, &c->dirty);
    }
}

void site_conn_close(struct site *s, uint64_t id)
{
    struct conn *c = map_get(&s->conn_by_id, id, 0);

    if (c == NULL || c->dead) {
        return;
    }
    if (c->fast) {
        paths_close(s, c);
        return;
    }
    if (c->way != NULL) {
        paths_gone(s, c);
    }
    c->dead = true;
    site_note(s, SITE_CLOSE, NULL, NULL, NULL)->e.conn = id;
}

void conn_taken(struct site *s)
{
    struct conn *c = s->written;

    s->written = NULL;
    if (c == NULL) {
        return;
    }
    if (c->out_at == c->out_size) {
        c->out_at = 0;
        c->out_size = 0;
        c->packet = 0;
        list_remove(&c->dirty);
    }
}

bool conn_take(struct site *s, struct site_effect *e)
{
    struct list *first = list_first(&s->dirty);

    if (first == NULL) {
        return false;
    }
    struct conn *c = LIST_ENTRY(first, struct conn, dirty);
    size_t size = c->out_size - c->out_at;
    if (c->datagram) {
        uint32_t length;
        memcpy(&length, c->out + c->out_at, PACKET_PREFIX);
        c->out_at += PACKET_PREFIX;
        size = length;
    }
    *e = (struct site_effect){.kind = SITE_WRITE,
                              .conn = c->id,
                              .bytes = c->out + c->out_at,
                              .size = size};
    c->out_at += size;
    s->written = c;
    return true;
}
