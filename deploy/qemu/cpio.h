#ifndef QEMU_CPIO_H
#define QEMU_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "nucleus/base/check.h"

/* An archive as the kernel unpacks it at boot: cpio, format "newc"
 * (Documentation/driver-api/early-userspace/buffer-format.rst). All owned by
 * root, all of the same time, so that the same content gives the same bytes. */

struct cpio {
    FILE *file;
    uint32_t inode;
};

/** Names have no slash in front. @return false: the file cannot be written */
MUST_USE bool cpio_folder(struct cpio *c, const char *name);
MUST_USE bool cpio_bytes(struct cpio *c, const char *name, uint32_t mode,
                         const void *bytes, size_t size);
/** Major and minor number of a device of characters. */
MUST_USE bool cpio_device(struct cpio *c, const char *name, uint32_t major,
                          uint32_t minor);
MUST_USE bool cpio_end(struct cpio *c);

#endif
