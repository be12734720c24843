#ifndef PKI_H
#define PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/* Makes a cluster's authority and the certificates it signs, as files of one
 * directory (made if missing, mode 0700):
 *
 *   ca.pem ca.key       the authority
 *   NAME.pem NAME.key   one site or operator
 *
 * Keys are P-256 in PKCS#8, mode 0600. The identity of a certificate is its
 * only alternative name, the URI motet://CLUSTER/site/HEX16 or
 * motet://CLUSTER/operator/HEX16; HEX16 = the first 8 bytes of SHA-256 over the
 * DER SubjectPublicKeyInfo. Files are written whole or not at all (a temporary
 * file, fsync, rename), and only one process writes to the directory at a time.
 * A key, once made, is never replaced: who renews keeps its identity.
 *
 * `why`, at least 256 bytes, receives a sentence for people on failure. */

enum pki_role { PKI_SITE = 1, PKI_OPERATOR };

enum { PKI_NAME_MAX = 64, PKI_DAYS_MAX = 36500 };

/** 1 to 63 letters, digits and . _ -, not beginning with a dot or a dash. */
bool pki_name_ok(const char *name);

/**
 * Makes sure that `dir` holds the authority of `cluster`. One that is there is
 * left as it is; if its certificate has expired, it is signed again for the
 * same key.
 *
 * @param cluster  see pki_name_ok()
 * @param days     valid from an hour ago, 1 to PKI_DAYS_MAX
 * @return false and `why`; an authority of another cluster is never touched
 */
MUST_USE bool pki_make_authority(const char *dir, const char *cluster, int days,
                                 char *why, size_t why_size);

/**
 * Makes sure that `dir` holds a valid certificate for `name`. One that is there
 * and valid is left as it is; an expired one is signed again for the same key.
 *
 * @param name  see pki_name_ok(), and not "ca"; becomes the CN
 * @param days  as above, cut to the life of the authority
 * @return false and `why`, also if the one there has another role or is of
 *         another authority
 */
MUST_USE bool pki_issue(const char *dir, const char *cluster, const char *name,
                        enum pki_role role, int days, char *why,
                        size_t why_size);

/** As pki_issue(), but signs anew although the one there is still valid. */
MUST_USE bool pki_renew(const char *dir, const char *cluster, const char *name,
                        enum pki_role role, int days, char *why,
                        size_t why_size);

#endif
