#include "world.h"

/* What the sites of a run are like: numbers of their configuration, drawn from
 * the seed. */

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

/* Numbers that may be others without a promise being broken: a few of them are
 * bent, so that nothing comes to depend on them (FoundationDB's "buggify"). */
static void bend(struct world *w)
{
    struct prng *p = &w->chance;
    struct site_config *c = &w->tuning.site;
    const struct {
        uint64_t *ns;
        uint64_t low_ms, high_ms;
    } times[] = {
        {&c->member.probe_ns, 100, 500},
        {&c->member.probe_timeout_ns, 80, 200},
        {&c->member.window_ns, 1000, 3000},
        {&c->member.reprobe_ns, 50, 300},
        {&c->member.gossip_ns, 50, 250},
        {&c->directory.gather_ns, 1, 100},
        {&c->directory.sync_ns, 300, 2000},
    };
    const struct {
        uint32_t *field;
        uint32_t low, high;
    } counts[] = {
        {&c->member.indirect, 1, 6},
        {&c->member.fanout, 1, 6},
        {&c->member.verifiers, 1, 8},
        {&c->member.awareness_max, 1, 8},
        {&c->net.credit_msgs_initial, 1, 64},
        {&c->net.credit_bytes_initial, 1024, 262144},
        {&c->net.lane_backlog_bytes, 16384, 1048576},
        {&c->nucleus.queue_msgs_max, 4, 2048},
    };
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        const uint64_t ms = prng_between(p, times[i].low_ms, times[i].high_ms);
        if (prng_chance(p, 250000)) {
            *times[i].ns = ms * MS;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        const uint64_t n = prng_between(p, counts[i].low, counts[i].high);
        if (prng_chance(p, 250000)) {
            *counts[i].field = (uint32_t)n;
        }
    }
}

/* What a scenario says goes before what was drawn. */
static void tune_scenario(struct world *w)
{
    const struct scenario *script = w->opt->scenario;
    struct tuning *t = &w->tuning;
    if (script != NULL && script->actors > 0) {
        t->actors = script->actors;
    }
    if (script != NULL && script->rate > 0) {
        t->op_mean_ns = SECOND * t->actors / script->rate;
    }
}

void tuning_draw(struct world *w)
{
    struct prng *p = &w->chance;
    struct tuning *t = &w->tuning;
    const enum sim_preset preset = w->opt->preset;
    t->site = site_config_default();
    t->site.cluster = "sim";
    t->site.version = "0";
    t->insecure = prng_chance(p, 200000);
    const bool bent = prng_chance(p, 400000);
    if (bent && preset != SIM_CALM) {
        bend(w);
    }
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
    tune_scenario(w);
}
