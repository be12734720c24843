#include "identity.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

enum { URI_MAX = 256 };

uint64_t identity_of_key(const X509 *cert)
{
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    if (n <= 0) {
        return 0;
    }
    unsigned char hash[EVP_MAX_MD_SIZE];
    uint64_t id = 0;
    if (EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1) {
        for (int i = 0; i < 8; i++) {
            id = id << 8 | hash[i];
        }
    }
    OPENSSL_free(der);
    return id;
}

/* Copies the only alternative name, a URI, to `uri`; false if it is not so. */
static bool only_uri(X509 *cert, char *uri)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    if (names == NULL) {
        return false;
    }
    bool ok = false;
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    if (sk_GENERAL_NAME_num(names) == 1 && name->type == GEN_URI) {
        const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
        size_t n = (size_t)ASN1_STRING_length(text);
        const unsigned char *bytes = ASN1_STRING_get0_data(text);
        if (n < URI_MAX && memchr(bytes, '\0', n) == NULL) {
            memcpy(uri, bytes, n);
            uri[n] = '\0';
            ok = true;
        }
    }
    GENERAL_NAMES_free(names);
    return ok;
}

/* Splits motet://CLUSTER/site/REST in place; false if it has another form. */
static bool split(char *uri, char **cluster, char **rest)
{
    static const char scheme[] = "motet://";
    static const char kind[] = "/site/";
    if (strncmp(uri, scheme, sizeof scheme - 1) != 0) {
        return false;
    }
    *cluster = uri + sizeof scheme - 1;
    char *slash = strchr(*cluster, '/');
    if (slash == NULL || slash == *cluster ||
        strncmp(slash, kind, sizeof kind - 1) != 0) {
        return false;
    }
    *slash = '\0';
    *rest = slash + sizeof kind - 1;
    return true;
}

static bool good_for_both_ends(X509 *cert)
{
    const uint32_t both = XKU_SSL_SERVER | XKU_SSL_CLIENT;
    return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) != 0 &&
           (X509_get_extended_key_usage(cert) & both) == both;
}

bool identity_of(X509 *cert, const char *cluster, uint64_t *site, char *why,
                 size_t why_size)
{
    char uri[URI_MAX];
    char *of;
    char *hex;
    if (!only_uri(cert, uri)) {
        (void)snprintf(why, why_size,
                       "does not have exactly one alternative name, a URI");
        return false;
    }
    if (!split(uri, &of, &hex)) {
        (void)snprintf(why, why_size, "is not one of a site but \"%.100s\"",
                       uri);
        return false;
    }
    if (cluster != NULL && strcmp(cluster, of) != 0) {
        (void)snprintf(why, why_size,
                       "is of the cluster \"%.64s\", not of \"%.64s\"", of,
                       cluster);
        return false;
    }
    uint64_t id = identity_of_key(cert);
    char want[17];
    (void)snprintf(want, sizeof want, "%016" PRIx64, id);
    if (id == 0 || strcmp(hex, want) != 0) {
        (void)snprintf(why, why_size,
                       "names the site \"%.32s\", but its key is that of %s",
                       hex, want);
        return false;
    }
    if (!good_for_both_ends(cert)) {
        (void)snprintf(why, why_size,
                       "is not for both client and server authentication");
        return false;
    }
    *site = id;
    return true;
}
