#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exec.h"
#include "nucleus/base/ui.h"
#include "say.h"
#include "table.h"
#include "tally.h"
#include "target.h"
#include "units.h"
#include "verbs.h"

/* motet receive: a port with a name; prints what comes, or answers it. */

#define EXEC_TIMEOUT_NS 60000000000ULL

enum { SLICE_MS = 200 /* until a signal is looked at */ };

static struct receive {
    const char *exec;
    const char *reply;
    uint64_t count;
    uint64_t queue;
    bool echo;
    bool hold;
    bool standby;
} receiving;

struct server {
    struct client *c;
    const char *name;
    struct motet_port *port;
    struct tally tally;
    uint64_t calls;
    bool failed; /* stdout */
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    stopped = signal;
}

/* ---- answers ---------------------------------------------------------------
 */

/* What was done about a call, for the line about it. */
struct answer {
    const char *what; /* "replied", or why not */
    size_t bytes;
    uint64_t took_ns;
};

/* The exit status of the command is its word on whether it did what it was
 * asked: not 0 means that it did not. */
static void answer_exec(struct server *s, const struct motet_msg *msg,
                        struct answer *a)
{
    uint64_t timeout = msg->remaining_ms > 0
                           ? (uint64_t)msg->remaining_ms * 1000000
                           : EXEC_TIMEOUT_NS;
    struct exec_result r;
    bool ran = exec_run(receiving.exec, msg->body, msg->body_bytes,
                        motet_body_max(s->c->motet), timeout, &r);

    if (msg->kind != MOTET_MSG_CALL) {
        a->what = "done";
    } else if (ran && r.timed_out) {
        a->what = "killed: the caller's time is over";
    } else if (!ran || r.status != 0) {
        a->what = "refused: the command failed";
        (void)motet_refuse(msg, MOTET_E_STATE);
    } else {
        a->bytes = r.size;
        (void)motet_reply(msg, r.out, r.size);
    }
    free(r.out);
}

static void answer(struct server *s, const struct motet_msg *msg,
                   struct answer *a)
{
    uint64_t from = clock_ns();

    *a = (struct answer){.what = "replied"};
    if (receiving.exec != NULL) {
        answer_exec(s, msg, a);
    } else if (msg->kind != MOTET_MSG_CALL) {
        a->what = "received";
    } else if (receiving.echo) {
        a->bytes = msg->body_bytes;
        (void)motet_reply_out(msg, motet_annexed(msg->annex, msg->annex_bytes,
                                                 msg->body, msg->body_bytes));
    } else {
        const char *text = receiving.reply == NULL ? "" : receiving.reply;
        a->bytes = strlen(text);
        (void)motet_reply(msg, text, a->bytes);
    }
    a->took_ns = clock_ns() - from;
}

/* ---- what is said ----------------------------------------------------------
 */

static void clock_text(char *text, size_t size)
{
    struct timespec t;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    (void)localtime_r(&t.tv_sec, &tm);
    size_t n = strftime(text, size, "%H:%M:%S", &tm);
    snprintf(text + n, size - n, ".%03ld", t.tv_nsec / 1000000);
}

static void say_message(const struct server *s, const struct motet_msg *msg,
                        const struct answer *a)
{
    char at[32];
    char source[MOTET_UI_TEXT_MAX];
    char size[UNIT_TEXT_MAX];
    char out[UNIT_TEXT_MAX];
    char took[UNIT_TEXT_MAX];
    bool call = msg->kind == MOTET_MSG_CALL;

    /* Many one-way messages are counted, not told. */
    if (!call && options.verbose == 0 && receiving.exec == NULL) {
        return;
    }
    (void)s;
    clock_text(at, sizeof at);
    if (call && strcmp(a->what, "replied") == 0) {
        say("%s  call  from %s  %s   -> replied %s in %s", at,
            motet_ui_text(msg->source, source),
            unit_bytes(msg->body_bytes, size), unit_bytes(a->bytes, out),
            unit_ns(a->took_ns, took));
    } else {
        say("%s  %s  from %s  %s   -> %s in %s", at, call ? "call" : "send",
            motet_ui_text(msg->source, source),
            unit_bytes(msg->body_bytes, size), a->what,
            unit_ns(a->took_ns, took));
    }
}

