#ifndef BYTEQ_H
#define BYTEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "nucleus/base/check.h"

enum {
    BYTEQ_CHUNK_BYTES = 65536,
    BYTEQ_STORE_MAX = 32, /* empty chunks kept for reuse: 2 MiB */
};

struct byteq_chunk {
    struct byteq_chunk *next;
    uint32_t head; /* first byte not yet consumed */
    uint32_t tail; /* first byte free */
    uint8_t data[BYTEQ_CHUNK_BYTES];
};

/* Empty chunks, shared by the queues of one loop. All zeroes = empty. */
struct byteq_store {
    struct byteq_chunk *first;
    uint32_t count;
};

/* A queue of bytes. What was appended stays where it is until it is consumed,
 * so that a system call may refer to it while more is appended. An empty queue
 * holds no memory. */
struct byteq {
    struct byteq_store *store;
    struct byteq_chunk *first;
    struct byteq_chunk *last;
    size_t size;
};

/** Empty. Borrows `store` until byteq_clear(). */
void byteq_init(struct byteq *q, struct byteq_store *store);

/** @return false without memory; part of the bytes may be in then */
MUST_USE bool byteq_append(struct byteq *q, const void *data, size_t size);

/** The first bytes in at most `max` pieces.
 * @return the number of pieces, 0 if the queue is empty */
unsigned byteq_peek(const struct byteq *q, uv_buf_t *pieces, unsigned max);

/** Drops the first `size` bytes; CHECKs that there are so many. */
void byteq_consume(struct byteq *q, size_t size);

void byteq_clear(struct byteq *q);

/** Releases the empty chunks. */
void byteq_store_fini(struct byteq_store *store);

#endif
