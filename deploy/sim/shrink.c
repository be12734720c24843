#include "shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nucleus/base/check.h"

/* Delta debugging (Zeller, Hildebrandt 2002) over the faults of a run. Each try
 * is a process of its own, so that one that aborts is a failure like others. */

enum {
    TRIES_MAX = 600,
    SECONDS_MAX = 120,  /* of real time, for all tries */
    TRY_MS_MAX = 60000, /* one that takes longer hangs */
    ROUNDS_MAX = 4,
    ABORTED = 100, /* in the place of a promise */
    HANGS = 101,
};

static const uint64_t second_ns = 1000000000;

struct shrinking {
    const struct runs *runs;
    struct sim_options opt;
    struct chaos_faults faults; /* the smallest that fails */
    uint32_t sites;
    uint64_t for_ns;
    int promise; /* that is broken */
    bool core_only;
    uint64_t failed_ns; /* when, in virtual time */
    unsigned tries;
    time_t start;
};

/* ---- a try -----------------------------------------------------------------
 */

static _Noreturn void be_tried(const struct sim_options *opt, uint64_t seed,
                               int fd)
{
    struct sim_report report;
    (void)!freopen("/dev/null", "w", stderr); /* of a check that fails */
    sim_run(seed, opt, &report);
    const ssize_t n = write(fd, &report, sizeof report);
    _exit(n == (ssize_t)sizeof report ? 0 : 1);
}

static int verdict(pid_t pid, int fd, struct sim_report *report)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int promise = HANGS;
    if (poll(&p, 1, TRY_MS_MAX) == 1) {
        const ssize_t n = read(fd, report, sizeof *report);
        promise = n != (ssize_t)sizeof *report  ? ABORTED
                  : report->verdict != SIM_PASS ? report->kept[0].promise
                                                : 0;
    }
    (void)kill(pid, SIGKILL); /* a child of ours, not yet waited for */
    (void)waitpid(pid, NULL, 0);
    return promise;
}

/* @return which promise is broken; 0 = none */
static int try_options(struct shrinking *k, const struct sim_options *opt,
                       struct sim_report *report)
{
    int fd[2];
    *report = (struct sim_report){0};
    CHECK(pipe(fd) == 0);
    (void)fflush(NULL);
    const pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)close(fd[0]);
        be_tried(opt, k->runs->first, fd[1]);
    }
    (void)close(fd[1]);
    const int promise = verdict(pid, fd[0], report);
    (void)close(fd[0]);
    k->tries++;
    return promise;
}

static bool has_time(const struct shrinking *k)
{
    return k->tries < TRIES_MAX && time(NULL) - k->start < SECONDS_MAX;
}

/* Tries with other faults, sites or length; keeps them if it still fails. Takes
 * the list. */
static bool fails(struct shrinking *k, struct chaos_faults *faults,
                  uint32_t sites, uint64_t for_ns)
{
    struct sim_report report;
    struct sim_options opt = k->opt;
    opt.faults = faults;
    opt.sites = sites;
    opt.for_ns = for_ns;
    if (!has_time(k) || try_options(k, &opt, &report) != k->promise) {
        chaos_free(faults);
        return false;
    }
    chaos_free(&k->faults);
    k->faults = *faults;
    k->sites = sites;
    k->for_ns = for_ns;
    k->core_only = report.core_only;
    k->failed_ns = report.violations > 0 ? report.kept[0].now_ns : 0;
    return true;
}

/* ---- smaller ---------------------------------------------------------------
 */

/* All but those from `from` to `to`. */
static struct chaos_faults without(const struct chaos_faults *all, size_t from,
                                   size_t to)
{
    struct chaos_faults left = {0};
    for (size_t i = 0; i < all->count; i++) {
        if (i < from || i >= to) {
            CHECK(chaos_add(&left, &all->items[i]));
        }
    }
    return left;
}

