#include "attach.h"

#include "fields.h"

enum field {
    F_END,
    F_MAGIC,
    F_VERSION,
    F_NAME, /* u8 length, bytes */
    F_ANSWERS,
    F_ERR,
    F_PORT,
    F_SOURCE,
    F_TARGET,
    F_SUBJECT,
    F_CAP,
    F_DEST,
    F_PI,
    F_ATTR,
    F_TIMEOUT,
    F_WAIT,
    F_ON,
    F_HELD,
    F_OF,
    F_WATCH,
    F_SEQ,
    F_REMAINING,
    F_NEWS,
    F_INDEX,
    F_BODY_MAX,
    F_QUEUE,
    F_MEMBERS,
    F_PAYLOAD, /* annex and total; the last one of its op */
};

enum {
    FIELDS_PER_OP = 12,
    MEMBER_BYTES = 24,
    KNOWN_FLAGS = ATTACH_MORE | ATTACH_CONT | ATTACH_VOID,
};

#define TIMEOUT_FOREVER UINT32_MAX /* as a word on the wire */

enum { EVENT = 1 }; /* said by the site without being asked: no id */

struct shape {
    const char *name; /* NULL: no such op */
    enum attach_end from;
    int event;
    uint8_t fields[FIELDS_PER_OP];
};

/* The whole protocol. */
/* clang-format off */
static const struct shape shapes[ATTACH_OP_COUNT] = {
    [ATTACH_HELLO]        = {"HELLO", ATTACH_CLIENT, 0, {F_MAGIC, F_VERSION, F_NAME}},
    [ATTACH_BYE]          = {"BYE", ATTACH_CLIENT, 0, {F_END}},
    [ATTACH_PORT_NEW]     = {"PORT_NEW", ATTACH_CLIENT, 0, {F_ATTR}},
    [ATTACH_PORT_END]     = {"PORT_END", ATTACH_CLIENT, 0, {F_PORT}},
    [ATTACH_PORT_SET]     = {"PORT_SET", ATTACH_CLIENT, 0, {F_PORT, F_ATTR}},
    [ATTACH_PORT_INFO]    = {"PORT_INFO", ATTACH_CLIENT, 0, {F_PORT}},
    [ATTACH_GROUP_NEW]    = {"GROUP_NEW", ATTACH_CLIENT, 0, {F_NAME}},
    [ATTACH_GROUP_INSERT] = {"GROUP_INSERT", ATTACH_CLIENT, 0, {F_CAP, F_PORT}},
    [ATTACH_GROUP_REMOVE] = {"GROUP_REMOVE", ATTACH_CLIENT, 0, {F_CAP, F_PORT}},
    [ATTACH_GROUP_LIST]   = {"GROUP_LIST", ATTACH_CLIENT, 0, {F_TARGET, F_INDEX}},
    [ATTACH_SEND]         = {"SEND", ATTACH_CLIENT, 0, {F_PORT, F_DEST, F_TIMEOUT, F_WAIT, F_PAYLOAD}},
    [ATTACH_CALL]         = {"CALL", ATTACH_CLIENT, 0, {F_PORT, F_DEST, F_TIMEOUT, F_PAYLOAD}},
    [ATTACH_RECEIVE]      = {"RECEIVE", ATTACH_CLIENT, 0, {F_PORT, F_TIMEOUT}},
    [ATTACH_RECEIVE_STOP] = {"RECEIVE_STOP", ATTACH_CLIENT, 0, {F_END}},
    [ATTACH_REPLY]        = {"REPLY", ATTACH_CLIENT, 0, {F_ERR, F_PAYLOAD}},
    [ATTACH_FORWARD]      = {"FORWARD", ATTACH_CLIENT, 0, {F_HELD, F_DEST}},
    [ATTACH_CANCEL]       = {"CANCEL", ATTACH_CLIENT, 0, {F_OF}},
    [ATTACH_WATCH]        = {"WATCH", ATTACH_CLIENT, 0, {F_PORT, F_SUBJECT}},
    [ATTACH_UNWATCH]      = {"UNWATCH", ATTACH_CLIENT, 0, {F_WATCH}},
    [ATTACH_ACTOR_FIND]   = {"ACTOR_FIND", ATTACH_CLIENT, 0, {F_NAME}},
    [ATTACH_ADOPTS]       = {"ADOPTS", ATTACH_CLIENT, 0, {F_ON}},

    [ATTACH_RESULT]       = {"RESULT", ATTACH_SITE, 0, {F_ANSWERS, F_ERR}},
    [ATTACH_SENT]         = {"SENT", ATTACH_SITE, 0, {F_ERR}},
    [ATTACH_CALL_DONE]    = {"CALL_DONE", ATTACH_SITE, 0, {F_ERR, F_SOURCE, F_PAYLOAD}},
    [ATTACH_DELIVER]      = {"DELIVER", ATTACH_SITE, 0,
                             {F_PORT, F_SOURCE, F_TARGET, F_PI, F_HELD, F_SEQ, F_REMAINING,
                              F_NEWS, F_WATCH, F_SUBJECT, F_PAYLOAD}},
    [ATTACH_RECEIVE_END]  = {"RECEIVE_END", ATTACH_SITE, 0, {F_ERR}},
    [ATTACH_ROOM]         = {"ROOM", ATTACH_SITE, EVENT, {F_PORT, F_TARGET}},
    [ATTACH_CANCELLED]    = {"CANCELLED", ATTACH_SITE, EVENT, {F_HELD, F_PORT}},
    [ATTACH_PORT_GONE]    = {"PORT_GONE", ATTACH_SITE, EVENT, {F_PORT}},
    [ATTACH_GONE]         = {"GONE", ATTACH_SITE, EVENT, {F_ERR}},
    [ATTACH_PORT_ADOPTED] = {"PORT_ADOPTED", ATTACH_SITE, EVENT, {F_CAP, F_ATTR, F_SEQ}},
    [ATTACH_PORT_MOVED]   = {"PORT_MOVED", ATTACH_SITE, EVENT, {F_PORT}},
    [ATTACH_FROZEN]       = {"FROZEN", ATTACH_SITE, EVENT, {F_ON}},
};

