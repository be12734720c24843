#include <criterion/criterion.h>
#include <string.h>

#include "proto/attach.h"

TestSuite(attach_proto, .timeout = 20);

static const struct motet_ui ui_a = {0x1122334455667788, 0x99aabbccddeeff00};
static const struct motet_ui ui_b = {3, 4};
static const struct motet_ui ui_c = {5, 6};

/* Every field filled with something that is not its neighbour's. */
static struct attach_frame full(enum attach_op op)
{
    static const struct attach_member members[2] = {{{7, 8}, 9},
                                                    {{10, 11}, 12}};
    struct attach_frame f = {
        .op = op,
        .id = 77,
        .magic = ATTACH_MAGIC,
        .version = ATTACH_VERSION,
        .answers = ATTACH_PORT_INFO,
        .port = ui_a,
        .source = ui_b,
        .target = ui_c,
        .subject = {13, 14},
        .cap = {{15, 16}, 17},
        .dest = {{18, 19}, MOTET_TO_NOT_ON_SITE, {20, 21}, true},
        .pi = {22, 23, 24},
        .enabled = true,
        .priority = 25,
        .queue_msgs_max = 26,
        .queue_bytes_max = 27,
        .timeout_ms = 28,
        .wait = true,
        .on = true,
        .held = 29,
        .of = 30,
        .watch = 31,
        .seq = 32,
        .remaining_ms = 33,
        .index = 34,
        .body_bytes_max = 35,
        .queue_msgs = 36,
        .queue_bytes = 37,
        .waiting = 38,
        .oldest_ms = 39,
        .member_count = 2,
        .members = members,
    };
    memcpy(f.name, "paris", 6);
    return f;
}

static bool is_event(enum attach_op op)
{
    return op >= ATTACH_ROOM;
}

static bool op_exists(enum attach_op op)
{
    return strcmp(attach_op_name(op), "?") != 0;
}

static enum attach_end sender(enum attach_op op)
{
    return op < ATTACH_RESULT ? ATTACH_CLIENT : ATTACH_SITE;
}

/* A frame as one packet. @return its size */
static size_t pack(const struct attach_frame *f, const uint8_t *payload,
                   uint8_t out[ATTACH_PACKET_MAX])
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    const uint32_t field_bytes = (uint32_t)attach_fields(f, fields);
    struct attach_parcel p = {.op = f->op,
                              .id = f->id,
                              .fields = fields,
                              .field_bytes = field_bytes,
                              .total = f->total};
    struct writer w = writer_of(out, ATTACH_PACKET_MAX);
    uint32_t chunk;
    cr_assert(attach_cut(&p, &w, ATTACH_PACKET_MAX, &chunk));
    write_span(&w, payload, chunk);
    cr_assert(writer_ok(&w));
    return w.at;
}

static bool unpack(const uint8_t *data, size_t size, enum attach_end from,
                   struct attach_frame *f)
{
    struct reader r = reader_of(data, size);
    return attach_decode(&r, from, f) && reader_done(&r);
}

/* One packet for every op, and for every result. */
static size_t sample(unsigned i, uint8_t out[ATTACH_PACKET_MAX],
                     enum attach_op *op)
{
    static const uint8_t payload[40] = "0123456789";
    const bool result = i >= ATTACH_OP_COUNT;
    *op = result ? ATTACH_RESULT : (enum attach_op)i;
    struct attach_frame f = full(*op);
    if (!op_exists(*op)) {
        return 0;
    }
    if (result) {
        f.answers = (enum attach_op)(i - ATTACH_OP_COUNT);
        if (!op_exists(f.answers) || sender(f.answers) != ATTACH_CLIENT) {
            return 0;
        }
    }
    f.id = is_event(*op) ? 0 : 77;
    if (attach_has_payload(*op)) {
        f.total = sizeof payload;
        f.annex_bytes = 3;
    }
    return pack(&f, payload, out);
}

Test(attach_proto, refuses_what_is_cut_short)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    enum attach_op op;
    for (unsigned i = 0; i < 2 * ATTACH_OP_COUNT; i++) {
        const size_t size = sample(i, bytes, &op);
        for (size_t cut = 0; cut < size; cut++) {
            struct attach_frame f;
            cr_expect(!unpack(bytes, cut, sender(op), &f), "%s cut at %zu",
                      attach_op_name(op), cut);
            /* And where the header owns to the size that is there: only what
             * has payload may end early, and then it says MORE. */
            if (cut >= ATTACH_HEADER_BYTES) {
                uint8_t copy[ATTACH_PACKET_MAX];
                memcpy(copy, bytes, cut);
                struct writer w = writer_of(copy + 4, 4);
                write_u32(&w, (uint32_t)(cut - ATTACH_HEADER_BYTES));
                cr_expect(!unpack(copy, cut, sender(op), &f),
                          "%s honestly cut at %zu", attach_op_name(op), cut);
            }
        }
    }
}

