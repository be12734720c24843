#ifndef TOOLS_TALLY_H
#define TOOLS_TALLY_H

#include <motet/motet.h>
#include <stdint.h>

/* Counts what a receiver got of numbered messages (load.h): nothing missing,
 * nothing twice, nothing out of order, for each sender. */

enum { TALLY_SENDERS_MAX = 64, TALLY_NUMBER_MAX = 1 << 28 };

struct tally_sender {
    struct motet_ui source;
    uint64_t run;
    bool fresh;    /* nothing of it has come, and anything may */
    uint64_t next; /* the number expected */
    uint64_t gaps; /* numbers below it that have not come */
    uint8_t *seen; /* a bit for each number below it */
    uint64_t seen_bytes;
};

struct tally {
    bool late; /* others got what came before: no gap before a sender's first */
    struct tally_sender senders[TALLY_SENDERS_MAX];
    uint32_t sender_count;
    uint64_t received;
    uint64_t numbered;
    uint64_t duplicated;
    uint64_t reordered;
};

void tally_add(struct tally *t, const struct motet_msg *msg);

/** Numbers that have not come although later ones have. */
uint64_t tally_lost(const struct tally *t);

void tally_free(struct tally *t);

#endif
