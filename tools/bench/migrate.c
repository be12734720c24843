#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nucleus/base/ui.h"
#include "sites/core/member.h"
#include "tools/drain.h"
#include "tools/load.h"
#include "tools/say.h"
#include "tools/table.h"
#include "tools/units.h"
#include "tools/verbs.h"

/* motet bench migrate: what a move costs those who use the port. First the
 * counter goes to and fro between two sites while it is called at a rate; then
 * a site with many idle ports is drained, and gets them back. */

#define SECOND_NS 1000000000ULL

enum {
    MOVES_MAX = 10000,
    PORTS_MAX = 16384, /* as the ballast has room for */
    BASE_S = 1,        /* of calls before the first move, and after the last */
};

static struct bench {
    uint64_t rate;
    uint64_t moves;
    uint64_t every_ns;
    uint64_t ports;
} bench = {.rate = 10000, .moves = 100, .every_ns = 30000000, .ports = 10000};

/* One move, as its mover tells it through a pipe. */
struct told {
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t pause_ns; /* as the source counts it */
};

struct done_call {
    uint64_t due_ns;
    uint64_t end_ns;
};

struct pauses {
    struct load load;
    struct told *moves;
    size_t move_count;
    struct done_call *calls;
    size_t call_count, call_room;
    struct histogram source; /* frozen until acknowledged */
    struct histogram seen;   /* the longest wait of a call during a move */
    struct histogram base;   /* likewise between the moves */
};

struct drained {
    char site[MOTET_NAME_MAX + 1];
    uint64_t ports;
    uint64_t took_ns;
    uint64_t pause_ns;
    uint64_t memory[4]; /* of the source: before, with the ports, when they are
                         * back, when they are back a second time */
};

/* ---- the mover, a process of its own ---------------------------------------
 */

static bool write_all(int fd, const void *bytes, size_t size)
{
    ssize_t n = write(fd, bytes, size);

    return n == (ssize_t)size;
}

static enum exit_code move_once(struct client *c, const struct moving_wish *w,
                                int fd)
{
    struct moving_note note = {0};
    struct told t = {.begin_ns = clock_ns()};
    uint64_t id;
    enum motet_err err = moving_begin(c, w, &id);

    if (err == MOTET_OK) {
        err = moving_wait(c, w->from, id, &note);
    }
    t.end_ns = clock_ns();
    t.pause_ns = moving_pause_ns(&note);
    if (err == MOTET_OK) {
        err = note.err;
    }
    if (err != MOTET_OK) {
        say_error("a move failed: %s", motet_err_text(err));
        return EXIT_FAILED;
    }
    return write_all(fd, &t, sizeof t) ? EXIT_DONE : EXIT_FAILED;
}

/* An even number of them, so that it ends where it was. */
static enum exit_code mover(uint64_t from, uint64_t to, struct motet_ui port,
                            uint64_t start_ns, int fd)
{
    struct cluster cluster;
    struct client c;
    struct moving_wish w = {.port = port,
                            .actor = "counter",
                            .kind = "counter",
                            .whole = true,
                            .from = from,
                            .to = to};
    enum exit_code code = client_open(&c, &cluster);

    if (code != EXIT_DONE) {
        return code;
    }
    for (uint64_t i = 0; code == EXIT_DONE && i < bench.moves; i++) {
        const uint64_t due = start_ns + i * bench.every_ns;
        const uint64_t now = clock_ns();
        if (due > now) {
            clock_sleep(due - now);
        }
        code = move_once(&c, &w, fd);
        const uint64_t back = w.from;
        w.from = w.to;
        w.to = back;
    }
    client_leave(&c);
    return code;
}

static pid_t start_mover(uint64_t from, uint64_t to, struct motet_ui port,
                         uint64_t start_ns, int *fd)
{
    int ends[2];

    if (pipe(ends) != 0) {
        say_error("no pipe: %s", strerror(errno));
        return -1;
    }
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit((int)mover(from, to, port, start_ns, ends[1]));
    }
    close(ends[1]);
    *fd = ends[0];
    return pid;
}

