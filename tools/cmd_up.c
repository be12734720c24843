#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agree.h"
#include "ground.h"
#include "launch.h"
#include "network.h"
#include "programs.h"
#include "say.h"
#include "table.h"
#include "units.h"
#include "up_file.h"
#include "verbs.h"

/* motet up: makes what is missing of a cluster, starts it, waits until all
 * agree. What fails is undone. */

enum { SITES_DEFAULT = 3, STOP_GRACE_NS = 2000000000 };

static struct up {
    const char *name;
    const char *on;
    const char *path;          /* of the cluster file, or NULL */
    struct cluster_file *file; /* what it says */
    uint64_t port;
    uint64_t seed; /* 0: as noted */
    const char *transport;
    bool insecure;
    bool keep;
} up = {.port = LAUNCH_PORT};

/* What this run did, to undo it. */
struct done {
    struct cluster *cluster;
    bool made[CLUSTER_SITES_MAX];    /* wrote its configuration */
    bool started[CLUSTER_SITES_MAX]; /* its process */
    bool fresh; /* there was nothing of the cluster before */
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
    char path[PATH_BYTES];

    if (up.keep) {
        say("  kept as it is (--keep)");
        return;
    }
    for (size_t i = 0; i < d->cluster->count; i++) {
        struct site_files *s = &d->cluster->sites[i];
        if (d->started[i]) {
            (void)launch_stop(d->cluster, s, STOP_GRACE_NS);
        }
        if (d->made[i]) {
            (void)unlink(s->conf);
            (void)unlink(ground_beside(path, s->conf, ".ground"));
        }
    }
    (void)programs_stop(d->cluster, STOP_GRACE_NS);
    launch_release(d->cluster);
}

