#ifndef CONN_H
#define CONN_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "address.h"
#include "byteq.h"
#include "nucleus/base/list.h"
#include "tls.h"
#include "transport.h"
#include "transport_limits.h"

/* The inside of the driver. A connection is two libuv handles (socket, timer);
 * its last event is told when the socket is closed, never from inside a call of
 * the user's; its memory goes when nothing of libuv refers to it. */

enum {
    READ_BYTES = 131072,     /* one read of the kernel */
    RECORD_BYTES = 16384,    /* plaintext of one TLS record */
    ENCODE_BYTES = 65536,    /* encrypted ahead of the kernel */
    WIRE_BYTES_MAX = 262144, /* records not asked for by us: alerts, updates */
    TURN_BYTES = 131072,     /* written per connection before others' turn */
    TELL_BYTES = 65536,      /* written, to be told before the loop sleeps */
    UNSENT_BYTES = 131072,   /* in the kernel, not yet sent */
    PIECES_MAX = 16,         /* of one write */
    WELCOME = 'M',           /* first byte of the acceptor */
    CONN_SLOT_BITS = 13,
    CONN_SLOTS = 1 << CONN_SLOT_BITS, /* twice the limit: dials that fail */
};

enum { LISTEN_BACKLOG = 512 };

enum conn_state {
    CONN_RESOLVING = 1, /* dialled: the name */
    CONN_CONNECTING,    /* dialled: TCP */
    CONN_HANDSHAKE,     /* TLS */
    CONN_WELCOME,       /* dialled: waits for the acceptor to believe us */
    CONN_UP,
    CONN_ENDING, /* writes the rest, discards what comes */
    CONN_CLOSED, /* handles are being closed */
};

struct conn {
    struct transport *t;
    struct list node;  /* of transport.conns */
    struct list dirty; /* of transport.dirty */
    uint64_t id;       /* serial << CONN_SLOT_BITS | slot */
    enum conn_state state;
    unsigned refs; /* what libuv still knows of it */
    bool dialled;
    bool on_detour; /* `direct` is to be tried if that fails */
    bool was_up;
    bool writing;  /* `write` is under way with `flight` bytes of `wire` */
    bool shut;     /* nothing will be written any more */
    bool too_much; /* a cap was passed inside OpenSSL */
    uint64_t dial; /* as given by the user */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    uv_write_t write;
    uv_getaddrinfo_t resolve;
    struct addrinfo *found; /* all addresses of a name, and the next to try */
    struct addrinfo *next;
    struct sockaddr_in direct;
    SSL *ssl;
    struct tls_peer peer;
    uint64_t read_turn; /* of the last read */
    const uint8_t *in;  /* read from the kernel, not yet taken by OpenSSL */
    size_t in_size;
    size_t stranger_bytes; /* taken before it was authenticated */
    struct byteq plain;    /* to be encrypted */
    struct byteq wire;     /* to be written */
    size_t encoded;        /* plaintext bytes that `wire` stands for */
    size_t flight;
    size_t drained; /* to be told */
    struct sockaddr_storage remote;
    char addr[ADDRESS_HOST_MAX + 10];
    enum tls_cause cause;
    char why[TLS_WHY_MAX];
};

struct refusal {
    uint64_t next_ms;    /* when the next report may be made */
    uint32_t suppressed; /* since the last one */
};

struct transport {
    uv_loop_t *loop;
    struct transport_limits limits;
    struct transport_events events;
    void *ctx;
    char *cluster;
    char *ca_file; /* NULL if insecure, as the next three */
    char *cert_file;
    char *key_file;
    SSL_CTX *tls;
    BIO_METHOD *bio;
    uint64_t site;
    bool closing;
    unsigned refs; /* own handles not closed, and connections */
    uint64_t serial;
    uint64_t turn; /* of the loop, from 1 */
    char address[ADDRESS_TEXT_MAX];
    struct in_addr detour; /* 0: none */
    uv_tcp_t listener;
    struct udp *udp; /* NULL without datagrams */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    struct list conns;
    struct list dirty;   /* connections with bytes to write or to tell */
    struct conn **slots; /* CONN_SLOTS */
    uint32_t conn_count;
    uint32_t slot_hint;
    struct byteq_store store;
    struct refusal refusals[CAUSE_COUNT];
    uint8_t plain[RECORD_BYTES];
    uint8_t read[READ_BYTES];
};

/** A connection without a socket. CHECKs for memory. */
struct conn *conn_create(struct transport *t);

/** By id; NULL if it is not up (any more). */
struct conn *conn_by_id(const struct transport *t, uint64_t id);

/** The socket is open: authenticates, or is up if insecure. */
void conn_begin(struct conn *c);

/** Reports that a stranger was turned away, once a second for each cause. */
void refused(struct transport *t, enum tls_cause cause, const char *addr,
             const char *why);

/** Starts the deadline of what is under way. */
void conn_deadline(struct conn *c, uint32_t ms);

/** Closes at once; its last event follows. Harmless twice. */
void conn_close(struct conn *c);

/** Closes; `fmt` says why, to follow the address. */
__attribute__((format(printf, 3, 4))) void
conn_fail(struct conn *c, enum tls_cause cause, const char *fmt, ...);

/** Drops one reference of libuv's to the connection. */
void conn_unref(struct conn *c);

/** For uv_close() of the socket. */
void conn_on_closed(uv_handle_t *handle);

/** Has something to write or tell at the end of the turn. */
void conn_mark(struct conn *c);

/** Encrypts and writes what the kernel takes.
 * @return whether more could be written at once */
bool conn_flush(struct conn *c);

/** The BIO between OpenSSL and the queues of a connection. */
BIO_METHOD *conn_bio_method(void);

/** Dials for a connection just created; its deadline runs already. */
void dial_start(struct conn *c, const char *addr);

/** The first address failed: tries the next, or fails with `err`. A detour is
 * left only when nobody listens there. */
void dial_next(struct conn *c, int err);

/** Drops a reference to the transport; frees it with the last. */
void transport_unref(struct transport *t);

/** Listens where cfg says, and with `datagrams` opens t->udp at the same
 * address. @return the socket, or -1 and `why` */
int transport_listen(struct transport *t, const struct transport_config *cfg,
                     char *why, size_t why_size);

#endif
