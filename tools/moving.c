#include "moving.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nucleus/base/ui.h"
#include "rows.h"
#include "say.h"
#include "sites/core/migration_rules.h"

enum {
    HOPS_MAX = 16, /* from site to site after a port that moves meanwhile */
    REQUEST_MAX = 2048,
    NEAR_MAX = 256,
    WAIT_MS = 60000, /* for the end of a move */
};

/* ---- actors ----------------------------------------------------------------
 */

static void copy_name(char to[MOTET_NAME_MAX + 1], const char *from)
{
    snprintf(to, MOTET_NAME_MAX + 1, "%s", from == NULL ? "" : from);
}

static void on_actors(const Motet__ControlReply *reply, void *user)
{
    struct moving_actors *a = user;
    struct moving_actor *more =
        realloc(a->list, (a->count + reply->n_actors + 1) * sizeof *more);

    CHECK(more != NULL);
    a->list = more;
    for (size_t i = 0; i < reply->n_actors; i++) {
        const Motet__ControlActor *m = reply->actors[i];
        struct moving_actor *it = &a->list[a->count++];
        *it = (struct moving_actor){
            .ui = {m->hi, m->lo},
            .ports = m->ports,
            .movable = m->movable,
            .adopts = m->adopts,
            .port = {m->port_hi, m->port_lo},
        };
        copy_name(it->name, m->name);
        copy_name(it->kind, m->kind);
    }
}

enum motet_err moving_actors_get(struct client *c, uint64_t site,
                                 struct moving_actors *a)
{
    *a = (struct moving_actors){0};
    return control_pages(c, site, MOTET__CONTROL_REQUEST__OP__ACTORS, on_actors,
                         a);
}

const struct moving_actor *moving_actor_named(const struct moving_actors *a,
                                              const char *name)
{
    for (size_t i = 0; i < a->count; i++) {
        if (name[0] != '\0' && strcmp(a->list[i].name, name) == 0) {
            return &a->list[i];
        }
    }
    return NULL;
}

/* ---- a port ----------------------------------------------------------------
 */

static enum exit_code no_such(struct client *c, const char *word)
{
    const char *names[NEAR_MAX];
    struct group_rows groups;
    size_t n = 0;

    say_error("no such port");
    if (group_rows_get(c, &groups) == EXIT_DONE) {
        for (size_t i = 0; i < groups.count && n < NEAR_MAX; i++) {
            if (groups.rows[i].name[0] != '\0') {
                names[n++] = groups.rows[i].name;
            }
        }
        const char *near = say_nearest(word, names, n);
        if (near != NULL) {
            say_hint("did you mean: %s", near);
        }
        group_rows_free(&groups);
    }
    say_hint("list them: motet port list");
    return EXIT_MISSING;
}

static enum exit_code meant(struct client *c, const char *word,
                            struct motet_ui *ui)
{
    struct motet_member members[2];
    size_t count = 0;

    if (motet_ui_parse(word, ui)) {
        return ui_kind(*ui) == UI_PORT
                   ? EXIT_DONE
                   : say_fail(EXIT_USAGE, "that is no port");
    }
    if (!ui_name_ok(word) ||
        motet_group_list(c->motet, ui_of_name(word), members, 2, &count) !=
            MOTET_OK ||
        count == 0) {
        return no_such(c, word);
    }
    if (count > 1) {
        say_error("several ports have this name");
        say_hint("say which by its UI: motet port list -o wide");
        return EXIT_USAGE;
    }
    *ui = members[0].port;
    return EXIT_DONE;
}

/* One site's word for where it is. */
static enum motet_err ask_where(struct client *c, uint64_t site,
                                struct moving_port *p, bool *here,
                                uint64_t *next)
{
    Motet__ControlReply *reply;
    enum motet_err err = control_ask(c, site, MOTET__CONTROL_REQUEST__OP__WHERE,
                                     p->ui, NULL, &reply);

    if (err != MOTET_OK) {
        return err;
    }
    const Motet__ControlWhere *w = reply->where;
    *here = w != NULL && w->here && w->state != MIG_PRP;
    *next = w == NULL ? 0 : w->site;
    p->state = w == NULL ? 0 : w->state;
    p->epoch = w == NULL ? 0 : w->epoch;
    motet__control_reply__free_unpacked(reply, NULL);
    return MOTET_OK;
}

