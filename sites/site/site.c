#include <string.h>

#include "deaths.h"
#include "inside.h"
#include "moves.h"
#include "nucleus/base/ui.h"

enum { FLUSHES_MAX = 8 }; /* in a tick; then the loop sees the network again */

struct site_config site_config_default(void)
{
    return (struct site_config){
        .memory_bytes_max = (size_t)1 << 30,
        .nucleus = nucleus_limits_default(),
        .net = net_limits_default(),
        .member = member_config_default(),
        .directory = directory_config_default(),
        .version = "",
    };
}

/* ---- create and destroy ----------------------------------------------------
 */

static const char *keep(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);

    memcpy(to, from, length);
    to[length] = '\0';
    return to;
}

static void keep_config(struct site *s, const struct site_config *cfg)
{
    s->cfg = *cfg;
    s->cfg.name = keep(s->name, sizeof s->name, cfg->name);
    s->cfg.cluster = keep(s->cluster, sizeof s->cluster, cfg->cluster);
    s->cfg.address = keep(s->address, sizeof s->address, cfg->address);
    s->cfg.version = keep(s->version, sizeof s->version, cfg->version);
    for (uint32_t i = 0; i < SITE_SEEDS_MAX; i++) {
        s->cfg.seeds[i] = NULL; /* used at create only */
    }
}

static bool create_nucleus(struct site *s)
{
    struct nucleus_config c = {
        .site = s->cfg.site,
        .incarnation = s->cfg.incarnation,
        .secret = {s->cfg.secret[0], s->cfg.secret[1]},
        .past_open = true,
        .limits = s->cfg.nucleus,
        .mem = &s->mem,
        .trace = &s->trace,
    };

    s->nucleus = nucleus_create(&c);
    return s->nucleus != NULL;
}

static bool create_netmgr(struct site *s)
{
    struct netmgr_config c = {
        .site = s->cfg.site,
        .incarnation = s->cfg.incarnation,
        .name = s->cfg.name,
        .cluster = s->cfg.cluster,
        .address = s->cfg.address,
        .insecure = s->cfg.insecure,
        .transport = s->cfg.aead != NULL ? s->cfg.transport : NET_TCP,
        .ways = s->cfg.ways,
        .way_count = s->cfg.aead != NULL ? s->cfg.way_count : 0,
        .chacha = s->cfg.chacha,
        .past_open = true,
        .seed = prng_next(&s->prng),
        .limits = s->cfg.net,
        .mem = &s->mem,
        .trace = &s->trace,
    };

    s->netmgr = netmgr_create(&c);
    return s->netmgr != NULL;
}

static bool create_members(struct site *s)
{
    struct member_config c = s->cfg.member;

    c.site = s->cfg.site;
    c.incarnation = s->cfg.incarnation;
    c.name = s->cfg.name;
    c.address = s->cfg.address;
    c.seed = prng_next(&s->prng);
    c.mem = &s->mem;
    c.trace = &s->trace;
    s->members = members_create(&c);
    return s->members != NULL;
}

static bool create_directory(struct site *s)
{
    struct directory_config c = s->cfg.directory;

    c.site = s->cfg.site;
    c.incarnation = s->cfg.incarnation;
    c.seed = prng_next(&s->prng);
    c.mem = &s->mem;
    c.trace = &s->trace;
    s->directory = directory_create(&c);
    return s->directory != NULL;
}

static bool create_machines(struct site *s)
{
    s->frames = wire_arena_new(&s->mem);
    s->ctl = wire_arena_new(&s->mem);
    return s->frames != NULL && s->ctl != NULL && paths_init(s) &&
           create_nucleus(s) && create_netmgr(s) && create_members(s) &&
           create_directory(s) && moves_create(s);
}

static void destroy_machines(struct site *s)
{
    if (s->directory != NULL) {
        directory_destroy(s->directory);
    }
    if (s->members != NULL) {
        members_destroy(s->members);
    }
    if (s->netmgr != NULL) {
        netmgr_destroy(s->netmgr);
    }
    if (s->nucleus != NULL) {
        nucleus_destroy(s->nucleus);
    }
    wire_arena_free(s->frames);
    wire_arena_free(s->ctl);
    paths_fini(s);
}

