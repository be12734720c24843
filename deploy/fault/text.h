#ifndef FAULT_TEXT_H
#define FAULT_TEXT_H

#include "fault.h"

/* The words of faults: "delay=20ms loss=1% cut". The same everywhere: flags of
 * the command line, cluster and scenario files, the control line of the switch,
 * reports.
 *
 *   delay= jitter= tail= reorder-by=      times: 250us 20ms 1.5s
 *   loss= burst= burst-loss= duplicate=   parts: 1% 0.5%
 *   reorder= corrupt=
 *   burst-length=                         packets: 8
 *   rate=                                 bytes a second: 64KiB/s 10MiB/s; or
 *                                         bits: 512kbit 10mbit; none = no limit
 *   queue=                                bytes: 64KiB
 *   cut, blackhole, clog                  alone, or with =yes =no
 */

/* Bits, one for each word, in the order of fault_word(). */
typedef uint32_t fault_words;

/* Some words with their values: what "link set" names. */
struct fault_change {
    fault_words named;
    struct fault_params value; /* of those named; zero else */
};

enum { FAULT_TEXT_MAX = 512, FAULT_WHY_MAX = 160 };

/**
 * Adds one word, "loss=1%" or "cut"; a word said again wins.
 *
 * @param why  on failure: what is wrong with it, FAULT_WHY_MAX bytes
 */
MUST_USE bool fault_read_word(struct fault_change *c, const char *word,
                              char *why);

/** Words with blanks (or commas) between. */
MUST_USE bool fault_read(struct fault_change *c, const char *text, char *why);

/** What is named replaces what was. */
void fault_change_apply(const struct fault_change *c, struct fault_params *p);

/** A change that names all that is not as on a perfect link. */
struct fault_change fault_change_of(const struct fault_params *p);

/** As text that fault_read() takes; "" for none. FAULT_TEXT_MAX bytes.
 * @return `text` */
const char *fault_write(const struct fault_change *c, char *text);

/** The i-th word and what its value is ("TIME", "PERCENT", ...; NULL: it stands
 * alone), NULL past the last. */
const char *fault_word(size_t i, const char **value, const char **help);

#endif
