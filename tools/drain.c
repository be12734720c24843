#include "drain.h"

#include <motet/supervisor.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"
#include "sites/core/member.h"

enum { WINDOW = 32 }; /* moves asked for at once */

/* What a plan is made of. */
struct survey {
    struct drain *d;
    struct port_rows ports; /* of the site */
    struct moving_actors here;
    struct moving_actors there[CLUSTER_SITES_MAX]; /* by place in names */
    size_t room;
};

static bool is_target(const struct drain *d, size_t i)
{
    const struct site_name *s = &d->names->sites[i];

    return s->id != d->site && s->state == MEMBER_ALIVE &&
           (d->only_to == 0 || d->only_to == s->id);
}

/* ---- the plan --------------------------------------------------------------
 */

static struct drain_item *add(struct survey *v)
{
    struct drain *d = v->d;

    if (d->count == v->room) {
        v->room = v->room == 0 ? 64 : v->room * 2;
        struct drain_item *more = realloc(d->items, v->room * sizeof *more);
        CHECK(more != NULL);
        d->items = more;
    }
    struct drain_item *it = &d->items[d->count++];
    memset(it, 0, sizeof *it);
    return it;
}

static void wish_of(const struct drain *d, const struct drain_item *it,
                    struct moving_wish *w)
{
    *w = (struct moving_wish){
        .actor = it->actor,
        .kind = it->kind,
        .receiver = it->receiver,
        .from = d->site,
        .to = it->to,
        .ports = it->ports,
        .whole = it->how == DRAIN_WHOLE,
    };
    if (it->how == DRAIN_PORT) {
        w->port = it->port;
    }
}

static enum motet_err would_take(struct survey *v, struct drain_item *it,
                                 size_t i)
{
    struct moving_wish w;
    const struct moving_actor *a =
        moving_actor_named(&v->there[i], it->receiver);

    if (it->how == DRAIN_WHOLE) {
        it->to = v->d->names->sites[i].id;
        wish_of(v->d, it, &w);
        return moving_would(v->d->c, &w);
    }
    return a == NULL   ? MOTET_E_NO_ACTOR
           : a->adopts ? MOTET_OK
                       : MOTET_E_DECLINED;
}

static void stays(const struct drain *d, struct drain_item *it,
                  enum motet_err err)
{
    char text[MOVING_WHY_MAX];
    struct moving_wish w;

    wish_of(d, it, &w);
    if (err == MOTET_E_NO_SITE) {
        snprintf(it->why, sizeof it->why, "there is no other site alive");
    } else if (it->how == DRAIN_PORT) {
        snprintf(it->why, sizeof it->why,
                 "no actor named %.64s that takes ports on another site",
                 it->receiver);
    } else {
        snprintf(it->why, sizeof it->why, "%s",
                 moving_why(d->names, &w, err, text));
    }
    it->how = DRAIN_STAYS;
}

/* The least loaded of the sites that would take it. */
static void choose(struct survey *v, struct drain_item *it)
{
    struct drain *d = v->d;
    enum motet_err last = MOTET_E_NO_SITE;
    size_t best = CLUSTER_SITES_MAX;

    for (size_t i = 0; i < d->names->count && i < CLUSTER_SITES_MAX; i++) {
        if (!is_target(d, i) ||
            (best < CLUSTER_SITES_MAX && d->load[i] >= d->load[best])) {
            continue;
        }
        const enum motet_err err = would_take(v, it, i);
        best = err == MOTET_OK ? i : best;
        last = err == MOTET_OK ? last : err;
    }
    if (best == CLUSTER_SITES_MAX) {
        stays(d, it, last);
        return;
    }
    it->to = d->names->sites[best].id;
    d->load[best] += it->ports;
}

/* Another site has one of the same name and kind. */
static bool has_like(const struct survey *v, const struct moving_actor *a,
                     bool adopts)
{
    for (size_t i = 0; i < v->d->names->count && i < CLUSTER_SITES_MAX; i++) {
        const struct moving_actor *other =
            is_target(v->d, i) ? moving_actor_named(&v->there[i], a->name)
                               : NULL;
        if (other != NULL &&
            (adopts ? other->adopts : strcmp(other->kind, a->kind) == 0)) {
            return true;
        }
    }
    return false;
}

static const struct port_row *row_of(const struct survey *v,
                                     struct motet_ui port)
{
    for (size_t i = 0; i < v->ports.count; i++) {
        if (ui_equal(v->ports.rows[i].id, port)) {
            return &v->ports.rows[i];
        }
    }
    return NULL;
}

