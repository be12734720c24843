#ifndef QEMU_STORE_H
#define QEMU_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* Files that came over the link. On failure errno says why. */

/** Writes a whole file, its folders made. */
MUST_USE bool store_file(const char *path, uint32_t mode, const void *bytes,
                         size_t size);

/** Makes a folder and those above it. */
void store_folders(const char *path);

/** The folders that a file is to be in. */
void store_folders_of(const char *path);

/** All of the bytes, however often it takes. */
MUST_USE bool store_bytes(int fd, const void *bytes, size_t size);

#endif
