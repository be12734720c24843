#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agree.h"
#include "launch.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "verbs.h"

/* motet up: makes what is missing of a cluster, starts it, waits until all
 * agree. What fails is undone. */

enum { SITES_DEFAULT = 3, STOP_GRACE_NS = 2000000000 };

static struct up {
    const char *name;
    uint64_t port;
    const char *transport;
    bool insecure;
    bool keep;
} up = {.port = LAUNCH_PORT};

/* What this run did, to undo it. */
struct done {
    struct cluster *cluster;
    bool made[CLUSTER_SITES_MAX];    /* wrote its configuration */
    bool started[CLUSTER_SITES_MAX]; /* its process */
    uint64_t from_ns;
};

static volatile int interrupted;

static void on_signal(int signal)
{
    interrupted = signal;
}

/* "  ok  site1         pid 4121   127.0.0.1:7117            58 ms" */
static void step(const char *what, const char *text, uint64_t from_ns)
{
    char took[UNIT_TEXT_MAX];

    say("  ok  %-13s %-46s %9s", what, text,
        unit_ns(clock_ns() - from_ns, took));
}

static void undo(struct done *d)
{
    if (up.keep) {
        say("  kept as it is (--keep)");
        return;
    }
    for (size_t i = 0; i < d->cluster->count; i++) {
        struct site_files *s = &d->cluster->sites[i];
        if (d->started[i]) {
            (void)launch_stop(s, STOP_GRACE_NS);
        }
        if (d->made[i]) {
            (void)unlink(s->conf);
        }
    }
}

static enum exit_code stopped(struct done *d)
{
    undo(d);
    say_error("interrupted; what was started is stopped again");
    return interrupted == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
}

static bool make_certificates(struct cluster *c)
{
    char text[64];
    uint64_t from = clock_ns();

    if (up.insecure) {
        say("  !!  certificates  none: --insecure is for benchmarks only");
        return true;
    }
    if (!launch_certificates(c)) {
        return false;
    }
    snprintf(text, sizeof text, "CA and %zu site%s, P-256, valid %d days",
             c->count, c->count == 1 ? "" : "s", LAUNCH_DAYS);
    step("certificates", text, from);
    return true;
}

static bool write_confs(struct done *d)
{
    struct cluster *c = d->cluster;

    for (size_t i = 0; i < c->count; i++) {
        if (access(c->sites[i].conf, R_OK) == 0) {
            continue;
        }
        if (!launch_conf(c, &c->sites[i], up.insecure)) {
            return false;
        }
        d->made[i] = true;
    }
    return true;
}

static bool start_all(struct done *d)
{
    char text[128];

    for (size_t i = 0; i < d->cluster->count && !interrupted; i++) {
        struct site_files *s = &d->cluster->sites[i];
        uint64_t from = clock_ns();
        if (s->running) {
            continue;
        }
        if (!launch_start(s)) {
            return false;
        }
        d->started[i] = true;
        snprintf(text, sizeof text, "pid %-7d %s", (int)s->process.pid,
                 s->address);
        step(s->name, text, from);
    }
    return true;
}

static enum exit_code not_agreed(struct done *d, const struct agree *a)
{
    struct cluster *c = d->cluster;
    char took[UNIT_TEXT_MAX];

    if (a->ended != NULL) {
        say_error("site %s ended before it had joined", a->ended->name);
        launch_log(a->ended);
        undo(d);
        return EXIT_FAILED;
    }
    (void)unit_ns(a->took_ns, took);
    if (a->mute != NULL) {
        say_error("site %s did not answer in %s", a->mute->name, took);
        launch_log(a->mute);
    } else {
        say_error("no agreement in %s: %llu of %zu alive, %llu of %zu "
                  "directions up",
                  took, (unsigned long long)a->alive, c->running,
                  (unsigned long long)a->links, c->running * (c->running - 1));
        launch_log(&c->sites[c->count - 1]);
    }
    undo(d);
    return options.timeout_ns > 0 ? EXIT_TIMED_OUT : EXIT_STUCK;
}

struct up_row {
    const char *name;
    uint64_t pid;
    const char *address;
};

static bool print_json(const struct cluster *c, const struct agree *a,
                       uint64_t took_ns)
{
    static const struct column columns[] = {
        COLUMN(struct up_row, "NAME", "name", CELL_TEXT, SHOW_ALWAYS, name),
        COLUMN(struct up_row, "PID", "pid", CELL_NUMBER, SHOW_ALWAYS, pid),
        COLUMN(struct up_row, "ADDRESS", "address", CELL_TEXT, SHOW_ALWAYS,
               address),
    };
    json_t *items = json_array();

    for (size_t i = 0; i < c->count; i++) {
        const struct site_files *s = &c->sites[i];
        const struct up_row row = {s->name, (uint64_t)s->process.pid,
                                   s->address};
        const struct table t = {.columns = columns,
                                .column_count = ARRAY_LEN(columns),
                                .rows = &row,
                                .row_bytes = sizeof row,
                                .row_count = 1};
        CHECK(json_array_append_new(items, table_row_json(&t, 0)) == 0);
    }
    return table_json("motet.up/1",
                      json_pack("{s:I,s:I,s:o}", "alive", (json_int_t)a->alive,
                                "took_ns", (json_int_t)took_ns, "items",
                                items));
}

