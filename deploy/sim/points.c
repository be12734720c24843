#include "points.h"

#include <stdio.h>
#include <string.h>

#include "nucleus/base/hash.h"
#include "work.h"

static const uint64_t warm_ns = 3 * SECOND; /* to know each other */
static const uint64_t ask_after_ns = 100 * MS;
static const uint64_t delay_ns = MS; /* of each link, each way */
static const uint64_t turn_max_ns = 50000;
static const uint64_t begin_max_ns = 10 * SECOND;
/* Less than it takes to hold a site for dead, or to give a move up; and more
 * than both. */
static const uint64_t short_ns = 400 * MS;
static const uint64_t long_ns = 4 * SECOND;
/* P6: a second and two round trips, each of which goes through two turns. */
static const uint64_t outage_max_ns = SECOND + 4 * (MS + 50000);

/* ---- The world -------------------------------------------------------------
 */

static void calm_weather(struct world *w)
{
    for (uint32_t i = 0; i <= w->node_count; i++) {
        for (uint32_t j = 0; j <= w->node_count; j++) {
            w->weather[i][j].params = (struct fate_params){
                .delay_ns = delay_ns, .reorder_by_ns = 50 * MS};
            w->datagram[i][j] = false;
        }
    }
    faults_relink(w);
}

void points_init(struct world *w)
{
    struct tuning *t = &w->tuning;
    if (w->opt->point == NULL) {
        return;
    }
    w->points = world_alloc(w, sizeof *w->points);
    w->points->point = w->opt->point;
    w->points->asked_ns = DEADLINE_NEVER;
    w->points->healed_ns = DEADLINE_NEVER;
    w->healed = true; /* no mischief of the way for datagrams either */
    w->work->moving = true;
    w->work->story = &points_story;
    t->insecure = false;
    t->split = 0;
    t->deaf = 500000;
    t->turn_ns = turn_max_ns;
    t->actors = 2;
    t->site = site_config_default();
    t->site.cluster = "sim";
    t->site.version = "0";
    calm_weather(w);
}

void points_fini(struct world *w)
{
    if (w->points != NULL) {
        mem_free(&w->mem, w->points, sizeof *w->points);
        w->points = NULL;
    }
}

void point_options(const struct point *p, struct sim_options *opt)
{
    opt->point = p;
    opt->preset = SIM_CALM;
    opt->workload = SIM_MIGRATE;
    opt->transport = p->transport;
    opt->sites = POINT_SITES;
    opt->for_ns = SECOND; /* of no use here */
}

/* ---- Events ----------------------------------------------------------------
 */

static bool is_end(const struct node *n)
{
    return n != NULL && n->index <= DESTINATION;
}

static bool between_ends(const struct wire *x)
{
    return is_end(x->node[0]) && is_end(x->node[1]);
}

bool points_about(const struct world *w, struct deadline *d)
{
    if (w->points == NULL) {
        return false;
    }
    switch ((int)d->kind) { /* those at the ends of a move */
    case DUE_TURN:
        return is_end(CONTAINER_OF(d, struct node, turn));
    case DUE_STREAM:
        return between_ends(CONTAINER_OF(d, struct way, arrive)->wire);
    case DUE_DRAIN:
        return between_ends(CONTAINER_OF(d, struct way, drain)->wire);
    case DUE_DATAGRAM: {
        const struct datagram *g = CONTAINER_OF(d, struct datagram, arrive);
        return is_end(g->to) && g->input->from.bytes[0] <= DESTINATION;
    }
    default:
        return false;
    }
}

/* From here on chance is that of this case alone. */
static void draw_anew(struct world *w, uint64_t what)
{
    const struct point *p = w->points->point;
    uint64_t seed = hash_fold(what, p->packet);
    if (what != 0) {
        seed = hash_fold(hash_fold(seed, p->fault), p->event);
    }
    prng_init(&w->net_chance, seed);
    prng_init(&w->chance, hash_fold(seed, 1));
}

/* Nothing breaks any more from `at_ns` on, as far as is known. */
static void heals_at(struct points *p, uint64_t at_ns)
{
    p->healed_ns = at_ns;
    p->called = 0;
    p->answered_ns = 0;
}

static void strike(struct world *w)
{
    struct points *p = w->points;
    struct chaos_fault *f = &p->fault;
    const struct point *q = p->point;
    const uint32_t source = 1U << SOURCE;
    const uint32_t destination = 1U << DESTINATION;
    const bool back = q->fault == POINT_CUT_BACK;
    const bool crash = q->fault <= POINT_CRASH_DESTINATION;
    *f = (struct chaos_fault){
        .kind = crash ? CHAOS_KILL : CHAOS_CUT,
        .at_ns = w->now_ns,
        .for_ns = (q->event + q->packet) % 2 == 0 ? short_ns : long_ns,
        .sites =
            back || q->fault == POINT_CRASH_DESTINATION ? destination : source,
        .to = back ? source : destination,
        .one_way = q->fault != POINT_CUT_BOTH,
    };
    (void)snprintf(f->name, sizeof f->name, "point");
    p->struck = true;
    draw_anew(w, 1);
    faults_begin(w, f);
    heals_at(p, w->now_ns + f->for_ns);
}

void points_event(struct world *w)
{
    struct points *p = w->points;
    const struct point *q = p->point;
    if (!p->begun) {
        return;
    }
    const uint32_t index = p->events++;
    if (!p->over) {
        w->report->point.events = p->events;
        w->report->point.packets = p->packets;
        moving_inspect(w, false);
    }
    if (q->fault != POINT_NOTHING && !p->struck && index == q->event) {
        strike(w);
    }
}

