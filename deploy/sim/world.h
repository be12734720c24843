#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "cipher.h"
#include "deploy/fault/fate.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "nucleus/base/prng.h"
#include "seen.h"
#include "sim.h"
#include "sites/site/site.h"
#include "steps.h"

/* The inside of the simulator.
 *
 *   world.c     virtual time; nodes: sites that boot, run, pause and crash
 *   simnet.c    connections between them
 *   simdial.c   how those begin
 *   simudp.c    datagrams of paths beside them
 *   tuning.c    what sites are like
 *   faults.c    what breaks, when, and how it ends
 *   strike.c    what that does to a site
 *   workload.c  the actors on the sites, as a whole (work.h)
 *   worker.c    what an actor does when something comes
 *   ops.c       what it does of its own accord
 *   moving.c    and with ports that move
 *   owners.c    whose those are, and where they live
 *   groups.c    who is in which group, when all is quiet
 *   points*.c   one move in place of the load, and the fault in it (points.h)
 *   user.c      the user's own actor instead, and its invariants
 *   steps.c     each transition of a move, held against the table
 *   seen.c      which rare paths were reached
 *   sim.c       one run from its seed to its report */

enum {
    NODES_MAX = SIM_SITES_MAX + 1, /* the last one is for a twin */
    NAME_SIZE = 16,
    ADDR_SIZE = 24,
    WORLD_UI_SIZE = 48,
};

#define MS 1000000ULL        /* ns */
#define SECOND 1000000000ULL /* ns */

enum { WALL_START_S = 1800000000 }; /* wall clocks at virtual 0 */

/* What is due at a time: the kind says what the deadline is embedded in. */
enum due {
    DUE_TURN = 1, /* struct node */
    DUE_BOOT,     /* struct node */
    DUE_STREAM,   /* struct way: the first segment arrives */
    DUE_DRAIN,    /* struct way */
    DUE_BREAK,    /* struct wire */
    DUE_PACKET,   /* struct packet */
    DUE_DIALED,   /* struct dialing */
    DUE_FAULT,    /* struct script */
    DUE_UNDO,     /* struct undo */
    DUE_DATAGRAM, /* struct datagram */
};

/* Bytes or news on their way to a node. */
struct input {
    struct list link;
    enum site_in_kind kind;
    uint64_t conn;
    uint64_t dial;
    uint64_t peer;
    bool datagram;
    char addr[ADDR_SIZE];
    struct path_addr from; /* of DATAGRAM; of CONN_UP: where datagrams go */
    size_t size;
    uint8_t bytes[]; /* of BYTES and DATAGRAM */
};

/* A machine that runs a site, or did, or will. */
struct node {
    struct deadline turn;
    struct deadline boot;
    struct world *world;
    uint32_t index;
    char name[NAME_SIZE];
    char addr[ADDR_SIZE];
    uint64_t id;
    struct site *site; /* NULL: down */
    uint32_t incarnation;
    uint32_t stored;        /* in its state file */
    uint32_t stored_before; /* to which the file may be rolled back */
    uint32_t life;          /* counts boots */
    uint64_t boot_ns;
    uint64_t full_until_ns; /* its disk is: it cannot boot */
    uint64_t clock_ns;      /* its monotonic clock is ahead by this */
    int64_t wall_s;         /* its wall clock is ahead by this */
    uint64_t busy_until_ns;
    bool paused;
    bool idle;          /* actors stand still, as their ports move */
    uint64_t paused_ns; /* when it was */
    uint64_t due_ns;    /* when it wanted its next turn */
    uint64_t jitter_ns; /* its timers are late by up to this */
    struct list inbox;
    struct trace_record *ring; /* of its site; for all lives */
    uint64_t traced;           /* records of this life that were looked at */
    bool apart;                /* cut off or dead for ever */
    bool is_twin;
    bool refused;    /* told that it may not join */
    uint32_t reborn; /* must be created anew with at least this incarnation */
};

/* How it is between two nodes, in one direction, without faults. */
struct weather {
    struct fate_params params;
    uint64_t rate; /* bytes a second */
};

/* One direction of the way between two nodes. What it does to what is sent is
 * the engine's; rate and queue are those of each connection by itself, whose
 * writer hears how much has left. */
struct link {
    struct fate_link fate;
    uint64_t rate;
    uint64_t queue; /* bytes it holds; 0: any number */
    uint32_t cuts;  /* by how many faults it is cut */
};

struct segment {
    struct segment *next;
    uint64_t at_ns; /* DEADLINE_NEVER: held up by a cut */
    bool fin;
    struct input *input;
};

/* One direction of a connection. */
struct way {
    struct deadline arrive;
    struct deadline drain;
    struct wire *wire;
    uint32_t side; /* that writes */
    struct segment *first;
    struct segment *last;
    uint64_t last_at_ns;
    uint64_t drained_at_ns;
    uint64_t undrained; /* bytes */
};

