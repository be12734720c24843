#ifndef PATH_WORLD_H
#define PATH_WORLD_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/sim/cipher.h"
#include "netmgr/path/path.h"
#include "nucleus/base/deadline.h"
#include "nucleus/base/mem.h"
#include "nucleus/base/prng.h"

/* Two paths back to back over a way that loses, doubles, reorders, delays and
 * spoils datagrams, and what is sent over it: frames of numbered streams, each
 * saying which and how many-th it is. Virtual time. */

#define P_MS UINT64_C(1000000)
#define P_S (1000 * P_MS)

enum { P_STREAMS = 8, P_FLYING = 20000 };

struct p_way {
    uint64_t delay_ns;
    uint64_t jitter_ns;
    uint32_t loss, dup, spoil; /* of a million */
    uint64_t burst_until_ns;   /* all are lost until then */
    uint32_t mtu;              /* larger ones vanish */
    uint64_t rate;             /* bytes a second, 0 = any */
    uint64_t queue_ns;         /* before it; 0 = 100 ms */
    uint64_t free_ns;
    bool cut;
    bool (*drop)(void); /* asked of each datagram; may be NULL */
    uint64_t mask[2];   /* which of the first 128 datagrams are lost */
    uint64_t count;
};

struct p_flying {
    struct path_addr from;
    uint64_t at_ns;
    uint64_t order; /* of those of one time */
    uint32_t to;
    size_t size;
    uint8_t bytes[];
};

struct p_end {
    struct path *path;
    struct path_addr addr;
    uint64_t sent[P_STREAMS], came[P_STREAMS];
    uint64_t loose_sent, loose_came;
    uint64_t bytes_came;
    uint64_t up_ns;
    uint64_t strangers_told; /* bytes sent elsewhere than to the other side */
};

struct p_world {
    struct prng prng;
    struct mem mem;
    struct sim_cipher cipher;
    struct path_aead aead;
    struct path_limits limits;
    uint64_t now;
    struct p_end end[2]; /* 0 dialed */
    struct p_way way[2]; /* [i] from end i */
    struct p_flying *flying[P_FLYING];
    uint32_t flying_count;
    uint64_t order;
};

static inline struct path_addr p_addr(uint8_t host, uint8_t port)
{
    return (struct path_addr){.size = 2, .bytes = {host, port}};
}

static inline struct path *p_path(struct p_world *w, uint32_t i, uint16_t life)
{
    struct path_config c = {
        .dialed = i == 0,
        .life = life,
        .id_in = i == 0 ? 0x11111111 : 0x22222222,
        .id_out = i == 0 ? 0x22222222 : 0x11111111,
        .secret = {1, 2, 3, (uint8_t)life},
        .token_key = {prng_next(&w->prng), prng_next(&w->prng)},
        .addr = w->end[1 - i].addr,
        .aead = &w->aead,
        .limits = w->limits,
        .mem = &w->mem,
        .now_ns = w->now,
    };
    struct path *p = path_create(&c);
    cr_assert_not_null(p);
    return p;
}

static inline struct p_world *p_open(uint64_t seed,
                                     const struct path_limits *limits)
{
    struct p_world *w = calloc(1, sizeof *w);
    prng_init(&w->prng, seed);
    mem_init(&w->mem, 64 << 20);
    w->aead = sim_cipher(&w->cipher);
    w->limits = limits != NULL ? *limits : path_limits_default();
    w->now = P_S;
    for (uint32_t i = 0; i < 2; i++) {
        w->end[i].addr = p_addr((uint8_t)(i + 1), 1);
        w->way[i] = (struct p_way){.delay_ns = 10 * P_MS, .mtu = 1472};
    }
    for (uint32_t i = 0; i < 2; i++) {
        w->end[i].path = p_path(w, i, 1);
    }
    return w;
}

