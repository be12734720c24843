#include "frames.h"

#include "fields.h"
#include "nucleus/base/ui.h"

/* ---- DATA ------------------------------------------------------------------
 */

static bool is_void(const struct net_frame *f)
{
    return (f->u.data.flags & NET_DATA_VOID) != 0;
}

/* A plain send has nothing but bytes. */
static bool is_extended(const struct net_frame *f)
{
    const struct msg *m = &f->u.data.msg;

    if (is_void(f)) {
        return false;
    }
    return m->kind != MSG_SEND ||
           (m->target.hi | m->target.lo | m->reply_to.hi | m->reply_to.lo |
            m->call | m->remaining_ms | m->status) != 0;
}

uint32_t frames_data_size(const struct net_frame *f)
{
    const uint32_t extension = is_extended(f) ? FRAMES_EXTENSION_SIZE : 0;
    const uint32_t bytes = is_void(f) ? 0 : f->u.data.size;

    CHECK(bytes <= NET_FRAGMENT_BYTES);
    return FRAMES_DATA_SIZE + extension + bytes;
}

uint8_t frames_data_flags(const struct net_frame *f)
{
    const unsigned extended = is_extended(f) ? FRAMES_DATA_EXTENDED : 0;
    return (uint8_t)(f->u.data.flags | extended);
}

static void put_extension(const struct msg *m, struct writer *w)
{
    write_u64(w, m->call);
    put_ui(w, m->reply_to);
    put_ui(w, m->target);
    write_u32(w, m->remaining_ms);
    write_u16(w, m->status);
    write_u16(w, 0);
}

void frames_put_data(const struct net_frame *f, struct writer *w)
{
    const struct net_data *d = &f->u.data;
    const bool empty = is_void(f);

    write_u32(w, d->handle);
    write_u16(w, d->round);
    write_u8(w, empty ? 0 : d->msg.annex_bytes);
    write_u8(w, empty ? 0 : (uint8_t)d->msg.kind);
    write_u64(w, d->seq);
    write_u32(w, empty ? 0 : d->total);
    write_u32(w, empty ? 0 : d->offset);
    if (is_extended(f)) {
        put_extension(&d->msg, w);
    }
    if (!empty) {
        write_span(w, d->bytes, d->size);
    }
}

/* @return whether the bytes that must be zero are */
static bool get_extension(struct reader *r, struct msg *m)
{
    m->call = read_u64(r);
    m->reply_to = get_ui(r);
    m->target = get_ui(r);
    m->remaining_ms = read_u32(r);
    m->status = read_u16(r);
    return read_u16(r) == 0;
}

static bool status_ok(const struct msg *m)
{
    if (m->kind == MSG_NEWS) {
        return m->status >= MOTET_NEWS_CLOSED &&
               m->status <= MOTET_NEWS_LEFT_GROUP;
    }
    return m->status < MOTET_E_COUNT;
}

/* The fragment lies inside the message, which ends where MORE says. */
static bool fragment_ok(const struct net_data *d)
{
    const uint64_t end = (uint64_t)d->offset + d->size;
    const bool more = (d->flags & NET_DATA_MORE) != 0;

    if (d->size > NET_FRAGMENT_BYTES || end > d->total) {
        return false;
    }
    return more == (end < d->total) && (d->size != 0 || d->total == 0);
}

static bool message_ok(const struct net_data *d, bool extended)
{
    const struct msg *m = &d->msg;

    if (m->kind < MSG_SEND || m->kind >= MSG_KIND_COUNT) {
        return false;
    }
    if (m->kind != MSG_SEND && !extended) {
        return false;
    }
    return m->annex_bytes <= MOTET_ANNEX_MAX && m->annex_bytes <= d->total &&
           status_ok(m) && fragment_ok(d);
}

static bool void_ok(const struct net_data *d, bool extended)
{
    return !extended && (d->flags & NET_DATA_MORE) == 0 &&
           (d->msg.annex_bytes | (unsigned)d->msg.kind | d->total | d->offset |
            d->size) == 0;
}

bool frames_get_data(struct frame_in *in, struct net_frame *f)
{
    const bool extended = (in->flags & FRAMES_DATA_EXTENDED) != 0;
    struct net_data *d = &f->u.data;
    struct reader *r = &in->r;
    bool ok = true;

    d->flags = (uint8_t)(in->flags & ~(unsigned)FRAMES_DATA_EXTENDED);
    d->handle = read_u32(r);
    d->round = read_u16(r);
    d->msg.annex_bytes = read_u8(r);
    d->msg.kind = (enum msg_kind)read_u8(r);
    d->seq = read_u64(r);
    d->total = read_u32(r);
    d->offset = read_u32(r);
    if (extended) {
        ok = get_extension(r, &d->msg);
    }
    d->size = (uint32_t)reader_left(r);
    d->bytes = read_span(r, d->size);
    if (!ok || d->seq == 0) {
        return false;
    }
    return is_void(f) ? void_ok(d, extended) : message_ok(d, extended);
}

