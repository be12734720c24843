#ifndef TOOLS_FOLDERS_H
#define TOOLS_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* Where the files of a cluster are: the table of "paths" in the README.
 * Variables of the environment win, then root has folders of the system and
 * others have theirs below the home folder. */

enum { PATH_BYTES = 4096 };

struct folders {
    char run[PATH_BYTES];   /* sockets, pids; 0700, of this user */
    char state[PATH_BYTES]; /* configuration, logs, incarnations */
    char pki[PATH_BYTES];   /* keys; 0700 */
};

/** The folders of a cluster; `cluster` "" gives those above all clusters
 * (pki then is the folder of the data). @return false when HOME is needed and
 * not set, or a path is too long; it is told */
MUST_USE bool folders_of(const char *cluster, struct folders *f);

/** The folder of what can be made again: images of guests, results of probes.
 * PATH_BYTES. @return as folders_of() */
MUST_USE bool folders_cache(char *path);

/** Makes a folder and those above it, the last with `mode`. One that is there
 * must be a folder of ours. @return false; it is told */
MUST_USE bool folder_make(const char *path, unsigned mode);

/** Removes a file or a folder with all in it, as rm -rf. */
void folder_remove(const char *path);

/** Removes all of a cluster's, and the folder that held its keys if nothing
 * else is in it. */
void folders_purge(const struct folders *f);

/** dir/name or dir/name+suffix. @return false when too long; it is told */
MUST_USE bool path_join(char *to, const char *dir, const char *name,
                        const char *suffix);

#endif