static bool print_line(const struct motet_msg *msg)
{
    char source[MOTET_UI_TEXT_MAX];
    json_t *body =
        json_stringn(msg->body == NULL ? "" : msg->body, msg->body_bytes);
    json_t *line = json_pack("{s:s,s:s,s:I,s:I,s:o}", "kind",
                             msg->kind == MOTET_MSG_CALL ? "call" : "message",
                             "from", motet_ui_text(msg->source, source), "seq",
                             (json_int_t)msg->seq, "body_bytes",
                             (json_int_t)msg->body_bytes, "body",
                             body == NULL ? json_null() : body);

    CHECK(line != NULL);
    bool ok = json_dumpf(line, stdout, JSON_COMPACT) == 0 &&
              fputc('\n', stdout) != EOF && fflush(stdout) == 0;
    json_decref(line);
    return ok;
}

static bool print_message(const struct motet_msg *msg)
{
    bool serves =
        receiving.exec != NULL || receiving.echo || receiving.reply != NULL;

    if (options.output == OUTPUT_JSONL) {
        return print_line(msg);
    }
    if (options.output == OUTPUT_JSON || serves) {
        return true;
    }
    return body_print(msg->body, msg->body_bytes, true);
}

static bool print_summary(const struct server *s)
{
    const struct tally *t = &s->tally;

    if (options.output != OUTPUT_JSON) {
        return true;
    }
    return table_json("motet.receive/1",
                      json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "name",
                                s->name, "received", (json_int_t)t->received,
                                "calls", (json_int_t)s->calls, "numbered",
                                (json_int_t)t->numbered, "lost",
                                (json_int_t)tally_lost(t), "duplicated",
                                (json_int_t)t->duplicated, "reordered",
                                (json_int_t)t->reordered));
}

/* ---- the loop --------------------------------------------------------------
 */

static void take(struct server *s, struct motet_msg *msg)
{
    struct answer a;

    if (msg->kind == MOTET_MSG_NEWS) {
        return;
    }
    tally_add(&s->tally, msg);
    s->calls += msg->kind == MOTET_MSG_CALL ? 1 : 0;
    answer(s, msg, &a);
    if (!print_message(msg)) {
        s->failed = true;
    }
    say_message(s, msg, &a);
}

/* What happened to the port of a stand-by meanwhile. */
static void look_at_events(struct server *s)
{
    struct motet_event e;

    while (motet_event(s->c->motet, &e, 0) == MOTET_OK) {
        if (e.kind == MOTET_EVENT_PORT_ADOPTED) {
            say("%s: it is here now: receiving on %s, from message %" PRIu64,
                s->name, s->c->at->name, e.seq + 1);
        } else if (e.kind == MOTET_EVENT_PORT_MOVED) {
            say("%s: it has moved away: standing by on %s", s->name,
                s->c->at->name);
        }
    }
}

static enum motet_err next(struct server *s, struct motet_msg *msg)
{
    if (!receiving.standby) {
        return motet_receive(s->port, msg, SLICE_MS);
    }
    enum motet_err err = motet_receive_any(s->c->motet, msg, SLICE_MS);
    look_at_events(s);
    return err;
}

static enum exit_code loop(struct server *s)
{
    struct motet_msg msg;

    while (!stopped && !s->failed &&
           (receiving.count == 0 || s->tally.received < receiving.count)) {
        if (receiving.hold) {
            clock_sleep(SLICE_MS * 1000000ULL);
            if (motet_dispatch(s->c->motet) != MOTET_OK) {
                break;
            }
            continue;
        }
        enum motet_err err = next(s, &msg);
        if (err == MOTET_E_TIMEOUT) {
            continue;
        }
        if (err == MOTET_E_MOVED) {
            say("%s: it has moved to another owner; see: motet why %s", s->name,
                s->name);
            return EXIT_DONE;
        }
        if (err != MOTET_OK) {
            return say_fail(EXIT_NO_CLUSTER, "site %s is lost: %s",
                            s->c->at->name, motet_err_text(err));
        }
        take(s, &msg);
        motet_msg_free(&msg);
    }
    if (motet_lost(s->c->motet)) {
        return say_fail(EXIT_NO_CLUSTER, "site %s is lost", s->c->at->name);
    }
    if (s->failed) {
        return say_fail(EXIT_FAILED, "cannot write: %s", strerror(errno));
    }
    return stopped == SIGTERM ? EXIT_TERMINATED
           : stopped          ? EXIT_INTERRUPTED
                              : EXIT_DONE;
}

/* As an actor of that name, which takes the port when it comes. */
static enum exit_code stand_by(struct server *s)
{
    struct client *c = s->c;

