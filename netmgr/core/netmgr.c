#include "netmgr/core/netmgr.h"

#include <string.h>

#include "nucleus/base/hash.h"
#include "parts.h"

struct net_limits net_limits_default(void)
{
    return (struct net_limits){
        .peers_max = 1024,
        .flows_max = 262144,
        .flow_msgs_max = 1024,
        .flow_bytes_max = 4 << 20,
        .credit_msgs_initial = 16,
        .credit_bytes_initial = 64 << 10,
        .body_bytes_max = MOTET_BODY_DEFAULT,
        .assembly_bytes_max = 64 << 20,
        .lane_backlog_bytes = 256 << 10,
        .violations_max = 8,
    };
}

void text_copy(char *to, size_t size, const char *from)
{
    size_t length = strnlen(from, size - 1);
    memcpy(to, from, length);
    memset(to + length, 0, size - length);
}

void text_add(char *to, size_t size, const char *from)
{
    size_t at = strnlen(to, size - 1);
    text_copy(to + at, size - at, from);
}

/* ---- Effects ---------------------------------------------------------------
 */

static struct net_effect *next_effect(struct netmgr *n)
{
    CHECK(n->effect_count < EFFECTS_MAX);
    uint32_t at = (n->effect_head + n->effect_count) % EFFECTS_MAX;
    n->effect_count++;
    return &n->effects[at];
}

/* Only what belongs to the kind is cleared: they are many. */
struct net_effect *effect_push(struct netmgr *n, enum net_effect_kind kind)
{
    struct net_effect *e = next_effect(n);
    memset(e, 0, offsetof(struct net_effect, frame));
    e->kind = kind;
    return e;
}

struct net_effect *effect_frame(struct netmgr *n, const struct conn *c,
                                enum net_frame_kind kind)
{
    struct net_effect *e = next_effect(n);
    e->kind = NET_FRAME;
    memset(&e->frame, 0, sizeof(e->frame));
    e->conn = c->id;
    e->lane = c->lane;
    e->frame.kind = kind;
    return e;
}

bool effects_go_on(struct netmgr *n)
{
    if (n->effect_count < EFFECTS_MAX - EFFECTS_SPARE &&
        n->notes_step < NOTES_MAX / 2) {
        return true;
    }
    n->more = true;
    return false;
}

union note *note_new(struct netmgr *n)
{
    union note *note = &n->notes[n->note_next];
    n->note_next = (n->note_next + 1) % NOTES_MAX;
    n->notes_step++;
    memset(note, 0, sizeof(*note));
    return note;
}

bool outcome_reserve(struct netmgr *n)
{
    if (n->tickets + n->outcome_count < n->outcome_slots) {
        return true;
    }
    uint32_t slots = n->outcome_slots == 0 ? 64 : n->outcome_slots * 2;
    struct outcome *ring =
        slots == 0 ? NULL : mem_alloc(n->mem, slots * sizeof(*ring));
    if (ring == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < n->outcome_count; i++) {
        ring[i] = n->outcomes[(n->outcome_head + i) & (n->outcome_slots - 1)];
    }
    mem_free(n->mem, n->outcomes, n->outcome_slots * sizeof(*ring));
    n->outcomes = ring;
    n->outcome_slots = slots;
    n->outcome_head = 0;
    return true;
}

void outcome_push(struct netmgr *n, uint64_t ticket, enum motet_err err,
                  struct place_of place)
{
    CHECK(n->outcome_count < n->outcome_slots);
    uint32_t at = (n->outcome_head + n->outcome_count) & (n->outcome_slots - 1);
    n->outcome_count++;
    n->outcomes[at] =
        (struct outcome){.ticket = ticket, .err = err, .place = place};
}

/* Outcomes overtake the other effects, never the other way round: whoever was
 * refused hears of it before a later message of the flow is carried off (P3).
 */
const struct net_effect *netmgr_effect(struct netmgr *n)
{
    if (n->effect_taken) {
        n->effect_taken = false;
        n->effect_head = (n->effect_head + 1) % EFFECTS_MAX;
        n->effect_count--;
    }
    if (n->outcome_count > 0) {
        struct outcome o = n->outcomes[n->outcome_head];
        n->outcome_head = (n->outcome_head + 1) & (n->outcome_slots - 1);
        n->outcome_count--;
        n->outcome.kind = NET_OUTCOME;
        n->outcome.ticket = o.ticket;
        n->outcome.err = o.err;
        n->outcome.next =
            n->outcome_count > 0 ? n->outcomes[n->outcome_head].ticket : 0;
        n->outcome.place = o.place;
        return &n->outcome;
    }
    if (n->effect_count == 0) {
        return NULL;
    }
    n->effect_taken = true;
    return &n->effects[n->effect_head];
}

