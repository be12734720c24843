#ifndef TOOLS_CHAOS_GUEST_H
#define TOOLS_CHAOS_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* What the load of a guest has seen, by the clock of the host. The guest has a
 * clock of its own, which stands still while the machine does and begins anew
 * when it boots. Its runner (deploy/qemu/judged.h) looks at it again and again:
 *
 *   boot NUMBER        a boot begins; a line "boot NUMBER" is in the events too
 *   at GUEST FROM TO   the guest said GUEST, asked at FROM, heard at TO
 *   resume HOST        it had stood still, and goes on
 *
 * The looks that were answered fastest tell the time best, to within half of
 * how long they took; between two of them it runs evenly. */

struct guest_clock;

/** Reads a file. Gives; guest_clock_free(). @return NULL: there is none */
struct guest_clock *guest_clock_read(const char *path);
void guest_clock_free(struct guest_clock *c);

/** From now on it is about that boot. @return false: nothing is known of it */
MUST_USE bool guest_clock_boot(struct guest_clock *c, uint64_t number);

/** A time of the guest as one of the host; never ends never. */
uint64_t guest_clock_host(const struct guest_clock *c, uint64_t guest_ns);

/** FOLDER/SITE.events, made of SITE.guest and SITE.clock; without them nothing
 * is done. @return false: it cannot be written; it is told */
MUST_USE bool guest_events(const char *folder, const char *site);

#endif