    client_close(c);
    enum motet_err err = motet_attach_as(c->at->socket, s->name, &c->motet);
    if (err == MOTET_E_NAME_TAKEN || err == MOTET_E_EXISTS) {
        say_error("%s has an actor of this name already", c->at->name);
        say_hint("stand by on another site: -s SITE");
        return EXIT_NOT_RUN;
    }
    if (err == MOTET_OK) {
        err = motet_adopts(c->motet, true);
    }
    if (err != MOTET_OK) {
        say_error("cannot stand by on %s: %s", c->at->name,
                  motet_err_text(err));
        return exit_of(err);
    }
    s->tally.late = true;
    say("%s: standing by on %s; hand it over: motet port migrate %s %s",
        s->name, c->at->name, s->name, c->at->name);
    return EXIT_DONE;
}

static enum exit_code create(struct server *s)
{
    enum motet_err err = motet_port_create_limited(
        s->c->motet, s->name, (uint32_t)receiving.queue, 0, &s->port);

    if (err != MOTET_OK) {
        say_error("%s", motet_err_text(err));
        say_hint("see: motet site list -o wide");
        return exit_of(err);
    }
    say("%s: receiving on %s (Ctrl-C to stop)", s->name, s->c->at->name);
    return EXIT_DONE;
}

static enum exit_code serve(struct server *s)
{
    enum exit_code code = receiving.standby ? stand_by(s) : create(s);

    if (code != EXIT_DONE) {
        return code;
    }
    code = loop(s);
    if (!print_summary(s) && code == EXIT_DONE) {
        code = EXIT_FAILED;
    }
    return code;
}

static enum exit_code receive_run(char **args, unsigned count)
{
    enum { QUEUE_MAX = 1 << 20 };
    struct sigaction action = {.sa_handler = on_signal};
    struct cluster cluster;
    struct client c;
    struct server s = {.c = &c, .name = args[0]};
    (void)count;

    if ((receiving.exec != NULL) + (receiving.reply != NULL) + receiving.echo +
            receiving.hold >
        1) {
        return say_fail(EXIT_USAGE,
                        "one of --exec, --reply, --echo and --hold");
    }
    if (!ui_name_ok(args[0]) || receiving.queue > QUEUE_MAX) {
        say_error(receiving.queue > QUEUE_MAX ? "--queue: at most 1048576"
                                              : "this is no name");
        say_hint("a name has 1 to %d letters, digits and . _ - $ /",
                 MOTET_NAME_MAX);
        return EXIT_USAGE;
    }
    if (receiving.standby && (receiving.hold || receiving.queue > 0)) {
        return say_fail(EXIT_USAGE,
                        "--standby has the queue of the port that comes");
    }
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    (void)signal(SIGPIPE, SIG_IGN); /* a command need not read its input */
    enum exit_code code = client_open(&c, &cluster);
    if (code != EXIT_DONE) {
        return code;
    }
    code = serve(&s);
    tally_free(&s.tally);
    client_leave(&c);
    return code;
}

#define AT(field) offsetof(struct receive, field)
static const struct flag flags[] = {
    {"exec", 'x', "CMD", FLAG_TEXT, AT(exec),
     "a shell command makes the reply; not 0: refused"},
    {"reply", 'r', "BODY", FLAG_TEXT, AT(reply), "always this reply"},
    {"echo", 'e', NULL, FLAG_SWITCH, AT(echo), "the body is the reply"},
    {"count", 'n', "N", FLAG_COUNT, AT(count), "end after N messages"},
    {"queue", 0, "N", FLAG_COUNT, AT(queue), "messages that may wait"},
    {"hold", 0, NULL, FLAG_SWITCH, AT(hold),
     "take nothing: let the queue fill up"},
    {"standby", 0, NULL, FLAG_SWITCH, AT(standby),
     "be ready to take over this port from another site"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_receive = {
    .name = "receive",
    .args = "NAME",
    .args_min = 1,
    .args_max = 1,
    .flags = flags,
    .into = &receiving,
    .run = receive_run,
    .summary = "be the service of this name; print or answer what comes",
    .examples = "  motet receive greet --exec 'tr a-z A-Z'\n"
                "  motet receive inbox\n"
                "  motet receive inbox --standby -s site3 &\n"
                "  motet port migrate inbox site3\n"
                "  motet receive sink --count 1000 --json\n",
    .exits = "0 1 2 3 4 7 77 124 130 143",
};
