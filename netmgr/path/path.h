#ifndef PATH_H
#define PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "nucleus/base/mem.h"

/* One UDP path between two sites: datagrams and time in, datagrams out, one
 * deadline. It carries frames and does not look into them. Pure; the cipher is
 * handed in as a table of functions.
 *
 * Reliability: every frame given to path_send() (but for PATH_LOOSE) arrives,
 * once, or the path is PATH_DOWN and nobody knows which did: the flows above
 * then go on by another way. Frames of one stream arrive in the order sent;
 * different streams do not wait for each other. Loss is found and repaired as
 * in RFC 9002: packet and time threshold, probes; NewReno; pacing.
 *
 * Order without a table of streams: each frame has a number, and says how far
 * back the one before it in its stream is, unless all those have arrived. The
 * receiver delivers it when that one was delivered. At most PATH_FRAMES_MAX
 * frames are under way, so that a bitmap is all that the receiver needs.
 *
 * Packet: header of 16 bytes, all of it authenticated, then the sealed frames:
 *
 *   0 u8 PATH_VERSION   1 u8 key number   2 u16 life
 *   4 u32 id, of the path at the receiver  8 u64 counter
 *
 * The counter rises with every packet for the life of a path, over all its
 * keys, and nonce = IV xor counter: no nonce comes twice, since no counter
 * does; at `counter_max` the path ends. A path that ended is followed by
 * another `life` with fresh keys.
 *
 * Keys: key n of a direction, and the secret of key n + 1, come from the secret
 * of n, which is then erased. The sender takes the next key after `key_packets`
 * or `key_ns`, once a packet under the present one was acknowledged and none
 * under an older one is outstanding; so the receiver needs the present key and
 * the one before, and loses no packet that still counts.
 *
 * Addresses: nothing but a challenge is sent to an address from which no answer
 * to a challenge came. Packets from a new address start a challenge to it; data
 * goes on to the old one until it is answered. What does not open is dropped
 * without an answer. */

struct path;

enum {
    PATH_VERSION = 0xb1,
    PATH_HEADER_BYTES = 16,
    PATH_TAG_BYTES = 16,
    PATH_SECRET_BYTES = 32,
    PATH_KEY_BYTES = 32, /* a cipher with shorter keys takes the first bytes */
    PATH_NONCE_BYTES = 12,
    PATH_MTU_MIN = 1200,       /* of a datagram's contents, everywhere */
    PATH_DATAGRAM_MAX = 16384, /* above it only bursts would grow */
    PATH_FRAME_OVERHEAD = 9,   /* in a packet */
    /* the largest frame at PATH_MTU_MIN */
    PATH_FRAME_BYTES_MIN =
        PATH_MTU_MIN - PATH_HEADER_BYTES - PATH_TAG_BYTES - PATH_FRAME_OVERHEAD,
    PATH_FRAMES_MAX = 16384,       /* under way */
    PATH_PACKETS_MAX = 8192,       /* not yet acknowledged */
    PATH_HELD_BYTES_MAX = 4 << 20, /* waiting for an earlier frame */
    PATH_REPLAY_WINDOW = 1024,
    PATH_ADDR_BYTES = 28,
};

/* Where datagrams go and come from: bytes of the driver's, compared only. */
struct path_addr {
    uint8_t size; /* 0 = none */
    uint8_t bytes[PATH_ADDR_BYTES];
};

/* A cipher with associated data. All in place; no call may fail but open. */
struct path_aead {
    /** `size` bytes from a secret and a label, as HKDF-Expand. */
    void (*derive)(void *ctx, const uint8_t secret[PATH_SECRET_BYTES],
                   const char *label, uint64_t number, uint8_t *out,
                   size_t size);
    /** Makes a key ready. Ownership: gives; key_free() erases it. */
    void *(*key_new)(void *ctx, int cipher, const uint8_t key[PATH_KEY_BYTES]);
    void (*key_free)(void *ctx, void *key);
    /** Encrypts `size` bytes in place, 1 or more, and writes the tag after
     * them. */
    void (*seal)(void *ctx, void *key, const uint8_t nonce[PATH_NONCE_BYTES],
                 const uint8_t *aad, size_t aad_size, uint8_t *data,
                 size_t size);
    /** Decrypts `size` bytes in place if the tag after them is right.
     * @return false: forged; `data` then has no meaning */
    bool (*open)(void *ctx, void *key, const uint8_t nonce[PATH_NONCE_BYTES],
                 const uint8_t *aad, size_t aad_size, uint8_t *data,
                 size_t size);
    void *ctx;
};

/* Limits that a test makes small. */
struct path_limits {
    uint64_t key_packets;  /* 2^24 under one key, then the next is wanted */
    uint64_t key_hard;     /* 2^25: without the next one the path ends */
    uint64_t key_ns;       /* 10 minutes */
    uint64_t counter_max;  /* 2^62 packets */
    uint64_t forged_max;   /* 2^36 packets that did not open end the path */
    uint32_t mtu_max;      /* PATH_DATAGRAM_MAX: probed up to it */
    uint32_t window_bytes; /* 4 MiB under way at most */
};

