#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drain.h"
#include "say.h"
#include "sites/core/member.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet site drain: shows what would go where, asks, moves it, and lets the
 * site leave. */

enum { ROUNDS_MAX = 3, LINES_MAX = 20 };
#define LEAVE_NS 10000000000ULL

static struct drain_flags {
    const char *to;
    bool dry_run;
    bool yes;
    bool force;
    bool stay;
} draining;

/* ---- the plan, as rows -----------------------------------------------------
 */

struct row {
    char name[MOTET_NAME_MAX + 1];
    char actor[MOTET_NAME_MAX + 1];
    char to[MOTET_NAME_MAX + 1];
    char how[MOVING_WHY_MAX + 16];
    const char *action;
    uint64_t ports;
    uint64_t queued;
    uint64_t took_ns;
    bool moved;
};

#define ROW(head, key, kind, show, field) \
    COLUMN(struct row, head, key, kind, show, field)
static const struct column columns[] = {
    ROW("PORT", "name", CELL_CHARS, SHOW_ALWAYS, name),
    ROW("ACTOR", "actor", CELL_CHARS, SHOW_ALWAYS, actor),
    ROW("PORTS", "ports", CELL_NUMBER, SHOW_ALWAYS, ports),
    ROW("QUEUED", "queued", CELL_NUMBER, SHOW_ALWAYS, queued),
    ROW("TO", "to", CELL_CHARS, SHOW_ALWAYS, to),
    ROW("HOW", "how", CELL_CHARS, SHOW_ALWAYS, how),
    ROW("", "action", CELL_TEXT, SHOW_JSON, action),
    ROW("", "moved", CELL_BOOL, SHOW_JSON, moved),
    ROW("", "took_ns", CELL_NS, SHOW_JSON, took_ns),
};
#undef ROW

static void fill(const struct drain *d, const struct drain_item *it,
                 struct row *row)
{
    static const char *const actions[] = {"move", "move", "end", "stay"};
    char text[32];

    *row = (struct row){
        .action = actions[it->how],
        .ports = it->ports,
        .queued = it->queued,
        .took_ns = it->done ? it->note.over_ns : CELL_NONE,
        .moved = it->done,
    };
    snprintf(row->name, sizeof row->name, "%s", it->name);
    snprintf(row->actor, sizeof row->actor, "%s", it->actor);
    if (it->how == DRAIN_WHOLE || it->how == DRAIN_PORT) {
        snprintf(row->to, sizeof row->to, "%s",
                 site_names_text(d->names, it->to, text));
    }
    switch (it->how) {
    case DRAIN_WHOLE:
        snprintf(row->how, sizeof row->how, "with its actor and state");
        break;
    case DRAIN_PORT:
        snprintf(row->how, sizeof row->how, "taken by actor %s", it->receiver);
        break;
    case DRAIN_ENDS:
        snprintf(row->how, sizeof row->how,
                 "ends with the site; nothing is lost with it");
        break;
    case DRAIN_STAYS:
        snprintf(row->how, sizeof row->how, "CANNOT MOVE: %s", it->why);
        break;
    }
}

static struct row *rows_of(const struct drain *d)
{
    struct row *rows = calloc(d->count + 1, sizeof *rows);

    CHECK(rows != NULL);
    for (size_t i = 0; i < d->count; i++) {
        fill(d, &d->items[i], &rows[i]);
    }
    return rows;
}

static struct table table_of(const struct row *rows, size_t count)
{
    return (struct table){.schema = "motet.drain/1",
                          .columns = columns,
                          .column_count = ARRAY_LEN(columns),
                          .rows = rows,
                          .row_bytes = sizeof *rows,
                          .row_count = count,
                          .none = "nothing lives there"};
}

static void print_plan(const struct drain *d)
{
    struct row *rows = rows_of(d);
    const size_t shown = d->count < LINES_MAX ? d->count : LINES_MAX;
    const struct table t = table_of(rows, shown);

    (void)table_print(&t);
    if (shown < d->count) {
        printf("and %zu more\n", d->count - shown);
    }
    fflush(stdout);
    free(rows);
}

static enum exit_code print_json(const struct drain *d, const char *site,
                                 bool left)
{
    struct row *rows = rows_of(d);
    const struct table t = table_of(rows, d->count);
    json_t *items = json_array();

    CHECK(items != NULL);
    for (size_t i = 0; i < d->count; i++) {
        CHECK(json_array_append_new(items, table_row_json(&t, i)) == 0);
    }
    free(rows);
    return table_json("motet.drain/1",
                      json_pack("{s:s,s:b,s:I,s:I,s:I,s:I,s:o}", "site", site,
                                "left", left, "ports_moved",
                                (json_int_t)d->ports_moved, "queued",
                                (json_int_t)d->queued, "took_ns",
                                (json_int_t)d->took_ns, "longest_pause_ns",
                                (json_int_t)d->pause_ns, "items", items))
               ? EXIT_DONE
               : EXIT_FAILED;
}

