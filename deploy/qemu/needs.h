#ifndef QEMU_NEEDS_H
#define QEMU_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* What a program or a shared object needs to run: the shared libraries, and the
 * loader, as the loader of this machine finds them. */

enum { NEEDS_MAX = 128, NEEDS_TEXT_MAX = 32768, NEEDS_WHY_MAX = 512 };

struct needs {
    const char *paths[NEEDS_MAX]; /* absolute, each once */
    size_t count;
    char text[NEEDS_TEXT_MAX];
    size_t used;
};

/** Adds a file itself. @return false: too many */
MUST_USE bool needs_add(struct needs *n, const char *path);

/**
 * Adds all that a file needs.
 *
 * @param why  on failure: a sentence, NEEDS_WHY_MAX bytes
 */
MUST_USE bool needs_of(struct needs *n, const char *path, char *why);

/** The same, of what the loader says of it: lines "NAME => PATH (0x...)" and
 * "PATH (0x...)". Changes the text. */
MUST_USE bool needs_read(struct needs *n, char *said, char *why);

#endif
