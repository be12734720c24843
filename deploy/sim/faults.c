#include <stdio.h>

#include "nucleus/base/hash.h"
#include "world.h"

/* Who breaks what, when. Each seed draws which kinds of fault there are and how
 * often each comes (swarm testing), so that also rare mixtures happen. */

enum { LINK_RATE = 100000000 }; /* bytes a second, in good weather */

/* ---- Draws -----------------------------------------------------------------
 */

static struct fate_params draw_params(struct world *w, uint32_t badness)
{
    struct prng *p = &w->chance;
    static const uint64_t mean_us[] = {100, 1000, 8000, 40000};
    struct fate_params f = {.reorder_by_ns = 50 * MS};
    /* One draw a statement: the order of others is the compiler's. */
    f.delay_ns = prng_below(p, mean_us[badness] * 1000);
    f.tail_ns = prng_below(p, mean_us[badness] * 1000);
    if (badness > 0) {
        static const uint32_t loss[] = {0, 1000, 20000, 150000};
        f.loss = (uint32_t)prng_below(p, loss[badness]);
        f.duplicate = (uint32_t)prng_below(p, loss[badness]);
        f.reorder = (uint32_t)prng_below(p, loss[badness]);
    }
    if (badness > 1 && prng_chance(p, 300000)) {
        f.burst = (uint32_t)prng_below(p, 10000);
        f.burst_length = (uint32_t)prng_between(p, 2, 20);
    }
    return f;
}

static uint32_t draw_badness(struct world *w)
{
    switch (w->opt->preset) {
    case SIM_CALM:
    case SIM_DEATHS:
        return 0;
    case SIM_LOSSY:
        return (uint32_t)prng_between(&w->chance, 1, 3);
    case SIM_SWARM:
    case SIM_TIGHT:
    case SIM_PRESET_COUNT:
    default:
        return (uint32_t)prng_below(&w->chance, 4);
    }
}

/* Redraws the weather between two nodes, in one direction; cuts stay. */
static void redraw(struct world *w, uint32_t i, uint32_t j, uint32_t badness)
{
    struct link *l = &w->link[i][j];
    l->fault.params = draw_params(w, badness);
    l->rate =
        badness >= 2 ? prng_between(&w->chance, 500000, 20000000) : LINK_RATE;
    net_cuts(l, l->cuts);
}

/* Not less than a cluster needs to talk at all: a flow each way for requests
 * and for replies with each site. */
static void draw_tiny(struct world *w)
{
    struct prng *p = &w->chance;
    struct site_config *c = &w->tuning.site;
    const struct {
        uint32_t *field;
        uint32_t low, high;
    } knobs[] = {
        {&c->nucleus.queue_msgs_max, 1, 8},
        {&c->nucleus.queue_bytes_max, 1024, 65536},
        {&c->nucleus.calls_max, 2, 16},
        {&c->nucleus.held_max, 2, 16},
        {&c->nucleus.watches_max, 2, 16},
        {&c->nucleus.waiters_max, 2, 16},
        {&c->nucleus.ports_max, 12, 32},
        {&c->net.flow_msgs_max, 1, 4},
        {&c->net.flow_bytes_max, 1024, 65536},
        {&c->net.flows_max, 48, 256},
        {&c->net.credit_msgs_initial, 1, 2},
        {&c->net.credit_bytes_initial, 64, 4096},
        {&c->net.lane_backlog_bytes, 1024, 65536},
    };
    for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
        if (prng_chance(p, 500000)) {
            *knobs[i].field =
                (uint32_t)prng_between(p, knobs[i].low, knobs[i].high);
        }
    }
    if (prng_chance(p, 300000)) {
        c->memory_bytes_max = prng_between(p, 4, 32) << 20;
    }
}

static void draw_tuning(struct world *w)
{
    struct prng *p = &w->chance;
    struct tuning *t = &w->tuning;
    const enum sim_preset preset = w->opt->preset;
    t->site = site_config_default();
    t->site.cluster = "sim";
    t->site.version = "0";
    t->insecure = prng_chance(p, 200000);
    t->tight =
        preset == SIM_TIGHT || (preset == SIM_SWARM && prng_chance(p, 200000));
    if (t->tight) {
        draw_tiny(w);
    }
    t->datagram_pairs = preset == SIM_CALM || preset == SIM_DEATHS ? 0
                        : prng_chance(p, 500000)
                            ? (uint32_t)prng_below(p, 1000000)
                            : 0;
    t->turn_ns = prng_below(p, 200000);
    t->split = prng_chance(p, 300000) ? (uint32_t)prng_below(p, 500000) : 5000;
    t->deaf = (uint32_t)prng_below(p, 1000000);
    t->actors = (uint32_t)prng_between(p, 1, 3);
    t->op_mean_ns = prng_between(p, 20, 100) * MS * t->actors;
}