Test(attach_proto, refuses_more_than_its_fields)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    enum attach_op op;
    for (unsigned i = 0; i < 2 * ATTACH_OP_COUNT; i++) {
        const size_t size = sample(i, bytes, &op);
        if (size == 0) {
            continue;
        }
        struct attach_frame f;
        struct writer w = writer_of(bytes + 4, 4);
        write_u32(&w, (uint32_t)(size + 1 - ATTACH_HEADER_BYTES));
        bytes[size] = 0;
        cr_expect(!unpack(bytes, size + 1, sender(op), &f), "%s",
                  attach_op_name(op));
    }
}

Test(attach_proto, refuses_the_ops_of_the_other_end)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    enum attach_op op;
    for (unsigned i = 0; i < ATTACH_OP_COUNT; i++) {
        const size_t size = sample(i, bytes, &op);
        struct attach_frame f;
        if (size > 0) {
            const bool client = sender(op) == ATTACH_CLIENT;
            cr_expect(
                !unpack(bytes, size, client ? ATTACH_SITE : ATTACH_CLIENT, &f),
                "%s", attach_op_name(op));
        }
    }
}

/* A byte of a good packet set to a bad value. */
struct corruption {
    const char *why;
    enum attach_op op;
    size_t at; /* from the start of the packet */
    uint8_t value;
};

enum { FIELDS = ATTACH_HEADER_BYTES };

static const struct corruption corruptions[] = {
    {"op 0", ATTACH_BYE, 0, 0},
    {"an op of nobody", ATTACH_BYE, 0, 63},
    {"an op beyond the list", ATTACH_BYE, 0, 255},
    {"an unknown flag", ATTACH_BYE, 1, 8},
    {"MORE without payload", ATTACH_BYE, 1, ATTACH_MORE},
    {"CONT without payload", ATTACH_BYE, 1, ATTACH_CONT},
    {"VOID in a first frame", ATTACH_SEND, 1, ATTACH_VOID},
    {"MORE where all is there", ATTACH_SEND, 1, ATTACH_MORE},
    {"VOID with payload", ATTACH_SEND, 1, ATTACH_VOID | ATTACH_CONT},
    {"a small chunk with MORE", ATTACH_SEND, 1, ATTACH_MORE | ATTACH_CONT},
    {"not zero", ATTACH_BYE, 2, 1},
    {"not zero either", ATTACH_BYE, 3, 1},
    {"no id", ATTACH_BYE, 8, 0},
    {"an id for an event", ATTACH_GONE, 8, 1},
    {"an err beyond the list", ATTACH_SENT, FIELDS, MOTET_E_COUNT},
    {"an err far beyond it", ATTACH_SENT, FIELDS + 1, 1},
    {"a result of no request", ATTACH_RESULT, FIELDS, ATTACH_SENT},
    {"a result of nothing", ATTACH_RESULT, FIELDS, 0},
    {"a mode beyond the list", ATTACH_CALL, FIELDS + 48, MOTET_MODE_COUNT},
    {"neither true nor false", ATTACH_CALL, FIELDS + 49, 2},
    {"a time-out too long", ATTACH_CALL, FIELDS + 53, 0x7f},
    {"wait neither true nor false", ATTACH_SEND, FIELDS + 54, 2},
    {"an annex too long", ATTACH_CALL, FIELDS + 54, MOTET_ANNEX_MAX + 1},
    {"an annex longer than all", ATTACH_CALL, FIELDS + 54, 41},
    {"less than it says", ATTACH_CALL, FIELDS + 55, 41},
    {"more than it says", ATTACH_CALL, FIELDS + 55, 39},
    {"enabled neither true nor false", ATTACH_PORT_NEW, FIELDS, 2},
    {"a name too long", ATTACH_GROUP_NEW, FIELDS, MOTET_NAME_MAX + 1},
    {"a name longer than the frame", ATTACH_GROUP_NEW, FIELDS, 6},
    {"a name with a NUL inside", ATTACH_GROUP_NEW, FIELDS + 2, 0},
    {"news of a call", ATTACH_DELIVER, FIELDS + 80, MOTET_NEWS_CLOSED},
    {"a refusing reply with payload", ATTACH_REPLY, FIELDS, MOTET_E_CLOSED},
    {"a failed call with payload", ATTACH_CALL_DONE, FIELDS, MOTET_E_CLOSED},
};

