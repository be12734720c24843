#ifndef CHECK_HISTORY_H
#define CHECK_HISTORY_H

#include <motet/err.h>
#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

/* The checkers of the promises of DESIGN section 4. They read a history: plain
 * events, told in an order in which a cause comes before its effects. In the
 * simulator that is the order of virtual time; on real processes the logs of
 * the actors are merged by the clock of the host.
 *
 * Judged here: P1 P2 P3 P4 P5 P7 P8 P9 P13; P10 as far as the content of a
 * message stays what it was. P12 is judged by all of them, when strangers take
 * part in a run. P6 is what the others are with ports that move, and that the
 * epoch of a port rises; that none is left half-way is judged by whoever runs
 * the sites, as are P11 and P14. */

enum check_what {
    CHECK_SITE_BEGIN = 1, /* a new incarnation runs */
    CHECK_SITE_END,       /* it is over: crash, leave, rebirth */
    CHECK_SITE_PAUSED,    /* value: ns for which it did not run until now */
    CHECK_SITE_APART,     /* it is cut off for ever: of it, only what needs
                           * nobody else is demanded */
    CHECK_HEALED,         /* faults ended; value: ns allowed for agreement */
    CHECK_VIEW,           /* value: hash of the members, value2: hash of the
                           * directory, as the site holds them now */
    CHECK_UI_ISSUED,      /* port: a UI made here, of any kind */
    CHECK_PORT_BEGIN,     /* port: made here; this counts as UI_ISSUED */
    CHECK_PORT_END,       /* port: about to end; nothing is delivered now */
    CHECK_OWNER,          /* port, value: epoch (0: not known to who reports);
                           * from now on it lives here */
    CHECK_FROZEN,         /* port: it moves; delivers nothing, sends nothing,
                           * hears nothing until the next OWNER */
    CHECK_JOIN,           /* port, peer: group */
    CHECK_LEAVE,          /* port, peer: group */
    CHECK_SEND_BEGIN,     /* id, port, peer, how, co, wait, told, deadline_ns */
    CHECK_SEND_END,       /* id (0: one of those not `told`), port, peer, err */
    CHECK_DELIVER,        /* id, port, peer: source, broken: its content */
    CHECK_CALL_BEGIN,     /* id, port, peer, how, co, wait, deadline_ns */
    CHECK_CALL_END,       /* id, port, err, value: id in the reply */
    CHECK_CALL_CANCEL,    /* id, port: the caller gives up */
    CHECK_EXECUTE,        /* id, port: after DELIVER: it is being served */
    CHECK_HOLD,           /* id, port: whoever serves it has moved here */
    CHECK_FORWARD,        /* id, port: after DELIVER: handed on */
    CHECK_REPLY,          /* id, port, err: MOTET_OK = taken */
    CHECK_CANCELLED,      /* id, port: the server hears that no reply is owed */
    CHECK_WATCH_BEGIN,    /* id, port, peer: subject */
    CHECK_UNWATCH,        /* id, port */
    CHECK_NEWS,           /* id, port, peer: subject, news */
    CHECK_WHAT_COUNT
};

/* Ids of messages, calls and watches are unique in a history and not 0; sends
 * and calls share the numbers. */
struct check_event {
    uint64_t now_ns;
    uint64_t site;        /* where it happened, and in ... */
    uint32_t incarnation; /* ... which life of it */
    enum check_what what;
    uint64_t id;
    struct motet_ui port; /* of the actor that reports */
    struct motet_ui peer;
    struct motet_ui co;
    uint64_t deadline_ns; /* UINT64_MAX = never */
    uint64_t value;
    uint64_t value2;
    enum motet_err err;
    enum motet_news news;
    enum motet_mode how; /* the mode, when `peer` is a group */
    bool wait;
    bool told; /* an outcome follows in any case; else only a failure */
    bool broken;
};

struct check_config {
    uint64_t late_ns;   /* how much an outcome may be late: 10 ms */
    uint64_t settle_ns; /* after the last fault, for what is pending */
};

enum { CHECK_TEXT_MAX = 256, CHECK_VIOLATIONS_MAX = 16 };

/* Stands in the place of a promise: an invariant of the user's. */
enum { CHECK_INVARIANT = 15 };

struct check_violation {
    int promise; /* 3 = P3 */
    uint64_t now_ns;
    uint64_t site;             /* where it was seen */
    char text[CHECK_TEXT_MAX]; /* a sentence */
};

/* What happened, for reports: a run in which nothing happens proves nothing. */
struct check_counts {
    uint64_t sends, accepted, refused, unknown;
    uint64_t calls, replies, not_executed, maybe_executed;
    uint64_t delivered, executed, forwarded, cancelled;
    uint64_t watches, news_closed, news_crashed, news_dead, news_other;
    uint64_t ports, sites;
};

struct check;

/** A checker that has seen nothing. Aborts without memory.
 * Ownership: gives; check_free(). */
struct check *check_new(const struct check_config *cfg);
void check_free(struct check *c);

/** One event; `now_ns` never less than before. */
void check_feed(struct check *c, const struct check_event *e);

/** The history is over: what is still owed is a violation. Call it once, after
 * all faults are healed and all actors have answered what they hold. */
void check_end(struct check *c, uint64_t now_ns);

/** Sites alive and not apart, that hold different views: 0 = they agree. */
uint32_t check_views_differ(const struct check *c);

/** All violations, of which the first CHECK_VIOLATIONS_MAX are kept. */
uint32_t check_violations(const struct check *c);

/** The index-th violation kept; NULL past the last. */
const struct check_violation *check_violation(const struct check *c,
                                              uint32_t index);

struct check_counts check_counts(const struct check *c);

/** A running hash over all events. */
uint64_t check_hash(const struct check *c);

/** "SEND_BEGIN" and so on. Static. */
const char *check_what_name(enum check_what what);

/** One line for a promise: 3 -> "order". Static, never NULL. */
const char *check_promise_name(int promise);

/** Tells the checker of a violation that the runner of the sites has seen. */
void check_accuse(struct check *c, int promise, uint64_t now_ns, uint64_t site,
                  const char *text);

#endif