static enum exit_code wait_all(struct done *d)
{
    struct cluster *c = d->cluster;
    char text[128];
    char took[UNIT_TEXT_MAX];
    struct agree a;
    uint64_t from = clock_ns();

    if (!agree_wait(c, options_timeout_ns(LAUNCH_TIMEOUT_NS), &interrupted,
                    &a)) {
        return interrupted ? stopped(d) : not_agreed(d, &a);
    }
    snprintf(text, sizeof text, "%llu of %zu alive, all %zu directions answer",
             (unsigned long long)a.alive, c->running,
             c->running * (c->running - 1));
    step("membership", text, from);
    uint64_t took_ns = clock_ns() - d->from_ns;
    say("%s is up (%s)\n", c->name, unit_ns(took_ns, took));
    say("  next   motet call echo hello     talk to the built-in service");
    say("         motet status              who is alive, since when");
    say("         motet down                stop it");
    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        return print_json(c, &a, took_ns) ? EXIT_DONE : EXIT_FAILED;
    }
    return EXIT_DONE;
}

static enum exit_code bring_up(struct cluster *c)
{
    struct done d = {.cluster = c, .from_ns = clock_ns()};

    say("%s: %zu host site%s, %s, state in %s", c->name, c->count,
        c->count == 1 ? "" : "s",
        up.insecure ? "NOT encrypted" : "mutual TLS 1.3", c->folders.state);
    if (!launch_folders(c) || !make_certificates(c) ||
        !launch_addresses(c, (unsigned)up.port) || !write_confs(&d) ||
        !start_all(&d)) {
        undo(&d);
        return EXIT_FAILED;
    }
    cluster_count(c);
    return interrupted ? stopped(&d) : wait_all(&d);
}

static enum exit_code already_up(struct cluster *c)
{
    struct agree a;
    bool agreed = agree_look(c, &a);

    say("%s is already up: %llu of %zu alive%s", c->name,
        (unsigned long long)a.alive, c->count,
        agreed ? "" : ", not in agreement; see: motet status -v");
    if (options.output == OUTPUT_JSON || options.output == OUTPUT_JSONL) {
        return print_json(c, &a, 0) ? EXIT_DONE : EXIT_FAILED;
    }
    return EXIT_DONE;
}

/* Sites site1 to siteN, those that are not there yet. */
static bool grow(struct cluster *c, uint64_t count)
{
    char name[MOTET_NAME_MAX + 1];

    for (uint64_t i = 1; c->count < count; i++) {
        snprintf(name, sizeof name, "site%llu", (unsigned long long)i);
        if (cluster_site(c, name) == NULL && cluster_add(c, name) == NULL) {
            return false;
        }
    }
    return true;
}

static enum exit_code up_run(char **args, unsigned count)
{
    struct sigaction action = {.sa_handler = on_signal};
    const char *name = up.name != NULL           ? up.name
                       : options.cluster != NULL ? options.cluster
                                                 : "demo";
    uint64_t sites = 0;
    struct cluster c;

    say_about("up", NULL);
    if (count > 0 && (!unit_count(args[0], &sites) || sites == 0 ||
                      sites > CLUSTER_SITES_MAX)) {
        say_error("a cluster has 1 to %d sites", CLUSTER_SITES_MAX);
        say_hint("try: motet up 3");
        return EXIT_USAGE;
    }
    if (up.port == 0 || up.port > 65535) {
        return say_fail(EXIT_USAGE, "--port: 1 to 65535");
    }
    if (!cluster_open(&c, name)) {
        return EXIT_USAGE;
    }
    say_about("up", c.name);
    snprintf(options.cluster_chosen, sizeof options.cluster_chosen, "%s", name);
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    if (sites == 0) {
        sites = c.count > 0 ? c.count : SITES_DEFAULT;
    }
    enum exit_code code = EXIT_FAILED;
    if (c.count > 0 && c.running == c.count && sites <= c.count) {
        code = already_up(&c);
    } else if (grow(&c, sites)) {
        code = launch_transport(&c, up.transport) ? bring_up(&c) : EXIT_USAGE;
    }
    cluster_close(&c);
    return code;
}

static const struct flag flags[] = {
    {"name", 'n', "NAME", FLAG_TEXT, offsetof(struct up, name),
     "of the cluster (demo)"},
    {"port", 'p', "PORT", FLAG_COUNT, offsetof(struct up, port),
     "first TCP port to try (7117)"},
    {"transport", 0, "WAY", FLAG_TEXT, offsetof(struct up, transport),
     "of small messages: tcp, udp or auto (tcp)"},
    {"insecure", 0, NULL, FLAG_SWITCH, offsetof(struct up, insecure),
     "no certificates; for benchmarks only"},
    {"keep", 0, NULL, FLAG_SWITCH, offsetof(struct up, keep),
     "do not undo what failed"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_up = {
    .name = "up",
    .args = "[N]",
    .args_max = 1,
    .flags = flags,
    .into = &up,
    .run = up_run,
    .summary = "start a cluster of N sites (3), or let it grow to N",
    .examples = "  motet up 3\n  motet up 5 --name lab\n",
    .exits = "0 1 2 10 124 130 143",
};
