#ifndef CIPHER_H
#define CIPHER_H

#include "netmgr/path/path.h"

/* The ciphers of paths, by OpenSSL: 0 is AES-128-GCM, 1 ChaCha20-Poly1305;
 * secrets by HKDF-Expand with SHA-256. For an insecure site the same, without
 * encryption and without a tag worth the name. */

/** One for all paths of a site. Ownership: gives; cipher_free(). */
struct path_aead *cipher_new(bool insecure);
void cipher_free(struct path_aead *a);

/** Whether this machine computes AES in hardware. */
bool cipher_aes_is_fast(void);

#endif
