#ifndef TOOLS_PROGRAMS_H
#define TOOLS_PROGRAMS_H

#include "cluster.h"
#include "clusterfile.h"

/* Programs of a cluster file: processes of this machine, each attached to one
 * site (MOTET_CLUSTER, MOTET_SITE). Pid file SITE.N.prog.pid in the run folder,
 * output in SITE.N.prog.log in the state folder. */

/** Starts those of the file that do not run yet. @return false; it is told */
MUST_USE bool programs_start(const struct cluster *c,
                             const struct cluster_file *file);

/** Ends all of the cluster, with or without the file. @return how many */
size_t programs_stop(const struct cluster *c, uint64_t grace_ns);

#endif