static enum exit_code end_mover(pid_t pid, int fd, struct pauses *p)
{
    int status = 0;
    struct told t;

    while (p->move_count < bench.moves &&
           read(fd, &t, sizeof t) == (ssize_t)sizeof t) {
        p->moves[p->move_count++] = t;
    }
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? (enum exit_code)WEXITSTATUS(status)
                             : EXIT_FAILED;
}

/* ---- pauses ----------------------------------------------------------------
 */

static void on_done(const struct load *l, uint64_t due_ns, uint64_t end_ns)
{
    struct pauses *p = l->user;

    if (p->call_count < p->call_room) {
        p->calls[p->call_count++] = (struct done_call){due_ns, end_ns};
    }
}

/* The longest wait of a call that was due, or under way, in that time. */
static uint64_t longest(const struct pauses *p, uint64_t from, uint64_t to)
{
    uint64_t most = 0;

    for (size_t i = 0; i < p->call_count; i++) {
        const struct done_call *c = &p->calls[i];
        if (c->due_ns <= to && c->end_ns >= from &&
            c->end_ns - c->due_ns > most) {
            most = c->end_ns - c->due_ns;
        }
    }
    return most;
}

static void judge(struct pauses *p)
{
    histogram_init(&p->source);
    histogram_init(&p->seen);
    histogram_init(&p->base);
    for (size_t i = 0; i < p->move_count; i++) {
        const struct told *t = &p->moves[i];
        const uint64_t between = t->begin_ns + bench.every_ns / 2;
        histogram_add(&p->source, t->pause_ns);
        histogram_add(&p->seen, longest(p, t->begin_ns, t->end_ns));
        histogram_add(&p->base,
                      longest(p, between, between + t->end_ns - t->begin_ns));
    }
}

static enum exit_code run_pauses(struct client *c, uint64_t from, uint64_t to,
                                 struct motet_ui port, struct pauses *p)
{
    int fd;
    const uint64_t moving_ns = bench.moves * bench.every_ns;

    p->load = (struct load){
        .client = c,
        .to = {.target = port},
        .body = "inc",
        .size = 3,
        .verify = true,
        .for_ns = moving_ns + 2 * BASE_S * SECOND_NS,
        .rate = bench.rate,
        .deadline_ns = 5 * SECOND_NS,
        .each_done = on_done,
        .user = p,
    };
    p->call_room = (p->load.for_ns / 1000000 + 1) * bench.rate / 1000 + 1;
    p->calls = calloc(p->call_room, sizeof *p->calls);
    p->moves = calloc(bench.moves + 1, sizeof *p->moves);
    CHECK(p->calls != NULL && p->moves != NULL);
    const pid_t pid =
        start_mover(from, to, port, clock_ns() + BASE_S * SECOND_NS, &fd);
    if (pid < 0) {
        return EXIT_FAILED;
    }
    load_run(&p->load);
    const enum exit_code code = end_mover(pid, fd, p);
    judge(p);
    return code;
}

/* ---- a site with many idle ports -------------------------------------------
 */

static enum exit_code memory_of(struct client *c, uint64_t site,
                                uint64_t *bytes)
{
    Motet__ControlReply *reply;
    enum motet_err err =
        control_ask(c, site, MOTET__CONTROL_REQUEST__OP__STATUS,
                    (struct motet_ui){0, 0}, NULL, &reply);

    if (err != MOTET_OK) {
        return control_failed(c, "of the ballast", err);
    }
    *bytes = reply->site == NULL ? 0 : reply->site->memory_bytes;
    motet__control_reply__free_unpacked(reply, NULL);
    return EXIT_DONE;
}

