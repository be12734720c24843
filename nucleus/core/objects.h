#ifndef OBJECTS_H
#define OBJECTS_H

#include "nucleus.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/hash.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/pool.h"
#include "nucleus/base/ui.h"

/* The objects of the nucleus. See core.h. */

enum {
    FX_STEP = 16,      /* effects that one unit may make without asking */
    FX_SPARE = 64,     /* room kept free for inputs that must not be refused */
    FX_CHUNK = 64,     /* effects in a chunk */
    PEERS_MAX = 65536, /* sites known or waited for */
    PARCELS_MAX = 1 << 22, /* messages queued, parked, on their way out */
    RETRY_MS = 1000,       /* until what the network refused is tried again */
    LOST_MS = 60000,   /* for which a site that nobody has met is waited for */
    FORWARDS_MAX = 32, /* of one request: then it goes in a circle */
    FROZEN_MS = 2,     /* a deadline that passed is looked at again so soon */
};

/* Objects named by a 64-bit id: a pool, and a count in the upper bits, so that
 * no id is used again. `id` is at a known place of the item. */
struct ids {
    struct pool pool;
    uint32_t shift; /* bits of the index */
    uint64_t next;
    struct map adopted; /* items that brought an id of another site along */
};

struct actor {
    struct motet_ui ui;
    struct motet_pi pi;
    bool push;
    bool adopts;     /* takes ports that move to it */
    uint32_t frozen; /* ports of it */
    char name[MOTET_NAME_MAX + 1];
    struct list node;       /* nucleus.actors */
    struct list ports;      /* port.of_actor */
    struct list waiters;    /* blocked in receive-any, first come first */
    struct map tokens;      /* of its blocked receives */
    struct deadlines ready; /* its enabled ports; see queue_rank() */
    struct list uses;       /* groups it asked for */
    struct list debts;      /* struct debt */
};

/* A request that was delivered to an actor whose port has moved since. Its
 * answer is sent after the port. */
struct debt {
    struct list of_actor;
    struct actor *actor;
    struct motet_ui port;
    uint64_t held;
    enum motet_err ended; /* the actor is no more: what to say */
};

/* An idle port costs this, its slots in two tables, and nothing else. */
struct port {
    struct motet_ui ui;
    struct actor *actor; /* NULL: ending, and its actor has ended */
    struct list node;    /* nucleus.ports, or nucleus.ending */
    struct list of_actor;
    struct list work; /* nucleus.work */
    struct list queue;
    struct deadline ready; /* actor.ready, while enabled */
    struct port_side *side;
    uint64_t seq;  /* messages queued or delivered so far */
    uint32_t msgs; /* in the queue; news are not counted */
    uint32_t bytes;
    uint8_t priority;
    bool enabled;
    bool ending;
    bool asked;   /* ended at its actor's request */
    bool starved; /* the network was told of no room: NUC_NET_ROOM is due */
    bool rival;   /* it was let in since the queue was empty */
    bool frozen;  /* it moves, or is being installed */
    bool embryo;  /* being installed */
    bool global;  /* it has moved, or tried to: whatever goes between it and
                   * ports here takes the network manager's loop */
    bool moved;   /* ending: it lives elsewhere, or was never owned here */
    uint8_t news; /* ending: enum motet_news */
    uint32_t run; /* taken from it while senders here waited */
};

/* What only some ports have; never freed before the port. */
struct port_side {
    uint32_t msgs_max;  /* 0 = the default of the site */
    uint32_t bytes_max; /* likewise */
    uint32_t parked_count;
    struct list parked;   /* parcels that wait for room, in order */
    struct list wanting;  /* senders told AGAIN: struct want */
    struct map wants;     /* the same by source port */
    struct list waiters;  /* blocked in receive of this port */
    struct list helds;    /* requests parked, queued or delivered here */
    struct list waits;    /* parcels from here that wait for a member */
    struct list calls;    /* made from here */
    struct list watches;  /* whose news come here */
    struct list watchers; /* of this port: struct watch, struct watcher */
    struct list members;  /* its memberships */
    struct list joins;    /* being installed: memberships to be published */
    struct list fanouts;  /* being installed */
    bool has_pi, has_key; /* brought along */
    struct motet_pi pi;
    uint64_t key;
};

/* A membership that comes with a port. */
struct join {
    struct list node;
    struct group *group; /* kept by its count of joins */
};

struct want {
    struct list node;
    struct motet_ui src;
};

struct waiter {
    struct list node; /* actor.waiters or port_side.waiters */
    struct actor *actor;
    uint64_t token;
    struct deadline timer;
};

