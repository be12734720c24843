#include <string.h>

#include "inside.h"
#include "nucleus/base/cursor.h"
#include "proto/frames.h"

/* The paths of sessions: datagrams <-> frames. A path is to the network manager
 * one more connection; who dialed the CONTROL connection tries for a path as
 * long as that lasts. */

enum {
    DATA_HEADER = WIRE_PREFIX_BYTES + FRAMES_DATA_SIZE + FRAMES_EXTENSION_SIZE,
    DRAINED_BYTES = 32768, /* drained: worth a turn of its own */
    LOOKS_MAX = 8,         /* at packets of new lives, in LOOKS_NS */
};

#define MS UINT64_C(1000000)
#define FAST_IDS (UINT64_C(1) << 63) /* no driver counts so far */

static const uint64_t LOOKS_NS = 100 * MS;
static const uint64_t BACK_OFF_MIN_NS = 100 * MS;
static const uint64_t BACK_OFF_MAX_NS = 5000 * MS;
static const uint64_t STEADY_NS = 10000 * MS; /* up so long: no back-off */

bool paths_init(struct site *s)
{
    list_init(&s->ways);
    list_init(&s->dirty_ways);
    map_init(&s->way_by_id, &s->own, s->cfg.seed);
    deadlines_init(&s->way_timers, &s->own);
    s->next_fast = FAST_IDS;
    bool any = s->cfg.transport != NET_TCP;
    for (uint32_t i = 0; i < s->cfg.way_count; i++) {
        any = any || s->cfg.ways[i].way != NET_TCP;
    }
    return !any || s->cfg.aead == NULL || paths_want(s);
}

bool paths_want(struct site *s)
{
    if (s->plain != NULL) {
        return true;
    }
    s->plain = mem_alloc(&s->mem, PATH_DATAGRAM_MAX);
    s->packet = mem_alloc(&s->mem, PATH_DATAGRAM_MAX);
    if (s->plain == NULL || s->packet == NULL) {
        mem_free(&s->mem, s->plain, s->plain == NULL ? 0 : PATH_DATAGRAM_MAX);
        mem_free(&s->mem, s->packet, s->packet == NULL ? 0 : PATH_DATAGRAM_MAX);
        s->plain = NULL;
        s->packet = NULL;
    }
    return s->plain != NULL;
}

enum motet_err site_way(struct site *s, const char *name,
                        enum net_transport way)
{
    if (way != NET_TCP && s->cfg.aead == NULL) {
        return MOTET_E_INVALID;
    }
    if (way != NET_TCP && !paths_want(s)) {
        return MOTET_E_NO_MEMORY;
    }
    if (way != NET_TCP) {
        site_note(s, SITE_DATAGRAMS, NULL, NULL, NULL);
    }
    struct net_in in = {
        .kind = NET_IN_WAY, .now_ns = s->now_ns, .name = name, .way = way};
    const enum motet_err err = netmgr_step(s->netmgr, &in);
    s->flush = true;
    site_settle(s);
    return err;
}

static void way_free(struct site *s, struct way *w)
{
    CHECK(w->fast == NULL);
    path_destroy(w->path);
    deadline_clear(&s->way_timers, &w->timer);
    list_remove(&w->link);
    list_remove(&w->dirty);
    map_remove(&s->way_by_id, w->id_in, 0);
    memset(w->master, 0, sizeof w->master);
    mem_free(&s->own, w, sizeof *w);
}

void paths_fini(struct site *s)
{
    if (s->ways.next == NULL) {
        return; /* it did not come so far */
    }
    list_foreach (it, &s->ways) {
        struct way *w = LIST_ENTRY(it, struct way, link);
        w->fast = NULL; /* freed with the connections */
        way_free(s, w);
    }
    map_fini(&s->way_by_id);
    deadlines_fini(&s->way_timers);
    mem_free(&s->mem, s->plain, s->plain == NULL ? 0 : PATH_DATAGRAM_MAX);
    mem_free(&s->mem, s->packet, s->packet == NULL ? 0 : PATH_DATAGRAM_MAX);
}

static void way_dirty(struct site *s, struct way *w)
{
    if (!list_linked(&w->dirty)) {
        list_append(&s->dirty_ways, &w->dirty);
    }
}

static void way_log(struct site *s, const struct way *w,
                    enum site_log_kind kind, const char *detail)
{
    struct site_log *l = &site_note(s, SITE_LOG, w->name, NULL, detail)->e.log;
    l->kind = kind;
    l->site = w->site;
}

/* ---- The path as a connection ----------------------------------------------
 */

