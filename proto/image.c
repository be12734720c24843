#include "image.h"

#include "fields.h"
#include "nucleus/base/ui.h"

/* ---- Frames ----------------------------------------------------------------
 */

void wire_encode_migrate(const struct wire_migrate *m, struct writer *w)
{
    const struct mig_frame *f = &m->frame;
    write_u8(w, WIRE_MIGRATE_VERSION);
    write_u8(w, (uint8_t)f->kind);
    write_u16(w, (uint16_t)f->err);
    write_u16(w, m->part);
    write_u16(w, m->parts);
    write_u64(w, f->xid.site);
    write_u64(w, f->xid.number);
    write_u32(w, f->xid.incarnation);
    write_u32(w, f->from_incarnation);
    write_u32(w, f->to_incarnation);
    write_u32(w, 0);
    write_u64(w, f->settled);
}

bool wire_decode_migrate(const uint8_t *data, size_t size,
                         struct wire_migrate *m)
{
    struct reader r = reader_of(data, size);
    struct mig_frame *f = &m->frame;
    const uint8_t version = read_u8(&r);
    f->kind = (enum mig_frame_kind)read_u8(&r);
    f->err = (enum motet_err)read_u16(&r);
    m->part = read_u16(&r);
    m->parts = read_u16(&r);
    f->xid.site = read_u64(&r);
    f->xid.number = read_u64(&r);
    f->xid.incarnation = read_u32(&r);
    f->from_incarnation = read_u32(&r);
    f->to_incarnation = read_u32(&r);
    const uint32_t zero = read_u32(&r);
    f->settled = read_u64(&r);
    m->size = (uint32_t)reader_left(&r);
    m->bytes = read_span(&r, m->size);
    if (!reader_ok(&r) || version != WIRE_MIGRATE_VERSION || zero != 0 ||
        f->kind < MIG_PREPARE || f->kind >= MIG_FRAME_COUNT ||
        (unsigned)f->err >= MOTET_E_COUNT || f->xid.site == 0 ||
        f->xid.number == 0 || f->xid.incarnation == 0) {
        return false;
    }
    if (f->kind != MIG_PREPARE) {
        return m->part == 0 && m->parts == 1 && m->size == 0;
    }
    return m->parts >= 1 && m->parts <= WIRE_PARTS_MAX && m->part < m->parts &&
           m->size <= WIRE_PART_BYTES && m->size > 0;
}

/* ---- Content ---------------------------------------------------------------
 */

void wire_encode_content(const struct wire_content *c, struct writer *w)
{
    const size_t length = strnlen(c->actor, MOTET_NAME_MAX);
    write_u32(w, c->count);
    write_u8(w, c->flags);
    write_u8(w, (uint8_t)length);
    write_u16(w, 0);
    write_span(w, c->actor, length);
}

static bool name_or_none(const char *name)
{
    return name[0] == '\0' || ui_name_ok(name);
}

bool wire_decode_content(struct reader *r, struct wire_content *c)
{
    c->count = read_u32(r);
    c->flags = read_u8(r);
    const uint8_t length = read_u8(r);
    const uint16_t zero = read_u16(r);
    return get_name_of(r, length, c->actor) && name_or_none(c->actor) &&
           zero == 0 && (c->flags & ~(unsigned)WIRE_CONTENT_ACTOR) == 0;
}

void wire_encode_port(const struct mig_port *p, struct writer *w)
{
    put_ui(w, p->ui);
    write_u64(w, p->epoch);
}

struct mig_port wire_decode_port(struct reader *r)
{
    struct mig_port p;
    p.ui = get_ui(r);
    p.epoch = read_u64(r);
    return p;
}

/* ---- Items -----------------------------------------------------------------
 */

