#include <string.h>

#include "inside.h"

/* Keys, counters, the replay window. */

/* Not left out by the compiler, as memset() of what is freed would be. */
void wipe(void *data, size_t size)
{
    volatile uint8_t *at = data;
    for (size_t i = 0; i < size; i++) {
        at[i] = 0;
    }
}

/* ---- Keys ------------------------------------------------------------------
 */

/* Key `number` of a direction; `secret` becomes that of the next. */
static void key_make(struct path *p, struct key *k, uint64_t number,
                     uint8_t secret[PATH_SECRET_BYTES])
{
    const struct path_aead *a = p->aead;
    uint8_t bytes[PATH_KEY_BYTES];
    uint8_t next[PATH_SECRET_BYTES];
    a->derive(a->ctx, secret, "key", number, bytes, sizeof(bytes));
    a->derive(a->ctx, secret, "iv", number, k->iv, sizeof(k->iv));
    a->derive(a->ctx, secret, "next", number, next, sizeof(next));
    k->ready = a->key_new(a->ctx, p->cipher, bytes);
    k->number = number;
    memcpy(secret, next, sizeof(next));
    wipe(bytes, sizeof(bytes));
    wipe(next, sizeof(next));
}

static void key_drop(struct path *p, struct key *k)
{
    if (k->ready != NULL) {
        p->aead->key_free(p->aead->ctx, k->ready);
    }
    wipe(k, sizeof(*k));
}

void protect_init(struct path *p, const uint8_t secret[PATH_SECRET_BYTES])
{
    const struct path_aead *a = p->aead;
    const char *out = p->dialed ? "from dialer" : "from acceptor";
    const char *in = p->dialed ? "from acceptor" : "from dialer";
    a->derive(a->ctx, secret, out, 0, p->tx_secret, PATH_SECRET_BYTES);
    a->derive(a->ctx, secret, in, 0, p->rx_secret, PATH_SECRET_BYTES);
    key_make(p, &p->tx, 0, p->tx_secret);
    key_make(p, &p->rx, 0, p->rx_secret);
    p->tx_since_ns = p->now;
}

void protect_fini(struct path *p)
{
    key_drop(p, &p->tx);
    key_drop(p, &p->rx);
    key_drop(p, &p->rx_old);
    key_drop(p, &p->rx_next);
    wipe(p->tx_secret, sizeof(p->tx_secret));
    wipe(p->rx_secret, sizeof(p->rx_secret));
}

static void nonce_of(const struct key *k, uint64_t counter,
                     uint8_t nonce[PATH_NONCE_BYTES])
{
    memcpy(nonce, k->iv, PATH_NONCE_BYTES);
    for (unsigned i = 0; i < 8; i++) {
        nonce[PATH_NONCE_BYTES - 1 - i] ^= (uint8_t)(counter >> 8 * i);
    }
}

/* ---- Sealing ---------------------------------------------------------------
 */

/* The other side has the present key, and nothing that still counts is under an
 * older one: only then may the next one be used. */
static bool may_rekey(const struct path *p)
{
    return p->tx_confirmed && p->sent_low >= p->tx_first;
}

static void rekey_out(struct path *p)
{
    const uint64_t number = p->tx.number + 1;
    key_drop(p, &p->tx);
    key_make(p, &p->tx, number, p->tx_secret);
    p->tx_first = p->counter;
    p->tx_since_ns = p->now;
    p->tx_confirmed = false;
    p->stats.key_out = (uint32_t)number;
}

bool protect_ready(struct path *p)
{
    const uint64_t used = p->counter - p->tx_first;
    const bool due = used >= p->limits.key_packets ||
                     (p->now - p->tx_since_ns >= p->limits.key_ns && used > 0);
    if (p->counter >= p->limits.counter_max) {
        path_down(p, "no counter is left");
        return false;
    }
    if (due && may_rekey(p)) {
        rekey_out(p);
    } else if (used >= p->limits.key_hard) {
        path_down(p, "a key is used up and the next was not confirmed");
        return false;
    }
    return true;
}