static enum exit_code stopped(struct done *d)
{
    undo(d);
    if (d->fresh && !up.keep) {
        folders_purge(&d->cluster->folders);
    }
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
        const struct site_files *s = &c->sites[i];
        struct launch_actors actors;
        const bool there = access(s->conf, R_OK) == 0;
        if (there && (up.file == NULL || s->running)) {
            continue;
        }
        d->made[i] = !there;
        if (!ground_write(s) ||
            !launch_conf(c, s, up.insecure,
                         up_file_actors(up.file, s->name, &actors))) {
            return false;
        }
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
        if (!launch_start(d->cluster, s)) {
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

    if (!agree_wait(c, launch_timeout_ns(c), &interrupted, &a)) {
        return interrupted ? stopped(d) : not_agreed(d, &a);
    }
    snprintf(text, sizeof text, "%llu of %zu alive, all %zu directions answer",
             (unsigned long long)a.alive, c->running,
             c->running * (c->running - 1));
    step("membership", text, from);
    if (up.file != NULL &&
        (!up_file_links(c, up.file) || !programs_start(c, up.file))) {
        undo(d);
        return EXIT_FAILED;
    }
    if (!launch_keep(c)) {
        undo(d);
        return EXIT_FAILED;
    }
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

/* "3 host sites", "2 host and 1 QEMU sites" */
static const char *what_sites(const struct cluster *c, char text[128])
{
    const struct ground *g;
    size_t used = 0;

    for (size_t i = 0; (g = ground_at(i)) != NULL; i++) {
        size_t n = 0;
        for (size_t k = 0; k < c->count; k++) {
            n += c->sites[k].ground == g ? 1 : 0;
        }
        if (n > 0 && used < 100) {
            used += (size_t)snprintf(text + used, 128 - used, "%s%zu %s",
                                     used > 0 ? " and " : "", n, g->kind);
        }
    }
    snprintf(text + used, 128 - used, " site%s", c->count == 1 ? "" : "s");
    return text;
}

static enum exit_code bring_up(struct cluster *c)
{
    struct done d = {.cluster = c,
                     .fresh = access(c->folders.state, F_OK) != 0 &&
                              access(c->folders.pki, F_OK) != 0,
                     .from_ns = clock_ns()};
    char what[128];
    enum exit_code code = launch_check(c);

    if (code != EXIT_DONE) {
        return code;
    }
    say("%s: %s, %s, state in %s", c->name, what_sites(c, what),
        up.insecure ? "NOT encrypted" : "mutual TLS 1.3", c->folders.state);
    if (!launch_folders(c) || (up.seed > 0 && !network_seed(c, up.seed)) ||
        !launch_prepare(c) || !make_certificates(c) ||
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
static bool grow(struct cluster *c, uint64_t count, const struct ground *on)
{
    char name[MOTET_NAME_MAX + 1];

    if (on == NULL) {
        on = c->count > 0 ? c->sites[0].ground : &ground_host;
    }
    for (uint64_t i = 1; c->count < count; i++) {
        snprintf(name, sizeof name, "site%llu", (unsigned long long)i);
        if (cluster_site(c, name) == NULL) {
            struct site_files *site = cluster_add(c, name);
            if (site == NULL) {
                return false;
            }
            site->ground = on;
            site->user_net = c->count > 1 && on == &ground_qemu &&
                             c->sites[site == c->sites ? 1 : 0].user_net;
        }
    }
    return true;
}

/* --on: all sites of the cluster that are there stand there already. */
static enum exit_code choose_ground(const struct cluster *c,
                                    const struct ground **on)
{
    char names[64];

    *on = NULL;
    if (up.on == NULL) {
        return EXIT_DONE;
    }
    *on = ground_find(up.on);
    if (*on == NULL) {
        say_error("--on %.40s: there is no such ground", up.on);
        say_hint("try: %s", ground_names(names));
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].ground != *on) {
            say_error("--on %s: %s is a %s site", up.on, c->sites[i].name,
                      c->sites[i].ground->kind);
            say_hint("another cluster: motet up --on %s --name NAME", up.on);
            say_hint("or this one anew: motet down --purge -c %s", c->name);
            return EXIT_USAGE;
        }
    }
    return EXIT_DONE;
}

/* The sites that are wanted are entries of the cluster after this. */
static enum exit_code plan(struct cluster *c, uint64_t sites)
{
    const struct ground *on;

    if (up.file != NULL) {
        return up_file_sites(c, up.path, up.file);
    }
    const enum exit_code code = choose_ground(c, &on);
    if (code != EXIT_DONE) {
        return code;
    }
    if (sites == 0) {
        sites = c->count > 0 ? c->count : SITES_DEFAULT;
    }
    return grow(c, sites, on) ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code run(const char *name, uint64_t sites)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct cluster c;

    if (!cluster_open(&c, name)) {
        return EXIT_USAGE;
    }
    say_about("up", c.name);
    snprintf(options.cluster_chosen, sizeof options.cluster_chosen, "%s", name);
    CHECK(sigaction(SIGINT, &action, NULL) == 0);
    CHECK(sigaction(SIGTERM, &action, NULL) == 0);
    const size_t there = c.count;
    launch_mend(&c);
    enum exit_code code = plan(&c, sites);
    if (code == EXIT_DONE && !launch_transport(&c, up.transport)) {
        code = EXIT_USAGE;
    }
    if (code == EXIT_DONE) {
        code =
            there > 0 && c.running == c.count ? already_up(&c) : bring_up(&c);
    }
    cluster_close(&c);
    return code;
}

static enum exit_code check_words(unsigned count, char **args, uint64_t *sites)
{
    if (count > 0 && (!unit_count(args[0], sites) || *sites == 0 ||
                      *sites > CLUSTER_SITES_MAX)) {
        say_error("a cluster has 1 to %d sites", CLUSTER_SITES_MAX);
        say_hint("try: motet up 3");
        return EXIT_USAGE;
    }
    if (up.path != NULL && (count > 0 || up.on != NULL)) {
        say_error("the sites and their grounds are said by the file");
        say_hint("leave out N and --on, or -f");
        return EXIT_USAGE;
    }
    if (up.port == 0 || up.port > 65535) {
        return say_fail(EXIT_USAGE, "--port: 1 to 65535");
    }
    return EXIT_DONE;
}

static enum exit_code up_run(char **args, unsigned count)
{
    uint64_t sites = 0;

    say_about("up", NULL);
    enum exit_code code = check_words(count, args, &sites);
    if (code == EXIT_DONE && up.path != NULL) {
        code = clusterfile_read(up.path, &up.file);
    }
    if (code != EXIT_DONE) {
        return code;
    }
    const char *said = up.file != NULL ? up.file->name : NULL;
    const char *name = up.name != NULL           ? up.name
                       : options.cluster != NULL ? options.cluster
                       : said != NULL            ? said
                                                 : "demo";
    code = run(name, sites);
    clusterfile_free(up.file);
    return code;
}

static const struct flag flags[] = {
    {"name", 'n', "NAME", FLAG_TEXT, offsetof(struct up, name),
     "of the cluster (demo)"},
    {"file", 'f', "FILE", FLAG_TEXT, offsetof(struct up, path),
     "a cluster file (YAML): sites, grounds, programs, links"},
    {"on", 0, "GROUND", FLAG_TEXT, offsetof(struct up, on),
     "host (default), netns or qemu: what the sites stand on"},
    {"port", 'p', "PORT", FLAG_COUNT, offsetof(struct up, port),
     "first TCP port to try (7117)"},
    {"seed", 0, "N", FLAG_COUNT, offsetof(struct up, seed),
     "of what the network does to packets when links are bad (1)"},
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
    .examples = "  motet up 3\n  motet up 5 --name lab\n"
                "  motet up 3 --on qemu --name vm\n"
                "  motet up -f motet.yml        a file like this:\n"
                "    name: demo\n"
                "    ground: netns\n"
                "    sites:\n"
                "      - name: site1\n"
                "        actors: [echo, counter]\n"
                "        start:\n"
                "          - run: ./server\n"
                "            args: [--verbose]\n"
                "      - {name: site2, ground: qemu, memory: 256MiB}\n"
                "    links:\n"
                "      - between: [site1, site2]\n"
                "        faults: delay=5ms loss=1%\n",
    .exits = "0 1 2 10 77 124 130 143",
};
