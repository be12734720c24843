#ifndef TOOLS_CHAOS_LINKS_H
#define TOOLS_CHAOS_LINKS_H

#include "chaos.h"
#include "network.h"

/* Faults of links on real sites: said to the network between them, the relay of
 * processes or the switch of namespaces (deploy/switch/client.h). */

/** Whether one of them is about links: then a network is needed. */
bool links_meant(const struct chaos_faults *faults);

/** Begins; it lasts until links_end(). @return false; it is told */
MUST_USE bool links_begin(const struct network *n, const struct cluster *c,
                          const struct chaos_fault *f);
bool links_end(const struct network *n, const struct cluster *c,
               const struct chaos_fault *f);

/** The weather is as at the beginning. @return false; it is told */
MUST_USE bool links_calm(const struct network *n);

/** What passed each link and what did not: links.json in the folder of a run.
 * @return false; it is told */
MUST_USE bool links_write(const struct network *n, const char *folder);

#endif
