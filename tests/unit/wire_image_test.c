#include <stdio.h>

#include "nucleus/base/prng.h"
#include "proto/image.h"
#include "wire_image_samples.h"

/* The image of a moving port as bytes: refusals first. */

static void setup(void)
{
    mem_init(&mem, 1 << 20);
}

static void teardown(void)
{
    cr_expect_eq(mem.used_bytes, 0);
}

TestSuite(wire_image, .init = setup, .fini = teardown, .timeout = 30);

/* ---- Items: what is refused ------------------------------------------------
 */

enum { FIELDS = WIRE_ITEM_BYTES }; /* where they begin */

/* Bytes that are written over those of the largest item of its kind with 200
 * bytes of data: so the refusal is for the reason given and no other. */
static const struct refusal {
    const char *why;
    enum image_kind kind;
    size_t at;
    uint8_t byte;
} refusals[] = {
    {"no kind", IMAGE_TIMER, 0, 0},
    {"a kind past the last", IMAGE_TIMER, 0, IMAGE_KIND_COUNT},
    {"any other kind", IMAGE_TIMER, 0, 255},
    {"another kind, of other fields", IMAGE_TIMER, 0, IMAGE_PORT},
    {"bytes that are zero", IMAGE_TIMER, 1, 1},
    {"bytes that are zero, too", IMAGE_TIMER, 3, 1},
    {"fields that are too short", IMAGE_TIMER, 4, 15},
    {"fields that are too long", IMAGE_TIMER, 4, 17},
    {"fields of 256 bytes more", IMAGE_TIMER, 5, 1},
    {"fields of 4 GiB", IMAGE_TIMER, 7, 255},
    {"data of 4 GiB", IMAGE_QUEUED, 11, 255},
    {"a port neither enabled nor not", IMAGE_PORT, FIELDS + 16 + 12 + 16, 2},
    {"a name of 64 bytes", IMAGE_MEMBER, FIELDS + 16, 64},
    {"a name of 255 bytes", IMAGE_MEMBER, FIELDS + 16, 255},
    {"a name with a NUL", IMAGE_MEMBER, FIELDS + 17, 0},
    {"a name with a NUL at its end", IMAGE_MEMBER, FIELDS + 16 + 63, 0},
    {"a name with a space", IMAGE_MEMBER, FIELDS + 20, ' '},
    {"a name that is not ASCII", IMAGE_ACTOR, FIELDS + 1, 0xc3},
    {"a second name with a NUL", IMAGE_ACTOR, FIELDS + 64 + 1, 0},
    {"a second name with a space", IMAGE_ACTOR, FIELDS + 64 + 1, ' '},
    {"a second name of 255 bytes", IMAGE_ACTOR, FIELDS + 64, 255},
    {"a message of no kind", IMAGE_KEPT, FIELDS, 0},
    {"a message past the last kind", IMAGE_KEPT, FIELDS, MSG_KIND_COUNT},
    {"a message of any other kind", IMAGE_QUEUED, FIELDS + 32, 255},
    {"an annex past the limit", IMAGE_KEPT, FIELDS + 1, MOTET_ANNEX_MAX + 1},
    {"an annex of more than all data", IMAGE_KEPT, 8, MOTET_ANNEX_MAX - 1},
    {"an annex without data", IMAGE_PARCEL, FIELDS + 40 + 1, 1},
    {"an error past the last", IMAGE_CALL, FIELDS + 52, MOTET_E_COUNT},
    {"an error with a high byte", IMAGE_CALL, FIELDS + 53, 1},
    {"a second error past the last", IMAGE_CALL, FIELDS + 54, MOTET_E_COUNT},
    {"a flag of 2", IMAGE_CALL, FIELDS + 58, 2},
    {"a flag of 255", IMAGE_HELD, FIELDS + 12 + 16 + 60 + 8, 255},
    {"waiting of 2", IMAGE_KEPT, FIELDS + 60 + 9 + 18, 2},
    {"a mode past the last", IMAGE_WAITING, FIELDS + 40 + 60 + 8 + 7 + 19 + 32,
     MOTET_MODE_COUNT},
    {"a mode of 255", IMAGE_WAITING, FIELDS + 40 + 60 + 8 + 7 + 19 + 32, 255},
    {"waiting for a member of 2", IMAGE_WAITING,
     FIELDS + 40 + 60 + 8 + 7 + 19 + 33, 2},
    {"a flow that returns by 2", IMAGE_SFLOW, FIELDS + 32 + 12 + 8, 2},
    {"a flow that returns by 255", IMAGE_RFLOW, FIELDS + 32 + 12 + 8 + 12, 255},
};

Test(wire_image, refuses)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        const size_t size = put_sample(r->kind, false, data_of(r->kind, 200));
        cr_assert(take(wire, size).ok, "%s", r->why);
        cr_assert_neq(wire[r->at], r->byte, "%s: no change", r->why);
        wire[r->at] = r->byte;
        cr_expect_not(take(wire, size).ok, "%s", r->why);
    }
}