/* The network manager hears of it, unless it was its wish. */
static void fast_down(struct site *s, struct way *w, bool tell)
{
    struct conn *c = w->fast;

    if (c == NULL) {
        return;
    }
    const uint64_t id = c->id;
    w->fast = NULL;
    w->drained = 0;
    if (s->now_ns - w->up_ns >= STEADY_NS) {
        w->back_off_ns = 0;
    }
    site_conn_free(s, c);
    const char *why = path_why(w->path);
    why = why[0] != '\0' ? why : "another takes its place";
    way_log(s, w, SITE_LOG_PATH_DOWN, tell ? why : "closed from here");
    if (tell) {
        site_net(s, &(struct net_in){.kind = NET_IN_CONN_DOWN, .conn = id});
    }
}

static void fast_up(struct site *s, struct way *w)
{
    struct conn *c = mem_alloc(&s->own, sizeof *c);

    CHECK(c != NULL);
    c->id = s->next_fast++;
    c->fast = true;
    c->way = w;
    c->known = true;
    CHECK(map_put(&s->conn_by_id, c->id, 0, c));
    list_append(&s->conns, &c->link);
    w->fast = c;
    w->up_ns = s->now_ns;
    w->fragment = 0;
    way_log(s, w, SITE_LOG_PATH_UP, NULL);
}

/* The path ends: what is left is to say so. */
static void way_stop(struct site *s, struct way *w, bool tell)
{
    w->closing = w->path != NULL;
    way_dirty(s, w);
    fast_down(s, w, tell);
}

/* After the path did something: is that news? */
static void way_look(struct site *s, struct way *w)
{
    if (w->path == NULL || w->closing) {
        return;
    }
    way_dirty(s, w);
    if (path_state(w->path) == PATH_DOWN) {
        way_stop(s, w, true);
        return;
    }
    if (path_state(w->path) != PATH_UP) {
        return;
    }
    if (w->fast == NULL) {
        fast_up(s, w);
    }
    const uint32_t fragment = (uint32_t)path_frame_max(w->path) - DATA_HEADER;
    if (fragment != w->fragment) {
        w->fragment = fragment;
        site_net(s, &(struct net_in){.kind = NET_IN_PATH,
                                     .conn = w->fast->id,
                                     .dial = w->control->id,
                                     .size = fragment});
        site_settle(s);
    }
}

void paths_close(struct site *s, struct conn *fast)
{
    way_stop(s, fast->way, false);
}

/* ---- Lives -----------------------------------------------------------------
 */

static struct path *new_path(struct site *s, const struct way *w, uint16_t life)
{
    const struct path_aead *a = s->cfg.aead;
    struct path_config c = {
        .dialed = w->dialed,
        .cipher = w->cipher,
        .life = life,
        .id_in = w->id_in,
        .id_out = w->id_out,
        .token_key = {s->cfg.secret[0], s->cfg.secret[1]},
        .aead = a,
        .limits = path_limits_default(),
        .mem = &s->mem,
        .now_ns = s->now_ns,
    };

    a->derive(a->ctx, w->master, "life", life, c.secret, sizeof c.secret);
    if (w->dialed) {
        c.addr = w->control->udp;
    }
    struct path *p = path_create(&c);
    memset(c.secret, 0, sizeof c.secret);
    return p;
}

static void way_arm(struct site *s, struct way *w, uint64_t at_ns)
{
    CHECK(deadline_set(&s->way_timers, &w->timer, at_ns));
}

static void way_retry(struct site *s, struct way *w)
{
    if (!w->dialed || w->life == UINT16_MAX) {
        way_arm(s, w, DEADLINE_NEVER);
        return;
    }
    uint64_t wait = w->back_off_ns == 0 ? BACK_OFF_MIN_NS : w->back_off_ns * 2;
    wait = wait < BACK_OFF_MAX_NS ? wait : BACK_OFF_MAX_NS;
    w->back_off_ns = wait;
    way_arm(s, w, s->now_ns + wait / 2 + prng_below(&s->prng, wait / 2));
}

static void way_dial(struct site *s, struct way *w)
{
    w->life++;
    w->path = new_path(s, w, w->life);
    if (w->path == NULL) {
        way_retry(s, w);
        return;
    }
    way_dirty(s, w);
}

static void derive_ids(const struct site *s, struct way *w)
{
    const struct path_aead *a = s->cfg.aead;
    uint8_t bytes[8];

    a->derive(a->ctx, w->master, "ids", 0, bytes, sizeof bytes);
    struct reader r = reader_of(bytes, sizeof bytes);
    const uint32_t dialer = read_u32(&r);
    const uint32_t acceptor = read_u32(&r);
    w->id_in = w->dialed ? dialer : acceptor;
    w->id_out = w->dialed ? acceptor : dialer;
}

