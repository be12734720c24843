#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}

/* The state of SipHash (Aumasson, Bernstein 2012). */
struct hash_sip {
    uint64_t v[4];
};

static inline void hash_sip_init(struct hash_sip *h, const uint64_t key[2])
{
    h->v[0] = key[0] ^ 0x736f6d6570736575;
    h->v[1] = key[1] ^ 0x646f72616e646f6d;
    h->v[2] = key[0] ^ 0x6c7967656e657261;
    h->v[3] = key[1] ^ 0x7465646279746573;
}

static inline void hash_sip_round(struct hash_sip *h)
{
    uint64_t *v = h->v;
    v[0] += v[1];
    v[1] = hash_rotate(v[1], 13) ^ v[0];
    v[0] = hash_rotate(v[0], 32);
    v[2] += v[3];
    v[3] = hash_rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = hash_rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = hash_rotate(v[1], 17) ^ v[2];
    v[2] = hash_rotate(v[2], 32);
}

static inline uint64_t hash_sip_result(const struct hash_sip *h)
{
    return h->v[0] ^ h->v[1] ^ h->v[2] ^ h->v[3];
}

/** SipHash-1-3 of 16 bytes given as two words (hi first, each little-endian).
 * In the header because every look-up in a map begins with it. */
static inline uint64_t hash_words(const uint64_t seed[2], uint64_t hi,
                                  uint64_t lo)
{
    const uint64_t length = (uint64_t)16 << 56;
    struct hash_sip h;
    hash_sip_init(&h, seed);
    h.v[3] ^= hi;
    hash_sip_round(&h);
    h.v[0] ^= hi;
    h.v[3] ^= lo;
    hash_sip_round(&h);
    h.v[0] ^= lo;
    h.v[3] ^= length;
    hash_sip_round(&h);
    h.v[0] ^= length;
    h.v[2] ^= 0xff;
    hash_sip_round(&h);
    hash_sip_round(&h);
    hash_sip_round(&h);
    return hash_sip_result(&h);
}

/** SipHash-2-4 of a byte string with a 128-bit key, 64-bit result; used where
 * the result is visible (names to UIs): the published test vectors hold. */
uint64_t hash_bytes(const uint64_t key[2], const void *data, size_t size);

/** Folds a word into a running trace hash; order matters. A bijection of the
 * hash for each word, so that a difference once made stays. */
static inline uint64_t hash_fold(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) + 0x9e3779b97f4a7c15;
    hash *= 0xbf58476d1ce4e5b9;
    return hash ^ hash >> 32;
}

#endif