/* ---- BIND, UNBOUND ---------------------------------------------------------
 */

uint8_t frames_bind_flags(const struct net_frame *f)
{
    const unsigned returning = f->u.bind.returning ? FRAMES_BIND_RETURNING : 0;
    const unsigned resume = f->u.bind.resume ? FRAMES_BIND_RESUME : 0;
    return (uint8_t)(returning | resume);
}

void frames_put_bind(const struct net_frame *f, struct writer *w)
{
    const struct net_bind *b = &f->u.bind;

    write_u32(w, b->handle);
    put_ui(w, b->src);
    put_ui(w, b->dst);
    put_pi(w, b->pi);
    write_u64(w, b->epoch);
    write_u64(w, b->base);
    write_u64(w, b->src_epoch);
    write_u64(w, b->origin_site);
    write_u64(w, b->origin_epoch);
}

static bool is_end_of_flow(struct motet_ui ui)
{
    return ui_kind(ui) != UI_NONE && !ui_is_group(ui);
}

bool frames_get_bind(struct frame_in *in, struct net_frame *f)
{
    struct net_bind *b = &f->u.bind;
    struct reader *r = &in->r;

    b->returning = (in->flags & FRAMES_BIND_RETURNING) != 0;
    b->resume = (in->flags & FRAMES_BIND_RESUME) != 0;
    b->handle = read_u32(r);
    b->src = get_ui(r);
    b->dst = get_ui(r);
    b->pi = get_pi(r);
    b->epoch = read_u64(r);
    b->base = read_u64(r);
    b->src_epoch = read_u64(r);
    b->origin_site = read_u64(r);
    b->origin_epoch = read_u64(r);
    return is_end_of_flow(b->src) && is_end_of_flow(b->dst);
}

void frames_put_unbound(const struct net_frame *f, struct writer *w)
{
    write_u32(w, f->u.unbound);
}

bool frames_get_unbound(struct frame_in *in, struct net_frame *f)
{
    f->u.unbound = read_u32(&in->r);
    return true;
}

/* ---- ACK, MOVED ------------------------------------------------------------
 */

uint8_t frames_ack_flags(const struct net_frame *f)
{
    return f->u.ack.flags;
}

void frames_put_ack(const struct net_frame *f, struct writer *w)
{
    const struct net_ack *a = &f->u.ack;

    write_u32(w, a->handle);
    write_u16(w, a->round);
    write_u16(w, a->status);
    write_u64(w, a->next);
    write_u64(w, a->credit_msgs);
    write_u32(w, a->credit_bytes);
}

bool frames_get_ack(struct frame_in *in, struct net_frame *f)
{
    struct net_ack *a = &f->u.ack;
    struct reader *r = &in->r;

    a->flags = in->flags;
    a->handle = read_u32(r);
    a->round = read_u16(r);
    a->status = read_u16(r);
    a->next = read_u64(r);
    a->credit_msgs = read_u64(r);
    a->credit_bytes = read_u32(r);
    return a->status < MOTET_E_COUNT;
}

void frames_put_moved(const struct net_frame *f, struct writer *w)
{
    const struct net_moved *m = &f->u.moved;

    write_u32(w, m->handle);
    write_u32(w, m->incarnation);
    write_u64(w, m->site);
    write_u64(w, m->epoch);
    write_u64(w, m->next);
}

bool frames_get_moved(struct frame_in *in, struct net_frame *f)
{
    struct net_moved *m = &f->u.moved;
    struct reader *r = &in->r;

    m->handle = read_u32(r);
    m->incarnation = read_u32(r);
    m->site = read_u64(r);
    m->epoch = read_u64(r);
    m->next = read_u64(r);
    return m->site != 0;
}

/* ---- PING, PONG, CTL -------------------------------------------------------
 */

void frames_put_ping(const struct net_frame *f, struct writer *w)
{
    write_u64(w, f->u.ping);
}

bool frames_get_ping(struct frame_in *in, struct net_frame *f)
{
    f->u.ping = read_u64(&in->r);
    return true;
}

uint32_t frames_ctl_size(const struct net_frame *f)
{
    CHECK(f->u.ctl.size <= NET_CTL_BYTES_MAX);
    return f->u.ctl.size;
}

void frames_put_ctl(const struct net_frame *f, struct writer *w)
{
    write_span(w, f->u.ctl.bytes, f->u.ctl.size);
}

bool frames_get_ctl(struct frame_in *in, struct net_frame *f)
{
    f->u.ctl.size = (uint32_t)reader_left(&in->r);
    f->u.ctl.bytes = read_span(&in->r, f->u.ctl.size);
    return true;
}