static bool fewer_faults(struct shrinking *k)
{
    bool any = false;
    size_t part = k->faults.count;
    while (part > 0) {
        for (size_t at = 0; at < k->faults.count && has_time(k);) {
            const size_t to = at + part;
            struct chaos_faults left = without(&k->faults, at, to);
            if (fails(k, &left, k->sites, k->for_ns)) {
                any = true; /* what stood behind them stands here now */
            } else {
                at = to;
            }
        }
        part = part > k->faults.count ? k->faults.count : part / 2;
    }
    return any;
}

static bool shorter(struct shrinking *k, uint64_t for_ns)
{
    struct chaos_faults left = {0};
    if (for_ns >= k->for_ns || for_ns < second_ns) {
        return false;
    }
    for (size_t i = 0; i < k->faults.count; i++) {
        if (k->faults.items[i].at_ns < for_ns) {
            CHECK(chaos_add(&left, &k->faults.items[i]));
        }
    }
    return fails(k, &left, k->sites, for_ns);
}

static bool less_time(struct shrinking *k)
{
    bool any = false;
    const uint64_t last_ns =
        k->faults.count > 0 ? k->faults.items[k->faults.count - 1].at_ns : 0;
    /* Just behind the violation; just behind the last fault; by halves. */
    any |= k->failed_ns > 0 && shorter(k, k->failed_ns + second_ns);
    any |= shorter(k, last_ns + second_ns);
    while (shorter(k, k->for_ns / 2 / second_ns * second_ns)) {
        any = true;
    }
    while (shorter(k, k->for_ns * 4 / 5 / second_ns * second_ns)) {
        any = true;
    }
    return any;
}

/* What is left of the faults with so few sites. */
static struct chaos_faults among(const struct chaos_faults *all, uint32_t sites)
{
    const uint32_t set = (1U << sites) - 1;
    struct chaos_faults left = {0};
    for (size_t i = 0; i < all->count; i++) {
        struct chaos_fault f = all->items[i];
        const enum chaos_about about = chaos_about(f.kind);
        f.sites &= set;
        f.to &= set;
        if (about == CHAOS_OF_ALL ||
            (f.sites != 0 && (about == CHAOS_OF_SITES || f.to != 0))) {
            CHECK(chaos_add(&left, &f));
        }
    }
    return left;
}

static bool fewer_sites(struct shrinking *k)
{
    for (uint32_t sites = 2; sites < k->sites && has_time(k); sites++) {
        struct chaos_faults left = among(&k->faults, sites);
        if (fails(k, &left, sites, k->for_ns)) {
            return true;
        }
    }
    return false;
}

static void make_small(struct shrinking *k)
{
    for (int round = 0; round < ROUNDS_MAX && has_time(k); round++) {
        bool any = less_time(k);
        any |= fewer_faults(k);
        any |= fewer_sites(k);
        if (!any) {
            return;
        }
    }
}

/* ---- the scenario ----------------------------------------------------------
 */

static void to_scenario(const struct shrinking *k, struct scenario *s)
{
    const struct sim_options *opt = &k->opt;
    scenario_init(s);
    (void)snprintf(s->name, sizeof s->name, "seed-%" PRIu64, k->runs->first);
    if (k->promise < ABORTED) {
        (void)snprintf(s->about, sizeof s->about, "once broke %s",
                       check_promise_name(k->promise));
    } else {
        (void)snprintf(s->about, sizeof s->about, "once %s",
                       k->promise == HANGS ? "did not end" : "aborted");
    }
    if (opt->scenario != NULL) {
        *s = *opt->scenario;
    }
    s->sites = k->sites;
    s->for_ns = k->for_ns;
    s->network = (enum scenario_network)opt->preset;
    s->core = k->core_only;
    s->has_seed = true;
    s->seed = k->runs->first;
    s->nemeses = 0;
    if (opt->actor != NULL) {
        (void)snprintf(s->actor, sizeof s->actor, "%s", opt->actor);
    }
}