/* ---- on the way ------------------------------------------------------------
 */

static void print_bar(const struct drain *d, uint64_t of)
{
    enum { WIDTH = 30 };
    const int full = of == 0 ? WIDTH : (int)(d->ports_moved * WIDTH / of);

    fprintf(stderr, "\r  [%.*s%*s] %" PRIu64 " of %" PRIu64 " ports%s", full,
            "##############################", WIDTH - full, "", d->ports_moved,
            of, d->ports_moved >= of ? "\n" : "");
}

static void on_each(const struct drain *d, const struct drain_item *it)
{
    char text[32];
    char took[UNIT_TEXT_MAX];
    const uint64_t of =
        drain_ports(d, DRAIN_WHOLE) + drain_ports(d, DRAIN_PORT);

    if (options.quiet) {
        return;
    }
    if (isatty(STDERR_FILENO)) {
        print_bar(d, of);
    } else if (drain_items(d, DRAIN_WHOLE) + drain_items(d, DRAIN_PORT) <=
               LINES_MAX) {
        say("  %s -> %s in %s", it->name,
            site_names_text(d->names, it->to, text),
            unit_ns(it->note.over_ns, took));
    }
}

/* ---- may it ----------------------------------------------------------------
 */

static enum exit_code blocked(const struct drain *d, const char *site)
{
    const uint64_t n = drain_ports(d, DRAIN_STAYS);

    if (n == 0 || draining.force) {
        return EXIT_DONE;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct drain_item *it = &d->items[i];
        if (it->how == DRAIN_STAYS) {
            say_error("%s cannot move: %s%s", it->name, it->why,
                      drain_items(d, DRAIN_STAYS) > 1 ? " (and others)" : "");
            break;
        }
    }
    say_hint("%s goes on as it is; --force ends %s with it", site,
             n == 1 ? "this port" : "such ports");
    return EXIT_NOT_RUN;
}

static enum exit_code confirm(const char *site)
{
    char answer[16];

    if (draining.yes) {
        return EXIT_DONE;
    }
    if (!isatty(STDIN_FILENO)) {
        say_error("this wants a yes");
        say_hint("add --yes; or look only: --dry-run");
        return EXIT_USAGE;
    }
    fprintf(stderr,
            draining.stay ? "Drain %s? [y/N] "
                          : "Drain %s, and let it "
                            "leave? [y/N] ",
            site);
    if (fgets(answer, sizeof answer, stdin) == NULL ||
        (answer[0] != 'y' && answer[0] != 'Y')) {
        return say_fail(EXIT_NOT_RUN, "nothing was done");
    }
    return EXIT_DONE;
}

/* ---- doing it --------------------------------------------------------------
 */

/* What has come meanwhile goes as well. */
static enum exit_code move_all(struct drain *d, const char *site)
{
    enum exit_code code = EXIT_DONE;

    for (int round = 0; code == EXIT_DONE && round < ROUNDS_MAX; round++) {
        if (drain_items(d, DRAIN_WHOLE) + drain_items(d, DRAIN_PORT) == 0) {
            break;
        }
        code = drain_move(d);
        struct drain again = *d;
        again.items = NULL;
        again.count = 0;
        if (code != EXIT_DONE || (code = drain_plan(&again)) != EXIT_DONE ||
            drain_items(&again, DRAIN_WHOLE) +
                    drain_items(&again, DRAIN_PORT) ==
                0) {
            drain_free(&again);
            break;
        }
        drain_free(d);
        *d = again;
        code = blocked(d, site);
    }
    return code;
}

static enum exit_code leave(const struct drain *d, const char *site)
{
    Motet__ControlReply *reply;
    const uint64_t end = clock_ns() + LEAVE_NS;
    enum motet_err err =
        control_ask(d->c, d->site, MOTET__CONTROL_REQUEST__OP__LEAVE,
                    (struct motet_ui){0, 0}, NULL, &reply);

    if (err == MOTET_OK) {
        motet__control_reply__free_unpacked(reply, NULL);
    } else if (motet_err_ran(err) != MOTET_RAN_MAYBE) {
        return control_failed(d->c, site, err);
    }
    struct site_files *files = cluster_site(d->c->cluster, site);
    if (files != NULL && files->running) {
        if (!process_wait(&files->process, LEAVE_NS)) {
            say_error("its process does not end");
            say_hint("see what it says: motet site logs %s", site);
            return EXIT_STUCK;
        }
        return EXIT_DONE;
    }
    while (clock_ns() < end) { /* it runs elsewhere */
        struct site_names now;
        if (site_names_get(d->c, &now) != EXIT_DONE) {
            return EXIT_FAILED;
        }
        const struct site_name *s = site_names_by_id(&now, d->site);
        const bool gone = s == NULL || s->state != MEMBER_ALIVE;
        site_names_free(&now);
        if (gone) {
            return EXIT_DONE;
        }
        clock_sleep(50000000);
    }
    return say_fail(EXIT_STUCK, "it does not leave");
}

