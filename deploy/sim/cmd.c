#include "cmd.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/chaos/library.h"
#include "nucleus/base/version.h"
#include "runs.h"
#include "shrink.h"

enum {
    OPT_SEEDS = 256,
    OPT_SITES,
    OPT_FOR,
    OPT_JOBS,
    OPT_TWICE,
    OPT_JSON,
    OPT_PRESET,
    OPT_WORKLOAD,
    OPT_FAIL_FAST,
    OPT_ANYWAY,
    OPT_TRACE,
    OPT_RECORDS,
    OPT_HASH,
    OPT_SCENARIO,
    OPT_ACTOR,
    OPT_OUT,
    OPT_MUST_SEE,
    OPT_ONLY,
    OPT_EVERY,
    OPT_MOVE,
    OPT_TRANSPORT,
    OPT_VERBOSE = 'v',
};

/* clang-format off */
static const struct argp_option options[] = {
    {0, 0, 0, 0, "run:", 1},
    {"seeds", OPT_SEEDS, "A..B", 0, "seeds to run, or how many; 1..100", 1},
    {"jobs", OPT_JOBS, "N", 0, "processes; 1", 1},
    {"check-determinism", OPT_TWICE, 0, 0,
     "run each seed twice and compare", 1},
    {"fail-fast", OPT_FAIL_FAST, 0, 0, "stop at the first failure", 1},
    {"must-see", OPT_MUST_SEE, 0, 0,
     "fail (9) if a rare path is never reached", 1},
    {"verbose", OPT_VERBOSE, 0, 0, "how often each rare path was reached", 1},
    {"json", OPT_JSON, 0, 0, "the result as JSON on stdout", 1},
    {0, 0, 0, 0, "replay:", 2},
    {"trace", OPT_TRACE, 0, 0, "print what happens, a column per site", 2},
    {"records", OPT_RECORDS, 0, 0,
     "with --trace: what each site notes of itself, too", 2},
    {"anyway", OPT_ANYWAY, 0, 0, "although this is not that commit", 2},
    {"hash", OPT_HASH, "H", 0, "the trace hash that must come out", 2},
    {0, 0, 0, 0, "shrink:", 3},
    {"out", OPT_OUT, "FILE", 0, "the scenario to write", 3},
    {0, 0, 0, 0, "crashpoints, with --jobs, --fail-fast, --json and --trace:",
     4},
    {"only", OPT_ONLY, "CASE", 0, "one, as printed with the failure", 4},
    {"every", OPT_EVERY, "N", 0, "each N-th of them; 1", 4},
    {"move", OPT_MOVE, "WHAT", 0, "actor, or port; both", 4},
    {0, 0, 0, 0, "all:", 5},
    {"scenario", OPT_SCENARIO, "NAME", 0,
     "the faults of a scenario: a file, or a name of motet chaos list", 5},
    {"actor", OPT_ACTOR, "FILE.so", 0,
     "an actor of your own on each site; with arguments: FILE.so:ARGS", 5},
    {"preset", OPT_PRESET, "NAME", 0,
     "swarm, calm, lossy, deaths, tight; swarm", 5},
    {"workload", OPT_WORKLOAD, "NAME", 0,
     "messages; migrate: ports and actors move as well", 5},
    {"transport", OPT_TRANSPORT, "WAY", 0,
     "of small messages: tcp, udp, auto; tcp", 5},
    {"sites", OPT_SITES, "N", 0, "sites, 2 to 32; drawn from 3 to 7", 5},
    {"for", OPT_FOR, "T", 0, "length of faults and load: 30s, 10m", 5},
    {0},
};
/* clang-format on */

struct arguments {
    struct runs runs;
    const char *verb;
    const char *what;
    const char *out;
    const char *scenario;
    bool seeds; /* were told */
    /* crashpoints: */
    const char *only;
    uint32_t every;
    unsigned whats, ways; /* a bit each; 0: all */
};

static bool read_number(const char *text, const char **end, uint64_t *value)
{
    char *at = NULL;
    errno = 0;
    *value = strtoull(text, &at, 0);
    *end = at;
    return at != text && errno == 0 && text[0] != '-';
}

