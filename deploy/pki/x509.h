#ifndef PKI_X509_H
#define PKI_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The certificates themselves, without files. Also for tests, which need wrong
 * ones. */

struct x509_wish {
    const char *cn;
    const char *org;   /* the cluster; NULL = none */
    const char *san;   /* as in an OpenSSL configuration: "URI:..."; or NULL */
    const char *usage; /* extended key usage, likewise; NULL = none */
    bool authority;
    int64_t from_s; /* seconds from now */
    int64_t to_s;
};

/** A new P-256 key. Gives; EVP_PKEY_free(). */
EVP_PKEY *x509_new_key(void);

/** The first 8 bytes of SHA-256 over the DER SubjectPublicKeyInfo. */
uint64_t x509_key_id(const EVP_PKEY *key);

/**
 * A certificate for `key`.
 *
 * @param issuer  NULL = signed by `key` itself
 * @return NULL if OpenSSL refuses a part of the wish; X509_free()
 */
X509 *x509_make(const struct x509_wish *wish, EVP_PKEY *key, X509 *issuer,
                EVP_PKEY *issuer_key);

#endif
