#include "nucleus/base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/check.h"

void mem_init(struct mem *m, size_t cap_bytes)
{
    *m = (struct mem){.cap_bytes = cap_bytes};
}

static bool fits(const struct mem *m, size_t more_bytes)
{
    return more_bytes <= m->cap_bytes - m->used_bytes;
}

static void account(struct mem *m, size_t more_bytes)
{
    m->used_bytes += more_bytes;
    if (m->used_bytes > m->peak_bytes) {
        m->peak_bytes = m->used_bytes;
    }
}

void *mem_alloc(struct mem *m, size_t size_bytes)
{
    if (size_bytes == 0 || !fits(m, size_bytes)) {
        return NULL;
    }
    void *p = calloc(1, size_bytes);
    if (p != NULL) {
        account(m, size_bytes);
        m->blocks++;
    }
    return p;
}

void *mem_alloc_raw(struct mem *m, size_t size_bytes)
{
    if (size_bytes == 0 || !fits(m, size_bytes)) {
        return NULL;
    }
    void *p = malloc(size_bytes);
    if (p != NULL) {
        account(m, size_bytes);
        m->blocks++;
    }
    return p;
}

void mem_free(struct mem *m, void *p, size_t size_bytes)
{
    if (p == NULL) {
        return;
    }
    CHECK(m->blocks > 0);
    CHECK(size_bytes > 0 && size_bytes <= m->used_bytes);
    m->used_bytes -= size_bytes;
    m->blocks--;
    CHECK(m->blocks > 0 || m->used_bytes == 0);
    free(p);
}

void *mem_resize(struct mem *m, void *p, size_t old_bytes, size_t new_bytes)
{
    if (p == NULL) {
        CHECK(old_bytes == 0);
        return mem_alloc(m, new_bytes);
    }
    CHECK(old_bytes > 0 && old_bytes <= m->used_bytes);
    if (new_bytes == 0) {
        return NULL;
    }
    if (new_bytes > old_bytes && !fits(m, new_bytes - old_bytes)) {
        return NULL;
    }
    uint8_t *q = realloc(p, new_bytes);
    if (q == NULL) {
        return NULL;
    }
    m->used_bytes -= old_bytes;
    account(m, new_bytes);
    if (new_bytes > old_bytes) {
        memset(q + old_bytes, 0, new_bytes - old_bytes);
    }
    return q;
}
