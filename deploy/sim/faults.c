#include <stdio.h>

#include "nucleus/base/hash.h"
#include "world.h"

/* What breaks, when, and how it ends. All faults of a run are known before it
 * begins: those of a scenario, those drawn from the seed, or those that are
 * left of them. Each seed draws which kinds of fault there are and how often
 * each comes (swarm testing), so that also rare mixtures happen. */

/* ---- Draws -----------------------------------------------------------------
 */

enum { LINK_RATE = 100000000 }; /* bytes a second, in good weather */

static struct weather draw_weather(struct prng *p, uint32_t badness)
{
    struct weather w = {.rate = LINK_RATE};
    fate_weather(&w.params, &w.rate, p, badness);
    return w;
}

static uint32_t draw_badness(const struct world *w, struct prng *p)
{
    switch (w->opt->preset) {
    case SIM_CALM:
    case SIM_DEATHS:
        return 0;
    case SIM_LOSSY:
        return (uint32_t)prng_between(p, 1, 3);
    case SIM_SWARM:
    case SIM_TIGHT:
    case SIM_PRESET_COUNT:
    default:
        return (uint32_t)prng_below(p, 4);
    }
}

/* ---- Links -----------------------------------------------------------------
 */

/* The place of a node in the sets of faults: a twin stands where the site does
 * that it is a copy of. */
static uint32_t place_of(const struct world *w, uint32_t node)
{
    return node == w->node_count ? w->twin_of : node;
}

static bool touches(const struct world *w, const struct chaos_fault *f,
                    uint32_t i, uint32_t j)
{
    const enum chaos_about about = chaos_about(f->kind);
    return about != CHAOS_OF_SITES &&
           chaos_touches(f, w->node_count, place_of(w, i), place_of(w, j));
}

static void most(uint32_t *to, int64_t value)
{
    *to = value > (int64_t)*to ? (uint32_t)value : *to;
}

/* Losses come alone, or so many in a row, on average. */
static void overlay_loss(struct fate_params *p, const struct chaos_fault *f)
{
    if (f->burst > 1) {
        most(&p->burst, f->by / f->burst);
        most(&p->burst_length, f->burst);
    } else {
        most(&p->loss, f->by);
    }
}

/* What a fault makes of a link while it lasts. */
static void overlay(struct link *l, const struct chaos_fault *f)
{
    struct fate_params *p = &l->fate.params;
    switch ((int)f->kind) { /* those it is about */
    case CHAOS_CUT:
    case CHAOS_RING:
        l->cuts++;
        break;
    case CHAOS_LOSS:
        overlay_loss(p, f);
        break;
    case CHAOS_DELAY:
        p->delay_ns += (uint64_t)f->by;
        break;
    case CHAOS_JITTER:
        p->tail_ns += (uint64_t)f->by;
        break;
    case CHAOS_DUPLICATE:
        most(&p->duplicate, f->by);
        break;
    case CHAOS_REORDER:
        most(&p->reorder, f->by);
        break;
    case CHAOS_CORRUPT:
        most(&p->corrupt, f->by);
        break;
    case CHAOS_RATE:
        l->rate = (uint64_t)f->by < l->rate ? (uint64_t)f->by : l->rate;
        break;
    case CHAOS_QUEUE:
        l->queue = (uint64_t)f->by;
        break;
    default:
        break;
    }
}

static void relink_one(struct world *w, uint32_t i, uint32_t j)
{
    struct link *l = &w->link[i][j];
    const uint32_t cuts = l->cuts;
    l->fate.params = w->weather[i][j].params;
    l->rate = w->weather[i][j].rate;
    l->queue = 0;
    l->cuts = w->node[i].apart || w->node[j].apart;
    list_foreach (it, &w->active) {
        const struct undo *u = LIST_ENTRY(it, struct undo, link);
        if (touches(w, u->fault, i, j)) {
            overlay(l, u->fault);
        }
    }
    l->fate.params.cut = l->cuts > 0;
    if (cuts > 0 && l->cuts == 0) {
        net_uncut(w, i, j);
    }
}

/* All links anew, from the weather and the faults that last. */
void faults_relink(struct world *w)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            relink_one(w, i, j);
        }
    }
}

static void clog_links(struct world *w, const struct chaos_fault *f)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            if (touches(w, f, i, j)) {
                w->link[i][j].fate.clogged_until_ns = w->now_ns + f->for_ns;
            }
        }
    }
}