bool points_lose(struct world *w, const struct node *from,
                 const struct node *to)
{
    struct points *p = w->points;
    if (p == NULL || !p->begun || !is_end(from) || !is_end(to)) {
        return false;
    }
    p->packets++;
    if (p->packets != p->point->packet) {
        return false;
    }
    p->lost = true;
    if (!p->struck) {
        draw_anew(w, 0);
    }
    world_trace(w, NULL, ' ', "packet %u is lost, from %s to %s", p->packets,
                from->name, to->name);
    if (p->healed_ns < w->now_ns) {
        heals_at(p, w->now_ns);
    }
    return true;
}

void points_step(struct node *n, const struct site_log *l)
{
    struct world *w = n->world;
    struct points *p = w->points;
    if (p == NULL || l->kind != SITE_LOG_MOVE || n->index != SOURCE ||
        l->site != n->id) {
        return;
    }
    if (l->from == MIG_OWN && l->to == MIG_FRZ && !p->begun) {
        p->begun = true;
        p->begun_ns = w->now_ns;
        if (p->point->fault == POINT_NOTHING) {
            heals_at(p, w->now_ns);
        }
    } else if (l->to == MIG_OWN || l->to == MIG_NONE) {
        p->over = true;
        w->report->point.took_ns = w->now_ns - p->begun_ns;
        w->report->point.end =
            l->event == MIG_ON_ACKED ? POINT_MOVED : POINT_STAYED;
    }
}

void points_heard(struct world *w, const struct check_event *e)
{
    struct points *p = w->points;
    if (p == NULL || e->now_ns < p->healed_ns ||
        !motet_ui_equal(e->port, p->first[CLIENTS][0])) {
        return;
    }
    if (e->what == CHECK_CALL_BEGIN && p->called == 0) {
        p->called = e->id;
    } else if (e->what == CHECK_CALL_END && e->err == MOTET_OK &&
               p->called != 0 && e->id >= p->called && p->answered_ns == 0) {
        p->answered_ns = e->now_ns;
    }
}

/* ---- The verdict -----------------------------------------------------------
 */

static bool lives_on(const struct node *n, struct motet_ui port)
{
    struct nuc_out out;
    struct nuc_in in = {
        .kind = NUC_PORT_INFO,
        .now_ns = n->world->now_ns + n->clock_ns,
        .port = port,
    };
    return n->site != NULL && site_op(n->site, &in, &out) == MOTET_OK &&
           !out.port.frozen;
}

static void judge(struct world *w)
{
    const struct points *p = w->points;
    struct point_found *found = &w->report->point;
    char text[CHECK_TEXT_MAX];
    moving_inspect(w, true);
    found->end = lives_on(&w->node[DESTINATION], p->port[0]) ? POINT_MOVED
                 : lives_on(&w->node[SOURCE], p->port[0])    ? POINT_STAYED
                                                             : POINT_DIED;
    world_trace(w, NULL, ' ', "---- %llu ms after the heal: %s",
                (unsigned long long)((w->now_ns - p->healed_ns) / MS),
                found->end == POINT_MOVED    ? "it has moved"
                : found->end == POINT_STAYED ? "it has stayed"
                                             : "it died");
    if (p->point->fault == POINT_NOTHING && found->end != POINT_MOVED) {
        world_accuse(w, 6, 0, "nothing broke, and yet it did not move");
    }
    if (found->end == POINT_DIED) {
        return;
    }
    found->outage_ns =
        p->answered_ns == 0 ? outage_max_ns : p->answered_ns - p->healed_ns;
    if (p->answered_ns == 0) {
        (void)snprintf(text, sizeof text,
                       "no call to the port was answered within %llu ms after "
                       "the heal",
                       (unsigned long long)(outage_max_ns / MS));
        world_accuse(w, 6, 0, text);
    }
}

/* ---- The story -------------------------------------------------------------
 */

static void await_heal(struct world *w)
{
    const struct points *p = w->points;
    const uint64_t limit_ns = w->now_ns + begin_max_ns;
    while (w->now_ns < limit_ns && p->healed_ns == DEADLINE_NEVER) {
        world_run(w, w->now_ns + MS);
    }
    if (p->healed_ns == DEADLINE_NEVER) {
        world_accuse(w, 6, 0, "the move did not begin, or had no such event");
        return;
    }
    while (w->now_ns < p->healed_ns + outage_max_ns) {
        const uint64_t until_ns = p->healed_ns + outage_max_ns;
        const uint64_t next_ns = w->now_ns + 50 * MS;
        world_run(w, next_ns < until_ns ? next_ns : until_ns);
        moving_inspect(w, false);
    }
    judge(w);
}

void points_play(struct world *w)
{
    struct points *p = w->points;
    for (uint32_t i = 0; i < w->node_count; i++) {
        world_at(w, &w->node[i].boot, DUE_BOOT, w->now_ns + i * 10 * MS);
    }
    world_run(w, w->now_ns + warm_ns);
    p->asked_ns = w->now_ns + ask_after_ns;
    if (!p->point->look) {
        await_heal(w);
        return;
    }
    const uint64_t limit_ns = w->now_ns + begin_max_ns;
    while (w->now_ns < limit_ns && !p->over) {
        world_run(w, w->now_ns + MS);
    }
}