enum end_state { END_COMING = 1, END_UP, END_CLOSED };

struct wire {
    struct deadline broken;
    struct list link;
    struct world *world;
    uint64_t number; /* the connections are number * 2 and number * 2 + 1 */
    bool datagram;
    struct node *node[2]; /* [0] dialed. NULL: a stranger */
    uint32_t life[2];
    enum end_state state[2];
    struct way way[2]; /* [i] is written by side i */
    uint32_t packets;  /* of a datagram path, in flight */
    bool spoiled;      /* bytes of it are wrong or missing: it breaks */
};

struct packet {
    struct deadline arrive;
    struct wire *wire;
    uint32_t to; /* side */
    struct input *input;
};

struct datagram {
    struct deadline arrive;
    struct list link;
    struct node *to;
    uint32_t life;
    struct input *input;
};

/* What stands between two nodes, in one direction. */
struct nat {
    uint16_t port; /* under which the other side sees this one; 0 = its own */
    bool narrow;
};

struct dialing {
    struct deadline done;
    struct node *from;
    uint32_t life;
    uint64_t dial;
    uint64_t peer;
    bool reached;
    char addr[ADDR_SIZE];
};

/* Walks along the faults of the run. */
struct script {
    struct deadline next;
    struct world *world;
    uint64_t start_ns;
    size_t at;
};

/* A fault that lasts, and what ends it. */
struct undo {
    struct deadline at;
    struct list link;
    struct world *world;
    const struct chaos_fault *fault;
};

/* Drawn once for all sites of a run. */
struct tuning {
    struct site_config site;
    bool tight;
    bool insecure;
    uint32_t datagram_pairs; /* of a million pairs */
    uint64_t turn_ns;        /* what a turn takes, at most */
    uint32_t split;          /* of a million parts of a stream are cut in two */
    uint32_t deaf;           /* of a million: a crash is not heard at once */
    uint64_t op_mean_ns;     /* between two operations of an actor */
    uint32_t actors;         /* on a site */
};

struct work;

struct world {
    const struct sim_options *opt;
    struct sim_report *report;
    struct mem mem;
    struct deadlines due;
    struct prng chance;      /* faults and set-up */
    struct prng net_chance;  /* the network */
    struct prng path_chance; /* and of the datagrams of paths */
    struct sim_cipher cipher;
    struct path_aead aead;
    struct list datagrams; /* in flight */
    struct nat nat[NODES_MAX][NODES_MAX];
    bool loaded; /* the load has begun */
    bool healed; /* all faults are over */
    uint64_t now_ns;
    uint64_t hash;       /* of sites that are no more, and of faults */
    uint32_t node_count; /* without the twin */
    struct node node[NODES_MAX];
    struct weather weather[NODES_MAX][NODES_MAX];
    struct link link[NODES_MAX][NODES_MAX];
    bool datagram[NODES_MAX][NODES_MAX];
    struct list wires;
    struct map wire_of; /* (number, 0) */
    uint64_t wire_count;
    uint64_t for_ns; /* of faults and load */
    struct chaos_faults faults;
    struct script script;
    struct list active; /* struct undo */
    uint32_t twin_of;   /* the index of a node; UINT32_MAX: none was ever */
    struct tuning tuning;
    struct check *check;
    struct work *work;
    struct points *points; /* NULL: not a crash point */
    struct steps steps;    /* of moves */
    uint64_t broken; /* the user's invariants that were broken, a bit each */
};

/* ---- world.c ---------------------------------------------------------------
 */

/** An event for the checker, and for whoever listens. */
void world_tell(struct world *w, const struct check_event *e);
/** A violation that the simulator has seen. */
void world_accuse(struct world *w, int promise, uint64_t site,
                  const char *text);
/** Memory of the simulator; never NULL. Zeroed. Freed by mem_free(&w->mem). */
void *world_alloc(struct world *w, size_t size);
/** Arms `d`; `due` says what it is embedded in. */
void world_at(struct world *w, struct deadline *d, enum due due,
              uint64_t at_ns);
/** Runs until virtual `until_ns`. */
void world_run(struct world *w, uint64_t until_ns);

/** Starts the site of a node that is down. */
void node_boot(struct node *n);
/** The site is gone from one moment to the next; its memory is lost. */
void node_crash(struct node *n, const char *why);
/** The site leaves in good order, and is gone. */
void node_leave(struct node *n);
/** Takes an input; it is handed over at the node's next turn. */
void node_input(struct node *n, struct input *in);
struct input *input_new(struct world *w, enum site_in_kind kind, uint64_t conn,
                        size_t size);
void input_free(struct world *w, struct input *in);
/** Stops the node for a while. */
void node_pause(struct node *n, uint64_t for_ns);
/** Asks for a turn of the node at `at_ns` at the latest. */
void node_wake(struct node *n, uint64_t at_ns);

/** A UI as people read it: "site5.6b49d200.c". Returns `text`. */
const char *world_ui(const struct world *w, struct motet_ui ui,
                     char text[WORLD_UI_SIZE]);
