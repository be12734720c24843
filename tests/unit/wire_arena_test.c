#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/arena.h"
#include "proto/motet.pb-c.h"

/* protobuf-c has no limits of its own; these are ours. */

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

TestSuite(wire_arena, .init = setup, .fini = teardown, .timeout = 60);

Test(wire_arena, none_at_the_cap)
{
    struct mem small;
    mem_init(&small, WIRE_ARENA_BYTES);
    cr_expect_null(wire_arena_new(&small));
    cr_expect_eq(small.used_bytes, 0);
    wire_arena_free(NULL);
}

static void *take(size_t size)
{
    return arena->allocator.alloc(arena->allocator.allocator_data, size);
}

Test(wire_arena, bytes_to_the_cap)
{
    cr_expect_null(take(WIRE_ARENA_BYTES + 1));
    cr_expect_null(take(SIZE_MAX));
    uint8_t *a = take(WIRE_ARENA_BYTES - 17);
    cr_assert_not_null(a);
    memset(a, 1, WIRE_ARENA_BYTES - 17);
    cr_expect_null(take(17), "blocks begin aligned");
    uint8_t *b = take(16);
    cr_assert_not_null(b);
    cr_expect_eq((uintptr_t)b % alignof(max_align_t), 0);
    memset(b, 2, 16);
    cr_expect_null(take(1));
}

Test(wire_arena, blocks_to_the_cap)
{
    for (size_t i = 0; i < WIRE_ARENA_BLOCKS; i++) {
        cr_assert_not_null(take(1));
    }
    cr_expect_null(take(1));
}

/* Ctl with one member message of `count` empty updates: 2 bytes each. */
static ProtobufCMessage *unpack_updates(size_t count)
{
    const size_t inner = 2 * count;
    uint8_t *wire = malloc(4 + inner);
    cr_assert_not_null(wire);
    wire[0] = 0x0a;
    wire[1] = (uint8_t)(inner | 0x80);
    wire[2] = (uint8_t)(inner >> 7 | 0x80);
    wire[3] = (uint8_t)(inner >> 14);
    for (size_t i = 0; i < count; i++) {
        wire[4 + 2 * i] = 0x2a;
        wire[4 + 2 * i + 1] = 0;
    }
    ProtobufCMessage *m =
        arena_unpack(arena, &motet__ctl__descriptor, wire, 4 + inner);
    free(wire);
    return m;
}

/* 40,000 bytes would become two megabytes. */
Test(wire_arena, amplification_is_refused)
{
    const size_t used = mem.used_bytes;
    struct wire_ctl c;

    cr_expect_not_null(unpack_updates(1000));
    cr_expect_null(unpack_updates(8000));
    cr_expect_null(unpack_updates(20000));
    cr_expect_eq(mem.used_bytes, used);

    /* It is as good as new after that, any number of times. */
    for (int i = 0; i < 100; i++) {
        cr_expect_not_null(unpack_updates(1000));
    }
    const uint8_t ping[] = {0x0a, 0x02, 0x08, MEMBER_PING};
    cr_assert(wire_decode_ctl(arena, ping, sizeof ping, &c));
    cr_expect_eq(c.member->kind, MEMBER_PING);
}

/* Fields of a newer site are skipped, but not any number of them. */
Test(wire_arena, unknown_fields_have_a_limit)
{
    static uint8_t wire[NET_CTL_BYTES_MAX];
    struct wire_ctl c;
    const uint8_t ping[] = {0x0a, 0x02, 0x08, MEMBER_PING};

    memcpy(wire, ping, sizeof ping);
    for (size_t at = sizeof ping; at < sizeof wire; at += 2) {
        wire[at] = 0x7a;
        wire[at + 1] = 0;
    }
    cr_expect(wire_decode_ctl(arena, wire, 1000, &c));
    cr_expect_not(wire_decode_ctl(arena, wire, sizeof wire, &c));
}

/* A message given in parts is merged by protobuf-c; the limit is that of one.
 */
Test(wire_arena, parts_do_not_pass_the_limit)
{
    /* Ctl.member: kind PING, one update: site 1, state ALIVE, name "a". */
    const uint8_t part[20] = {0x0a, 18,   0x08, MEMBER_PING, 0x2a, 14, 0x09,
                              1,    0,    0,    0,           0,    0,  0,
                              0,    0x20, 1,    0x2a,        1,    'a'};
    static uint8_t wire[sizeof part * (MEMBER_UPDATES_MAX + 1)];
    struct wire_ctl c;

    for (size_t i = 0; i < sizeof wire; i += sizeof part) {
        memcpy(wire + i, part, sizeof part);
    }
    cr_assert(wire_decode_ctl(arena, wire, sizeof wire - sizeof part, &c));
    cr_expect_eq(c.member->update_count, MEMBER_UPDATES_MAX);
    cr_expect_not(wire_decode_ctl(arena, wire, sizeof wire, &c));
}
