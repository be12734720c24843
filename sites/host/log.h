#ifndef HOST_LOG_H
#define HOST_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_NOTE = 5, LOG_DEBUG = 7 };

enum { LOG_PER_SECOND = 50 }; /* lines; what is over is counted */

/* Lines on stderr that a person can read: "14:02:31.120 site1 warn ...". With
 * the priority of sd-daemon(3) instead of the time under the journal; as one
 * JSON object a line when asked. */
struct log {
    const char *site; /* borrowed */
    bool off;
    bool json;
    bool journal;
    uint64_t second;
    uint32_t lines;
    uint32_t suppressed;
};

/** @param form  "text", "json" or "none" */
void log_init(struct log *l, const char *site, const char *form);

__attribute__((format(printf, 3, 4))) void
log_line(struct log *l, enum log_level level, const char *format, ...);

#endif
