#ifndef TOOLS_TARGET_H
#define TOOLS_TARGET_H

#include "client.h"

/* What a word of the command line names: a port by its UI, a service by the
 * name of its group, a site. And what is said when that does not work. */

struct target_wish {
    bool all;       /* every member */
    bool wait;      /* for a first member */
    const char *on; /* the member on this site, or NULL */
};

/** A destination for messages. @return EXIT_DONE; else it is told */
enum exit_code target_dest(struct client *c, const char *word,
                           const struct target_wish *wish,
                           struct motet_dest *dest);

/** One port: the nearest member of a group, so that all messages have one
 * receiver and thus one order. Waits for a member if dest->wait is set.
 * @return EXIT_DONE and dest->target is a port; else it is told */
enum exit_code target_one(struct client *c, const char *word,
                          uint64_t timeout_ns, struct motet_dest *dest);

/** Says how a send or a call failed. @return its exit code */
enum exit_code target_failed(struct client *c, const char *word,
                             enum motet_err err, uint64_t timeout_ns);

/** The site where a port is, or was born, by name; `text` of
 * MOTET_NAME_MAX + 1 bytes holds it. */
const char *target_site(struct client *c, struct motet_ui port, char *text);

/** The only port that a destination can mean: the port itself, or the only
 * member of a group; zero if there are several. */
struct motet_ui target_only(struct client *c, const struct motet_dest *dest);

/* ---- bodies ----------------------------------------------------------------
 */

struct body {
    char *bytes;
    size_t size;
};

/** The body that a word means: itself, "-" stdin, "@FILE" a file, hex digits
 * with `hex`; NULL an empty one. Gives: free(body->bytes).
 * @return EXIT_DONE; else it is told */
enum exit_code body_read(const char *word, bool hex, struct body *body);

/** The bytes on stdout; a newline behind them on a terminal, or always with
 * `line`. @return false when stdout failed */
bool body_print(const void *bytes, size_t size, bool line);

#endif
