#include "cipher.h"

#include <stdlib.h>
#include <string.h>

#include "nucleus/base/hash.h"

enum { NONCES = 4096 };

struct sim_key {
    uint64_t stream[2];
    uint64_t tag[2];
    uint64_t nonces[NONCES]; /* by their lowest bits */
    bool sealed[NONCES];
};

static uint64_t word(const uint8_t *at, size_t size)
{
    uint64_t w = 0;
    memcpy(&w, at, size < 8 ? size : 8);
    return w;
}

static void derive(void *ctx, const uint8_t secret[PATH_SECRET_BYTES],
                   const char *label, uint64_t number, uint8_t *out,
                   size_t size)
{
    (void)ctx;
    const uint64_t a[2] = {word(secret, 8), word(secret + 8, 8)};
    const uint64_t b[2] = {word(secret + 16, 8), word(secret + 24, 8)};
    const uint64_t name = hash_bytes(a, label, strlen(label));
    for (size_t at = 0; at < size; at += 8) {
        const uint64_t w = hash_words(b, name ^ at, number);
        memcpy(out + at, &w, size - at < 8 ? size - at : 8);
    }
}

static void *key_new(void *ctx, int cipher, const uint8_t key[PATH_KEY_BYTES])
{
    struct sim_cipher *c = ctx;
    struct sim_key *k = calloc(1, sizeof *k);
    CHECK(k != NULL);
    k->stream[0] = word(key, 8) ^ (uint64_t)cipher;
    k->stream[1] = word(key + 8, 8);
    k->tag[0] = word(key + 16, 8);
    k->tag[1] = word(key + 24, 8);
    c->keys++;
    return k;
}

static void key_free(void *ctx, void *key)
{
    ((struct sim_cipher *)ctx)->keys--;
    free(key);
}

static uint64_t nonce_word(const uint8_t nonce[PATH_NONCE_BYTES])
{
    return word(nonce, 8) * 31 ^ word(nonce + 8, 4);
}

static void crypt(const struct sim_key *k, uint64_t nonce, uint8_t *data,
                  size_t size)
{
    for (size_t at = 0; at < size; at += 8) {
        const uint64_t w =
            word(data + at, size - at) ^ hash_words(k->stream, nonce, at);
        memcpy(data + at, &w, size - at < 8 ? size - at : 8);
    }
}

static void tag_of(const struct sim_key *k, uint64_t nonce, const uint8_t *aad,
                   size_t aad_size, const uint8_t *data, size_t size,
                   uint64_t tag[2])
{
    const uint64_t over =
        hash_bytes(k->tag, aad, aad_size) ^ hash_bytes(k->stream, data, size);
    tag[0] = hash_words(k->tag, over, nonce);
    tag[1] = hash_words(k->tag, tag[0], size);
}

static void count_nonce(struct sim_cipher *c, struct sim_key *k,
                        const uint8_t nonce[PATH_NONCE_BYTES])
{
    const uint64_t low = nonce[PATH_NONCE_BYTES - 1] |
                         (uint64_t)(nonce[PATH_NONCE_BYTES - 2] & 0x0f) << 8;
    const uint64_t w = nonce_word(nonce);
    c->nonces_twice += k->sealed[low] && k->nonces[low] == w;
    k->nonces[low] = w;
    k->sealed[low] = true;
}

static void seal(void *ctx, void *key, const uint8_t nonce[PATH_NONCE_BYTES],
                 const uint8_t *aad, size_t aad_size, uint8_t *data,
                 size_t size)
{
    struct sim_cipher *c = ctx;
    const uint64_t n = nonce_word(nonce);
    uint64_t tag[2];
    CHECK(size > 0);
    count_nonce(c, key, nonce);
    c->sealed++;
    crypt(key, n, data, size);
    tag_of(key, n, aad, aad_size, data, size, tag);
    memcpy(data + size, tag, PATH_TAG_BYTES);
}

static bool open(void *ctx, void *key, const uint8_t nonce[PATH_NONCE_BYTES],
                 const uint8_t *aad, size_t aad_size, uint8_t *data,
                 size_t size)
{
    struct sim_cipher *c = ctx;
    const uint64_t n = nonce_word(nonce);
    uint64_t tag[2];
    tag_of(key, n, aad, aad_size, data, size, tag);
    if (memcmp(data + size, tag, PATH_TAG_BYTES) != 0) {
        c->refused++;
        return false;
    }
    crypt(key, n, data, size);
    c->opened++;
    return true;
}

struct path_aead sim_cipher(struct sim_cipher *c)
{
    return (struct path_aead){
        .derive = derive,
        .key_new = key_new,
        .key_free = key_free,
        .seal = seal,
        .open = open,
        .ctx = c,
    };
}
