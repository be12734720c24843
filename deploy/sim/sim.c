#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "nucleus/base/hash.h"
#include "points.h"
#include "work.h"

enum { MESSAGE_MAX = (1 << 20) + MOTET_ANNEX_MAX }; /* of the load, bytes */

/* Bounds of the end of a run. Agreement within 2 s is what is promised once a
 * site is connected; before that it may have to hear that it was taken for
 * dead, be born again and be found by a dial whose back-off is 2 s. */
static const uint64_t agree_max_ns = 12 * SECOND;
/* Where sites die for good as the others heal, these must find it out first.
 * One that loses most of its peers at once has reason to doubt itself
 * (Lifeguard): it probes 9 times less often, and a suspicion takes 9 times 2 s.
 */
static const uint64_t agree_core_max_ns = 60 * SECOND;
static const uint64_t settle_ns = 20 * SECOND; /* for all that is pending */
static const uint64_t settle_point_ns = 8 * SECOND; /* nothing takes longer */
/* Where tables are tiny, who waits for a place in them waits until records of
 * others are forgotten: up to 60 s. */
static const uint64_t settle_tight_ns = 150 * SECOND;
static const uint64_t look_ns = 100 * MS;    /* between two looks */
static const uint64_t inspect_ns = 500 * MS; /* between two, of queues */
static const uint64_t late_ns = 10 * MS;     /* P1, P4 */

static const char *const preset_names[SIM_PRESET_COUNT] = {
    [SIM_SWARM] = "swarm",   [SIM_CALM] = "calm",   [SIM_LOSSY] = "lossy",
    [SIM_DEATHS] = "deaths", [SIM_TIGHT] = "tight",
};

const char *sim_preset_name(enum sim_preset preset)
{
    return (size_t)preset < SIM_PRESET_COUNT ? preset_names[preset] : NULL;
}

const char *sim_workload_name(enum sim_workload workload)
{
    static const char *const names[SIM_WORKLOAD_COUNT] = {"messages",
                                                          "migrate"};
    return (size_t)workload < SIM_WORKLOAD_COUNT ? names[workload] : NULL;
}

void sim_of_scenario(const struct scenario *s, struct sim_options *opt)
{
    _Static_assert((int)NETWORK_COUNT == (int)SIM_PRESET_COUNT &&
                       (int)NETWORK_TIGHT == (int)SIM_TIGHT,
                   "the same kinds of weather");
    opt->scenario = s;
    opt->preset = (enum sim_preset)s->network;
    opt->sites = s->sites;
    opt->for_ns = s->for_ns;
}

static void init_node(struct world *w, uint32_t i)
{
    struct node *n = &w->node[i];
    n->world = w;
    n->index = i;
    n->is_twin = i == w->node_count;
    n->id = 0x1000000000000000ULL + prng_next(&w->chance) / 2;
    list_init(&n->inbox);
    (void)snprintf(n->name, sizeof n->name, "site%u", i + 1);
    (void)snprintf(n->addr, sizeof n->addr, "site%u:7117", i + 1);
}

/* What a scenario says of the end of a run goes before the defaults. */
static uint64_t settle_of(const struct sim_options *opt)
{
    if (opt->point != NULL) {
        return settle_point_ns;
    }
    return opt->scenario != NULL && opt->scenario->settle_ns > 0
               ? opt->scenario->settle_ns
               : settle_ns;
}

static void init_world(struct world *w, uint64_t seed)
{
    const struct sim_options *opt = w->opt;
    const struct check_config cfg = {
        .late_ns = late_ns + 2 * MS, /* a timer of the host may be late */
        .settle_ns = settle_of(opt),
    };
    mem_init(&w->mem, SIZE_MAX);
    deadlines_init(&w->due, &w->mem);
    prng_init(&w->chance, hash_fold(seed, opt->preset));
    prng_init(&w->net_chance, hash_fold(seed, opt->preset + 100));
    /* Drawn in any case: the rest of the run stays the same. */
    const uint32_t sites = (uint32_t)prng_between(&w->chance, 3, 7);
    const uint64_t for_ns = prng_between(&w->chance, 40, 260) * SECOND;
    w->node_count = opt->sites != 0 ? opt->sites : sites;
    w->for_ns = opt->for_ns != 0 ? opt->for_ns : for_ns;
    for (uint32_t i = 0; i <= w->node_count; i++) {
        init_node(w, i);
    }
    prng_init(&w->path_chance, hash_fold(seed, opt->preset + 300));
    w->aead = sim_cipher(&w->cipher);
    list_init(&w->datagrams);
    w->check = check_new(&cfg);
    steps_init(&w->steps, &w->mem);
    w->work = work_new(w);
    w->work->moving = opt->workload == SIM_MIGRATE;
    net_init(w);
    faults_draw(w, hash_fold(seed, opt->preset + 200));
    points_init(w);
    if (opt->transport != NET_TCP) { /* paths stand beside streams */
        memset(w->datagram, 0, sizeof w->datagram);
    }
}