/* What RESULT carries besides, when err is MOTET_OK. */
static const uint8_t results[ATTACH_OP_COUNT][FIELDS_PER_OP] = {
    [ATTACH_HELLO]      = {F_SOURCE, F_TARGET, F_BODY_MAX, F_NAME},
    [ATTACH_PORT_NEW]   = {F_CAP},
    [ATTACH_PORT_INFO]  = {F_SOURCE, F_NAME, F_ATTR, F_QUEUE, F_SEQ},
    [ATTACH_GROUP_NEW]  = {F_CAP},
    [ATTACH_GROUP_LIST] = {F_MEMBERS},
    [ATTACH_WATCH]      = {F_WATCH},
    [ATTACH_ACTOR_FIND] = {F_TARGET},
};
/* clang-format on */

const char *attach_op_name(enum attach_op op)
{
    const char *name = (size_t)op < ATTACH_OP_COUNT ? shapes[op].name : NULL;
    return name != NULL ? name : "?";
}

static bool op_known(unsigned op)
{
    return op < ATTACH_OP_COUNT && shapes[op].name != NULL;
}

bool attach_has_payload(enum attach_op op)
{
    const uint8_t *fields = shapes[op].fields;
    for (unsigned i = 0; i < FIELDS_PER_OP; i++) {
        if (fields[i] == F_PAYLOAD) {
            return true;
        }
    }
    return false;
}

/* ---- encoding -----------------------------------------------------------
 */

static void put_attr(struct writer *w, const struct attach_frame *f)
{
    write_u8(w, f->enabled);
    write_u8(w, f->priority);
    write_u32(w, f->queue_msgs_max);
    write_u32(w, f->queue_bytes_max);
}

static void put_queue(struct writer *w, const struct attach_frame *f)
{
    write_u32(w, f->queue_msgs);
    write_u32(w, f->queue_bytes);
    write_u32(w, f->waiting);
    write_u64(w, f->oldest_ms);
}

static void put_members(struct writer *w, const struct attach_frame *f)
{
    CHECK(f->member_count <= ATTACH_MEMBERS_MAX);
    write_u8(w, (uint8_t)f->member_count);
    for (uint32_t i = 0; i < f->member_count; i++) {
        put_ui(w, f->members[i].port);
        write_u64(w, f->members[i].site);
    }
}

static uint32_t timeout_word(int64_t timeout_ms)
{
    return timeout_ms < 0 || timeout_ms > ATTACH_TIMEOUT_MAX_MS
               ? TIMEOUT_FOREVER
               : (uint32_t)timeout_ms;
}

static void put_payload(struct writer *w, const struct attach_frame *f)
{
    CHECK(f->annex_bytes <= MOTET_ANNEX_MAX && f->annex_bytes <= f->total);
    write_u8(w, f->annex_bytes);
    write_u32(w, f->total);
}

