#ifndef PKI_FILES_H
#define PKI_FILES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "nucleus/base/check.h"

/* The directory of an authority, locked while it is open. */
struct pki_dir {
    const char *path; /* borrowed, for messages */
    int fd;
    char *why; /* of the caller of the module */
    size_t why_size;
};

/** Opens and locks; makes the directory (0700) if it is missing. */
MUST_USE bool pki_dir_open(struct pki_dir *dir);

void pki_dir_close(struct pki_dir *dir);

/** Says in `why` what failed. @return false, for `return pki_why(...)` */
__attribute__((format(printf, 2, 3))) bool pki_why(const struct pki_dir *dir,
                                                   const char *fmt, ...);

/** Reads NAME.pem or NAME.key. A missing file is no error: *out = NULL.
 * Gives; X509_free(), EVP_PKEY_free(). */
MUST_USE bool pki_read_cert(const struct pki_dir *dir, const char *name,
                            X509 **out);
MUST_USE bool pki_read_key(const struct pki_dir *dir, const char *name,
                           EVP_PKEY **out);

/** Writes NAME.pem (0644) or NAME.key (0600), whole or not at all. */
MUST_USE bool pki_write_cert(const struct pki_dir *dir, const char *name,
                             X509 *cert);
MUST_USE bool pki_write_key(const struct pki_dir *dir, const char *name,
                            EVP_PKEY *key);

#endif
