#ifndef MOTET_ERR_H
#define MOTET_ERR_H

/* The one list of errors. Every error says whether what was asked may have
 * happened, so that a program knows whether a retry is safe:
 *
 *   NO     certainly not: nothing was delivered or executed, nor ever will be
 *   MAYBE  unknown: it may or may not have been delivered or executed
 *
 * Columns: name, ran, text for people. Numbers are part of the ABI: append. */
#define MOTET_ERRORS(X)                                                       \
    X(AGAIN, NO, "no room now, try again")                                    \
    X(TIMEOUT, NO, "the deadline passed first")                               \
    X(NO_PORT, NO, "no such port")                                            \
    X(NO_SITE, NO, "no such site")                                            \
    X(NO_GROUP, NO, "no such group")                                          \
    X(NO_MEMBER, NO, "the group has no member")                               \
    X(AMBIGUOUS, NO, "the name has several members")                          \
    X(NO_ACTOR, NO, "no such actor")                                          \
    X(CLOSED, NO, "the port was closed")                                      \
    X(CRASHED, NO, "the owner crashed before taking it")                      \
    X(SITE_DEAD, NO, "the site died before taking it")                        \
    X(UNREACHABLE, NO, "the site cannot be reached")                          \
    X(CANCELLED, NO, "cancelled")                                             \
    X(TOO_BIG, NO, "larger than allowed")                                     \
    X(FULL, NO, "the queue stayed full until the deadline")                   \
    X(LIMIT, NO, "a limit is reached")                                        \
    X(NO_MEMORY, NO, "the memory cap is reached")                             \
    X(PERMISSION, NO, "not permitted")                                        \
    X(INVALID, NO, "invalid argument")                                        \
    X(STATE, NO, "not possible in this state")                                \
    X(EXISTS, NO, "exists already")                                           \
    X(NAME_TAKEN, NO, "the name is taken")                                    \
    X(VERSION, NO, "no common protocol version")                              \
    X(PROTOCOL, NO, "protocol violation")                                     \
    X(AUTH, NO, "certificate refused")                                        \
    X(TWIN, NO, "a second copy of this site is running")                      \
    X(STALE, NO, "an older incarnation of this site")                         \
    X(SYSTEM, NO, "a system call failed")                                     \
    X(DETACHED, NO, "the connection to the site is lost")                     \
    X(MAYBE_TIMEOUT, MAYBE, "no answer before the deadline; it may have run") \
    X(MAYBE_CRASHED, MAYBE, "the owner crashed; it may have run")             \
    X(MAYBE_CLOSED, MAYBE, "the port was closed; it may have run")            \
    X(MAYBE_SITE_DEAD, MAYBE, "the site died; it may have run")               \
    X(MAYBE_CANCELLED, MAYBE, "cancelled; it may have run")                   \
    X(MAYBE_LOST, MAYBE, "the record of it was evicted; it may have run")     \
    X(MAYBE_DETACHED, MAYBE, "the site is lost; it may have run")             \
    X(MOVING, NO, "the port is moving")                                       \
    X(DECLINED, NO, "the receiving actor does not take it")                   \
    X(MAYBE_MOVED, MAYBE, "the port has moved; its new owner is told")        \
    X(MOVED, NO, "the port has moved to another owner")

#define MOTET_ERR_ENUM(name, ran, text) MOTET_E_##name,
enum motet_err { MOTET_OK = 0, MOTET_ERRORS(MOTET_ERR_ENUM) MOTET_E_COUNT };
#undef MOTET_ERR_ENUM

enum motet_ran { MOTET_RAN_NO, MOTET_RAN_YES, MOTET_RAN_MAYBE };

#if defined(__GNUC__)
#define MOTET_MUST_USE __attribute__((warn_unused_result))
#define MOTET_API __attribute__((visibility("default")))
#else
#define MOTET_MUST_USE
#define MOTET_API
#endif

/**
 * The text of an error for people: static, lower case, no full stop.
 *
 * @return never NULL; "unknown error" outside the list
 */
MOTET_API const char *motet_err_text(enum motet_err err);

/** The name of an error as in the list above, "OK" for MOTET_OK. Static. */
MOTET_API const char *motet_err_name(enum motet_err err);

/**
 * Whether the thing that ended with `err` happened: MOTET_RAN_YES for MOTET_OK,
 * MOTET_RAN_NO where a retry is safe, MOTET_RAN_MAYBE where it is safe only if
 * the operation is idempotent.
 */
MOTET_API enum motet_ran motet_err_ran(enum motet_err err);

#endif
