#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "netmgr/uv/cipher.h"
#include "netmgr/uv/udp.h"

/* The driver of datagrams, and the ciphers. */

TestSuite(udp, .timeout = 20);

struct ground {
    uv_loop_t loop;
    struct udp *a, *b;
    struct path_addr a_addr, b_addr;
    uint64_t came, wrong, bytes;
    uint64_t next; /* number expected */
    struct path_addr from;
};

static void on_datagram(void *ctx, const struct path_addr *from,
                        const uint8_t *data, size_t size)
{
    struct ground *g = ctx;
    uint64_t number = 0;
    memcpy(&number, data, size < 8 ? size : 8);
    g->wrong += size >= 8 && number != g->next;
    g->next = number + 1;
    g->came++;
    g->bytes += size;
    g->from = *from;
}

static struct udp *open_at(struct ground *g, struct path_addr *addr)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof sa;
    int err = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&sa, &size), 0);
    close(fd);
    struct udp *u = udp_open(&g->loop, (struct sockaddr *)&sa, sizeof sa,
                             on_datagram, g, &err);
    cr_assert_not_null(u, "%s", strerror(err));
    cr_assert(udp_addr((struct sockaddr *)&sa, addr));
    return u;
}

static void open_ground(struct ground *g)
{
    memset(g, 0, sizeof *g);
    cr_assert_eq(uv_loop_init(&g->loop), 0);
    g->a = open_at(g, &g->a_addr);
    g->b = open_at(g, &g->b_addr);
}

static void close_ground(struct ground *g)
{
    udp_close(g->a, NULL);
    udp_close(g->b, NULL);
    cr_assert_eq(uv_run(&g->loop, UV_RUN_DEFAULT), 0);
    cr_assert_eq(uv_loop_close(&g->loop), 0);
}

static void run_until(struct ground *g, uint64_t came)
{
    for (int i = 0; i < 2000 && g->came < came; i++) {
        uv_run(&g->loop, UV_RUN_NOWAIT);
        usleep(g->came < came ? 500 : 0);
    }
}

static void send_numbered(struct ground *g, uint64_t number, size_t size)
{
    uint8_t data[PATH_DATAGRAM_MAX] = {0};
    memcpy(data, &number, 8);
    udp_send(g->a, &g->b_addr, data, size);
}

Test(udp, what_is_sent_in_a_turn_leaves_together_and_arrives_in_order)
{
    struct ground g;
    open_ground(&g);
    for (uint64_t i = 0; i < 500; i++) {
        send_numbered(&g, i, 200);
    }
    udp_flush(g.a);
    run_until(&g, 500);
    cr_assert_eq(g.came, 500);
    cr_assert_eq(g.wrong, 0);
    cr_assert_eq(g.bytes, 500 * 200);
    cr_assert_eq(memcmp(&g.from, &g.a_addr, sizeof g.from), 0);
    const struct udp_counts sent = udp_counts(g.a);
    const struct udp_counts got = udp_counts(g.b);
    cr_assert_eq(sent.datagrams_out, 500);
    cr_assert_leq(sent.sends, 500 / 32 + 2);
    if (sent.segments) {
        cr_assert_leq(sent.sends, 2, "%llu", (unsigned long long)sent.sends);
    }
    cr_assert_lt(got.receives, 200);
    close_ground(&g);
}

Test(udp, sizes_are_kept_whatever_is_gathered)
{
    static const size_t sizes[] = {1200,  1200, 600, 1200, 9,     16384,
                                   16384, 8,    8,   8,    16384, 1472};
    struct ground g;
    uint64_t bytes = 0;
    open_ground(&g);
    for (uint64_t i = 0; i < ARRAY_LEN(sizes); i++) {
        send_numbered(&g, i, sizes[i]);
        bytes += sizes[i];
    }
    udp_flush(g.a);
    run_until(&g, ARRAY_LEN(sizes));
    cr_assert_eq(g.came, ARRAY_LEN(sizes));
    cr_assert_eq(g.wrong, 0);
    cr_assert_eq(g.bytes, bytes);
    close_ground(&g);
}

Test(udp, more_than_the_batch_leaves_in_several)
{
    struct ground g;
    open_ground(&g);
    for (uint64_t i = 0; i < 80; i++) { /* more than is gathered at once */
        send_numbered(&g, i, PATH_DATAGRAM_MAX);
        run_until(&g, i < 30 ? 0 : i - 30);
    }
    udp_flush(g.a);
    run_until(&g, 80);
    const struct udp_counts got = udp_counts(g.b);
    cr_assert_eq(g.came + got.dropped_in, 80);
    close_ground(&g);
}

