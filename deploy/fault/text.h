#ifndef FATE_TEXT_H
#define FATE_TEXT_H

#include "fate.h"

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
 *   cut, blackhole, clog, reset           alone, or with =yes =no
 */

/* Bits, one for each word, in the order of fate_word(). */
typedef uint32_t fate_words;

/* Some words with their values: what "link set" names. */
struct fate_change {
    fate_words named;
    struct fate_params value; /* of those named; zero else */
};

enum { FATE_TEXT_MAX = 512, FATE_WHY_MAX = 160 };

/**
 * Adds one word, "loss=1%" or "cut"; a word said again wins.
 *
 * @param why  on failure: what is wrong with it, FATE_WHY_MAX bytes
 */
MUST_USE bool fate_read_word(struct fate_change *c, const char *word,
                             char *why);

/** Words with blanks (or commas) between. */
MUST_USE bool fate_read(struct fate_change *c, const char *text, char *why);

/** What is named replaces what was. */
void fate_change_apply(const struct fate_change *c, struct fate_params *p);

/** A change that names all that is not as on a perfect link. */
struct fate_change fate_change_of(const struct fate_params *p);

/** As text that fate_read() takes; "" for none. FATE_TEXT_MAX bytes.
 * @return `text` */
const char *fate_write(const struct fate_change *c, char *text);

/** The i-th word and what its value is ("TIME", "PERCENT", ...; NULL: it stands
 * alone), NULL past the last. */
const char *fate_word(size_t i, const char **value, const char **help);

#endif