/** One line of the trace, if one is written; `mark` stands in the column of
 * `n` (NULL: no column). */
__attribute__((format(printf, 4, 5))) void world_trace(struct world *w,
                                                       const struct node *n,
                                                       char mark,
                                                       const char *format, ...);

/* ---- simnet.c, simdial.c
 * --------------------------------------------------------------
 */

void net_init(struct world *w);
void net_fini(struct world *w);
void net_dial(struct node *from, const struct site_effect *e);
void net_write(struct node *from, const struct site_effect *e);
void net_close(struct node *from, uint64_t conn);
/** All connections of a node that has crashed. */
void net_crashed(struct node *n);
/** Breaks one connection among those that the fault is about, drawn. */
void net_break_one(struct world *w, const struct chaos_fault *f);
/** Sends on a stream: an input for the other side (NULL: none), or the end. */
void net_append(struct way *y, struct input *in, bool fin);
/** What was held up on the way goes on. */
void net_uncut(struct world *w, uint32_t from, uint32_t to);
/** Somebody without a certificate worth its name connects and sends rubbish. */
void net_stranger(struct node *to);

void net_on_stream(struct way *y);
void net_on_drain(struct way *y);
void net_on_break(struct wire *x);
void net_on_packet(struct packet *p);
void net_on_dialed(struct dialing *d);

/* ---- simudp.c --------------------------------------------------------------
 */

void udp_send_from(struct node *from, const struct site_effect *e);
void udp_on_datagram(struct datagram *d);
void udp_fini(struct world *w);
struct path_addr udp_addr_of(const struct node *n, uint16_t port);
/** What the two ends of a connection have in common. */
void udp_secret(uint64_t wire, uint8_t secret[PATH_SECRET_BYTES]);

/* ---- tuning.c --------------------------------------------------------------
 */

/** Draws what the sites are like. */
void tuning_draw(struct world *w);

/* ---- faults.c --------------------------------------------------------------
 */

/** Draws the weather, the tuning and what breaks when. */
void faults_draw(struct world *w, uint64_t seed);
void faults_start(struct world *w);
/** Everything is well again, for all, or for a core of the nodes. */
void faults_heal(struct world *w, bool core_only);
void faults_on(struct script *s);
void faults_on_undo(struct undo *u);
void faults_fini(struct world *w);
/** One that is in no list; it ends by itself. Borrows it. */
void faults_begin(struct world *w, const struct chaos_fault *f);
/** All links anew, from the weather and the faults that last. */
void faults_relink(struct world *w);
/** strike.c: a fault that is about sites begins at one of them. */
void faults_strike(struct node *n, const struct chaos_fault *f);

/* ---- workload.c ------------------------------------------------------------
 */

struct work *work_new(struct world *w);
void work_free(struct work *k);
/** Starts the actors of a site that has just been created. */
void work_spawn(struct work *k, struct node *n);
/** Starts anew those that have ended themselves. */
void work_respawn(struct work *k, struct node *n);
/** The kinds of actors that a site can make when one comes. */
const struct motet_supervisor *work_kind(void *ctx, const char *name);
/** Whether the port is on that node and has an actor. */
bool owners_live(const struct node *n, struct motet_ui port);
/** What the site says of a port: FROZEN, OWNER or PORT_END. */
void work_port(struct work *k, struct node *n, struct motet_ui port,
               enum check_what what);
/** After each step of a site: which of its actors run again. */
void work_thaw(struct work *k, struct node *n);
/** Asks the invariants of the user's actor, if there are any, and accuses. */
void user_look(struct world *w, enum motet_when when);

/* ---- points.c --------------------------------------------------------------
 */

/** Makes the world that of a crash point, if one is asked for; before the
 * weather and the tuning are used. */
void points_init(struct world *w);
void points_fini(struct world *w);
/** In place of the load and the faults that were drawn. */
void points_play(struct world *w);
/** Whether what is due is an event at an end of the move, or between them. */
bool points_about(const struct world *w, struct deadline *d);
/** Such an event has happened. */
void points_event(struct world *w);
/** The site of a node tells of a transition of a move. */
void points_step(struct node *n, const struct site_log *l);
/** A packet leaves. @return whether it is the one to be lost */
bool points_lose(struct world *w, const struct node *from,
                 const struct node *to);
/** What an actor has told. */
void points_heard(struct world *w, const struct check_event *e);

/** How the actors of a node behave. */
enum manner {
    MANNER_WELL,
    MANNER_SLOW,  /* they take long to read */
    MANNER_STUCK, /* they do not read at all */
};
void work_manner(struct work *k, const struct node *n, enum manner manner);
/** No new operations; what is held is answered, what is closed opens. */
void work_drain(struct work *k);
/** From now on each site calls each other one, until a call is answered. */
void work_probe(struct work *k);
/** Accuses those whose call was never answered. */
void work_judge(struct work *k);

#endif
