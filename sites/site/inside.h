#ifndef SITE_INSIDE_H
#define SITE_INSIDE_H

#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/prng.h"
#include "proto/wire.h"
#include "ring.h"
#include "site.h"

/* The inside of a site.
 *
 *   conns.c    bytes of connections <-> frames
 *   paths.c    datagrams <-> frames: the paths of sessions
 *   route*.c   the effects of each machine -> inputs of the others
 *   actors.c   runs the supervisor actors
 *   self.c     what an actor can do (motet/supervisor.h)
 *   control.c  the actor behind the control port
 *   moves*.c   carries out migration
 *   deaths.c   what must be known before a death is told
 *   site.c     the interface, and the order of things in a turn */

enum {
    SITE_EVENTS_PER_TICK = 4096,  /* then the loop sees the network again */
    SITE_OUT_BYTES_MAX = 8 << 20, /* of a connection, not yet taken */
    SITE_TIMERS_MAX = 64,         /* of an actor */
};

struct conn {
    struct list link;
    struct list dirty; /* has bytes to write */
    uint64_t id;
    bool datagram;
    bool known; /* its HELLO was read */
    bool dead;  /* closed by us; nothing more is read */
    uint8_t *in;
    size_t in_size;
    size_t in_capacity;
    uint8_t *out;
    size_t out_at;
    size_t out_size;
    size_t out_capacity;
    size_t packet;   /* datagram: where the length of the open packet stands */
    struct way *way; /* over datagrams: that it carries, or (fast) that it is */
    bool fast;
    bool has_udp;
    struct path_addr udp;
    uint8_t secret[PATH_SECRET_BYTES]; /* zeros if insecure */
};

/* What a session has beside a CONTROL connection, as long as that lasts: one
 * path after the other, each with keys of its own. */
struct way {
    struct list link;
    struct list dirty;
    struct deadline timer;
    struct conn *control; /* NULL: it is gone, and so will this be */
    struct conn *fast;    /* the path as a connection, while it is up */
    struct path *path;    /* NULL: the next one is tried at the timer */
    bool closing;         /* it says farewell, then there is none */
    bool dialed;
    int cipher;
    uint16_t life;
    uint32_t id_in, id_out;
    uint32_t looked; /* at first packets of new lives, since ... */
    uint64_t looked_ns;
    uint64_t back_off_ns;
    uint64_t up_ns;
    uint64_t drained;
    uint32_t fragment;
    uint64_t site;
    char name[MOTET_NAME_MAX + 1];
    uint8_t master[PATH_SECRET_BYTES];
};

/* A site_effect with the strings it points to. */
struct site_note {
    struct site_effect e;
    char name[MOTET_NAME_MAX + 1];
    char addr[NET_ADDR_MAX + 1];
    char detail[128];
};

struct motet_self {
    struct list link;
    struct list timers;
    struct list blocks; /* struct motet_block of self.c */
    struct site *site;
    const struct motet_supervisor *table;
    struct motet_ui ui;
    void *state;
    uint32_t timer_count;
    bool started;
    bool ending;
    bool moved;           /* ending: its state lives elsewhere */
    bool embryo;          /* being installed */
    bool frozen;          /* it moves as a whole */
    struct ring deferred; /* struct actor_event, while it is not to be heard */
    char name[MOTET_NAME_MAX + 1];
    char *args; /* NUL-terminated or NULL */
    size_t args_bytes;
};

struct actor_timer {
    struct list link;
    struct deadline deadline;
    struct motet_self *self;
    uint64_t id;
};

/* What waits for an actor: an effect of the nucleus, or a SENT that the nucleus
 * settled at once. */
struct actor_event {
    struct nuc_effect e;
};

struct site {
    struct site_config cfg; /* its strings are below */
    struct mem mem;         /* capped: the machines and the buffers */
    struct mem own;         /* rings and actors */
    struct trace trace;
    struct prng prng;
    uint64_t now_ns;
    uint64_t born_ns;

    struct nucleus *nucleus;
    struct netmgr *netmgr;
    struct members *members;
    struct directory *directory;
    struct migration *migration;
    struct wire_arena *frames; /* of the frame being read */
    struct wire_arena *ctl;    /* of the CTL message being read */

