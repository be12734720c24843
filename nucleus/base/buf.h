#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdint.h>

#include "nucleus/base/mem.h"

/* A reference-counted block of bytes: a message (annex, then body) travels in
 * one of these from queue to queue without being copied. Not thread-safe. */
struct buf {
    struct mem *mem;
    uint32_t refs;
    uint32_t size; /* bytes in data[] */
    uint8_t data[];
};

/**
 * A block of `size` bytes (0 allowed), contents zeroed, one reference.
 *
 * @return NULL at the memory cap
 *
 * Ownership: gives; release with buf_unref().
 */
struct buf *buf_new(struct mem *mem, uint32_t size);

/** As buf_new(), but the contents are undefined: for who fills all of it. */
struct buf *buf_raw(struct mem *mem, uint32_t size);

/** As buf_new(), filled with a copy of `data`. */
struct buf *buf_copy(struct mem *mem, const void *data, uint32_t size);

/** One more reference; returns `b`. NULL is allowed. */
struct buf *buf_ref(struct buf *b);

/** Drops a reference; the last one frees. NULL is allowed. */
void buf_unref(struct buf *b);

#endif