static enum exit_code load_ballast(struct client *c, struct motet_ui port,
                                   uint64_t ports)
{
    char words[32];
    struct client_reply r;
    const struct motet_dest to = {.target = port};

    snprintf(words, sizeof words, "%" PRIu64, ports);
    enum motet_err err =
        client_call(c, &to, words, strlen(words), 30 * SECOND_NS, &r);
    if (err != MOTET_OK) {
        say_error("the ballast does not answer: %s", motet_err_text(err));
        return exit_of(err);
    }
    const bool ok = strtoull(r.body, NULL, 10) == ports;
    client_reply_free(&r);
    return ok ? EXIT_DONE
              : say_fail(EXIT_FAILED, "its site has no room for the ports");
}

static enum exit_code bring_back(struct client *c, const struct drain *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct drain_item *it = &d->items[i];
        struct moving_note note = {0};
        uint64_t id;
        if (!it->done) {
            continue;
        }
        const struct moving_wish w = {.port = it->port,
                                      .actor = it->actor,
                                      .whole = it->how == DRAIN_WHOLE,
                                      .receiver = it->receiver,
                                      .from = it->to,
                                      .to = d->site};
        enum motet_err err = moving_begin(c, &w, &id);
        if (err == MOTET_OK) {
            err = moving_wait(c, w.from, id, &note);
        }
        err = err == MOTET_OK ? note.err : err;
        if (err != MOTET_OK) {
            say_error("%s did not come back: %s", it->name,
                      motet_err_text(err));
            say_hint("where is it? motet why %s", it->name);
            return EXIT_FAILED;
        }
    }
    return EXIT_DONE;
}

static enum exit_code drain_there_and_back(struct client *c, struct drain *d,
                                           struct drained *out)
{
    enum exit_code code = drain_plan(d);

    if (code == EXIT_DONE) {
        code = drain_move(d);
    }
    out->ports = d->ports_moved;
    out->took_ns = d->took_ns;
    out->pause_ns = d->pause_ns;
    d->ports_moved = 0;
    d->took_ns = 0;
    return code == EXIT_DONE ? bring_back(c, d) : code;
}

static enum exit_code
run_drain(struct client *c, const struct site_names *names, struct drained *out)
{
    struct moving_port ballast;
    enum exit_code code = moving_find(c, names, "ballast", &ballast);
    struct drain d = {.c = c, .names = names, .site = ballast.site};
    char text[32];

    if (code != EXIT_DONE) {
        return code;
    }
    snprintf(out->site, sizeof out->site, "%s",
             site_names_text(names, ballast.site, text));
    const uint64_t had = ballast.site;
    if ((code = memory_of(c, had, &out->memory[0])) == EXIT_DONE &&
        (code = load_ballast(c, ballast.ui, bench.ports)) == EXIT_DONE &&
        (code = memory_of(c, had, &out->memory[1])) == EXIT_DONE &&
        (code = drain_there_and_back(c, &d, out)) == EXIT_DONE &&
        (code = memory_of(c, had, &out->memory[2])) == EXIT_DONE &&
        (code = drain_there_and_back(c, &d, out)) == EXIT_DONE &&
        (code = memory_of(c, had, &out->memory[3])) == EXIT_DONE) {
        code = load_ballast(c, ballast.ui, 0);
    }
    drain_free(&d);
    return code;
}

/* ---- what came out ---------------------------------------------------------
 */

static void print_line(const char *what, const struct histogram *h,
                       const char *note)
{
    char p50[UNIT_TEXT_MAX];
    char p99[UNIT_TEXT_MAX];
    char max[UNIT_TEXT_MAX];

    printf("%-9s p50 %-9s p99 %-9s max %-9s %s\n", what,
           unit_ns(histogram_at(h, 50000), p50),
           unit_ns(histogram_at(h, 99000), p99), unit_ns(h->max, max), note);
}