struct path_limits path_limits_default(void);

struct path_config {
    bool dialed;     /* this side speaks first; it knows `addr` */
    int cipher;      /* handed to key_new() */
    uint16_t life;   /* fresh for every path of a secret, from 1 */
    uint32_t id_in;  /* in the packets that come; ... */
    uint32_t id_out; /* ... and in those that go */
    uint8_t secret[PATH_SECRET_BYTES]; /* of both sides, of this life */
    uint64_t token_key[2]; /* local, not known to others: of challenges */
    struct path_addr addr; /* where the other side is thought to be */
    const struct path_aead *aead; /* borrowed for life */
    struct path_limits limits;
    struct mem *mem; /* borrowed for life */
    uint64_t now_ns;
};

enum path_state {
    PATH_PROVING = 1, /* nothing but challenges until one was answered */
    PATH_UP,
    PATH_DOWN, /* for good; path_why() */
};

enum path_class {
    PATH_DATA = 1, /* behind other data */
    PATH_URGENT,   /* before it */
    PATH_LOOSE,    /* before it, and not sent again if it is lost */
};

/** @return NULL at the memory cap */
struct path *path_create(const struct path_config *cfg);
/** Releases and erases all. NULL is allowed. */
void path_destroy(struct path *p);

enum path_state path_state(const struct path *p);
/** Why it is down; never NULL. */
const char *path_why(const struct path *p);

/** The life and the id in the header of a datagram. @return false: no packet */
MUST_USE bool path_peek(const uint8_t *data, size_t size, uint32_t *id,
                        uint16_t *life);

enum path_taken {
    PATH_TAKEN,   /* take its frames with path_frame() */
    PATH_DROPPED, /* forged, old, or came twice: nothing happened */
    PATH_BROKEN,  /* the other side breaks the protocol; the path is down */
};

/**
 * A datagram came.
 *
 * @param plain  scratch of PATH_DATAGRAM_MAX bytes, borrowed until the frames
 *               were taken
 */
MUST_USE enum path_taken path_receive(struct path *p, uint64_t now_ns,
                                      const struct path_addr *from,
                                      const uint8_t *data, size_t size,
                                      uint8_t *plain);

/** The next frame that can be delivered; borrowed until the next call. Call it
 * until there is none after each path_receive(). @return false: none */
MUST_USE bool path_frame(struct path *p, const uint8_t **data, size_t *size);

/**
 * Queues a frame (copied) of at most path_frame_max() bytes.
 *
 * @param stream  frames of one stream arrive in order; all of a stream have one
 *                class. 0: no order
 * @return false at the memory cap
 */
MUST_USE bool path_send(struct path *p, enum path_class class, uint64_t stream,
                        const void *data, size_t size);

/** As path_send(), but the caller writes the `size` bytes. NULL at the cap. */
uint8_t *path_room(struct path *p, enum path_class class, uint64_t stream,
                   size_t size);

/** The largest frame that may be sent now; rises with what the way carries. */
size_t path_frame_max(const struct path *p);

/**
 * The next datagram to send, if there is one and it may leave now.
 *
 * @param out  room of PATH_DATAGRAM_MAX bytes
 * @return its size, 0 = none
 */
size_t path_write(struct path *p, uint64_t now_ns, uint8_t *out,
                  struct path_addr *to);

/** Tells the other side that the path ends; best effort. As path_write(). */
size_t path_farewell(struct path *p, uint64_t now_ns, uint8_t *out,
                     struct path_addr *to);

/** Bytes of frames that left for the first time since the last call. */
uint64_t path_drained(struct path *p);

/** When path_tick() is due, DEADLINE_NEVER if not. After path_write() has given
 * all it can. */
uint64_t path_deadline_ns(const struct path *p);
void path_tick(struct path *p, uint64_t now_ns);

struct path_stats {
    uint64_t rtt_ns; /* smoothed; 0 = not known */
    uint64_t rtt_var_ns;
    uint32_t mtu;
    uint64_t window_bytes, flight_bytes; /* congestion window; under way */
    uint64_t queue_bytes;                /* not sent yet */
    uint64_t tx_packets, rx_packets;     /* datagrams */
    uint64_t tx_bytes, rx_bytes;
    uint64_t tx_frames, rx_frames;
    uint64_t retrans;   /* frames sent again */
    uint64_t lost;      /* packets */
    uint64_t dups;      /* packets or frames that came twice */
    uint64_t defs;      /* frames that waited for an earlier one */
    uint64_t forged;    /* datagrams that did not open */
    uint64_t congested; /* times the window was made smaller */
    uint32_t key_out, key_in;
};

struct path_stats path_stats(const struct path *p);

#endif