static void look(struct world *w)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->node[i];
        if (n->site == NULL) {
            continue;
        }
        const struct check_event e = {
            .now_ns = w->now_ns,
            .what = CHECK_VIEW,
            .site = n->id,
            .incarnation = n->incarnation,
            .value = members_view(site_members(n->site)),
            .value2 = directory_view(site_directory(n->site)),
        };
        world_tell(w, &e);
        world_trace(w, n, '?', "%s sees %u members %llx, %u records %llx",
                    n->name,
                    members_alive(site_members(n->site), &(uint64_t){0}),
                    (unsigned long long)e.value,
                    directory_records(site_directory(n->site)),
                    (unsigned long long)e.value2);
    }
}

/* P10: no queue is longer than it may be. A queue of one takes a second message
 * from the network, and one message of any size when there is room for any. */
static void inspect_port(struct world *w, struct node *n, struct motet_ui port)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_PORT_INFO,
        .now_ns = w->now_ns + n->clock_ns,
        .port = port,
    };
    if (site_op(n->site, &in, &out) != MOTET_OK) {
        return;
    }
    const struct nucleus_limits *limits = &w->tuning.site.nucleus;
    const struct nuc_port_attr *attr = &out.port.attr;
    uint32_t most = attr->queue_msgs_max;
    most = most == 0 ? limits->queue_msgs_max : most;
    if (out.port.queue_msgs > (most > 1 ? most : 2)) {
        world_accuse(w, 10, n->id,
                     "a queue holds more messages than its limit");
    }
    most = attr->queue_bytes_max;
    most = most == 0 ? limits->queue_bytes_max : most;
    if (out.port.queue_bytes > (uint64_t)most + MESSAGE_MAX) {
        world_accuse(w, 10, n->id, "a queue holds more bytes than its limit");
    }
}

static void inspect(struct world *w)
{
    moving_inspect(w, false);
    for (uint32_t i = 0; i < w->node_count; i++) {
        struct node *n = &w->node[i];
        struct motet_ui port = {0};
        while (n->site != NULL && !n->paused &&
               nucleus_next_port(site_nucleus(n->site), port, &port)) {
            inspect_port(w, n, port);
        }
    }
}

static void run_for(struct world *w, uint64_t ns)
{
    const uint64_t end_ns = w->now_ns + ns;
    while (w->now_ns < end_ns) {
        const uint64_t left_ns = end_ns - w->now_ns;
        world_run(w, w->now_ns + (left_ns < inspect_ns ? left_ns : inspect_ns));
        inspect(w);
    }
}

static bool all_run(const struct world *w)
{
    for (uint32_t i = 0; i < w->node_count; i++) {
        if (w->node[i].site == NULL && !w->node[i].apart) {
            return false;
        }
    }
    return true;
}

static bool all_known(const struct world *w)
{
    uint32_t living = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        living += !w->node[i].apart;
    }
    for (uint32_t i = 0; i < w->node_count; i++) {
        const struct node *n = &w->node[i];
        if (!n->apart &&
            members_alive(site_members(n->site), &(uint64_t){0}) != living) {
            return false;
        }
    }
    return true;
}

/* P8: the sites agree, on the truth. */
static void await_agreement(struct world *w)
{
    const uint64_t start_ns = w->now_ns;
    const struct scenario *script = w->opt->scenario;
    const uint64_t most_ns = script != NULL && script->agree_ns > 0
                                 ? script->agree_ns
                             : w->report->core_only ? agree_core_max_ns
                                                    : agree_max_ns;
    while (w->now_ns - start_ns < most_ns) {
        world_run(w, w->now_ns + look_ns);
        look(w);
        if (all_run(w) && check_views_differ(w->check) == 0 && all_known(w)) {
            w->report->agreed_ns = w->now_ns - start_ns;
            world_trace(w, NULL, ' ', "---- all agree");
            return;
        }
    }
    w->report->agreed_ns = most_ns;
    char text[CHECK_TEXT_MAX];
    (void)snprintf(text, sizeof text,
                   "%u sites differ from the first in their view %llu ms "
                   "after the heal",
                   check_views_differ(w->check),
                   (unsigned long long)(most_ns / MS));
    world_accuse(w, 8, 0, text);
}

