#ifndef SITE_MOVES_H
#define SITE_MOVES_H

#include "inside.h"
#include "proto/image.h"

/* Carries out migration: what the machine (sites/core/migration.h) decides is
 * done to the ports in the nucleus and to their flows in the network manager,
 * and what they hold is carried from site to site. Frames of the protocol
 * travel as MSG_MIGRATE between the control ports.
 *
 *   moves.c         moves away from here, from being asked for to their end
 *   moves_effects.c what the machine decided, carried out
 *   moves_ports.c   what one port goes through
 *   moves_out.c     what goes with a PREPARE
 *   moves_in.c      what came with one, and its installation
 *   moves_records.c what others are told of where ports live, and when */

enum {
    MOVES_ASKED_MAX = 1024,        /* not over; beyond those that the machine
                                    * takes they wait for their turn */
    MOVES_KEPT = 256,              /* notes of moves that are over */
    MOVES_WAITERS_MAX = 8,         /* who waits for the end of one */
    MOVE_WINDOW = 4,               /* parts under way */
    MOVE_IN_BYTES_MAX = 128 << 20, /* of one move, assembled */
    MOVES_IN_MAX = 64,             /* assembled at once */
};

/* What is asked for. */
struct move_request {
    uint64_t to;                  /* site; this one: to another actor here */
    const struct motet_ui *ports; /* all of one actor ... */
    uint32_t count;               /* ... or 0: the actor as a whole */
    struct motet_ui actor;        /* that owns them */
    const char *receiver; /* name of the actor that takes them; "" with a
                           * whole actor */
    bool drop;            /* what is queued is not taken along */
    struct motet_pi pi;   /* who asked */
};

enum move_time {
    MOVE_ASKED,
    MOVE_FROZEN,
    MOVE_SENT,
    MOVE_PREPARED,
    MOVE_COMMITTED,
    MOVE_OVER,
    MOVE_TIMES
};

/* One move, as it is or was seen from here. */
struct move_note {
    uint64_t id; /* counts the moves away from here; 0: one that came */
    struct mig_xid xid;
    bool over;
    bool came;
    enum motet_err err; /* once over: MOTET_OK = it has moved */
    uint64_t from, to;
    struct motet_ui port; /* the first */
    uint64_t epoch;       /* of it, at its new owner */
    uint32_t ports;
    uint32_t queued;
    uint32_t dropped; /* was queued, and ended as asked for */
    uint64_t bytes;
    uint32_t asked_by; /* uid */
    uint64_t at_ns[MOVE_TIMES];
    char receiver[MOTET_NAME_MAX + 1];
};

/* The memberships of the ports of a move. */
struct move_groups {
    struct {
        struct motet_ui port, group;
    } * all;
    uint32_t count, capacity;
};

struct move {
    struct list link; /* site.moves */
    struct move_groups groups;
    struct move_note note;
    bool begun; /* the machine has it */
    bool drop;
    struct motet_ui actor;
    struct motet_self *self; /* a whole actor; else NULL */
    uint32_t incarnation;    /* of the destination */
    uint64_t give_up_ns;     /* before it has begun */
    uint32_t count;
    struct mig_port *ports;
    uint8_t *content;
    size_t content_size, content_capacity;
    uint32_t part_bytes;
    uint32_t parts, parts_sent, parts_done;
    uint64_t not_before_ns; /* it was refused for a reason that passes ... */
    uint64_t later_ns;      /* ... so long ago, and longer each time */
    uint64_t attempt;       /* in the tickets of its parts */
    uint64_t settled;       /* as its PREPARE says */
    uint64_t waiters[MOVES_WAITERS_MAX]; /* held calls of the control actor */
    uint32_t waiter_count;
};

/* A PREPARE that comes in, in parts; then what was installed of it. */
struct arrival {
    struct list link; /* site.arrivals */
    struct mig_xid xid;
    uint64_t from;
    struct mig_frame frame;
    uint16_t parts, got;
    uint8_t *bytes;
    size_t size, capacity;
    uint64_t give_up_ns;
    bool whole;
    bool installed;
    uint32_t count;
    struct mig_port *ports;
    struct motet_self *self; /* an actor that came as a whole; else NULL */
    uint32_t queued;
};

bool moves_create(struct site *s);
void moves_fini(struct site *s);

/**
 * Begins a move.
 *
 * @param id  names it for moves_find()
 * @return MOTET_OK; or NO_SITE, SITE_DEAD, UNREACHABLE, NO_PORT, NO_ACTOR,
 *         MOVING, STATE (it cannot move), LIMIT, NO_MEMORY, INVALID
 */
