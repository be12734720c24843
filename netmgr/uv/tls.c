#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"

static const unsigned char protocol[] = "\7motet/1";

enum { PROTOCOL_BYTES = sizeof protocol - 1 };

/* Never ask a terminal for the password of a key. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0;
}

/* Opens a PEM file. NULL and `why` on failure. */
static BIO *open_file(const char *file, bool secret, char *why, size_t why_size)
{
    char text[128];
    struct stat st;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int err = errno;
        const char *hint = err == EACCES
                               ? "is motetd run by the user who made it?"
                               : "'motet up' makes it";
        (void)snprintf(why, why_size, "cannot read %s: %s; %s", file,
                       strerror_r(err, text, sizeof text), hint);
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    if (secret && (st.st_mode & 077) != 0) {
        (void)snprintf(why, why_size,
                       "key file %s readable by others (mode %04o): chmod 600",
                       file, (unsigned)st.st_mode & 07777u);
        (void)close(fd);
        return NULL;
    }
    FILE *f = fdopen(fd, "r");
    BIO *bio = f == NULL ? NULL : BIO_new_fp(f, BIO_CLOSE);
    CHECK(bio != NULL);
    return bio;
}

X509 *tls_read_cert(const char *file, char *why, size_t why_size)
{
    BIO *bio = open_file(file, false, why, why_size);
    if (bio == NULL) {
        return NULL;
    }
    ERR_clear_error();
    X509 *cert = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (cert == NULL) {
        ERR_clear_error();
        (void)snprintf(why, why_size, "%s holds no certificate in PEM form",
                       file);
    }
    return cert;
}

static EVP_PKEY *read_key(const char *file, char *why, size_t why_size)
{
    BIO *bio = open_file(file, true, why, why_size);
    if (bio == NULL) {
        return NULL;
    }
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (key == NULL) {
        ERR_clear_error();
        (void)snprintf(why, why_size,
                       "%s holds no private key in PEM form without a password",
                       file);
    }
    return key;
}

/* The verdict of OpenSSL in words that follow "the certificate ". */
static void verdict(int err, char *why, size_t why_size)
{
    switch (err) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        (void)snprintf(why, why_size,
                       "is not signed by this cluster's authority");
        break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        (void)snprintf(why, why_size, "has expired");
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        (void)snprintf(why, why_size,
                       "is not valid yet; are the clocks right?");
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        (void)snprintf(why, why_size,
                       "is not for both client and server authentication");
        break;
    default:
        (void)snprintf(why, why_size, "is refused: %s",
                       X509_verify_cert_error_string(err));
        break;
    }
}

/* Called for each certificate of the peer's chain, from the authority down. */
static int verify(int ok, X509_STORE_CTX *store)
{
    const SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_peer *peer = SSL_get_app_data(ssl);
    if (!ok) {
        verdict(X509_STORE_CTX_get_error(store), peer->why, sizeof peer->why);
        return 0;
    }
    if (X509_STORE_CTX_get_error_depth(store) > 0) {
        return 1;
    }
    uint64_t site = 0;
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    if (!identity_of(cert, peer->cluster, &site, peer->why, sizeof peer->why)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    if (peer->expect != 0 && peer->expect != site) {
        (void)snprintf(peer->why, sizeof peer->why,
                       "is that of site %016llx, not of %016llx",
                       (unsigned long long)site,
                       (unsigned long long)peer->expect);
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    peer->site = site;
    return 1;
}

static int select_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_size, const unsigned char *in,
                           unsigned in_size, void *ctx)
{
    (void)ssl, (void)ctx;
    for (unsigned i = 0; i < in_size; i += in[i] + 1u) {
        if (in_size - i >= PROTOCOL_BYTES &&
            memcmp(in + i, protocol, PROTOCOL_BYTES) == 0) {
            *out = in + i + 1;
            *out_size = PROTOCOL_BYTES - 1;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

bool tls_protocol_ok(const SSL *ssl)
{
    const unsigned char *chosen = NULL;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl, &chosen, &n);
    return n == PROTOCOL_BYTES - 1 && memcmp(chosen, protocol + 1, n) == 0;
}

static SSL_CTX *new_ctx(void)
{
    char groups[] = "X25519:P-256"; /* the macro wants it writable */
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    CHECK(ctx != NULL);
    int ok = SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) &&
             SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
             SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256:"
                                           "TLS_CHACHA20_POLY1305_SHA256:"
                                           "TLS_AES_256_GCM_SHA384") &&
             SSL_CTX_set1_groups_list(ctx, groups) &&
             SSL_CTX_set_num_tickets(ctx, 0) &&
             SSL_CTX_set_max_early_data(ctx, 0) &&
             SSL_CTX_set_alpn_protos(ctx, protocol, PROTOCOL_BYTES) == 0;
    CHECK(ok);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_alpn_select_cb(ctx, select_protocol, NULL);
    SSL_CTX_set_verify_depth(ctx, 3);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       verify);
    return ctx;
}

