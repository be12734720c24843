#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/** SipHash-1-3 of 16 bytes given as two words (Aumasson, Bernstein 2012). */
uint64_t hash_words(const uint64_t seed[2], uint64_t hi, uint64_t lo);

/** SipHash-2-4 of a byte string with a 128-bit key, 64-bit result; used where
 * the result is visible (names to UIs): the published test vectors hold. */
uint64_t hash_bytes(const uint64_t key[2], const void *data, size_t size);

/** Folds a word into a running trace hash; order matters. */
uint64_t hash_fold(uint64_t hash, uint64_t word);

#endif
