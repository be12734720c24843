#ifndef SIM_CIPHER_H
#define SIM_CIPHER_H

#include "netmgr/path/path.h"

/* A cipher for simulated paths: made of SipHash, quick, the same everywhere. A
 * wrong key, nonce, header or byte does not open; secret it is not. It counts
 * what a real one must never see: a nonce that comes twice under a key (only
 * the last 4,096 of each key are remembered). */
struct sim_cipher {
    uint64_t sealed, opened, refused;
    uint64_t keys;         /* alive */
    uint64_t nonces_twice; /* must be 0 */
};

/** The functions over `c`, which is borrowed for life. */
struct path_aead sim_cipher(struct sim_cipher *c);

#endif
