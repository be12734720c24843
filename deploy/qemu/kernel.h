#ifndef QEMU_KERNEL_H
#define QEMU_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* A kernel for guests, from Debian's packages: one that is in the cache, one
 * that is installed here, else linux-image-cloud is downloaded with apt-get
 * (about 27 MB, no root needed) and unpacked into the cache. */

enum { KERNEL_PATH_MAX = 4096, KERNEL_MODULES_MAX = 64, KERNEL_WHY_MAX = 1024 };

struct kernel {
    char version[128];
    char image[KERNEL_PATH_MAX];   /* what QEMU boots: unpacked if possible */
    char modules[KERNEL_PATH_MAX]; /* folder */
    bool downloaded;               /* just now */
};

/** @param cache  folder; made
 * @param why  on failure: a sentence, and what to do after a newline;
 *             KERNEL_WHY_MAX bytes
 * @return false on failure */
MUST_USE bool kernel_find(const char *cache, struct kernel *k, char *why);

struct kernel_modules {
    char *paths[KERNEL_MODULES_MAX]; /* in load order */
    size_t count;
};

/** The modules of those names and what they need. One that is not there is
 * left out: it may be built in. Gives; kernel_modules_free(). */
void kernel_modules(const struct kernel *k, const char *const names[],
                    size_t count, struct kernel_modules *m);
void kernel_modules_free(struct kernel_modules *m);

/** All of a file, unpacked by its suffix (.xz, .zst, .gz). Gives; free().
 * @return NULL: it cannot be read */
unsigned char *kernel_load(const char *path, size_t *size);

#endif
