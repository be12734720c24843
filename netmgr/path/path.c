#include "path.h"

#include <string.h>

#include "inside.h"

/* The interface, time. */

struct path_limits path_limits_default(void)
{
    return (struct path_limits){
        .key_packets = UINT64_C(1) << 24,
        .key_hard = UINT64_C(1) << 25,
        .key_ns = 600 * SECOND,
        .counter_max = UINT64_C(1) << 62,
        .forged_max = UINT64_C(1) << 36,
        .mtu_max = PATH_DATAGRAM_MAX,
        .window_bytes = 4 << 20,
    };
}

bool addr_equal(const struct path_addr *a, const struct path_addr *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void path_down(struct path *p, const char *why)
{
    if (p->state != PATH_DOWN) {
        p->state = PATH_DOWN;
        p->why = why;
    }
}

struct path *path_create(const struct path_config *cfg)
{
    CHECK(cfg->life != 0);
    CHECK(cfg->limits.mtu_max >= PATH_MTU_MIN);
    CHECK(cfg->limits.mtu_max <= PATH_DATAGRAM_MAX);
    struct path *p = mem_alloc(cfg->mem, sizeof(*p));
    if (p == NULL) {
        return NULL;
    }
    p->limits = cfg->limits;
    p->aead = cfg->aead;
    p->mem = cfg->mem;
    p->state = PATH_PROVING;
    p->why = "";
    p->dialed = cfg->dialed;
    p->cipher = cfg->cipher;
    p->life = cfg->life;
    p->id_in = cfg->id_in;
    p->id_out = cfg->id_out;
    p->now = cfg->now_ns;
    p->token_key[0] = cfg->token_key[0];
    p->token_key[1] = cfg->token_key[1];
    p->mtu = PATH_MTU_MIN;
    p->small_only = true;
    p->mtu_due_ns = DEADLINE_NEVER;
    p->next_number = 1;
    p->floor = 1;
    p->ack_due_ns = DEADLINE_NEVER;
    p->loss_at_ns = DEADLINE_NEVER;
    list_init(&p->live);
    list_init(&p->held);
    map_init(&p->streams, p->mem, p->token_key[0]);
    map_init(&p->held_after, p->mem, p->token_key[1]);
    p->in = reader_of(NULL, 0);
    protect_init(p, cfg->secret);
    control_init(p);
    if (cfg->dialed) {
        prove_start(p, &cfg->addr, false);
    }
    return p;
}

void path_destroy(struct path *p)
{
    if (p == NULL) {
        return;
    }
    receive_fini(p);
    send_fini(p);
    map_fini(&p->streams);
    map_fini(&p->held_after);
    protect_fini(p);
    struct mem *mem = p->mem;
    wipe(p, sizeof(*p));
    mem_free(mem, p, sizeof(*p));
}

enum path_state path_state(const struct path *p)
{
    return p->state;
}

const char *path_why(const struct path *p)
{
    return p->why;
}

bool path_peek(const uint8_t *data, size_t size, uint32_t *id, uint16_t *life)
{
    struct reader r = reader_of(data, size);
    const uint8_t version = read_u8(&r);
    (void)read_u8(&r);
    *life = read_u16(&r);
    *id = read_u32(&r);
    return version == PATH_VERSION &&
           size > PATH_HEADER_BYTES + PATH_TAG_BYTES &&
           size <= PATH_DATAGRAM_MAX;
}

/* ---- Time ------------------------------------------------------------------
 */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When frames that wait may leave, if it is not an ACK that lets them. */
static uint64_t send_deadline(const struct path *p)
{
    const bool waits = p->again.first != NULL || p->urgent.first != NULL ||
                       p->data.first != NULL;
    if (!waits || control_room(p) < p->mtu) {
        return DEADLINE_NEVER;
    }
    const uint64_t at = control_deadline(p);
    /* What could leave now and did not has another reason than pacing. */
    return at > p->now ? at : p->now + GRANULARITY_NS;
}

uint64_t path_deadline_ns(const struct path *p)
{
    if (p->state == PATH_DOWN) {
        return DEADLINE_NEVER;
    }
    uint64_t at = prove_deadline(p);
    if (p->state == PATH_UP) {
        at = earlier(at, p->ack_due_ns);
        at = earlier(at, recover_deadline(p));
        at = earlier(at, send_deadline(p));
    }
    return at;
}

void path_tick(struct path *p, uint64_t now_ns)
{
    p->now = now_ns > p->now ? now_ns : p->now;
    if (p->state != PATH_DOWN) {
        prove_tick(p);
        recover_tick(p);
    }
}

struct path_stats path_stats(const struct path *p)
{
    struct path_stats s = p->stats;
    s.rtt_ns = p->srtt;
    s.rtt_var_ns = p->rttvar;
    s.mtu = p->mtu;
    s.window_bytes = p->window;
    s.flight_bytes = p->flight;
    s.queue_bytes = p->again.bytes + p->urgent.bytes + p->data.bytes;
    return s;
}