Test(wire_image, refuses_what_is_cut_short)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        const size_t size =
            put_sample(kind, false, data_of(kind, MOTET_ANNEX_MAX));
        for (size_t cut = 0; cut < size; cut++) {
            cr_expect_not(take(wire, cut).ok, "kind %d, %zu of %zu bytes",
                          (int)kind, cut, size);
        }
        cr_expect(take(wire, size).ok && take(wire, size).all, "kind %d",
                  (int)kind);
    }
}

Test(wire_image, refuses_data_where_the_kind_has_none)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        const size_t size = put_sample(kind, true, 0);
        wire[8] = 1;
        wire[size] = 7;
        cr_expect_eq(take(wire, size + 1).ok, data_of(kind, 1) == 1, "kind %d",
                     (int)kind);
    }
}

/* All its bytes are there, and the fields say so. */
Test(wire_image, refuses_a_name_that_is_too_long)
{
    for (uint32_t size = MOTET_NAME_MAX + 1; size <= UINT8_MAX; size++) {
        const uint32_t fields = 1 + 1 + size; /* none, and this one */
        (void)put_sample(IMAGE_ACTOR, true, 0);
        memset(wire + FIELDS, 'x', fields);
        memcpy(wire + 4, &fields, sizeof fields);
        wire[FIELDS] = 0;
        wire[FIELDS + 1] = (uint8_t)size;
        cr_expect_not(take(wire, FIELDS + fields).ok, "%u bytes", size);
    }
}

/* What is missing of its fields does not come from what follows the item. */
Test(wire_image, fields_end_where_they_say)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        const size_t size = put_sample(kind, false, data_of(kind, 200));
        for (int by = -1; by <= 1; by += 2) {
            wire[4] = (uint8_t)(wire[4] + by);
            cr_expect_not(take(wire, size + 1).ok, "kind %d by %d", (int)kind,
                          by);
            wire[4] = (uint8_t)(wire[4] - by);
        }
        cr_expect(take(wire, size + 1).ok && !take(wire, size + 1).all);
    }
}

/* ---- Items: there and back -------------------------------------------------
 */

static void compare(const struct image_item *got, const struct image_item *want)
{
    static const uint8_t zeroes[sizeof(struct image_item)];
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const struct member *m = &members[i];
        const void *expected =
            has(want->kind, m->name) ? (const uint8_t *)want + m->at : zeroes;
        cr_expect_arr_eq((const uint8_t *)got + m->at, expected, m->size,
                         "kind %d: %s", (int)want->kind, m->name);
    }
}

Test(wire_image, every_field_at_both_ends)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        for (int least = 0; least <= 1; least++) {
            const uint32_t bytes = least ? 0 : data_of(kind, 1000);
            const size_t size = put_sample(kind, least, bytes);
            struct image_item want = sample(kind, least, 0);
            const struct read_item got = take(wire, size);
            cr_assert(got.ok && got.all, "kind %d", (int)kind);
            cr_assert_eq(got.it.kind, kind);
            cr_expect_null(got.it.msg.data, "for the caller to put");
            cr_expect_null(got.it.data);
            cr_expect_eq(got.size, bytes);
            cr_expect_eq(got.first, bytes > 0 ? kind : 0);
            compare(&got.it, &want);
        }
    }
}

/* Each field alone differs from the least item: none is written over another.
 */
Test(wire_image, each_field_by_itself)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        for (size_t i = 0; i < ARRAY_LEN(members); i++) {
            struct image_item it = sample(kind, true, 0);
            const struct member *m = &members[i];
            if (!has(it.kind, m->name) ||
                strcmp(m->name, "msg.annex_bytes") == 0) {
                continue;
            }
            memcpy((uint8_t *)&it + m->at, (const uint8_t *)&most + m->at,
                   m->size);
            struct image_item same = it;
            struct writer w = writer_of(wire, sizeof wire);
            put(&it, &w);
            const struct read_item got = take(wire, w.at);
            cr_assert(got.ok, "kind %d: %s", (int)kind, m->name);
            compare(&got.it, &same);
        }
    }
}

Test(wire_image, no_item_has_too_many_fields)
{
    for (enum image_kind kind = IMAGE_ACTOR; kind < IMAGE_KIND_COUNT; kind++) {
        const size_t size = put_sample(kind, false, 0);
        cr_expect_leq(size, WIRE_ITEM_BYTES + WIRE_ITEM_FIELDS_MAX);
    }
}

/* ---- Items: at random ------------------------------------------------------
 */

static uint64_t edge(struct prng *p)
{
    static const uint64_t edges[] = {0, 1, UINT32_MAX, 1ULL << 32, UINT64_MAX};
    return prng_chance(p, 300000) ? edges[prng_below(p, ARRAY_LEN(edges))]
                                  : prng_next(p);
}

