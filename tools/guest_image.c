#include "guest_image.h"

#include <stdio.h>
#include <stdlib.h>

#include "deploy/qemu/needs.h"
#include "process.h"

/* A static program loads nothing: so the one of the host, and what it needs. */
static bool with_object(struct guest_image *g, struct image_parts *parts,
                        const char *object, char *why)
{
    char said[NEEDS_WHY_MAX] = "";
    struct needs *n = calloc(1, sizeof *n);
    CHECK(n != NULL);
    bool ok = needs_of(n, parts->motetd, said) && needs_of(n, object, said) &&
              needs_add(n, object);
    if (!ok) {
        snprintf(why, KERNEL_WHY_MAX,
                 "%.300s cannot be loaded in a guest: %s\n"
                 "see: ldd %.300s",
                 object, said, object);
    } else {
        parts->files = n->paths;
        parts->file_count = n->count;
        ok = image_make(parts, &g->image, why);
    }
    free(n);
    return ok;
}

bool guest_image_make(struct guest_image *g, const char *object, char *why)
{
    char motetd[PATH_BYTES];
    char init[PATH_BYTES];
    struct image_parts parts = {
        .cache = g->cache, .motetd = motetd, .init = init};

    if (!folders_cache(g->cache)) {
        snprintf(why, KERNEL_WHY_MAX,
                 "no folder for images\nset XDG_CACHE_HOME");
        return false;
    }
    if (!process_there(object == NULL ? "motetd-static" : "motetd", motetd) ||
        !process_there("motet-init", init)) {
        snprintf(why, KERNEL_WHY_MAX,
                 "no motetd-static or no motet-init beside motet or in PATH\n"
                 "build all of it: cmake --build --preset release");
        return false;
    }
    return object == NULL ? image_make(&parts, &g->image, why)
                          : with_object(g, &parts, object, why);
}
