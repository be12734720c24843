#ifndef MOTET_SITE_H
#define MOTET_SITE_H

/* A whole site inside a program (library motet_embed): its loop runs in a
 * thread of its own. Other programs, and this one, attach to its socket; the
 * program's supervisor actors run in it. */

#include <motet/err.h>
#include <motet/supervisor.h>
#include <motet/types.h>

struct motet_site;

enum {
    MOTET_SITE_JOIN_MAX = 16,   /* addresses of members to join through */
    MOTET_SITE_ACTORS_MAX = 32, /* supervisor actors started with the site */
    MOTET_SITE_WHY_MAX = 512,   /* bytes that an explanation may need */
};

/* A supervisor actor to be started with the site, and again when the site is
 * born anew. */
struct motet_site_actor {
    const struct motet_supervisor
        *table;       /* borrowed until the site is closed */
    const char *name; /* unique in the site */
    const char *args; /* may be NULL */
};

/* As the keys of motetd's configuration. Zero or NULL: the default. Strings are
 * copied. */
struct motet_site_options {
    const char *name;      /* of the site; must be given */
    const char *cluster;   /* must be given */
    const char *listen;    /* "host:port"; NULL: 127.0.0.1, any port */
    const char *advertise; /* where others reach it; NULL: as listened on */
    const char *state_dir; /* must be given: holds the incarnation */
    const char *socket;    /* NULL: motet_socket_path(cluster, name) */
    bool no_socket;        /* nobody can attach */
    const char *ca;        /* PEM files; must be given unless insecure */
    const char *cert;
    const char *key;
    bool insecure; /* no certificates: anyone may join; for benchmarks */
    uint64_t memory_bytes; /* cap of everything the site allocates */
    const char *join[MOTET_SITE_JOIN_MAX]; /* the first NULL ends them */
    const struct motet_site_actor *actors;
    size_t actor_count;
};

/**
 * Opens a site and runs it in a thread of this process. It does not touch
 * signals.
 *
 * @param why   on failure: a sentence for people; may be NULL
 * @param size  of `why`; MOTET_SITE_WHY_MAX is enough
 * @return NULL on failure; nothing is left behind
 *
 * Ownership: gives; release with motet_site_close().
 */
MOTET_API struct motet_site *
motet_site_open(const struct motet_site_options *options, char *why,
                size_t size);

/** Leaves the cluster in good order, ends the thread and frees. NULL is
 * allowed. */
MOTET_API void motet_site_close(struct motet_site *site);

/** The path of its socket, for motet_attach(); NULL if it has none. */
MOTET_API const char *motet_site_socket(const struct motet_site *site);

/** The address it listens on, with the real port. */
MOTET_API const char *motet_site_address(const struct motet_site *site);

/** Whether it still runs; if not, why not. Any thread. @param why as above */
MOTET_API bool motet_site_running(struct motet_site *site, char *why,
                                  size_t size);

#endif