/* Groups of fields. Each item has those of its kind, in this order. */
enum field {
    F_PORT = 1 << 0,
    F_PEER = 1 << 1,
    F_PLACE = 1 << 2,
    F_EPOCH = 1 << 3,
    F_PI = 1 << 4,
    F_ATTR = 1 << 5, /* key, limits, enabled, priority */
    F_SEQ = 1 << 6,
    F_NAME = 1 << 7,
    F_TEXT = 1 << 8,
    F_ID = 1 << 9,
    F_MSG = 1 << 10,
    F_LEFT = 1 << 11,
    F_AGE = 1 << 12,
    F_ERRS = 1 << 13, /* err, err2, hops */
    F_FLAG = 1 << 14,
    F_SENT = 1 << 15, /* ticket, token, role, notify, wait */
    F_DEST = 1 << 16,
    F_FLOW = 1 << 17, /* returning, origin, base, hi, end */
    F_HOLDER = 1 << 18,
};

enum data { DATA_NONE, DATA_MSG, DATA_OWN };

static const struct {
    uint32_t fields;
    enum data data;
} kinds[IMAGE_KIND_COUNT] = {
    [IMAGE_ACTOR] = {F_NAME | F_TEXT, DATA_OWN},
    [IMAGE_TIMER] = {F_ID | F_LEFT, DATA_NONE},
    [IMAGE_PORT] = {F_PORT | F_PI | F_ATTR | F_SEQ, DATA_NONE},
    [IMAGE_MEMBER] = {F_PEER | F_NAME, DATA_NONE},
    [IMAGE_HELD] = {F_PLACE | F_EPOCH | F_ID | F_MSG | F_LEFT | F_FLAG |
                        F_HOLDER,
                    DATA_MSG},
    [IMAGE_QUEUED] = {F_PEER | F_SEQ | F_ID | F_MSG | F_AGE, DATA_MSG},
    [IMAGE_CALL] = {F_PEER | F_PLACE | F_EPOCH | F_ID | F_LEFT | F_ERRS |
                        F_FLAG,
                    DATA_NONE},
    [IMAGE_WATCH] = {F_PEER | F_PLACE | F_EPOCH | F_ID, DATA_NONE},
    [IMAGE_WATCHER] = {F_PEER | F_PLACE | F_EPOCH | F_ID, DATA_NONE},
    [IMAGE_PARCEL] = {F_PORT | F_PEER | F_ID | F_MSG | F_LEFT | F_ERRS |
                          F_FLAG | F_SENT,
                      DATA_NONE},
    [IMAGE_STALLED] = {F_PORT | F_PEER | F_ID | F_MSG | F_LEFT | F_ERRS |
                           F_FLAG | F_SENT,
                       DATA_MSG},
    [IMAGE_WAITING] = {F_PORT | F_PEER | F_ID | F_MSG | F_LEFT | F_ERRS |
                           F_FLAG | F_SENT | F_DEST,
                       DATA_MSG},
    [IMAGE_SFLOW] = {F_PORT | F_PEER | F_PLACE | F_EPOCH | F_FLOW, DATA_NONE},
    [IMAGE_KEPT] = {F_MSG | F_LEFT | F_FLAG | F_SENT, DATA_MSG},
    [IMAGE_RFLOW] = {F_PORT | F_PEER | F_PLACE | F_EPOCH | F_PI | F_FLOW,
                     DATA_NONE},
};

static void put_msg(const struct msg *m, struct writer *w)
{
    write_u8(w, (uint8_t)m->kind);
    write_u8(w, m->annex_bytes);
    write_u16(w, m->status);
    write_u32(w, m->remaining_ms);
    write_u64(w, m->call);
    put_ui(w, m->reply_to);
    put_ui(w, m->target);
    put_pi(w, m->pi);
}

static bool get_msg(struct reader *r, struct msg *m)
{
    m->kind = (enum msg_kind)read_u8(r);
    m->annex_bytes = read_u8(r);
    m->status = read_u16(r);
    m->remaining_ms = read_u32(r);
    m->call = read_u64(r);
    m->reply_to = get_ui(r);
    m->target = get_ui(r);
    m->pi = get_pi(r);
    return m->kind >= MSG_SEND && m->kind < MSG_KIND_COUNT &&
           m->annex_bytes <= MOTET_ANNEX_MAX;
}