/* Whether our own certificate would be believed by others. */
static bool check_chain(SSL_CTX *ctx, X509 *cert, char *text, size_t size)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    CHECK(store != NULL);
    bool ok = X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(ctx), cert,
                                  NULL) == 1 &&
              X509_verify_cert(store) == 1;
    if (!ok) {
        verdict(X509_STORE_CTX_get_error(store), text, size);
    }
    X509_STORE_CTX_free(store);
    return ok;
}

/* Puts the three into `ctx`, if they belong together. */
static bool use(SSL_CTX *ctx, const struct tls_files *files, X509 *cert,
                EVP_PKEY *key, char *why, size_t why_size)
{
    char text[TLS_WHY_MAX];
    ERR_clear_error();
    if (SSL_CTX_load_verify_file(ctx, files->ca) != 1) {
        (void)snprintf(why, why_size, "%s holds no certificate in PEM form",
                       files->ca);
        return false;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1) {
        (void)snprintf(why, why_size, "%s holds no usable certificate: %s",
                       files->cert, ERR_reason_error_string(ERR_peek_error()));
        return false;
    }
    if (X509_check_private_key(cert, key) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        (void)snprintf(why, why_size, "%s is not the key of %s", files->key,
                       files->cert);
        return false;
    }
    if (!check_chain(ctx, cert, text, sizeof text)) {
        (void)snprintf(why, why_size,
                       "the certificate in %s %s (authority: %s)", files->cert,
                       text, files->ca);
        return false;
    }
    return true;
}

SSL_CTX *tls_load(const struct tls_files *files, const char *cluster,
                  uint64_t *site, char *why, size_t why_size)
{
    char text[TLS_WHY_MAX];
    SSL_CTX *ctx = NULL;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;
    X509 *ca = tls_read_cert(files->ca, why, why_size);
    if (ca == NULL) {
        return NULL;
    }
    cert = tls_read_cert(files->cert, why, why_size);
    if (cert == NULL) {
        goto out;
    }
    key = read_key(files->key, why, why_size);
    if (key == NULL) {
        goto out;
    }
    if (!identity_of(cert, cluster, site, text, sizeof text)) {
        (void)snprintf(why, why_size, "the certificate in %s %s", files->cert,
                       text);
        goto out;
    }
    ctx = new_ctx();
    if (!use(ctx, files, cert, key, why, why_size)) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
out:
    ERR_clear_error();
    EVP_PKEY_free(key);
    X509_free(cert);
    X509_free(ca);
    return ctx;
}

void tls_bind(SSL *ssl, struct tls_peer *peer)
{
    CHECK(SSL_set_app_data(ssl, peer) == 1);
}

/* An alert of the peer: it refused us. */
static enum tls_cause alerted(int alert, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "refused our certificate or version: %s",
                   SSL_alert_desc_string_long(alert));
    return CAUSE_REFUSED_US;
}

enum tls_cause tls_failure(const struct tls_peer *peer, char *why,
                           size_t why_size)
{
    unsigned long err = ERR_peek_error();
    int reason = ERR_GET_REASON(err);
    if (peer->why[0] != '\0') {
        (void)snprintf(why, why_size, "its certificate %s", peer->why);
        return CAUSE_CERTIFICATE;
    }
    if (ERR_GET_LIB(err) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        return alerted(reason - SSL_AD_REASON_OFFSET, why, why_size);
    }
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        (void)snprintf(why, why_size, "shows no certificate");
        return CAUSE_CERTIFICATE;
    case SSL_R_UNSUPPORTED_PROTOCOL:
        (void)snprintf(why, why_size, "does not offer TLS 1.3");
        return CAUSE_VERSION;
    case SSL_R_NO_APPLICATION_PROTOCOL:
        (void)snprintf(why, why_size, "does not offer the protocol motet/1");
        return CAUSE_VERSION;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_RECORD_TYPE:
        (void)snprintf(why, why_size,
                       "does not speak TLS; is it an insecure site?");
        return CAUSE_NO_TLS;
    default:
        (void)snprintf(why, why_size, "failed in TLS: %s",
                       err == 0 ? "no reason given"
                                : ERR_reason_error_string(err));
        return CAUSE_OTHER;
    }
}