void paths_offer(struct site *s, const struct net_effect *e)
{
    const struct path_aead *a = s->cfg.aead;
    struct conn *c = map_get(&s->conn_by_id, e->conn, 0);
    uint8_t half[PATH_SECRET_BYTES];

    if (c == NULL || c->dead || c->way != NULL || s->plain == NULL) {
        return;
    }
    struct way *w = mem_alloc(&s->own, sizeof *w);
    CHECK(w != NULL);
    w->control = c;
    w->dialed = e->up;
    w->cipher = e->chacha ? 1 : 0;
    w->site = e->site;
    memcpy(w->name, e->name, strnlen(e->name, MOTET_NAME_MAX));
    a->derive(a->ctx, c->secret, "dialer", e->tokens[0], half, sizeof half);
    a->derive(a->ctx, half, "acceptor", e->tokens[1], w->master,
              sizeof w->master);
    memset(half, 0, sizeof half);
    derive_ids(s, w);
    if (map_get(&s->way_by_id, w->id_in, 0) != NULL ||
        !map_put(&s->way_by_id, w->id_in, 0, w)) {
        mem_free(&s->own, w, sizeof *w);
        return; /* one of billions: then there is TCP */
    }
    list_append(&s->ways, &w->link);
    c->way = w;
    if (w->dialed && c->has_udp) {
        way_dial(s, w);
    }
}

void paths_gone(struct site *s, struct conn *control)
{
    struct way *w = control->way;

    control->way = NULL;
    w->control = NULL;
    way_stop(s, w, true); /* what said farewell is freed: paths_take() */
}

/* ---- in --------------------------------------------------------------------
 */

static void violation(struct site *s, const struct way *w)
{
    if (w->fast != NULL) {
        site_net(
            s, &(struct net_in){.kind = NET_IN_VIOLATION, .conn = w->fast->id});
        site_settle(s);
    }
}

static void read_frames(struct site *s, struct way *w)
{
    const uint8_t *data;
    size_t size;

    while (!w->closing && path_frame(w->path, &data, &size)) {
        struct net_frame frame;
        size_t used = 0;
        if (w->fast == NULL ||
            wire_decode(s->frames, data, size, true, &frame, &used) !=
                WIRE_FRAME ||
            used != size) {
            violation(s, w);
            continue;
        }
        site_frame(s, w->fast->id, &frame);
    }
}

/* Perhaps the first packet of a new life: only if it opens there is one. */
static bool new_life(struct site *s, struct way *w, const struct site_in *in,
                     uint16_t life)
{
    if (s->now_ns - w->looked_ns >= LOOKS_NS) {
        w->looked_ns = s->now_ns;
        w->looked = 0;
    }
    if (w->looked++ >= LOOKS_MAX) {
        return false;
    }
    struct path *p = new_path(s, w, life);
    if (p == NULL) {
        return false;
    }
    const enum path_taken t =
        path_receive(p, s->now_ns, in->from, in->bytes, in->size, s->plain);
    if (t == PATH_BROKEN || path_stats(p).forged > 0) {
        path_destroy(p);
        return false;
    }
    w->looked = 0;
    fast_down(s, w, true);
    path_destroy(w->path);
    w->path = p;
    w->life = life;
    w->closing = false;
    return true;
}

void paths_datagram(struct site *s, const struct site_in *in)
{
    uint32_t id;
    uint16_t life;

    if (s->plain == NULL || !path_peek(in->bytes, in->size, &id, &life)) {
        return;
    }
    struct way *w = map_get(&s->way_by_id, id, 0);
    if (w == NULL || w->control == NULL) {
        return;
    }
    if (!w->dialed && life > w->life) {
        if (new_life(s, w, in, life)) {
            way_look(s, w);
        }
        return;
    }
    if (life != w->life || w->path == NULL || w->closing) {
        return;
    }
    switch (path_receive(w->path, s->now_ns, in->from, in->bytes, in->size,
                         s->plain)) {
    case PATH_TAKEN:
        way_look(s, w);
        read_frames(s, w);
        way_look(s, w);
        break;
    case PATH_BROKEN:
        violation(s, w);
        way_look(s, w);
        break;
    case PATH_DROPPED:
        way_look(s, w);
        break;
    }
}

/* ---- out -------------------------------------------------------------------
 */

