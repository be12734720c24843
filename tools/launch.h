#ifndef TOOLS_LAUNCH_H
#define TOOLS_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster.h"

/* Making and starting sites. */

enum { LAUNCH_PORT = 7117, LAUNCH_DAYS = 30 };

#define LAUNCH_TIMEOUT_NS 20000000000ULL /* until all agree */

/** Folders of the cluster, made if missing; socket paths that fit.
 * @return false; it is told */
MUST_USE bool launch_folders(const struct cluster *c);

/** The authority and the certificates of all sites. @return false; told */
MUST_USE bool launch_certificates(const struct cluster *c);

/** Gives each site without an address the next free one of loopback, and looks
 * whether those of the others that do not run are free. @return false; told */
MUST_USE bool launch_addresses(struct cluster *c, unsigned port);

/** Which way small messages of new sites take: as said, or (NULL) as those of
 * the first site. @return false: there is no such word; it is told */
MUST_USE bool launch_transport(struct cluster *c, const char *word);

/** Writes the configuration of a site. `first` also runs the counter.
 * @return false; it is told */
MUST_USE bool launch_conf(const struct cluster *c,
                          const struct site_files *site, bool insecure);

/** Starts the site's motetd. @return false; it is told */
MUST_USE bool launch_start(struct site_files *site);

/** Ends it: SIGTERM, and SIGKILL when `grace_ns` have passed. Removes the pid
 * file and the socket. @return false: it runs on */
bool launch_stop(struct site_files *site, uint64_t grace_ns);

/** The last lines of its log, on stderr, and the path. */
void launch_log(const struct site_files *site);

#endif
