#include "pki.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "x509.h"

enum {
    HOUR_S = 3600, /* that clocks may be wrong */
    DAY_S = 86400,
    URI_MAX = 160,
};

/* A certificate and its key. */
struct pair {
    X509 *cert;
    EVP_PKEY *key;
};

static void drop(struct pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    *p = (struct pair){0};
}

bool pki_name_ok(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    size_t n = strnlen(name, PKI_NAME_MAX);
    return n > 0 && n < PKI_NAME_MAX && name[0] != '.' && name[0] != '-' &&
           strspn(name, letters) == n;
}

static bool check_words(const struct pki_dir *dir, const char *cluster,
                        const char *name, int days)
{
    if (!pki_name_ok(cluster)) {
        return pki_why(dir,
                       "\"%.80s\" is no name for a cluster: 1 to 63 letters, "
                       "digits, dots, dashes",
                       cluster);
    }
    if (!pki_name_ok(name)) {
        return pki_why(dir,
                       "\"%.80s\" is no name for a site: 1 to 63 letters, "
                       "digits, dots, dashes",
                       name);
    }
    if (days < 1 || days > PKI_DAYS_MAX) {
        return pki_why(dir, "a certificate lives 1 to %d days, not %d",
                       PKI_DAYS_MAX, days);
    }
    return true;
}

static bool expired(const X509 *cert)
{
    return X509_cmp_current_time(X509_get0_notAfter(cert)) < 0;
}

/* Reads both files, and whether they belong together. */
static bool read_pair(const struct pki_dir *dir, const char *name,
                      struct pair *p)
{
    if (!pki_read_cert(dir, name, &p->cert) ||
        !pki_read_key(dir, name, &p->key)) {
        return false;
    }
    if (p->cert != NULL && p->key == NULL) {
        return pki_why(dir,
                       "%s/%s.pem has no key beside it; move it away or put "
                       "%s.key back",
                       dir->path, name, name);
    }
    if (p->cert != NULL && X509_check_private_key(p->cert, p->key) != 1) {
        ERR_clear_error();
        return pki_why(dir,
                       "%s/%s.key is not the key of %s.pem; move both away",
                       dir->path, name, name);
    }
    return true;
}

/* Makes the key if there is none; it is on the disk before it is certified. */
static bool need_key(const struct pki_dir *dir, const char *name,
                     struct pair *p)
{
    if (p->key != NULL) {
        return true;
    }
    p->key = x509_new_key();
    return pki_write_key(dir, name, p->key);
}

/* Writes what was made, NULL = OpenSSL did not make it. Takes `cert`. */
static bool store(const struct pki_dir *dir, const char *name, struct pair *p,
                  X509 *cert)
{
    X509_free(p->cert);
    p->cert = cert;
    if (cert == NULL) {
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        ERR_clear_error();
        return pki_why(dir, "cannot make the certificate of %s: %s", name,
                       reason == NULL ? "no reason given" : reason);
    }
    return pki_write_cert(dir, name, cert);
}

/* -- the authority --------------------------------------------------------- */

/* Whether a certificate is that of the authority of `cluster`. */
static bool check_authority(const struct pki_dir *dir, X509 *cert,
                            const char *cluster)
{
    char org[PKI_NAME_MAX] = "";
    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert),
                                    NID_organizationName, org, sizeof org);
    if (X509_check_ca(cert) != 1) {
        return pki_why(dir, "%s/ca.pem is not that of an authority", dir->path);
    }
    if (strcmp(org, cluster) != 0) {
        return pki_why(dir,
                       "%s/ca.pem is the authority of the cluster \"%s\", not "
                       "of \"%s\"; use another directory",
                       dir->path, org, cluster);
    }
    return true;
}

static bool make_authority(const struct pki_dir *dir, const char *cluster,
                           int days)
{
    char cn[PKI_NAME_MAX + 16];
    const struct x509_wish wish = {.cn = cn,
                                   .org = cluster,
                                   .authority = true,
                                   .from_s = -HOUR_S,
                                   .to_s = (int64_t)days * DAY_S};
    struct pair ca = {0};
    /* A CN has 64 characters at most (RFC 5280, A.1). */
    (void)snprintf(cn, sizeof cn, "%.48s authority", cluster);
    bool ok = read_pair(dir, "ca", &ca) &&
              (ca.cert == NULL || check_authority(dir, ca.cert, cluster));
    if (ok && (ca.cert == NULL || expired(ca.cert))) {
        ok = need_key(dir, "ca", &ca) &&
             store(dir, "ca", &ca, x509_make(&wish, ca.key, NULL, NULL));
    }
    drop(&ca);
    return ok;
}

bool pki_make_authority(const char *path, const char *cluster, int days,
                        char *why, size_t why_size)
{
    struct pki_dir dir = {.path = path, .why = why, .why_size = why_size};
    if (!check_words(&dir, cluster, "ca", days) || !pki_dir_open(&dir)) {
        return false;
    }
    bool ok = make_authority(&dir, cluster, days);
    pki_dir_close(&dir);
    return ok;
}

