#ifndef MIGRATION_PRIV_H
#define MIGRATION_PRIV_H

#include "migration.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/list.h"
#include "nucleus/base/map.h"

/* The inside of the machine, shared by the migration*.c files only: migration.c
 * turns inputs into events, migration_moves.c follows the rules,
 * migration_sources.c remembers what each source said. */

enum {
    MIG_SOURCES_MAX = 1024, /* as many sites as a directory has authors */
    MIG_WINDOW = 4096,      /* numbers a source can have unsettled: what is
                             * remembered of each is exact within it */
    MIG_LOOSE_MAX = 16,     /* answers that belong to no move waiting to be
                             * taken; beyond: dropped, they are asked for again */
};
#define MIG_PORT_EPOCH_MAX (UINT64_MAX - 2)

/* An effect waiting to be taken. */
struct mig_out {
    struct list node;
    struct mig_move *move; /* NULL: belongs to none */
    struct mig_effect effect;
};

/* The effects of one transition. */
enum { MIG_OUT_STEP, MIG_OUT_PORTS, MIG_OUT_SEND, MIG_OUT_COUNT };

/* A move makes each of the first three at most once, so that it has room for
 * all of its effects from the beginning. What repeats an answer is dropped when
 * the last one still waits. */
enum mig_phase { MIG_BEGIN, MIG_COMMITS, MIG_END, MIG_REPEAT, MIG_PHASE_COUNT };

struct mig_move {
    struct list node; /* in migration.away, here, or over */
    struct deadline timer;
    struct mig_xid xid;
    enum mig_state state;
    uint64_t site; /* the other end */
    uint32_t incarnation;
    uint64_t since_ns;   /* of the state */
    uint64_t wait_ns;    /* FRZ: for progress; FWD: until the next COMMIT */
    uint64_t hold_at_ns; /* PRP: discarded then */
    uint32_t waiting;    /* of `outs`: not taken */
    bool over;
    struct mig_out outs[MIG_PHASE_COUNT][MIG_OUT_COUNT];
    uint32_t count;
    struct mig_port ports[];
};

/* What is remembered of a site that offered moves, or is known to have died. */
struct mig_source {
    struct list node; /* in migration.sources */
    uint64_t site;
    uint32_t gone;        /* incarnations up to this one are over */
    uint32_t incarnation; /* the rest is of this one; 0: none was heard of */
    uint64_t settled;     /* it is over with all numbers below */
    /* By number modulo MIG_WINDOW, from `settled` on. */
    uint64_t seen[MIG_WINDOW / 64]; /* prepared or refused once: not again */
    uint64_t activated[MIG_WINDOW / 64];
};

struct migration {
    struct migration_config cfg;
    uint64_t now_ns;  /* of the current step */
    uint64_t next;    /* number of the next move away */
    struct list away; /* by number */
    struct list here; /* in order of their preparation */
    struct list over; /* effects of theirs still wait */
    uint32_t aways, heres;
    struct map ports; /* of all moves under way, to them */
    struct deadlines deadlines;
    struct map source_map;
    struct list sources; /* the one renewed or condemned last is the last */
    uint32_t source_count;
    struct list outs;
    struct mig_out loose[MIG_LOOSE_MAX][MIG_OUT_COUNT];
    struct mig_effect effect; /* the one taken last ... */
    struct mig_move *taken;   /* ... and its move, or NULL */
};

/* One event of one move. */
struct mig_at {
    struct mig_move *move; /* NULL: not under way here */
    uint64_t site;         /* the other end */
    uint32_t incarnation;
    struct mig_xid xid;
    enum mig_state state;
    enum mig_event event;
    enum motet_err err; /* why, where that is told */
};

/* ---- migration_moves.c ----------------------------------------------------
 */

/** A move not begun yet: in no list, its ports not known as moving.
 * @return MOTET_OK; INVALID: a port twice; STATE: one is moving already;
 *         NO_MEMORY */
MUST_USE enum motet_err mig_move_new(struct migration *m,
                                     const struct mig_port *ports,
                                     uint32_t count, struct mig_move **made);

/** Follows the rule. @return false when there is none: nothing happened */
bool mig_follow(struct migration *m, const struct mig_at *at);

/** The same for a move under way. */
bool mig_follow_move(struct migration *m, struct mig_move *mv,
                     enum mig_event event, enum motet_err err);
void mig_progress(struct migration *m, struct mig_move *mv);
void mig_due(struct migration *m, struct mig_move *mv);
void mig_moves_fini(struct migration *m);

struct mig_move *mig_away(const struct migration *m, uint64_t number);
struct mig_move *mig_here(const struct migration *m, struct mig_xid xid);

/** The source is over with all of its numbers below. */
uint64_t mig_settled(const struct migration *m);

/* ---- migration_sources.c --------------------------------------------------
 */

struct mig_source *mig_source(const struct migration *m, uint64_t site);
bool mig_source_over(const struct migration *m, uint64_t site,
                     uint32_t incarnation);

/** Whether there is room to remember `site`. */
bool mig_source_room(const struct migration *m, uint64_t site);

/** What is remembered of that incarnation, made when it is new.
 * @return NULL when it is over, or there is no room */
struct mig_source *mig_source_of(struct migration *m, uint64_t site,
                                 uint32_t incarnation);
/** Incarnations up to this one are over. Remembered where there is room. */
void mig_source_gone(struct migration *m, uint64_t site, uint32_t incarnation);

void mig_source_settle(struct mig_source *s, uint64_t settled);
/** Prepared or refused before, or settled. */
bool mig_source_seen(const struct mig_source *s, uint64_t number);
bool mig_source_activated(const struct mig_source *s, uint64_t number);
void mig_source_see(struct mig_source *s, uint64_t number);
void mig_source_activate(struct mig_source *s, uint64_t number);
void mig_sources_fini(struct migration *m);

#endif