static struct motet_ui random_ui(struct prng *p)
{
    const uint64_t hi = edge(p);
    return (struct motet_ui){.hi = hi, .lo = edge(p)};
}

static void random_name(struct prng *p, char name[MOTET_NAME_MAX + 1])
{
    static const char set[] = "aZ09._-$/";
    const uint64_t size = prng_below(p, MOTET_NAME_MAX + 1);
    for (uint64_t i = 0; i < size; i++) {
        name[i] = set[prng_below(p, sizeof set - 1)];
    }
}

/* Bytes at random in all fields, but where only some values are any. */
static struct image_item random_item(struct prng *p)
{
    struct image_item it = {0};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const uint64_t value = edge(p);
        memcpy((uint8_t *)&it + members[i].at, &value,
               members[i].size < sizeof value ? members[i].size : sizeof value);
    }
    it.kind = (enum image_kind)prng_between(p, 1, IMAGE_KIND_COUNT - 1);
    it.port = random_ui(p);
    it.peer = random_ui(p);
    it.msg.kind = (enum msg_kind)prng_between(p, 1, MSG_KIND_COUNT - 1);
    it.dest.mode = (enum motet_mode)prng_below(p, MOTET_MODE_COUNT);
    it.err = (enum motet_err)prng_below(p, MOTET_E_COUNT);
    it.err2 = (enum motet_err)prng_below(p, MOTET_E_COUNT);
    bool *flags[] = {&it.enabled, &it.flag, &it.wait, &it.returning,
                     &it.dest.wait};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        const uint8_t value = (uint8_t)prng_below(p, 2);
        memcpy(flags[i], &value, 1);
    }
    memset(it.name, 0, sizeof it.name);
    memset(it.text, 0, sizeof it.text);
    random_name(p, it.name);
    random_name(p, it.text);
    const uint32_t size = data_of(it.kind, (uint32_t)prng_below(p, 300));
    it.msg.annex_bytes = (uint8_t)prng_below(
        p, (size < MOTET_ANNEX_MAX ? size : MOTET_ANNEX_MAX) + 1);
    if (!has_msg_data(it.kind)) {
        it.msg.annex_bytes = 0;
    }
    if (size > 0) {
        struct buf *b = buf_new(&mem, size);
        memset(b->data, (int)size, size);
        *(it.kind == IMAGE_ACTOR ? &it.data : &it.msg.data) = b;
    }
    return it;
}

Test(wire_image, images_at_random)
{
    enum { IMAGES = 300, ITEMS = 40 };
    static struct image_item items[ITEMS];
    struct prng p;
    prng_init(&p, 5);
    for (int n = 0; n < IMAGES; n++) {
        const uint64_t count = prng_below(&p, ITEMS) + 1;
        struct writer w = writer_of(wire, sizeof wire);
        for (uint64_t i = 0; i < count; i++) {
            items[i] = random_item(&p);
            struct image_item once = items[i];
            put(&once, &w);
        }
        uint8_t *copy = malloc(w.at);
        memcpy(copy, wire, w.at);
        struct reader r = reader_of(copy, w.at);
        for (uint64_t i = 0; i < count; i++) {
            struct image_item got;
            const uint8_t *data;
            uint32_t size;
            cr_assert(wire_decode_item(&r, &got, &data, &size));
            compare(&got, &items[i]);
            cr_expect(size == 0 || data[size - 1] == (uint8_t)size);
        }
        cr_expect(reader_done(&r));
        free(copy);
    }
}

/* Whatever is written over them: refused, or taken and written again the same.
 */
Test(wire_image, bytes_at_random)
{
    struct prng p;
    prng_init(&p, 6);
    uint32_t taken = 0;
    for (int n = 0; n < 20000; n++) {
        struct image_item it = random_item(&p);
        struct writer w = writer_of(wire, sizeof wire);
        put(&it, &w);
        const uint64_t edits = prng_between(&p, 1, 4);
        for (uint64_t i = 0; i < edits; i++) {
            wire[prng_below(&p, w.at)] = (uint8_t)prng_next(&p);
        }
        struct read_item got = take(wire, w.at);
        if (got.ok && got.all) {
            uint8_t again[WIRE_ITEM_BYTES + WIRE_ITEM_FIELDS_MAX];
            struct writer w2 = writer_of(again, sizeof again);
            const struct buf *none;
            wire_encode_item(&got.it, &w2, &none);
            cr_assert(writer_ok(&w2));
            cr_assert_eq(w2.at + got.size, w.at);
            memcpy(again + 8, &got.size, sizeof got.size);
            cr_assert_arr_eq(again, wire, w2.at);
            taken++;
        }
    }
    cr_expect(taken > 2000 && taken < 19000, "%u of 20000 taken", taken);
}
