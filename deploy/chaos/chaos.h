#ifndef CHAOS_FAULT_H
#define CHAOS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/prng.h"

/* One fault: what breaks, where, when and for how long. The same on every
 * ground; who runs the sites knows how to do it there. Plain data. */

enum {
    CHAOS_SITES_MAX = 32, /* of a scenario: a set of them is a word of bits */
    CHAOS_NAME_MAX = 32,  /* bytes, with the NUL */
    CHAOS_FAULTS_MAX =
        2048,             /* of one run, when all repetitions are written out */
    CHAOS_TEXT_MAX = 160, /* bytes of a fault said in words */
};

/* What a fault is about, and what "by" says of it. */
enum chaos_about { CHAOS_OF_SITES, CHAOS_OF_LINKS, CHAOS_OF_ALL };
enum chaos_unit {
    CHAOS_NO_UNIT,
    CHAOS_PARTS,   /* of a million: "30%" */
    CHAOS_TIME,    /* ns: "50ms" */
    CHAOS_SPEED,   /* bytes a second: "100KiB/s" */
    CHAOS_BYTES,   /* "64KiB" */
    CHAOS_SECONDS, /* signed: "-1h" */
};

/* clang-format off */
#define CHAOS_FAULTS(X)                                                              \
    X(KILL, "kill", OF_SITES, NO_UNIT, "ends at once; starts again after it")  \
    X(RESTART, "restart", OF_SITES, NO_UNIT,                                   \
      "leaves in good order; starts again after it")                           \
    X(PAUSE, "pause", OF_SITES, NO_UNIT, "stands still")                       \
    X(TWIN, "twin", OF_SITES, NO_UNIT, "a second copy of it is started")       \
    X(SLOW, "slow", OF_SITES, NO_UNIT, "its actors take long to read")         \
    X(STUCK, "stuck", OF_SITES, NO_UNIT, "its actors do not read at all")      \
    X(DISK_FULL, "disk-full", OF_SITES, NO_UNIT, "it cannot write its state")  \
    X(LOSE_STATE, "lose-state", OF_SITES, NO_UNIT,                             \
      "ends, its state file is gone; starts again after it")                   \
    X(ROLL_BACK, "roll-back", OF_SITES, NO_UNIT,                               \
      "ends, its state file is an old one; starts again after it")             \
    X(CLOCK, "clock", OF_SITES, SECONDS, "its wall clock jumps")               \
    X(STRANGER, "stranger", OF_SITES, NO_UNIT,                                 \
      "somebody without a certificate sends it rubbish")                       \
    X(CUT, "cut", OF_LINKS, NO_UNIT, "nothing gets through")                   \
    X(RING, "ring", OF_ALL, NO_UNIT, "each site reaches its neighbours only")  \
    X(CLOG, "clog", OF_LINKS, NO_UNIT, "everything waits until it ends")       \
    X(BREAK, "break", OF_LINKS, NO_UNIT, "connections break")                  \
    X(LOSS, "loss", OF_LINKS, PARTS, "packets are lost")                       \
    X(DELAY, "delay", OF_LINKS, TIME, "all takes longer by so much")           \
    X(JITTER, "jitter", OF_LINKS, TIME, "some takes longer, by so much "       \
      "on average")                                                            \
    X(DUPLICATE, "duplicate", OF_LINKS, PARTS, "packets come twice")           \
    X(REORDER, "reorder", OF_LINKS, PARTS, "packets overtake others")          \
    X(CORRUPT, "corrupt", OF_LINKS, PARTS, "bytes are changed on the way")     \
    X(RATE, "rate", OF_LINKS, SPEED, "the link is slow")                       \
    X(QUEUE, "queue", OF_LINKS, BYTES, "the link holds no more than that")     \
    X(WEATHER, "weather", OF_ALL, NO_UNIT, "the links are drawn anew")         \
    X(RESET, "reset", OF_SITES, NO_UNIT,                                       \
      "loses its power, which comes back at once")