/* The fields that are more than one number. @return false for the others */
static bool put_compound(struct writer *w, const struct attach_frame *f,
                         enum field field)
{
    if (field == F_NAME) {
        put_name(w, f->name);
    } else if (field == F_CAP) {
        put_ui(w, f->cap.ui);
        write_u64(w, f->cap.key);
    } else if (field == F_DEST) {
        put_dest(w, &f->dest);
    } else if (field == F_PI) {
        put_pi(w, f->pi);
    } else if (field == F_ATTR) {
        put_attr(w, f);
    } else if (field == F_QUEUE) {
        put_queue(w, f);
    } else if (field == F_MEMBERS) {
        put_members(w, f);
    } else if (field == F_PAYLOAD) {
        put_payload(w, f);
    } else {
        return false;
    }
    return true;
}

/* Where a field of one number lies, and its size on the wire. */
struct plain {
    uint16_t offset;
    uint8_t bytes; /* 0: not plain; 16: a UI; enums and bools have rules */
};

/* clang-format off */
#define PLAIN(member, size) {offsetof(struct attach_frame, member), (size)}
static const struct plain plains[F_PAYLOAD + 1] = {
    [F_MAGIC]     = PLAIN(magic, 4),
    [F_VERSION]   = PLAIN(version, 4),
    [F_PORT]      = PLAIN(port, 16),
    [F_SOURCE]    = PLAIN(source, 16),
    [F_TARGET]    = PLAIN(target, 16),
    [F_SUBJECT]   = PLAIN(subject, 16),
    [F_HELD]      = PLAIN(held, 8),
    [F_OF]        = PLAIN(of, 8),
    [F_WATCH]     = PLAIN(watch, 8),
    [F_SEQ]       = PLAIN(seq, 8),
    [F_REMAINING] = PLAIN(remaining_ms, 4),
    [F_NEWS]      = PLAIN(news, 4),
    [F_INDEX]     = PLAIN(index, 4),
    [F_BODY_MAX]  = PLAIN(body_bytes_max, 4),
};
#undef PLAIN
/* clang-format on */

static void put_field(struct writer *w, const struct attach_frame *f,
                      enum field field)
{
    const struct plain plain = plains[field];
    const void *at = (const uint8_t *)f + plain.offset;
    if (plain.bytes == 16) {
        put_ui(w, *(const struct motet_ui *)at);
    } else if (plain.bytes == 8) {
        write_u64(w, *(const uint64_t *)at);
    } else if (plain.bytes == 4) {
        write_u32(w, *(const uint32_t *)at);
    } else if (field == F_ANSWERS) {
        write_u8(w, (uint8_t)f->answers);
    } else if (field == F_ERR) {
        write_u16(w, (uint16_t)f->err);
    } else if (field == F_TIMEOUT) {
        write_u32(w, timeout_word(f->timeout_ms));
    } else if (field == F_WAIT) {
        write_u8(w, f->wait);
    } else if (field == F_ON) {
        write_u8(w, f->on);
    } else {
        CHECK(put_compound(w, f, field));
    }
}

static void put_list(struct writer *w, const struct attach_frame *f,
                     const uint8_t *fields)
{
    for (unsigned i = 0; i < FIELDS_PER_OP && fields[i] != F_END; i++) {
        put_field(w, f, (enum field)fields[i]);
    }
}

size_t attach_fields(const struct attach_frame *f,
                     uint8_t out[ATTACH_FIELDS_MAX])
{
    struct writer w = writer_of(out, ATTACH_FIELDS_MAX);
    CHECK(op_known(f->op));
    put_list(&w, f, shapes[f->op].fields);
    if (f->op == ATTACH_RESULT && f->err == MOTET_OK) {
        put_list(&w, f, results[f->answers]);
    }
    CHECK(writer_ok(&w));
    return w.at;
}

static void put_header(struct writer *w, enum attach_op op, unsigned flags,
                       uint64_t size, uint64_t id)
{
    write_u8(w, (uint8_t)op);
    write_u8(w, (uint8_t)flags);
    write_u16(w, 0);
    write_u32(w, (uint32_t)size);
    write_u64(w, id);
}

