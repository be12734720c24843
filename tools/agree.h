#ifndef TOOLS_AGREE_H
#define TOOLS_AGREE_H

#include <stdint.h>

#include "cluster.h"

/* Waiting until the sites of a cluster agree. */

struct agree {
    uint64_t alive; /* of the site that sees fewest */
    uint64_t links; /* sessions up, both directions counted */
    uint64_t view;  /* the same at all, when they agree */
    uint64_t took_ns;
    const struct site_files *ended; /* this one's process ended, or NULL */
    const struct site_files *mute;  /* this one did not answer, or NULL */
};

/** One look. @return true when every running site sees every running site
 * alive, all sessions are up, and members and directory look the same at all */
bool agree_look(struct cluster *c, struct agree *a);

/** Looks until it is so, `stop` is set, a process ends or the time is over. */
bool agree_wait(struct cluster *c, uint64_t timeout_ns,
                volatile const int *stop, struct agree *a);

#endif
