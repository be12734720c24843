#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moving.h"
#include "nucleus/base/ui.h"
#include "say.h"
#include "sites/core/migration_rules.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet port migrate, motet actor migrate: one move, its steps and its pause.
 */

static struct migrate {
    bool dry_run;
    bool drop;
    const char *from;
} migrate;

/* All that is known of the move that is asked for. */
struct job {
    struct client c;
    struct site_names names;
    struct moving_port port;
    struct moving_actors actors; /* of the site where it is */
    struct moving_wish wish;
    const char *title; /* the word that was given */
    char receiver[MOTET_NAME_MAX + 1];
    uint64_t waiting; /* messages, before */
};

static const char *site_text(const struct job *j, uint64_t site, char *text)
{
    return site_names_text(&j->names, site, text);
}

/* ---- what is said ----------------------------------------------------------
 */

static void print_step(const char *what, uint64_t ns, const char *text)
{
    char took[UNIT_TEXT_MAX];

    printf("  %-9s %-50s %10s\n", what, text,
           ns == 0 ? "at once" : unit_ns(ns, took));
}

static void print_head(const struct job *j)
{
    char from[32];
    char to[32];

    printf("%s: %s -> %s, ", j->title, site_text(j, j->wish.from, from),
           site_text(j, j->wish.to, to));
    if (j->wish.whole) {
        printf("with actor %s and its state\n", j->wish.actor);
    } else {
        printf("to actor %s\n", j->wish.receiver);
    }
    fflush(stdout);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_steps(const struct job *j, const struct moving_note *n)
{
    char text[160];
    char to[32];
    char bytes[UNIT_TEXT_MAX];

    snprintf(text, sizeof text,
             "%" PRIu64 " port%s, %" PRIu64 " message%s waiting", n->ports,
             plural(n->ports), n->queued, plural(n->queued));
    print_step("freeze", n->frozen_ns, text);
    snprintf(text, sizeof text, "%s sent, accepted by %s",
             unit_bytes(n->bytes, bytes),
             site_names_text(&j->names, n->to, to));
    print_step("offer", n->prepared_ns - n->frozen_ns, text);
    snprintf(text, sizeof text, "it is at %s from now on, epoch %" PRIu64,
             site_names_text(&j->names, n->to, to), n->epoch);
    print_step("commit", n->over_ns - n->prepared_ns, text);
}

static void print_moved(const struct moving_note *n, bool drop)
{
    char took[UNIT_TEXT_MAX];
    char pause[UNIT_TEXT_MAX];

    printf("moved in %s; pause %s at most; ", unit_ns(n->over_ns, took),
           unit_ns(moving_pause_ns(n), pause));
    if (drop) {
        printf("%" PRIu64 " message%s dropped, callers were told\n", n->dropped,
               plural(n->dropped));
    } else {
        printf("%" PRIu64 " message%s came along, none lost\n", n->queued,
               plural(n->queued));
    }
}

static json_t *json_of(const struct job *j, bool moved)
{
    char from[32];
    char to[32];
    char ui[MOTET_UI_TEXT_MAX];
    const bool port = j->wish.port.hi != 0 || j->wish.port.lo != 0;
    json_t *doc = json_pack(
        "{s:s,s:s?,s:s?,s:s?,s:b,s:s,s:s,s:b}", "name", j->title, "ui",
        port ? motet_ui_text(j->wish.port, ui) : NULL, "actor", j->wish.actor,
        "receiver", j->wish.whole ? NULL : j->wish.receiver, "whole",
        j->wish.whole, "from", site_text(j, j->wish.from, from), "to",
        site_text(j, j->wish.to, to), "moved", moved);

    CHECK(doc != NULL);
    return doc;
}

static bool print_json(const struct job *j, const struct moving_note *n)
{
    json_t *doc = json_of(j, true);
    json_t *more = json_pack(
        "{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "ports", (json_int_t)n->ports,
        "queued", (json_int_t)n->queued, "dropped", (json_int_t)n->dropped,
        "bytes", (json_int_t)n->bytes, "epoch", (json_int_t)n->epoch,
        "frozen_ns", (json_int_t)n->frozen_ns, "prepared_ns",
        (json_int_t)n->prepared_ns, "over_ns", (json_int_t)n->over_ns,
        "pause_ns", (json_int_t)moving_pause_ns(n));

    CHECK(more != NULL && json_object_update(doc, more) == 0);
    json_decref(more);
    return table_json("motet.migrate/1", doc);
}

/* ---- refusals --------------------------------------------------------------
 */

static enum exit_code refused(const struct job *j, enum motet_err err,
                              const char *before)
{
    char text[MOVING_WHY_MAX];
    char from[32];

    say_error("%s%s", before, moving_why(&j->names, &j->wish, err, text));
    const char *hint = moving_hint(&j->names, &j->wish, err, text);
    if (hint != NULL) {
        say_hint("%s", hint);
    }
    say_hint("it stays at %s, and serves", site_text(j, j->wish.from, from));
    return exit_of(err);
}

/* Its outcome did not come. */
static enum exit_code unknown(const struct job *j, enum motet_err err)
{
    char from[32];
    char to[32];

    say_error("it MAY HAVE MOVED: %s", motet_err_text(err));
    say_hint("it is at %s or at %s: motet why %s",
             site_text(j, j->wish.from, from), site_text(j, j->wish.to, to),
             j->title);
    return EXIT_MAYBE;
}

static enum exit_code already(const struct job *j)
{
    char to[32];

    say("%s is at %s already", j->title, site_text(j, j->wish.to, to));
    if (options.output >= OUTPUT_JSON &&
        !table_json("motet.migrate/1", json_of(j, false))) {
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* ---- one move --------------------------------------------------------------
 */

static enum exit_code dry_run(struct job *j)
{
    char from[32];
    char to[32];
    enum motet_err err = moving_would(&j->c, &j->wish);

    if (j->port.state == MIG_FRZ || j->port.state == MIG_FWD) {
        err = MOTET_E_MOVING;
    }
    if (err != MOTET_OK) {
        return refused(j, err, "it would fail: ");
    }
    if (options.output >= OUTPUT_JSON) {
        json_t *doc = json_of(j, false);
        CHECK(json_object_set_new(doc, "would_move", json_true()) == 0);
        CHECK(json_object_set_new(doc, "queued",
                                  json_integer((json_int_t)j->waiting)) == 0);
        return table_json("motet.migrate/1", doc) ? EXIT_CHANGES : EXIT_FAILED;
    }
    printf("would move: %s: %s -> %s, %s %s; %" PRIu64 " port%s, %" PRIu64
           " message%s waiting%s\n",
           j->title, site_text(j, j->wish.from, from),
           site_text(j, j->wish.to, to),
           j->wish.whole ? "as a whole with actor" : "taken by actor",
           j->wish.whole ? j->wish.actor : j->wish.receiver, j->wish.ports,
           plural(j->wish.ports), j->waiting, plural(j->waiting),
           j->wish.drop ? ", which would be dropped" : "");
    return EXIT_CHANGES;
}

static enum exit_code ended(const struct job *j, const struct moving_note *n)
{
    char to[32];

    if (n->err == MOTET_E_CANCELLED && n->aborted) {
        char from[32];
        say_error("given up: it is at %s, and serves",
                  site_text(j, j->wish.from, from));
        return EXIT_INTERRUPTED;
    }
    if (n->err != MOTET_OK) {
        return motet_err_ran(n->err) == MOTET_RAN_MAYBE ||
                       (n->err == MOTET_E_SITE_DEAD && n->prepared_ns != 0)
                   ? unknown(j, n->err)
                   : refused(j, n->err, "");
    }
    if (n->aborted) {
        say("too late to give it up: it is at %s",
            site_text(j, j->wish.to, to));
    }
    if (options.output >= OUTPUT_JSON) {
        return print_json(j, n) ? EXIT_DONE : EXIT_FAILED;
    }
    print_steps(j, n);
    print_moved(n, j->wish.drop);
    return EXIT_DONE;
}

static enum exit_code move(struct job *j)
{
    struct moving_note n = {0};
    uint64_t id;

    if (migrate.dry_run) {
        return dry_run(j);
    }
    moving_hold_signals();
    enum motet_err err = moving_begin(&j->c, &j->wish, &id);
    if (err != MOTET_OK) {
        return motet_err_ran(err) == MOTET_RAN_MAYBE ? unknown(j, err)
                                                     : refused(j, err, "");
    }
    if (options.output < OUTPUT_JSON) {
        print_head(j);
    }
    if (id == 0) { /* from actor to actor of one site */
        n = (struct moving_note){.over = true, .to = j->wish.to, .ports = 1};
        if (options.output >= OUTPUT_JSON) {
            return print_json(j, &n) ? EXIT_DONE : EXIT_FAILED;
        }
        printf("given to actor %s\n", j->wish.receiver);
        return EXIT_DONE;
    }
    err = moving_wait(&j->c, j->wish.from, id, &n);
    return err == MOTET_OK ? ended(j, &n) : unknown(j, err);
}

/* ---- what is meant ---------------------------------------------------------
 */

static enum exit_code read_target(struct job *j, const char *word)
{
    char site[MOTET_NAME_MAX + 1];
    const char *slash = strchr(word, '/');
    const size_t n = slash == NULL ? strlen(word) : (size_t)(slash - word);

    snprintf(site, sizeof site, "%.*s", (int)(n < sizeof site ? n : 0), word);
    if (slash != NULL && !ui_name_ok(slash + 1)) {
        say_error("\"%.100s\" is no name for an actor", slash + 1);
        say_hint("say where it is to go as SITE or SITE/ACTOR");
        return EXIT_USAGE;
    }
    snprintf(j->receiver, sizeof j->receiver, "%s",
             slash == NULL ? "" : slash + 1);
    const struct site_name *to = site_names_told(&j->names, site);
    if (to == NULL) {
        return EXIT_MISSING;
    }
    j->wish.to = to->id;
    return EXIT_DONE;
}

/* The owner moves along where it can; else an actor over there takes the port:
 * the one named, or the namesake of the owner, or of the port. */
static enum exit_code choose_how(struct job *j)
{
    struct moving_wish *w = &j->wish;
    const struct moving_actor *owner =
        moving_actor_named(&j->actors, j->port.actor);

    w->actor = j->port.actor;
    w->whole = j->receiver[0] == '\0' && owner != NULL && owner->movable;
    if (w->whole) {
        w->kind = owner->kind;
        w->ports = owner->ports;
    } else if (j->receiver[0] == '\0') {
        struct motet_ui ui;
        const char *name = j->port.actor[0] != '\0' ? j->port.actor : j->title;
        if (j->port.actor[0] == '\0' && motet_ui_parse(name, &ui)) {
            say_error("its owner has no name");
            say_hint("say which actor takes it: SITE/ACTOR");
            return EXIT_USAGE;
        }
        snprintf(j->receiver, sizeof j->receiver, "%s", name);
    }
    w->receiver = j->receiver;
    return EXIT_DONE;
}

static enum exit_code port_job(struct job *j, char **args)
{
    enum exit_code code = moving_find(&j->c, &j->names, args[0], &j->port);

    if (code == EXIT_DONE) {
        code = read_target(j, args[1]);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    j->waiting = j->port.queued;
    j->wish.port = j->port.ui;
    j->wish.from = j->port.site;
    j->wish.ports = 1;
    j->wish.bytes = j->port.queued_bytes;
    j->wish.drop = migrate.drop;
    j->wish.actor = j->port.actor;
    if (j->wish.to == j->wish.from &&
        (j->receiver[0] == '\0' || strcmp(j->receiver, j->port.actor) == 0)) {
        return already(j);
    }
    enum motet_err err = moving_actors_get(&j->c, j->wish.from, &j->actors);
    if (err != MOTET_OK) {
        char from[32];
        return control_failed(&j->c, site_text(j, j->wish.from, from), err);
    }
    code = choose_how(j);
    return code == EXIT_DONE ? move(j) : code;
}

/* ---- an actor by its name --------------------------------------------------
 */

/* Of the sites asked, those where it is: the first in *at. */
static enum exit_code find_actor(struct job *j, const char *name, size_t *found)
{
    for (size_t i = 0; i < j->names.count; i++) {
        const struct site_name *s = &j->names.sites[i];
        struct moving_actors actors;
        const bool meant = migrate.from == NULL
                               ? strcmp(site_state_text(s->state), "alive") == 0
                               : strcmp(s->name, migrate.from) == 0;
        if (!meant) {
            continue;
        }
        enum motet_err err = moving_actors_get(&j->c, s->id, &actors);
        if (err != MOTET_OK) {
            free(actors.list);
            return control_failed(&j->c, s->name, err);
        }
        if (moving_actor_named(&actors, name) != NULL && (*found)++ == 0) {
            j->actors = actors;
            j->wish.from = s->id;
        } else {
            free(actors.list);
        }
    }
    return EXIT_DONE;
}

static enum exit_code actor_job(struct job *j, char **args)
{
    size_t found = 0;
    enum exit_code code = read_target(j, args[1]);

    if (code == EXIT_DONE && j->receiver[0] != '\0') {
        say_error("an actor goes to a site, not to another actor");
        say_hint("one port of it can: motet port migrate PORT SITE/ACTOR");
        return EXIT_USAGE;
    }
    if (code == EXIT_DONE && migrate.from != NULL &&
        site_names_told(&j->names, migrate.from) == NULL) {
        return EXIT_MISSING;
    }
    if (code == EXIT_DONE) {
        code = find_actor(j, args[0], &found);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (found != 1) {
        say_error(found == 0 ? "no such actor"
                             : "several sites have an actor of this name");
        say_hint(found == 0 ? "see the owners of ports: motet port list"
                            : "say which one: --from SITE");
        return found == 0 ? EXIT_MISSING : EXIT_USAGE;
    }
    const struct moving_actor *a = moving_actor_named(&j->actors, args[0]);
    j->wish.whole = true;
    j->wish.actor = a->name;
    j->wish.kind = a->kind;
    j->wish.ports = a->ports;
    j->wish.drop = migrate.drop;
    if (j->wish.to == j->wish.from) {
        return already(j);
    }
    if (!a->movable) {
        char why[MOVING_WHY_MAX];
        say_error("%s",
                  a->kind[0] == '\0'
                      ? "it is a program, and stays where it runs"
                      : moving_why(&j->names, &j->wish, MOTET_E_STATE, why));
        say_hint("a port of it can move: motet port migrate PORT SITE/ACTOR");
        return EXIT_NOT_RUN;
    }
    return move(j);
}

/* ---- the verbs -------------------------------------------------------------
 */

static enum exit_code run(char **args,
                          enum exit_code (*work)(struct job *j, char **args))
{
    struct cluster cluster;
    struct job *j = calloc(1, sizeof *j);

    CHECK(j != NULL);
    j->title = args[0];
    enum exit_code code = client_open(&j->c, &cluster);
    if (code == EXIT_DONE) {
        code = site_names_get(&j->c, &j->names);
        if (code == EXIT_DONE) {
            code = work(j, args);
        }
        site_names_free(&j->names);
        free(j->actors.list);
        client_leave(&j->c);
    }
    free(j);
    return code;
}

static enum exit_code port_run(char **args, unsigned count)
{
    (void)count;
    return run(args, port_job);
}

static enum exit_code actor_run(char **args, unsigned count)
{
    (void)count;
    return run(args, actor_job);
}

#define AT(field) offsetof(struct migrate, field)
static const struct flag port_flags[] = {
    {"dry-run", 0, NULL, FLAG_SWITCH, AT(dry_run),
     "only ask whether it would be taken"},
    {"drop", 0, NULL, FLAG_SWITCH, AT(drop),
     "leave what is queued behind: callers are told"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

static const struct flag actor_flags[] = {
    {"dry-run", 0, NULL, FLAG_SWITCH, AT(dry_run),
     "only ask whether it would be taken"},
    {"drop", 0, NULL, FLAG_SWITCH, AT(drop),
     "leave what is queued behind: callers are told"},
    {"from", 0, "SITE", FLAG_TEXT, AT(from), "the one that is at this site"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_port_migrate = {
    .name = "port migrate",
    .args = "PORT SITE[/ACTOR]",
    .args_min = 2,
    .args_max = 2,
    .flags = port_flags,
    .into = &migrate,
    .run = port_run,
    .summary = "move a live port to another site",
    .examples = "  motet port migrate counter site3\n"
                "  motet port migrate counter site3 --dry-run\n"
                "  motet port migrate inbox site2/archive --drop\n",
    .exits = "0 1 2 3 4 5 6 7 77 124 130",
};

const struct verb verb_actor_migrate = {
    .name = "actor migrate",
    .args = "ACTOR SITE",
    .args_min = 2,
    .args_max = 2,
    .flags = actor_flags,
    .into = &migrate,
    .run = actor_run,
    .summary = "move an actor with its state and all its ports",
    .examples = "  motet actor migrate counter site3\n",
    .exits = "0 1 2 3 4 5 6 7 77 124 130",
};