static void print_pauses(const struct pauses *p)
{
    const struct load *l = &p->load;

    print_line("pause", &p->source, "its source: frozen to acknowledged");
    print_line("seen", &p->seen, "the longest wait of a call during a move");
    print_line("else", &p->base, "likewise between the moves");
    printf("calls     %" PRIu64 ": %" PRIu64
           " answered once, in order; %" PRIu64 " lost, %" PRIu64
           " duplicated, %" PRIu64 " reordered, %" PRIu64 " refused, %" PRIu64
           " unknown\n",
           l->begun, l->ok, l->lost, l->duplicated, l->reordered, l->refused,
           l->maybe);
    if (l->first_err != MOTET_OK) {
        printf("          the first that failed: %s\n",
               motet_err_text(l->first_err));
    }
    fflush(stdout);
}

static void print_drained(const struct drained *d)
{
    char a[4][UNIT_TEXT_MAX];

    printf("drained   %" PRIu64 " ports of %s in %s, pause %s\n", d->ports,
           d->site, unit_ns(d->took_ns, a[0]), unit_ns(d->pause_ns, a[1]));
    printf("memory    of %s: %s; with the ports %s; gone and back %s; gone and "
           "back again %s\n",
           d->site, unit_bytes(d->memory[0], a[0]),
           unit_bytes(d->memory[1], a[1]), unit_bytes(d->memory[2], a[2]),
           unit_bytes(d->memory[3], a[3]));
    fflush(stdout);
}

static json_t *json_line(const struct histogram *h)
{
    return json_pack("{s:I,s:I,s:I,s:I}", "count", (json_int_t)h->count,
                     "p50_ns", (json_int_t)histogram_at(h, 50000), "p99_ns",
                     (json_int_t)histogram_at(h, 99000), "max_ns",
                     (json_int_t)h->max);
}

static bool print_json(const struct pauses *p, const struct drained *d)
{
    const struct load *l = &p->load;
    json_t *memory = json_array();

    CHECK(memory != NULL);
    for (size_t i = 0; i < ARRAY_LEN(d->memory); i++) {
        CHECK(json_array_append_new(
                  memory, json_integer((json_int_t)d->memory[i])) == 0);
    }
    json_t *doc = json_pack(
        "{s:I,s:I,s:o,s:o,s:o,s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s},"
        "s:{s:s,s:I,s:I,s:I,s:o}}",
        "rate_per_s", (json_int_t)bench.rate, "moves",
        (json_int_t)p->move_count, "pause", json_line(&p->source), "seen",
        json_line(&p->seen), "between", json_line(&p->base), "calls", "begun",
        (json_int_t)l->begun, "answered", (json_int_t)l->ok, "lost",
        (json_int_t)l->lost, "duplicated", (json_int_t)l->duplicated,
        "reordered", (json_int_t)l->reordered, "refused",
        (json_int_t)l->refused, "unknown", (json_int_t)l->maybe, "first_error",
        motet_err_name(l->first_err), "drain", "site", d->site, "ports",
        (json_int_t)d->ports, "took_ns", (json_int_t)d->took_ns, "pause_ns",
        (json_int_t)d->pause_ns, "memory_bytes", memory);
    CHECK(doc != NULL);
    return table_json("motet.bench.migrate/1", doc);
}

/* ---- the verb --------------------------------------------------------------
 */

/* Another site than where the counter is, and than where the calls come from,
 * if there are so many. */
static const struct site_name *second_site(const struct site_names *names,
                                           uint64_t counter, uint64_t caller)
{
    const struct site_name *found = NULL;

    for (size_t i = 0; i < names->count; i++) {
        const struct site_name *s = &names->sites[i];
        if (s->state == MEMBER_ALIVE && s->id != counter &&
            (found == NULL || found->id == caller)) {
            found = s;
        }
    }
    return found;
}

static void print_head(const struct site_names *names, uint64_t from,
                       const struct site_name *to, const char *at)
{
    char text[32];
    char every[UNIT_TEXT_MAX];

    printf("%" PRIu64 " moves of the counter, %s <-> %s, one each %s; %" PRIu64
           " calls/s from %s, each timed from when it was due; then %" PRIu64
           " idle ports\n",
           bench.moves, site_names_text(names, from, text), to->name,
           unit_ns(bench.every_ns, every), bench.rate, at, bench.ports);
    fflush(stdout);
}

