#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "chaos.h"
#include "deploy/chaos/library.h"
#include "launch.h"
#include "say.h"
#include "sites/plugin/plugin.h"
#include "table.h"
#include "verbs.h"

/* motet chaos run, list, check. */

#define RUN_NS 30000000000ULL /* without a scenario and without --for */

static struct chaos_options {
    const char *on;
    const char *seed;
    const char *nemesis;
    const char *actor;
    const char *transport;
    uint64_t for_ns;
    uint64_t sites;
    uint64_t port;
} chosen = {.on = "sim", .port = LAUNCH_PORT};

static volatile sig_atomic_t stopped_by;
static volatile int stop;

static void on_signal(int number)
{
    stopped_by = number;
    stop = number;
}

/* ---- run -------------------------------------------------------------------
 */

static const struct chaos_ground *find_ground(void)
{
    const struct chaos_ground *g = chaos_ground_find(chosen.on);
    if (g == NULL) {
        say_error("--on: no ground \"%.40s\"", chosen.on);
        say_hint("there are: sim, host, netns, qemu");
    }
    return g;
}

static bool read_seed(const struct scenario *s, uint64_t *seed)
{
    char *end = NULL;
    if (chosen.seed == NULL && s->has_seed) {
        *seed = s->seed;
        return true;
    }
    if (chosen.seed == NULL) {
        uint32_t drawn = 0;
        if (getrandom(&drawn, sizeof drawn, 0) != (ssize_t)sizeof drawn) {
            drawn = (uint32_t)clock_ns();
        }
        *seed = drawn;
        return true;
    }
    errno = 0;
    *seed = strtoull(chosen.seed, &end, 0);
    if (errno != 0 || end == chosen.seed || *end != '\0' ||
        chosen.seed[0] == '-') {
        say_error("--seed: \"%.40s\" is no number", chosen.seed);
        say_hint("try: --seed 17");
        return false;
    }
    return true;
}

/* "kill,cut" */
static bool read_nemeses(struct scenario *s)
{
    char words[256];
    char *rest = NULL;
    if (chosen.nemesis == NULL) {
        return true;
    }
    (void)snprintf(words, sizeof words, "%s", chosen.nemesis);
    for (char *w = strtok_r(words, ",", &rest); w != NULL;
         w = strtok_r(NULL, ",", &rest)) {
        const char *names[NEMESIS_COUNT];
        enum nemesis_kind kind = NEMESIS_COUNT;
        if (nemesis_of_word(w, &kind)) {
            s->nemeses |= 1U << kind;
            continue;
        }
        char list[200] = "";
        for (size_t i = 0; i < NEMESIS_COUNT; i++) {
            const size_t n = strlen(list);
            names[i] = nemesis_word((enum nemesis_kind)i);
            (void)snprintf(list + n, sizeof list - n, " %s", names[i]);
        }
        say_error("--nemesis: no \"%.40s\"", w);
        const char *near = say_nearest(w, names, NEMESIS_COUNT);
        if (near != NULL) {
            say_hint("did you mean: %s", near);
        }
        say_hint("there are:%s", list);
        return false;
    }
    return true;
}

static bool no_scenario(const char *name)
{
    static char names[LIBRARY_NAMES_MAX][SCENARIO_NAME_MAX];
    const char *words[LIBRARY_NAMES_MAX];
    const size_t count = library_names(names, LIBRARY_NAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        words[i] = names[i];
    }
    say_error("no scenario \"%.60s\"", name);
    const char *near = say_nearest(name, words, count);
    if (near != NULL) {
        say_hint("did you mean: %s", near);
    }
    say_hint("list them: motet chaos list");
    return false;
}

static bool fits(const struct scenario *s, uint64_t for_ns)
{
    for (uint32_t i = 0; i < s->line_count; i++) {
        if (s->lines[i].fault.at_ns >= for_ns) {
            say_error("--for: a fault begins at %" PRIu64 " s",
                      s->lines[i].fault.at_ns / 1000000000);
            say_hint("make it longer than that");
            return false;
        }
    }
    return true;
}