MUST_USE enum motet_err moves_start(struct site *s,
                                    const struct move_request *q, uint64_t *id);
/** @return STATE: it is committed, or over */
MUST_USE enum motet_err moves_cancel(struct site *s, uint64_t id);
/** Under way, or over and not forgotten. NULL if neither. */
const struct move_note *moves_find(const struct site *s, uint64_t id);
/** The call `held` of the control port is answered when it is over.
 * @return false if it is over, or too many wait */
MUST_USE bool moves_await(struct site *s, uint64_t id, uint64_t held);
/** The index-th of the moves that are over, latest first. NULL past the last.
 */
const struct move_note *moves_past(const struct site *s, uint32_t index);

/** A part of each tick, where the actors have run. */
void moves_run(struct site *s);
uint64_t moves_deadline_ns(const struct site *s);
/** That life of a site is over. */
void moves_gone(struct site *s, uint64_t site, uint32_t incarnation);
/** A MSG_MIGRATE; borrows it. */
enum motet_err moves_offer(struct site *s, const struct net_effect *e);
/** Tickets of our own, apart from those of the nucleus. */
static inline bool moves_ticket(uint64_t ticket)
{
    return ticket >> 63 != 0;
}
void moves_outcome(struct site *s, uint64_t ticket, enum motet_err err);
/** That move away from here; NULL: it is over, or never was. */
struct move *move_of(const struct site *s, const struct mig_xid *xid);
/** Answers those who wait for it, and forgets all but its note. */
void move_end(struct site *s, struct move *m, enum motet_err err);
/** It was refused for a reason that passes: it begins anew in a moment.
 * @return false: it does not; end it */
bool move_again(struct site *s, struct move *m, enum motet_err err);
void move_keep_note(struct site *s, const struct move_note *note);

/* ---- moves_effects.c ---- */

/** Carries out what the machine decided. @return whether there was anything */
bool moves_drain(struct site *s);

/* ---- moves_ports.c ---- */

/** Sets its epoch. @return MOVING, STATE, NO_PORT, NO_MEMORY, LIMIT, AGAIN */
MUST_USE enum motet_err move_port_freeze(struct site *s, struct move *m,
                                         struct mig_port *p);
/** It lives here, at that epoch. how: NUC_PORT_THAW, NUC_PORT_ACTIVATE
 * @return false: its actor has ended meanwhile, and it with it */
bool move_port_here(struct site *s, enum nuc_kind how, struct motet_ui port,
                    uint64_t epoch);
/** It lives there from now on, as the effect says; `with_actor`: all of its
 * actor does. */
void move_port_away(struct site *s, const struct mig_effect *e,
                    const struct mig_port *p, bool with_actor);
/** It is another actor's of this site. */
void move_port_given(struct site *s, struct motet_ui port);

/* ---- moves_out.c ---- */

/** The content for the PREPARE of frozen ports. @return NO_MEMORY, TOO_BIG */
MUST_USE enum motet_err move_pack(struct site *s, struct move *m);
/** Sends what the window allows. */
void move_send_parts(struct site *s, struct move *m);
/** Sends a frame that carries nothing. */
void move_send_frame(struct site *s, uint64_t to, const struct mig_frame *f);

/* ---- moves_in.c ---- */

void arrival_part(struct site *s, uint64_t from, const struct wire_migrate *m);
/** Installs those that are whole. */
void arrivals_run(struct site *s);
struct arrival *arrival_find(const struct site *s, const struct mig_xid *xid);
void arrival_free(struct site *s, struct arrival *a);
/** Forgets what was installed. */
void arrival_discard(struct site *s, struct arrival *a, uint64_t site,
                     uint32_t incarnation);
enum motet_err site_migrate(struct site *s, struct mig_in *in);

/* ---- moves_records.c ---- */

void records_init(struct site *s);
void records_fini(struct site *s);
/** The port has come here at this epoch, and has said of its groups that it is
 * in them. Not `lives`: its actor has ended meanwhile, and it with it. */
void records_here(struct site *s, struct motet_ui port, uint64_t epoch,
                  bool lives);
/** It lives there now: what says that it is here, and in these groups, is
 * withdrawn after a while. */
void records_away(struct site *s, const struct move_groups *groups,
                  struct motet_ui port, struct place_of place, uint64_t epoch);
/** A life is over: says where the ports were given that went there. */
/** A port has ended: before the network manager hears of it. */
void records_ended(struct site *s, struct motet_ui port);
void records_gone(struct site *s, uint64_t site, uint32_t incarnation);
void records_run(struct site *s);
uint64_t records_deadline_ns(const struct site *s);
#endif
