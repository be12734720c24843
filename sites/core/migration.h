#ifndef MIGRATION_H
#define MIGRATION_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/trace.h"

/* Migration: the hand-off of ports from site to site. Two phases, one commit
 * point, at the source; DESIGN section 7, checked in tests/model. A pure
 * machine that knows of ports only their names and epochs: what they hold is
 * frozen, carried, installed, dropped by whoever carries out its effects.
 *
 * A *move* is a set of ports that goes as a whole or not at all, under one xid.
 * Its states at a site, and what leads from one to the other, are the table in
 * migration_rules.h: what is not in it does not happen.
 *
 * Frames may be lost, doubled, delayed and reordered; each is bound to the
 * incarnations of both ends. */

struct migration;

struct migration_limits {
    uint32_t moves_max;     /* 64 away from here at once, likewise to here */
    uint32_t ports_max;     /* 65,536 in one move */
    uint32_t unsettled_max; /* 4,096: how far the newest move away may be ahead
                             * of the oldest that is not finished */
    uint64_t answer_ns;     /* 1 s at least, 4 srtt if that is more: from the
                             * last progress to the abort of a move that is
                             * not answered */
    uint64_t retry_min_ns;  /* 100 ms: COMMIT is repeated, doubling to ... */
    uint64_t retry_max_ns;  /* 1 s */
    uint64_t query_ns;      /* 1 s: QUERY is repeated */
    uint64_t hold_ns;       /* 60 s: then what is prepared is discarded */
};

struct migration_limits migration_limits_default(void);

struct migration_config {
    uint64_t site;
    uint32_t incarnation;
    uint64_t seed; /* of the maps: secret, peers choose the keys */
    struct migration_limits limits;
    struct mem *mem;     /* borrowed for life */
    struct trace *trace; /* borrowed for life */
};

/* Names one attempt; never used again. */
struct mig_xid {
    uint64_t site; /* of the source, and ... */
    uint32_t incarnation;
    uint64_t number; /* ... its count, from 1 */
};

/* A port of a move. */
struct mig_port {
    struct motet_ui ui;
    uint64_t epoch; /* at the source; the destination will own it at epoch + 1,
                     * and after an abort the source at epoch + 2 */
};

#include "migration_rules.h" /* enum mig_state, mig_event; the table */

enum mig_frame_kind {
    MIG_PREPARE = 1, /* ports; what they hold goes with it */
    MIG_PREPARED,
    MIG_REFUSE, /* err: answer to PREPARE only, means nothing once committed */
    MIG_COMMIT,
    MIG_COMMIT_ACK,
    MIG_NEVER, /* answer to COMMIT only: was not activated, never will be */
    MIG_ABORT,
    MIG_QUERY,
    MIG_FRAME_COUNT
};

struct mig_frame {
    enum mig_frame_kind kind;
    struct mig_xid xid;
    uint32_t from_incarnation; /* of the sender ... */
    uint32_t to_incarnation;   /* ... and of the one meant */
    uint64_t settled;   /* from the source of xid: all of its numbers below
                         * are finished. From others 0 */
    enum motet_err err; /* REFUSE */
};

enum mig_in_kind {
    MIG_IN_START = 1, /* site, incarnation: the destination; ports, count,
                       * rtt_ns. The ports are frozen already. -> xid by
                       * migration_last(), MIG_SEND of PREPARE.
                       * LIMIT: moves_max or unsettled_max; STATE: one of the
                       * ports is moving already; SITE_DEAD: that incarnation
                       * is over; NO_MEMORY; INVALID */
    MIG_IN_PROGRESS,  /* xid: a part of PREPARE has arrived over there */
    MIG_IN_CANCEL,    /* xid: abort it; err: why, OK = CANCELLED. STATE: it is
                       * committed, or unknown */
    MIG_IN_PREPARE,   /* site (sender), frame, ports, count, err: the result of
                       * installing what came with it, MOTET_OK or why not. OK
                       * only after migration_asks() said INSTALL. Any error:
                       * it is not held (REFUSE is on its way); the caller
                       * discards what it installed */
    MIG_IN_FRAME,     /* site (sender), frame: any but PREPARE */
    MIG_IN_GONE,      /* site, incarnation: this and earlier ones are over, or
                       * held for dead by somebody: what they prepared here is
                       * discarded and nothing of them is prepared any more */
    MIG_IN_TICK,
};