    struct list conns;
    struct list dirty;
    struct map conn_by_id;
    struct conn *written; /* whose bytes site_effect() lent out */

    struct list ways;
    struct list dirty_ways; /* may have a datagram to send */
    bool drained;           /* enough of one to tell the network manager */
    struct map way_by_id;   /* (id_in, 0) */
    struct deadlines way_timers;
    uint64_t next_fast;
    uint8_t *plain;  /* PATH_DATAGRAM_MAX: what is being read */
    uint8_t *packet; /* likewise: lent out by site_effect() */

    struct ring notes;        /* struct site_note */
    struct ring attached;     /* struct nuc_effect */
    uint32_t attached_moved;  /* NUC_PORT_MOVED among them */
    struct site_note current; /* lent out by site_effect() */
    struct nuc_effect current_actor;

    struct list actors;
    struct map actor_by_ui;
    struct deadlines timers;
    struct ring looped; /* struct net_effect: frames for ourselves */
    struct ring events; /* struct actor_event */
    uint32_t starting;  /* actors whose on_start has not run */
    uint32_t ending;    /* actors that asked to end */
    bool flush;         /* something was given to the network manager */
    bool reborn;        /* SITE_REBIRTH was given */

    /* The send that a nucleus operation is doing: a refusal that comes back
     * before the operation ends is its result, not an event. */
    struct {
        bool active;
        struct motet_ui actor;
        uint64_t token;
        enum motet_err err;
    } sending;
    enum motet_err publish_err;

    /* Inputs that come for each message: what is not of their kind stays zero,
     * and need not be cleared each time. */
    struct {
        struct nuc_in deliver, outcome;
        struct nuc_in actor_send, actor_call, actor_reply;
        struct net_in frame, send, verdict;
        struct nuc_out out, actor_out;
    } in;

    struct list moves;    /* away from here */
    struct list arrivals; /* to here */
    uint32_t moving;
    uint64_t move_ids;
    bool moves_draining;
    uint64_t move_notes; /* ever kept; the last MOVES_KEPT are: */
    struct move_note *notes_kept;
    struct list fresh_stubs;
    struct list stubs;
    uint32_t stub_count;
    struct map stub_by_port;
    struct list deaths;
    struct list tomb_list;
    struct map tombs;
    struct motet_self *control;

    char name[MOTET_NAME_MAX + 1];
    char cluster[MOTET_NAME_MAX + 1];
    char address[NET_ADDR_MAX + 1];
    char version[64];
};

/* ---- conns.c ---------------------------------------------------------------
 */

void conns_init(struct site *s);
void conns_fini(struct site *s);
void conn_up(struct site *s, const struct site_in *in);
void conn_down(struct site *s, uint64_t id);
void site_conn_free(struct site *s, struct conn *c);
void conn_bytes(struct site *s, const struct site_in *in);
/** Appends a frame; an unknown connection is ignored. */
void conn_frame(struct site *s, uint64_t id, const struct net_frame *f);
/** Closes it for good: what is written goes out first. */
void site_conn_close(struct site *s, uint64_t id);
/** The next bytes to write, as an effect. @return false when there are none */
bool conn_take(struct site *s, struct site_effect *e);
/** Takes back what conn_take() lent. */
void conn_taken(struct site *s);

/* ---- paths.c ---------------------------------------------------------------
 */

/** @return false at the memory cap */
MUST_USE bool paths_init(struct site *s);
void paths_fini(struct site *s);
/** There may be paths from now on. @return false at the memory cap */
MUST_USE bool paths_want(struct site *s);
/** The way of the link with the site of that name. @return LIMIT, NO_MEMORY;
 * INVALID: no name, or there can be no paths here */
MUST_USE enum motet_err site_way(struct site *s, const char *name,
                                 enum net_transport way);