static uint64_t queued_of(const struct survey *v, const char *actor)
{
    uint64_t n = 0;

    for (size_t i = 0; i < v->ports.count; i++) {
        if (strcmp(v->ports.rows[i].actor, actor) == 0) {
            n += v->ports.rows[i].queue_msgs;
        }
    }
    return n;
}

/* A supervisor actor, unless its ports are to go one by one. */
static void plan_actor(struct survey *v, const struct moving_actor *a)
{
    const struct port_row *row = row_of(v, a->port);
    struct drain_item *it = add(v);

    it->port = a->port;
    it->ports = a->ports;
    it->queued = queued_of(v, a->name);
    snprintf(it->name, sizeof it->name, "%s", row == NULL ? "" : row->name);
    snprintf(it->actor, sizeof it->actor, "%s", a->name);
    snprintf(it->kind, sizeof it->kind, "%s", a->kind);
    if (a->movable) {
        it->how = DRAIN_WHOLE;
        choose(v, it);
    } else if (has_like(v, a, false)) {
        it->how = DRAIN_ENDS;
    } else {
        it->how = DRAIN_STAYS;
        snprintf(it->why, sizeof it->why,
                 "its actor does not save its state, and no other site has "
                 "one like it");
    }
}

static bool one_by_one(const struct survey *v, const struct moving_actor *a)
{
    return !a->movable && has_like(v, a, true);
}

/* A port of a program, or of an actor whose namesake takes ports. */
static void plan_port(struct survey *v, const struct port_row *row)
{
    struct drain_item *it = add(v);

    it->port = row->id;
    it->ports = 1;
    it->queued = row->queue_msgs;
    snprintf(it->name, sizeof it->name, "%s", row->name);
    snprintf(it->actor, sizeof it->actor, "%s", row->actor);
    snprintf(it->receiver, sizeof it->receiver, "%s",
             row->actor[0] != '\0' ? row->actor : row->name);
    if (!row->enabled && row->groups[0] == '\0') {
        it->how = DRAIN_STAYS;
        snprintf(it->why, sizeof it->why,
                 "a program that is attached to this site calls from it");
        return;
    }
    it->how = DRAIN_PORT;
    choose(v, it);
}

/* The port that a program only calls from may end once what others know of it
 * has moved. */
static void forgive(struct drain *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct drain_item *own = &d->items[i];
        bool serves = false;
        for (size_t k = 0; k < d->count && own->actor[0] != '\0'; k++) {
            serves = serves || (d->items[k].how == DRAIN_PORT &&
                                strcmp(d->items[k].actor, own->actor) == 0);
        }
        if (own->how == DRAIN_STAYS && own->kind[0] == '\0' && serves) {
            own->how = DRAIN_ENDS;
        }
    }
}

static void plan(struct survey *v)
{
    for (size_t i = 0; i < v->here.count; i++) {
        const struct moving_actor *a = &v->here.list[i];
        if (a->kind[0] != '\0' && a->ports > 0 && ui_kind(a->port) == UI_PORT &&
            !one_by_one(v, a)) {
            plan_actor(v, a);
        }
    }
    for (size_t i = 0; i < v->ports.count; i++) {
        const struct port_row *row = &v->ports.rows[i];
        const struct moving_actor *a = moving_actor_named(&v->here, row->actor);
        const bool supervised = a != NULL && a->kind[0] != '\0';
        if (ui_kind(row->id) == UI_PORT && (!supervised || one_by_one(v, a))) {
            plan_port(v, row);
        }
    }
    forgive(v->d);
}

static enum exit_code survey(struct survey *v)
{
    struct drain *d = v->d;
    char text[32];
    const char *site = site_names_text(d->names, d->site, text);
    enum exit_code code = port_rows_get(d->c, site, &v->ports);

    if (code != EXIT_DONE) {
        return code;
    }
    enum motet_err err = moving_actors_get(d->c, d->site, &v->here);
    if (err != MOTET_OK) {
        return control_failed(d->c, site, err);
    }
    for (size_t i = 0; i < d->names->count && i < CLUSTER_SITES_MAX; i++) {
        if (is_target(d, i)) {
            err = moving_actors_get(d->c, d->names->sites[i].id, &v->there[i]);
        }
        if (err != MOTET_OK) {
            return control_failed(d->c, d->names->sites[i].name, err);
        }
    }
    return EXIT_DONE;
}

