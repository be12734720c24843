#ifndef IDENTITY_H
#define IDENTITY_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

/**
 * The site id that follows from a public key: the first 8 bytes, big-endian, of
 * SHA-256 over the DER SubjectPublicKeyInfo.
 *
 * @return 0 if it cannot be computed
 */
uint64_t identity_of_key(const X509 *cert);

/**
 * Who a certificate says it is. It must hold exactly one subject alternative
 * name, the URI motet://CLUSTER/site/HEX16, its HEX16 must follow from its key,
 * and it must be good for both ends of a connection. Signature and dates are
 * not looked at here.
 *
 * @param cluster  that it must be of; NULL = any
 * @param why      on failure: what is wrong, to follow "the certificate "
 */
MUST_USE bool identity_of(X509 *cert, const char *cluster, uint64_t *site,
                          char *why, size_t why_size);

#endif
