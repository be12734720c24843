#ifndef QEMU_IMAGE_H
#define QEMU_IMAGE_H

#include "kernel.h"

/* What a guest boots: a kernel and an initramfs with a static motetd, our first
 * process and the modules of virtio. No distribution inside. Made on the spot,
 * kept in the cache under a name made of what it is made of. */

struct image {
    struct kernel kernel;
    char path[KERNEL_PATH_MAX]; /* the initramfs */
    size_t bytes;
    bool cached; /* it was there */
};

struct image_parts {
    const char *cache;  /* folder; made */
    const char *motetd; /* programs, static; or with its libraries in `files` */
    const char *init;
    const char *const *files; /* these besides, each where it is here */
    size_t file_count;
};

/** @param why  as kernel_find() @return false on failure */
MUST_USE bool image_make(const struct image_parts *parts, struct image *image,
                         char *why);

#endif