static void say_done(const struct drain *d, const char *site)
{
    char took[UNIT_TEXT_MAX];
    char pause[UNIT_TEXT_MAX];

    say("%s %s; %" PRIu64 " port%s moved in %s, longest pause %s, %" PRIu64
        " queued message%s came along",
        site, draining.stay ? "is drained" : "has left", d->ports_moved,
        d->ports_moved == 1 ? "" : "s", unit_ns(d->took_ns, took),
        unit_ns(d->pause_ns, pause), d->queued, d->queued == 1 ? "" : "s");
    if (!draining.stay) {
        say("  start it again: motet site restart %s", site);
    }
}

static enum exit_code drain(struct drain *d, const char *site)
{
    const bool json = options.output >= OUTPUT_JSON;
    enum exit_code code = drain_plan(d);

    if (code != EXIT_DONE) {
        return code;
    }
    if (!json) {
        print_plan(d);
    } else if (draining.dry_run && print_json(d, site, false) != EXIT_DONE) {
        return EXIT_FAILED;
    }
    code = blocked(d, site);
    if (code == EXIT_DONE && draining.dry_run) {
        return EXIT_CHANGES;
    }
    if (code == EXIT_DONE) {
        code = confirm(site);
    }
    if (code == EXIT_DONE) {
        code = move_all(d, site);
    }
    if (code == EXIT_DONE && !draining.stay) {
        code = leave(d, site);
    }
    if (code == EXIT_DONE) {
        say_done(d, site);
        return json ? print_json(d, site, !draining.stay) : EXIT_DONE;
    }
    return code;
}

/* ---- the verb --------------------------------------------------------------
 */

/* Attached to another site, if there is one here: this one goes away. */
static enum exit_code open_beside(struct client *c, struct cluster *cluster,
                                  const char *site)
{
    enum exit_code code = client_open(c, cluster);

    if (code != EXIT_DONE || strcmp(c->at->name, site) != 0) {
        return code;
    }
    for (size_t i = 0; i < cluster->count; i++) {
        struct site_files *other = &cluster->sites[i];
        if (other->running && !other->process.stopped && other != c->at) {
            struct client beside = {.cluster = cluster};
            if (client_attach(&beside, other) == MOTET_OK) {
                client_close(c);
                *c = beside;
                break;
            }
        }
    }
    return EXIT_DONE;
}

static enum exit_code set_up(struct drain *d, const struct site_names *names,
                             const char *site)
{
    const struct site_name *s = site_names_told(names, site);

    if (s == NULL) {
        return EXIT_MISSING;
    }
    if (s->state != MEMBER_ALIVE) {
        say_error("it is %s", site_state_text(s->state));
        say_hint("see: motet status -v");
        return EXIT_NOT_RUN;
    }
    d->site = s->id;
    if (draining.to != NULL) {
        const struct site_name *to = site_names_told(names, draining.to);
        if (to == NULL) {
            return EXIT_MISSING;
        }
        if (to->id == s->id) {
            return say_fail(EXIT_USAGE, "--to: say another site");
        }
        d->only_to = to->id;
    }
    return EXIT_DONE;
}

static enum exit_code drain_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct site_names names;
    struct drain d = {.c = &c, .names = &names, .each = on_each};
    (void)count;

    enum exit_code code = open_beside(&c, &cluster, args[0]);
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_names_get(&c, &names);
    if (code == EXIT_DONE) {
        code = set_up(&d, &names, args[0]);
        if (code == EXIT_DONE) {
            code = drain(&d, args[0]);
        }
        drain_free(&d);
        site_names_free(&names);
    }
    client_leave(&c);
    return code;
}

#define AT(field) offsetof(struct drain_flags, field)
static const struct flag flags[] = {
    {"dry-run", 0, NULL, FLAG_SWITCH, AT(dry_run), "show the plan only"},
    {"yes", 'y', NULL, FLAG_SWITCH, AT(yes), "do not ask"},
    {"to", 0, "SITE", FLAG_TEXT, AT(to), "all of it to this site"},
    {"stay", 0, NULL, FLAG_SWITCH, AT(stay), "move its ports, do not leave"},
    {"force", 0, NULL, FLAG_SWITCH, AT(force),
     "leave even if some cannot move: those end"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_site_drain = {
    .name = "site drain",
    .args = "SITE",
    .args_min = 1,
    .args_max = 1,
    .flags = flags,
    .into = &draining,
    .run = drain_run,
    .summary = "move all that lives on it, then let it leave",
    .examples = "  motet site drain site1 --dry-run\n"
                "  motet site drain site1 --yes\n",
    .exits = "0 1 2 3 4 5 6 7 10 77 124 130",
};