Test(udp, a_taken_port_is_told)
{
    struct ground g;
    struct sockaddr_in sa;
    int err = 0;
    open_ground(&g);
    memcpy(&sa, g.a_addr.bytes, sizeof sa);
    cr_assert_null(udp_open(&g.loop, (struct sockaddr *)&sa, sizeof sa,
                            on_datagram, &g, &err));
    cr_assert_eq(err, EADDRINUSE);
    close_ground(&g);
}

/* ---- Ciphers ---------------------------------------------------------------
 */

Test(udp, ciphers_open_what_they_sealed_and_nothing_else)
{
    static const uint8_t key[PATH_KEY_BYTES] = {1, 2, 3};
    const uint8_t nonce[PATH_NONCE_BYTES] = {4};
    const uint8_t other[PATH_NONCE_BYTES] = {5};
    struct path_aead *a = cipher_new(false);
    for (int cipher = 0; cipher < 2; cipher++) {
        uint8_t aad[16] = {9};
        uint8_t data[100 + PATH_TAG_BYTES] = "hello";
        uint8_t copy[sizeof data];
        void *k = a->key_new(a->ctx, cipher, key);
        a->seal(a->ctx, k, nonce, aad, 16, data, 100);
        cr_assert_neq(memcmp(data, "hello", 5), 0);
        for (size_t bit = 0; bit < sizeof data * 8; bit++) {
            memcpy(copy, data, sizeof data);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            cr_assert_not(a->open(a->ctx, k, nonce, aad, 16, copy, 100));
        }
        memcpy(copy, data, sizeof data);
        cr_assert_not(a->open(a->ctx, k, other, aad, 16, copy, 100));
        memcpy(copy, data, sizeof data);
        aad[3] = 1;
        cr_assert_not(a->open(a->ctx, k, nonce, aad, 16, copy, 100));
        aad[3] = 0;
        memcpy(copy, data, sizeof data);
        cr_assert_not(a->open(a->ctx, k, nonce, aad, 16, copy, 0));
        cr_assert(a->open(a->ctx, k, nonce, aad, 16, data, 100));
        cr_assert_str_eq((char *)data, "hello");
        a->key_free(a->ctx, k);
    }
    cipher_free(a);
}

/* Test case 3 of "The Galois/Counter Mode of Operation" (McGrew, Viega), its
 * first block: that it is AES-128-GCM indeed. */
Test(udp, aes_is_aes)
{
    static const uint8_t key[PATH_KEY_BYTES] = {
        0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
        0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
    static const uint8_t nonce[PATH_NONCE_BYTES] = {
        0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
    uint8_t data[16 + PATH_TAG_BYTES] = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84,
                                         0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5,
                                         0xaf, 0xf5, 0x26, 0x9a};
    static const uint8_t sealed[16] = {0x42, 0x83, 0x1e, 0xc2, 0x21, 0x77,
                                       0x74, 0x24, 0x4b, 0x72, 0x21, 0xb7,
                                       0x84, 0xd0, 0xd4, 0x9c};
    const uint8_t aad[16] = {0};
    struct path_aead *a = cipher_new(false);
    void *k = a->key_new(a->ctx, 0, key);
    a->seal(a->ctx, k, nonce, aad, 16, data, 16);
    cr_assert_eq(memcmp(data, sealed, 16), 0);
    a->key_free(a->ctx, k);
    cipher_free(a);
}

Test(udp, secrets_differ_by_label_and_number)
{
    static const uint8_t secret[PATH_SECRET_BYTES] = {1};
    uint8_t out[4][PATH_SECRET_BYTES];
    struct path_aead *a = cipher_new(true);
    a->derive(a->ctx, secret, "key", 0, out[0], 32);
    a->derive(a->ctx, secret, "key", 1, out[1], 32);
    a->derive(a->ctx, secret, "iv", 0, out[2], 32);
    a->derive(a->ctx, secret, "key", 0, out[3], 32);
    cr_assert_eq(memcmp(out[0], out[3], 32), 0);
    cr_assert_neq(memcmp(out[0], out[1], 32), 0);
    cr_assert_neq(memcmp(out[0], out[2], 32), 0);
    cipher_free(a);
}
