#ifndef SIM_WORK_H
#define SIM_WORK_H

#include "world.h"

/* The load: supervisor actors that send, call, answer, forward, watch, open and
 * close at random, and tell the checker of everything. A message carries its
 * number in its annex and a known pattern as its body. */

enum {
    WORKERS_MAX = 3, /* on a site */
    PORTS_MAX = 4,   /* of a worker */
    HELD_MAX = 16,
    CALLS_MAX = 16,
    WATCHES_MAX = 8,
    AGAIN_MAX = 8,
    WORKER_NAME_SIZE = 24,
    TARGETS = 256, /* the latest of those: where messages go */
    SPOTS = 1024,  /* ports remembered */
    GROUPS = 4,    /* static: g0, g1, ... */
    DYNAMIC_GROUPS = 8,
    BODY_MAX = 1 << 20,
    PATTERN_SHIFT = 4096,
};

struct spot {
    struct motet_ui ui;
    struct node *node;
    uint32_t life;
    bool live;
    struct motet_ui owner;
    bool idle; /* its actor stands still: one of its ports moves */
};

struct worker;

/* What the workers do in place of what is drawn: points_load.c. */
struct story {
    uint32_t ports; /* of each, at its start */
    void (*op)(struct motet_self *self, struct worker *k);
    /** Until the next one. */
    uint64_t (*wait_ns)(const struct worker *k);
    /** What becomes of a request: as drawn, or at once. */
    uint64_t (*draw)(const struct worker *k, const struct motet_view *v,
                     uint64_t draw);
    /** Bytes of the next message. */
    size_t (*size)(const struct worker *k);
};

extern const struct story points_story;

struct work {
    struct world *world;
    const struct story *story; /* NULL: all is drawn */
    uint64_t ids;
    struct spot spot[SPOTS];
    uint32_t spots; /* ever */
    struct motet_cap dynamic[DYNAMIC_GROUPS];
    uint32_t dynamics; /* ever */
    bool draining;
    bool probing;
    bool moving; /* ports move */
    bool mortal; /* an actor may end itself: it will be started anew */
    enum manner manner[NODES_MAX];
    bool answered[NODES_MAX][NODES_MAX]; /* from, to */
    bool gone[NODES_MAX][WORKERS_MAX];   /* ended itself, where it began */
    struct map known; /* numbers of calls and watches: who made them may not be
                       * whoever hears of them, when ports move */
    uint8_t *pattern; /* BODY_MAX + PATTERN_SHIFT bytes */
};

struct my_port {
    struct motet_ui ui; /* zero: none */
    uint64_t enable_ns; /* disabled until then; 0: enabled */
};

struct my_held {
    uint64_t held; /* 0: free */
    uint64_t id;
    uint64_t answer_ns; /* DEADLINE_NEVER: never */
    bool over;          /* its caller gave up; we shall be told */
    bool away;          /* its port has moved since: we shall not */
    struct motet_ui port;
};

struct my_call {
    uint64_t call; /* 0: free */
    uint64_t id;
    struct motet_ui port;
    uint32_t probe; /* index of the node + 1, 0: none */
};

struct my_watch {
    uint64_t watch; /* 0: free */
    uint64_t id;
    struct motet_ui port;
    struct motet_ui subject;
};

/* AGAIN was said; room must be told. */
struct my_again {
    struct motet_ui port; /* zero: free */
    struct motet_ui dest;
};

struct worker {
    struct work *work;
    struct node *node; /* where it is */
    struct node *home; /* where it began */
    uint32_t number;
    bool lost; /* to a copy of a site: of no interest any more */
    struct motet_ui ui;
    uint64_t asked; /* call by which it asked for a move, 0: none */
    uint64_t move;  /* the last one that was begun */
    uint64_t ops;   /* of a story: done so far */
    struct my_port port[PORTS_MAX];
    struct my_held held[HELD_MAX];
    struct my_call call[CALLS_MAX];
    struct my_watch watch[WATCHES_MAX];
    struct my_again again[AGAIN_MAX];
};

struct Motet__ControlRequest;

extern const struct motet_supervisor worker_table;

/** What a message says of itself. */
struct label {
    uint64_t id;
    uint64_t size; /* of the body */
};

/** An event of this actor, to be completed and fed by worker_feed(). */
struct check_event worker_event(const struct worker *k, enum check_what what,
                                struct motet_ui port);
void worker_feed(struct worker *k, const struct check_event *e);

/** Sends `size` bytes of body under a label. `annex` holds MOTET_ANNEX_MAX. */
struct motet_out worker_out(struct worker *k, uint64_t id, size_t size,
                            uint8_t *annex);
