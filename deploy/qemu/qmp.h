#ifndef QEMU_QMP_H
#define QEMU_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* QEMU's own command line: one JSON object a line (qmp-spec.txt). */

enum { QMP_WHY_MAX = 256, QMP_LINE_MAX = 65536 };

struct qmp {
    int fd;
    char in[QMP_LINE_MAX];
    size_t size;
};

/** Connects and is let in. Gives; qmp_close().
 * @return NULL and `why` (QMP_WHY_MAX bytes) */
struct qmp *qmp_open(const char *path, int timeout_ms, char *why);

void qmp_close(struct qmp *q);

/**
 * A command and its answer; events that come before it are dropped.
 *
 * @param args  taken; NULL: none
 * @return false and `why`: what QEMU says, or that it is silent
 */
MUST_USE bool qmp_command(struct qmp *q, const char *name, json_t *args,
                          int timeout_ms, char *why);

/** The same without arguments, and a text of the answer: "" if it is not there.
 */
MUST_USE bool qmp_ask(struct qmp *q, const char *name, const char *key,
                      char *text, size_t size, int timeout_ms, char *why);

/** Waits for an event of that name. @return false and `why` */
MUST_USE bool qmp_event(struct qmp *q, const char *name, int timeout_ms,
                        char *why);

#endif
