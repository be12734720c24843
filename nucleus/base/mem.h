#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* A counting allocator with a cap: all memory of one site's machines comes from
 * one of these, so that a load can never take more than was configured (P10)
 * and a test can see that everything came back. Not thread-safe. */
struct mem {
    size_t cap_bytes;
    size_t used_bytes;
    size_t blocks;
    size_t peak_bytes;
};

void mem_init(struct mem *m, size_t cap_bytes);

/**
 * Zeroed memory, aligned for any type.
 *
 * @return NULL if `size` would pass the cap (or is 0); nothing changed then
 *
 * Ownership: gives; release with mem_free() and the same size.
 */
void *mem_alloc(struct mem *m, size_t size_bytes);

/** As mem_alloc(), but the contents are undefined: for who fills it at once. */
void *mem_alloc_raw(struct mem *m, size_t size_bytes);

/** Takes `p` back; NULL is allowed. CHECKs the accounts. */
void mem_free(struct mem *m, void *p, size_t size_bytes);

/**
 * As realloc; new bytes are zeroed. `p` may be NULL with `old_bytes` 0.
 *
 * @return NULL at the cap (or if `new_bytes` is 0); `p` is then untouched
 */
void *mem_resize(struct mem *m, void *p, size_t old_bytes, size_t new_bytes);

#endif
