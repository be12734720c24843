#ifndef TOOLS_NETWORK_H
#define TOOLS_NETWORK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cluster.h"

/* What stands between the sites of a cluster: nothing (they talk over
 * loopback), the relay (processes of this host, faults without root), or the
 * switch (a network namespace or a virtual machine for each). Both are the
 * program motet-switch: its pid file and control socket are in the run folder
 * ("network.pid", "network.ctl"), its log in the state folder. */

enum network_kind {
    NETWORK_NONE = 0,
    NETWORK_RELAY,
    NETWORK_SWITCH,
};

enum { NETWORK_PREFIX = 24 }; /* bits of 10.77.0.0 */

struct network {
    enum network_kind kind; /* as noted in the state folder ("network") */
    uint64_t seed;
    char note[PATH_BYTES];
    char control[PATH_BYTES];
    char pid[PATH_BYTES];
    char log[PATH_BYTES];
    struct process process;
    bool running;
};

/** Reads the files of a cluster. @return false; it is told */
MUST_USE bool network_open(const struct cluster *c, struct network *n);

/** Notes the seed of all that the network draws; one that runs draws anew.
 * @return false; it is told */
MUST_USE bool network_seed(const struct cluster *c, uint64_t seed);

/** Starts the program if it does not run; it ends with this process, until
 * network_keep(). @return false; it is told */
MUST_USE bool network_start(struct network *n, enum network_kind kind,
                            uint64_t seed);

/** Looks whether one that runs will go on doing so: the death of who started it
 * may be its own. Such a one is kept, or waited for until it has ended. */
void network_settle(struct network *n);

/** From now on it outlives this process. */
MUST_USE bool network_keep(struct network *n);

/** Ends it, and with it the namespaces that nobody is in. */
bool network_stop(struct network *n, uint64_t grace_ns);

/** Asks (deploy/switch/client.h); `answer` may be NULL; gives, json_decref().
 * @return false; its "error", or that it does not answer, is told */
MUST_USE __attribute__((format(printf, 3, 4))) bool
network_ask(const struct network *n, json_t **answer, const char *format, ...);

/** The number of a site in its network, 1 .. 254: from its address; 0: it is in
 * none. */
unsigned network_number(const struct site_files *site);

#endif
