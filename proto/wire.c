#include "wire.h"

#include "frames.h"
#include "hello.h"

/* What is known of a kind of frame. A kind without a row is refused. */
struct shape {
    uint32_t min, max; /* bytes after the prefix */
    unsigned flags;    /* known ones */
    bool stranger;     /* may come before the peer is known */
    uint32_t (*size)(const struct net_frame *f);     /* NULL: always `min` */
    uint8_t (*get_flags)(const struct net_frame *f); /* NULL: none */
    void (*put)(const struct net_frame *f, struct writer *w); /* NULL: empty */
    bool (*get)(struct frame_in *in, struct net_frame *f);
};

enum {
    HELLO_MAX = WIRE_HELLO_MAX - WIRE_PREFIX_BYTES,
    DATA_MAX = FRAMES_DATA_SIZE + FRAMES_EXTENSION_SIZE + NET_FRAGMENT_BYTES,
};

_Static_assert(WIRE_PREFIX_BYTES + DATA_MAX <= WIRE_FRAME_MAX, "DATA fits");
_Static_assert(WIRE_PREFIX_BYTES + NET_CTL_BYTES_MAX <= WIRE_FRAME_MAX,
               "CTL fits");

/* clang-format off */
static const struct shape shapes[NET_FRAME_COUNT] = {
    [NET_HELLO] = {0, HELLO_MAX, 0, true,
                   hello_size, NULL, hello_put, hello_get},
    [NET_REFUSE] = {0, HELLO_MAX, 0, true,
                    refuse_size, NULL, refuse_put, refuse_get},
    [NET_BIND] = {FRAMES_BIND_SIZE, FRAMES_BIND_SIZE, FRAMES_BIND_FLAGS, false,
                  NULL, frames_bind_flags, frames_put_bind, frames_get_bind},
    [NET_UNBOUND] = {FRAMES_UNBOUND_SIZE, FRAMES_UNBOUND_SIZE, 0, false,
                     NULL, NULL, frames_put_unbound, frames_get_unbound},
    [NET_DATA] = {FRAMES_DATA_SIZE, DATA_MAX, FRAMES_DATA_FLAGS, false,
                  frames_data_size, frames_data_flags,
                  frames_put_data, frames_get_data},
    [NET_ACK] = {FRAMES_ACK_SIZE, FRAMES_ACK_SIZE, FRAMES_ACK_FLAGS, false,
                 NULL, frames_ack_flags, frames_put_ack, frames_get_ack},
    [NET_MOVED] = {FRAMES_MOVED_SIZE, FRAMES_MOVED_SIZE, 0, false,
                   NULL, NULL, frames_put_moved, frames_get_moved},
    [NET_CTL] = {0, NET_CTL_BYTES_MAX, 0, false,
                 frames_ctl_size, NULL, frames_put_ctl, frames_get_ctl},
    [NET_PING] = {FRAMES_PING_SIZE, FRAMES_PING_SIZE, 0, false,
                  NULL, NULL, frames_put_ping, frames_get_ping},
    [NET_PONG] = {FRAMES_PING_SIZE, FRAMES_PING_SIZE, 0, false,
                  NULL, NULL, frames_put_ping, frames_get_ping},
    [NET_BYE] = {0, 0, 0, false, NULL, NULL, NULL, NULL},
};
/* clang-format on */

static const struct shape *shape_of(const struct net_frame *f)
{
    CHECK(f->kind >= NET_HELLO && f->kind < NET_FRAME_COUNT);
    return &shapes[f->kind];
}

static uint32_t size_after_prefix(const struct shape *s,
                                  const struct net_frame *f)
{
    return s->size == NULL ? s->min : s->size(f);
}

size_t wire_size(const struct net_frame *f)
{
    return (size_t)WIRE_PREFIX_BYTES + size_after_prefix(shape_of(f), f);
}

void wire_encode(const struct net_frame *f, struct writer *w)
{
    const struct shape *s = shape_of(f);
    const uint8_t flags = s->get_flags == NULL ? 0 : s->get_flags(f);

    CHECK((flags & ~s->flags) == 0);
    write_u8(w, (uint8_t)f->kind);
    write_u8(w, flags);
    write_u16(w, 0);
    write_u32(w, size_after_prefix(s, f));
    if (s->put != NULL) {
        s->put(f, w);
    }
}

enum wire_result wire_decode(struct wire_arena *a, const uint8_t *data,
                             size_t size, bool known, struct net_frame *f,
                             size_t *used)
{
    if (size < WIRE_PREFIX_BYTES) {
        return WIRE_MORE;
    }
    struct reader r = reader_of(data, size);
    const uint8_t kind = read_u8(&r);
    const uint8_t flags = read_u8(&r);
    const uint16_t nothing = read_u16(&r);
    const uint32_t left = read_u32(&r);

    if (kind < NET_HELLO || kind >= NET_FRAME_COUNT) {
        return WIRE_BAD;
    }
    const struct shape *s = &shapes[kind];
    if ((!known && !s->stranger) || (flags & ~s->flags) != 0 || nothing != 0 ||
        left < s->min || left > s->max) {
        return WIRE_BAD;
    }
    if (reader_left(&r) < left) {
        return WIRE_MORE;
    }

    struct frame_in in = {
        .arena = a,
        .flags = flags,
        .r = reader_of(read_span(&r, left), left),
    };
    *f = (struct net_frame){.kind = (enum net_frame_kind)kind};
    if (s->get != NULL && !s->get(&in, f)) {
        return WIRE_BAD;
    }
    if (!reader_done(&in.r)) {
        return WIRE_BAD;
    }
    *used = (size_t)WIRE_PREFIX_BYTES + left;
    return WIRE_FRAME;
}
