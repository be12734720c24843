#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <motet/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "netmgr/path/path.h"
#include "nucleus/base/check.h"
#include "udp.h"

/* The driver of TCP, TLS 1.3 and UDP: libuv and OpenSSL behind a few calls and
 * call-backs. It knows nothing of frames. One loop thread.
 *
 * TLS: 1.3 only, both sides verify against the cluster's authority, ALPN
 * "motet/1", no tickets, no early data, no compression. The identity of a peer
 * is the single URI SAN `motet://CLUSTER/site/HEX16` of its leaf certificate
 * (exactly one; the cluster must be ours); HEX16 = the first 8 bytes of SHA-256
 * over the DER SubjectPublicKeyInfo, and that is checked. After the handshake
 * the acceptor sends one byte, 'M', before all else: in TLS 1.3 the dialler is
 * done before the acceptor has judged its certificate, and it is not `up` (but
 * learns the reason in `dial_failed`) until it was let in.
 *
 * Datagrams: with `datagrams`, a UDP socket at the same address as the
 * listener. What comes there is given on as it is; whether it means something
 * is for the paths (netmgr/path) to say. Their keys come from the secrets of
 * connections.
 *
 * Events come from the turn of the loop, never from inside a call of this
 * interface; every call is allowed from inside an event.
 *
 * Limits before authentication (DESIGN section 12): 64 connections, 4 per
 * address (loopback addresses: 64), 3 s, 16 KiB read. Besides: 5 s for a dial,
 * 4,096 connections in all, 64 MiB written and not yet gone for each. They
 * stand in transport_limits.h.
 *
 * Without memory for its own small things the driver aborts; without memory for
 * bytes it closes the connection. */

struct transport;

struct transport_events {
    /** A connection is open and, unless insecure, authenticated.
     * @param peer  site id from the certificate; 0 if insecure
     * @param dial  as given to transport_dial(); 0 = accepted
     * @param addr  of the peer, "host:port" */
    void (*up)(void *ctx, uint64_t conn, uint64_t peer, uint64_t dial,
               const char *addr);
    void (*bytes)(void *ctx, uint64_t conn, const uint8_t *data, size_t size);
    /** `size` bytes of what was given to transport_write() left for the kernel
     */
    void (*drained)(void *ctx, uint64_t conn, size_t size);
    /** Once for every connection that was up. */
    void (*down)(void *ctx, uint64_t conn);
    void (*dial_failed)(void *ctx, uint64_t dial, const char *why);
    /** A stranger or a wrong certificate was turned away; rate-limited to one a
     * second per cause with a count. */
    void (*refused)(void *ctx, const char *addr, const char *why,
                    uint32_t suppressed);
    /** Anything that came to the UDP socket. */
    void (*datagram)(void *ctx, const struct path_addr *from,
                     const uint8_t *data, size_t size);
};

struct transport_config {
    uv_loop_t *loop;     /* borrowed */
    const char *listen;  /* "host:port", port 0 = any */
    const char *cluster; /* copied */
    bool insecure;       /* plain TCP, no certificates */
    bool datagrams;      /* UDP too */
    const char *ca_file; /* PEM; the next two: this site's */
    const char *cert_file;
    const char *key_file; /* PEM, readable by its owner only: checked */
    /* An IPv4 address of loopback, or NULL: where a relay may listen for us.
     * Peers with a numeric IPv4 address are dialed there first, at their port;
     * if nobody listens, directly. Copied. */
    const char *detour;
    struct transport_events events;
    void *ctx;
};

/**
 * Loads the certificates and listens. Sets SIGPIPE to ignored if nobody
 * handles it: libuv writes in a way that raises it.
 *
 * @param why  on failure: a sentence for people, which file or address and
 *             what to do; at least 256 bytes
 * @return NULL on failure; the loop is then as before
 */
struct transport *transport_open(const struct transport_config *cfg, char *why,
                                 size_t why_size);

/** Closes the listener and all connections; `t` is freed when their handles are
 * closed: run the loop until uv_loop_close() is content. No events after this.
 */
void transport_close(struct transport *t);

/** The address listened on, with the real port: "127.0.0.1:7117". */
const char *transport_address(const struct transport *t);

/** The site id in this site's own certificate, 0 if insecure. */
uint64_t transport_site(const struct transport *t);

/** Dials; `up` or `dial_failed` follows, never from inside this call.
 * @param peer  the site that must answer; 0 = any of the cluster
 * @param addr  "host:port", "[v6]:port"; a name is resolved off the loop */
void transport_dial(struct transport *t, uint64_t dial, uint64_t peer,
                    const char *addr);

/** Of a connection that is up: a secret that only its two ends know, by the
 * exporter of TLS. @return false: insecure, or there is no such connection */
MUST_USE bool transport_secret(struct transport *t, uint64_t conn,
                               uint8_t secret[PATH_SECRET_BYTES]);

/** Where the other end of a connection dialed from here takes datagrams.
 * @return false: accepted, or there is no such connection */
MUST_USE bool transport_udp_addr(struct transport *t, uint64_t conn,
                                 struct path_addr *addr);

/** As if it had been opened with `datagrams`; twice is fine.
 * @return false and `why`: the UDP port is taken */
MUST_USE bool transport_take_datagrams(struct transport *t, char *why,
                                       size_t why_size);

/** Queues a datagram (copied) until the end of the turn; best effort. */
void transport_datagram(struct transport *t, const struct path_addr *to,
                        const uint8_t *data, size_t size);

/** Zeros without a UDP socket. */
struct udp_counts transport_udp_counts(const struct transport *t);

/** Queues bytes (copied). They are encrypted and written at the end of the
 * loop's turn, all that was queued in as few records and writes as can be.
 * Unknown or closing connections are ignored: `down` has told or will tell.
 * With more than 64 MiB queued the connection is closed: heed `drained`. */
void transport_write(struct transport *t, uint64_t conn, const void *data,
                     size_t size);

/** Closes after what was written has left and the peer has closed too, or after
 * 1 s; what still comes in is discarded. */
void transport_close_conn(struct transport *t, uint64_t conn);

/** Closes all connections and gives up all dials; their last events follow. The
 * listener stays. */
void transport_drop_all(struct transport *t);

/** Closes the connections that were dialed directly although there is a detour:
 * perhaps it can be taken now. Their last events follow. */
void transport_drop_direct(struct transport *t);

/** Writes what is queued now instead of at the end of the turn. */
void transport_flush(struct transport *t);

/** Loads the certificate files again for connections to come.
 * @return false and `why` as transport_open(); the old ones stay */
MUST_USE bool transport_reload(struct transport *t, char *why, size_t why_size);

/* The site id that belongs to a certificate file, for tools. 0 and `why` if the
 * file cannot be read. */
uint64_t transport_site_of(const char *cert_file, char *why, size_t why_size);

#endif
