#ifndef CHECK_EVENTLOG_H
#define CHECK_EVENTLOG_H

#include <stddef.h>

#include "check.h"
#include "nucleus/base/check.h"

/* Events of the checkers as lines of text, one each: the logs that real
 * processes write. The first word is the time in ns, the second what happened,
 * the others the fields that are not zero, as NAME=VALUE. */

enum { EVENTLOG_LINE_MAX = 512 };

/** Writes a line with its end. @return bytes */
size_t eventlog_write(const struct check_event *e,
                      char line[EVENTLOG_LINE_MAX]);

/** Reads a line. @return false: it is none; nothing outside fails otherwise */
MUST_USE bool eventlog_read(const char *line, struct check_event *e);

#endif