/* clang-format on */

#define CHAOS_ENUM(name, word, about, unit, help) CHAOS_##name,
enum chaos_kind { CHAOS_FAULTS(CHAOS_ENUM) CHAOS_KIND_COUNT };
#undef CHAOS_ENUM

struct chaos_fault {
    enum chaos_kind kind;
    char name[CHAOS_NAME_MAX]; /* "cut-3" */
    uint64_t at_ns;            /* from the beginning of the load */
    uint64_t for_ns;           /* 0: of a moment, or as short as it can be */
    uint32_t sites;            /* a bit each; of links: where they begin */
    uint32_t to;               /* of links: where they end */
    bool one_way;
    int64_t by;     /* see its unit */
    uint32_t burst; /* of LOSS: packets lost in a row, on average; 0 = 1 */
    uint64_t dice;  /* what else is drawn about it */
};

struct chaos_faults {
    struct chaos_fault *items;
    size_t count;
};

/** "kill" and so on; NULL outside the list. Static. */
const char *chaos_word(enum chaos_kind kind);
const char *chaos_help(enum chaos_kind kind);
enum chaos_about chaos_about(enum chaos_kind kind);
enum chaos_unit chaos_unit(enum chaos_kind kind);
/** @return false: no such word */
bool chaos_of_word(const char *word, enum chaos_kind *kind);

/** Whether the direction between two sites (indices) is part of it; never, if
 * one of them is no site. */
bool chaos_touches(const struct chaos_fault *f, uint32_t site_count,
                   uint32_t from, uint32_t to);

/** "cut site1 -> site2, 8 s". @return text */
const char *chaos_text(const struct chaos_fault *f, uint32_t site_count,
                       char text[CHAOS_TEXT_MAX]);

/** In the order of their times; equal ones keep theirs. */
void chaos_sort(struct chaos_faults *list);

/** Adds a copy. Ownership: the list is freed with chaos_free().
 * @return false: CHAOS_FAULTS_MAX are there */
bool chaos_add(struct chaos_faults *list, const struct chaos_fault *f);
void chaos_free(struct chaos_faults *list);

/* ---- nemesis.c -------------------------------------------------------------
 */

/* Who strikes at random. The words of --nemesis. */
/* clang-format off */
#define NEMESES(X)                                                             \
    X(KILL, "kill", KILL) X(PAUSE, "pause", PAUSE)                             \
    X(ONE_WAY, "one-way", CUT) X(CUT, "cut", CUT) X(HALVES, "halves", CUT)     \
    X(RING, "ring", RING) X(CLOG, "clog", CLOG) X(BREAK, "break", BREAK)       \
    X(WEATHER, "weather", WEATHER) X(STRANGER, "stranger", STRANGER)           \
    X(TWIN, "twin", TWIN) X(RESTART, "restart", RESTART)                       \
    X(SLOW, "slow", SLOW) X(STUCK, "stuck", STUCK)                             \
    X(DISK_FULL, "disk-full", DISK_FULL) X(LOSS, "loss", LOSS)                 \
    X(DELAY, "delay", DELAY) X(CORRUPT, "corrupt", CORRUPT)
/* clang-format on */

#define NEMESIS_ENUM(name, word, kind) NEMESIS_##name,
enum nemesis_kind { NEMESES(NEMESIS_ENUM) NEMESIS_COUNT };
#undef NEMESIS_ENUM

const char *nemesis_word(enum nemesis_kind kind);
/** The kind of fault that it does most. */
enum chaos_kind nemesis_fault(enum nemesis_kind kind);
bool nemesis_of_word(const char *word, enum nemesis_kind *kind);

/** Adds faults of one kind from 0 to `for_ns`, `mean_ns` apart on average. The
 * same seed, the same faults. */
void nemesis_draw(enum nemesis_kind kind, uint64_t seed, uint32_t site_count,
                  uint64_t for_ns, uint64_t mean_ns, struct chaos_faults *list);

#endif
