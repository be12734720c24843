#ifndef TOOLS_MOVING_H
#define TOOLS_MOVING_H

#include "client.h"

/* Ports and actors on the move, as the command line asks for it and tells of
 * it. All of it is questions to control ports: where a port lives, who owns it,
 * whether it would be taken, and the move itself. */

struct moving_actor {
    struct motet_ui ui;
    char name[MOTET_NAME_MAX + 1]; /* "": a program that said none */
    char kind[MOTET_NAME_MAX + 1]; /* of a supervisor actor; "": a program */
    uint32_t ports;
    bool movable;         /* as a whole */
    bool adopts;          /* takes ports of others */
    struct motet_ui port; /* its first */
};

struct moving_actors {
    struct moving_actor *list;
    size_t count;
};

/** The actors of a site. Gives: free(a->list). */
enum motet_err moving_actors_get(struct client *c, uint64_t site,
                                 struct moving_actors *a);
/** NULL if there is none. */
const struct moving_actor *moving_actor_named(const struct moving_actors *a,
                                              const char *name);

/* A port, and where it is. */
struct moving_port {
    struct motet_ui ui;
    char name[MOTET_NAME_MAX + 1]; /* as it was asked for */
    uint64_t site;
    uint64_t epoch;
    uint32_t state; /* enum mig_state: FRZ, FWD while it moves away */
    char actor[MOTET_NAME_MAX + 1];
    uint64_t queued;
    uint64_t queued_max;
    uint64_t queued_bytes;
    uint64_t oldest_ms;
    uint64_t waiting;
    uint64_t seq;
    bool enabled;
};

/** The port of that name (a UI, or a group of which it is the only member),
 * where it lives now. @return EXIT_DONE; else it is told */
enum exit_code moving_find(struct client *c, const struct site_names *names,
                           const char *word, struct moving_port *p);

/* What is to move, and where to. */
struct moving_wish {
    struct motet_ui port;
    const char *actor;    /* the owner; as a whole if `whole` */
    const char *kind;     /* of it, if `whole` */
    const char *receiver; /* that takes the port, unless `whole` */
    uint64_t from;
    uint64_t to;
    uint64_t ports; /* how many */
    uint64_t bytes; /* about */
    bool whole;
    bool drop;
};

/** Whether it would be taken there: nothing happens. */
enum motet_err moving_would(struct client *c, const struct moving_wish *w);

/** Begins it. @param id  of the move, at w->from; 0 = it is over already */
enum motet_err moving_begin(struct client *c, const struct moving_wish *w,
                            uint64_t *id);

/** How a move is or was. */
struct moving_note {
    enum motet_err err; /* MOTET_OK: it has moved */
    bool over;
    bool came;
    bool aborted; /* somebody here asked for that, by Ctrl-C */
    uint64_t id;
    uint64_t from, to;
    struct motet_ui port;
    uint64_t epoch;
    uint64_t ports;
    uint64_t queued;
    uint64_t dropped;
    uint64_t bytes;
    uint64_t asked_by;
    uint64_t frozen_ns, sent_ns, prepared_ns, over_ns; /* since asked for */
    uint64_t ago_ms;
    char receiver[MOTET_NAME_MAX + 1];
};

/** The end of a move. SIGINT and SIGTERM meanwhile ask for it to be given up;
 * the answer is still the end. @return MOTET_OK and a note; else it is not
 * known how it ended, or it has not yet */
enum motet_err moving_wait(struct client *c, uint64_t site, uint64_t id,
                           struct moving_note *note);

/** From moving_hold_signals() on they wait for moving_wait(). */
void moving_hold_signals(void);
/** The signal that came meanwhile, 0 = none. */
int moving_stopped(void);

/** The moves that a site remembers, and those under way; at most 64. Gives:
 * free(*list). */
enum motet_err moving_notes(struct client *c, uint64_t site,
                            struct moving_note **list, size_t *count);

/** How long nobody served the ports, at most. */
uint64_t moving_pause_ns(const struct moving_note *n);

/** Why it cannot move, as one clause. `text` of MOVING_WHY_MAX bytes. */
enum { MOVING_WHY_MAX = 512 };
const char *moving_why(const struct site_names *names,
                       const struct moving_wish *w, enum motet_err err,
                       char *text);
/** What to do about it; NULL if there is nothing to say. */
const char *moving_hint(const struct site_names *names,
                        const struct moving_wish *w, enum motet_err err,
                        char *text);

#endif