static bool ask_port(struct client *c, struct moving_port *p)
{
    Motet__ControlReply *reply;
    enum motet_err err = control_ask(
        c, p->site, MOTET__CONTROL_REQUEST__OP__PORT, p->ui, NULL, &reply);

    if (err != MOTET_OK) {
        return false;
    }
    if (reply->n_ports == 1) {
        const Motet__ControlPort *m = reply->ports[0];
        copy_name(p->actor, m->actor);
        p->queued = m->queue_msgs;
        p->queued_max = m->queue_msgs_max;
        p->queued_bytes = m->queue_bytes;
        p->oldest_ms = m->oldest_ms;
        p->waiting = m->waiting;
        p->seq = m->seq;
        p->enabled = m->enabled;
    }
    motet__control_reply__free_unpacked(reply, NULL);
    return true;
}

static enum exit_code unreachable(const struct site_names *names, uint64_t site,
                                  enum motet_err err)
{
    char text[32];

    say_error("it was last known at %s, which does not answer: %s",
              site_names_text(names, site, text), motet_err_text(err));
    say_hint("see: motet status -v");
    return err == MOTET_E_PERMISSION ? EXIT_DENIED : EXIT_NO_CLUSTER;
}

enum exit_code moving_find(struct client *c, const struct site_names *names,
                           const char *word, struct moving_port *p)
{
    *p = (struct moving_port){0};
    copy_name(p->name, word);
    enum exit_code code = meant(c, word, &p->ui);
    uint64_t at = c->site;

    for (int hop = 0; code == EXIT_DONE && hop < HOPS_MAX; hop++) {
        bool here = false;
        uint64_t next = 0;
        const enum motet_err err = ask_where(c, at, p, &here, &next);
        if (err != MOTET_OK) {
            return unreachable(names, at, err);
        }
        p->site = at;
        if (here && ask_port(c, p)) {
            return EXIT_DONE;
        }
        if (next == at || next == 0) {
            break; /* it was there, and has ended */
        }
        at = next;
    }
    return code == EXIT_DONE ? no_such(c, word) : code;
}

/* ---- asking for a move -----------------------------------------------------
 */

struct request {
    Motet__ControlRequest q;
    Motet__ControlMigrate m;
    char receiver[MOTET_NAME_MAX + 1];
    char actor[MOTET_NAME_MAX + 1];
    char kind[MOTET_NAME_MAX + 1];
};

static void fill(struct request *r, const struct moving_wish *w)
{
    motet__control_request__init(&r->q);
    motet__control_migrate__init(&r->m);
    r->q.migrate = &r->m;
    copy_name(r->receiver, w->receiver);
    copy_name(r->actor, w->actor);
    copy_name(r->kind, w->kind);
    r->m.has_to = 1;
    r->m.to = w->to;
    r->m.has_drop = 1;
    r->m.drop = w->drop;
    if (w->port.hi != 0 || w->port.lo != 0) {
        r->m.has_hi = 1;
        r->m.hi = w->port.hi;
        r->m.has_lo = 1;
        r->m.lo = w->port.lo;
    }
    if (w->whole) {
        r->m.has_whole = 1;
        r->m.whole = 1;
    } else {
        r->m.receiver = r->receiver;
    }
}

enum motet_err moving_would(struct client *c, const struct moving_wish *w)
{
    struct request r;
    Motet__ControlReply *reply;

    fill(&r, w);
    r.q.op = MOTET__CONTROL_REQUEST__OP__ADOPT;
    r.m.has_ports = 1;
    r.m.ports = (uint32_t)w->ports;
    r.m.has_bytes = 1;
    r.m.bytes = w->bytes;
    if (w->whole) {
        r.m.actor = r.actor;
        r.m.kind = r.kind;
    }
    enum motet_err err = control_request(c, w->to, &r.q, &reply);
    if (err == MOTET_OK) {
        err = control_err(reply);
        motet__control_reply__free_unpacked(reply, NULL);
    }
    return err;
}

enum motet_err moving_begin(struct client *c, const struct moving_wish *w,
                            uint64_t *id)
{
    struct request r;
    Motet__ControlReply *reply;

    fill(&r, w);
    r.q.op = MOTET__CONTROL_REQUEST__OP__MIGRATE;
    if (w->whole && r.m.has_hi == 0) {
        r.m.actor = r.actor;
    }
    enum motet_err err = control_request(c, w->from, &r.q, &reply);
    *id = 0;
    if (err == MOTET_OK) {
        err = control_err(reply);
        *id = reply->move;
        motet__control_reply__free_unpacked(reply, NULL);
    }
    return err;
}

