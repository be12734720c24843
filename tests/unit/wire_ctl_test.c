#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "proto/motet.pb-c.h"
#include "proto/wire.h"

/* Contents of CTL frames. What our own encoder would never write is made with
 * the generated code, or byte by byte. */

static struct mem mem;
static struct wire_arena *arena;

static void setup(void)
{
    mem_init(&mem, 1 << 20);
    arena = wire_arena_new(&mem);
    cr_assert_not_null(arena);
}

static void teardown(void)
{
    wire_arena_free(arena);
    cr_expect_eq(mem.used_bytes, 0);
}

TestSuite(wire_ctl, .init = setup, .fini = teardown, .timeout = 60);

static uint8_t wire[NET_CTL_BYTES_MAX + 1];

/* Decodes a copy on the heap, so that a read past the end is seen. */
static bool decode(const uint8_t *data, size_t size, struct wire_ctl *c)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    const bool taken = wire_decode_ctl(arena, copy, size, c);
    free(copy); /* nothing of the answer points into it */
    return taken;
}

static bool taken(const Motet__Ctl *m)
{
    struct wire_ctl c;
    cr_assert_leq(motet__ctl__get_packed_size(m), sizeof wire);
    return decode(wire, motet__ctl__pack(m, wire), &c);
}

#define SET(msg, field, value) ((msg)->has_##field = 1, (msg)->field = (value))

static ProtobufCBinaryData bytes_of(const char *text, size_t size)
{
    static uint8_t copies[8][128];
    static unsigned next;
    uint8_t *copy = copies[next++ % 8];
    memcpy(copy, text, size);
    return (ProtobufCBinaryData){size, copy};
}

/* ---- Membership ------------------------------------------------------------
 */

static const char long_text[] =
    "1234567890123456789012345678901234567890123456789012345678901234";

/* A message with one update in it. Zero and NULL: as in a good one. */
struct member_case {
    const char *why;
    uint32_t kind;
    size_t updates;
    bool no_site, no_state;
    uint32_t state;
    const char *name;
    size_t name_size;
    const char *address;
    size_t address_size;
};

static bool member_taken(const struct member_case *m)
{
    Motet__Ctl ctl = MOTET__CTL__INIT;
    Motet__Member member = MOTET__MEMBER__INIT;
    Motet__MemberUpdate update = MOTET__MEMBER_UPDATE__INIT;
    Motet__MemberUpdate *list[MEMBER_UPDATES_MAX + 1];

    SET(&member, kind, m->kind != 0 ? m->kind : MEMBER_GOSSIP);
    SET(&update, site, m->no_site ? 0 : 1);
    SET(&update, state, m->state != 0 ? m->state : MEMBER_ALIVE);
    update.has_state = !m->no_state;
    SET(&update, name, bytes_of("paris", 5));
    SET(&update, address, bytes_of("h:1", 3));
    if (m->name != NULL) {
        update.name = bytes_of(m->name, m->name_size);
    }
    if (m->address != NULL) {
        update.address = bytes_of(m->address, m->address_size);
    }
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        list[i] = &update;
    }
    ctl.member = &member;
    member.updates = list;
    member.n_updates = m->updates != 0 ? m->updates : 1;
    return taken(&ctl);
}

static const struct member_case member_refusals[] = {
    {.why = "a kind past the last", .kind = MEMBER_SYNC + 1},
    {.why = "one update too many", .updates = MEMBER_UPDATES_MAX + 1},
    {.why = "site 0", .no_site = true},
    {.why = "no state", .no_state = true},
    {.why = "a state past the last", .state = MEMBER_LEFT + 1},
    {.why = "a state far off", .state = UINT32_MAX},
    {.why = "no name", .name = "", .name_size = 0},
    {.why = "a long name", .name = long_text, .name_size = MOTET_NAME_MAX + 1},
    {.why = "NUL in a name", .name = "pa\0ris", .name_size = 6},
    {.why = "NUL after a name", .name = "paris", .name_size = 6},
    {.why = "a blank in a name", .name = "pa ris", .name_size = 6},
    {.why = "a long address",
     .address = long_text,
     .address_size = MEMBER_ADDR_MAX + 1},
    {.why = "NUL in an address", .address = "h:1", .address_size = 4},
    {.why = "escape in an address", .address = "h\033:1", .address_size = 4},
    {.why = "8 bits in an address", .address = "h\377:1", .address_size = 4},
    {.why = "a blank in an address", .address = "h :1", .address_size = 4},
};

