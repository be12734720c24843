#ifndef MIGRATION_RULES_H
#define MIGRATION_RULES_H

/* The rules of a move: one table for the machine (migration*.c), for whoever
 * checks what sites did, and for docs/MIGRATION.md, whose diagram is drawn from
 * it by tests/migration_diagram.py. A pair of state and event that is not in it
 * does not happen: from outside it is ignored, from here it is a bug.
 *
 * A state is that of one move at one of its two sites. A move that is over is
 * forgotten at its source: there it is NONE again, whatever was before. Its
 * destination remembers that it activated it (OWN), until the source is over
 * with it. */

/* Columns: name, text for people. */
/* clang-format off */
#define MIG_STATES(X)                                                          \
    X(NONE, "nothing of it is here")                                           \
    X(OWN,  "its ports live here")                                             \
    X(FRZ,  "source: frozen, offered to the destination")                      \
    X(FWD,  "source: committed, the copy is kept until the destination answers") \
    X(PRP,  "destination: installed, serves nobody yet")

#define MIG_EVENTS(X)                                                          \
    X(START,       "somebody here asks for the move")                          \
    X(PREPARE,     "PREPARE came, and what came with it is installed")         \
    X(PREPARE_BAD, "PREPARE came, and cannot be followed")                     \
    X(PREPARED,    "PREPARED came")                                            \
    X(REFUSED,     "REFUSE came")                                              \
    X(COMMITTED,   "COMMIT came")                                              \
    X(ACKED,       "COMMIT_ACK came")                                          \
    X(NEVER,       "NEVER came")                                               \
    X(ABORTED,     "ABORT came, or the source said that it is over with it")   \
    X(QUERIED,     "QUERY came")                                               \
    X(TIMEOUT,     "the destination made no progress for too long")            \
    X(CANCELLED,   "somebody here gave the move up")                           \
    X(RETRY,       "no answer yet: time to ask again")                         \
    X(HOLD_OVER,   "held for too long without a decision")                     \
    X(GONE,        "the incarnation of the other end is over")

/* Columns: state, event, next state, frame that is sent (or NOTHING), what
 * happens. What is done with the ports follows from the two states: from FRZ or
 * FWD to OWN they are thawed, from FWD to NONE dropped, from PRP to OWN
 * activated, from PRP to NONE discarded. */
#define MIG_RULES(X)                                                           \
    X(OWN,  START,       FRZ,  PREPARE,    "freeze, and offer it")             \
    X(FRZ,  PREPARED,    FWD,  COMMIT,     "the commit point")                 \
    X(FRZ,  REFUSED,     OWN,  NOTHING,    "abort: refused")                   \
    X(FRZ,  TIMEOUT,     OWN,  ABORT,      "abort: not answered in time")      \
    X(FRZ,  CANCELLED,   OWN,  ABORT,      "abort: cancelled")                 \
    X(FRZ,  GONE,        OWN,  NOTHING,    "abort: the destination is gone")   \
    X(FRZ,  QUERIED,     FRZ,  NOTHING,    "undecided: no answer")             \
    X(FWD,  ACKED,       NONE, NOTHING,    "done: the destination has them")   \
    X(FWD,  NEVER,       OWN,  NOTHING,    "the destination will never have them: resume") \
    X(FWD,  GONE,        NONE, NOTHING,    "they died with the destination; never resume") \
    X(FWD,  PREPARED,    FWD,  COMMIT,     "say it again")                     \
    X(FWD,  QUERIED,     FWD,  COMMIT,     "say it again")                     \
    X(FWD,  RETRY,       FWD,  COMMIT,     "say it again")                     \
    X(FWD,  REFUSED,     FWD,  NOTHING,    "an old answer: means nothing once committed") \
    X(NONE, PREPARE,     PRP,  PREPARED,   "hold it")                          \
    X(NONE, PREPARE_BAD, NONE, REFUSE,     "refuse, for ever")                 \
    X(NONE, COMMITTED,   NONE, NEVER,      "promise never to activate it")     \
    X(NONE, ABORTED,     NONE, NOTHING,    "remember: should PREPARE come, it is refused") \
    X(NONE, PREPARED,    NONE, ABORT,      "the source is over with it: tell") \
    X(NONE, QUERIED,     NONE, ABORT,      "the source is over with it: tell") \
    X(PRP,  PREPARE,     PRP,  PREPARED,   "a repeat: the same answer")        \
    X(PRP,  COMMITTED,   OWN,  COMMIT_ACK, "activate")                         \
    X(PRP,  ABORTED,     NONE, NOTHING,    "discard: the source keeps them")   \
    X(PRP,  HOLD_OVER,   NONE, NOTHING,    "discard: a COMMIT will get NEVER") \
    X(PRP,  GONE,        NONE, NOTHING,    "discard: they died with the source; never take over") \
    X(PRP,  RETRY,       PRP,  QUERY,      "in doubt: ask the source")         \
    X(OWN,  PREPARE_BAD, OWN,  REFUSE,     "an old offer: refuse")             \
    X(OWN,  COMMITTED,   OWN,  COMMIT_ACK, "a repeat: the same answer")
/* clang-format on */

#define MIG_STATE_ENUM(name, text) MIG_##name,
enum mig_state { MIG_STATES(MIG_STATE_ENUM) MIG_STATE_COUNT };
#undef MIG_STATE_ENUM

#define MIG_EVENT_ENUM(name, text) MIG_ON_##name,
enum mig_event { MIG_EVENTS(MIG_EVENT_ENUM) MIG_EVENT_COUNT };
#undef MIG_EVENT_ENUM

enum { MIG_NOTHING = 0 }; /* besides enum mig_frame_kind */

struct mig_rule {
    enum mig_state next;
    int answer;       /* enum mig_frame_kind or MIG_NOTHING */
    const char *text; /* static */
};

/** @return the rule, static; NULL when the pair is not in the table, or is none
 */
const struct mig_rule *mig_rule(enum mig_state state, enum mig_event event);

/** "NONE", "OWN" and so on; "?" outside the list. Static. */
const char *mig_state_name(enum mig_state state);
const char *mig_event_name(enum mig_event event);

#endif