bool attach_cut(struct attach_parcel *p, struct writer *w, size_t room,
                uint32_t *chunk)
{
    const uint32_t left = p->total - p->at;
    const uint32_t fields = p->begun ? 0 : p->field_bytes;
    const size_t head = ATTACH_HEADER_BYTES + (size_t)fields;
    const uint32_t least = left < ATTACH_CHUNK_MIN ? left : ATTACH_CHUNK_MIN;
    CHECK(!attach_cut_done(p));
    if (room < head + least) {
        return false;
    }
    *chunk = left < room - head ? left : (uint32_t)(room - head);
    unsigned flags = p->begun ? ATTACH_CONT : 0;
    if (*chunk < left) {
        flags |= ATTACH_MORE;
    }
    put_header(w, p->op, flags, (uint64_t)fields + *chunk, p->id);
    write_span(w, p->fields, fields);
    p->at += *chunk;
    p->begun = true;
    return true;
}

void attach_void(enum attach_op op, uint64_t id, struct writer *w)
{
    put_header(w, op, ATTACH_CONT | ATTACH_VOID, 0, id);
}

/* ---- decoding -----------------------------------------------------------
 */

static bool get_attr(struct reader *r, struct attach_frame *f)
{
    const bool ok = get_bool(r, &f->enabled);
    f->priority = read_u8(r);
    f->queue_msgs_max = read_u32(r);
    f->queue_bytes_max = read_u32(r);
    return ok;
}

static bool get_members(struct reader *r, struct attach_frame *f)
{
    f->member_count = read_u8(r);
    if (f->member_count > ATTACH_MEMBERS_MAX) {
        return false;
    }
    f->member_bytes = read_span(r, (size_t)f->member_count * MEMBER_BYTES);
    return f->member_bytes != NULL;
}

struct attach_member attach_member(const struct attach_frame *f, uint32_t i)
{
    CHECK(i < f->member_count);
    struct reader r =
        reader_of(f->member_bytes + (size_t)i * MEMBER_BYTES, MEMBER_BYTES);
    const struct motet_ui port = get_ui(&r);
    return (struct attach_member){.port = port, .site = read_u64(&r)};
}

static bool get_err(struct reader *r, enum motet_err *err)
{
    const uint16_t word = read_u16(r);
    *err = (enum motet_err)word;
    return word < MOTET_E_COUNT;
}

static bool get_timeout(struct reader *r, int64_t *timeout_ms)
{
    const uint32_t word = read_u32(r);
    *timeout_ms = word == TIMEOUT_FOREVER ? MOTET_FOREVER : (int64_t)word;
    return word == TIMEOUT_FOREVER || word <= ATTACH_TIMEOUT_MAX_MS;
}

static bool get_answers(struct reader *r, enum attach_op *op)
{
    const uint8_t byte = read_u8(r);
    *op = (enum attach_op)byte;
    return op_known(byte) && shapes[byte].from == ATTACH_CLIENT;
}

static bool get_payload(struct reader *r, struct attach_frame *f)
{
    f->annex_bytes = read_u8(r);
    f->total = read_u32(r);
    return f->annex_bytes <= MOTET_ANNEX_MAX && f->annex_bytes <= f->total;
}

/* The fields that are more than one number. */
static bool get_compound(struct reader *r, struct attach_frame *f,
                         enum field field)
{
    if (field == F_NAME) {
        return get_name(r, f->name);
    }
    if (field == F_DEST) {
        return get_dest(r, &f->dest);
    }
    if (field == F_ATTR) {
        return get_attr(r, f);
    }
    if (field == F_MEMBERS) {
        return get_members(r, f);
    }
    if (field == F_PAYLOAD) {
        return get_payload(r, f);
    }
    if (field == F_CAP) {
        f->cap.ui = get_ui(r);
        f->cap.key = read_u64(r);
    } else if (field == F_PI) {
        f->pi = get_pi(r);
    } else {
        CHECK(field == F_QUEUE);
        f->queue_msgs = read_u32(r);
        f->queue_bytes = read_u32(r);
        f->waiting = read_u32(r);
        f->oldest_ms = read_u64(r);
    }
    return true;
}

static bool get_field(struct reader *r, struct attach_frame *f,
                      enum field field)
{
    const struct plain plain = plains[field];
    void *at = (uint8_t *)f + plain.offset;
    if (plain.bytes == 16) {
        *(struct motet_ui *)at = get_ui(r);
    } else if (plain.bytes == 8) {
        *(uint64_t *)at = read_u64(r);
    } else if (plain.bytes == 4) {
        *(uint32_t *)at = read_u32(r);
    } else if (field == F_ANSWERS) {
        return get_answers(r, &f->answers);
    } else if (field == F_ERR) {
        return get_err(r, &f->err);
    } else if (field == F_TIMEOUT) {
        return get_timeout(r, &f->timeout_ms);
    } else if (field == F_WAIT) {
        return get_bool(r, &f->wait);
    } else if (field == F_ON) {
        return get_bool(r, &f->on);
    } else {
        return get_compound(r, f, field);
    }
    return true;
}