/* ---- Timers ----------------------------------------------------------------
 */

bool timer_start(struct netmgr *n, struct deadline *t, enum timer_kind kind)
{
    t->kind = kind;
    return deadline_set(&n->timers, t, FAR);
}

void timer_set(struct netmgr *n, struct deadline *t, uint64_t at_ns)
{
    CHECK(deadline_set(&n->timers, t, at_ns < FAR ? at_ns : FAR));
}

void timer_before(struct netmgr *n, struct deadline *t, uint64_t at_ns)
{
    if (at_ns < t->at_ns) {
        timer_set(n, t, at_ns);
    }
}

static void timer_fire(struct netmgr *n, struct deadline *t, uint64_t due_ns)
{
    switch ((enum timer_kind)t->kind) {
    case TIMER_CONN:
        conn_timer(n, CONTAINER_OF(t, struct conn, timer));
        return;
    case TIMER_DIAL:
        dial_due(n, CONTAINER_OF(t, struct dial, timer));
        return;
    case TIMER_SEED:
        seed_due(n, CONTAINER_OF(t, struct seed, timer));
        return;
    case TIMER_PING:
        ping_timer(n, CONTAINER_OF(t, struct peer, ping), due_ns);
        return;
    case TIMER_ACK: {
        struct peer *p = CONTAINER_OF(t, struct peer, ack);
        ack_wake(n, p);
        ack_flush(n, p, true);
        return;
    }
    case TIMER_FLOW:
        sflow_timer(n, CONTAINER_OF(t, struct sflow, timer));
        return;
    case TIMER_SWEEP:
        rflow_sweep(n);
        return;
    case TIMER_BLIP:
        session_told_down(n, CONTAINER_OF(t, struct peer, blip));
        return;
    }
}

static enum motet_err in_tick(struct netmgr *n, const struct net_in *in)
{
    (void)in;
    n->more = false;
    while (effects_go_on(n)) {
        struct deadline *t = deadlines_pop(&n->timers, n->now);
        if (t == NULL) {
            break;
        }
        uint64_t due_ns = t->at_ns;
        timer_set(n, t, FAR); /* it keeps its place in the heap */
        timer_fire(n, t, due_ns);
    }
    lane_flush(n);
    return MOTET_OK;
}

static enum motet_err in_flush(struct netmgr *n, const struct net_in *in)
{
    (void)in;
    n->more = false;
    n->turn++;
    lane_flush(n);
    return MOTET_OK;
}

static enum motet_err in_view(struct netmgr *n, const struct net_in *in)
{
    n->view_sites = in->view_sites;
    n->view_lowest = in->view_lowest;
    return MOTET_OK;
}

uint64_t netmgr_deadline_ns(const struct netmgr *n)
{
    if (n->more) {
        return n->now;
    }
    uint64_t at = deadlines_next(&n->timers);
    return at >= FAR ? DEADLINE_NEVER : at;
}

/* ---- Steps -----------------------------------------------------------------
 */

typedef enum motet_err (*handler)(struct netmgr *n, const struct net_in *in);

static const handler handlers[NET_IN_COUNT] = {
    [NET_IN_PEER] = peer_in,
    [NET_IN_FORGET] = peer_in_forget,
    [NET_IN_CONN_UP] = session_in_up,
    [NET_IN_CONN_DOWN] = session_in_down,
    [NET_IN_DIAL_FAILED] = peer_in_dial_failed,
    [NET_IN_FRAME] = session_in_frame,
    [NET_IN_VIOLATION] = session_in_violation,
    [NET_IN_DRAINED] = session_in_drained,
    [NET_IN_SEND] = sflow_in_send,
    [NET_IN_CANCEL] = sflow_in_cancel,
    [NET_IN_VERDICT] = accept_in_verdict,
    [NET_IN_ROOM] = accept_in_room,
    [NET_IN_PORT_END] = accept_in_port_end,
    [NET_IN_DOWN] = peer_in_down,
    [NET_IN_DEAD] = peer_in_dead,
    [NET_IN_WHERE] = locate_in_where,
    [NET_IN_FREEZE] = move_in_freeze,
    [NET_IN_HERE] = move_in_here,
    [NET_IN_AWAY] = move_in_away,
    [NET_IN_ITEM] = move_in_item,
    [NET_IN_CTL] = session_in_ctl,
    [NET_IN_PATH] = fast_in_path,
    [NET_IN_WAY] = ways_in,
    [NET_IN_VIEW] = in_view,
    [NET_IN_LEAVE] = session_in_leave,
    [NET_IN_FLUSH] = in_flush,
    [NET_IN_TICK] = in_tick,
};