Test(wire_ctl, refuses_member_messages)
{
    const struct member_case good = {.why = "nothing"};
    cr_assert(member_taken(&good));
    for (size_t i = 0; i < ARRAY_LEN(member_refusals); i++) {
        cr_expect_not(member_taken(&member_refusals[i]), "%s",
                      member_refusals[i].why);
    }
}

Test(wire_ctl, is_one_message)
{
    Motet__Ctl ctl = MOTET__CTL__INIT;
    Motet__Member member = MOTET__MEMBER__INIT;
    Motet__Dir dir = MOTET__DIR__INIT;

    SET(&member, kind, MEMBER_PING);
    SET(&dir, kind, DIR_DIGEST);
    cr_expect_not(taken(&ctl), "none");
    ctl.member = &member;
    cr_expect(taken(&ctl));
    ctl.dir = &dir;
    cr_expect_not(taken(&ctl), "both");
    ctl.member = NULL;
    cr_expect(taken(&ctl));
    dir.kind = 0;
    cr_expect_not(taken(&ctl), "a directory message of no kind");
    ctl.dir = NULL;
    ctl.member = &member;
    member.kind = 0;
    cr_expect_not(taken(&ctl), "a member message of no kind");
}

Test(wire_ctl, a_death_needs_no_name)
{
    struct member_case m = {.name = "", .state = MEMBER_SUSPECT};
    cr_expect_not(member_taken(&m));
    m.state = MEMBER_DEAD;
    cr_expect(member_taken(&m));
    m.state = MEMBER_LEFT;
    cr_expect(member_taken(&m));
}

static void fill_text(char *text, size_t size)
{
    memset(text, 'z', size - 1);
    text[size - 1] = '\0';
}

static void most_member(struct member_msg *m)
{
    *m = (struct member_msg){
        .kind = MEMBER_SYNC,
        .seq = UINT32_MAX,
        .target = UINT64_MAX,
        .want = true,
        .update_count = MEMBER_UPDATES_MAX,
    };
    for (uint32_t i = 0; i < MEMBER_UPDATES_MAX; i++) {
        struct member_update *u = &m->updates[i];
        u->site = UINT64_MAX - i;
        u->incarnation = UINT32_MAX - i;
        u->refutes = UINT32_MAX - 100 - i;
        u->state = i % 2 == 0 ? MEMBER_LEFT : MEMBER_ALIVE;
        fill_text(u->name, sizeof u->name);
        fill_text(u->address, sizeof u->address);
        u->name[i] = 'a';
        u->address[i] = 'b';
    }
}

static size_t encode_member(const struct member_msg *m)
{
    struct writer w = writer_of(wire, sizeof wire);
    wire_encode_member(m, &w);
    cr_assert(writer_ok(&w));
    cr_assert_leq(w.at, NET_CTL_BYTES_MAX);
    return w.at;
}

Test(wire_ctl, a_member_message_at_the_limits_comes_back)
{
    struct member_msg m;
    struct wire_ctl c;

    most_member(&m);
    cr_assert(decode(wire, encode_member(&m), &c));
    cr_assert_eq(c.kind, WIRE_CTL_MEMBER);
    cr_expect_null(c.dir);
    cr_expect_eq(c.member->kind, m.kind);
    cr_expect_eq(c.member->seq, m.seq);
    cr_expect_eq(c.member->target, m.target);
    cr_expect_eq(c.member->want, m.want);
    cr_assert_eq(c.member->update_count, MEMBER_UPDATES_MAX);
    for (uint32_t i = 0; i < MEMBER_UPDATES_MAX; i++) {
        const struct member_update *a = &m.updates[i];
        const struct member_update *b = &c.member->updates[i];
        cr_expect_eq(a->site, b->site);
        cr_expect_eq(a->incarnation, b->incarnation);
        cr_expect_eq(a->refutes, b->refutes);
        cr_expect_eq(a->state, b->state);
        cr_expect_arr_eq(a->name, b->name, sizeof a->name);
        cr_expect_arr_eq(a->address, b->address, sizeof a->address);
    }
}

