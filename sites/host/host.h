#ifndef HOST_H
#define HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config.h"
#include "sites/site/site.h"

/* A site in a process: the pure site on a libuv loop, with its transport, its
 * attachments, its state folder and its log. motetd is one of these, and so is
 * a site embedded in a program. All on one loop thread, but for host_stop(). */

struct host;

enum host_end {
    HOST_RUNNING,
    HOST_STOPPED, /* asked to */
    HOST_REFUSED, /* the cluster does not take this site: why says it */
    HOST_FAILED,  /* something of this machine failed: why says it */
};

/**
 * Takes the state folder, loads certificates, listens, opens the attachment.
 *
 * @param cfg  checked; borrowed until host_close()
 * @param why  on failure: a sentence for people; CONFIG_WHY_MAX bytes
 * @return NULL on failure; nothing is left behind
 */
struct host *host_open(const struct config *cfg, char *why);

/** Runs until it ends. @param why  as above, unless HOST_STOPPED */
enum host_end host_run(struct host *h, char *why);

/** Asks it to leave in good order; a second time: at once. Any thread, and
 * signal handlers of libuv. */
void host_stop(struct host *h);

/** Releases everything; after host_run(). */
void host_close(struct host *h);

/** Loads the certificates again, for connections to come; on the loop. */
void host_reload(struct host *h);

/** The loop it runs on, for handles of the caller's: host_close() closes them.
 */
uv_loop_t *host_loop(struct host *h);

/** The address listened on, with the real port. */
const char *host_address(const struct host *h);

/** The site as it is now; changes with a rebirth. On the loop thread only. */
struct site *host_site(struct host *h);

/** Starts an actor, now and after each rebirth; before host_run().
 * Ownership: borrows all. @return false and `why` */
MUST_USE bool host_actor(struct host *h, const struct motet_supervisor *table,
                         const char *name, const char *args, char *why);

#endif