size_t protect_seal(struct path *p, uint8_t *out, size_t contents)
{
    const struct path_aead *a = p->aead;
    uint8_t nonce[PATH_NONCE_BYTES];
    CHECK(contents > 0 && p->counter < p->limits.counter_max);
    struct writer w = writer_of(out, PATH_HEADER_BYTES);
    write_u8(&w, PATH_VERSION);
    write_u8(&w, (uint8_t)p->tx.number);
    write_u16(&w, p->life);
    write_u32(&w, p->id_out);
    write_u64(&w, p->counter);
    nonce_of(&p->tx, p->counter, nonce);
    p->counter++; /* whatever happens to this packet */
    a->seal(a->ctx, p->tx.ready, nonce, out, PATH_HEADER_BYTES,
            out + PATH_HEADER_BYTES, contents);
    return PATH_HEADER_BYTES + contents + PATH_TAG_BYTES;
}

/* ---- Opening ---------------------------------------------------------------
 */

static bool is_old(const struct path *p, uint64_t counter)
{
    if (counter >= p->rx_high) {
        return false;
    }
    if (p->rx_high - counter > PATH_REPLAY_WINDOW) {
        return true;
    }
    const uint64_t bit = counter % PATH_REPLAY_WINDOW;
    return (p->replay[bit / 64] >> bit % 64 & 1) != 0;
}

void protect_took(struct path *p, uint64_t counter)
{
    if (counter >= p->rx_high) {
        uint64_t ahead = counter - p->rx_high;
        if (ahead >= PATH_REPLAY_WINDOW) {
            memset(p->replay, 0, sizeof(p->replay));
        }
        for (uint64_t i = 0; i <= ahead && ahead < PATH_REPLAY_WINDOW; i++) {
            const uint64_t bit = (p->rx_high + i) % PATH_REPLAY_WINDOW;
            p->replay[bit / 64] &= ~(UINT64_C(1) << bit % 64);
        }
        p->rx_high = counter + 1;
    }
    const uint64_t bit = counter % PATH_REPLAY_WINDOW;
    p->replay[bit / 64] |= UINT64_C(1) << bit % 64;
}

static struct key *key_for(struct path *p, uint8_t number)
{
    if (number == (uint8_t)p->rx.number) {
        return &p->rx;
    }
    if (p->rx_old.ready != NULL && number == (uint8_t)p->rx_old.number) {
        return &p->rx_old;
    }
    if (number == (uint8_t)(p->rx.number + 1)) {
        if (p->rx_next.ready == NULL) { /* made once, however many try */
            key_make(p, &p->rx_next, p->rx.number + 1, p->rx_secret);
        }
        return &p->rx_next;
    }
    return NULL;
}

static void rekey_in(struct path *p)
{
    key_drop(p, &p->rx_old);
    p->rx_old = p->rx;
    p->rx = p->rx_next;
    p->rx_next = (struct key){0};
    p->rx_since_ns = p->now;
    p->stats.key_in = (uint32_t)p->rx.number;
}

static bool forged(struct path *p)
{
    p->stats.forged++;
    if (p->stats.forged >= p->limits.forged_max) {
        path_down(p, "too many forged packets");
    }
    return false;
}

bool protect_open(struct path *p, const uint8_t *data, size_t data_size,
                  uint8_t *plain, size_t *size, uint64_t *counter)
{
    const struct path_aead *a = p->aead;
    uint8_t nonce[PATH_NONCE_BYTES];
    struct reader r = reader_of(data, data_size);
    const uint8_t version = read_u8(&r);
    const uint8_t number = read_u8(&r);
    const uint16_t life = read_u16(&r);
    const uint32_t id = read_u32(&r);
    *counter = read_u64(&r);
    const size_t left = reader_left(&r);
    if (!reader_ok(&r) || version != PATH_VERSION || life != p->life ||
        id != p->id_in || left <= PATH_TAG_BYTES ||
        data_size > PATH_DATAGRAM_MAX) {
        return forged(p);
    }
    if (p->rx_old.ready != NULL && p->now - p->rx_since_ns > OLD_KEY_NS) {
        key_drop(p, &p->rx_old);
    }
    struct key *k = key_for(p, number);
    if (k == NULL || *counter >= p->limits.counter_max) {
        return forged(p);
    }
    if (is_old(p, *counter)) {
        p->stats.dups++;
        return false;
    }
    nonce_of(k, *counter, nonce);
    *size = left - PATH_TAG_BYTES;
    memcpy(plain, data + PATH_HEADER_BYTES, left);
    if (!a->open(a->ctx, k->ready, nonce, data, PATH_HEADER_BYTES, plain,
                 *size)) {
        return forged(p);
    }
    if (k == &p->rx_next) {
        rekey_in(p);
    }
    return true;
}