Test(wire_ctl, the_least_member_message_comes_back)
{
    const struct member_msg m = {.kind = MEMBER_PING};
    struct wire_ctl c;
    cr_assert(decode(wire, encode_member(&m), &c));
    cr_assert_eq(c.kind, WIRE_CTL_MEMBER);
    cr_expect_eq(c.member->kind, MEMBER_PING);
    cr_expect_eq(c.member->seq, 0);
    cr_expect_eq(c.member->update_count, 0);
}

/* ---- Directory -------------------------------------------------------------
 */

static const struct motet_ui port = {7, 1ULL << 32 | UI_PORT << 28 | 5};
static const struct motet_ui group = {7, 1ULL << 32 | UI_GROUP << 28 | 6};

static struct record good_member_record(void)
{
    return (struct record){.kind = RECORD_MEMBER,
                           .present = true,
                           .version = 1,
                           .subject = port,
                           .group = ui_of_name("svc"),
                           .name = "svc"};
}

static bool record_taken(struct record r)
{
    const struct dir_msg m = {.kind = DIR_DELTA,
                              .author = 7,
                              .incarnation = 1,
                              .upto = UINT64_MAX,
                              .record_count = 1,
                              .records = &r};
    struct writer w = writer_of(wire, sizeof wire);
    struct wire_ctl c;
    wire_encode_dir(&m, &w);
    cr_assert(writer_ok(&w));
    return decode(wire, w.at, &c);
}

Test(wire_ctl, a_static_group_has_its_own_name)
{
    struct record r = good_member_record();
    cr_expect(record_taken(r));
    r.group.lo ^= 1;
    cr_expect_not(record_taken(r), "another UI");
    r = good_member_record();
    r.name[2] = 'd';
    cr_expect_not(record_taken(r), "another name");
    r.name[2] = ' ';
    r.group = ui_of_name(r.name);
    cr_expect_not(record_taken(r), "no name");
    r = good_member_record();
    r.name[0] = '\0';
    cr_expect_not(record_taken(r), "nameless");
    r.present = false;
    cr_expect(record_taken(r), "withdrawn, nameless");
}

Test(wire_ctl, a_member_is_a_port_in_a_group)
{
    struct record r = good_member_record();
    r.group = group;
    cr_expect(record_taken(r), "dynamic, with a name");
    r.name[0] = '\0';
    cr_expect(record_taken(r), "dynamic");
    r.group = port;
    cr_expect_not(record_taken(r), "in a port");
    r.group = (struct motet_ui){0, 0};
    cr_expect_not(record_taken(r), "in nothing");
    r.group = group;
    r.subject = ui_of_control(7);
    cr_expect(record_taken(r), "a control port");
    r.subject = group;
    cr_expect_not(record_taken(r), "a group");
    r.subject = (struct motet_ui){0, 0};
    cr_expect_not(record_taken(r), "nobody");
    r.subject = port;
    r.kind = 0;
    cr_expect_not(record_taken(r), "of no kind");
    r.kind = RECORD_OWNER + 1;
    cr_expect_not(record_taken(r), "of a kind past the last");
    r.kind = RECORD_MEMBER;
    r.version = 0;
    cr_expect_not(record_taken(r), "version 0");
}

Test(wire_ctl, an_owner_has_a_port_and_no_group)
{
    const struct record good = {.kind = RECORD_OWNER,
                                .present = true,
                                .version = UINT64_MAX,
                                .subject = port,
                                .epoch = UINT64_MAX};
    struct record r = good;
    cr_expect(record_taken(r));
    r.group = group;
    cr_expect_not(record_taken(r), "in a group");
    r = good;
    r.name[0] = 'a';
    cr_expect_not(record_taken(r), "a name");
    r = good;
    r.subject = ui_of_control(7);
    cr_expect_not(record_taken(r), "a control port");
    r = good;
    r.subject = port;
    r.kind = RECORD_OWNER + 1;
    cr_expect_not(record_taken(r), "of a kind past the last");
}

/* A directory message with `records` and `digests` good entries. */
static bool dir_taken(Motet__Dir *dir, size_t records, size_t digests)
{
    static Motet__Record record;
    static Motet__Digest digest;
    static Motet__Record *record_list[DIR_RECORDS_MAX + 1];
    static Motet__Digest *digest_list[DIR_DIGEST_MAX + 1];
    Motet__Ctl ctl = MOTET__CTL__INIT;

    motet__record__init(&record);
    SET(&record, kind, RECORD_OWNER);
    SET(&record, version, 1);
    SET(&record, subject_hi, port.hi);
    SET(&record, subject_lo, port.lo);
    motet__digest__init(&digest);
    SET(&digest, author, 1);
    for (size_t i = 0; i < ARRAY_LEN(record_list); i++) {
        record_list[i] = &record;
    }
    for (size_t i = 0; i < ARRAY_LEN(digest_list); i++) {
        digest_list[i] = &digest;
    }
    dir->records = record_list;
    dir->n_records = records;
    dir->digest = digest_list;
    dir->n_digest = digests;
    ctl.dir = dir;
    return taken(&ctl);
}