bool worker_read(const struct worker *k, const struct motet_view *v,
                 struct label *label);

bool ui_is_zero(struct motet_ui ui);
bool worker_owns(const struct worker *k, struct motet_ui port);

/** The name of a worker, by where it began. */
const char *worker_name(uint32_t home, uint32_t number,
                        char name[WORKER_NAME_SIZE]);

/* workload.c; with real processes deploy/load */
/** Where this worker is: work, node and number, from the arguments it was
 * started with. */
void worker_settle(struct worker *k, const char *args);
/** Whether this life of the port's site was ever heard of here. A real program
 * has its UIs from somewhere; what nobody connected has ever heard of is waited
 * for without end. */
bool ops_heard_of(const struct worker *k, struct motet_ui port);

/* moving.c: with --workload migrate */
/** Asks the site where it is for something about a move, from that port. */
void moving_ask(struct motet_self *self, struct worker *k, struct motet_ui port,
                const struct Motet__ControlRequest *q);
/** Moves a port, or the worker, or gives up its last move. */
void ops_move(struct motet_self *self, struct worker *k);
/** The answer to such a call. @return false: it was another call */
bool moving_answer(struct worker *k, const struct motet_event *event);
/** Notes the number of a call or a watch (what) of a port. */
void moving_note(struct work *work, enum check_what what, struct motet_ui port,
                 uint64_t id, uint64_t number);
/** @return the number; 0: not known */
uint64_t moving_recall(const struct work *work, enum check_what what,
                       struct motet_ui port, uint64_t id);
/** Its functions may run on another site than before: says where.
 * @return false: on a copy of one, which is not judged */
bool moving_arrived(struct motet_self *self, struct worker *k);
bool moving_adopt(struct motet_self *self, void *state, struct motet_ui port);
void moving_adopted(struct motet_self *self, struct worker *k,
                    const struct motet_event *event);
void moving_moved(struct worker *k, struct motet_ui port);
/** It ends: what it held of ports that went away nobody tells it of. */
void moving_stop(struct worker *k);
size_t moving_save(const void *state, void *out, size_t size);
bool moving_restore(void *state, const void *in, size_t size);

/* owners.c */
/** @return false: it has moved away, and its actor has not heard of it */
bool owners_here(struct work *k, struct motet_ui port, const struct node *node);
/** The port is that actor's. */
void owners_set(struct work *k, struct motet_ui port, struct motet_ui actor);
/** An actor has moved, with what it has. */
void owners_follow(struct work *k, struct motet_ui from, struct motet_ui to,
                   struct node *node);
/** P5: no port lives on two sites. `last`: and each that should live does, and
 * none is half-way (P6). */
void moving_inspect(struct world *w, bool last);

/* groups.c */
/** The port was put into the group by its owner, or taken out. */
void groups_note(struct work *work, struct motet_ui group, struct motet_ui port,
                 bool in);
/** P8: in the end each site knows who is in which group, and where it lives;
 * and a port that has moved is in those that it was in (P6). */
void groups_inspect(struct world *w);

/* ops.c */
/** What is remembered of a port; NULL: nothing any more. */
struct spot *ops_spot(struct work *work, struct motet_ui port);
void ops_forget_spot(struct work *work, struct motet_ui port);
void ops_forget_again(struct worker *k, struct motet_ui port);
void ops_open_port(struct motet_self *self, struct worker *k, uint32_t index);
/** The event that begins a send or a call, with its number. */
struct check_event ops_begin(struct worker *k, enum check_what what,
                             struct motet_ui port, int64_t timeout_ms);
/** A place for a call, NULL: they are all taken. */
struct my_call *ops_free_call(struct worker *k);
/** @return whether it was begun */
bool ops_call(struct motet_self *self, struct worker *k, struct check_event *e,
              const struct motet_dest *dest, struct my_call *slot,
              int64_t timeout_ms);
/** One operation, drawn. */
void ops_random(struct motet_self *self, struct worker *k);
/** Opens what is closed; `all`: not only what is due. */
void ops_enable(struct motet_self *self, struct worker *k, bool all);
/** Answers what is held; `all`: not only what is due. */
void ops_answer(struct motet_self *self, struct worker *k, bool all);
/** Calls those sites from which no call was answered yet. */
void ops_probe(struct motet_self *self, struct worker *k);
/** One answer to what is held; frees `h`. */
void ops_answer_one(struct motet_self *self, struct worker *k,
                    struct my_held *h);
/** A target among all ports, most likely a live one. */
struct motet_ui ops_draw_port(struct motet_self *self, struct worker *k);

#endif