/* ---- waiting for its end ---------------------------------------------------
 */

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    signalled = number;
}

static void signals(sigset_t *set)
{
    CHECK(sigemptyset(set) == 0);
    CHECK(sigaddset(set, SIGINT) == 0);
    CHECK(sigaddset(set, SIGTERM) == 0);
}

void moving_hold_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t set;

    signals(&set);
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

int moving_stopped(void)
{
    sigset_t set;
    const struct timespec now = {0};

    signals(&set);
    const int got = sigtimedwait(&set, NULL, &now);
    if (got > 0) {
        signalled = got;
    }
    return signalled;
}

static void read_note(const Motet__ControlMove *m, struct moving_note *n)
{
    *n = (struct moving_note){
        .err =
            m->err < MOTET_E_COUNT ? (enum motet_err)m->err : MOTET_E_PROTOCOL,
        .over = m->over,
        .came = m->came,
        .id = m->id,
        .from = m->from,
        .to = m->to,
        .port = {m->hi, m->lo},
        .epoch = m->epoch,
        .ports = m->ports,
        .queued = m->queued,
        .dropped = m->dropped,
        .bytes = m->bytes,
        .asked_by = m->asked_by,
        .frozen_ns = m->frozen_ns,
        .sent_ns = m->sent_ns,
        .prepared_ns = m->prepared_ns,
        .over_ns = m->over_ns,
        .ago_ms = m->ago_ms,
    };
    copy_name(n->receiver, m->receiver);
}

static enum motet_err ask_move(struct client *c, uint64_t site, uint64_t id,
                               uint64_t *call)
{
    uint8_t bytes[REQUEST_MAX];
    Motet__ControlRequest q;

    motet__control_request__init(&q);
    q.op = MOTET__CONTROL_REQUEST__OP__MOVE;
    q.has_move = 1;
    q.move = id;
    q.has_wait = 1;
    q.wait = 1;
    CHECK(motet__control_request__get_packed_size(&q) <= sizeof bytes);
    const struct motet_out out =
        motet_body(bytes, motet__control_request__pack(&q, bytes));
    return motet_call_start(motet_own_port(c->motet),
                            (struct motet_dest){.target = ui_of_control(site)},
                            out, WAIT_MS, 1, call);
}

static void abort_move(struct client *c, uint64_t site, uint64_t id)
{
    Motet__ControlRequest q;
    Motet__ControlReply *reply;

    motet__control_request__init(&q);
    q.op = MOTET__CONTROL_REQUEST__OP__ABORT;
    q.has_move = 1;
    q.move = id;
    if (control_request(c, site, &q, &reply) == MOTET_OK) {
        motet__control_reply__free_unpacked(reply, NULL);
    } /* too late or not: the end of the move says */
}

static enum motet_err take_end(const struct motet_event *e,
                               struct moving_note *note)
{
    if (e->err != MOTET_OK) {
        return e->err;
    }
    Motet__ControlReply *reply = motet__control_reply__unpack(
        NULL, e->reply->body_bytes, e->reply->body);
    enum motet_err err = MOTET_E_PROTOCOL;
    if (reply != NULL && reply->n_moves == 1 && reply->moves[0]->over) {
        read_note(reply->moves[0], note);
        err = MOTET_OK;
    } else if (reply != NULL && reply->err != 0) {
        err = control_err(reply);
    }
    motet__control_reply__free_unpacked(reply, NULL);
    return err;
}

enum motet_err moving_wait(struct client *c, uint64_t site, uint64_t id,
                           struct moving_note *note)
{
    struct pollfd fd = {.fd = motet_fd(c->motet), .events = POLLIN};
    struct motet_event e;
    sigset_t none;
    uint64_t call;
    bool aborted = false;
    enum motet_err err = ask_move(c, site, id, &call);

    CHECK(sigemptyset(&none) == 0);
    while (err == MOTET_OK) {
        while (motet_event(c->motet, &e, 0) == MOTET_OK) {
            if (e.kind == MOTET_EVENT_CALL_DONE && e.call == call) {
                err = take_end(&e, note);
                note->aborted = aborted;
                return err;
            }
        }
        const struct timespec slice = {.tv_sec = 1};
        (void)ppoll(&fd, 1, &slice, &none);
        if (signalled != 0 && !aborted) {
            aborted = true;
            abort_move(c, site, id);
        }
        err = motet_dispatch(c->motet);
    }
    return err;
}

/* ---- what was --------------------------------------------------------------
 */

