#ifndef TOOLS_EXEC_H
#define TOOLS_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A shell command as a function from bytes to bytes. */

struct exec_result {
    char *out; /* free() */
    size_t size;
    int status; /* exit status; -1: killed by a signal or by us */
    bool timed_out;
};

/**
 * Runs `sh -c command` with `in` on its stdin and collects its stdout. Its
 * whole process group is killed when the time is over.
 *
 * @param max  of its output, bytes; what is more counts as a failure
 * @return false when it could not be started
 */
bool exec_run(const char *command, const void *in, size_t in_bytes, size_t max,
              uint64_t timeout_ns, struct exec_result *result);

#endif
