#ifndef TOOLS_CLUSTERFILE_CHECK_H
#define TOOLS_CLUSTERFILE_CHECK_H

#include "clusterfile.h"

/** All of a file, with a NUL. Gives; free(). @return NULL with errno */
char *clusterfile_text(const char *path);

/** Whether what it says can be; fills in what follows from it.
 * @param text  the file, to find lines in
 * @return EXIT_DONE; EXIT_USAGE, and it is told */
enum exit_code clusterfile_check(const char *path, const char *text,
                                 struct cluster_file *file);

#endif