enum motet_err moving_notes(struct client *c, uint64_t site,
                            struct moving_note **list, size_t *count)
{
    Motet__ControlReply *reply;
    enum motet_err err = control_ask(c, site, MOTET__CONTROL_REQUEST__OP__MOVES,
                                     (struct motet_ui){0, 0}, NULL, &reply);

    *list = NULL;
    *count = 0;
    if (err != MOTET_OK) {
        return err;
    }
    *list = calloc(reply->n_moves + 1, sizeof **list);
    CHECK(*list != NULL);
    for (size_t i = 0; i < reply->n_moves; i++) {
        read_note(reply->moves[i], &(*list)[(*count)++]);
    }
    motet__control_reply__free_unpacked(reply, NULL);
    return MOTET_OK;
}

uint64_t moving_pause_ns(const struct moving_note *n)
{
    return n->over_ns > n->frozen_ns ? n->over_ns - n->frozen_ns : 0;
}

/* ---- why not ---------------------------------------------------------------
 */

static const char *why_not(const struct moving_wish *w, enum motet_err err,
                           const char *from, const char *to, char *text)
{
    const char *actor = w->actor == NULL ? "" : w->actor;
    const char *receiver = w->receiver == NULL ? "" : w->receiver;
#define WHY(...) (snprintf(text, MOVING_WHY_MAX, __VA_ARGS__), text)
    if (err == MOTET_E_NO_ACTOR && w->whole) {
        return WHY("%s has no actors of the kind %s", to,
                   w->kind == NULL ? "" : w->kind);
    } else if (err == MOTET_E_NO_ACTOR) {
        return WHY("no actor named %s at %s", receiver, to);
    } else if (err == MOTET_E_DECLINED) {
        return WHY("actor %s at %s does not take it",
                   w->whole ? actor : receiver, to);
    } else if (err == MOTET_E_NAME_TAKEN) {
        return WHY("%s has an actor named %s already", to, actor);
    } else if (err == MOTET_E_MOVING) {
        return WHY("it is moving already");
    } else if (err == MOTET_E_STATE && w->whole) {
        return WHY("actor %s does not save its state, so it cannot move",
                   actor);
    } else if (err == MOTET_E_SITE_DEAD) {
        return WHY("%s is dead", to);
    } else if (err == MOTET_E_UNREACHABLE) {
        return WHY("%s has no connection to %s", from, to);
    } else if (err == MOTET_E_PERMISSION) {
        return WHY("not permitted: you are not the operator of %s", from);
    } else if (err == MOTET_E_LIMIT || err == MOTET_E_NO_MEMORY ||
               err == MOTET_E_TOO_BIG) {
        return WHY("%s has no room for it: %s", to, motet_err_text(err));
    } else if (err == MOTET_E_TIMEOUT) {
        return WHY("%s did not answer in time", to);
    } else if (err == MOTET_E_CANCELLED) {
        return WHY("given up");
    } else if (err == MOTET_E_VERSION) {
        return WHY("%s runs another version of Motet, which does not take it",
                   to);
    } else if (err == MOTET_E_AGAIN) {
        return WHY("neither its owner nor %s came to rest in time", to);
    }
#undef WHY
    return motet_err_text(err);
}

const char *moving_why(const struct site_names *names,
                       const struct moving_wish *w, enum motet_err err,
                       char *text)
{
    char from[32];
    char to[32];

    return why_not(w, err, site_names_text(names, w->from, from),
                   site_names_text(names, w->to, to), text);
}

const char *moving_hint(const struct site_names *names,
                        const struct moving_wish *w, enum motet_err err,
                        char *text)
{
    char to[32];
    const char *site = site_names_text(names, w->to, to);

    if (err == MOTET_E_NO_ACTOR && !w->whole) {
        snprintf(text, MOVING_WHY_MAX,
                 "name the one that takes it: %s/ACTOR; or let one be ready: "
                 "motet receive %s --standby -s %s",
                 site, w->receiver, site);
    } else if (err == MOTET_E_DECLINED && !w->whole) {
        snprintf(text, MOVING_WHY_MAX,
                 "an actor must have said that it takes ports");
    } else if (err == MOTET_E_MOVING) {
        snprintf(text, MOVING_WHY_MAX, "see: motet why PORT");
    } else if (err == MOTET_E_SITE_DEAD || err == MOTET_E_UNREACHABLE ||
               err == MOTET_E_TIMEOUT) {
        snprintf(text, MOVING_WHY_MAX, "see: motet status -v");
    } else {
        return NULL;
    }
    return text;
}