static bool read_scenario(struct scenario *s, char **args, unsigned count)
{
    char path[LIBRARY_PATH_MAX];
    char why[SCENARIO_WHY_MAX];
    if (count == 0) {
        scenario_init(s);
        (void)snprintf(s->name, sizeof s->name, "random");
        s->for_ns = RUN_NS;
    } else if (!library_find(args[0], path)) {
        return no_scenario(args[0]);
    } else if (!scenario_read(s, path, why)) {
        say_error("%s", why);
        return false;
    }
    if (chosen.sites > CHAOS_SITES_MAX || chosen.sites == 1 ||
        (chosen.sites > 0 && count > 0)) {
        say_error("--sites: 2 to %d, and only without a scenario",
                  CHAOS_SITES_MAX);
        return false;
    }
    s->sites = chosen.sites > 0 ? (uint32_t)chosen.sites : s->sites;
    if (chosen.for_ns > 0) {
        if (chosen.for_ns < 1000000000 || !fits(s, chosen.for_ns)) {
            if (chosen.for_ns < 1000000000) {
                say_error("--for: 1s at least");
            }
            return false;
        }
        s->for_ns = chosen.for_ns;
    }
    if (chosen.transport != NULL && scenario_transport(chosen.transport) < 0) {
        say_error("--transport: say tcp, udp or auto");
        return false;
    }
    if (chosen.transport != NULL) {
        (void)snprintf(s->transport, sizeof s->transport, "%s",
                       chosen.transport);
    }
    if (chosen.actor != NULL) {
        (void)snprintf(s->actor, sizeof s->actor, "%s", chosen.actor);
    }
    return read_nemeses(s);
}

/* The object is loaded here too: motetd would tell it in its log only. */
static bool load_actor(struct chaos_run *r, struct plugin *p)
{
    char why[PLUGIN_WHY_MAX];
    r->own_load = r->scenario->actor[0] == '\0';
    if (r->own_load) {
        return true;
    }
    r->plugin = p;
    if (!plugin_open(p, r->scenario->actor, why)) {
        say_error("%s", why);
        return false;
    }
    return true;
}

static enum exit_code run_run(char **args, unsigned count)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct chaos_run *r = calloc(1, sizeof *r);
    struct scenario *s = calloc(1, sizeof *s);
    struct plugin plugin;
    enum exit_code code = EXIT_USAGE;
    CHECK(r != NULL && s != NULL);
    say_about("chaos run", count > 0 ? args[0] : NULL);
    r->ground = find_ground();
    r->scenario = s;
    r->stop = &stop;
    r->cluster = options.cluster != NULL ? options.cluster : "chaos";
    r->port = chosen.port;
    (void)snprintf(options.cluster_chosen, sizeof options.cluster_chosen,
                   "%.63s", r->cluster);
    if (r->ground != NULL && read_scenario(s, args, count) &&
        load_actor(r, &plugin) && read_seed(s, &r->seed)) {
        CHECK(sigaction(SIGINT, &action, NULL) == 0);
        CHECK(sigaction(SIGTERM, &action, NULL) == 0);
        code = chaos_run(r);
    }
    free(r);
    free(s);
    return code;
}

/* ---- list ------------------------------------------------------------------
 */

struct list_row {
    char name[SCENARIO_NAME_MAX];
    uint64_t sites;
    uint64_t for_ns;
    char grounds[32];
    char about[SCENARIO_TEXT_MAX];
};

static void put_grounds(const struct chaos_faults *faults, char *text,
                        size_t size)
{
    const struct chaos_ground *g;
    size_t n = 0;
    for (size_t i = 0; (g = chaos_ground_at(i)) != NULL; i++) {
        if (chaos_can(g, faults, NULL, NULL)) {
            n += (size_t)snprintf(text + n, size - n, "%s%s", n > 0 ? " " : "",
                                  g->name);
        }
    }
}