/* What a parcel carries, that is: who learns its outcome. */
enum parcel_role {
    PARCEL_SEND = 1, /* an actor, by NUC_SENT */
    PARCEL_PART,     /* a fan-out */
    PARCEL_REQUEST,  /* a call made here */
    PARCEL_FORWARD,  /* a held request that is handed on */
    PARCEL_WATCH,    /* a watch */
    PARCEL_INNER,    /* nobody: a reply, a cancellation, ... */
    PARCEL_ORPHAN,   /* a request whose caller is gone: if it is accepted after
                      * all, its server is told */
    PARCEL_INBOUND,  /* the network manager learned it already */
};

enum parcel_state {
    PARCEL_QUEUED = 1, /* in the queue of `port` */
    PARCEL_PARKED,     /* waits for room in the queue of `port` */
    PARCEL_WAITING,    /* waits for a member of a group */
    PARCEL_NET,        /* with the network manager, under `ticket` */
    PARCEL_STALLED,    /* the network manager had no room: in peer.stalled */
    PARCEL_TOLD,       /* with its outcome, that is not yet acted on */
};

/* A message that was taken and is not delivered yet. */
struct parcel {
    struct list node;   /* where `state` says */
    struct list of_src; /* WAITING: port_side.waits */
    uint64_t ticket;
    enum parcel_role role;
    enum parcel_state state;
    enum nuc_notify notify;
    enum motet_err outcome; /* TOLD */
    struct place_of place;  /* where it was accepted */
    bool wait;
    bool forwarded; /* a request that was delivered here before */
    struct port *port;
    struct motet_ui actor; /* SEND: who is told */
    struct motet_ui src;
    struct motet_ui dst;
    struct motet_dest dest; /* WAITING */
    struct msg msg;
    uint64_t token;
    uint64_t seq;
    uint64_t order; /* of arrival on this site, over all ports */
    uint64_t queued_ns;
    uint64_t deadline_ns;
    struct deadline timer; /* PARKED, WAITING, STALLED */
    struct fanout *fanout;
    struct call *call;
    struct held *held; /* a request for a port here; or one forwarded */
    struct watch *watch;
};

/* One message to all members of a group: the outcomes become one. */
struct fanout {
    uint32_t open; /* parts without an outcome, and one while being sent */
    enum motet_err err;
    enum nuc_notify notify;
    struct motet_ui actor;
    struct motet_ui src;
    uint64_t token;
    struct list image; /* port_side.fanouts, while being installed ... */
    uint64_t image_id; /* ... under this name */
};

/* Something that ends with a site's incarnation. */
struct bond {
    struct list node; /* in a list of the peer */
    struct peer *peer;
    uint32_t incarnation; /* 0 = not known yet */
};

/* A call made here. Where its request is: `leg` on its way, `held` at a port
 * here, neither: accepted elsewhere. */
struct call {
    uint64_t id;
    struct list of_port;
    struct bond bond; /* the site of the server */
    struct port *port;
    struct motet_ui server;
    struct parcel *leg;
    struct held *held;
    enum motet_err no;    /* being given up, and how that will be told ... */
    enum motet_err maybe; /* ... once `leg` is settled */
    bool bereft;          /* its server's site died before `leg` was settled */
    uint16_t hops;        /* how often it was handed on to get to `server` */
    struct deadline timer;
};

/* A request at a port here. */
struct held {
    uint64_t id;
    struct list of_port;
    struct bond bond;   /* the site of a remote caller */
    struct bond holder; /* the site of who has it in hand, where that is not the
                         * actor of its port: the port has moved since */
    struct port *port;
    struct call *call;     /* the caller's, when made here */
    struct parcel *parcel; /* not delivered yet, or being forwarded */
    bool remote;           /* the caller is elsewhere: in held_by_caller */
    bool delivered;
    struct msg msg; /* as it came; data (own reference) once delivered */
    uint64_t deadline_ns;
    struct deadline timer; /* remote caller: while queued */
};

/* ---- Watches ------------------------------------------------------------- */

enum watcher_kind { WATCHER_HERE = 1, WATCHER_REMOTE };

/* The first member of whatever is in a list of watchers. */
struct watcher {
    struct list node;
    enum watcher_kind kind;
};

struct watch {
    struct watcher of; /* in port_side.watchers, or group.watchers */
    uint64_t id;
    struct list of_port; /* port_side.watches of `port` */
    struct bond bond;    /* a remote port, or a site */
    struct port *port;
    struct motet_ui subject;
    struct parcel *last; /* reserved: carries the terminal news */
    struct parcel *leg;  /* MSG_WATCH on its way */
    uint64_t lost_ns; /* since when its site is one that nobody has met; 0: not
                       * so */
    struct deadline timer;
};

