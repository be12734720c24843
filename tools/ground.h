#ifndef TOOLS_GROUND_H
#define TOOLS_GROUND_H

#include "cluster.h"

/* A ground is what a site stands on: a process of this machine (host), one in a
 * network namespace of its own (netns), one in a virtual machine (qemu). The
 * commands know sites; a ground knows how to start one, hold it, and end it.
 *
 * The ground of a site is written down beside its configuration, in NAME.ground
 * (`key = value` lines; none: host):
 *
 *   ground = qemu
 *   number = 3            of the port of the switch; the last of its address
 *   memory = 192MiB       of the machine
 *
 * On grounds with the user-space switch the sites of a cluster have the
 * addresses 10.77.0.NUMBER, port 7117. In all grounds process.pid is the
 * process whose end is the end of the site, and its SIGKILL is a crash. */

struct ground {
    const char *name; /* "qemu": as in --on */
    const char *kind; /* "QEMU": for people, "3 QEMU sites" */
    uint64_t join_ns; /* time for all to agree after a start */
    bool switched;    /* has addresses of the switch */

    /** Can this machine do it? @return EXIT_DONE; else it is told, with what
     * to do */
    enum exit_code (*check)(void);

    /** Before sites of it start; again when all is there is nothing.
     * @return false; it is told */
    bool (*prepare)(struct cluster *c);

    /** Starts a site: its process, pid file, log. @return false; it is told */
    bool (*start)(struct cluster *c, struct site_files *site);

    /** Stops it in its tracks; lets it go on. @return false; it is told */
    bool (*pause)(struct site_files *site);
    bool (*resume)(struct site_files *site);

    /** Asks it to leave in good order; does not wait. A paused one goes on. */
    void (*leave)(struct site_files *site);

    /** It has ended, however: what it left behind is removed. */
    void (*clean)(struct site_files *site);

    /** No site of the cluster runs on it any more: what `prepare` started ends.
     */
    void (*release)(struct cluster *c);
};

enum { GROUND_PORT = 7117 };

/** By name; NULL if there is none of it. */
const struct ground *ground_find(const char *name);

/** The names, for messages: "host, netns or qemu". */
const char *ground_names(void);

/** The i-th; NULL past the last. */
const struct ground *ground_at(size_t i);

/** Reads or writes NAME.ground. @return false; it is told */
MUST_USE bool ground_read(const struct cluster *c, struct site_files *site);
MUST_USE bool ground_write(const struct cluster *c,
                           const struct site_files *site);

/** Puts a new site on a ground: the next free number, and its address if the
 * ground has the switch. */
void ground_put(const struct cluster *c, struct site_files *site,
                const struct ground *ground);

extern const struct ground ground_host;
extern const struct ground ground_qemu;

#endif
