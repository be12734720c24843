#include "byteq.h"

#include <stdlib.h>
#include <string.h>

void byteq_init(struct byteq *q, struct byteq_store *store)
{
    *q = (struct byteq){.store = store};
}

static struct byteq_chunk *take(struct byteq_store *store)
{
    struct byteq_chunk *chunk = store->first;
    if (chunk != NULL) {
        store->first = chunk->next;
        store->count--;
    } else {
        chunk = malloc(sizeof *chunk);
        if (chunk == NULL) {
            return NULL;
        }
    }
    chunk->next = NULL;
    chunk->head = 0;
    chunk->tail = 0;
    return chunk;
}

static void put(struct byteq_store *store, struct byteq_chunk *chunk)
{
    if (store->count == BYTEQ_STORE_MAX) {
        free(chunk);
        return;
    }
    chunk->next = store->first;
    store->first = chunk;
    store->count++;
}

/* A chunk with room at the end of the queue, or NULL without memory. */
static struct byteq_chunk *room(struct byteq *q)
{
    if (q->last != NULL && q->last->tail < BYTEQ_CHUNK_BYTES) {
        return q->last;
    }
    struct byteq_chunk *chunk = take(q->store);
    if (chunk == NULL) {
        return NULL;
    }
    if (q->last == NULL) {
        q->first = chunk;
    } else {
        q->last->next = chunk;
    }
    q->last = chunk;
    return chunk;
}

bool byteq_append(struct byteq *q, const void *data, size_t size)
{
    const uint8_t *from = data;
    while (size > 0) {
        struct byteq_chunk *chunk = room(q);
        if (chunk == NULL) {
            return false;
        }
        size_t n = BYTEQ_CHUNK_BYTES - chunk->tail;
        n = n < size ? n : size;
        memcpy(chunk->data + chunk->tail, from, n);
        chunk->tail += (uint32_t)n;
        q->size += n;
        from += n;
        size -= n;
    }
    return true;
}

unsigned byteq_peek(const struct byteq *q, uv_buf_t *pieces, unsigned max)
{
    unsigned n = 0;
    for (struct byteq_chunk *c = q->first; c != NULL && n < max; c = c->next) {
        pieces[n] = uv_buf_init((char *)c->data + c->head, c->tail - c->head);
        n++;
    }
    return n;
}

void byteq_consume(struct byteq *q, size_t size)
{
    CHECK(size <= q->size);
    q->size -= size;
    while (size > 0) {
        struct byteq_chunk *chunk = q->first;
        CHECK(chunk != NULL);
        size_t n = chunk->tail - chunk->head;
        n = n < size ? n : size;
        chunk->head += (uint32_t)n;
        size -= n;
        if (chunk->head == chunk->tail) {
            q->first = chunk->next;
            q->last = q->first == NULL ? NULL : q->last;
            put(q->store, chunk);
        }
    }
}

void byteq_clear(struct byteq *q)
{
    byteq_consume(q, q->size);
}

void byteq_store_fini(struct byteq_store *store)
{
    while (store->first != NULL) {
        struct byteq_chunk *chunk = store->first;
        store->first = chunk->next;
        free(chunk);
    }
    store->count = 0;
}
