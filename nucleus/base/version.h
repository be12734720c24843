#ifndef BASE_VERSION_H
#define BASE_VERSION_H

/** The version of Motet, "0.1.0". Static. */
const char *version_text(void);

/** The commit it was built from, as `git describe` says it, with "-dirty" for
 * a changed tree; "unknown" outside a repository. Static. */
const char *version_commit(void);

#endif
