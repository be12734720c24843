#ifndef QEMU_PROBE_H
#define QEMU_PROBE_H

#include <stdint.h>

#include "image.h"

/* Does a guest boot here, with KVM or without? Only a boot tells: /dev/kvm may
 * open and yet run no ordinary kernel. */

enum probe_end { PROBE_BOOTS, PROBE_FAILS, PROBE_ABSENT };

struct probe {
    enum probe_end end;
    uint64_t took_ns;
    char why[256]; /* unless it boots */
};

/** Boots a guest that ends at once. @param accel  "kvm" or "tcg" */
void probe_boot(const struct image *image, const char *cache, const char *accel,
                struct probe *p);

/** What to use: "kvm" if a guest boots with it, else "tcg". Kept in the cache
 * for this kernel and this QEMU. @param known  set: it was in the cache */
const char *probe_accel(const struct image *image, const char *cache,
                        bool *known);

/** "QEMU emulator version 7.2.22", or "" if there is none. @return `text` */
const char *probe_qemu(char *text, size_t size);

#endif
