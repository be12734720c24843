#ifndef SIM_SHRINK_H
#define SIM_SHRINK_H

#include "runs.h"

/* Makes a failing run small: fewer faults, a shorter run, fewer sites, as long
 * as the same promise is broken; then writes it as a scenario.
 *
 * @param r    opt and the seed `first`, as for runs_replay()
 * @param out  the file to write; NULL: tests/sim/regress/SEED.yml if there is
 *             such a folder, else SEED.yml
 * @return exit code: 0 written; 1 the run does not fail, or cannot write */
int shrink(const struct runs *r, const char *out);

#endif
