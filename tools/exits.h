#ifndef TOOLS_EXITS_H
#define TOOLS_EXITS_H

#include <motet/err.h>
#include <stddef.h>

/* What the command line ends with. Stable from 1.0; scripts read them. This is
 * the only list: the help prints it and the tests read it from there
 * (`motet help exits --json`). */
/* clang-format off */
#define EXITS(X)                                                               \
    X(DONE, 0, "done, or already so", "go on")                                 \
    X(FAILED, 1, "tried and failed, none of the below", "look")                \
    X(USAGE, 2, "wrong usage", "fix the command")                              \
    X(MISSING, 3, "no such port, site, group or cluster", "create it or wait") \
    X(NOT_RUN, 4, "certainly not executed", "retry")                           \
    X(MAYBE, 5, "outcome unknown", "retry only if idempotent")                 \
    X(CHANGES, 6, "a dry run would change something", "apply")                 \
    X(NO_CLUSTER, 7, "cannot reach the cluster or the site", "start it")       \
    X(UNSAFE, 8, "a check found a safety violation", "stop the line")          \
    X(NO_VERDICT, 9, "a check could not judge", "run it again")                \
    X(STUCK, 10, "it did not converge in time", "stop the line")               \
    X(NOT_REPEATABLE, 11, "the run was not deterministic", "fix that first")   \
    X(CRASHED, 12, "a site crashed during a check", "read its log")            \
    X(DENIED, 77, "not permitted, or certificate refused", "fix rights")       \
    X(TIMED_OUT, 124, "the --timeout of the command passed", "look")           \
    X(INTERRUPTED, 130, "ended by SIGINT", "-")                                \
    X(TERMINATED, 143, "ended by SIGTERM", "-")
/* clang-format on */

#define EXITS_ENUM(name, code, meaning, todo) EXIT_##name = code,
enum exit_code { EXITS(EXITS_ENUM) };
#undef EXITS_ENUM

struct exit_line {
    enum exit_code code;
    const char *name;
    const char *meaning;
    const char *todo;
};

/** The list, in order of code. @return NULL past the last */
const struct exit_line *exit_line(size_t i);

/** The code with which a send or a call that ended so ends the program. */
enum exit_code exit_of(enum motet_err err);

#endif