/* "A..B", or "N" for 1..N. */
static bool read_seeds(const char *text, struct runs *r)
{
    const char *at = NULL;
    if (!read_number(text, &at, &r->first)) {
        return false;
    }
    if (*at == '\0') {
        r->last = r->first;
        r->first = 1;
    } else if (strncmp(at, "..", 2) != 0 ||
               !read_number(at + 2, &at, &r->last) || *at != '\0') {
        return false;
    }
    return r->first <= r->last && r->last - r->first < UINT32_MAX;
}

static bool read_time(const char *text, uint64_t *ns)
{
    const char *at = NULL;
    uint64_t unit = 1000000000;
    if (!read_number(text, &at, ns)) {
        return false;
    }
    if (strcmp(at, "m") == 0) {
        unit *= 60;
    } else if (strcmp(at, "h") == 0) {
        unit *= 3600;
    } else if (strcmp(at, "s") != 0 && *at != '\0') {
        return false;
    }
    const uint64_t most = 24 * 3600ULL * 1000000000 / unit;
    if (*ns == 0 || *ns > most) {
        return false;
    }
    *ns *= unit;
    return true;
}

static bool read_preset(const char *text, enum sim_preset *preset)
{
    for (uint32_t i = 0; i < SIM_PRESET_COUNT; i++) {
        if (strcmp(text, sim_preset_name((enum sim_preset)i)) == 0) {
            *preset = (enum sim_preset)i;
            return true;
        }
    }
    return false;
}

static bool read_workload(const char *text, enum sim_workload *workload)
{
    for (uint32_t i = 0; i < SIM_WORKLOAD_COUNT; i++) {
        if (strcmp(text, sim_workload_name((enum sim_workload)i)) == 0) {
            *workload = (enum sim_workload)i;
            return true;
        }
    }
    return false;
}

static bool read_transport(const char *text, enum net_transport *way)
{
    const int found = scenario_transport(text);
    *way = found < 0 ? *way : (enum net_transport)found;
    return found >= 0;
}

static bool read_small(const char *text, uint32_t low, uint32_t high,
                       uint32_t *value)
{
    const char *at = NULL;
    uint64_t v = 0;
    if (!read_number(text, &at, &v) || *at != '\0' || v < low || v > high) {
        return false;
    }
    *value = (uint32_t)v;
    return true;
}

static bool read_move(const char *text, unsigned *whats)
{
    *whats |= text[0] == 'p' ? 2U : 1U;
    return strcmp(text, "actor") == 0 || strcmp(text, "port") == 0;
}

static bool read_hash(const char *text, struct runs *r)
{
    char *at = NULL;
    r->hash = strtoull(text, &at, 16);
    r->has_hash = true;
    return *text != '\0' && *at == '\0';
}

/* Switches and words that are looked at later. @return false: none of them */
static bool parse_plain(struct arguments *a, int key, char *text)
{
    struct runs *r = &a->runs;
    switch (key) {
    case OPT_TWICE:
        r->twice = true;
        break;
    case OPT_JSON:
        r->json = true;
        break;
    case OPT_FAIL_FAST:
        r->fail_fast = true;
        break;
    case OPT_MUST_SEE:
        r->must_see = true;
        break;
    case OPT_VERBOSE:
        r->verbose = true;
        break;
    case OPT_ANYWAY:
        r->anyway = true;
        break;
    case OPT_TRACE:
        r->opt.trace = stdout;
        break;
    case OPT_RECORDS:
        r->opt.records = true;
        break;
    case OPT_SCENARIO:
        a->scenario = text;
        break;
    case OPT_ACTOR:
        r->opt.actor = text;
        break;
    case OPT_OUT:
        a->out = text;
        break;
    case OPT_ONLY:
        a->only = text;
        break;
    default:
        return false;
    }
    return true;
}