static void redraw(struct world *w, const struct chaos_fault *f)
{
    struct prng p;
    prng_init(&p, f->dice);
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            if (prng_chance(&p, 200000)) {
                w->weather[i][j] = draw_weather(&p, draw_badness(w, &p));
            }
        }
    }
    faults_relink(w);
}

/* ---- All of a run ----------------------------------------------------------
 */

static bool fits_preset(enum sim_preset preset, enum nemesis_kind k)
{
    const bool death = k == NEMESIS_KILL || k == NEMESIS_TWIN ||
                       k == NEMESIS_RESTART || k == NEMESIS_DISK_FULL;
    switch (preset) {
    case SIM_CALM:
        return false;
    case SIM_DEATHS:
        return death || k == NEMESIS_PAUSE;
    case SIM_LOSSY:
        return !death;
    case SIM_SWARM:
    case SIM_TIGHT:
    case SIM_PRESET_COUNT:
    default:
        return true;
    }
}

static void draw_faults(struct world *w, uint64_t seed)
{
    for (uint32_t k = 0; k < NEMESIS_COUNT; k++) {
        const enum nemesis_kind kind = (enum nemesis_kind)k;
        const bool on = prng_chance(&w->chance, 500000);
        uint64_t mean = prng_between(&w->chance, 1, 8);
        mean *= prng_between(&w->chance, 1, 4);
        if (on && fits_preset(w->opt->preset, kind) &&
            w->opt->scenario == NULL) {
            nemesis_draw(kind, seed, w->node_count, w->for_ns, mean * SECOND,
                         &w->faults);
        }
    }
    if (w->opt->scenario != NULL) {
        scenario_faults(w->opt->scenario, seed, &w->faults);
    }
    chaos_sort(&w->faults);
}

static void copy_faults(struct chaos_faults *to,
                        const struct chaos_faults *from)
{
    for (size_t i = 0; i < from->count; i++) {
        CHECK(chaos_add(to, &from->items[i]));
    }
}

void faults_draw(struct world *w, uint64_t seed)
{
    tuning_draw(w);
    list_init(&w->active);
    w->twin_of = UINT32_MAX;
    w->script.world = w;
    for (uint32_t i = 0; i < NODES_MAX; i++) {
        for (uint32_t j = 0; j < NODES_MAX; j++) {
            fate_init(&w->link[i][j].fate, prng_next(&w->net_chance));
            w->weather[i][j].rate = LINK_RATE;
            if (i <= w->node_count && j <= w->node_count) {
                w->weather[i][j] =
                    draw_weather(&w->chance, draw_badness(w, &w->chance));
            }
            if (i < j && j < w->node_count) {
                w->datagram[i][j] =
                    prng_chance(&w->chance, w->tuning.datagram_pairs);
                w->datagram[j][i] = w->datagram[i][j];
            }
        }
    }
    faults_relink(w);
    draw_faults(w, seed);
    if (w->opt->faults != NULL) {
        chaos_free(&w->faults);
        copy_faults(&w->faults, w->opt->faults);
    }
    if (w->opt->drawn != NULL) {
        *w->opt->drawn = (struct chaos_faults){0};
        copy_faults(w->opt->drawn, &w->faults);
    }
}

static void arm(struct world *w)
{
    if (w->script.at < w->faults.count) {
        const uint64_t at_ns = w->faults.items[w->script.at].at_ns;
        world_at(w, &w->script.next, DUE_FAULT, w->script.start_ns + at_ns);
    }
}

void faults_start(struct world *w)
{
    w->script.start_ns = w->now_ns;
    arm(w);
}

/* ---- Begin and end ---------------------------------------------------------
 */

static void strike_sites(struct world *w, const struct chaos_fault *f)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        if ((f->sites >> i & 1) != 0) {
            faults_strike(&w->node[i], f);
        }
    }
}

static void strike(struct world *w, const struct chaos_fault *f)
{
    switch (chaos_about(f->kind)) {
    case CHAOS_OF_SITES:
        strike_sites(w, f);
        break;
    case CHAOS_OF_LINKS:
    case CHAOS_OF_ALL:
    default:
        if (f->kind == CHAOS_CLOG) {
            clog_links(w, f);
        } else if (f->kind == CHAOS_BREAK) {
            net_break_one(w, f);
        } else if (f->kind == CHAOS_WEATHER) {
            redraw(w, f);
        } else {
            faults_relink(w);
        }
    }
}

