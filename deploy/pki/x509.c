#include "x509.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "nucleus/base/check.h"

EVP_PKEY *x509_new_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    CHECK(key != NULL);
    return key;
}

uint64_t x509_key_id(const EVP_PKEY *key)
{
    unsigned char *der = NULL;
    unsigned char hash[EVP_MAX_MD_SIZE];
    uint64_t id = 0;
    int n = i2d_PUBKEY(key, &der);
    CHECK(n > 0);
    CHECK(EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1);
    OPENSSL_free(der);
    for (int i = 0; i < 8; i++) {
        id = id << 8 | hash[i];
    }
    return id;
}

/* 127 random bits, never 0 (RFC 5280, 4.1.2.2: positive, at most 20 bytes). */
static bool set_serial(X509 *cert)
{
    BIGNUM *n = BN_new();
    bool ok = n != NULL &&
              BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL;
    BN_free(n);
    return ok;
}

static bool add_entry(X509_NAME *name, const char *field, const char *text)
{
    return text == NULL || X509_NAME_add_entry_by_txt(
                               name, field, MBSTRING_UTF8,
                               (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    if (value == NULL) {
        return true;
    }
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool add_extensions(X509 *cert, X509 *issuer,
                           const struct x509_wish *wish)
{
    const char *constraints =
        wish->authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE";
    const char *usage = wish->authority ? "critical,keyCertSign,cRLSign"
                                        : "critical,digitalSignature";
    return add_extension(cert, issuer, NID_basic_constraints, constraints) &&
           add_extension(cert, issuer, NID_key_usage, usage) &&
           add_extension(cert, issuer, NID_ext_key_usage, wish->usage) &&
           add_extension(cert, issuer, NID_subject_alt_name, wish->san) &&
           add_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(cert, issuer, NID_authority_key_identifier, "keyid");
}

X509 *x509_make(const struct x509_wish *wish, EVP_PKEY *key, X509 *issuer,
                EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    CHECK(cert != NULL);
    X509 *by = issuer == NULL ? cert : issuer;
    X509_NAME *subject = X509_get_subject_name(cert);
    bool ok =
        X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), wish->from_s) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), wish->to_s) &&
        X509_set_pubkey(cert, key) == 1 && add_entry(subject, "O", wish->org) &&
        add_entry(subject, "CN", wish->cn) &&
        X509_set_issuer_name(cert, X509_get_subject_name(by)) == 1 &&
        add_extensions(cert, by, wish) &&
        X509_sign(cert, issuer == NULL ? key : issuer_key, EVP_sha256()) > 0;
    if (!ok) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}