static bool get_list(struct reader *r, struct attach_frame *f,
                     const uint8_t *fields)
{
    for (unsigned i = 0; i < FIELDS_PER_OP && fields[i] != F_END; i++) {
        if (!get_field(r, f, (enum field)fields[i]) || !reader_ok(r)) {
            return false;
        }
    }
    return true;
}

/* What no single field can say. */
static bool sense(const struct attach_frame *f)
{
    if (f->op == ATTACH_DELIVER) {
        return f->news <= MOTET_NEWS_LEFT_GROUP &&
               (f->news == 0 || f->held == 0);
    }
    if (f->op == ATTACH_CALL_DONE || f->op == ATTACH_REPLY) {
        return f->err == MOTET_OK || f->total == 0;
    }
    return true;
}

static bool get_begin(struct reader *r, struct attach_frame *f)
{
    if (!get_list(r, f, shapes[f->op].fields)) {
        return false;
    }
    const bool all = f->op == ATTACH_RESULT && f->err == MOTET_OK;
    if (all && !get_list(r, f, results[f->answers])) {
        return false;
    }
    f->chunk_bytes = (uint32_t)reader_left(r);
    f->chunk = read_span(r, f->chunk_bytes);
    const bool more = (f->flags & ATTACH_MORE) != 0;
    return sense(f) && f->chunk_bytes <= f->total &&
           more == (f->chunk_bytes < f->total);
}

static bool get_rest(struct reader *r, struct attach_frame *f)
{
    f->chunk_bytes = (uint32_t)reader_left(r);
    f->chunk = read_span(r, f->chunk_bytes);
    if ((f->flags & ATTACH_VOID) != 0) {
        return f->chunk_bytes == 0 && (f->flags & ATTACH_MORE) == 0;
    }
    return f->chunk_bytes > 0;
}

static bool header_ok(const struct attach_frame *f, unsigned op, unsigned flags,
                      enum attach_end from)
{
    if (!op_known(op) || shapes[op].from != from || flags > KNOWN_FLAGS) {
        return false;
    }
    if (flags != 0 && !attach_has_payload((enum attach_op)op)) {
        return false;
    }
    if ((flags & ATTACH_VOID) != 0 && (flags & ATTACH_CONT) == 0) {
        return false;
    }
    return (f->id == 0) == (shapes[op].event == EVENT);
}

bool attach_decode(struct reader *r, enum attach_end from,
                   struct attach_frame *f)
{
    *f = (struct attach_frame){0};
    const uint8_t op = read_u8(r);
    const uint8_t flags = read_u8(r);
    const uint16_t zero = read_u16(r);
    const uint32_t size = read_u32(r);
    f->id = read_u64(r);
    const uint8_t *inside = read_span(r, size);
    if (inside == NULL || zero != 0 || !header_ok(f, op, flags, from)) {
        return false;
    }
    f->op = (enum attach_op)op;
    f->flags = flags;
    struct reader fields = reader_of(inside, size);
    const bool cont = (flags & ATTACH_CONT) != 0;
    if (!(cont ? get_rest(&fields, f) : get_begin(&fields, f))) {
        return false;
    }
    return (flags & ATTACH_MORE) == 0 || f->chunk_bytes >= ATTACH_CHUNK_MIN;
}

enum attach_gathered attach_gather(struct attach_gather *g,
                                   const struct attach_frame *f, uint32_t *at)
{
    const bool cont = (f->flags & ATTACH_CONT) != 0;
    if (cont != (g->op != 0) || (cont && (f->op != g->op || f->id != g->id))) {
        return ATTACH_BAD;
    }
    if (!cont) {
        *g =
            (struct attach_gather){.op = f->op, .id = f->id, .total = f->total};
    }
    if ((f->flags & ATTACH_VOID) != 0) {
        *g = (struct attach_gather){0};
        return ATTACH_TAKEN_BACK;
    }
    const uint32_t left = g->total - g->got;
    const bool more = (f->flags & ATTACH_MORE) != 0;
    if (f->chunk_bytes > left || more != (f->chunk_bytes < left)) {
        return ATTACH_BAD;
    }
    *at = g->got;
    g->got += f->chunk_bytes;
    if (!more) {
        *g = (struct attach_gather){0};
    }
    return more ? ATTACH_PART : ATTACH_WHOLE;
}
