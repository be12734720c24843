#ifndef WIRE_SAMPLES_H
#define WIRE_SAMPLES_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "proto/wire.h"

/* Frames of every kind, and what the tests of the wire layer have in common. */

static const struct net_hello hello_least = {
    .version_min = 1,
    .version_max = 1,
    .site = 1,
    .incarnation = 1,
    .name = "a",
    .cluster = "c",
};

static const struct net_hello hello_most = {
    .version_min = UINT16_MAX,
    .version_max = UINT16_MAX,
    .site = UINT64_MAX,
    .incarnation = UINT32_MAX,
    .to_site = UINT64_MAX,
    .to_incarnation = UINT32_MAX,
    .lane = NET_BULK,
    .answer = true,
    .insecure = true,
    .view_sites = UINT32_MAX,
    .view_lowest = UINT64_MAX,
    .body_bytes_max = UINT32_MAX,
    .features = UINT64_MAX,
    .token = UINT64_MAX - 1,
    .name = "n23456789012345678901234567890123456789012345678901234567890123",
    .cluster = "c2345678901234567890123456789012345678901234567890123456789012"
               "3",
    .address = "[a2345678901234567890123456789012345678901234567890123456789]"
               ":1",
};

static const struct net_refuse refuse_least = {.err = MOTET_E_AGAIN};
static const struct net_refuse refuse_most = {
    .err = MOTET_E_COUNT - 1,
    .incarnation = UINT32_MAX,
    .detail = "1234567890123456789012345678901234567890123456789012345678901234"
              "567890123456789012345678901234567890123456789012345678901234567",
};

static const uint8_t bytes[NET_FRAGMENT_BYTES] = {1, 2, 3, 255};

/* What the machines may send: least and most of each kind. */
static const struct sample {
    const char *name;
    struct net_frame f;
} samples[] = {
    {"least hello", {.kind = NET_HELLO, .u.hello = &hello_least}},
    {"most hello", {.kind = NET_HELLO, .u.hello = &hello_most}},
    {"least refuse", {.kind = NET_REFUSE, .u.refuse = &refuse_least}},
    {"most refuse", {.kind = NET_REFUSE, .u.refuse = &refuse_most}},
    {"least bind",
     {.kind = NET_BIND,
      .u.bind = {.src = {1, 1U << 28}, .dst = {2, 1U << 28}}}},
    {"most bind",
     {.kind = NET_BIND,
      .u.bind = {.handle = UINT32_MAX,
                 .returning = true,
                 .resume = true,
                 .src = {UINT64_MAX, 0xffffffff1fffffff},
                 .dst = {UINT64_MAX, 0xffffffff1ffffffe},
                 .pi = {UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 2},
                 .epoch = UINT64_MAX,
                 .base = UINT64_MAX - 1,
                 .src_epoch = UINT64_MAX - 2,
                 .origin_site = UINT64_MAX - 3,
                 .origin_epoch = UINT64_MAX - 4}}},
    {"unbound", {.kind = NET_UNBOUND, .u.unbound = UINT32_MAX}},
    {"empty send",
     {.kind = NET_DATA, .u.data = {.seq = 1, .msg.kind = MSG_SEND}}},
    {"send",
     {.kind = NET_DATA,
      .u.data = {.handle = UINT32_MAX,
                 .round = UINT16_MAX,
                 .flags = NET_DATA_ASK,
                 .seq = UINT64_MAX,
                 .total = 124,
                 .size = 124,
                 .msg = {.kind = MSG_SEND, .annex_bytes = MOTET_ANNEX_MAX},
                 .bytes = bytes}}},
    {"send to a group",
     {.kind = NET_DATA,
      .u.data = {.seq = 2,
                 .total = 4,
                 .size = 4,
                 .msg = {.kind = MSG_SEND, .target = {UINT64_MAX, 1}},
                 .bytes = bytes}}},
    {"last fragment",
     {.kind = NET_DATA,
      .u.data = {.handle = 7,
                 .seq = 3,
                 .total = UINT32_MAX,
                 .offset = UINT32_MAX - NET_FRAGMENT_BYTES,
                 .size = NET_FRAGMENT_BYTES,
                 .msg = {.kind = MSG_CANCEL,
                         .status = MOTET_E_COUNT - 1,
                         .remaining_ms = UINT32_MAX,
                         .call = UINT64_MAX,
                         .reply_to = {UINT64_MAX, UINT64_MAX - 1},
                         .target = {UINT64_MAX - 2, UINT64_MAX - 3}},
                 .bytes = bytes}}},
    {"first fragment",
     {.kind = NET_DATA,
      .u.data = {.flags = NET_DATA_MORE,
                 .seq = 3,
                 .total = 17000,
                 .size = NET_FRAGMENT_BYTES,
                 .msg = {.kind = MSG_SEND},
                 .bytes = bytes}}},
    {"news",
     {.kind = NET_DATA,
      .u.data = {.seq = 1,
                 .msg = {.kind = MSG_NEWS,
                         .call = 1,
                         .status = MOTET_NEWS_LEFT_GROUP}}}},
    {"void",
     {.kind = NET_DATA,
      .u.data = {.handle = 9,
                 .round = 3,
                 .flags = NET_DATA_VOID | NET_DATA_ASK,
                 .seq = 5}}},
    {"least ack", {.kind = NET_ACK}},
    {"most ack",
     {.kind = NET_ACK,
      .u.ack = {.handle = UINT32_MAX,
                .round = UINT16_MAX,
                .flags = NET_ACK_REWIND | NET_ACK_REFUSED | NET_ACK_GONE,
                .status = MOTET_E_COUNT - 1,
                .next = UINT64_MAX,
                .credit_msgs = UINT64_MAX - 1,
                .credit_bytes = UINT32_MAX - 1}}},
    {"moved",
     {.kind = NET_MOVED,
      .u.moved = {UINT32_MAX, UINT64_MAX, UINT32_MAX - 1, UINT64_MAX - 1,
                  UINT64_MAX - 2}}},
    {"empty ctl", {.kind = NET_CTL}},
    {"most ctl",
     {.kind = NET_CTL, .u.ctl = {.bytes = bytes, .size = NET_CTL_BYTES_MAX}}},
    {"ping", {.kind = NET_PING, .u.ping = UINT64_MAX}},
    {"pong", {.kind = NET_PONG, .u.ping = 1}},
    {"bye", {.kind = NET_BYE}},
};

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

static const struct net_frame *sample(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        if (strcmp(samples[i].name, name) == 0) {
            return &samples[i].f;
        }
    }
    cr_assert_fail("no sample %s", name);
    return NULL;
}

static uint8_t wire[WIRE_FRAME_MAX];

static size_t encode(const struct net_frame *f)
{
    struct writer w = writer_of(wire, sizeof wire);
    wire_encode(f, &w);
    cr_assert(writer_ok(&w));
    return w.at;
}

/* Decodes a copy on the heap, so that a read past the end is seen. */
static enum wire_result decode(const uint8_t *data, size_t size, bool known,
                               struct net_frame *f)
{
    static uint8_t *copy; /* kept: `f` points into it */
    size_t used = 0;

    free(copy);
    copy = malloc(size == 0 ? 1 : size);
    cr_assert_not_null(copy);
    memcpy(copy, data, size);
    const enum wire_result result =
        wire_decode(arena, copy, size, known, f, &used);
    if (result == WIRE_FRAME) {
        cr_expect_leq(used, size);
    }
    return result;
}

#endif