static bool fits_preset(enum sim_preset preset, enum sim_fault f)
{
    switch (preset) {
    case SIM_CALM:
        return false;
    case SIM_DEATHS:
        return f == SIM_FAULT_CRASH || f == SIM_FAULT_PAUSE ||
               f == SIM_FAULT_TWIN || f == SIM_FAULT_LEAVE;
    case SIM_LOSSY:
        return f != SIM_FAULT_CRASH && f != SIM_FAULT_TWIN &&
               f != SIM_FAULT_LEAVE;
    case SIM_SWARM:
    case SIM_TIGHT:
    case SIM_PRESET_COUNT:
    default:
        return true;
    }
}

void faults_draw(struct world *w)
{
    draw_tuning(w);
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        for (uint32_t j = 0; j < NODES_MAX; j++) {
            fate_init(&w->link[i][j].fault, prng_next(&w->net_chance));
            w->link[i][j].rate = LINK_RATE;
            if (i <= w->node_count && j <= w->node_count) {
                redraw(w, i, j, draw_badness(w));
            }
            if (i < j && j < w->node_count) {
                w->datagram[i][j] =
                    prng_chance(&w->chance, w->tuning.datagram_pairs);
                w->datagram[j][i] = w->datagram[i][j];
            }
        }
    }
    for (uint32_t f = 0; f < SIM_FAULT_COUNT; f++) {
        struct nemesis *m = &w->nemesis[f];
        m->world = w;
        m->fault = (enum sim_fault)f;
        m->mean_ns = 0;
        const bool on = prng_chance(&w->chance, 500000);
        uint64_t mean = prng_between(&w->chance, 1, 8);
        mean *= prng_between(&w->chance, 1, 4);
        if (on && fits_preset(w->opt->preset, m->fault)) {
            m->mean_ns = mean * SECOND;
        }
    }
}

static void arm(struct nemesis *m)
{
    struct world *w = m->world;
    if (m->mean_ns > 0) {
        const uint64_t ns = prng_exponential(&w->chance, m->mean_ns);
        world_at(w, &m->next, DUE_FAULT, w->now_ns + ns);
    }
}

void faults_start(struct world *w)
{
    for (uint32_t f = 0; f < SIM_FAULT_COUNT; f++) {
        arm(&w->nemesis[f]);
    }
}

/* ---- Cuts ------------------------------------------------------------------
 */

static struct undo *new_undo(struct world *w)
{
    struct undo *u = world_alloc(w, sizeof *u);
    u->world = w;
    u->heals = w->heals;
    return u;
}

static void cut(struct undo *u, uint32_t from, uint32_t to)
{
    struct world *w = u->world;
    net_cuts(&w->link[from][to], w->link[from][to].cuts + 1);
    u->from[u->count] = (uint8_t)from;
    u->to[u->count] = (uint8_t)to;
    u->count++;
}

static void cut_until_later(struct undo *u)
{
    struct world *w = u->world;
    const uint64_t ns = prng_chance(&w->chance, 300000)
                            ? prng_between(&w->chance, 50, 1000) * MS
                            : prng_between(&w->chance, 1, 15) * SECOND;
    world_at(w, &u->at, DUE_UNDO, w->now_ns + ns);
}

void faults_on_undo(struct undo *u)
{
    struct world *w = u->world;
    if (u->heals == w->heals) {
        world_trace(w, NULL, ' ', "%u ways are open again", u->count);
        for (uint32_t i = 0; i < u->count; i++) {
            struct link *l = &w->link[u->from[i]][u->to[i]];
            CHECK(l->cuts > 0);
            net_cuts(l, l->cuts - 1);
            if (l->cuts == 0) {
                net_uncut(w, u->from[i], u->to[i]);
            }
        }
    }
    mem_free(&w->mem, u, sizeof *u);
}

static void cut_pair(struct world *w, bool both)
{
    struct undo *u = new_undo(w);
    const uint32_t a = (uint32_t)prng_below(&w->chance, w->node_count);
    const uint32_t b =
        (a + 1 + (uint32_t)prng_below(&w->chance, w->node_count - 1)) %
        w->node_count;
    world_trace(w, NULL, ' ', "cut %s -%s %s", w->node[a].name,
                both ? "x-" : ">", w->node[b].name);
    cut(u, a, b);
    if (both) {
        cut(u, b, a);
    }
    cut_until_later(u);
}

