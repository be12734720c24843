#ifndef SITE_H
#define SITE_H

#include <motet/supervisor.h>
#include <stdbool.h>
#include <stdint.h>

#include "netmgr/core/netmgr.h"
#include "netmgr/path/path.h"
#include "nucleus/base/check.h"
#include "nucleus/core/nucleus.h"
#include "sites/core/directory.h"
#include "sites/core/member.h"
#include "sites/core/migration.h"

/* A site: the nucleus, the network manager, membership and the directory,
 * composed. Bytes in, bytes out, one deadline; pure like its parts, so that the
 * same object code runs in motetd and in the simulator. It also runs the
 * supervisor actors, and it answers the calls to its control port. */

struct site;

enum { SITE_SEEDS_MAX = 16 };

struct site_config {
    uint64_t site;        /* derived from the site's public key */
    uint32_t incarnation; /* persisted before the site is created */
    const char *name;     /* all strings are copied */
    const char *cluster;
    const char *address; /* where others reach this site: "host:port" */
    const char *version; /* of the program, for status */
    bool insecure;
    enum net_transport transport; /* of links that have none of their own */
    const struct net_way *ways;   /* those that have; copied */
    uint32_t way_count;
    const struct path_aead *aead; /* of paths, borrowed for life; NULL: none,
                                   * and transport is TCP */
    bool chacha;                  /* as in netmgr_config */
    uint64_t seed;      /* of all chance; from the system in production */
    uint64_t secret[2]; /* of capabilities; from the system in production */
    size_t memory_bytes_max; /* cap of everything the site allocates */
    struct nucleus_limits nucleus;
    struct net_limits net;
    struct member_config member;       /* timings and counts are used */
    struct directory_config directory; /* timings and counts are used */
    const char
        *seeds[SITE_SEEDS_MAX]; /* addresses of members to join through */
    uint32_t seed_count;
    struct trace_record *trace_ring; /* TRACE_RING records or NULL; borrowed */
    /** The table of a kind of supervisor actor by its name, for actors that
     * move here; NULL: there is none. May itself be NULL. */
    const struct motet_supervisor *(*actor_kind)(void *ctx, const char *name);
    void *actor_ctx;
    uint32_t operator_uid; /* who may move what is not theirs, beside uid 0 */
};

/** Everything at the defaults of DESIGN section 12; the caller fills in who the
 * site is. memory_bytes_max 1 GiB. */
struct site_config site_config_default(void);

enum site_in_kind {
    SITE_IN_CONN_UP = 1, /* conn, peer (verified site id or 0), dial, datagram,
                          * addr, secret, udp */
    SITE_IN_CONN_DOWN,   /* conn */
    SITE_IN_DIAL_FAILED, /* dial */
    SITE_IN_BYTES,       /* conn, bytes, size: a part of a stream, or one whole
                          * packet of a datagram path */
    SITE_IN_DRAINED,     /* conn, size: bytes that left the write queue */
    SITE_IN_DATAGRAM,    /* from, bytes, size: whatever came to the socket */
    SITE_IN_STALL,       /* late_ns: the loop was late by that much */
    SITE_IN_LEAVE,       /* end: actors stop, BYE to all. Effects as usual */
    SITE_IN_TICK,        /* time passed; also at the end of each turn: what was
                          * gathered is flushed and the actors run */
};

struct site_in {
    enum site_in_kind kind;
    uint64_t now_ns; /* monotonic, never less than last time */
    uint64_t conn;   /* the driver's, never reused, not 0 */
    uint64_t dial;
    uint64_t peer;
    bool datagram;
    const char *addr;
    const uint8_t *secret;        /* PATH_SECRET_BYTES known to both ends of the
                                   * connection only; NULL if insecure */
    const struct path_addr *udp;  /* where its other end, dialed, takes
                                   * datagrams; NULL: not known */
    const struct path_addr *from; /* borrowed, like the two above */
    const uint8_t *bytes;         /* borrowed */
    size_t size;
    uint64_t late_ns;
};

enum site_effect_kind {
    SITE_DIAL = 1, /* dial, addr, peer (0 = any) */
    SITE_WRITE,    /* conn, bytes, size: whole frames; one packet if datagram */
    SITE_CLOSE,    /* conn, after what was written */
    SITE_DATAGRAM, /* to, bytes, size: best effort */
    SITE_ACTOR,    /* actor: an effect for an attached (pull) actor. Its message
                    * stays the site's: it is released with the next
                    * site_effect() */
    SITE_LOG,      /* log */
    SITE_REBIRTH,  /* incarnation: this one is dead to the cluster; destroy the
                    * site, persist at least `incarnation`, create it anew */
    SITE_LEAVE,    /* asked for by its control port: the host ends it in good
                    * order */
    SITE_DATAGRAMS, /* from now on a link may go over datagrams */
    SITE_REFUSED,   /* log: this site may not join: TWIN, NAME_TAKEN, VERSION,
                     * AUTH. The host decides whether to give up */
};

