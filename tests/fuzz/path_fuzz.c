#include <string.h>

#include "deploy/sim/cipher.h"
#include "netmgr/path/path.h"
#include "nucleus/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever bytes come to a path: no CHECK fires, nothing is read outside them,
 * memory stays within its limits, and nothing is said to who cannot seal. The
 * first byte says what the others are:
 *
 *   0  a datagram of a stranger, as it is
 *   1  the contents of packets that do open: a hostile other side. Each is a
 *      byte of counter step, two of size, the contents
 *   2  as 1, but each is then changed at one byte on its way */

static struct sim_cipher cipher;
static struct path_aead aead;
static struct mem mem;
static void *key; /* of the other side: what it seals, the path opens */
static uint8_t iv[PATH_NONCE_BYTES];
static uint64_t now;

static const struct path_addr there = {.size = 1, .bytes = {1}};
static const struct path_addr elsewhere = {.size = 1, .bytes = {2}};

static void set_up(void)
{
    static const uint8_t secret[PATH_SECRET_BYTES] = {7};
    uint8_t from_dialer[PATH_SECRET_BYTES];
    uint8_t bytes[PATH_KEY_BYTES];

    mem_init(&mem, 16 << 20);
    aead = sim_cipher(&cipher);
    aead.derive(&cipher, secret, "from dialer", 0, from_dialer,
                sizeof from_dialer);
    aead.derive(&cipher, from_dialer, "key", 0, bytes, sizeof bytes);
    aead.derive(&cipher, from_dialer, "iv", 0, iv, sizeof iv);
    key = aead.key_new(&cipher, 0, bytes);
}

static struct path *new_path(void)
{
    const struct path_config c = {
        .life = 1,
        .id_in = 5,
        .id_out = 6,
        .secret = {7},
        .token_key = {1, 2},
        .aead = &aead,
        .limits = path_limits_default(),
        .mem = &mem,
        .now_ns = now,
    };
    struct path *p = path_create(&c);
    CHECK(p != NULL);
    return p;
}

/* Seals as the dialer would. @return the size of the packet */
static size_t seal(uint8_t *packet, uint64_t counter, const uint8_t *contents,
                   size_t size)
{
    uint8_t nonce[PATH_NONCE_BYTES];
    memset(packet, 0, PATH_HEADER_BYTES);
    packet[0] = PATH_VERSION;
    packet[2] = 1; /* life */
    packet[4] = 5; /* id */
    for (unsigned i = 0; i < 8; i++) {
        packet[8 + i] = (uint8_t)(counter >> 8 * i);
    }
    memcpy(nonce, iv, sizeof nonce);
    for (unsigned i = 0; i < 8; i++) {
        nonce[PATH_NONCE_BYTES - 1 - i] ^= (uint8_t)(counter >> 8 * i);
    }
    memcpy(packet + PATH_HEADER_BYTES, contents, size);
    aead.seal(&cipher, key, nonce, packet, PATH_HEADER_BYTES,
              packet + PATH_HEADER_BYTES, size);
    return PATH_HEADER_BYTES + size + PATH_TAG_BYTES;
}

static void write_all(struct path *p, uint64_t *told)
{
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    size_t size;

    for (unsigned n = 0; (size = path_write(p, now, out, &to)) > 0; n++) {
        CHECK(n < 1000);
        CHECK(size <= PATH_DATAGRAM_MAX);
        *told += size;
    }
}

static void give(struct path *p, const struct path_addr *from,
                 const uint8_t *data, size_t size)
{
    static uint8_t plain[PATH_DATAGRAM_MAX];
    const uint8_t *frame;
    size_t frame_size;
    size_t total = 0;

    if (path_receive(p, now, from, data, size, plain) != PATH_TAKEN) {
        return;
    }
    while (path_frame(p, &frame, &frame_size)) {
        CHECK(frame_size > 0 && frame_size <= PATH_DATAGRAM_MAX);
        for (size_t i = 0; i < frame_size; i++) {
            total += frame[i]; /* all of it can be read */
        }
    }
    CHECK(total < SIZE_MAX);
}

static void stranger(const uint8_t *data, size_t size)
{
    struct path *p = new_path();
    uint64_t told = 0;

    give(p, &elsewhere, data, size);
    write_all(p, &told);
    CHECK(told == 0);
    CHECK(path_state(p) == PATH_PROVING);
    path_destroy(p);
}

/* The other side has proved its address: it answers our challenge. */
static uint64_t prove(struct path *p, uint8_t *packet)
{
    static const uint8_t challenge[1100] = {3, 1, 2, 3, 4, 5, 6, 7, 8};
    static uint8_t out[PATH_DATAGRAM_MAX];
    uint8_t answer[9] = {4};
    struct path_addr to;

    give(p, &there, packet, seal(packet, 0, challenge, sizeof challenge));
    const size_t size = path_write(p, now, out, &to);
    CHECK(size > 0);
    /* its token stands behind the answer to ours; by the rule of the toy */
    static const uint8_t secret[PATH_SECRET_BYTES] = {7};
    uint8_t from_acceptor[PATH_SECRET_BYTES];
    uint8_t bytes[PATH_KEY_BYTES];
    uint8_t nonce[PATH_NONCE_BYTES];
    aead.derive(&cipher, secret, "from acceptor", 0, from_acceptor,
                sizeof from_acceptor);
    aead.derive(&cipher, from_acceptor, "key", 0, bytes, sizeof bytes);
    aead.derive(&cipher, from_acceptor, "iv", 0, nonce, sizeof nonce);
    void *theirs = aead.key_new(&cipher, 0, bytes);
    CHECK(aead.open(&cipher, theirs, nonce, out, PATH_HEADER_BYTES,
                    out + PATH_HEADER_BYTES,
                    size - PATH_HEADER_BYTES - PATH_TAG_BYTES));
    aead.key_free(&cipher, theirs);
    const uint8_t *pieces = out + PATH_HEADER_BYTES;
    CHECK(pieces[0] == 4 && pieces[9] == 3);
    memcpy(answer + 1, pieces + 10, 8);
    give(p, &there, packet, seal(packet, 1, answer, sizeof answer));
    CHECK(path_state(p) == PATH_UP);
    return 2;
}

static void hostile(const uint8_t *data, size_t size, bool spoil)
{
    static uint8_t packet[PATH_DATAGRAM_MAX];
    struct path *p = new_path();
    uint64_t counter = prove(p, packet);
    uint64_t told = 0;

    while (size >= 4 && path_state(p) == PATH_UP) {
        const size_t want = data[1] | (size_t)(data[2] & 0x0f) << 8;
        size_t n = want < size - 3 ? want : size - 3;
        n = n == 0 ? 1 : n;
        counter += data[0] & 7;
        CHECK(path_send(p, PATH_DATA, data[0], data, 1));
        size_t sealed = seal(packet, counter, data + 3, n);
        if (spoil) {
            packet[data[0] % sealed] ^= 1;
        }
        give(p, (data[0] & 8) != 0 ? &elsewhere : &there, packet, sealed);
        now += (uint64_t)data[0] * 100000;
        path_tick(p, now);
        write_all(p, &told);
        CHECK(mem.used_bytes < 8 << 20);
        data += 3 + n;
        size -= 3 + n;
    }
    path_destroy(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (key == NULL) {
        set_up();
    }
    if (size == 0) {
        return 0;
    }
    now = UINT64_C(1000000000);
    if (data[0] % 3 == 0) {
        stranger(data + 1, size - 1);
    } else {
        hostile(data + 1, size - 1, data[0] % 3 == 2);
    }
    CHECK(mem.blocks == 0);
    return 0;
}
