#ifndef WIRE_IMAGE_SAMPLES_H
#define WIRE_IMAGE_SAMPLES_H

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "proto/image.h"

/* Items of every kind, which fields each of them has, and their bytes. */

#define NAME_MOST \
    "n23456789012345678901234567890123456789012345678901234567890123"

#define TEXT_MOST \
    "t23456789012345678901234567890123456789012345678901234567890123"

/* The groups of fields, by where they lie: what a kind has of them is said in
 * nucleus/base/image.h. */
#define IT(member)                                    \
    {                                                 \
#member, offsetof(struct image_item, member), \
            sizeof(((struct image_item *)0)->member)  \
    }

static const struct member {
    const char *name;
    size_t at, size;
} members[] = {
    IT(port),
    IT(peer),
    IT(dest.target),
    IT(dest.co),
    IT(dest.mode),
    IT(dest.wait),
    IT(place.site),
    IT(place.incarnation),
    IT(holder.site),
    IT(holder.incarnation),
    IT(pi),
    IT(msg.kind),
    IT(msg.annex_bytes),
    IT(msg.status),
    IT(msg.remaining_ms),
    IT(msg.call),
    IT(msg.reply_to),
    IT(msg.target),
    IT(msg.pi),
    IT(id),
    IT(key),
    IT(epoch),
    IT(seq),
    IT(ticket),
    IT(token),
    IT(left_ns),
    IT(age_ns),
    IT(base),
    IT(hi),
    IT(end),
    IT(origin.site),
    IT(origin_epoch),
    IT(msgs),
    IT(bytes),
    IT(err),
    IT(err2),
    IT(hops),
    IT(role),
    IT(notify),
    IT(priority),
    IT(enabled),
    IT(flag),
    IT(wait),
    IT(returning),
    IT(name),
    IT(text),
};

#define PLACE "place.site place.incarnation "
#define MSG                                                          \
    "msg.kind msg.annex_bytes msg.status msg.remaining_ms msg.call " \
    "msg.reply_to msg.target msg.pi "
#define SENT "ticket token role notify wait "
#define PARCEL "port peer id " MSG "left_ns err err2 hops flag " SENT
#define FLOW "returning origin.site origin_epoch base hi end "

static const char *const fields_of[IMAGE_KIND_COUNT] = {
    [IMAGE_ACTOR] = "name text ",
    [IMAGE_TIMER] = "id left_ns ",
    [IMAGE_PORT] = "port pi key msgs bytes enabled priority seq ",
    [IMAGE_MEMBER] = "peer name ",
    [IMAGE_HELD] =
        PLACE "epoch id " MSG "left_ns flag holder.site holder.incarnation ",
    [IMAGE_QUEUED] = "peer seq id " MSG "age_ns ",
    [IMAGE_CALL] = "peer " PLACE "epoch id left_ns err err2 hops flag ",
    [IMAGE_WATCH] = "peer " PLACE "epoch id ",
    [IMAGE_WATCHER] = "peer " PLACE "epoch id ",
    [IMAGE_PARCEL] = PARCEL,
    [IMAGE_STALLED] = PARCEL,
    [IMAGE_WAITING] = PARCEL "dest.target dest.co dest.mode dest.wait ",
    [IMAGE_SFLOW] = "port peer " PLACE "epoch " FLOW,
    [IMAGE_KEPT] = MSG "left_ns flag " SENT,
    [IMAGE_RFLOW] = "port peer " PLACE "epoch pi " FLOW,
};

static inline bool has(enum image_kind kind, const char *name)
{
    char word[64];
    const int size = snprintf(word, sizeof word, "%s ", name);
    const char *at = fields_of[kind];
    while ((at = strstr(at, word)) != NULL) {
        if (at == fields_of[kind] || at[-1] == ' ') {
            return true;
        }
        at += size;
    }
    return false;
}

static inline bool has_msg_data(enum image_kind kind)
{
    return has(kind, "msg.kind") && kind != IMAGE_PARCEL;
}

/* The largest value of each field, in all of them. Its data are for the caller
 * to give. */
