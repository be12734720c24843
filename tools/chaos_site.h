#ifndef TOOLS_CHAOS_SITE_H
#define TOOLS_CHAOS_SITE_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster.h"
#include "deploy/chaos/chaos.h"

/* What faults do to the sites of a cluster of processes. Each function does one
 * thing to one site; none waits for its end but the process that is killed. */

/** kill -9, and waits for it. @return whether it ran */
bool hurt_kill(struct site_files *site);
/** Asked to leave, and waited for; SIGKILL after `grace_ns`. */
bool hurt_leave(struct cluster *c, struct site_files *site, uint64_t grace_ns);
/** How long to wait for that: machines without a turn take their time. */
uint64_t hurt_grace_ns(const struct site_files *site);
bool hurt_pause(struct site_files *site);
bool hurt_resume(struct site_files *site);
/** Between two lives: the state file is gone, or is what it was at the last
 * hurt_remember(). */
void hurt_lose_state(const struct site_files *site);
void hurt_roll_back(const struct site_files *site);
void hurt_remember(const struct site_files *site);
/** From now on, until it is healed, the state file cannot be written: no space
 * is left on the device. */
bool hurt_fill_disk(const struct site_files *site);
void hurt_free_disk(const struct site_files *site);
/** The wall clock of its machine is so many seconds off from now on. */
void hurt_clock(const struct site_files *site, int64_t off_s);
/** Somebody without a certificate connects and sends rubbish. */
void hurt_stranger(const struct cluster *c, const struct site_files *site,
                   uint64_t dice);

/* A second copy of a site: the same key, a copy of its state, another address.
 */
struct hurt_twin {
    struct site_files files;
    bool runs;
};
bool hurt_twin(struct cluster *c, const struct site_files *site,
               struct hurt_twin *twin);
void hurt_twin_end(struct cluster *c, struct hurt_twin *twin);
/** Ends the second copies whose makers were killed. */
void hurt_twins_left(struct cluster *c);

/** Ends the faults by hand of a cluster that is about to stop
 * (cmd_chaos_live.c): what they have started ends, what they have stopped is
 * not started. */
void hurt_hands_off(const struct cluster *c);

#endif
