#ifndef SIM_STEPS_H
#define SIM_STEPS_H

#include <motet/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "nucleus/base/list.h"
#include "nucleus/base/map.h"
#include "sites/core/migration.h"

/* From the model to the code: each transition of each move, as the sites tell
 * of it, is held against the table of the protocol (migration_rules.h), from
 * outside of the machine that reads the same table. Besides what no single row
 * says:
 *
 *   - at each site, the moves that it tells of go on from where they were;
 *   - an xid is begun once, at its source, and held at most once elsewhere;
 *   - nobody activates what its source has not committed, nor does the source
 *     own again what was activated;
 *   - the epoch of a port rises from move to move, by one where it moved and by
 *     two where it stayed. */

/* A transition. */
struct step {
    uint64_t site;        /* where it happened, and in ... */
    uint32_t incarnation; /* ... which life of it */
    uint32_t copy;        /* tells two copies of one life apart */
    struct mig_xid xid;
    enum mig_state from, to;
    enum mig_event event;
    struct motet_ui port; /* the first of the move; zero: not known there */
    uint64_t epoch;       /* of it, at the source */
};

enum { STEP_WHY_MAX = 160 };

struct steps {
    struct mem *mem;
    struct map by_move; /* xid and life, struct step_move */
    struct map by_xid;  /* struct step_xid */
    struct map by_port; /* struct step_port */
    struct list all;    /* struct step_head */
    uint64_t count;
};

/** Empty. Borrows `mem` for life. */
void steps_init(struct steps *s, struct mem *mem);
void steps_fini(struct steps *s);

/** Takes the next one. Aborts without memory.
 * @param why  set to a sentence when false is returned
 * @return false: this must not happen */
MUST_USE bool steps_feed(struct steps *s, const struct step *e,
                         char why[STEP_WHY_MAX]);

/** "move 5.1.7: FRZ, PREPARED, FWD": one for people. Returns `text`. */
const char *step_text(const struct step *e, char text[STEP_WHY_MAX]);

#endif