static void end_world(struct world *w)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        node_crash(&w->node[i], "ends");
    }
    faults_fini(w);
    struct deadline *d = NULL;
    while ((d = deadlines_pop(&w->due, UINT64_MAX - 1)) != NULL) {
        if (d->kind == DUE_PACKET) {
            struct packet *p = CONTAINER_OF(d, struct packet, arrive);
            input_free(w, p->input);
            mem_free(&w->mem, p, sizeof *p);
        } else if (d->kind == DUE_DIALED) {
            mem_free(&w->mem, CONTAINER_OF(d, struct dialing, done),
                     sizeof(struct dialing));
        }
    }
    for (uint32_t i = 0; i <= w->node_count; i++) {
        mem_free(&w->mem, w->node[i].ring,
                 TRACE_RING * sizeof *w->node[i].ring);
    }
    net_fini(w);
    udp_fini(w);
    work_free(w->work);
    points_fini(w);
    steps_fini(&w->steps);
    deadlines_fini(&w->due);
    CHECK(w->mem.used_bytes == 0);
}

static void judge(struct world *w)
{
    struct sim_report *r = w->report;
    r->hash = hash_fold(w->hash, check_hash(w->check));
    r->virtual_ns = w->now_ns;
    r->sites = w->node_count;
    r->steps = w->steps.count;
    r->counts = check_counts(w->check);
    r->violations = check_violations(w->check);
    r->verdict = SIM_PASS;
    for (uint32_t i = 0; i < SIM_VIOLATIONS_MAX; i++) {
        const struct check_violation *v = check_violation(w->check, i);
        if (v == NULL) {
            break;
        }
        r->kept[i] = *v;
        if (v->promise != 8 && v->promise != 13) {
            r->verdict = SIM_UNSAFE;
        } else if (r->verdict == SIM_PASS) {
            r->verdict = SIM_STUCK;
        }
        world_trace(w, NULL, ' ', "VIOLATION  P%d %s: %s", v->promise,
                    check_promise_name(v->promise), v->text);
    }
}

static void say_phase(struct world *w, int phase)
{
    if (w->opt->on_phase != NULL) {
        w->opt->on_phase(w->opt->ctx, w->now_ns, phase);
    }
}

/* Load and faults as drawn. @return whether a core of the sites is to heal */
static bool play_drawn(struct world *w)
{
    const struct scenario *script = w->opt->scenario;
    const bool early = prng_chance(&w->chance, 300000) &&
                       (script == NULL || w->opt->preset != SIM_CALM);
    const bool drawn_core = prng_chance(&w->chance, 500000);
    const bool core_only =
        w->node_count > 2 &&
        (script != NULL ? script->core
                        : drawn_core && w->opt->preset != SIM_CALM);
    for (uint32_t i = 0; i < w->node_count; i++) {
        world_at(w, &w->node[i].boot, DUE_BOOT,
                 w->now_ns + prng_below(&w->chance, SECOND));
    }
    run_for(w, early ? 1 : 4 * SECOND);
    say_phase(w, 0);
    faults_start(w);
    run_for(w, w->for_ns);
    return core_only;
}

static void play(struct world *w)
{
    bool core_only = false;
    if (w->points != NULL) {
        points_play(w);
    } else {
        core_only = play_drawn(w);
    }
    if (w->points != NULL && w->opt->point->look) {
        return;
    }
    w->report->core_only = core_only;
    faults_heal(w, core_only);
    say_phase(w, 1);
    work_drain(w->work);
    await_agreement(w);
    user_look(w, MOTET_ALWAYS);
    work_probe(w->work);
    world_run(w, w->now_ns +
                     (w->tuning.tight ? settle_tight_ns : settle_of(w->opt)));
    look(w);
    if (check_views_differ(w->check) > 0) {
        world_accuse(w, 8, 0, "the views differ at the end");
    }
    if (w->opt->plugin == NULL) {
        work_judge(w->work);
        moving_inspect(w, true);
        groups_inspect(w);
    }
    user_look(w, MOTET_SETTLED);
    say_phase(w, 2);
    check_end(w->check, w->now_ns);
}

void sim_plan(uint64_t seed, const struct sim_options *opt, uint32_t *sites,
              uint64_t *for_ns)
{
    struct mem mem;
    struct sim_report report = {.seed = seed};
    mem_init(&mem, SIZE_MAX);
    struct world *w = mem_alloc(&mem, sizeof *w);
    CHECK(w != NULL);
    w->opt = opt;
    w->report = &report;
    init_world(w, seed);
    *sites = w->node_count;
    *for_ns = w->for_ns;
    end_world(w);
    check_free(w->check);
    mem_free(&mem, w, sizeof *w);
}

void sim_run(uint64_t seed, const struct sim_options *opt,
             struct sim_report *report)
{
    struct mem mem;
    mem_init(&mem, SIZE_MAX);
    struct world *w = mem_alloc(&mem, sizeof *w);
    CHECK(w != NULL);
    *report = (struct sim_report){.seed = seed};
    w->opt = opt;
    w->report = report;
    init_world(w, seed);
    play(w);
    judge(w);
    end_world(w);
    report->hash = hash_fold(report->hash, w->hash);
    check_free(w->check);
    mem_free(&mem, w, sizeof *w);
}
