#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "nucleus/base/check.h"

/* The one way to read bytes from outside, and to write bytes that go outside.
 * Little-endian. After the first read or write that does not fit, the cursor
 * is failed: reads give zeroes, writes do nothing, and reader_ok()/writer_ok()
 * say so; so a decoder reads all its fields and asks once. */
struct reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

struct writer {
    uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

/** Borrows `data` (NULL allowed with `size` 0). */
static inline struct reader reader_of(const void *data, size_t size)
{
    CHECK(data != NULL || size == 0);
    return (struct reader){
        .data = data != NULL ? data : "",
        .size = size,
    };
}

/** `size` bytes in place, borrowed from the input; NULL if they are not there
 * (never for `size` 0, unless failed before). */
static inline const uint8_t *read_span(struct reader *r, size_t size)
{
    if (r->failed || size > r->size - r->at) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->at;
    r->at += size;
    return p;
}

static inline uint8_t read_u8(struct reader *r)
{
    const uint8_t *p = read_span(r, 1);
    return p != NULL ? p[0] : 0;
}

static inline uint16_t read_u16(struct reader *r)
{
    const uint8_t *p = read_span(r, 2);
    return p != NULL ? (uint16_t)(p[0] | p[1] << 8) : 0;
}

static inline uint32_t read_u32(struct reader *r)
{
    const uint8_t *p = read_span(r, 4);
    if (p == NULL) {
        return 0;
    }
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline uint64_t read_u64(struct reader *r)
{
    const uint8_t *p = read_span(r, 8);
    if (p == NULL) {
        return 0;
    }
    return p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
           (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
           (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

/** Bytes not yet read; 0 once failed, so that a loop over them ends. */
static inline size_t reader_left(const struct reader *r)
{
    return r->failed ? 0 : r->size - r->at;
}

static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}

/** All read, and nothing failed. */
static inline bool reader_done(const struct reader *r)
{
    return !r->failed && r->at == r->size;
}

/** Borrows `data` (NULL allowed with `size` 0); `at` tells what was written. */
static inline struct writer writer_of(void *data, size_t size)
{
    CHECK(data != NULL || size == 0);
    return (struct writer){.data = data, .size = size};
}

/** Room for `size` bytes that the caller fills, 1 or more; NULL if it is not
 * there. */
static inline uint8_t *write_room(struct writer *w, size_t size)
{
    if (w->failed || size > w->size - w->at) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->data + w->at;
    w->at += size;
    return p;
}

static inline void write_u8(struct writer *w, uint8_t v)
{
    uint8_t *p = write_room(w, 1);
    if (p != NULL) {
        p[0] = v;
    }
}

static inline void write_u16(struct writer *w, uint16_t v)
{
    uint8_t *p = write_room(w, 2);
    if (p != NULL) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
    }
}

static inline void write_u32(struct writer *w, uint32_t v)
{
    uint8_t *p = write_room(w, 4);
    if (p != NULL) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)(v >> 16);
        p[3] = (uint8_t)(v >> 24);
    }
}

static inline void write_u64(struct writer *w, uint64_t v)
{
    uint8_t *p = write_room(w, 8);
    if (p != NULL) {
        p[0] = (uint8_t)v;
        p[1] = (uint8_t)(v >> 8);
        p[2] = (uint8_t)(v >> 16);
        p[3] = (uint8_t)(v >> 24);
        p[4] = (uint8_t)(v >> 32);
        p[5] = (uint8_t)(v >> 40);
        p[6] = (uint8_t)(v >> 48);
        p[7] = (uint8_t)(v >> 56);
    }
}

static inline void write_span(struct writer *w, const void *data, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *p = write_room(w, size);
    if (p != NULL) {
        memcpy(p, data, size);
    }
}

static inline bool writer_ok(const struct writer *w)
{
    return !w->failed;
}

#endif
