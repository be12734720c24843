#ifndef TLS_H
#define TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"

enum { TLS_WHY_MAX = 256 };

struct tls_files {
    const char *ca;
    const char *cert;
    const char *key;
};

/* What the check of the other side's certificate needs and finds. Stands behind
 * each SSL as its application data. */
struct tls_peer {
    const char *cluster;   /* that it must be of */
    uint64_t expect;       /* the site it must be, 0 = any */
    uint64_t site;         /* found; 0 before */
    char why[TLS_WHY_MAX]; /* why the certificate was refused, or "" */
};

/* Why a peer was turned away; reports are limited for each of these apart. */
enum tls_cause {
    CAUSE_NO_TLS,      /* speaks something else */
    CAUSE_VERSION,     /* no TLS 1.3, or another application protocol */
    CAUSE_CERTIFICATE, /* none, or a wrong one */
    CAUSE_REFUSED_US,  /* it sent an alert */
    CAUSE_LEFT,        /* closed before it was authenticated */
    CAUSE_SLOW,        /* not authenticated in time */
    CAUSE_TOO_MUCH,    /* too many bytes before authentication */
    CAUSE_CROWD,       /* too many strangers at once */
    CAUSE_CROWD_OF_ONE,
    CAUSE_LIMIT, /* too many connections */
    CAUSE_OTHER,
    CAUSE_COUNT
};

/**
 * Reads and checks the three files: that the certificate is this cluster's,
 * signed by the authority, valid today, and that the key is its own and
 * readable by nobody else.
 *
 * @param site  set to the id in the certificate
 * @param why   on failure: a sentence with the name of the file
 * @return NULL on failure. Ownership: gives; SSL_CTX_free()
 */
SSL_CTX *tls_load(const struct tls_files *files, const char *cluster,
                  uint64_t *site, char *why, size_t why_size);

/** Reads a certificate file. @return NULL and `why`; X509_free() */
X509 *tls_read_cert(const char *file, char *why, size_t why_size);

/** Ties an SSL to what its peer is checked with. Borrows both. */
void tls_bind(SSL *ssl, struct tls_peer *peer);

/** Whether the peer chose our application protocol. */
bool tls_protocol_ok(const SSL *ssl);

/**
 * Says why the last call on `ssl` failed, in words that follow the name of the
 * peer's address. Reads the error queue: call it right after.
 */
enum tls_cause tls_failure(const struct tls_peer *peer, char *why,
                           size_t why_size);

#endif