static void free_site(struct site *s)
{
    struct mem own;
    struct nuc_effect *e;

    if (s->current_actor.msg.data != NULL) {
        buf_unref(s->current_actor.msg.data);
    }
    while ((e = ring_pop(&s->attached)) != NULL) {
        buf_unref(e->msg.data);
    }
    actors_fini(s);
    loop_fini(s);
    moves_fini(s);
    deaths_fini(s);
    mem_free(&s->own, s->notes_kept, MOVES_KEPT * sizeof *s->notes_kept);
    conns_fini(s);
    destroy_machines(s);
    ring_fini(&s->notes);
    ring_fini(&s->attached);
    CHECK(s->mem.blocks == 0);
    own = s->own;
    mem_free(&own, s, sizeof *s);
    CHECK(own.blocks == 0);
}

static void meet_seeds(struct site *s, const struct site_config *cfg)
{
    struct net_in view = {.kind = NET_IN_VIEW};

    view.view_sites = members_alive(s->members, &view.view_lowest);
    site_net(s, &view);
    for (uint32_t i = 0; i < cfg->seed_count; i++) {
        site_net(s,
                 &(struct net_in){.kind = NET_IN_PEER, .addr = cfg->seeds[i]});
    }
}

struct site *site_create(const struct site_config *cfg, uint64_t now_ns)
{
    struct mem own;

