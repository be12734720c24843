#include "cipher.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

/* Every call of OpenSSL is checked: one that fails for another reason than a
 * wrong tag is a fault of this machine, and nothing may go out unsealed. */

struct cipher {
    struct path_aead table; /* first: see cipher_free() */
    EVP_KDF *kdf;
    EVP_CIPHER *aes;
    EVP_CIPHER *chacha;
};

struct ready {
    EVP_CIPHER_CTX *seal;
    EVP_CIPHER_CTX *open;
};

static void derive(void *ctx, const uint8_t secret[PATH_SECRET_BYTES],
                   const char *label, uint64_t number, uint8_t *out,
                   size_t size)
{
    const struct cipher *c = ctx;
    char digest[] = "SHA256";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    uint8_t key[PATH_SECRET_BYTES];
    char info[64];
    const int length = snprintf(info, sizeof info, "motet udp %s %llu", label,
                                (unsigned long long)number);
    CHECK(length > 0 && (size_t)length < sizeof info);
    memcpy(key, secret, sizeof key);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, sizeof key),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info,
                                          (size_t)length),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(c->kdf);
    CHECK(kdf != NULL);
    CHECK(EVP_KDF_derive(kdf, out, size, params) == 1);
    EVP_KDF_CTX_free(kdf);
    OPENSSL_cleanse(key, sizeof key);
}

static void *key_new(void *ctx, int cipher, const uint8_t key[PATH_KEY_BYTES])
{
    const struct cipher *c = ctx;
    const EVP_CIPHER *which = cipher == 0 ? c->aes : c->chacha;
    struct ready *r = calloc(1, sizeof *r);
    CHECK(r != NULL);
    r->seal = EVP_CIPHER_CTX_new();
    r->open = EVP_CIPHER_CTX_new();
    CHECK(r->seal != NULL && r->open != NULL);
    CHECK(EVP_EncryptInit_ex2(r->seal, which, key, NULL, NULL) == 1);
    CHECK(EVP_DecryptInit_ex2(r->open, which, key, NULL, NULL) == 1);
    return r;
}

static void key_free(void *ctx, void *key)
{
    struct ready *r = key;
    (void)ctx;
    EVP_CIPHER_CTX_free(r->seal); /* which erases it */
    EVP_CIPHER_CTX_free(r->open);
    free(r);
}

static void seal(void *ctx, void *key, const uint8_t nonce[PATH_NONCE_BYTES],
                 const uint8_t *aad, size_t aad_size, uint8_t *data,
                 size_t size)
{
    EVP_CIPHER_CTX *e = ((struct ready *)key)->seal;
    int done = 0;
    int last = 0;
    (void)ctx;
    CHECK(size > 0 && size <= PATH_DATAGRAM_MAX);
    CHECK(EVP_EncryptInit_ex2(e, NULL, NULL, nonce, NULL) == 1);
    CHECK(EVP_EncryptUpdate(e, NULL, &done, aad, (int)aad_size) == 1);
    CHECK(EVP_EncryptUpdate(e, data, &done, data, (int)size) == 1);
    CHECK(EVP_EncryptFinal_ex(e, data + done, &last) == 1);
    CHECK((size_t)(done + last) == size);
    CHECK(EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_GET_TAG, PATH_TAG_BYTES,
                              data + size) == 1);
}

static bool open_packet(void *ctx, void *key,
                        const uint8_t nonce[PATH_NONCE_BYTES],
                        const uint8_t *aad, size_t aad_size, uint8_t *data,
                        size_t size)
{
    EVP_CIPHER_CTX *d = ((struct ready *)key)->open;
    int done = 0;
    int last = 0;
    (void)ctx;
    CHECK(size <= PATH_DATAGRAM_MAX);
    return size > 0 && EVP_DecryptInit_ex2(d, NULL, NULL, nonce, NULL) == 1 &&
           EVP_DecryptUpdate(d, NULL, &done, aad, (int)aad_size) == 1 &&
           EVP_DecryptUpdate(d, data, &done, data, (int)size) == 1 &&
           EVP_CIPHER_CTX_ctrl(d, EVP_CTRL_AEAD_SET_TAG, PATH_TAG_BYTES,
                               data + size) == 1 &&
           EVP_DecryptFinal_ex(d, data + done, &last) == 1 &&
           (size_t)(done + last) == size;
}

/* ---- Without encryption ----------------------------------------------------
 */

static void *null_key_new(void *ctx, int cipher,
                          const uint8_t key[PATH_KEY_BYTES])
{
    (void)cipher, (void)key;
    return ctx;
}

static void null_key_free(void *ctx, void *key)
{
    (void)ctx, (void)key;
}

static void null_seal(void *ctx, void *key,
                      const uint8_t nonce[PATH_NONCE_BYTES], const uint8_t *aad,
                      size_t aad_size, uint8_t *data, size_t size)
{
    (void)ctx, (void)key, (void)nonce, (void)aad, (void)aad_size;
    memset(data + size, 0, PATH_TAG_BYTES);
}

static bool null_open(void *ctx, void *key,
                      const uint8_t nonce[PATH_NONCE_BYTES], const uint8_t *aad,
                      size_t aad_size, uint8_t *data, size_t size)
{
    static const uint8_t zeros[PATH_TAG_BYTES];
    (void)ctx, (void)key, (void)nonce, (void)aad, (void)aad_size;
    return size > 0 && memcmp(data + size, zeros, PATH_TAG_BYTES) == 0;
}

/* ---- Life ------------------------------------------------------------------
 */

struct path_aead *cipher_new(bool insecure)
{
    struct cipher *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    c->kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    c->aes = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    c->chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    CHECK(c->kdf != NULL && c->aes != NULL && c->chacha != NULL);
    c->table = (struct path_aead){
        .derive = derive,
        .key_new = insecure ? null_key_new : key_new,
        .key_free = insecure ? null_key_free : key_free,
        .seal = insecure ? null_seal : seal,
        .open = insecure ? null_open : open_packet,
        .ctx = c,
    };
    return &c->table;
}

void cipher_free(struct path_aead *a)
{
    struct cipher *c = (struct cipher *)(void *)a;
    if (c != NULL) {
        EVP_KDF_free(c->kdf);
        EVP_CIPHER_free(c->aes);
        EVP_CIPHER_free(c->chacha);
        free(c);
    }
}

bool cipher_aes_is_fast(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1UL << 3)) != 0; /* HWCAP_AES */
#else
    return false;
#endif
}