/* -- those it signs -------------------------------------------------------- */

/* The URI that a certificate of this key and role must hold. */
static void uri_of(const char *cluster, enum pki_role role, const EVP_PKEY *key,
                   char *uri)
{
    (void)snprintf(uri, URI_MAX, "URI:motet://%s/%s/%016" PRIx64, cluster,
                   role == PKI_SITE ? "site" : "operator", x509_key_id(key));
}

static bool has_uri(X509 *cert, const char *uri)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    bool same = false;
    if (name != NULL && name->type == GEN_URI) {
        const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
        const size_t n = (size_t)ASN1_STRING_length(text);
        const char *want = uri + strlen("URI:");
        same = n == strlen(want) &&
               memcmp(ASN1_STRING_get0_data(text), want, n) == 0;
    }
    GENERAL_NAMES_free(names);
    return same;
}

/* Whether the certificate that is there may be kept or signed again. */
static bool check_old(const struct pki_dir *dir, const struct pair *old,
                      const char *name, const char *uri, X509 *ca)
{
    if (old->cert == NULL) {
        return true;
    }
    if (X509_verify(old->cert, X509_get0_pubkey(ca)) != 1) {
        ERR_clear_error();
        return pki_why(dir,
                       "%s/%s.pem is signed by another authority than ca.pem; "
                       "move it away",
                       dir->path, name);
    }
    if (!has_uri(old->cert, uri)) {
        return pki_why(dir,
                       "%s/%s.pem is of another role or cluster, not %s; "
                       "choose another name or move it away",
                       dir->path, name, uri);
    }
    return true;
}

static bool read_authority(const struct pki_dir *dir, const char *cluster,
                           struct pair *ca)
{
    if (!read_pair(dir, "ca", ca)) {
        return false;
    }
    if (ca->cert == NULL) {
        return pki_why(dir, "%s holds no authority (ca.pem, ca.key)",
                       dir->path);
    }
    if (!check_authority(dir, ca->cert, cluster)) {
        return false;
    }
    if (expired(ca->cert)) {
        return pki_why(dir, "the authority in %s/ca.pem has expired",
                       dir->path);
    }
    return true;
}

/* Seconds from now that a certificate may live: not past its authority. */
static int64_t life_s(const X509 *ca, int days)
{
    int ca_days = 0;
    int ca_seconds = 0;
    int64_t life = (int64_t)days * DAY_S;
    if (ASN1_TIME_diff(&ca_days, &ca_seconds, NULL, X509_get0_notAfter(ca)) ==
        1) {
        int64_t left = (int64_t)ca_days * DAY_S + ca_seconds;
        life = left < life ? left : life;
    }
    return life;
}

struct order {
    const char *cluster;
    const char *name;
    enum pki_role role;
    int days;
    bool anew;
};

static bool sign(const struct pki_dir *dir, const struct order *o,
                 struct pair *ca, struct pair *p)
{
    char uri[URI_MAX];
    if (!read_authority(dir, o->cluster, ca) || !read_pair(dir, o->name, p) ||
        !need_key(dir, o->name, p)) {
        return false;
    }
    uri_of(o->cluster, o->role, p->key, uri);
    if (!check_old(dir, p, o->name, uri, ca->cert)) {
        return false;
    }
    if (p->cert != NULL && !o->anew && !expired(p->cert)) {
        return true;
    }
    const struct x509_wish wish = {
        .cn = o->name,
        .org = o->cluster,
        .san = uri,
        .usage = o->role == PKI_SITE ? "serverAuth,clientAuth" : "clientAuth",
        .from_s = -HOUR_S,
        .to_s = life_s(ca->cert, o->days)};
    return store(dir, o->name, p, x509_make(&wish, p->key, ca->cert, ca->key));
}

static bool issue(struct pki_dir *dir, const struct order *o)
{
    CHECK(o->role == PKI_SITE || o->role == PKI_OPERATOR);
    if (!check_words(dir, o->cluster, o->name, o->days)) {
        return false;
    }
    if (strcmp(o->name, "ca") == 0) {
        return pki_why(dir, "\"ca\" is the authority's name; choose another");
    }
    if (!pki_dir_open(dir)) {
        return false;
    }
    struct pair ca = {0};
    struct pair p = {0};
    bool ok = sign(dir, o, &ca, &p);
    drop(&p);
    drop(&ca);
    pki_dir_close(dir);
    return ok;
}

bool pki_issue(const char *path, const char *cluster, const char *name,
               enum pki_role role, int days, char *why, size_t why_size)
{
    struct pki_dir dir = {.path = path, .why = why, .why_size = why_size};
    const struct order o = {cluster, name, role, days, false};
    return issue(&dir, &o);
}

bool pki_renew(const char *path, const char *cluster, const char *name,
               enum pki_role role, int days, char *why, size_t why_size)
{
    struct pki_dir dir = {.path = path, .why = why, .why_size = why_size};
    const struct order o = {cluster, name, role, days, true};
    return issue(&dir, &o);
}
