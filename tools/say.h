#ifndef TOOLS_SAY_H
#define TOOLS_SAY_H

#include <stdbool.h>
#include <stddef.h>

#include "exits.h"

/* All that is said on stderr. stdout is for results. */

/** What the lines are about: "call", "echo". Borrows both; object may be NULL.
 */
void say_about(const char *verb, const char *object);

/** From now on only errors. */
void say_quiet(bool quiet);

/** "motet: VERB OBJECT: what happened". */
__attribute__((format(printf, 1, 2))) void say_error(const char *format, ...);

/** An indented line below an error: did you mean, try. The third is left out.
 */
__attribute__((format(printf, 1, 2))) void say_hint(const char *format, ...);

/** A line of talk. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/** say_error(), and the code: for `return say_fail(EXIT_FAILED, ...)`. */
__attribute__((format(printf, 2, 3))) enum exit_code
say_fail(enum exit_code code, const char *format, ...);

/** The nearest of `words` by edit distance, NULL if none is near. */
const char *say_nearest(const char *word, const char *const words[],
                        size_t count);

#endif
