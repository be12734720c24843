#ifndef TOOLS_CLUSTERFILE_CHECK_H
#define TOOLS_CLUSTERFILE_CHECK_H

#include "clusterfile.h"

/** All of a file, with a NUL. Gives; free(). @return NULL with errno */
char *clusterfile_text(const char *path);

/** The line of the nth place, from 1, where the value stands as a word outside
 * of comments, not before the line `from`: the reader gives no lines for what
 * it took. The last there is, if there are fewer; `from` if there is none. */
unsigned clusterfile_line(const char *text, const char *value, unsigned nth,
                          unsigned from);

/** Whether what it says can be; fills in what follows from it.
 * @param text  the file, to find lines in
 * @return EXIT_DONE; EXIT_USAGE, and it is told */
enum exit_code clusterfile_check(const char *path, const char *text,
                                 struct cluster_file *file);

#endif