Test(attach_proto, refuses_what_makes_no_sense)
{
    for (size_t i = 0; i < ARRAY_LEN(corruptions); i++) {
        const struct corruption *c = &corruptions[i];
        uint8_t bytes[ATTACH_PACKET_MAX];
        enum attach_op op;
        struct attach_frame f;
        const size_t size = sample(c->op, bytes, &op);
        cr_assert(unpack(bytes, size, sender(op), &f), "%s: the good one",
                  c->why);
        cr_assert_lt(c->at, size, "%s", c->why);
        cr_expect_neq(bytes[c->at], c->value, "%s: no change", c->why);
        bytes[c->at] = c->value;
        cr_expect(!unpack(bytes, size, sender(op), &f), "%s", c->why);
    }
}

Test(attach_proto, refuses_news_beyond_the_list)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    struct attach_frame f = full(ATTACH_DELIVER);
    f.held = 0;
    f.news = MOTET_NEWS_LEFT_GROUP;
    size_t size = pack(&f, NULL, bytes);
    cr_expect(unpack(bytes, size, ATTACH_SITE, &f));
    f = full(ATTACH_DELIVER);
    f.held = 0;
    f.news = MOTET_NEWS_LEFT_GROUP + 1;
    size = pack(&f, NULL, bytes);
    cr_expect(!unpack(bytes, size, ATTACH_SITE, &f));
}

Test(attach_proto, refuses_more_members_than_allowed)
{
    struct attach_member members[ATTACH_MEMBERS_MAX];
    memset(members, 1, sizeof members);
    uint8_t bytes[ATTACH_PACKET_MAX];
    struct attach_frame f = full(ATTACH_RESULT);
    f.answers = ATTACH_GROUP_LIST;
    f.members = members;
    f.member_count = ATTACH_MEMBERS_MAX;
    const size_t size = pack(&f, NULL, bytes);
    cr_expect(unpack(bytes, size, ATTACH_SITE, &f));
    cr_expect_eq(f.member_count, ATTACH_MEMBERS_MAX);
    bytes[FIELDS + 3] = ATTACH_MEMBERS_MAX + 1;
    memset(bytes + size, 1, 24);
    struct writer w = writer_of(bytes + 4, 4);
    write_u32(&w, (uint32_t)(size + 24 - FIELDS));
    cr_expect(!unpack(bytes, size + 24, ATTACH_SITE, &f));
}

Test(attach_proto, refuses_a_name_one_too_long)
{
    for (uint8_t size = MOTET_NAME_MAX; size <= MOTET_NAME_MAX + 1; size++) {
        uint8_t bytes[ATTACH_PACKET_MAX];
        struct attach_frame f = full(ATTACH_GROUP_NEW);
        (void)pack(&f, NULL, bytes);
        bytes[FIELDS] = size;
        memset(bytes + FIELDS + 1, 'a', size);
        struct writer w = writer_of(bytes + 4, 4);
        write_u32(&w, 1U + size);
        cr_expect_eq(unpack(bytes, FIELDS + 1U + size, ATTACH_CLIENT, &f),
                     size == MOTET_NAME_MAX, "%u", size);
    }
}

Test(attach_proto, refuses_a_part_of_nothing)
{
    uint8_t bytes[ATTACH_HEADER_BYTES];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct attach_frame f;
    attach_void(ATTACH_SEND, 9, &w);
    cr_expect(unpack(bytes, w.at, ATTACH_CLIENT, &f));
    bytes[1] = ATTACH_CONT;
    cr_expect(!unpack(bytes, w.at, ATTACH_CLIENT, &f));
}

Test(attach_proto, refuses_a_part_of_what_has_none)
{
    uint8_t bytes[ATTACH_HEADER_BYTES + 1] = {0};
    struct writer w = writer_of(bytes, ATTACH_HEADER_BYTES);
    struct attach_frame f;
    attach_void(ATTACH_SEND, 9, &w);
    bytes[1] = ATTACH_CONT;
    bytes[4] = 1;
    cr_expect(unpack(bytes, sizeof bytes, ATTACH_CLIENT, &f));
    bytes[0] = ATTACH_BYE;
    cr_expect(!unpack(bytes, sizeof bytes, ATTACH_CLIENT, &f));
}

Test(attach_proto, refuses_a_result_of_no_request)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    struct attach_frame f = full(ATTACH_RESULT);
    f.err = MOTET_E_CLOSED; /* no results behind it */
    const size_t size = pack(&f, NULL, bytes);
    cr_expect(unpack(bytes, size, ATTACH_SITE, &f));
    bytes[FIELDS] = ATTACH_SENT;
    cr_expect(!unpack(bytes, size, ATTACH_SITE, &f));
}

