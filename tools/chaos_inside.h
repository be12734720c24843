#ifndef TOOLS_CHAOS_INSIDE_H
#define TOOLS_CHAOS_INSIDE_H

#include "chaos.h"
#include "chaos_site.h"
#include "network.h"

/* The inside of runs on real sites.
 *
 *   chaos_host.c     the run: up, load, heal, agreement, the end, down
 *   chaos_strike.c   faults begin and end; sites that ended are started again
 */

enum { ACTIVE_MAX = 256 }; /* faults at once */

/* A site, as its service manager sees it. */
struct keeper {
    uint64_t start_at_ns; /* while it is down */
    unsigned pauses;      /* by how many faults it stands still */
    unsigned slow, stuck, full;
    int64_t wall_s; /* by how much its wall clock is off */
    struct hurt_twin twin;
    bool died; /* and did not leave in good order */
};

struct active {
    const struct chaos_fault *fault;
    uint64_t end_ns;
};

struct hosting {
    struct chaos_run *run;
    struct cluster cluster;
    struct keeper keepers[CHAOS_SITES_MAX];
    struct active active[ACTIVE_MAX];
    size_t active_count;
    size_t next; /* of the faults */
    const char *phase;
    struct network network;  /* if a fault is about links */
    bool ours;               /* the cluster: we have made it */
    char object[PATH_BYTES]; /* what the sites load */
    bool broken;             /* a fault could not begin: nothing to be judged */
};

struct site_files *site_at(struct hosting *h, uint32_t i);

/** The file that the load reads, anew. */
void write_phase(struct hosting *h);

/** All that is due now. */
void strike_tick(struct hosting *h);

/** All faults end. */
void strike_end(struct hosting *h);

/** Whether the ground can do it. @param why  as of struct chaos_ground */
bool can_processes(enum chaos_kind kind, const char **why); /* host, netns */
bool can_qemu(enum chaos_kind kind, const char **why);

#endif