/* Effects that one step gives at most, FLUSH, TICK and LEAVE apart: they stop
 * by themselves; and VERDICT gives none. */
enum { STEP_EFFECTS_MAX = 32 };

enum motet_err netmgr_step(struct netmgr *n, const struct net_in *in)
{
    if (in->kind < NET_IN_PEER || in->kind >= NET_IN_COUNT) {
        return MOTET_E_INVALID;
    }
    if (in->now_ns > n->now) {
        n->now = in->now_ns;
    }
    bool bounded = in->kind != NET_IN_FLUSH && in->kind != NET_IN_TICK &&
                   in->kind != NET_IN_VERDICT;
    if (bounded && n->effect_count + STEP_EFFECTS_MAX > EFFECTS_MAX) {
        return MOTET_E_NO_MEMORY;
    }
    n->notes_step = 0;
    enum motet_err err = handlers[in->kind](n, in);
    if (!list_empty(&n->rooms)) {
        rooms_tell(n);
    }
    return err;
}

/* ---- Life ------------------------------------------------------------------
 */

static void init_tables(struct netmgr *n, uint64_t seed)
{
    const struct net_limits *l = &n->limits;
    struct map *maps[] = {
        &n->peer_by_site,    &n->conn_by_id,     &n->sflow_by_key,
        &n->sflow_by_handle, &n->rflow_by_key,   &n->rflow_by_handle,
        &n->dport_by_ui,     &n->override_by_ui, &n->sport_by_ui,
        &n->tport_by_ui,     &n->frozen,
    };
    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        map_init(maps[i], n->mem, seed + i);
    }
    deadlines_init(&n->timers, n->mem);
    list_init(&n->peers);
    list_init(&n->conns);
    list_init(&n->seeds);
    list_init(&n->dirty);
    list_init(&n->rooms);
    list_init(&n->lru);
    list_init(&n->overrides);
    /* One more, and two connections: the loop. */
    pool_init(&n->peer_pool, n->mem, sizeof(struct peer), l->peers_max + 1);
    pool_init(&n->conn_pool, n->mem, sizeof(struct conn),
              l->peers_max * 4 + 66);
    pool_init(&n->seed_pool, n->mem, sizeof(struct seed), SEEDS_MAX);
    pool_init(&n->sflow_pool, n->mem, sizeof(struct sflow), l->flows_max);
    pool_init(&n->rflow_pool, n->mem, sizeof(struct rflow), l->flows_max);
    pool_init(&n->pflows_pool, n->mem, sizeof(struct pflows), l->flows_max * 3);
    pool_init(&n->override_pool, n->mem, sizeof(struct override),
              OVERRIDES_MAX);
}

struct netmgr *netmgr_create(const struct netmgr_config *cfg)
{
    CHECK(cfg->site != 0);
    CHECK(cfg->incarnation != 0);
    CHECK(cfg->limits.peers_max >= 1 && cfg->limits.flows_max >= 1);
    CHECK(cfg->limits.flow_msgs_max >= 1);
    CHECK(cfg->limits.credit_msgs_initial >= 1);
    struct netmgr *n = mem_alloc(cfg->mem, sizeof(*n));
    if (n == NULL) {
        return NULL;
    }
    n->limits = cfg->limits;
    n->mem = cfg->mem;
    n->trace = cfg->trace;
    n->site = cfg->site;
    n->incarnation = cfg->incarnation;
    n->insecure = cfg->insecure;
    n->transport = cfg->transport;
    n->chacha = cfg->chacha;
    text_copy(n->name, sizeof(n->name), cfg->name);
    text_copy(n->cluster, sizeof(n->cluster), cfg->cluster);
    text_copy(n->address, sizeof(n->address), cfg->address);
    n->view_sites = 1;
    n->view_lowest = cfg->site;
    n->next_dial = 1;
    n->next_base = 1;
    n->next_handle = 1;
    n->next_generation = 1;
    prng_init(&n->prng, cfg->seed);
    n->key_seed[0] = prng_next(&n->prng);
    n->key_seed[1] = prng_next(&n->prng);
    init_tables(n, prng_next(&n->prng));
    n->effects = mem_alloc(n->mem, EFFECTS_MAX * sizeof(*n->effects));
    n->notes = mem_alloc(n->mem, NOTES_MAX * sizeof(*n->notes));
    if (n->effects == NULL || n->notes == NULL ||
        !ways_init(n, cfg->ways, cfg->way_count) ||
        !timer_start(n, &n->sweep, TIMER_SWEEP) ||
        !loop_new(n, cfg->past_open)) {
        netmgr_destroy(n);
        return NULL;
    }
    return n;
}