Test(wire_ctl, counts_of_a_delta)
{
    Motet__Dir dir = MOTET__DIR__INIT;
    SET(&dir, kind, DIR_DELTA);
    SET(&dir, author, 7);
    cr_expect(dir_taken(&dir, 0, 0));
    cr_expect(dir_taken(&dir, DIR_RECORDS_MAX, 0));
    cr_expect_not(dir_taken(&dir, DIR_RECORDS_MAX + 1, 0));
    cr_expect_not(dir_taken(&dir, 1, 1), "a digest in a delta");
    SET(&dir, want, 1);
    cr_expect_not(dir_taken(&dir, 1, 0), "wants in a delta");
    SET(&dir, want, 0);
    SET(&dir, after, 2);
    SET(&dir, upto, 1);
    cr_expect_not(dir_taken(&dir, 1, 0), "after above upto");
    SET(&dir, upto, 2);
    cr_expect(dir_taken(&dir, 0, 0));
    SET(&dir, author, 0);
    cr_expect_not(dir_taken(&dir, 0, 0), "of nobody");
}

Test(wire_ctl, counts_of_a_digest)
{
    Motet__Dir dir = MOTET__DIR__INIT;
    SET(&dir, kind, DIR_DIGEST);
    cr_expect(dir_taken(&dir, 0, 0));
    cr_expect(dir_taken(&dir, 0, DIR_DIGEST_MAX));
    cr_expect_not(dir_taken(&dir, 0, DIR_DIGEST_MAX + 1));
    cr_expect_not(dir_taken(&dir, 1, 1), "a record in a digest");
    SET(&dir, kind, DIR_DIGEST + 1);
    cr_expect_not(dir_taken(&dir, 0, 0));
}

static void same_record(const struct record *a, const struct record *b)
{
    cr_expect_eq(a->kind, b->kind);
    cr_expect_eq(a->present, b->present);
    cr_expect_eq(a->version, b->version);
    cr_expect(ui_equal(a->subject, b->subject));
    cr_expect(ui_equal(a->group, b->group));
    cr_expect_eq(a->epoch, b->epoch);
    cr_expect_arr_eq(a->name, b->name, sizeof a->name);
}

static size_t most_delta(struct record records[DIR_RECORDS_MAX],
                         struct dir_msg *m)
{
    for (uint32_t i = 0; i < DIR_RECORDS_MAX; i++) {
        struct record *r = &records[i];
        *r = (struct record){.kind = RECORD_MEMBER,
                             .present = i % 2 == 0,
                             .version = UINT64_MAX - DIR_RECORDS_MAX + i,
                             .subject = port,
                             .epoch = UINT64_MAX - i};
        fill_text(r->name, sizeof r->name);
        r->name[i % 60] = 'a';
        r->group = ui_of_name(r->name);
    }
    *m = (struct dir_msg){.kind = DIR_DELTA,
                          .author = UINT64_MAX,
                          .incarnation = UINT32_MAX,
                          .after = UINT64_MAX - 1,
                          .upto = UINT64_MAX,
                          .full = true,
                          .first = true,
                          .record_count = DIR_RECORDS_MAX,
                          .records = records};
    struct writer w = writer_of(wire, sizeof wire);
    wire_encode_dir(m, &w);
    cr_assert(writer_ok(&w));
    cr_assert_leq(w.at, NET_CTL_BYTES_MAX);
    return w.at;
}

