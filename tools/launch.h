#ifndef TOOLS_LAUNCH_H
#define TOOLS_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster.h"

struct agree;

/* Making and starting sites. */

enum { LAUNCH_PORT = 7117, LAUNCH_DAYS = 30 };

/** Folders of the cluster, made if missing; socket paths that fit.
 * @return false; it is told */
MUST_USE bool launch_folders(const struct cluster *c);

/** The authority and the certificates of all sites. @return false; told */
MUST_USE bool launch_certificates(const struct cluster *c);

/** Gives each site without an address the next free one of its ground, and
 * looks whether those of the others that do not run are free.
 * @return false; told */
MUST_USE bool launch_addresses(struct cluster *c, unsigned port);

/** Which way small messages of new sites take: as said, or (NULL) as those of
 * the first site. @return false: there is no such word; it is told */
MUST_USE bool launch_transport(struct cluster *c, const char *word);

/* Built-in actors, as in the configuration: "echo", "kind:arguments". */
struct launch_actors {
    char *const *names;
    size_t count;
};

/** Writes the configuration of a site.
 *
 * @param actors  NULL: echo and bench, at the first site counter and
 *                ballast too
 * @return false; it is told */
MUST_USE bool launch_conf(const struct cluster *c,
                          const struct site_files *site, bool insecure,
                          const struct launch_actors *actors);

/** Can this machine do what the grounds of the sites ask for? @return
 * EXIT_DONE; else it is told */
enum exit_code launch_check(const struct cluster *c);

/** What the grounds of all sites that do not run need before they start.
 * @return false; it is told */
MUST_USE bool launch_prepare(struct cluster *c);

/** Starts the site on its ground, prepared. @return false; it is told */
MUST_USE bool launch_start(struct cluster *c, struct site_files *site);

/** Ends it: asks it to leave, and SIGKILL when `grace_ns` have passed. Removes
 * what it leaves in the run folder. @return false: it runs on */
bool launch_stop(struct cluster *c, struct site_files *site, uint64_t grace_ns);

/** What was prepared outlives this process. @return false; it is told */
MUST_USE bool launch_keep(const struct cluster *c);

/** When no site runs that needs it, the network between sites ends too. */
void launch_release(struct cluster *c);

/** Stops sites whose network has ended under them: to be started anew. */
void launch_mend(struct cluster *c);

/** Time for all to agree: that of the slowest ground. */
uint64_t launch_timeout_ns(const struct cluster *c);

/** Waits so long for all to agree. EXIT_FAILED when the process of one ends.
 * @param when  told behind "site NAME ended"
 * @return EXIT_DONE; else it is told */
enum exit_code launch_await(struct cluster *c, const char *when,
                            struct agree *a);

/** The last lines of its log, on stderr, and the path. */
void launch_log(const struct site_files *site);

#endif
