#ifndef TOOLS_LINK_WAY_H
#define TOOLS_LINK_WAY_H

#include "cluster.h"

/* The way that small messages take on a link: tcp, udp or auto. It lasts: both
 * sites have it in their configuration, too. */

/** Whether they are sites of it: "site1", "site1,site2" or "*"; one that is
 * none is told. */
MUST_USE bool link_are_sites(const struct cluster *c, const char *names);

/** The cluster that is meant, if each of `sites` is one of its sites, several
 * ("site1,site2") or all ("*"). Gives: cluster_close(c).
 * @return EXIT_DONE; else it is told and nothing is open */
enum exit_code link_choose(char **sites, unsigned count, struct cluster *c);

/** Whether there is such a word. */
bool link_way_known(const char *way);

/** The same, and tells when there is none. */
MUST_USE bool link_way_ok(const char *way);

/** Sets it for the links of those sites with those, both ways, now and for
 * their next starts. "site1", "site1,site2" or "*": known names.
 * @return EXIT_DONE; else it is told */
enum exit_code link_way_set(struct cluster *c, const char *from, const char *to,
                            const char *way);

#endif
