#ifndef TOOLS_GUEST_IMAGE_H
#define TOOLS_GUEST_IMAGE_H

#include "deploy/qemu/image.h"
#include "folders.h"

/* The image of the guests of this build of motet. */

struct guest_image {
    struct image image;
    char cache[PATH_BYTES];
};

/** Makes it, or finds it in the cache. Says nothing.
 * @param object  a shared object for the site to load: it, a motetd that can,
 *             and the libraries of both are in the image then, at the paths
 *             that they have here; NULL: none
 * @param why  on failure, KERNEL_WHY_MAX bytes: what, and after a newline what
 *             to do
 * @return false on failure */
MUST_USE bool guest_image_make(struct guest_image *g, const char *object,
                               char *why);

#endif
