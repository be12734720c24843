#ifndef DUMP_H
#define DUMP_H

#include <motet/supervisor.h>

#include "sites/site/site.h"

/* What an actor saves of itself, in a file FOLDER/SITE.ACTOR.state: for tests
 * that look at the actors of all sites when a run is over. */

/** Does nothing for an actor that cannot save itself, or does not run.
 *
 * @param why  on failure: a sentence for people
 * @return false: the file could not be written */
MUST_USE bool dump_state(struct site *site,
                         const struct motet_supervisor *table, const char *name,
                         const char *folder, char *why, size_t why_size);

#endif