enum site_log_kind {
    SITE_LOG_SESSION_UP = 1,
    SITE_LOG_SESSION_DOWN,
    SITE_LOG_MEMBER,       /* state */
    SITE_LOG_REFUSED_PEER, /* err, detail */
    SITE_LOG_REFUSED_US,   /* err, detail */
    SITE_LOG_STRANGER,     /* err, detail: a connection was closed */
    SITE_LOG_REBIRTH,
    SITE_LOG_ACTOR, /* an actor could not start: err, name */
    SITE_LOG_STALL, /* value: ns */
    SITE_LOG_MOVE,  /* site, incarnation, value: an xid; from, event, to; port:
                     * the first that moves, zero if that is not known here;
                     * epoch: of it, at the source */
    SITE_LOG_PORT_FROZEN, /* port: it moves; it lives nowhere, to PORT_HERE */
    SITE_LOG_PORT_HERE,   /* port lives here, value: epoch */
    SITE_LOG_PORT_AWAY,   /* port is over: it died with the site to which it was
                           * given, or (err NO_ACTOR) with its actor as it moved
                           */
    SITE_LOG_PATH_UP,
    SITE_LOG_PATH_DOWN, /* detail */
};

struct site_log {
    enum site_log_kind kind;
    enum motet_err err;
    enum member_state state;
    uint64_t site;
    uint32_t incarnation;
    uint64_t value;
    struct motet_ui port;
    uint64_t epoch;
    enum mig_state from, to;
    enum mig_event event;
    const char *name;   /* never NULL; borrowed until the next site_effect() */
    const char *addr;   /* likewise */
    const char *detail; /* likewise */
};

struct site_effect {
    enum site_effect_kind kind;
    uint64_t conn;
    uint64_t dial;
    uint64_t peer;
    uint32_t incarnation;
    const char *addr;
    struct path_addr to;
    const uint8_t *bytes;
    size_t size;
    const struct nuc_effect *actor;
    struct site_log log;
};

/** @return NULL at the memory cap */
struct site *site_create(const struct site_config *cfg, uint64_t now_ns);

/** Releases everything. No effects, no on_stop(): that is SITE_IN_LEAVE. CHECKs
 * that all memory came back. */
void site_destroy(struct site *s);

/** Feeds one input. Nothing from outside can fail it. */
void site_step(struct site *s, const struct site_in *in);

/** The oldest effect, or NULL; borrowed until the next call. Take all of them
 * after each step. */
const struct site_effect *site_effect(struct site *s);

/** When SITE_IN_TICK is due; DEADLINE_NEVER if not, `now` or less if there is
 * work left. */
uint64_t site_deadline_ns(const struct site *s);

/**
 * A nucleus operation of an attached actor, at the time of the last step or at
 * in->now_ns if that is later. Its effects come out of site_effect(). Rules of
 * ownership as for nucleus_step().
 */
MUST_USE enum motet_err site_op(struct site *s, struct nuc_in *in,
                                struct nuc_out *out);

/** A message buffer from the site's memory for site_op(), its contents
 * undefined. NULL at the cap. */
struct buf *site_buf(struct site *s, uint32_t size);

/**
 * Starts a supervisor actor; on_start() runs in the next tick.
 *
 * @param name  of the actor in the site; "" = none. EXISTS when taken
 * @param args  for on_start(), copied; may be NULL
 * Ownership: borrows `table` until the site is destroyed.
 */
MUST_USE enum motet_err site_spawn(struct site *s,
                                   const struct motet_supervisor *table,
                                   const char *name, const char *args);

/** The state of a supervisor actor by its name, for tests and checkers; NULL.
 */
void *site_actor_state(struct site *s, const char *name);

/* Read-only looks for status and checkers. */
const struct site_config *site_config(const struct site *s);
const struct nucleus *site_nucleus(const struct site *s);
const struct netmgr *site_netmgr(const struct site *s);
/** Whether an attached actor has not been told yet that a port of it moved. */
bool site_moved(const struct site *s);
const struct members *site_members(const struct site *s);
const struct directory *site_directory(const struct site *s);
const struct migration *site_migration(const struct site *s);
const struct mem *site_mem(const struct site *s);
const struct trace *site_trace(const struct site *s);

/** The counters of the path of that connection (net_link_stats.fast).
 * @return false: there is no such path */
MUST_USE bool site_path_stats(const struct site *s, uint64_t fast,
                              struct path_stats *stats);

#endif