struct mig_in {
    enum mig_in_kind kind;
    uint64_t now_ns;
    uint64_t site;
    uint32_t incarnation;
    uint64_t rtt_ns; /* START: smoothed round trip to the destination, 0 = not
                      * known */
    struct mig_xid xid;
    const struct mig_frame *frame; /* borrowed */
    const struct mig_port *ports;  /* borrowed, copied */
    uint32_t count;
    enum motet_err err;
};

enum mig_effect_kind {
    MIG_SEND = 1, /* site, frame. Best effort: it is repeated where need be */
    MIG_STEP,     /* xid, from, event, to: a transition, for progress, logs and
                   * checkers. Before the effects of the transition */
    MIG_THAW, /* xid, err, epoch_plus 2: the source owns its ports again, each
               * at its epoch + 2; err says why the move failed */
    MIG_DROP, /* xid, err: the source gives its copy up. MOTET_OK: the
               * destination has them; SITE_DEAD: they died with it */
    MIG_ACTIVATE, /* xid, epoch_plus 1: the destination owns what was installed
                   */
    MIG_DISCARD, /* xid, err: what was installed is given up. OK: the source has
                  * (or will have) the ports, at epoch + 2; SITE_DEAD: they died
                  * with the source */
};

struct mig_effect {
    enum mig_effect_kind kind;
    uint64_t site;
    uint32_t incarnation; /* of `site`: SEND, ACTIVATE, DISCARD, DROP, THAW: the
                           * other end */
    struct mig_frame frame;
    struct mig_xid xid;
    enum mig_state from, to;
    enum mig_event event;
    enum motet_err err;
    uint32_t epoch_plus;
    const struct mig_port *ports; /* of xid, but in SEND; borrowed until the
                                   * next migration_effect() */
    uint32_t count;
};

/** @return NULL at the memory cap */
struct migration *migration_create(const struct migration_config *cfg);
void migration_destroy(struct migration *m);

/**
 * Feeds one input.
 *
 * @return MOTET_OK, or why nothing was changed (see the kinds). What comes from
 *         other sites never fails: what makes no sense is ignored.
 */
MUST_USE enum motet_err migration_step(struct migration *m,
                                       const struct mig_in *in);

/** The oldest effect, NULL when there is none; borrowed until the next call,
 * although steps may come between. After each step all must be taken. */
const struct mig_effect *migration_effect(struct migration *m);

uint64_t migration_deadline_ns(const struct migration *m);

/** The xid of the last MIG_IN_START. */
struct mig_xid migration_last(const struct migration *m);

enum mig_ask {
    MIG_IGNORE,  /* not for this incarnation: say nothing */
    MIG_INSTALL, /* new: install it and feed MIG_IN_PREPARE */
    MIG_ANSWER,  /* old, or not possible: feed MIG_IN_PREPARE with any err other
                  * than OK, without installing; a repeat of what is held is
                  * answered PREPARED all the same */
};

/** What is to become of a PREPARE that came from `site`. */
enum mig_ask migration_asks(const struct migration *m, uint64_t site,
                            const struct mig_frame *f,
                            const struct mig_port *ports, uint32_t count);

/** The state of a port here, as far as a move is concerned: MIG_NONE when none
 * is under way (whether it lives here or not), MIG_FRZ, MIG_FWD, MIG_PRP. */
enum mig_state migration_state(const struct migration *m, struct motet_ui port,
                               struct mig_xid *xid);

/* For status and checkers. */
struct mig_info {
    struct mig_xid xid;
    enum mig_state state;
    uint64_t site; /* the other end */
    uint32_t ports;
    uint64_t since_ns; /* of the state */
};

/** The index-th move under way here. @return false past the last */
MUST_USE bool migration_next(const struct migration *m, uint32_t index,
                             struct mig_info *info);

#endif