Test(wire_ctl, a_delta_at_the_limits_comes_back)
{
    struct record records[DIR_RECORDS_MAX];
    struct dir_msg m;
    struct wire_ctl c;
    const size_t size = most_delta(records, &m);

    cr_assert(decode(wire, size, &c));
    cr_assert_eq(c.kind, WIRE_CTL_DIR);
    cr_expect_null(c.member);
    cr_expect_eq(c.dir->kind, DIR_DELTA);
    cr_expect_eq(c.dir->author, m.author);
    cr_expect_eq(c.dir->incarnation, m.incarnation);
    cr_expect_eq(c.dir->after, m.after);
    cr_expect_eq(c.dir->upto, m.upto);
    cr_expect_eq(c.dir->full, m.full);
    cr_expect_eq(c.dir->first, m.first);
    cr_assert_eq(c.dir->record_count, DIR_RECORDS_MAX);
    for (uint32_t i = 0; i < DIR_RECORDS_MAX; i++) {
        same_record(&records[i], &c.dir->records[i]);
    }
}

/* The entry of author 0 stands for the beginning of all ids. */
Test(wire_ctl, a_digest_may_begin_before_all_authors)
{
    const uint8_t nobody[] = {0x12, 4, 0x08, DIR_DIGEST, 0x52, 0};
    struct wire_ctl c;
    cr_expect(decode(nobody, sizeof nobody, &c));
}

Test(wire_ctl, a_digest_at_the_limits_comes_back)
{
    static struct dir_digest digest[DIR_DIGEST_MAX];
    for (uint32_t i = 0; i < DIR_DIGEST_MAX; i++) {
        digest[i] = (struct dir_digest){UINT64_MAX - i, UINT32_MAX - i,
                                        UINT64_MAX - 1000 - i};
    }
    const struct dir_msg m = {.kind = DIR_DIGEST,
                              .want = true,
                              .digest_count = DIR_DIGEST_MAX,
                              .digest = digest};
    struct writer w = writer_of(wire, sizeof wire);
    struct wire_ctl c;
    wire_encode_dir(&m, &w);
    cr_assert(writer_ok(&w));
    cr_assert_leq(w.at, NET_CTL_BYTES_MAX);

    cr_assert(decode(wire, w.at, &c));
    cr_assert_eq(c.kind, WIRE_CTL_DIR);
    cr_expect_eq(c.dir->kind, DIR_DIGEST);
    cr_expect(c.dir->want);
    cr_assert_eq(c.dir->digest_count, DIR_DIGEST_MAX);
    for (uint32_t i = 0; i < DIR_DIGEST_MAX; i++) {
        cr_expect_eq(c.dir->digest[i].author, digest[i].author);
        cr_expect_eq(c.dir->digest[i].incarnation, digest[i].incarnation);
        cr_expect_eq(c.dir->digest[i].version, digest[i].version);
    }
}

/* ---- Damage ----------------------------------------------------------------
 */

Test(wire_ctl, no_part_is_read_past_its_end)
{
    struct record records[DIR_RECORDS_MAX];
    struct dir_msg m;
    struct wire_ctl c;
    const size_t size = most_delta(records, &m);
    for (size_t n = 0; n < size; n += 7) {
        cr_expect_not(decode(wire, n, &c), "%zu", n);
    }
}

Test(wire_ctl, damage_is_harmless)
{
    static const uint8_t values[] = {0, 1, 8, 0x7f, 0x80, 0xff};
    struct member_msg m;
    struct wire_ctl c;

    most_member(&m);
    const size_t size = encode_member(&m);
    for (size_t at = 0; at < size; at++) {
        const uint8_t was = wire[at];
        for (size_t i = 0; i < ARRAY_LEN(values); i++) {
            wire[at] = values[i];
            if (decode(wire, size, &c) && c.kind == WIRE_CTL_MEMBER) {
                cr_expect_leq(c.member->update_count, MEMBER_UPDATES_MAX);
            }
        }
        wire[at] = was;
    }
}

Test(wire_ctl, larger_than_a_ctl_frame)
{
    const struct member_msg m = {.kind = MEMBER_PING};
    struct wire_ctl c;
    const size_t at = encode_member(&m);
    const size_t fill = NET_CTL_BYTES_MAX - at - 5;

    /* An unknown field, with a length of three bytes. */
    const uint8_t head[5] = {0xfa, 0x3f, (uint8_t)(fill | 0x80),
                             (uint8_t)(fill >> 7 | 0x80),
                             (uint8_t)(fill >> 14)};
    memcpy(wire + at, head, sizeof head);
    cr_expect(decode(wire, NET_CTL_BYTES_MAX, &c));
    wire[at + 2]++;
    cr_expect_not(decode(wire, NET_CTL_BYTES_MAX + 1, &c));
}