static void not_understood(int key, const char *text, struct argp_state *state)
{
    const struct argp_option *o = options;
    while (o->key != key) {
        o++;
    }
    argp_error(state, "not understood: '%s'; --%s takes %s: %s", text, o->name,
               o->arg, o->doc);
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct runs *r = &a->runs;
    bool ok = true;
    switch (key) {
    case OPT_SEEDS:
        a->seeds = true;
        ok = read_seeds(text, r);
        break;
    case OPT_SITES:
        ok = read_small(text, 2, SIM_SITES_MAX, &r->opt.sites);
        break;
    case OPT_FOR:
        ok = read_time(text, &r->opt.for_ns);
        break;
    case OPT_JOBS:
        ok = read_small(text, 1, RUNS_JOBS_MAX, &r->jobs);
        break;
    case OPT_PRESET:
        ok = read_preset(text, &r->opt.preset);
        break;
    case OPT_WORKLOAD:
        ok = read_workload(text, &r->opt.workload);
        break;
    case OPT_TRANSPORT:
        ok = read_transport(text, &r->opt.transport);
        a->ways |= 1U << r->opt.transport;
        break;
    case OPT_EVERY:
        ok = read_small(text, 1, 1000000, &a->every);
        break;
    case OPT_MOVE:
        ok = read_move(text, &a->whats);
        break;
    case OPT_HASH:
        ok = read_hash(text, r);
        break;
    case ARGP_KEY_ARG:
        if (a->verb == NULL) {
            a->verb = text;
        } else if (a->what == NULL) {
            a->what = text;
        } else {
            argp_error(state, "too many words: '%s'", text);
        }
        break;
    case ARGP_KEY_END:
        if (a->verb == NULL) {
            argp_error(state,
                       "say what to do: run, replay, shrink or crashpoints");
        }
        break;
    default:
        return parse_plain(a, key, text) ? 0 : ARGP_ERR_UNKNOWN;
    }
    if (!ok) {
        not_understood(key, text, state);
    }
    return 0;
}

/* Which run: "N@COMMIT"; "N" where that is not asked for. */
static bool read_token(struct arguments *a)
{
    struct runs *r = &a->runs;
    const char *at = NULL;
    if (a->what == NULL && r->opt.scenario != NULL && r->first == r->last) {
        return true; /* the seed of the scenario */
    }
    if (a->what != NULL && strcmp(a->verb, "shrink") == 0 &&
        read_number(a->what, &at, &r->first) && *at == '\0') {
        return true; /* of this build */
    }
    if (a->what == NULL || !read_number(a->what, &at, &r->first) ||
        *at != '@' || at[1] == '\0') {
        (void)fprintf(stderr,
                      "%s: %s: say which run: SEED@COMMIT, as printed with "
                      "the failure\n",
                      r->program, a->verb);
        return false;
    }
    if (strcmp(at + 1, version_commit()) != 0 && !r->anyway) {
        (void)fprintf(stderr,
                      "%s: %s: this build is %s, the seed was found on %s; "
                      "a seed means nothing on other code\n"
                      "  build that commit, or add --anyway\n",
                      r->program, a->verb, version_commit(), at + 1);
        return false;
    }
    return true;
}

/* A scenario of the library or a file. */
static bool load_scenario(struct arguments *a, struct scenario *s)
{
    struct runs *r = &a->runs;
    char path[LIBRARY_PATH_MAX];
    char why[SCENARIO_WHY_MAX];
    if (a->scenario == NULL) {
        return true;
    }
    if (!library_find(a->scenario, path)) {
        (void)fprintf(stderr,
                      "%s: no scenario \"%s\"; list them: motet chaos list\n",
                      r->program, a->scenario);
        return false;
    }
    if (!scenario_read(s, path, why)) {
        (void)fprintf(stderr, "%s: %s\n", r->program, why);
        return false;
    }
    if (r->opt.sites != 0 || r->opt.for_ns != 0) {
        (void)fprintf(stderr, "%s: --sites and --for are in the scenario\n",
                      r->program);
        return false;
    }
    sim_of_scenario(s, &r->opt);
    r->scenario = a->scenario;
    if (s->actor[0] != '\0' && r->opt.actor == NULL) {
        r->opt.actor = s->actor;
    }
    if (s->has_seed && !a->seeds) {
        r->first = s->seed;
        r->last = s->seed;
    }
    return true;
}

static bool load_actor(struct arguments *a, struct plugin *plugin)
{
    struct runs *r = &a->runs;
    char why[PLUGIN_WHY_MAX];
    if (r->opt.actor == NULL) {
        return true;
    }
    if (!plugin_open(plugin, r->opt.actor, why)) {
        (void)fprintf(stderr, "%s: %s\n", r->program, why);
        return false;
    }
    r->opt.plugin = plugin;
    return true;
}

