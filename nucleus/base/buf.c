#include "nucleus/base/buf.h"

#include <string.h>

#include "nucleus/base/check.h"

static struct buf *filled(struct mem *mem, struct buf *b, uint32_t size)
{
    if (b != NULL) {
        b->mem = mem;
        b->refs = 1;
        b->size = size;
    }
    return b;
}

struct buf *buf_new(struct mem *mem, uint32_t size)
{
    struct buf *b = mem_alloc(mem, sizeof *b + size);
    return filled(mem, b, size);
}

struct buf *buf_raw(struct mem *mem, uint32_t size)
{
    struct buf *b = mem_alloc_raw(mem, sizeof *b + size);
    return filled(mem, b, size);
}

struct buf *buf_copy(struct mem *mem, const void *data, uint32_t size)
{
    struct buf *b = buf_raw(mem, size);
    if (b != NULL && size > 0) {
        memcpy(b->data, data, size);
    }
    return b;
}

struct buf *buf_ref(struct buf *b)
{
    if (b != NULL) {
        CHECK(b->refs > 0 && b->refs < UINT32_MAX);
        b->refs++;
    }
    return b;
}

void buf_unref(struct buf *b)
{
    if (b == NULL) {
        return;
    }
    CHECK(b->refs > 0);
    b->refs--;
    if (b->refs == 0) {
        mem_free(b->mem, b, sizeof *b + b->size);
    }
}