    CHECK(ui_name_ok(cfg->name));
    CHECK(cfg->seed_count <= SITE_SEEDS_MAX);
    mem_init(&own, SIZE_MAX);
    struct site *s = mem_alloc(&own, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->own = own;
    mem_init(&s->mem, cfg->memory_bytes_max);
    keep_config(s, cfg);
    trace_init(&s->trace, cfg->trace_ring);
    prng_init(&s->prng, cfg->seed);
    s->now_ns = now_ns;
    s->born_ns = now_ns;
    ring_init(&s->notes, &s->own, sizeof(struct site_note));
    ring_init(&s->looped, &s->own, sizeof(struct net_effect));
    ring_init(&s->attached, &s->own, sizeof(struct nuc_effect));
    conns_init(s);
    actors_init(s);
    deaths_init(s);
    records_init(s);
    list_init(&s->moves);
    list_init(&s->arrivals);
    s->notes_kept = mem_alloc(&s->own, MOVES_KEPT * sizeof *s->notes_kept);
    CHECK(s->notes_kept != NULL);
    if (!create_machines(s)) {
        free_site(s);
        return NULL;
    }
    trace_add(&s->trace, now_ns, TRACE_BOOT, cfg->incarnation, cfg->site, 0);
    meet_seeds(s, cfg);
    site_settle(s);
    enum motet_err err = site_spawn(s, &site_control, "control", NULL);
    CHECK(err == MOTET_OK);
    return s;
}

void site_destroy(struct site *s)
{
    if (s != NULL) {
        free_site(s);
    }
}

/* ---- a turn ----------------------------------------------------------------
 */

/* What goes through the loop comes back, and has to be answered in its turn. */
static void flush(struct site *s)
{
    for (int i = 0; s->flush && i < FLUSHES_MAX; i++) {
        s->flush = false;
        site_net(s, &(struct net_in){.kind = NET_IN_FLUSH});
        s->flush = false;
        site_settle(s);
    }
}

static void tick(struct site *s)
{
    struct nuc_out out;

    if (nucleus_deadline_ns(s->nucleus) <= s->now_ns) {
        struct nuc_in in = {.kind = NUC_TICK, .now_ns = s->now_ns};
        enum motet_err err = nucleus_step(s->nucleus, &in, &out);
        CHECK(err == MOTET_OK);
    }
    paths_tick(s);
    if (netmgr_deadline_ns(s->netmgr) <= s->now_ns) {
        site_net(s, &(struct net_in){.kind = NET_IN_TICK});
    }
    if (members_deadline_ns(s->members) <= s->now_ns) {
        members_step(s->members, &(struct member_in){.kind = MEMBER_IN_TICK,
                                                     .now_ns = s->now_ns});
    }
    if (directory_deadline_ns(s->directory) <= s->now_ns) {
        enum motet_err err =
            directory_step(s->directory, &(struct dir_in){.kind = DIR_IN_TICK,
                                                          .now_ns = s->now_ns});
        CHECK(err == MOTET_OK);
    }
    site_settle(s);
    deaths_run(s);
    actors_run(s);
    site_settle(s);
    moves_run(s);
    flush(s);
}

static void leave(struct site *s)
{
    actors_stop(s);
    site_settle(s);
    site_net(s, &(struct net_in){.kind = NET_IN_LEAVE});
    site_settle(s);
    site_net(s, &(struct net_in){.kind = NET_IN_FLUSH});
    site_settle(s);
}

static void stall(struct site *s, uint64_t late_ns)
{
    struct site_log *l;

    members_step(s->members, &(struct member_in){.kind = MEMBER_IN_STALL,
                                                 .now_ns = s->now_ns,
                                                 .late_ns = late_ns});
    l = &site_note(s, SITE_LOG, NULL, NULL, NULL)->e.log;
    l->kind = SITE_LOG_STALL;
    l->value = late_ns;
}

void site_step(struct site *s, const struct site_in *in)
{
    CHECK(in->now_ns >= s->now_ns);
    s->now_ns = in->now_ns;
    switch (in->kind) {
    case SITE_IN_CONN_UP:
        conn_up(s, in);
        break;
    case SITE_IN_CONN_DOWN:
        conn_down(s, in->conn);
        break;
    case SITE_IN_DIAL_FAILED:
        site_net(
            s, &(struct net_in){.kind = NET_IN_DIAL_FAILED, .dial = in->dial});
        break;
    case SITE_IN_BYTES:
        conn_bytes(s, in);
        break;
    case SITE_IN_DRAINED:
        site_net(s, &(struct net_in){.kind = NET_IN_DRAINED,
                                     .conn = in->conn,
                                     .size = (uint32_t)in->size});
        break;
    case SITE_IN_DATAGRAM:
        paths_datagram(s, in);
        break;
    case SITE_IN_STALL:
        stall(s, in->late_ns);
        break;
    case SITE_IN_LEAVE:
        leave(s);
        break;
    case SITE_IN_TICK:
        tick(s);
        break;
    }
    site_settle(s);
}

/* ---- effects ---------------------------------------------------------------
 */

static void give_back(struct site *s)
{
    if (s->current_actor.msg.data != NULL) {
        buf_unref(s->current_actor.msg.data);
        s->current_actor.msg.data = NULL;
    }
    conn_taken(s);
}

const struct site_effect *site_effect(struct site *s)
{
    struct site_note *n = &s->current;
    const void *item;

    give_back(s);
    if (conn_take(s, &n->e) || paths_take(s, &n->e)) {
        return &n->e;
    }
    item = ring_pop(&s->attached);
    if (item != NULL) {
        memcpy(&s->current_actor, item, sizeof s->current_actor);
        s->attached_moved -= s->current_actor.kind == NUC_PORT_MOVED;
        n->e = (struct site_effect){.kind = SITE_ACTOR,
                                    .actor = &s->current_actor};
        return &n->e;
    }
    item = ring_pop(&s->notes);
    if (item == NULL) {
        return NULL;
    }
    memcpy(n, item, sizeof *n);
    n->e.addr = n->addr;
    n->e.log.name = n->name;
    n->e.log.addr = n->addr;
    n->e.log.detail = n->detail;
    return &n->e;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t site_deadline_ns(const struct site *s)
{
    if (actors_ready(s) || s->flush) {
        return s->now_ns;
    }
    uint64_t at = nucleus_deadline_ns(s->nucleus);
    at = earlier(at, netmgr_deadline_ns(s->netmgr));
    at = earlier(at, paths_deadline_ns(s));
    at = earlier(at, members_deadline_ns(s->members));
    at = earlier(at, directory_deadline_ns(s->directory));
    at = earlier(at, moves_deadline_ns(s));
    at = earlier(at, deaths_deadline_ns(s));
    return earlier(at, deadlines_next(&s->timers));
}

enum motet_err site_op(struct site *s, struct nuc_in *in, struct nuc_out *out)
{
    if (in->now_ns > s->now_ns) {
        s->now_ns = in->now_ns;
    }
    return site_nuc(s, in, out);
}

struct buf *site_buf(struct site *s, uint32_t size)
{
    return buf_raw(&s->mem, size);
}

/* ---- looks -----------------------------------------------------------------
 */

const struct site_config *site_config(const struct site *s)
{
    return &s->cfg;
}

const struct nucleus *site_nucleus(const struct site *s)
{
    return s->nucleus;
}

bool site_moved(const struct site *s)
{
    return s->attached_moved > 0;
}

const struct netmgr *site_netmgr(const struct site *s)
{
    return s->netmgr;
}

const struct members *site_members(const struct site *s)
{
    return s->members;
}

const struct directory *site_directory(const struct site *s)
{
    return s->directory;
}

const struct migration *site_migration(const struct site *s)
{
    return s->migration;
}

const struct mem *site_mem(const struct site *s)
{
    return &s->mem;
}

const struct trace *site_trace(const struct site *s)
{
    return &s->trace;
}