static void effects_drop(struct netmgr *n)
{
    if (n->effect_taken) { /* it was given already */
        n->effect_head = (n->effect_head + 1) % EFFECTS_MAX;
        n->effect_count--;
    }
    for (; n->effect_count > 0; n->effect_count--) {
        struct net_effect *e = &n->effects[n->effect_head];
        n->effect_head = (n->effect_head + 1) % EFFECTS_MAX;
        if (e->kind == NET_OFFER) {
            buf_unref(e->msg.data);
        } else if (e->kind == NET_FRAME && e->frame.kind == NET_DATA) {
            buf_unref(e->frame.u.data.hold);
        } else if (e->kind == NET_FRAME && e->frame.kind == NET_CTL) {
            buf_unref(e->frame.u.ctl.hold);
        }
    }
}

static void tables_fini(struct netmgr *n)
{
    map_fini(&n->peer_by_site);
    map_fini(&n->conn_by_id);
    map_fini(&n->sflow_by_key);
    map_fini(&n->sflow_by_handle);
    map_fini(&n->rflow_by_key);
    map_fini(&n->rflow_by_handle);
    map_fini(&n->dport_by_ui);
    map_fini(&n->override_by_ui);
    map_fini(&n->sport_by_ui);
    map_fini(&n->tport_by_ui);
    map_fini(&n->frozen);
    pool_fini(&n->peer_pool);
    pool_fini(&n->conn_pool);
    pool_fini(&n->seed_pool);
    pool_fini(&n->sflow_pool);
    pool_fini(&n->rflow_pool);
    pool_fini(&n->pflows_pool);
    pool_fini(&n->override_pool);
    deadlines_fini(&n->timers);
}

static void release_flows(struct netmgr *n, struct peer *p)
{
    list_foreach (flow, &p->sflows) {
        struct sflow *f = LIST_ENTRY(flow, struct sflow, node);
        for (uint64_t seq = f->una; seq < f->end; seq++) {
            buf_unref(sflow_slot(f, seq)->msg.data);
        }
        mem_free(n->mem, f->ring, f->ring_slots * sizeof(*f->ring));
    }
    list_foreach (flow, &p->rflows) {
        buf_unref(LIST_ENTRY(flow, struct rflow, node)->part);
    }
}

void netmgr_destroy(struct netmgr *n)
{
    list_foreach (it, &n->peers) {
        release_flows(n, LIST_ENTRY(it, struct peer, node));
    }
    if (n->self != NULL) {
        release_flows(n, n->self);
    }
    effects_drop(n);
    tables_fini(n);
    mem_free(n->mem, n->effects, EFFECTS_MAX * sizeof(*n->effects));
    mem_free(n->mem, n->notes, NOTES_MAX * sizeof(*n->notes));
    mem_free(n->mem, n->outcomes, n->outcome_slots * sizeof(*n->outcomes));
    mem_free(n->mem, n, sizeof(*n));
}

/* ---- For status ------------------------------------------------------------
 */

bool netmgr_next_link(const struct netmgr *n, uint64_t after,
                      struct net_link_stats *stats)
{
    struct list *it = list_first(&n->peers);
    if (after != 0) {
        const struct peer *p = peer_find(n, after);
        it = p == NULL ? NULL : list_after(&n->peers, &p->node);
    }
    if (it == NULL) {
        return false;
    }
    const struct peer *p = LIST_ENTRY(it, struct peer, node);
    *stats = p->stats;
    stats->site = p->site;
    stats->incarnation = p->incarnation;
    text_copy(stats->name, sizeof(stats->name), p->name);
    text_copy(stats->addr, sizeof(stats->addr), p->addr);
    stats->up = p->up;
    stats->rtt_ns = p->srtt_ns;
    stats->backlog_bytes = 0;
    for (int lane = 0; lane < NET_LANE_COUNT; lane++) {
        if (p->conns[lane] != NULL) {
            stats->backlog_bytes += p->conns[lane]->backlog;
        }
    }
    if (p->conns[NET_FAST] != NULL) {
        stats->fast = p->conns[NET_FAST]->id;
        stats->fast_rtt_ns = p->conns[NET_FAST]->srtt_ns;
        stats->fast_used = p->fast_used;
    }
    return true;
}

struct net_counts netmgr_counts(const struct netmgr *n)
{
    return (struct net_counts){
        .peers = n->peer_pool.used - 1, /* the loop is none */
        .sessions = n->sessions,
        .flows_out = n->sflow_pool.used,
        .flows_in = n->rflow_pool.used,
        .pending = n->kept,
        .pending_bytes = n->kept_bytes,
    };
}
