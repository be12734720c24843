#ifndef TOOLS_CLUSTER_H
#define TOOLS_CLUSTER_H

#include <motet/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "exits.h"
#include "folders.h"
#include "process.h"

/* The clusters of this user on this machine, as their files tell: one
 * configuration file, log, state folder, pid file and socket per site. */

enum { CLUSTER_SITES_MAX = 64, ADDRESS_MAX = 64, CLUSTER_WAY_BYTES = 8 };

struct ground;

struct site_files {
    char name[MOTET_NAME_MAX + 1];
    char conf[PATH_BYTES];
    char log[PATH_BYTES];
    char state[PATH_BYTES];
    char pid[PATH_BYTES];
    char socket[PATH_BYTES];
    char address[ADDRESS_MAX]; /* listens on */
    char detour[16];           /* dials others there first: relay.h */
    const struct ground *ground;
    unsigned memory_mib; /* of its machine, if it has one; 0: as usual */
    bool user_net;       /* a machine on QEMU's user network (ground.h) */
    char transport[CLUSTER_WAY_BYTES]; /* "tcp", "udp", "auto"; "" = not said */
    const char *object; /* a shared object that it loads; NULL: none is known */
    const char *folder; /* of a run that is judged; NULL */
    struct process process;
    bool running;
};

struct cluster {
    char name[MOTET_NAME_MAX + 1];
    struct folders folders;
    struct site_files *sites; /* by name, numbers in order */
    size_t count;
    size_t running;
};

/** Reads the files of a cluster; one that does not exist has no site.
 * Gives: cluster_close(). @return false; it is told */
MUST_USE bool cluster_open(struct cluster *c, const char *name);

void cluster_close(struct cluster *c);

/** Looks again which processes run. */
void cluster_look(struct cluster *c);

/** Counts those that are held to run, without a look: one that was started and
 * ended at once is missed, not forgotten. */
void cluster_count(struct cluster *c);

/**
 * The cluster that is meant: -c, MOTET_CLUSTER, the only one that runs; with
 * `stopped`, one that does not run will do.
 *
 * @return EXIT_DONE and an open cluster; else it is told
 */
enum exit_code cluster_choose(struct cluster *c, bool stopped);

/** The site of that name, NULL if there is none. */
struct site_files *cluster_site(const struct cluster *c, const char *name);

/** The same, and tells when there is none (EXIT_MISSING). */
struct site_files *cluster_site_told(const struct cluster *c, const char *name);

/** cluster_choose() with `stopped`, and a site of it by name.
 * @return EXIT_DONE and an open cluster; else it is told and nothing is open */
enum exit_code cluster_choose_site(struct cluster *c, const char *name,
                                   struct site_files **site);

/** The site to attach to: -s, MOTET_SITE, the first that runs.
 * @return EXIT_DONE; else it is told */
enum exit_code cluster_attach_to(const struct cluster *c,
                                 struct site_files **site);

/** Which way small messages go from a site to another: that of their link, or
 * of all links. */
void cluster_way(const struct site_files *site, const char *to,
                 char way[CLUSTER_WAY_BYTES]);

/** Whether a site has that address. */
bool cluster_has_address(const struct cluster *c, const char *address);

/** Paths of a site of that name in the cluster's folders. */
MUST_USE bool cluster_paths(const struct cluster *c, const char *name,
                            struct site_files *site);

/** Adds an empty entry for a site, keeping the order of names. The array may
 * move. @return NULL when there are CLUSTER_SITES_MAX; it is told */
struct site_files *cluster_add(struct cluster *c, const char *name);

#endif