static int crashpoints(struct arguments *a)
{
    static struct points_plan plan;
    struct runs *r = &a->runs;
    struct point p;
    if (a->seeds || r->scenario != NULL || r->opt.actor != NULL ||
        r->opt.sites != 0 || r->opt.for_ns != 0 || a->ways >> NET_AUTO != 0) {
        (void)fprintf(stderr,
                      "%s: crashpoints: its story is always the same: three "
                      "sites, tcp or udp, no seeds, no scenario\n",
                      r->program);
        return EXIT_SIM_USAGE;
    }
    if (a->only != NULL && !point_parse(a->only, &p)) {
        (void)fprintf(stderr,
                      "%s: crashpoints: no such case: '%s'; say it as it was "
                      "printed, as actor.tcp.cut-both.17.3\n",
                      r->program, a->only);
        return EXIT_SIM_USAGE;
    }
    if (a->only != NULL) {
        return runs_point(r, &p);
    }
    if (!points_plan(&plan, a->whats != 0 ? a->whats : 3U,
                     a->ways != 0 ? a->ways : 3U, a->every)) {
        points_print(&plan);
        (void)fprintf(stderr,
                      "%s: crashpoints: it does not move although nothing "
                      "breaks: there is nothing to judge\n",
                      r->program);
        return EXIT_SIM_NO_VERDICT;
    }
    r->plan = &plan;
    r->opt.trace = NULL; /* of one case only */
    r->first = 1;
    r->last = plan.count;
    return runs_run(r);
}

static int do_verb(struct arguments *a)
{
    if (strcmp(a->verb, "crashpoints") == 0 && a->what == NULL) {
        return crashpoints(a);
    }
    if (strcmp(a->verb, "run") == 0 && a->what == NULL) {
        return runs_run(&a->runs);
    }
    if (strcmp(a->verb, "replay") == 0) {
        return read_token(a) ? runs_replay(&a->runs) : EXIT_SIM_USAGE;
    }
    if (strcmp(a->verb, "shrink") == 0) {
        return read_token(a) ? shrink(&a->runs, a->out) : EXIT_SIM_USAGE;
    }
    (void)fprintf(stderr,
                  "%s: no such command: '%s'; there are run, replay, shrink, "
                  "crashpoints\n",
                  a->runs.program, a->what != NULL ? a->what : a->verb);
    return EXIT_SIM_USAGE;
}

int sim_command(int argc, char **argv)
{
    static const char doc[] =
        "Run whole clusters in a simulated world, with faults.\v"
        "Examples:\n"
        "  sim run --seeds 1000 --jobs 2\n"
        "  sim run --seeds 1..50 --preset tight --sites 3\n"
        "  sim run --seeds 200 --workload migrate\n"
        "  sim run --seeds 200 --actor ./my-actor.so\n"
        "  sim replay 17@1f3c9d0 --trace\n"
        "  sim shrink 17@1f3c9d0\n"
        "  sim crashpoints --jobs 2\n"
        "  sim crashpoints --only actor.tcp.cut-both.17.3 --trace\n\n"
        "crashpoints: one move of an actor, or of a port, run again for each "
        "event in it: there its source or its destination crashes, or the "
        "link is cut, one way or both; and each of these again with each of "
        "the first 64 packets lost.\n\n"
        "Exit codes: 0 all passed, 2 usage, 8 a promise was broken, 9 a "
        "rare path was never reached (--must-see) or there was no move to "
        "break (crashpoints), 10 "
        "something did not end, 11 a run could not be repeated.";
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "run\nreplay SEED@COMMIT\nshrink SEED@COMMIT\ncrashpoints",
        .doc = doc,
    };
    static struct scenario scenario;
    struct plugin plugin;
    struct arguments a = {
        .runs = {.first = 1, .last = 100, .jobs = 1, .program = argv[0]},
        .every = 1,
    };
    argp_err_exit_status = EXIT_SIM_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &a) != 0 ||
        !load_scenario(&a, &scenario) || !load_actor(&a, &plugin)) {
        return EXIT_SIM_USAGE;
    }
    return do_verb(&a);
}
