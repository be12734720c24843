#ifndef PLUGIN_H
#define PLUGIN_H

#include <motet/plugin.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* Loads a supervisor actor from a shared object. */

enum { PLUGIN_PATH_MAX = 512, PLUGIN_WHY_MAX = 512 };

struct plugin {
    void *handle; /* kept until the process ends: its code may be running */
    char path[PLUGIN_PATH_MAX]; /* absolute */
    const char *args;           /* points into what was given, or NULL */
    const struct motet_supervisor *table;
    const struct motet_invariant *invariants;
    size_t invariant_count;
};

/** Whether a text names a shared object, "FILE.so" or "FILE.so:ARGUMENTS", and
 * not a built-in actor. */
bool plugin_is(const char *text);

/**
 * Loads it.
 *
 * @param text  as above; borrowed for as long as `p` is used
 * @param why   on failure: a sentence for people; PLUGIN_WHY_MAX bytes
 */
MUST_USE bool plugin_open(struct plugin *p, const char *text, char *why);

#endif