/* A port of another site that watches a port here. */
struct watcher_remote {
    struct watcher of;
    struct bond bond;
    struct motet_ui watching;
    struct port *port;
    uint64_t id; /* its site's */
};

/* ---- Groups -------------------------------------------------------------- */

struct group {
    struct motet_ui ui;
    struct list node; /* nucleus.groups */
    struct list work; /* nucleus.woken */
    bool named;       /* `name` is known */
    char name[MOTET_NAME_MAX + 1];
    struct list members;
    struct map by_port;
    uint32_t count;
    uint32_t joins;       /* that are being installed */
    struct member *turn;  /* whose turn it is; NULL = the first */
    struct member *at;    /* GROUP_LIST: where it was last ... */
    uint32_t at_index;    /* ... and which that is */
    struct map users;     /* struct use, by the actor that asked for it */
    struct list watchers; /* struct watcher */
    struct list waiting;  /* parcels */
};

struct member {
    struct list node; /* group.members */
    struct list of_port;
    struct group *group;
    struct motet_ui ui;
    uint64_t site;
    uint64_t epoch;    /* of the port, as its site says */
    struct peer *peer; /* NULL: this site */
};

struct use {
    struct list of_actor;
    struct actor *actor;
    struct group *group;
};

/* ---- Sites --------------------------------------------------------------- */

struct peer {
    uint64_t site;
    struct list node; /* nucleus.peers */
    struct list work; /* nucleus.dying */
    bool known;       /* membership spoke of it */
    bool restart;     /* all of `stalled` is to be tried again */
    enum nuc_site_state state;
    uint32_t incarnation; /* highest heard of */
    uint32_t dead;        /* this one and all before are over */
    enum motet_news news; /* how the last of them went */
    uint64_t rtt_ns;
    uint32_t members;  /* that point here */
    struct list calls; /* struct bond */
    struct list helds;
    struct list watches;
    struct list watchers;
    struct list holders; /* struct bond, of helds */
    struct list stalled; /* struct parcel */
};

/* ---- The nucleus --------------------------------------------------------- */

struct fx_chunk {
    struct list node;
    uint32_t head;
    uint32_t tail;
    struct nuc_effect effects[FX_CHUNK];
};

struct effects {
    struct mem *mem;
    struct list chunks; /* the first is read, the last is written */
    struct list spare;
    uint32_t spare_count;
    uint32_t room;  /* effects that fit without memory */
    uint32_t count; /* not taken */
    bool lent; /* the head was given out, and is dropped at the next call */
};

struct nucleus {
    struct nucleus_config cfg;
    struct mem *mem;
    uint64_t now_ns;
    struct effects fx;
    struct deadlines timers;
    struct nuc_counts counts;
    uint64_t arrivals;
    uint32_t port_serial;
    uint32_t actor_serial;
    uint32_t group_serial;
#ifdef MOTET_BUG_REUSE_UI
    uint32_t reuse_serial;
#endif

    struct map actor_by_ui;
    struct map actor_by_name;
    struct map port_by_ui;
    struct map group_by_ui;
    struct map peer_by_site;
    struct map held_by_caller;
    struct map watcher_by_id;
    struct map debt_by_held;

    struct pool actor_pool;
    struct pool debt_pool;
    struct list orphans; /* struct debt, of actors that ended */
    struct pool join_pool;
    struct pool port_pool;
    struct pool side_pool;
    struct pool want_pool;
    struct pool waiter_pool;
    struct pool fanout_pool;
    struct pool group_pool;
    struct pool member_pool;
    struct pool use_pool;
    struct pool peer_pool;
    struct pool watcher_pool;
    struct ids parcels;
    struct ids calls;
    struct ids helds;
    struct ids watches;

    struct list actors; /* these in order of creation */
    struct list ports;
    struct list groups;
    struct list peers;
    struct map away;       /* ports made here that live elsewhere */
    bool scattered;        /* so do ports of earlier lives, or too many */
    struct parcel *filled; /* by NUC_PORT_ITEM: its message follows */

    struct list ending; /* ports, by `node` */
    struct list work;   /* ports, by `work` */
    struct list dying;  /* peers */
    struct list woken;  /* groups */
    struct list told;   /* parcels, with their outcomes */
};

/* The kinds of deadlines in nucleus.timers. */
enum timer_kind {
    TIMER_WAITER = 1,
    TIMER_PARCEL,
    TIMER_CALL,
    TIMER_HELD,
    TIMER_WATCH,
};

#endif