/* What is encoded, decoded and encoded again is the same; and two frames that
 * differ in one field differ in bytes, so no field is forgotten. */
Test(attach_proto, every_op_comes_back)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < 2 * ATTACH_OP_COUNT; i++) {
        uint8_t bytes[ATTACH_PACKET_MAX];
        uint8_t again[ATTACH_PACKET_MAX];
        enum attach_op op;
        const size_t size = sample(i, bytes, &op);
        if (size == 0) {
            continue;
        }
        struct attach_frame f;
        struct attach_member members[ATTACH_MEMBERS_MAX];
        cr_assert(unpack(bytes, size, sender(op), &f), "%s",
                  attach_op_name(op));
        for (uint32_t k = 0; k < f.member_count; k++) {
            members[k] = attach_member(&f, k);
        }
        f.members = members;
        cr_expect_eq(f.op, op);
        cr_assert_eq(pack(&f, f.chunk, again), size, "%s", attach_op_name(op));
        cr_expect_arr_eq(bytes, again, size, "%s", attach_op_name(op));
        seen++;
    }
    cr_expect_eq(seen, 21 + 12 + 21);
}

Test(attach_proto, fields_arrive_where_they_belong)
{
    uint8_t bytes[ATTACH_PACKET_MAX];
    struct attach_frame f = full(ATTACH_DELIVER);
    f.total = 5;
    f.annex_bytes = 2;
    const size_t size = pack(&f, (const uint8_t *)"abcde", bytes);
    struct attach_frame d;
    cr_assert(unpack(bytes, size, ATTACH_SITE, &d));
    cr_expect_eq(d.id, 77);
    cr_expect_eq(d.port.hi, ui_a.hi);
    cr_expect_eq(d.port.lo, ui_a.lo);
    cr_expect_eq(d.source.lo, ui_b.lo);
    cr_expect_eq(d.target.lo, ui_c.lo);
    cr_expect_eq(d.pi.uid, 22);
    cr_expect_eq(d.pi.gid, 23);
    cr_expect_eq(d.pi.domain, 24);
    cr_expect_eq(d.held, 29);
    cr_expect_eq(d.seq, 32);
    cr_expect_eq(d.remaining_ms, 33);
    cr_expect_eq(d.watch, 31);
    cr_expect_eq(d.subject.hi, 13);
    cr_expect_eq(d.annex_bytes, 2);
    cr_expect_eq(d.total, 5);
    cr_expect_arr_eq(d.chunk, "abcde", 5);
}

Test(attach_proto, time_outs_come_back)
{
    static const int64_t given[] = {0,  1,  ATTACH_TIMEOUT_MAX_MS,
                                    -1, -7, (int64_t)ATTACH_TIMEOUT_MAX_MS + 1};
    static const int64_t got[] = {0, 1, ATTACH_TIMEOUT_MAX_MS, -1, -1, -1};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        uint8_t bytes[ATTACH_PACKET_MAX];
        struct attach_frame f = full(ATTACH_RECEIVE);
        f.timeout_ms = given[i];
        const size_t size = pack(&f, NULL, bytes);
        cr_assert(unpack(bytes, size, ATTACH_CLIENT, &f));
        cr_expect_eq(f.timeout_ms, got[i]);
    }
}

/* ---- large messages -----------------------------------------------------
 */

struct stream {
    struct attach_gather g;
    uint8_t body[200000];
    uint32_t total;
    unsigned frames;
};

static struct stream *stream_new(void)
{
    struct stream *s = calloc(1, sizeof *s);
    cr_assert_not_null(s);
    return s;
}

/* Sends `total` bytes through packets of `room` bytes. */
static void play(struct stream *s, uint32_t total, size_t room)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    struct attach_frame f = full(ATTACH_SEND);
    f.total = total;
    f.annex_bytes = 0;
    struct attach_parcel p = {.op = f.op,
                              .id = f.id,
                              .fields = fields,
                              .field_bytes =
                                  (uint32_t)attach_fields(&f, fields),
                              .total = total};
    enum attach_gathered g = ATTACH_PART;
    while (!attach_cut_done(&p)) {
        uint8_t packet[ATTACH_PACKET_MAX];
        struct writer w = writer_of(packet, room);
        const uint32_t from = p.at;
        uint32_t chunk;
        uint32_t at;
        cr_assert(attach_cut(&p, &w, room, &chunk));
        for (uint32_t i = 0; i < chunk; i++) {
            write_u8(&w, (uint8_t)((from + i) * 7));
        }
        struct attach_frame d;
        cr_assert(unpack(packet, w.at, ATTACH_CLIENT, &d));
        g = attach_gather(&s->g, &d, &at);
        cr_assert(g == ATTACH_PART || g == ATTACH_WHOLE);
        cr_assert_leq(at + d.chunk_bytes, total);
        memcpy(s->body + at, d.chunk, d.chunk_bytes);
        s->frames++;
    }
    cr_expect_eq(g, ATTACH_WHOLE);
}