static void put_first(const struct image_item *it, uint32_t f, struct writer *w)
{
    if ((f & F_PORT) != 0) {
        put_ui(w, it->port);
    }
    if ((f & F_PEER) != 0) {
        put_ui(w, it->peer);
    }
    if ((f & F_PLACE) != 0) {
        write_u64(w, it->place.site);
        write_u32(w, it->place.incarnation);
    }
    if ((f & F_EPOCH) != 0) {
        write_u64(w, it->epoch);
    }
    if ((f & F_PI) != 0) {
        put_pi(w, it->pi);
    }
    if ((f & F_ATTR) != 0) {
        write_u64(w, it->key);
        write_u32(w, it->msgs);
        write_u32(w, it->bytes);
        write_u8(w, it->enabled);
        write_u8(w, it->priority);
    }
    if ((f & F_SEQ) != 0) {
        write_u64(w, it->seq);
    }
    if ((f & F_NAME) != 0) {
        put_name(w, it->name);
    }
    if ((f & F_TEXT) != 0) {
        put_name(w, it->text);
    }
}

static void put_second(const struct image_item *it, uint32_t f,
                       struct writer *w)
{
    if ((f & F_ID) != 0) {
        write_u64(w, it->id);
    }
    if ((f & F_MSG) != 0) {
        put_msg(&it->msg, w);
    }
    if ((f & F_LEFT) != 0) {
        write_u64(w, it->left_ns);
    }
    if ((f & F_AGE) != 0) {
        write_u64(w, it->age_ns);
    }
    if ((f & F_ERRS) != 0) {
        write_u16(w, (uint16_t)it->err);
        write_u16(w, (uint16_t)it->err2);
        write_u16(w, it->hops);
    }
    if ((f & F_FLAG) != 0) {
        write_u8(w, it->flag);
    }
    if ((f & F_SENT) != 0) {
        write_u64(w, it->ticket);
        write_u64(w, it->token);
        write_u8(w, it->role);
        write_u8(w, it->notify);
        write_u8(w, it->wait);
    }
    if ((f & F_DEST) != 0) {
        put_dest(w, &it->dest);
    }
    if ((f & F_FLOW) != 0) {
        write_u8(w, it->returning);
        write_u64(w, it->origin.site);
        write_u64(w, it->origin_epoch);
        write_u64(w, it->base);
        write_u64(w, it->hi);
        write_u64(w, it->end);
    }
    if ((f & F_HOLDER) != 0) {
        write_u64(w, it->holder.site);
        write_u32(w, it->holder.incarnation);
    }
}

static const struct buf *data_of(const struct image_item *it)
{
    switch (kinds[it->kind].data) {
    case DATA_MSG:
        return it->msg.data;
    case DATA_OWN:
        return it->data;
    case DATA_NONE:
        break;
    }
    return NULL;
}

void wire_encode_item(const struct image_item *it, struct writer *w,
                      const struct buf **data)
{
    uint8_t fields[WIRE_ITEM_FIELDS_MAX];
    struct writer f = writer_of(fields, sizeof fields);
    CHECK(it->kind >= IMAGE_ACTOR && it->kind < IMAGE_KIND_COUNT);
    put_first(it, kinds[it->kind].fields, &f);
    put_second(it, kinds[it->kind].fields, &f);
    CHECK(writer_ok(&f));
    *data = data_of(it);
    write_u8(w, (uint8_t)it->kind);
    write_u8(w, 0);
    write_u16(w, 0);
    write_u32(w, (uint32_t)f.at);
    write_u32(w, *data != NULL ? (*data)->size : 0);
    write_span(w, fields, f.at);
}