static void cut_halves(struct world *w)
{
    struct undo *u = new_undo(w);
    const uint64_t side = prng_next(&w->chance);
    const bool one_way = prng_chance(&w->chance, 200000);
    world_trace(w, NULL, ' ', "halves%s", one_way ? ", one way" : "");
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            const bool left = (side >> i & 1) != 0;
            const bool right = (side >> j & 1) != 0;
            if (left != right && (!one_way || left)) {
                cut(u, i, j);
            }
        }
    }
    cut_until_later(u);
}

/* Each node sees itself and its neighbours on a ring: overlapping majorities
 * for 5 sites. */
static void cut_ring(struct world *w)
{
    struct undo *u = new_undo(w);
    const uint32_t n = w->node_count;
    const uint32_t reach = n / 4 > 0 ? n / 4 : 1;
    world_trace(w, NULL, ' ', "ring");
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) {
            const uint32_t d = (j + n - i) % n;
            if (d > reach && n - d > reach) {
                cut(u, i, j);
            }
        }
    }
    cut_until_later(u);
}

static void clog_one(struct world *w)
{
    const uint32_t victim = (uint32_t)prng_below(&w->chance, w->node_count);
    const bool all = prng_chance(&w->chance, 500000);
    const uint64_t until_ns =
        w->now_ns + prng_between(&w->chance, 50, 3000) * MS;
    for (uint32_t j = 0; j < w->node_count; j++) {
        if (all || prng_chance(&w->chance, 300000)) {
            w->link[victim][j].fault.clogged_until_ns = until_ns;
            w->link[j][victim].fault.clogged_until_ns = until_ns;
        }
    }
    world_trace(w, &w->node[victim], '~', "clogged");
}

/* ---- Sites -----------------------------------------------------------------
 */

/* A site that runs, drawn; NULL if the draw hit one that does not. */
static struct node *draw_node(struct world *w)
{
    struct node *n = &w->node[prng_below(&w->chance, w->node_count)];
    return n->site != NULL && !n->apart ? n : NULL;
}

/* The state file is lost or rolled back, or the wall clock jumps; never so that
 * both say less than was used before: that only the memory of peers covers. */
static void hurt_state(struct node *n)
{
    struct world *w = n->world;
    const uint64_t draw = prng_below(&w->chance, 10);
    const int64_t wall =
        WALL_START_S + (int64_t)(w->now_ns / SECOND) + n->wall_s;
    if (draw < 2 && wall > (int64_t)n->stored) {
        n->stored = draw == 0 ? 0 : n->stored_before;
        world_trace(w, n, '!', "%s: its state file is %s", n->name,
                    draw == 0 ? "lost" : "rolled back");
    } else if (draw == 2) {
        n->wall_s = (int64_t)prng_below(&w->chance, 2000) - 1000;
    }
}

/* A site dies, or leaves in good order, and comes back after a while. */
static void crash(struct world *w, bool leaves)
{
    struct node *n = draw_node(w);
    if (n == NULL || (leaves && n->paused)) {
        return;
    }
    uint64_t ns = prng_between(&w->chance, 500, 10000) * MS;
    const uint64_t draw = prng_below(&w->chance, 10);
    if (draw < 2) {
        ns = prng_below(&w->chance, 10 * MS);
    } else if (draw < 4) {
        ns = prng_between(&w->chance, 10, 60) * SECOND;
    }
    if (leaves) {
        node_leave(n);
    } else {
        node_crash(n, "crashes");
    }
    hurt_state(n);
    world_at(w, &n->boot, DUE_BOOT, w->now_ns + ns);
}

static void pause_one(struct world *w)
{
    struct node *n = draw_node(w);
    if (n != NULL) {
        node_pause(n, prng_chance(&w->chance, 500000)
                          ? prng_between(&w->chance, 5, 500) * MS
                          : prng_between(&w->chance, 500, 10000) * MS);
    }
}

/* A second copy of a site is started: same key, a copy of its state file. */
static void twin(struct world *w)
{
    struct node *t = &w->node[w->node_count];
    if (t->site != NULL) {
        node_crash(t, "is ended");
        return;
    }
    const struct node *n = draw_node(w);
    if (n == NULL) {
        return;
    }
    t->id = n->id;
    t->stored = n->stored;
    t->wall_s = n->wall_s;
    const unsigned number = n->index + 1;
    (void)snprintf(t->name, sizeof t->name, "site%u", number);
    (void)snprintf(t->addr, sizeof t->addr, "site%u:7118", number);
    node_boot(t);
}

