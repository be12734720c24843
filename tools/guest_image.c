#include "guest_image.h"

#include <stdio.h>

#include "process.h"

bool guest_image_make(struct guest_image *g, char *why)
{
    char motetd[PATH_BYTES];
    char init[PATH_BYTES];
    const struct image_parts parts = {g->cache, motetd, init};

    if (!folders_cache(g->cache)) {
        snprintf(why, KERNEL_WHY_MAX,
                 "no folder for images\nset XDG_CACHE_HOME");
        return false;
    }
    if (!process_there("motetd-static", motetd) ||
        !process_there("motet-init", init)) {
        snprintf(why, KERNEL_WHY_MAX,
                 "no motetd-static or no motet-init beside motet or in PATH\n"
                 "build all of it: cmake --build --preset release");
        return false;
    }
    return image_make(&parts, &g->image, why);
}
