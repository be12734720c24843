#ifndef CHAOS_FAULT_H
#define CHAOS_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/prng.h"

/* One fault: what breaks, where, when and for how long. The same on every
 * ground; who runs the sites knows how to do it there. Plain data. */

enum {
    FAULT_SITES_MAX = 32, /* of a scenario: a set of them is a word of bits */
    FAULT_NAME_MAX = 32,  /* bytes, with the NUL */
    FAULTS_MAX = 2048,    /* of one run, when all repetitions are written out */
    FAULT_TEXT_MAX = 160, /* bytes of a fault said in words */
};

/* What a fault is about, and what "by" says of it. */
enum fault_about { FAULT_OF_SITES, FAULT_OF_LINKS, FAULT_OF_ALL };
enum fault_unit {
    FAULT_NO_UNIT,
    FAULT_PARTS,   /* of a million: "30%" */
    FAULT_TIME,    /* ns: "50ms" */
    FAULT_SPEED,   /* bytes a second: "100KiB/s" */
    FAULT_BYTES,   /* "64KiB" */
    FAULT_SECONDS, /* signed: "-1h" */
};

/* clang-format off */
#define FAULTS(X)                                                              \
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
    X(WEATHER, "weather", OF_ALL, NO_UNIT, "the links are drawn anew")
/* clang-format on */

#define FAULT_ENUM(name, word, about, unit, help) FAULT_##name,
enum fault_kind { FAULTS(FAULT_ENUM) FAULT_KIND_COUNT };
#undef FAULT_ENUM

struct fault {
    enum fault_kind kind;
    char name[FAULT_NAME_MAX]; /* "cut-3" */
    uint64_t at_ns;            /* from the beginning of the load */
    uint64_t for_ns;           /* 0: of a moment, or as short as it can be */
    uint32_t sites;            /* a bit each; of links: where they begin */
    uint32_t to;               /* of links: where they end */
    bool one_way;
    int64_t by;     /* see its unit */
    uint32_t burst; /* of LOSS: packets lost in a row, on average; 0 = 1 */
    uint64_t dice;  /* what else is drawn about it */
};

struct faults {
    struct fault *items;
    size_t count;
};

/** "kill" and so on; NULL outside the list. Static. */
const char *fault_word(enum fault_kind kind);
const char *fault_help(enum fault_kind kind);
enum fault_about fault_about(enum fault_kind kind);
enum fault_unit fault_unit(enum fault_kind kind);
/** @return false: no such word */
bool fault_of_word(const char *word, enum fault_kind *kind);

/** Whether the direction between two sites (indices) is part of it. */
bool fault_touches(const struct fault *f, uint32_t site_count, uint32_t from,
                   uint32_t to);

/** "cut site1 -> site2, 8 s". @return text */
const char *fault_text(const struct fault *f, uint32_t site_count,
                       char text[FAULT_TEXT_MAX]);

/** In the order of their times; equal ones keep theirs. */
void faults_sort(struct faults *list);

/** Adds a copy. Ownership: the list is freed with faults_free().
 * @return false: FAULTS_MAX are there */
bool faults_add(struct faults *list, const struct fault *f);
void faults_free(struct faults *list);

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
enum fault_kind nemesis_fault(enum nemesis_kind kind);
bool nemesis_of_word(const char *word, enum nemesis_kind *kind);

/** Adds faults of one kind from 0 to `for_ns`, `mean_ns` apart on average. The
 * same seed, the same faults. */
void nemesis_draw(enum nemesis_kind kind, uint64_t seed, uint32_t site_count,
                  uint64_t for_ns, uint64_t mean_ns, struct faults *list);

#endif
