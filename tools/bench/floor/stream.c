#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

/* TCP, TLS 1.3 over it, and unix sockets: bytes in order. */

enum {
    BATCH_BYTES = 16384, /* of one write */
    CLOCK_EVERY = 64,    /* batches between two looks at the clock */
};

struct stream {
    int fd;
    SSL *ssl; /* NULL = plain */
};

static int ends[2]; /* unix: a pair; else [1] listens */
static struct sockaddr_in at;
static uint8_t data[FLOOR_SIZE_MAX];

/* -- TLS ------------------------------------------------------------------- */

static SSL_CTX *new_ctx(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    floor_must(ctx != NULL &&
                   SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") ==
                       1 &&
                   SSL_CTX_set_num_tickets(ctx, 0) == 1,
               "TLS");
    return ctx;
}

/* A key and a certificate signed by itself: the floor needs no identity. */
static void certify(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    floor_must(key != NULL && cert != NULL, "certificate");
    floor_must(X509_set_version(cert, X509_VERSION_3) == 1 &&
                   ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
                   X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL &&
                   X509_gmtime_adj(X509_getm_notAfter(cert), 3600) != NULL &&
                   X509_set_pubkey(cert, key) == 1 &&
                   X509_sign(cert, key, EVP_sha256()) > 0 &&
                   SSL_CTX_use_certificate(ctx, cert) == 1 &&
                   SSL_CTX_use_PrivateKey(ctx, key) == 1,
               "certificate");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void start_tls(struct stream *s, bool server)
{
    SSL_CTX *ctx = new_ctx();
    if (server) {
        certify(ctx);
    }
    s->ssl = SSL_new(ctx);
    floor_must(s->ssl != NULL && SSL_set_fd(s->ssl, s->fd) == 1, "TLS");
    floor_must((server ? SSL_accept(s->ssl) : SSL_connect(s->ssl)) == 1, "TLS");
    SSL_CTX_free(ctx);
}

static void end(struct stream *s)
{
    SSL_free(s->ssl);
    (void)close(s->fd);
}

/* -- bytes ----------------------------------------------------------------- */

/* Up to `size` bytes; 0 at the end. */
static size_t get(struct stream *s, uint8_t *to, size_t size)
{
    if (s->ssl != NULL) {
        ERR_clear_error();
        int n = SSL_read(s->ssl, to, (int)size);
        return n > 0 ? (size_t)n : 0;
    }
    ssize_t n = read(s->fd, to, size);
    return n > 0 ? (size_t)n : 0;
}

static bool get_all(struct stream *s, uint8_t *to, size_t size)
{
    while (size > 0) {
        size_t n = get(s, to, size);
        if (n == 0) {
            return false;
        }
        to += n;
        size -= n;
    }
    return true;
}

static bool put_all(struct stream *s, const uint8_t *from, size_t size)
{
    if (s->ssl != NULL) {
        ERR_clear_error();
        return SSL_write(s->ssl, from, (int)size) == (int)size;
    }
    while (size > 0) {
        ssize_t n = send(s->fd, from, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        from += n;
        size -= (size_t)n;
    }
    return true;
}

/* -- set-up ---------------------------------------------------------------- */

static void prepare(const struct floor_options *o)
{
    if (o->over == OVER_UNIX) {
        floor_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ==
                       0,
                   "a pair of sockets");
        return;
    }
    socklen_t size = sizeof at;
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    floor_must(ends[1] >= 0 &&
                   bind(ends[1], (struct sockaddr *)&at, size) == 0 &&
                   listen(ends[1], 1) == 0 &&
                   getsockname(ends[1], (struct sockaddr *)&at, &size) == 0,
               "listen on loopback");
}

static void begin(struct stream *s, const struct floor_options *o, bool server)
{
    const int yes = 1;
    (void)close(ends[server ? 0 : 1]);
    if (o->over == OVER_UNIX) {
        s->fd = ends[server ? 1 : 0];
        return;
    }
    if (server) {
        s->fd = accept(ends[1], NULL, NULL);
        floor_must(s->fd >= 0, "accept");
    } else {
        s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        floor_must(s->fd >= 0 &&
                       connect(s->fd, (struct sockaddr *)&at, sizeof at) == 0,
                   "connect");
    }
    floor_must(setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) ==
                   0,
               "TCP_NODELAY");
    if (o->over == OVER_TLS) {
        start_tls(s, server);
    }
}

/* -- the two sides --------------------------------------------------------- */

/* Echoes; or reads to the end. */
static void serve(const struct floor_options *o)
{
    struct stream s = {0};
    begin(&s, o, true);
    if (o->send) {
        while (get(&s, data, sizeof data) > 0) {
        }
    } else {
        while (get_all(&s, data, o->size) && put_all(&s, data, o->size)) {
        }
    }
    end(&s);
}

struct asking {
    struct stream s;
    size_t size;
};

static bool trip(void *ctx)
{
    struct asking *a = ctx;
    return put_all(&a->s, data, a->size) && get_all(&a->s, data, a->size);
}

/* Sends whole messages, one or many to a write, then waits until the other side
 * has read them all: it closes then. */
static void stream_out(struct stream *s, const struct floor_options *o,
                       struct floor_result *r)
{
    const size_t most = o->batch ? BATCH_BYTES / o->size : 1;
    const size_t per_write = most == 0 ? 1 : most;
    const int looks = o->size > BATCH_BYTES ? 1 : CLOCK_EVERY;
    const double start = floor_now_s();
    do {
        for (int i = 0; i < looks; i++) {
            floor_must(put_all(s, data, per_write * o->size), "write");
            r->messages += per_write;
        }
    } while (floor_now_s() - start < o->seconds);
    if (s->ssl != NULL) {
        (void)SSL_shutdown(s->ssl);
    }
    floor_must(shutdown(s->fd, SHUT_WR) == 0, "shutdown");
    while (read(s->fd, data, sizeof data) > 0) {
    }
    r->elapsed_s = floor_now_s() - start;
}

static void measure(const struct floor_options *o, struct floor_result *r)
{
    struct asking a = {.size = o->size};
    begin(&a.s, o, false);
    if (o->send) {
        stream_out(&a.s, o, r);
    } else {
        floor_ask(o, trip, &a, r);
    }
    end(&a.s);
}

const struct floor_pair floor_stream = {prepare, serve, measure};