static enum exit_code verdict(const struct pauses *p)
{
    const struct load *l = &p->load;

    if (l->lost + l->duplicated + l->reordered + l->wrong + l->unexplained >
        0) {
        say_error("a promise was broken: %" PRIu64 " lost, %" PRIu64
                  " duplicated, %" PRIu64 " reordered, %" PRIu64 " wrong",
                  l->lost, l->duplicated, l->reordered,
                  l->wrong + l->unexplained);
        say_hint("call the counter from here only, and run it again");
        return EXIT_UNSAFE;
    }
    return EXIT_DONE;
}

static enum exit_code measure(struct client *c, const struct site_names *names,
                              struct pauses *p)
{
    const bool json = options.output >= OUTPUT_JSON;
    struct moving_port counter;
    struct drained d = {0};
    enum exit_code code = moving_find(c, names, "counter", &counter);

    if (code != EXIT_DONE) {
        return code;
    }
    const struct site_name *to = second_site(names, counter.site, c->site);
    if (to == NULL) {
        say_error("there is no second site to move to");
        say_hint("add one: motet site add");
        return EXIT_MISSING;
    }
    if (!json) {
        print_head(names, counter.site, to, c->at->name);
    }
    code = run_pauses(c, counter.site, to->id, counter.ui, p);
    if (code == EXIT_DONE && !json) {
        print_pauses(p);
    }
    if (code == EXIT_DONE) {
        code = run_drain(c, names, &d);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    if (json ? !print_json(p, &d) : (print_drained(&d), false)) {
        return EXIT_FAILED;
    }
    return verdict(p);
}

static enum exit_code check(void)
{
    if (bench.moves < 2 || bench.moves % 2 != 0 || bench.moves > MOVES_MAX) {
        return say_fail(EXIT_USAGE, "--moves: an even number, 2 to %d",
                        MOVES_MAX);
    }
    if (bench.ports < 1 || bench.ports > PORTS_MAX) {
        return say_fail(EXIT_USAGE, "--count: 1 to %d", PORTS_MAX);
    }
    if (bench.every_ns < 1000000) {
        return say_fail(EXIT_USAGE, "--every: at least 1ms");
    }
    return EXIT_DONE;
}

static enum exit_code migrate_run(char **args, unsigned count)
{
    struct cluster cluster;
    struct client c;
    struct site_names names;
    (void)args;
    (void)count;

    enum exit_code code = check();
    if (code == EXIT_DONE) {
        code = client_open(&c, &cluster);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    code = site_names_get(&c, &names);
    if (code == EXIT_DONE) {
        struct pauses *p = calloc(1, sizeof *p);
        CHECK(p != NULL);
        code = measure(&c, &names, p);
        free(p->calls);
        free(p->moves);
        free(p);
        site_names_free(&names);
    }
    client_leave(&c);
    return code;
}

#define AT(field) offsetof(struct bench, field)
static const struct flag flags[] = {
    {"moves", 0, "N", FLAG_COUNT, AT(moves), "of the counter (100)"},
    {"every", 0, "TIME", FLAG_DURATION, AT(every_ns),
     "from move to move (30ms)"},
    {"rate", 0, "RATE", FLAG_RATE, AT(rate), "of calls meanwhile (10000/s)"},
    {"count", 'n', "N", FLAG_COUNT, AT(ports), "idle ports to drain (10000)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};
#undef AT

const struct verb verb_bench_migrate = {
    .name = "bench migrate",
    .args = "",
    .flags = flags,
    .into = &bench,
    .run = migrate_run,
    .summary = "the pause of a move under load; a site drained",
    .examples = "  motet bench migrate\n"
                "  motet bench migrate --moves 1000 --rate 2000/s -s site2\n",
    .exits = "0 1 2 3 4 5 7 8 77 124",
};
