#ifndef TOOLS_UP_FILE_H
#define TOOLS_UP_FILE_H

#include "cluster.h"
#include "clusterfile.h"
#include "launch.h"

/* What a cluster file means for a cluster. */

/** Adds the sites of the file that are missing. @return EXIT_DONE; EXIT_USAGE
 * when the cluster that is there is another one, and it is told */
enum exit_code up_file_sites(struct cluster *c, const char *path,
                             const struct cluster_file *file);

/** The actors that the file gives to a site, in `actors`.
 * @return NULL: as usual */
const struct launch_actors *up_file_actors(const struct cluster_file *file,
                                           const char *site,
                                           struct launch_actors *actors);

/** What the file says of links, for sites that run: the way of small messages,
 * and faults. @return false; it is told */
MUST_USE bool up_file_links(struct cluster *c, const struct cluster_file *file);

#endif
