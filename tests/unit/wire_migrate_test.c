#include "proto/image.h"
#include "wire_image_samples.h"

/* The frames of a move, and the head of what moves: refusals first. */

TestSuite(wire_migrate, .timeout = 20);

static const uint8_t part[WIRE_PART_BYTES + 1] = {7};

static struct wire_migrate frame(enum mig_frame_kind kind)
{
    struct wire_migrate m = {
        .frame = {.kind = kind,
                  .xid = {.site = UINT64_MAX,
                          .incarnation = UINT32_MAX - 1,
                          .number = UINT64_MAX - 2},
                  .from_incarnation = UINT32_MAX - 3,
                  .to_incarnation = UINT32_MAX - 4,
                  .settled = UINT64_MAX - 5,
                  .err = MOTET_E_COUNT - 1},
        .parts = 1,
    };
    if (kind == MIG_PREPARE) {
        m.part = WIRE_PARTS_MAX - 1;
        m.parts = WIRE_PARTS_MAX;
        m.bytes = part;
        m.size = 3;
    }
    return m;
}

/* As bytes on the heap, of exactly that size. */
static bool decodes(const uint8_t *data, size_t size, struct wire_migrate *m)
{
    static uint8_t *copy; /* kept: `m` points into it */
    free(copy);
    copy = malloc(size == 0 ? 1 : size);
    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    return wire_decode_migrate(copy, size, m);
}

static uint8_t big[WIRE_MIGRATE_BYTES + WIRE_PART_BYTES + 1];

static size_t encode(const struct wire_migrate *m)
{
    struct writer w = writer_of(big, sizeof big);
    wire_encode_migrate(m, &w);
    cr_assert_eq(w.at, WIRE_MIGRATE_BYTES);
    write_span(&w, m->bytes, m->size);
    cr_assert(writer_ok(&w));
    return w.at;
}

static const struct refusal {
    const char *why;
    enum mig_frame_kind kind;
    size_t at, count;
    uint8_t byte;
} refusals[] = {
    {"no version", MIG_QUERY, 0, 1, 0},
    {"another version", MIG_QUERY, 0, 1, WIRE_MIGRATE_VERSION + 1},
    {"no kind", MIG_QUERY, 1, 1, 0},
    {"a kind past the last", MIG_QUERY, 1, 1, MIG_FRAME_COUNT},
    {"any other kind", MIG_QUERY, 1, 1, 255},
    {"an error past the last", MIG_REFUSE, 2, 1, MOTET_E_COUNT},
    {"an error with a high byte", MIG_REFUSE, 3, 1, 1},
    {"a part of what has none", MIG_COMMIT, 4, 1, 1},
    {"no parts of what has none", MIG_COMMIT, 6, 1, 0},
    {"two parts of what has none", MIG_COMMIT, 6, 1, 2},
    {"a part past the last", MIG_PREPARE, 5, 1, 0x10},
    {"too many parts", MIG_PREPARE, 7, 1, 0x20},
    {"no parts at all", MIG_PREPARE, 6, 2, 0},
    {"a move of no site", MIG_PREPARE, 8, 8, 0},
    {"a move without a number", MIG_PREPARE, 16, 8, 0},
    {"a move of no incarnation", MIG_PREPARE, 24, 4, 0},
    {"bytes that are zero", MIG_PREPARE, 36, 1, 1},
    {"bytes that are zero, too", MIG_PREPARE, 39, 1, 1},
    {"what bears no content", MIG_PREPARE, 1, 1, MIG_ABORT},
};

Test(wire_migrate, refuses)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct wire_migrate m = frame(r->kind);
        const size_t size = encode(&m);
        cr_assert(decodes(big, size, &m), "%s", r->why);
        memset(big + r->at, r->byte, r->count);
        cr_expect_not(decodes(big, size, &m), "%s", r->why);
    }
}

Test(wire_migrate, refuses_what_is_cut_short)
{
    for (enum mig_frame_kind kind = MIG_PREPARE; kind < MIG_FRAME_COUNT;
         kind++) {
        struct wire_migrate m = frame(kind);
        (void)encode(&m);
        for (size_t cut = 0; cut < WIRE_MIGRATE_BYTES; cut++) {
            cr_expect_not(decodes(big, cut, &m), "kind %d, %zu", (int)kind,
                          cut);
        }
        cr_expect_eq(decodes(big, WIRE_MIGRATE_BYTES, &m), kind != MIG_PREPARE,
                     "kind %d: a part has bytes, others have none", (int)kind);
        cr_expect_eq(decodes(big, WIRE_MIGRATE_BYTES + 1, &m),
                     kind == MIG_PREPARE);
    }
}

