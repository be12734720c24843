#include "nucleus/base/hash.h"

static uint64_t load_le(const uint8_t *p, size_t size)
{
    uint64_t v = 0;
    for (size_t i = 0; i < size; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static void absorb(struct hash_sip *h, uint64_t word)
{
    h->v[3] ^= word;
    hash_sip_round(h);
    hash_sip_round(h);
    h->v[0] ^= word;
}

uint64_t hash_bytes(const uint64_t key[2], const void *data, size_t size)
{
    const uint8_t *p = data;
    const size_t whole = size - size % 8;
    struct hash_sip h;
    hash_sip_init(&h, key);
    for (size_t at = 0; at < whole; at += 8) {
        absorb(&h, load_le(p + at, 8));
    }
    uint64_t last = (uint64_t)size << 56;
    if (size > whole) {
        last |= load_le(p + whole, size - whole);
    }
    absorb(&h, last);
    h.v[2] ^= 0xff;
    for (int i = 0; i < 4; i++) {
        hash_sip_round(&h);
    }
    return hash_sip_result(&h);
}