static inline void p_close(struct p_world *w)
{
    for (uint32_t i = 0; i < w->flying_count; i++) {
        free(w->flying[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        path_destroy(w->end[i].path);
    }
    cr_assert_eq(w->mem.blocks, 0);
    cr_assert_eq(w->cipher.keys, 0);
    cr_assert_eq(w->cipher.nonces_twice, 0);
    free(w);
}

/* ---- The way ---------------------------------------------------------------
 */

static inline void p_put(struct p_world *w, uint32_t from, const uint8_t *data,
                         size_t size, uint64_t at_ns)
{
    struct p_flying *f = malloc(sizeof *f + size);
    cr_assert(w->flying_count < P_FLYING);
    f->from = w->end[from].addr;
    f->at_ns = at_ns;
    f->order = w->order++;
    f->to = 1 - from;
    f->size = size;
    memcpy(f->bytes, data, size);
    w->flying[w->flying_count++] = f;
}

static inline void p_fly(struct p_world *w, uint32_t from, const uint8_t *data,
                         size_t size)
{
    struct p_way *y = &w->way[from];
    const uint64_t nth = y->count++;
    if (y->drop != NULL && y->drop()) {
        return;
    }
    if (y->cut || size > y->mtu || w->now < y->burst_until_ns ||
        (nth < 128 && (y->mask[nth / 64] >> nth % 64 & 1) != 0)) {
        return;
    }
    uint64_t leaves = w->now;
    if (y->rate > 0) {
        leaves = y->free_ns > w->now ? y->free_ns : w->now;
        if (leaves - w->now > (y->queue_ns == 0 ? 100 * P_MS : y->queue_ns)) {
            return; /* the queue is full */
        }
        leaves += size * P_S / y->rate;
        y->free_ns = leaves;
    }
    for (uint32_t copy = 0; copy < 2; copy++) {
        if (copy == 1 && !prng_chance(&w->prng, y->dup)) {
            break;
        }
        if (prng_chance(&w->prng, y->loss)) {
            continue;
        }
        uint64_t at = leaves + y->delay_ns;
        at += y->jitter_ns > 0 ? prng_below(&w->prng, y->jitter_ns) : 0;
        p_put(w, from, data, size, at);
        if (prng_chance(&w->prng, y->spoil)) {
            struct p_flying *f = w->flying[w->flying_count - 1];
            f->bytes[prng_below(&w->prng, size)] ^=
                (uint8_t)(1u << prng_below(&w->prng, 8));
        }
    }
}

/* ---- The ends --------------------------------------------------------------
 */

static inline void p_write(struct p_world *w, uint32_t i)
{
    static uint8_t out[PATH_DATAGRAM_MAX];
    struct path_addr to;
    size_t size;
    for (int n = 0; n < 4000; n++) {
        size = path_write(w->end[i].path, w->now, out, &to);
        if (size == 0) {
            return;
        }
        const struct path_addr *other = &w->end[1 - i].addr;
        if (to.size == other->size &&
            memcmp(to.bytes, other->bytes, to.size) == 0) {
            p_fly(w, i, out, size);
        } else {
            w->end[i].strangers_told += size;
        }
    }
    cr_assert(false, "it writes without end");
}

static inline void p_take(struct p_end *e, const uint8_t *data, size_t size)
{
    uint64_t number;
    const uint8_t stream = data[0];
    cr_assert(size >= 9);
    memcpy(&number, data + 1, 8);
    for (size_t i = 9; i < size; i++) {
        cr_assert_eq(data[i], (uint8_t)(number + i));
    }
    e->bytes_came += size;
    if (stream == 255) {
        e->loose_came++;
        return;
    }
    if (stream == 0) {
        e->came[0]++;
        return;
    }
    cr_assert_eq(number, e->came[stream], "stream %u: %llu came, not %llu",
                 stream, (unsigned long long)number,
                 (unsigned long long)e->came[stream]);
    e->came[stream]++;
}

static inline bool p_give(struct p_world *w, uint32_t i,
                          const struct path_addr *from, const uint8_t *bytes,
                          size_t bytes_size)
{
    static uint8_t plain[PATH_DATAGRAM_MAX];
    struct p_end *e = &w->end[i];
    const uint8_t *data;
    size_t size;
    enum path_taken t =
        path_receive(e->path, w->now, from, bytes, bytes_size, plain);
    cr_assert_neq(t, PATH_BROKEN, "%s", path_why(e->path));
    while (path_frame(e->path, &data, &size)) {
        p_take(e, data, size);
    }
    if (e->up_ns == 0 && path_state(e->path) == PATH_UP) {
        e->up_ns = w->now;
    }
    return t == PATH_TAKEN;
}

static inline bool p_send(struct p_world *w, uint32_t i, uint8_t stream,
                          size_t size)
{
    static uint8_t data[PATH_DATAGRAM_MAX];
    struct p_end *e = &w->end[i];
    if (path_state(e->path) != PATH_UP) {
        return false;
    }
    const size_t most = path_frame_max(e->path);
    size = size < 9 ? 9 : size > most ? most : size;
    uint64_t number = stream == 255 ? e->loose_sent++ : e->sent[stream]++;
    data[0] = stream;
    memcpy(data + 1, &number, 8);
    for (size_t k = 9; k < size; k++) {
        data[k] = (uint8_t)(number + k);
    }
    cr_assert(path_send(e->path,
                        stream == 255       ? PATH_LOOSE
                        : (stream & 1) == 1 ? PATH_DATA
                                            : PATH_URGENT,
                        stream == 255 ? 0 : stream, data, size));
    return true;
}

static inline uint64_t p_next(const struct p_world *w, uint32_t *which)
{
    uint64_t at = DEADLINE_NEVER;
    *which = P_FLYING;
    for (uint32_t i = 0; i < w->flying_count; i++) {
        const struct p_flying *f = w->flying[i];
        if (f->at_ns < at ||
            (f->at_ns == at && f->order < w->flying[*which]->order)) {
            at = f->at_ns;
            *which = i;
        }
    }
    return at;
}

/* Runs until `until_ns`. */
static inline void p_run(struct p_world *w, uint64_t until_ns)
{
    for (;;) {
        uint32_t which;
        p_write(w, 0);
        p_write(w, 1);
        uint64_t at = p_next(w, &which);
        uint64_t due = at;
        for (uint32_t i = 0; i < 2; i++) {
            const uint64_t d = path_deadline_ns(w->end[i].path);
            due = d < due ? d : due;
        }
        if (due > until_ns) {
            w->now = until_ns > w->now ? until_ns : w->now;
            return;
        }
        w->now = due > w->now ? due : w->now;
        if (at == due) {
            struct p_flying *f = w->flying[which];
            w->flying[which] = w->flying[--w->flying_count];
            (void)p_give(w, f->to, &f->from, f->bytes, f->size);
            free(f);
        }
        path_tick(w->end[0].path, w->now);
        path_tick(w->end[1].path, w->now);
    }
}

static inline bool p_all_came(const struct p_world *w)
{
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t s = 0; s < P_STREAMS; s++) {
            if (w->end[i].sent[s] != w->end[1 - i].came[s]) {
                return false;
            }
        }
    }
    return true;
}

/* Runs until both are up; fails after `ns`. */
static inline void p_up(struct p_world *w, uint64_t ns)
{
    const uint64_t end = w->now + ns;
    while (path_state(w->end[0].path) != PATH_UP ||
           path_state(w->end[1].path) != PATH_UP) {
        cr_assert(w->now < end, "not up");
        p_run(w, w->now + P_MS);
    }
}

#endif