static const struct image_item most = {
    .port = {UINT64_MAX, UINT64_MAX - 1},
    .peer = {UINT64_MAX - 2, UINT64_MAX - 3},
    .dest = {.target = {UINT64_MAX - 4, UINT64_MAX - 5},
             .co = {UINT64_MAX - 6, UINT64_MAX - 7},
             .mode = MOTET_MODE_COUNT - 1,
             .wait = true},
    .place = {UINT64_MAX - 8, UINT32_MAX},
    .holder = {UINT64_MAX - 9, UINT32_MAX - 1},
    .pi = {UINT32_MAX - 2, UINT32_MAX - 3, UINT32_MAX - 4},
    .msg = {.kind = MSG_KIND_COUNT - 1,
            .annex_bytes = MOTET_ANNEX_MAX,
            .status = UINT16_MAX,
            .remaining_ms = UINT32_MAX - 5,
            .call = UINT64_MAX - 10,
            .reply_to = {UINT64_MAX - 11, UINT64_MAX - 12},
            .target = {UINT64_MAX - 13, UINT64_MAX - 14},
            .pi = {UINT32_MAX - 6, UINT32_MAX - 7, UINT32_MAX - 8}},
    .id = UINT64_MAX - 15,
    .key = UINT64_MAX - 16,
    .epoch = UINT64_MAX - 17,
    .seq = UINT64_MAX - 18,
    .ticket = UINT64_MAX - 19,
    .token = UINT64_MAX - 20,
    .left_ns = UINT64_MAX,
    .age_ns = UINT64_MAX - 21,
    .base = UINT64_MAX - 22,
    .hi = UINT64_MAX - 23,
    .end = UINT64_MAX - 24,
    .origin = {.site = UINT64_MAX - 25},
    .origin_epoch = UINT64_MAX - 26,
    .msgs = UINT32_MAX - 9,
    .bytes = UINT32_MAX - 10,
    .err = MOTET_E_COUNT - 1,
    .err2 = MOTET_E_COUNT - 2,
    .hops = UINT16_MAX - 1,
    .role = UINT8_MAX,
    .notify = UINT8_MAX - 1,
    .priority = UINT8_MAX - 2,
    .enabled = true,
    .flag = true,
    .wait = true,
    .returning = true,
    .name = NAME_MOST,
    .text = TEXT_MOST,
};

static struct mem mem;

static uint8_t wire[1 << 16];

/* An item of that kind with its largest, or least, values and `size` bytes of
 * data. */
static inline struct image_item sample(enum image_kind kind, bool least,
                                       uint32_t size)
{
    struct image_item it = least ? (struct image_item){0} : most;
    it.kind = kind;
    if (least && has(kind, "msg.kind")) {
        it.msg.kind = MSG_SEND;
    }
    if (kind == IMAGE_PARCEL) {
        it.msg.annex_bytes = 0;
    }
    if (size > 0) {
        struct buf *b = buf_new(&mem, size);
        cr_assert_not_null(b);
        for (uint32_t i = 0; i < size; i++) {
            b->data[i] = (uint8_t)(i * 7 + kind);
        }
        *(kind == IMAGE_ACTOR ? &it.data : &it.msg.data) = b;
    }
    return it;
}

static inline uint32_t data_of(enum image_kind kind, uint32_t size)
{
    return kind == IMAGE_ACTOR || has_msg_data(kind) ? size : 0;
}

/* Appends it, and lets go of it. */
static inline void put(struct image_item *it, struct writer *w)
{
    const struct buf *data = NULL;
    wire_encode_item(it, w, &data);
    if (data != NULL) {
        write_span(w, data->data, data->size);
    }
    cr_assert(writer_ok(w));
    image_release(it);
}

static inline size_t put_sample(enum image_kind kind, bool least, uint32_t size)
{
    struct image_item it = sample(kind, least, size);
    struct writer w = writer_of(wire, sizeof wire);
    put(&it, &w);
    return w.at;
}

/* What was read of a copy on the heap, of exactly that size, into an item
 * there, so that what passes the end of either is seen. */
struct read_item {
    bool ok;
    bool all; /* nothing was left */
    struct image_item it;
    uint32_t size; /* of the data */
    uint8_t first; /* of the data */
};

static inline struct read_item take(const uint8_t *data, size_t size)
{
    struct read_item got = {0};
    const uint8_t *bytes = NULL;
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    struct image_item *it = malloc(sizeof *it);
    cr_assert(copy != NULL && it != NULL);
    memcpy(copy, data, size);
    struct reader r = reader_of(copy, size);
    got.ok = wire_decode_item(&r, it, &bytes, &got.size);
    got.it = *it;
    got.all = reader_done(&r);
    if (got.ok && got.size > 0) {
        got.first = bytes[0];
        got.ok = bytes >= copy && bytes + got.size <= copy + size;
    }
    free(copy);
    free(it);
    return got;
}

#endif