/* Frames of one handle stay in order: those of its owner, and the answers. */
static enum path_class class_of(const struct net_frame *f, uint64_t *stream)
{
    *stream = 0;
    switch (f->kind) {
    case NET_DATA:
        *stream = (uint64_t)f->u.data.handle << 1;
        return PATH_DATA;
    case NET_BIND:
        *stream = (uint64_t)f->u.bind.handle << 1;
        return PATH_DATA;
    case NET_ACK:
        *stream = (uint64_t)f->u.ack.handle << 1 | 1;
        return PATH_URGENT;
    case NET_MOVED:
        *stream = (uint64_t)f->u.moved.handle << 1 | 1;
        return PATH_URGENT;
    case NET_UNBOUND:
        *stream = (uint64_t)f->u.unbound << 1 | 1;
        return PATH_URGENT;
    case NET_PING:
    case NET_PONG:
        return PATH_LOOSE;
    case NET_HELLO:
    case NET_REFUSE:
    case NET_CTL:
    case NET_BYE:
    case NET_FRAME_COUNT:
        break;
    }
    return PATH_URGENT;
}

void paths_frame(struct site *s, struct conn *fast, const struct net_frame *f)
{
    struct way *w = fast->way;
    const size_t size = wire_size(f);
    uint64_t stream;
    const enum path_class class = class_of(f, &stream);
    uint8_t *room = NULL;

    if (size <= path_frame_max(w->path)) {
        room = path_room(w->path, class, stream, size);
    }
    if (room == NULL) { /* no memory, or the way has shrunk: go round */
        way_stop(s, w, true);
        return;
    }
    struct writer out = writer_of(room, size);
    wire_encode(f, &out);
    CHECK(writer_ok(&out) && out.at == size);
    way_dirty(s, w);
}

static void tell_drained(struct site *s)
{
    s->drained = false;
    list_foreach (it, &s->ways) {
        struct way *w = LIST_ENTRY(it, struct way, link);
        if (w->drained > 0 && w->fast != NULL) {
            const uint32_t size = (uint32_t)w->drained;
            w->drained = 0;
            site_net(s, &(struct net_in){.kind = NET_IN_DRAINED,
                                         .conn = w->fast->id,
                                         .size = size});
        }
    }
}

void paths_tick(struct site *s)
{
    struct deadline *d;
    uint32_t most = s->way_timers.count;

    while (most-- > 0 &&
           (d = deadlines_pop(&s->way_timers, s->now_ns)) != NULL) {
        struct way *w = CONTAINER_OF(d, struct way, timer);
        if (w->path != NULL) {
            path_tick(w->path, s->now_ns);
            way_look(s, w);
        } else if (w->control != NULL && !w->closing) {
            way_dial(s, w);
        }
    }
    if (!list_empty(&s->ways)) {
        tell_drained(s);
    }
}

/* The path has nothing more to send for now. */
static void way_rest(struct site *s, struct way *w)
{
    list_remove(&w->dirty);
    w->drained += path_drained(w->path);
    s->drained = s->drained || w->drained >= DRAINED_BYTES;
    if (path_state(w->path) == PATH_DOWN) { /* it found that out just now */
        way_arm(s, w, s->now_ns);
        return;
    }
    way_arm(s, w, path_deadline_ns(w->path));
}

/* @return the size of its last datagram, or 0 */
static size_t way_end(struct site *s, struct way *w, struct path_addr *to)
{
    size_t size = 0;

    if (w->path != NULL) {
        size = path_farewell(w->path, s->now_ns, s->packet, to);
        path_destroy(w->path);
        w->path = NULL;
    }
    w->closing = false;
    list_remove(&w->dirty);
    if (w->control == NULL) {
        way_free(s, w);
    } else {
        way_retry(s, w);
    }
    return size;
}

bool paths_take(struct site *s, struct site_effect *e)
{
    struct list *first;

    while ((first = list_first(&s->dirty_ways)) != NULL) {
        struct way *w = LIST_ENTRY(first, struct way, dirty);
        struct path_addr to;
        size_t size;
        if (w->closing || w->control == NULL) {
            size = way_end(s, w, &to);
        } else if (w->path == NULL) {
            list_remove(&w->dirty);
            continue;
        } else {
            size = path_write(w->path, s->now_ns, s->packet, &to);
            if (size == 0) {
                way_rest(s, w);
            }
        }
        if (size > 0) {
            *e = (struct site_effect){.kind = SITE_DATAGRAM,
                                      .to = to,
                                      .bytes = s->packet,
                                      .size = size};
            return true;
        }
    }
    return false;
}

uint64_t paths_deadline_ns(const struct site *s)
{
    return s->drained ? s->now_ns : deadlines_next(&s->way_timers);
}

bool site_path_stats(const struct site *s, uint64_t fast,
                     struct path_stats *stats)
{
    const struct conn *c = map_get(&s->conn_by_id, fast, 0);
    if (fast == 0 || c == NULL || !c->fast || c->way->path == NULL) {
        return false;
    }
    *stats = path_stats(c->way->path);
    return true;
}
