#ifndef QEMU_SPAWN_H
#define QEMU_SPAWN_H

#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* Running a program of the system to its end. */

struct spawn {
    const char *const *argv; /* argv[0] is looked for in PATH */
    const char *folder;      /* to run in; NULL: here */
    const char *in;          /* file for stdin; NULL: nothing */
    const char *out;         /* file for stdout; NULL: dropped, or `text` */
    char *text;              /* the beginning of stdout, with a NUL; or NULL */
    size_t text_bytes;
    bool errors; /* of stderr instead */
    int ms;      /* then it is killed */
};

/** @return its exit status; -1: not started, killed, or ended by a signal */
int spawn_run(const struct spawn *s);

/** Is a program of that name in PATH? */
bool spawn_there(const char *program);

#endif