/** NET_PATH: from now on a path belongs to that connection. */
void paths_offer(struct site *s, const struct net_effect *e);
/** Its CONTROL connection is going. */
void paths_gone(struct site *s, struct conn *control);
/** A path as a connection is closed from above. */
void paths_close(struct site *s, struct conn *fast);
void paths_datagram(struct site *s, const struct site_in *in);
/** A frame on a path. */
void paths_frame(struct site *s, struct conn *fast, const struct net_frame *f);
/** What is due; what was drained is told. */
void paths_tick(struct site *s);
/** The next datagram, as an effect. @return false when there are none */
bool paths_take(struct site *s, struct site_effect *e);
uint64_t paths_deadline_ns(const struct site *s);

/* ---- route.c ---------------------------------------------------------------
 */

/** Carries effects from machine to machine until all are quiet. */
void site_settle(struct site *s);
/** One step of the network manager; refusals are not expected of this kind. */
void site_net(struct site *s, struct net_in *in);
/** A frame for the network manager, settled. */
void site_frame(struct site *s, uint64_t conn, const struct net_frame *f);
/** To another site's directory, best effort. */
void site_send_dir(struct site *s, uint64_t site, const struct dir_msg *msg);
/** The records of a life that is over go. */
void site_directory_gone(struct site *s, uint64_t site, uint32_t incarnation);
/** A nucleus operation for an actor, settled. */
enum motet_err site_nuc(struct site *s, struct nuc_in *in, struct nuc_out *out);
/** A note to be given out: strings may be NULL. */
/** Drops frames for ourselves that were not fed yet. */
void loop_fini(struct site *s);
struct site_note *site_note(struct site *s, enum site_effect_kind kind,
                            const char *name, const char *addr,
                            const char *detail);

/* ---- self.c ---- */

/** An actor ends: its blocks go. */
void self_drop_blocks(struct motet_self *a);

/* ---- actors.c --------------------------------------------------------------
 */

void actors_init(struct site *s);
/** Frees all without on_stop(). */
void actors_fini(struct site *s);
/** on_stop() and the end of all. */
void actors_stop(struct site *s);
/** Starts, timers and at most SITE_EVENTS_PER_TICK events. */
void actors_run(struct site *s);
/** Work that is due now? */
bool actors_ready(const struct site *s);
/** What waits for the actor and came on `port` or (port zero) is news of
 * `watch` is dropped: the port or the watch ended at its wish. */
void actors_forget(struct motet_self *a, struct motet_ui port, uint64_t watch);
/** Whether the effect was for a supervisor actor; then it was taken. */
bool actors_take(struct site *s, const struct nuc_effect *e);
struct motet_self *actors_find(const struct site *s, struct motet_ui ui);
/** Whether nothing waits for the actor that it was given already. */
bool actors_quiet(const struct site *s, struct motet_ui ui);
/** It does not move after all; NULL is allowed. */
void actors_thaw(struct site *s, struct motet_self *a);
/** Its state lives elsewhere: it ends without a word. */
void actors_moved(struct site *s, struct motet_self *a);
/** An actor of that kind, to be filled by actors_fit().
 * @return NO_ACTOR: the kind is not known here; DECLINED: it does not move;
 *         NAME_TAKEN, LIMIT, NO_MEMORY */
MUST_USE enum motet_err actors_embryo(struct site *s, const char *kind,
                                      const char *name, struct motet_self **a);
/** IMAGE_ACTOR: its state; IMAGE_TIMER. */
MUST_USE enum motet_err actors_fit(struct site *s, struct motet_self *a,
                                   const struct image_item *it);
/** It lives here. */
void actors_arrived(struct site *s, struct motet_self *a);
/** Whether the actor takes this port; user actors have said so before. */
bool actors_consent(struct site *s, struct motet_ui actor,
                    struct motet_ui port);

/* ---- control.c -------------------------------------------------------------
 */

extern const struct motet_supervisor site_control;

struct move_note;
/** Answers the call of the control port that waited for the end of a move. */
void control_moved(struct site *s, uint64_t held, const struct move_note *note);

static inline uint64_t site_after_ms(const struct site *s, int64_t timeout_ms)
{
    const uint64_t ms_ns = 1000000;

    if (timeout_ms < 0 || (uint64_t)timeout_ms > UINT64_MAX / ms_ns / 2) {
        return DEADLINE_NEVER;
    }
    return s->now_ns + (uint64_t)timeout_ms * ms_ns;
}

#endif
