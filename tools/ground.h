#ifndef TOOLS_GROUND_H
#define TOOLS_GROUND_H

#include "cluster.h"

/* A ground is what a site stands on: a process of this machine (host), one in a
 * network namespace of its own (netns), one in a virtual machine (qemu). The
 * commands know sites; a ground knows how to start one, hold it, and end it.
 *
 * The ground of a site is written down beside its configuration, in NAME.ground
 * (`key = value` lines; no file: host):
 *
 *   ground = qemu
 *   memory = 192          MiB, of the machine
 *   network = user
 *
 * On grounds with the user-space switch the sites of a cluster have the
 * addresses 10.77.0.NUMBER:7117. Machines in one cluster with host sites are on
 * QEMU's user network instead: there QEMU listens on an address of loopback for
 * the guest, and the guest reaches loopback of the host as 10.0.2.2. On all
 * grounds site->process is the process whose end is the end of the site, and
 * its SIGKILL is a crash. */

enum { GROUND_PORT = 7117 };

#define GROUND_USER_HOST "10.0.2.2" /* the host, as such a guest sees it */

struct ground {
    const char *name;    /* "qemu": as in --on */
    const char *kind;    /* "QEMU": for people, "3 QEMU sites" */
    uint64_t timeout_ns; /* for all to agree after a start */
    bool switched;       /* has addresses of the switch */

    /** Can this machine do it? @return EXIT_DONE; else it is told, with what
     * to do. NULL: always */
    enum exit_code (*check)(void);

    /** Before sites of it start; a second time it does nothing. NULL: nothing.
     * @return false; it is told */
    bool (*prepare)(struct cluster *c);

    /** Starts a site: its process, pid file, log. @return false; it is told */
    bool (*start)(struct cluster *c, struct site_files *site);

    /** Stops it in its tracks; lets it go on. @return false; it is told */
    bool (*pause)(struct site_files *site);
    bool (*resume)(struct site_files *site);

    /** As if its power had failed, and come back. NULL: cannot.
     * @return false; it is told */
    bool (*reset)(struct site_files *site);

    /** Keeps the whole of it in a file, and lets it go on; starts it again from
     * such a file. NULL: cannot. @return false; it is told */
    bool (*snapshot)(struct site_files *site, const char *file);
    bool (*restore)(struct cluster *c, struct site_files *site,
                    const char *file);

    /** Asks it to leave in good order, and does not wait. A paused one goes on.
     */
    void (*leave)(struct site_files *site);

    /** Its process has ended: waits until nothing of it does a thing any more.
     * NULL: that is so already. */
    void (*rest)(const struct site_files *site);

    /** It has ended, however: what it left is removed. NULL: nothing. */
    void (*clean)(struct cluster *c, struct site_files *site);
};

/** By name, NULL if there is none. */
const struct ground *ground_find(const char *name);

/** The i-th; NULL past the last. */
const struct ground *ground_at(size_t i);

/** "host, netns or qemu": for messages. Writes 64 bytes. @return `text` */
const char *ground_names(char *text);

/** Is it joined by the switch? */
bool ground_is_switched(const struct site_files *site);

/** Reads NAME.ground; none: host. @return false; it is told */
MUST_USE bool ground_read(struct site_files *site);

/** Writes it. @return false; it is told */
MUST_USE bool ground_write(const struct site_files *site);

/** Gives a site without an address the next free one of the switch.
 * @return false: there is none; it is told */
MUST_USE bool ground_address(const struct cluster *c, struct site_files *site);

/** The path of a file beside another: `to` is `path` with the last suffix
 * replaced. PATH_BYTES. @return `to` */
const char *ground_beside(char *to, const char *path, const char *suffix);

/* For grounds where a site is a process of this machine: signals. */
bool ground_pause_process(struct site_files *site);
bool ground_resume_process(struct site_files *site);
void ground_leave_process(struct site_files *site);

extern const struct ground ground_host;  /* ground_host.c */
extern const struct ground ground_netns; /* ground_netns.c */
extern const struct ground ground_qemu;  /* ground_qemu.c */

#endif