Test(wire_migrate, a_part_has_a_limit)
{
    struct wire_migrate m = frame(MIG_PREPARE);
    m.size = WIRE_PART_BYTES;
    cr_expect(decodes(big, encode(&m), &m));
    cr_expect_eq(m.size, WIRE_PART_BYTES);
    m.bytes = part;
    m.size = WIRE_PART_BYTES + 1;
    cr_expect_not(decodes(big, encode(&m), &m));
}

Test(wire_migrate, every_field_comes_back)
{
    for (enum mig_frame_kind kind = MIG_PREPARE; kind < MIG_FRAME_COUNT;
         kind++) {
        const struct wire_migrate m = frame(kind);
        struct wire_migrate got;
        cr_assert(decodes(big, encode(&m), &got));
        cr_expect_eq(got.frame.kind, kind);
        cr_expect_eq(got.frame.err, m.frame.err);
        cr_expect_eq(got.frame.xid.site, m.frame.xid.site);
        cr_expect_eq(got.frame.xid.incarnation, m.frame.xid.incarnation);
        cr_expect_eq(got.frame.xid.number, m.frame.xid.number);
        cr_expect_eq(got.frame.from_incarnation, m.frame.from_incarnation);
        cr_expect_eq(got.frame.to_incarnation, m.frame.to_incarnation);
        cr_expect_eq(got.frame.settled, m.frame.settled);
        cr_expect_eq(got.part, m.part);
        cr_expect_eq(got.parts, m.parts);
        cr_expect_eq(got.size, m.size);
        cr_expect(m.size == 0 || memcmp(got.bytes, part, m.size) == 0);
    }
}

/* ---- The head --------------------------------------------------------------
 */

static size_t head(const struct wire_content *c)
{
    struct writer w = writer_of(wire, sizeof wire);
    wire_encode_content(c, &w);
    cr_assert(writer_ok(&w));
    return w.at;
}

static bool reads(size_t size, struct wire_content *c)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    cr_assert_not_null(copy);
    memcpy(copy, wire, size);
    struct reader r = reader_of(copy, size);
    const bool ok = wire_decode_content(&r, c) && reader_done(&r);
    free(copy);
    return ok;
}

Test(wire_migrate, heads_that_are_refused)
{
    static const struct {
        const char *why;
        size_t at;
        uint8_t byte;
    } bad[] = {
        {"an unknown flag", 4, 2},
        {"all flags", 4, 255},
        {"a name past the limit", 5, 64},
        {"a name that goes past the end", 5, 255},
        {"a name that ends early", 5, 62},
        {"bytes that are zero", 6, 1},
        {"bytes that are zero, too", 7, 1},
        {"a name with a NUL", 8, 0},
        {"a name with a space", 70, ' '},
    };
    const struct wire_content most_of = {
        .count = UINT32_MAX, .flags = WIRE_CONTENT_ACTOR, .actor = NAME_MOST};
    struct wire_content c;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const size_t size = head(&most_of);
        cr_assert(reads(size, &c));
        wire[bad[i].at] = bad[i].byte;
        cr_expect_not(reads(size, &c), "%s", bad[i].why);
    }
    for (size_t cut = 0, size = head(&most_of); cut < size; cut++) {
        cr_expect_not(reads(cut, &c), "%zu of %zu bytes", cut, size);
    }
}

Test(wire_migrate, heads_come_back)
{
    struct wire_content c = {.count = 0};
    cr_assert(reads(head(&c), &c));
    cr_expect_eq(c.count, 0);
    cr_expect_eq(c.flags, 0);
    cr_expect_str_empty(c.actor);
    c = (struct wire_content){
        .count = UINT32_MAX, .flags = WIRE_CONTENT_ACTOR, .actor = NAME_MOST};
    cr_assert(reads(head(&c), &c));
    cr_expect_eq(c.count, UINT32_MAX);
    cr_expect_eq(c.flags, WIRE_CONTENT_ACTOR);
    cr_expect_str_eq(c.actor, NAME_MOST);
}

Test(wire_migrate, ports_come_back)
{
    const struct mig_port p = {.ui = {UINT64_MAX, UINT64_MAX - 1},
                               .epoch = UINT64_MAX - 2};
    struct writer w = writer_of(wire, sizeof wire);
    wire_encode_port(&p, &w);
    cr_assert_eq(w.at, 24);
    struct reader r = reader_of(wire, w.at);
    const struct mig_port got = wire_decode_port(&r);
    cr_expect(reader_done(&r));
    cr_expect(ui_equal(got.ui, p.ui));
    cr_expect_eq(got.epoch, p.epoch);
    r = reader_of(wire, w.at - 1);
    (void)wire_decode_port(&r);
    cr_expect_not(reader_ok(&r));
}
