#ifndef HOST_STATE_H
#define HOST_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* What of a site survives a reboot: its incarnation (P9), under a lock that
 * keeps a second copy with the same folder from starting. */
struct state {
    int dir;
    int lock;
    uint32_t incarnation; /* of this life */
};

/**
 * Locks the folder (made if it is not there) and begins a new incarnation:
 * max(the one in the file + 1, `at_least`, the wall clock in seconds), written
 * and synced, file and folder, before this returns.
 *
 * @param why  on failure: path, reason, what to do
 * @return false on failure; a folder that another process holds is one
 */
MUST_USE bool state_open(struct state *s, const char *dir, uint32_t at_least,
                         char *why, size_t why_size);

/** The next incarnation, as above. */
MUST_USE bool state_next(struct state *s, uint32_t at_least, char *why,
                         size_t why_size);

void state_close(struct state *s);

#endif
