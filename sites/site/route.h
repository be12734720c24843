#ifndef SITE_ROUTE_H
#define SITE_ROUTE_H

#include "inside.h"

/* The effects of each machine become inputs of the others.
 *
 *   route.c         those of the nucleus; all in turn, until nothing is left
 *   route_net.c     those of the network manager
 *   route_cluster.c those of membership and the directory */

/** Takes what there is of the effects of one. @return whether there was any */
bool route_drain_net(struct site *s);
bool route_drain_nucleus(struct site *s);
bool route_drain_members(struct site *s);
bool route_drain_directory(struct site *s);

/** A line of the log; texts may be NULL. Ownership: the site's, until taken. */
struct site_log *route_log(struct site *s, enum site_log_kind kind,
                           const char *name, const char *addr,
                           const char *detail);
void route_members(struct site *s, struct member_in *in);
enum motet_err route_directory(struct site *s, struct dir_in *in);
/** Facts from other sites and outcomes: the nucleus takes them as they are. */
void route_nucleus(struct site *s, struct nuc_in *in);
/** This life of the site is over; the next is at least that one. */
void route_rebirth(struct site *s, uint32_t incarnation, const char *why);

#endif
