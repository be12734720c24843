#ifndef ACTORS_H
#define ACTORS_H

#include <motet/supervisor.h>

/* The built-in supervisor actors of motetd. They use nothing but the public
 * interface, so they run in the simulator as well. */

/** Replies the body of each call. In the groups "echo" and "echo.SITE". */
extern const struct motet_supervisor actor_echo;

/** In the group "counter": "inc" or an empty body adds one and replies the new
 * value in decimal, "get" reads. */
extern const struct motet_supervisor actor_counter;

/** In the group "bench.SITE": a call with a text of key=value words runs a
 * measurement and replies its result in lines of key=value; one-way messages
 * are counted. See bench.c. */
extern const struct motet_supervisor actor_bench;

/** In the group "ballast": holds idle ports, and takes them along when it
 * moves. A call with a number makes or ends some, until it has so many; the
 * reply is how many it has. */
extern const struct motet_supervisor actor_ballast;

/** The actor of that name, or NULL. */
const struct motet_supervisor *actor_builtin(const char *name);

/** Joins the static group `name`, and no other, with a new port: for actors
 * that move, of which no site is the right one. Ownership: none.
 * @return as motet_actor_port_new() */
MOTET_MUST_USE enum motet_err actor_serve_as(struct motet_self *self,
                                             const char *name,
                                             struct motet_cap *port);

/** Joins the static groups "KIND" (if `shared`) and "KIND.SITE" with a new
 * port. Ownership: none. @return as motet_actor_port_new() */
MOTET_MUST_USE enum motet_err actor_serve(struct motet_self *self,
                                          const char *kind, bool shared,
                                          struct motet_cap *port);

#endif