enum exit_code drain_plan(struct drain *d)
{
    struct survey *v = calloc(1, sizeof *v);

    CHECK(v != NULL);
    v->d = d;
    drain_free(d);
    memset(d->load, 0, sizeof d->load);
    enum exit_code code = survey(v);
    if (code == EXIT_DONE) {
        plan(v);
    }
    port_rows_free(&v->ports);
    free(v->here.list);
    for (size_t i = 0; i < CLUSTER_SITES_MAX; i++) {
        free(v->there[i].list);
    }
    free(v);
    return code;
}

void drain_free(struct drain *d)
{
    free(d->items);
    d->items = NULL;
    d->count = 0;
}

uint64_t drain_ports(const struct drain *d, enum drain_how how)
{
    uint64_t n = 0;

    for (size_t i = 0; i < d->count; i++) {
        n += d->items[i].how == how ? d->items[i].ports : 0;
    }
    return n;
}

size_t drain_items(const struct drain *d, enum drain_how how)
{
    size_t n = 0;

    for (size_t i = 0; i < d->count; i++) {
        n += d->items[i].how == how;
    }
    return n;
}

/* ---- the moves -------------------------------------------------------------
 */

static enum exit_code failed(const struct drain *d, const struct drain_item *it,
                             enum motet_err err)
{
    struct moving_wish w;
    char why[MOVING_WHY_MAX];

    wish_of(d, it, &w);
    if (err == MOTET_E_CANCELLED && moving_stopped() != 0) {
        say_error("given up: what has not moved serves where it is");
        return EXIT_INTERRUPTED;
    }
    say_error("%s: %s%s", it->name,
              motet_err_ran(err) == MOTET_RAN_MAYBE ? "it MAY HAVE MOVED: "
                                                    : "",
              moving_why(d->names, &w, err, why));
    say_hint("where is it? motet why %s", it->name);
    return motet_err_ran(err) == MOTET_RAN_MAYBE ? EXIT_MAYBE : EXIT_FAILED;
}

static enum exit_code take_end(struct drain *d, struct drain_item *it)
{
    enum motet_err err = moving_wait(d->c, d->site, it->move, &it->note);

    if (err == MOTET_OK) {
        err = it->note.err;
    }
    if (err != MOTET_OK) {
        return failed(d, it, err);
    }
    it->done = true;
    d->ports_moved += it->note.ports;
    d->queued += it->note.queued;
    if (moving_pause_ns(&it->note) > d->pause_ns) {
        d->pause_ns = moving_pause_ns(&it->note);
    }
    if (d->each != NULL) {
        d->each(d, it);
    }
    return EXIT_DONE;
}

static bool moves(const struct drain_item *it)
{
    return it->how == DRAIN_WHOLE || it->how == DRAIN_PORT;
}

/* The next that is to move, from `at`; d->count if there is none. */
static size_t next_of(const struct drain *d, size_t at)
{
    while (at < d->count && !moves(&d->items[at])) {
        at++;
    }
    return at;
}

static void keep_first(enum exit_code *code, enum exit_code now)
{
    if (*code == EXIT_DONE) {
        *code = now;
    }
}

enum exit_code drain_move(struct drain *d)
{
    const uint64_t from = clock_ns();
    enum exit_code code = EXIT_DONE;
    size_t begun = next_of(d, 0);
    size_t ended = begun;
    size_t under_way = 0;

    moving_hold_signals();
    while (ended < d->count) {
        const bool more = code == EXIT_DONE && begun < d->count &&
                          under_way < WINDOW && moving_stopped() == 0;
        if (more) {
            struct drain_item *it = &d->items[begun];
            struct moving_wish w;
            wish_of(d, it, &w);
            const enum motet_err err = moving_begin(d->c, &w, &it->move);
            if (err != MOTET_OK) {
                keep_first(&code, failed(d, it, err));
                continue;
            }
            under_way++;
            begun = next_of(d, begun + 1);
            continue;
        }
        if (under_way == 0) {
            break; /* given up, or one could not begin */
        }
        keep_first(&code, take_end(d, &d->items[ended]));
        under_way--;
        ended = next_of(d, ended + 1);
    }
    if (code == EXIT_DONE && moving_stopped() != 0) {
        say_error("given up: what has not moved serves where it is");
        code = EXIT_INTERRUPTED;
    }
    d->took_ns += clock_ns() - from;
    return code;
}