static void name_grounds(const struct scenario *s, char *text, size_t size)
{
    struct chaos_faults faults;
    scenario_faults(s, 1, &faults);
    put_grounds(&faults, text, size);
    chaos_free(&faults);
}

static enum exit_code list_run(char **args, unsigned count)
{
    static const struct column columns[] = {
        COLUMN(struct list_row, "NAME", "name", CELL_CHARS, SHOW_ALWAYS, name),
        COLUMN(struct list_row, "SITES", "sites", CELL_NUMBER, SHOW_ALWAYS,
               sites),
        COLUMN(struct list_row, "FOR", "for_ns", CELL_NS, SHOW_ALWAYS, for_ns),
        COLUMN(struct list_row, "ON", "on", CELL_CHARS, SHOW_ALWAYS, grounds),
        COLUMN(struct list_row, "WHAT HAPPENS", "about", CELL_CHARS,
               SHOW_ALWAYS, about),
    };
    static char names[LIBRARY_NAMES_MAX][SCENARIO_NAME_MAX];
    char why[SCENARIO_WHY_MAX];
    char path[LIBRARY_PATH_MAX];
    (void)args;
    (void)count;
    const size_t found = library_names(names, LIBRARY_NAMES_MAX);
    struct list_row *rows = calloc(found + 1, sizeof *rows);
    struct scenario *s = calloc(1, sizeof *s);
    CHECK(rows != NULL && s != NULL);
    enum exit_code code = EXIT_DONE;
    for (size_t i = 0; i < found; i++) {
        struct list_row *row = &rows[i];
        if (!library_find(names[i], path) || !scenario_read(s, path, why)) {
            code = say_fail(EXIT_FAILED, "%s", why);
            continue;
        }
        (void)snprintf(row->name, sizeof row->name, "%s", names[i]);
        (void)snprintf(row->about, sizeof row->about, "%s", s->about);
        row->sites = s->sites;
        row->for_ns = s->for_ns;
        name_grounds(s, row->grounds, sizeof row->grounds);
    }
    const struct table t = {.schema = "motet.chaos.list/1",
                            .columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = rows,
                            .row_bytes = sizeof *rows,
                            .row_count = found,
                            .none = "no scenarios; set MOTET_SCENARIOS to "
                                    "their folder"};
    const bool printed = table_print(&t);
    free(rows);
    free(s);
    return printed ? code : EXIT_FAILED;
}

/* ---- faults ----------------------------------------------------------------
 */

struct fault_row {
    char name[CHAOS_NAME_MAX];
    char about[8];
    char grounds[32];
    char help[SCENARIO_TEXT_MAX];
};

static void name_grounds_of(enum chaos_kind kind, char *text, size_t size)
{
    struct chaos_fault f = {.kind = kind};
    const struct chaos_faults one = {.items = &f, .count = 1};
    put_grounds(&one, text, size);
}

static enum exit_code faults_run(char **args, unsigned count)
{
    static const struct column columns[] = {
        COLUMN(struct fault_row, "FAULT", "name", CELL_CHARS, SHOW_ALWAYS,
               name),
        COLUMN(struct fault_row, "OF", "of", CELL_CHARS, SHOW_ALWAYS, about),
        COLUMN(struct fault_row, "ON", "on", CELL_CHARS, SHOW_ALWAYS, grounds),
        COLUMN(struct fault_row, "WHAT HAPPENS", "about", CELL_CHARS,
               SHOW_ALWAYS, help),
    };
    static const char *const abouts[] = {"sites", "links", "all"};
    struct fault_row *rows = calloc(CHAOS_KIND_COUNT, sizeof *rows);
    CHECK(rows != NULL);
    (void)args;
    (void)count;
    for (size_t i = 0; i < CHAOS_KIND_COUNT; i++) {
        const enum chaos_kind kind = (enum chaos_kind)i;
        (void)snprintf(rows[i].name, sizeof rows[i].name, "%s",
                       chaos_word(kind));
        (void)snprintf(rows[i].about, sizeof rows[i].about, "%s",
                       abouts[chaos_about(kind)]);
        (void)snprintf(rows[i].help, sizeof rows[i].help, "%s",
                       chaos_help(kind));
        name_grounds_of(kind, rows[i].grounds, sizeof rows[i].grounds);
    }
    const struct table t = {.schema = "motet.chaos.faults/1",
                            .columns = columns,
                            .column_count = ARRAY_LEN(columns),
                            .rows = rows,
                            .row_bytes = sizeof *rows,
                            .row_count = CHAOS_KIND_COUNT,
                            .none = "no faults"};
    const bool printed = table_print(&t);
    free(rows);
    return printed ? EXIT_DONE : EXIT_FAILED;
}