static bool get_first(struct reader *r, uint32_t f, struct image_item *it)
{
    bool ok = true;
    if ((f & F_PORT) != 0) {
        it->port = get_ui(r);
    }
    if ((f & F_PEER) != 0) {
        it->peer = get_ui(r);
    }
    if ((f & F_PLACE) != 0) {
        it->place.site = read_u64(r);
        it->place.incarnation = read_u32(r);
    }
    if ((f & F_EPOCH) != 0) {
        it->epoch = read_u64(r);
    }
    if ((f & F_PI) != 0) {
        it->pi = get_pi(r);
    }
    if ((f & F_ATTR) != 0) {
        it->key = read_u64(r);
        it->msgs = read_u32(r);
        it->bytes = read_u32(r);
        ok = get_bool(r, &it->enabled);
        it->priority = read_u8(r);
    }
    if ((f & F_SEQ) != 0) {
        it->seq = read_u64(r);
    }
    if ((f & F_NAME) != 0) {
        ok = get_name(r, it->name) && name_or_none(it->name) && ok;
    }
    if ((f & F_TEXT) != 0) {
        ok = get_name(r, it->text) && name_or_none(it->text) && ok;
    }
    return ok;
}

static bool get_errs(struct reader *r, struct image_item *it)
{
    const uint16_t err = read_u16(r);
    const uint16_t err2 = read_u16(r);
    it->hops = read_u16(r);
    if (err >= MOTET_E_COUNT || err2 >= MOTET_E_COUNT) {
        return false;
    }
    it->err = (enum motet_err)err;
    it->err2 = (enum motet_err)err2;
    return true;
}

static bool get_second(struct reader *r, uint32_t f, struct image_item *it)
{
    bool ok = true;
    if ((f & F_ID) != 0) {
        it->id = read_u64(r);
    }
    if ((f & F_MSG) != 0) {
        ok = get_msg(r, &it->msg);
    }
    if ((f & F_LEFT) != 0) {
        it->left_ns = read_u64(r);
    }
    if ((f & F_AGE) != 0) {
        it->age_ns = read_u64(r);
    }
    if ((f & F_ERRS) != 0) {
        ok = get_errs(r, it) && ok;
    }
    if ((f & F_FLAG) != 0) {
        ok = get_bool(r, &it->flag) && ok;
    }
    if ((f & F_SENT) != 0) {
        it->ticket = read_u64(r);
        it->token = read_u64(r);
        it->role = read_u8(r);
        it->notify = read_u8(r);
        ok = get_bool(r, &it->wait) && ok;
    }
    if ((f & F_DEST) != 0) {
        ok = get_dest(r, &it->dest) && ok;
    }
    if ((f & F_FLOW) != 0) {
        ok = get_bool(r, &it->returning) && ok;
        it->origin.site = read_u64(r);
        it->origin_epoch = read_u64(r);
        it->base = read_u64(r);
        it->hi = read_u64(r);
        it->end = read_u64(r);
    }
    if ((f & F_HOLDER) != 0) {
        it->holder.site = read_u64(r);
        it->holder.incarnation = read_u32(r);
    }
    return ok;
}

bool wire_decode_item(struct reader *r, struct image_item *it,
                      const uint8_t **data, uint32_t *size)
{
    *it = (struct image_item){0};
    const uint8_t kind = read_u8(r);
    const bool zero = (read_u8(r) | read_u16(r)) == 0;
    const uint32_t field_bytes = read_u32(r);
    *size = read_u32(r);
    const uint8_t *fields = read_span(r, field_bytes);
    *data = read_span(r, *size);
    if (!reader_ok(r) || !zero || kind < IMAGE_ACTOR ||
        kind >= IMAGE_KIND_COUNT ||
        (*size > 0 && kinds[kind].data == DATA_NONE)) {
        return false;
    }
    it->kind = (enum image_kind)kind;
    struct reader f = reader_of(fields, field_bytes);
    return get_first(&f, kinds[kind].fields, it) &&
           get_second(&f, kinds[kind].fields, it) && reader_done(&f) &&
           it->msg.annex_bytes <= *size;
}
