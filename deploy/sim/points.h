#ifndef SIM_POINTS_H
#define SIM_POINTS_H

#include "world.h"

/* Crash points: one small story, in which one move happens, run again and again
 * with a fault at each event of that move, and with each of the first packets
 * between its two ends lost besides.
 *
 * The story: site1 (the source) has an actor with two ports, in a group,
 * watched and watching, one of them closed for a while so that its queue fills;
 * clients at site1, site2 (the destination) and site3 send to it and call it,
 * and it sends and calls. Then it is asked to move to site2. The network is
 * dull, so that all runs are the same up to what is lost or breaks.
 *
 *   points.c       a run: counting, striking, judging
 *   points_load.c  what the actors do
 *   points_plan.c  all cases there are, and their names
 *   points_runs.c  what is said of them */

enum { SOURCE, DESTINATION, CLIENTS, POINT_SITES }; /* indices of nodes */

enum {
    POINT_PACKETS = 64, /* the first so many are lost, one at a time */
    POINT_TEXT_MAX = 64,
    POINT_WAYS = 2, /* of transport: NET_TCP, NET_UDP */
};

/* Columns: name, word, text for people. */
/* clang-format off */
#define POINT_FAULTS(X)                                                        \
    X(NOTHING, "none", "nothing breaks")                                       \
    X(CRASH_SOURCE, "crash-source", "the source crashes, and comes back")      \
    X(CRASH_DESTINATION, "crash-destination",                                  \
      "the destination crashes, and comes back")                               \
    X(CUT_TO, "cut-to-destination", "nothing gets to the destination")         \
    X(CUT_BACK, "cut-to-source", "nothing gets back to the source")            \
    X(CUT_BOTH, "cut-both", "nothing gets through either way")
/* clang-format on */

#define POINT_FAULT_ENUM(name, word, text) POINT_##name,
enum point_fault { POINT_FAULTS(POINT_FAULT_ENUM) POINT_FAULT_COUNT };
#undef POINT_FAULT_ENUM

/* A case. */
struct point {
    bool port; /* one port moves, to another actor; else the whole actor */
    enum net_transport transport;
    enum point_fault fault;
    uint32_t event;  /* it strikes after this one; 0: the move begins in it */
    uint32_t packet; /* this one is lost, from 1; 0: none */
    bool look;       /* not to its end: only what there is of events */
};

/* Which cases there are. */
struct points_plan {
    uint32_t events[2][POINT_WAYS][POINT_PACKETS + 1]; /* [port][way][lost] */
    struct point_found calm[2][POINT_WAYS];
    uint32_t every; /* only each so-many-th */
    uint64_t count;
};

/** Looks how many events each story has. @param whats, ways  a bit for each
 * that takes part: 1 << port, 1 << transport.
 * @return false: one of them does not move although nothing breaks */
bool points_plan(struct points_plan *plan, unsigned whats, unsigned ways,
                 uint32_t every);
/** The number-th case, from 1 to plan->count. */
struct point points_case(const struct points_plan *plan, uint64_t number);
/** "actor.tcp.cut-both.17.3". Returns `text`. */
const char *point_text(const struct point *p, char text[POINT_TEXT_MAX]);
/** "cut-both" and so on. Static. */
const char *point_fault_word(enum point_fault fault);
/** Says on stdout what the stories are like without a fault. */
void points_print(const struct points_plan *plan);
/** @return false: it is none */
bool point_parse(const char *text, struct point *p);
/** The options of the run of a case; borrows it. */
void point_options(const struct point *p, struct sim_options *opt);

/* One run. */
struct points {
    const struct point *point;
    bool asked, begun, over, struck, lost;
    uint32_t events, packets;
    uint64_t asked_ns; /* when the move is asked for */
    uint64_t begun_ns;
    uint64_t healed_ns; /* nothing is broken any more */
    struct chaos_fault fault;
    struct motet_ui port[2];               /* that move */
    struct motet_ui first[POINT_SITES][2]; /* port of each worker */
    uint64_t called;      /* the first call after the heal, 0: none yet */
    uint64_t answered_ns; /* it, or a later one; 0: not yet */
};

#endif