static void say_fault(struct world *w, const struct chaos_fault *f, bool begins)
{
    if (w->opt->trace != NULL) {
        char text[CHAOS_TEXT_MAX];
        world_trace(w, NULL, ' ', "%s %s: %s", begins ? "FAULT" : "ends",
                    f->name, chaos_text(f, w->node_count, text));
    }
    if (w->opt->on_fault != NULL) {
        w->opt->on_fault(w->opt->ctx, w->now_ns, f, begins);
    }
}

void faults_begin(struct world *w, const struct chaos_fault *f)
{
    struct undo *u = world_alloc(w, sizeof *u);
    w->report->faults[f->kind]++;
    w->hash = hash_fold(w->hash, (uint64_t)f->kind << 56 ^ w->now_ns);
    say_fault(w, f, true);
    u->world = w;
    u->fault = f;
    list_append(&w->active, &u->link);
    world_at(w, &u->at, DUE_UNDO, w->now_ns + f->for_ns);
    strike(w, f);
}

void faults_on(struct script *s)
{
    struct world *w = s->world;
    faults_begin(w, &w->faults.items[s->at++]);
    arm(w);
}

/* Another fault of the same kind may still last. */
static bool still_so(const struct world *w, enum chaos_kind kind, uint32_t i)
{
    list_foreach (it, &w->active) {
        const struct chaos_fault *f = LIST_ENTRY(it, struct undo, link)->fault;
        if (f->kind == kind && (f->sites >> i & 1) != 0) {
            return true;
        }
    }
    return false;
}

static void end_for_site(struct world *w, const struct chaos_fault *f,
                         uint32_t i)
{
    if ((f->kind == CHAOS_SLOW || f->kind == CHAOS_STUCK) &&
        !still_so(w, f->kind, i)) {
        work_manner(w->work, &w->node[i], MANNER_WELL);
    } else if (f->kind == CHAOS_TWIN && w->twin_of == i) {
        node_crash(&w->node[w->node_count], "is ended");
    }
}

void faults_on_undo(struct undo *u)
{
    struct world *w = u->world;
    const struct chaos_fault *f = u->fault;
    list_remove(&u->link);
    mem_free(&w->mem, u, sizeof *u);
    if (f->for_ns > 0) {
        say_fault(w, f, false);
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (chaos_about(f->kind) == CHAOS_OF_SITES &&
            (f->sites >> i & 1) != 0) {
            end_for_site(w, f, i);
        }
    }
    if (chaos_about(f->kind) != CHAOS_OF_SITES) {
        faults_relink(w);
    }
}

static void end_all(struct world *w)
{
    deadline_clear(&w->due, &w->script.next);
    list_foreach (it, &w->active) {
        struct undo *u = LIST_ENTRY(it, struct undo, link);
        deadline_clear(&w->due, &u->at);
        if (u->fault->for_ns > 0) {
            say_fault(w, u->fault, false);
        }
        list_remove(&u->link);
        mem_free(&w->mem, u, sizeof *u);
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        work_manner(w->work, &w->node[i], MANNER_WELL);
        w->node[i].full_until_ns = 0;
    }
}

void faults_fini(struct world *w)
{
    end_all(w);
    chaos_free(&w->faults);
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
        if (out->site != NULL) {
            const struct check_event e = {
                .now_ns = w->now_ns,
                .what = CHECK_SITE_APART,
                .site = out->id,
                .incarnation = out->incarnation,
            };
            world_tell(w, &e);
            world_trace(w, out, '|', "%s is cut off for ever", out->name);
        }
    }
}

static void heal_links(struct world *w)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            struct weather *x = &w->weather[i][j];
            struct fate_params *f = &x->params;
            f->loss = f->loss > 10000 ? 10000 : f->loss;
            f->burst = 0;
            x->rate = x->rate < 2000000 ? 2000000 : x->rate;
            w->link[i][j].fate.clogged_until_ns = 0;
        }
    }
}

void faults_heal(struct world *w, bool core_only)
{
    end_all(w);
    w->healed = true;
    world_trace(w, NULL, ' ', "---- everything heals%s",
                core_only ? ", for a core of the sites" : "");
    node_crash(&w->node[w->node_count], "is ended");
    heal_links(w);
    if (core_only) {
        seen(w, SEEN_WORLD_CORE_ONLY);
        choose_core(w);
    }
    faults_relink(w);
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->node[i];
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
