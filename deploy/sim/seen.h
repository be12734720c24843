#ifndef SIM_SEEN_H
#define SIM_SEEN_H

#include "sim.h"

/* Rare paths that runs must reach now and then ("sometimes"): a path that no
 * run reaches is not tested, whatever else passes. `motet sim run` counts them;
 * with --must-see a path that was never seen fails the run, and a test of the
 * swarm demands all. Whoever adds a rare path to the code adds a line here.
 *
 * TRACE: a kind of trace record. OUTCOME: of a send or a call. NEWS: of a
 * watch. TOLD: an event of the workers. WORLD: of the simulator itself. */

/* clang-format off */
#define SIM_SEEN(X)                                                            \
    X(TRACE, PARK, "a message waited for room or a member")                    \
    X(TRACE, CANCEL, "a call was cancelled")                                   \
    X(TRACE, FLOW_REWIND, "a flow went back to what was expected")             \
    X(TRACE, FLOW_GONE, "a flow was not known any more")                       \
    X(TRACE, FLOW_END, "a flow was forgotten")                                 \
    X(TRACE, HELLO_REFUSED, "a greeting was refused")                          \
    X(TRACE, CONN_DOWN, "a connection went down")                              \
    X(TRACE, SESSION_DOWN, "a session ended")                                  \
    X(TRACE, PROBE_MISS, "a probe had no answer")                              \
    X(TRACE, SUSPECT, "a site was suspected")                                  \
    X(TRACE, CLEARED, "a suspicion was wrong")                                 \
    X(TRACE, DEAD, "a site was declared dead")                                 \
    X(TRACE, LEFT, "a site left in good order")                                \
    X(TRACE, REBIRTH, "a site had to be born again")                           \
    X(OUTCOME, AGAIN, "no room: try again")                                    \
    X(OUTCOME, TIMEOUT, "a deadline passed first")                             \
    X(OUTCOME, NO_PORT, "no such port")                                        \
    X(OUTCOME, NO_MEMBER, "a group without a member")                          \
    X(OUTCOME, CLOSED, "the port was closed")                                  \
    X(OUTCOME, SITE_DEAD, "the site died before it took it")                   \
    X(OUTCOME, CANCELLED, "cancelled in time")                                 \
    X(OUTCOME, FULL, "the queue stayed full")                                  \
    X(OUTCOME, LIMIT, "a limit was reached")                                   \
    X(OUTCOME, MAYBE_TIMEOUT, "no answer in time")                             \
    X(OUTCOME, MAYBE_CLOSED, "closed, perhaps after it ran")                   \
    X(OUTCOME, MAYBE_SITE_DEAD, "dead, perhaps after it ran")                  \
    X(OUTCOME, MAYBE_CANCELLED, "cancelled, perhaps after it ran")             \
    X(NEWS, CLOSED, "a watched port closed")                                   \
    X(NEWS, SITE_DEAD, "a watched site died")                                  \
    X(NEWS, LEFT, "a watched site left")                                       \
    X(NEWS, UNREACHABLE, "a watched site could not be reached")                \
    X(NEWS, REACHABLE, "a watched site could be reached again")                \
    X(TOLD, FORWARD, "a call was handed on")                                   \
    X(TOLD, CANCELLED, "a server heard that no reply is owed")                 \
    X(TOLD, UNWATCH, "a watch was given up")                                   \
    X(TOLD, LEAVE, "a port left a group")                                      \
    X(WORLD, TWIN_RUNS, "two copies of a site ran at once")                    \
    X(WORLD, REFUSED, "a site was told that it may not join")                  \
    X(WORLD, NO_DISK, "a site could not write its state")                      \
    X(WORLD, STALL, "a loop was late, and told its site so")                   \
    X(WORLD, STREAM_BREAKS, "a connection broke with bytes on the way")        \
    X(WORLD, LATE_REPLY, "a reply came when its caller had given up")          \
    X(WORLD, CORE_ONLY, "some sites never came back")
/* clang-format on */

#define SIM_SEEN_ENUM(group, name, text) SEEN_##group##_##name,
enum sim_seen { SIM_SEEN(SIM_SEEN_ENUM) SEEN_COUNT };
#undef SIM_SEEN_ENUM

_Static_assert((int)SEEN_COUNT <= (int)SIM_SEEN_MAX, "they fit in a report");

struct world;
struct node;

/** Once more. */
void seen(struct world *w, enum sim_seen what);
/** An event of a worker. */
void seen_event(struct world *w, const struct check_event *e);
/** The records that the site of a node has written since the last look. */
void seen_trace(struct node *n);

/** "OUTCOME FULL", and what it is. Static. */
const char *seen_name(enum sim_seen what, const char **text);

#endif
