#ifndef CHAOS_LIBRARY_H
#define CHAOS_LIBRARY_H

#include "scenario.h"

/* The scenarios that come with Motet, by name. */

enum { LIBRARY_PATH_MAX = 1024, LIBRARY_NAMES_MAX = 128 };

/** The folder they are in: MOTET_SCENARIOS, or where the program finds its own.
 * @param path  LIBRARY_PATH_MAX bytes. @return false: none */
bool library_folder(char *path);

/** The file of a scenario: a name of the library, or a path. @return false: no
 * such name */
bool library_find(const char *name, char *path);

/** The names, in order. @return how many */
size_t library_names(char names[][SCENARIO_NAME_MAX], size_t max);

#endif
