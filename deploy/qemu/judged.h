#ifndef QEMU_JUDGED_H
#define QEMU_JUDGED_H

#include <stdio.h>

#include "carrier.h"

/* A guest in a run that is judged (motet chaos run), on the side of the host.
 * In the folder of the run there are then
 *
 *   NAME.guest   what its load saw, by the clock of the guest
 *   NAME.clock   what that clock was, by that of the host (tools/chaos_guest.h)
 *   NAME.wall    written by who runs it: so many seconds its wall clock is off
 *   phase        likewise: it is sent on whenever it changes
 *
 * and what the site leaves there as NAME.* when it ends. */

enum { JUDGED_PATH_MAX = 4096 };

struct judged {
    const char
        *folder; /* NULL: it is in none, and nothing below does a thing */
    const char *name;
    struct carrier *carrier;
    char events[JUDGED_PATH_MAX]; /* NAME.guest */
    FILE *clock;
    int changes;      /* inotify; -1 */
    uint64_t boot;    /* number of the last */
    uint64_t next_ns; /* look at the clock */
};

/** Opens what it needs. @return false; errno says why */
MUST_USE bool judged_open(struct judged *j, const char *folder,
                          const char *name);

/** The keys of START for it are added to a text. @return its new end */
size_t judged_start(struct judged *j, char *text, size_t size, size_t room);

/** By how much the wall clock is off, ns. */
int64_t judged_wall_ns(const struct judged *j);

/** How long poll() may wait, ms; -1: for ever. */
int judged_wait_ms(const struct judged *j);

/** Looks at the clock of the guest, if it is time to. */
void judged_look(struct judged *j);

/** The guest has said what its clock is. */
void judged_clock(struct judged *j, const struct link_frame *f);

/** Lines that QEMU says (QMP): when a machine that stood still goes on. Changes
 * the text. */
void judged_events(struct judged *j, char *text);

/** Files have changed (`changes` can be read). */
void judged_changed(struct judged *j);

/** May the guest leave this file? */
bool judged_takes(const struct judged *j, const char *path);

#endif