Test(attach_proto, large_messages_are_cut_and_joined)
{
    static const uint32_t totals[] = {0,     1,     16383, 16384,  16385,
                                      65440, 65450, 65536, 131072, 200000};
    for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
        struct stream *s = stream_new();
        play(s, totals[i], ATTACH_PACKET_MAX);
        for (uint32_t k = 0; k < totals[i]; k++) {
            cr_assert_eq(s->body[k], (uint8_t)(k * 7), "byte %u of %u", k,
                         totals[i]);
        }
        cr_expect_leq(s->frames, totals[i] / 65000 + 1);
        free(s);
    }
}

Test(attach_proto, a_frame_is_not_cut_too_small)
{
    uint8_t fields[ATTACH_FIELDS_MAX];
    uint8_t packet[ATTACH_PACKET_MAX];
    struct attach_frame f = full(ATTACH_SEND);
    f.total = 100000;
    f.annex_bytes = 0;
    struct attach_parcel p = {.op = f.op, .id = f.id, .fields = fields};
    p.field_bytes = (uint32_t)attach_fields(&f, fields);
    p.total = f.total;
    const struct attach_parcel before = p;
    const size_t least = ATTACH_HEADER_BYTES + p.field_bytes + ATTACH_CHUNK_MIN;
    struct writer w = writer_of(packet, sizeof packet);
    uint32_t chunk;
    cr_expect(!attach_cut(&p, &w, least - 1, &chunk));
    cr_expect_eq(w.at, 0);
    cr_expect_eq(p.at, before.at);
    cr_expect_eq(p.begun, before.begun);
    cr_expect(attach_cut(&p, &w, least, &chunk));
    cr_expect_eq(chunk, ATTACH_CHUNK_MIN);
}

static struct attach_frame part(unsigned flags, uint64_t id, uint32_t total,
                                uint32_t chunk)
{
    return (struct attach_frame){.op = ATTACH_SEND,
                                 .flags = (uint8_t)flags,
                                 .id = id,
                                 .total = total,
                                 .chunk_bytes = chunk};
}

Test(attach_proto, refuses_parts_out_of_turn)
{
    struct attach_gather g = {0};
    uint32_t at;
    struct attach_frame f = part(ATTACH_CONT, 1, 0, 10);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "no beginning");

    f = part(ATTACH_MORE, 1, 100, 60);
    cr_assert_eq(attach_gather(&g, &f, &at), ATTACH_PART);
    const struct attach_gather begun = g;
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "begun twice");

    g = begun;
    f = part(ATTACH_CONT, 2, 0, 40);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "of another id");

    g = begun;
    f = part(ATTACH_CONT, 1, 0, 40);
    f.op = ATTACH_CALL;
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "of another op");

    g = begun;
    f = part(ATTACH_CONT, 1, 0, 41);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "too long");

    g = begun;
    f = part(ATTACH_CONT, 1, 0, 39);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "too short");

    g = begun;
    f = part(ATTACH_CONT | ATTACH_MORE, 1, 0, 40);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "more after all");

    g = begun;
    f = part(ATTACH_CONT, 1, 0, 40);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_WHOLE);
    cr_expect_eq(at, 60);
    cr_expect_eq(g.op, 0, "ready for the next");
}

Test(attach_proto, a_message_begun_can_be_taken_back)
{
    struct attach_gather g = {0};
    uint32_t at;
    struct attach_frame f = part(ATTACH_MORE, 9, 100, 60);
    cr_assert_eq(attach_gather(&g, &f, &at), ATTACH_PART);

    uint8_t packet[ATTACH_HEADER_BYTES];
    struct writer w = writer_of(packet, sizeof packet);
    attach_void(ATTACH_SEND, 9, &w);
    cr_assert(unpack(packet, w.at, ATTACH_CLIENT, &f));
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_TAKEN_BACK);
    cr_expect_eq(g.op, 0);
    cr_expect_eq(attach_gather(&g, &f, &at), ATTACH_BAD, "not begun any more");
}