static void weather(struct world *w)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            if (prng_chance(&w->chance, 200000)) {
                redraw(w, i, j, draw_badness(w));
            }
        }
    }
}

static void strike(struct world *w, enum sim_fault fault)
{
    struct node *n = NULL;
    switch (fault) {
    case SIM_FAULT_CRASH:
    case SIM_FAULT_LEAVE:
        crash(w, fault == SIM_FAULT_LEAVE);
        break;
    case SIM_FAULT_PAUSE:
        pause_one(w);
        break;
    case SIM_FAULT_CUT_ONE_WAY:
    case SIM_FAULT_CUT:
        cut_pair(w, fault == SIM_FAULT_CUT);
        break;
    case SIM_FAULT_HALVES:
        cut_halves(w);
        break;
    case SIM_FAULT_RING:
        cut_ring(w);
        break;
    case SIM_FAULT_CLOG:
        clog_one(w);
        break;
    case SIM_FAULT_BREAK:
        net_break_one(w);
        break;
    case SIM_FAULT_WEATHER:
        weather(w);
        break;
    case SIM_FAULT_STRANGER:
        n = draw_node(w);
        if (n != NULL) {
            net_stranger(n);
        }
        break;
    case SIM_FAULT_TWIN:
        twin(w);
        break;
    case SIM_FAULT_COUNT:
    default:
        CHECK(fault < SIM_FAULT_COUNT);
    }
}

void faults_on(struct nemesis *m)
{
    struct world *w = m->world;
    w->report->faults[m->fault]++;
    w->hash = hash_fold(w->hash, (uint64_t)m->fault << 56 ^ w->now_ns);
    strike(w, m->fault);
    arm(m);
}

/* ---- The end of all faults -------------------------------------------------
 */

static void choose_core(struct world *w)
{
    const uint32_t n = w->node_count;
    uint32_t left = n > 2 ? (uint32_t)prng_between(&w->chance, 1, n - 2) : 0;
    while (left > 0) {
        struct node *out = &w->node[prng_below(&w->chance, n)];
        if (out->apart) {
            continue;
        }
        left--;
        out->apart = true;
        if (out->site != NULL && prng_chance(&w->chance, 500000)) {
            node_crash(out, "is lost");
        }
        deadline_clear(&w->due, &out->boot);
        for (uint32_t j = 0; j <= n; j++) {
            struct link *there = &w->link[out->index][j];
            struct link *back = &w->link[j][out->index];
            net_cuts(there, there->cuts + 1);
            net_cuts(back, back->cuts + 1);
        }
        if (out->site != NULL) {
            const struct check_event e = {
                .now_ns = w->now_ns,
                .what = CHECK_SITE_APART,
                .site = out->id,
                .incarnation = out->incarnation,
            };
            check_feed(w->check, &e);
            world_trace(w, out, '|', "%s is cut off for ever", out->name);
        }
    }
}

static void heal_links(struct world *w)
{
    w->heals++;
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            struct link *l = &w->link[i][j];
            struct fate_params *f = &l->fault.params;
            net_cuts(l, 0);
            l->fault.clogged_until_ns = 0;
            f->loss = f->loss > 10000 ? 10000 : f->loss;
            f->burst = 0;
            l->rate = l->rate < 2000000 ? 2000000 : l->rate;
        }
    }
}

void faults_heal(struct world *w, bool core_only)
{
    for (uint32_t f = 0; f < SIM_FAULT_COUNT; f++) {
        deadline_clear(&w->due, &w->nemesis[f].next);
    }
    world_trace(w, NULL, ' ', "---- everything heals%s",
                core_only ? ", for a core of the sites" : "");
    node_crash(&w->node[w->node_count], "is ended");
    heal_links(w);
    if (core_only) {
        choose_core(w);
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->node[i];
        for (uint32_t j = 0; j < w->node_count; j++) {
            if (w->link[i][j].cuts == 0) {
                net_uncut(w, i, j);
            }
        }
        if (n->paused) {
            n->busy_until_ns = w->now_ns;
            world_at(w, &n->turn, DUE_TURN, w->now_ns);
        }
        if (n->site == NULL && !n->apart) {
            world_at(w, &n->boot, DUE_BOOT,
                     w->now_ns + prng_below(&w->chance, 100 * MS));
        }
    }
}
