#ifndef TOOLS_RELAY_H
#define TOOLS_RELAY_H

#include "network.h"

/* The relay between sites that are processes of this host. Each such site has a
 * *detour* in its configuration, an address of loopback: it dials the others
 * there first, and directly when nobody listens. So the relay may come and go
 * while the cluster runs, and costs nothing until links are to be broken. */

/** The network of a running cluster, to be asked. If its sites are processes of
 * this host and there is no relay yet, it is started, and told, and all links
 * go through it when this returns.
 * @return EXIT_DONE; else it is told */
enum exit_code relay_need(struct cluster *c, struct network *n);

/** If a relay runs, a site that is about to start gets its place in it.
 * @return false; it is told */
MUST_USE bool relay_plug(const struct cluster *c,
                         const struct site_files *site);

/** Gives a site without a detour the next free one. */
void relay_detour(const struct cluster *c, struct site_files *site);

#endif
