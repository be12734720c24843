#include <criterion/criterion.h>

#include "nucleus/base/hash.h"

TestSuite(hash, .timeout = 5);

/* Key 00 01 .. 0f; input 00 01 .., as in the paper and its reference code. */
static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/* clang-format off */
static const struct {
    size_t size;
    uint64_t hash;
} vectors[] = {
    {0, 0x726fdb47dd0e0e31},
    {1, 0x74f839c593dc67fd},
    {2, 0x0d6c8009d9a94f5a},
    {3, 0x85676696d7fb7e2d},
    {7, 0xab0200f58b01d137},
    {8, 0x93f5f5799a932462},
    {9, 0x9e0082df0ba9e4b0},
    {15, 0xa129ca6149be45e5},
    {16, 0x3f2acc7f57c29bdb},
    {17, 0x699ae9f52cbe4794},
    {63, 0x958a324ceb064572},
};
/* clang-format on */

Test(hash, siphash_2_4_gives_the_published_vectors)
{
    uint8_t input[64];
    for (uint8_t i = 0; i < 64; i++) {
        input[i] = i;
    }
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        cr_expect_eq(hash_bytes(key, input, vectors[i].size), vectors[i].hash,
                     "%zu bytes", vectors[i].size);
    }
    cr_expect_eq(hash_bytes(key, NULL, 0), vectors[0].hash);
}

/* As computed by OpenSSL's SIPHASH with c-rounds 1 and d-rounds 3. */
Test(hash, words_are_siphash_1_3_of_16_bytes)
{
    cr_assert_eq(hash_words(key, 0x0706050403020100, 0x0f0e0d0c0b0a0908),
                 0xcc4fdd1a7d908b66);
}

Test(hash, the_order_of_folding_matters)
{
    const uint64_t ab = hash_fold(hash_fold(0, 1), 2);
    cr_assert_neq(ab, hash_fold(hash_fold(0, 2), 1));
    cr_assert_neq(hash_fold(0, 0), 0, "a zero counts");
    cr_assert_neq(hash_fold(hash_fold(0, 0), 0), hash_fold(0, 0));
}