/* ---- check -----------------------------------------------------------------
 */

static enum exit_code check_run(char **args, unsigned count)
{
    struct chaos_verdict *v = calloc(1, sizeof *v);
    enum exit_code code = EXIT_MISSING;
    (void)count;
    CHECK(v != NULL);
    if (chaos_judge(args[0], v)) {
        code = chaos_report_files(v, args[0]) ? v->code : EXIT_FAILED;
        chaos_report(v, args[0]);
    }
    chaos_verdict_free(v);
    free(v);
    return code;
}

static const struct flag run_flags[] = {
    {"on", 0, "GROUND", FLAG_TEXT, offsetof(struct chaos_options, on),
     "sim (default), host, netns or qemu"},
    {"seed", 0, "N", FLAG_TEXT, offsetof(struct chaos_options, seed),
     "of all that is drawn; else that of the file, or any"},
    {"for", 0, "TIME", FLAG_DURATION, offsetof(struct chaos_options, for_ns),
     "length of faults and load; as the scenario says, or 30s"},
    {"nemesis", 0, "KINDS", FLAG_TEXT, offsetof(struct chaos_options, nemesis),
     "faults at random besides: kill,pause,cut,..."},
    {"sites", 0, "N", FLAG_COUNT, offsetof(struct chaos_options, sites),
     "without a scenario: how many (3)"},
    {"actor", 0, "FILE.so", FLAG_TEXT, offsetof(struct chaos_options, actor),
     "an actor of your own instead of the load; FILE.so:ARGS"},
    {"transport", 0, "WAY", FLAG_TEXT,
     offsetof(struct chaos_options, transport),
     "of small messages: tcp, udp or auto; as the scenario says, or tcp"},
    {"port", 'p', "PORT", FLAG_COUNT, offsetof(struct chaos_options, port),
     "on host: first TCP port to try (7117)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_chaos_run = {
    .name = "chaos run",
    .args = "[NAME|FILE]",
    .args_max = 1,
    .flags = run_flags,
    .into = &chosen,
    .run = run_run,
    .summary = "break a cluster on purpose, and check what it promised",
    .examples = "  motet chaos run rolling-restart --on host\n"
                "  motet chaos run ring --on sim --seed 7\n"
                "  motet chaos run --nemesis kill,pause --for 60s --on host\n",
    .exits = "0 1 2 8 9 10 12 130 143",
};

const struct verb verb_chaos_list = {
    .name = "chaos list",
    .args = "",
    .run = list_run,
    .summary = "the scenarios that come with Motet",
    .examples = "  motet chaos list\n",
    .exits = "0 1 2",
};

const struct verb verb_chaos_faults = {
    .name = "chaos faults",
    .args = "",
    .run = faults_run,
    .summary = "the words for faults in scenarios, and where each works",
    .examples = "  motet chaos faults\n",
    .exits = "0 1 2",
};

const struct verb verb_chaos_check = {
    .name = "chaos check",
    .args = "FOLDER",
    .args_min = 1,
    .args_max = 1,
    .run = check_run,
    .summary = "judge a run again, from what it left behind",
    .examples = "  motet chaos check ~/.local/state/motet/chaos/chaos/latest\n",
    .exits = "0 1 2 3 8 9 10 12",
};