static bool write_file(const struct shrinking *k, const char *path)
{
    struct scenario *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        (void)fprintf(stderr, "%s: shrink: cannot write %s: %s\n",
                      k->runs->program, path, strerror(errno));
        free(s);
        return false;
    }
    to_scenario(k, s);
    scenario_write(f, s, &k->faults);
    const bool ok = fclose(f) == 0;
    free(s);
    return ok;
}

/* The file, read again, must fail as well; else it is of no use. */
static bool is_good(struct shrinking *k, const char *path)
{
    char why[SCENARIO_WHY_MAX];
    struct scenario *s = calloc(1, sizeof *s);
    struct sim_report report;
    struct sim_options opt = k->opt;
    CHECK(s != NULL);
    if (!scenario_read(s, path, why)) {
        (void)fprintf(stderr, "%s: shrink: %s\n", k->runs->program, why);
        free(s);
        return false;
    }
    opt.faults = NULL;
    sim_of_scenario(s, &opt);
    const bool good = try_options(k, &opt, &report) == k->promise;
    free(s);
    return good;
}

static void default_path(const struct runs *r, char *path, size_t size)
{
    struct stat st;
    const char *folder = "tests/sim/regress";
    const bool there = stat(folder, &st) == 0 && S_ISDIR(st.st_mode);
    (void)snprintf(path, size, "%s%sseed-%" PRIu64 ".yml", there ? folder : "",
                   there ? "/" : "", r->first);
}

static int finish(struct shrinking *k, const char *out, size_t faults,
                  uint32_t sites, uint64_t for_ns)
{
    char path[512];
    char text[CHAOS_TEXT_MAX];
    if (out != NULL) {
        (void)snprintf(path, sizeof path, "%s", out);
    } else {
        default_path(k->runs, path, sizeof path);
    }
    printf("%zu faults -> %zu, %" PRIu32 " sites -> %" PRIu32 ", %" PRIu64
           " s -> %" PRIu64 " s      %u tries, %ld s\n",
           faults, k->faults.count, sites, k->sites, for_ns / second_ns,
           k->for_ns / second_ns, k->tries, (long)(time(NULL) - k->start));
    for (size_t i = 0; i < k->faults.count; i++) {
        const struct chaos_fault *f = &k->faults.items[i];
        printf("  %8.3f s  %s\n", (double)(f->at_ns / 1000000) / 1e3,
               chaos_text(f, k->sites, text));
    }
    if (!write_file(k, path)) {
        return 1;
    }
    if (!is_good(k, path)) {
        (void)fprintf(stderr,
                      "%s: shrink: %s does not fail when it is played "
                      "again; keep the seed\n",
                      k->runs->program, path);
        return 1;
    }
    printf("saved %s\n  replay  %s replay --scenario %s --trace\n", path,
           k->runs->program, path);
    return 0;
}

int shrink(const struct runs *r, const char *out)
{
    struct shrinking k = {.runs = r, .opt = r->opt, .start = time(NULL)};
    struct sim_report report;
    k.opt.trace = NULL;
    k.opt.drawn = &k.faults;
    sim_plan(r->first, &k.opt, &k.sites, &k.for_ns);
    k.opt.drawn = NULL;
    k.promise = try_options(&k, &k.opt, &report);
    if (k.promise == 0) {
        (void)fprintf(stderr,
                      "%s: shrink: seed %" PRIu64 " passes; there is "
                      "nothing to make smaller\n",
                      r->program, r->first);
        chaos_free(&k.faults);
        return 1;
    }
    k.core_only = report.core_only;
    k.failed_ns = report.violations > 0 ? report.kept[0].now_ns : 0;
    if (report.violations > 0) {
        runs_print_failure(stdout, r, &report);
    }
    const size_t faults = k.faults.count;
    const uint32_t sites = k.sites;
    const uint64_t for_ns = k.for_ns;
    make_small(&k);
    const int code = finish(&k, out, faults, sites, for_ns);
    chaos_free(&k.faults);
    return code;
}
