#ifndef TOOLS_PROCESS_H
#define TOOLS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nucleus/base/check.h"

/* Processes by pid file. The file holds the pid and the time the process was
 * started at (in ticks since boot), so that a reused pid is never taken for
 * ours. */

struct process {
    pid_t pid;          /* 0 = none */
    uint64_t started;   /* field 22 of /proc/PID/stat */
    bool stopped;       /* by SIGSTOP */
    uint64_t cpu_ticks; /* user and system */
};

/** The process of the file, if it still runs. @return false: none runs */
bool process_read(const char *file, struct process *p);

/** Looks again. @return false: it has ended */
bool process_look(struct process *p);

/** Starts argv[0] (a path), detached, with both outputs appended to `log`, and
 * writes its pid file. @return false; it is told */
MUST_USE bool process_start(char *const argv[], const char *log,
                            const char *file, struct process *p);

/** Writes a pid file of this process. @return false; it is told */
MUST_USE bool process_note(const char *file);

/** Sends a signal, to this process and no other. @return false: it has ended,
 * or may not be signalled (told) */
bool process_signal(const struct process *p, int signal);

/** Waits until it has ended, at most so long. @return false: it runs on */
bool process_wait(struct process *p, uint64_t timeout_ns);

/** The same for one that was asked to end; then SIGKILL, and a few seconds
 * more. @return false: it runs on */
bool process_end(struct process *p, uint64_t grace_ns);

/** The path of a program: beside ours, else in PATH. @return false: told */
MUST_USE bool process_find(const char *program, char *path);

/** The same, without a word. */
MUST_USE bool process_there(const char *program, char *path);

/** Monotonic nanoseconds; a pause. */
uint64_t clock_ns(void);
void clock_sleep(uint64_t ns);

#endif
