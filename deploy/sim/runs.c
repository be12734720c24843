#include "runs.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nucleus/base/check.h"
#include "nucleus/base/hash.h"
#include "nucleus/base/version.h"
#include "seen.h"

/* Seeds run in processes of their own, so that one that aborts is a failure
 * like others and not the end. */

enum {
    HANGS_AFTER_S = 300, /* of real time without a result */
    PROGRESS_S = 10,     /* between two lines where there is no terminal */
};

/* What a worker tells: it goes through the pipe in one write. */
struct answer {
    struct sim_report report;
    bool differs;
};

struct job {
    pid_t pid;
    int fd;
    uint64_t seed; /* the one it runs now */
    double since;
};

struct tally {
    const struct runs *runs;
    struct job job[RUNS_JOBS_MAX];
    uint64_t *hash; /* by seed */
    uint64_t done, failed;
    uint64_t unsafe, stuck, differs;
    uint64_t virtual_ns, packets, agreed_max_ns;
    uint64_t datagrams, paths_up, paths_down;
    uint64_t steps;
    struct check_counts counts;
    uint64_t faults[CHAOS_KIND_COUNT];
    uint64_t seen[SEEN_COUNT];
    struct points_tally points;
    double start, said;
    bool first_failure_said; /* in JSON */
};

static double now_s(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_options(FILE *out, const struct runs *r)
{
    if (r->opt.actor != NULL) {
        (void)fprintf(out, " --actor %s", r->opt.actor);
    }
    if (r->scenario != NULL) {
        (void)fprintf(out, " --scenario %s", r->scenario);
        return;
    }
    if (r->opt.workload != SIM_MESSAGES) {
        (void)fprintf(out, " --workload %s",
                      sim_workload_name(r->opt.workload));
    }
    if (r->opt.preset != SIM_SWARM) {
        (void)fprintf(out, " --preset %s", sim_preset_name(r->opt.preset));
    }
    if (r->opt.transport != NET_TCP) {
        (void)fprintf(out, " --transport %s",
                      r->opt.transport == NET_UDP ? "udp" : "auto");
    }
    if (r->opt.sites != 0) {
        (void)fprintf(out, " --sites %" PRIu32, r->opt.sites);
    }
    if (r->opt.for_ns != 0) {
        (void)fprintf(out, " --for %" PRIu64 "s", r->opt.for_ns / 1000000000);
    }
}

static void print_time(FILE *out, uint64_t ns)
{
    const uint64_t ms = ns / 1000000;
    (void)fprintf(out, "%02u:%02u:%02u.%03u", (unsigned)(ms / 3600000),
                  (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60),
                  (unsigned)(ms % 1000));
}

/* How the run is called that has that number. */
static void print_name(FILE *out, const struct runs *r, uint64_t seed)
{
    char text[POINT_TEXT_MAX];
    if (r->plan != NULL) {
        const struct point p = points_case(r->plan, seed);
        (void)fputs(point_text(&p, text), out);
    } else {
        (void)fprintf(out, "seed %" PRIu64, seed);
    }
}

static void print_again(FILE *out, const struct runs *r,
                        const struct sim_report *report)
{
    if (r->plan != NULL) {
        (void)fprintf(out, "      replay  %s crashpoints --only ", r->program);
        print_name(out, r, report->seed);
        (void)fprintf(out, " --trace   (build %s)\n", version_commit());
        return;
    }
    (void)fprintf(out, "      replay  %s replay %" PRIu64 "@%s", r->program,
                  report->seed, version_commit());
    print_options(out, r);
    if (report->hash != 0) {
        (void)fprintf(out, " --hash %016" PRIx64, report->hash);
    }
    (void)fprintf(out, "\n      shrink  %s shrink %" PRIu64 "@%s", r->program,
                  report->seed, version_commit());
    print_options(out, r);
    (void)fputc('\n', out);
}

void runs_print_failure(FILE *out, const struct runs *r,
                        const struct sim_report *report)
{
    unsigned told = 0; /* a bit for each promise */
    for (uint32_t i = 0; i < report->violations && i < SIM_VIOLATIONS_MAX;
         i++) {
        const struct check_violation *v = &report->kept[i];
        if ((told >> v->promise & 1) != 0) {
            continue;
        }
        (void)fputs(told == 0 ? "FAIL  " : "      ", out);
        print_name(out, r, report->seed);
        (void)fputs("  ", out);
        if (v->promise != CHECK_INVARIANT) {
            (void)fprintf(out, "P%d ", v->promise);
        }
        (void)fprintf(out, "%s: %s at ", check_promise_name(v->promise),
                      v->text);
        told |= 1U << v->promise;
        print_time(out, v->now_ns);
        (void)fputc('\n', out);
    }
    print_again(out, r, report);
}

/* ---- A worker --------------------------------------------------------------
 */

static void run_one(const struct runs *r, uint64_t seed,
                    struct sim_report *report)
{
    struct sim_options opt = r->opt;
    if (r->plan == NULL) {
        sim_run(seed, &opt, report);
        return;
    }
    const struct point p = points_case(r->plan, seed);
    point_options(&p, &opt);
    sim_run(1, &opt, report);
    report->seed = seed;
}

static void work(const struct runs *r, uint64_t seed, int fd)
{
    for (; seed <= r->last && seed >= r->first; seed += r->jobs) {
        struct answer a = {0};
        run_one(r, seed, &a.report);
        if (r->twice) {
            struct sim_report again;
            run_one(r, seed, &again);
            a.differs = again.hash != a.report.hash;
        }
        if (write(fd, &a, sizeof a) != (ssize_t)sizeof a) {
            _exit(1);
        }
    }
    _exit(0);
}

static void start(struct tally *t, struct job *j, uint64_t seed)
{
    int fd[2];
    _Static_assert(sizeof(struct answer) <= 4096, "one write in a pipe");
    j->seed = seed;
    j->since = now_s();
    j->pid = 0;
    if (seed > t->runs->last) {
        return;
    }
    CHECK(pipe(fd) == 0);
    (void)fflush(NULL);
    j->pid = fork();
    CHECK(j->pid >= 0);
    if (j->pid == 0) {
        (void)close(fd[0]);
        work(t->runs, seed, fd[1]);
    }
    (void)close(fd[1]);
    j->fd = fd[0];
}

static void stop(struct job *j, int *status)
{
    (void)kill(j->pid, SIGKILL);
    (void)waitpid(j->pid, status, 0);
    (void)close(j->fd);
    j->pid = 0;
}

/* ---- The sum ---------------------------------------------------------------
 */

static void add_counts(struct check_counts *sum, const struct check_counts *c)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *from = (const uint64_t *)(const void *)c;
    for (size_t i = 0; i < sizeof *c / sizeof *from; i++) {
        to[i] += from[i];
    }
}

static void print_json_text(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)putchar('\\');
        }
        (void)putchar(*text);
    }
}

static void print_json_failure(struct tally *t, const struct sim_report *r)
{
    const struct check_violation *v = &r->kept[0];
    printf("%s\n    {\"%s\": \"", t->first_failure_said ? "," : "",
           t->runs->plan != NULL ? "case" : "seed");
    if (t->runs->plan != NULL) {
        print_name(stdout, t->runs, r->seed);
    } else {
        printf("%" PRIu64, r->seed);
    }
    printf("\", \"promise\": %d, \"name\": \"%s\", \"at_ns\": %" PRIu64
           ", \"text\": \"",
           v->promise, check_promise_name(v->promise), v->now_ns);
    print_json_text(v->text);
    if (t->runs->plan == NULL) {
        printf("\", \"token\": \"%" PRIu64 "@%s", r->seed, version_commit());
    }
    printf("\"}");
    t->first_failure_said = true;
}

static void failed(struct tally *t, const struct sim_report *report)
{
    t->failed++;
    t->unsafe += report->verdict == SIM_UNSAFE;
    t->stuck += report->verdict == SIM_STUCK;
    if (isatty(STDERR_FILENO) && !t->runs->json) {
        (void)fputs("\r\033[K", stderr);
    }
    if (t->runs->json) {
        print_json_failure(t, report);
    } else {
        runs_print_failure(stdout, t->runs, report);
        (void)fflush(stdout);
    }
}

static void take(struct tally *t, const struct answer *a)
{
    const struct sim_report *r = &a->report;
    if (t->runs->plan != NULL) {
        points_take(&t->points, t->runs->plan, r);
    }
    t->done++;
    t->hash[r->seed - t->runs->first] = r->hash;
    t->virtual_ns += r->virtual_ns;
    t->packets += r->packets;
    t->datagrams += r->datagrams;
    t->steps += r->steps;
    t->paths_up += r->paths_up;
    t->paths_down += r->paths_down;
    if (r->agreed_ns > t->agreed_max_ns) {
        t->agreed_max_ns = r->agreed_ns;
    }
    add_counts(&t->counts, &r->counts);
    for (uint32_t f = 0; f < CHAOS_KIND_COUNT; f++) {
        t->faults[f] += r->faults[f];
    }
    for (uint32_t i = 0; i < SEEN_COUNT; i++) {
        t->seen[i] += r->seen[i];
    }
    if (r->verdict != SIM_PASS) {
        failed(t, r);
    }
    if (a->differs) {
        struct sim_report d = {.seed = r->seed, .violations = 1};
        d.kept[0] = (struct check_violation){
            .promise = 14, .text = "two runs have different hashes"};
        t->differs++;
        failed(t, &d);
    }
}

/* A worker is gone without an answer, or answers no more. */
static void lost(struct tally *t, struct job *j, bool hangs)
{
    int status = 0;
    const uint64_t seed = j->seed;
    stop(j, &status);
    if (!hangs && WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
        seed > t->runs->last) {
        return;
    }
    struct sim_report r = {.seed = seed, .violations = 1};
    r.verdict = hangs ? SIM_STUCK : SIM_UNSAFE;
    r.kept[0].promise = hangs ? 13 : 10;
    (void)snprintf(r.kept[0].text, sizeof r.kept[0].text,
                   hangs ? "the run does not end"
                         : "the run was aborted by signal %d (see above)",
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    t->done++;
    failed(t, &r);
    start(t, j, seed + t->runs->jobs);
}

static void listen_to(struct tally *t, struct job *j)
{
    struct answer a;
    const ssize_t got = read(j->fd, &a, sizeof a);
    if (got != (ssize_t)sizeof a) {
        lost(t, j, false);
        return;
    }
    j->seed += t->runs->jobs;
    j->since = now_s();
    take(t, &a);
}

static void progress(struct tally *t)
{
    const struct runs *r = t->runs;
    const bool tty = isatty(STDERR_FILENO) != 0;
    const double now = now_s();
    if (now - t->said < (tty ? 0.2 : PROGRESS_S)) {
        return;
    }
    t->said = now;
    const uint64_t all = r->last - r->first + 1;
    const double speed = (double)t->virtual_ns / 1e9 / (now - t->start);
    (void)fprintf(stderr,
                  "%s%" PRIu64 "/%" PRIu64 "  %.0f s  %.0f times real "
                  "time  %" PRIu64 " failed%s",
                  tty ? "\r\033[K" : "", t->done, all, now - t->start, speed,
                  t->failed, tty ? "" : "\n");
}

/* @return whether any worker is left */
static bool listen_to_all(struct tally *t)
{
    struct pollfd fds[RUNS_JOBS_MAX];
    struct job *of[RUNS_JOBS_MAX];
    nfds_t count = 0;
    for (uint32_t i = 0; i < t->runs->jobs; i++) {
        if (t->job[i].pid != 0) {
            of[count] = &t->job[i];
            fds[count++] =
                (struct pollfd){.fd = t->job[i].fd, .events = POLLIN};
        }
    }
    if (count == 0) {
        return false;
    }
    (void)poll(fds, count, 200);
    for (nfds_t i = 0; i < count; i++) {
        if (fds[i].revents != 0) {
            listen_to(t, of[i]);
        } else if (now_s() - of[i]->since > HANGS_AFTER_S) {
            lost(t, of[i], true);
        }
    }
    progress(t);
    return true;
}

/* ---- The verdict -----------------------------------------------------------
 */

static void print_counts(const struct tally *t)
{
    const struct check_counts *c = &t->counts;
    printf("sends    %" PRIu64 "   accepted %" PRIu64 "   refused %" PRIu64
           "   unknown %" PRIu64 "   delivered %" PRIu64 "\n",
           c->sends, c->accepted, c->refused, c->unknown, c->delivered);
    printf("calls    %" PRIu64 "   ok %" PRIu64 "   did not run %" PRIu64
           "   unknown %" PRIu64 "   executed %" PRIu64 "   forwarded %" PRIu64
           "\n",
           c->calls, c->replies, c->not_executed, c->maybe_executed,
           c->executed, c->forwarded);
    printf("watches  %" PRIu64 "   closed %" PRIu64 "   crashed %" PRIu64
           "   site dead %" PRIu64 "\n",
           c->watches, c->news_closed, c->news_crashed, c->news_dead);
    printf("faults  ");
    for (uint32_t f = 0; f < CHAOS_KIND_COUNT; f++) {
        if (t->faults[f] > 0) {
            printf(" %s %" PRIu64 "  ", chaos_word((enum chaos_kind)f),
                   t->faults[f]);
        }
    }
    printf("\nlives    %" PRIu64 "   ports %" PRIu64 "   packets %" PRIu64
           "   slowest agreement %" PRIu64 " ms\n",
           c->sites, c->ports, t->packets, t->agreed_max_ns / 1000000);
    if (t->steps > 0) {
        printf("moves    %" PRIu64
               " transitions, each looked up in the table\n",
               t->steps);
    }
    if (t->datagrams > 0) {
        printf("paths    up %" PRIu64 "   down %" PRIu64 "   datagrams %" PRIu64
               "\n",
               t->paths_up, t->paths_down, t->datagrams);
    }
}

static uint32_t never_seen(const struct tally *t)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < SEEN_COUNT; i++) {
        n += t->seen[i] == 0;
    }
    return n;
}

static void print_seen(const struct tally *t)
{
    const char *text = NULL;
    const uint32_t never = never_seen(t);
    printf("seen     %u of %u rare paths", (unsigned)(SEEN_COUNT - never),
           (unsigned)SEEN_COUNT);
    const char *between = never > 0 ? "; never: " : "";
    for (uint32_t i = 0; i < SEEN_COUNT; i++) {
        if (t->seen[i] == 0) {
            printf("%s%s", between, seen_name((enum sim_seen)i, &text));
            between = ", ";
        }
    }
    putchar('\n');
    for (uint32_t i = 0; t->runs->verbose && i < SEEN_COUNT; i++) {
        const char *name = seen_name((enum sim_seen)i, &text);
        printf("  %10" PRIu64 "  %-24s %s\n", t->seen[i], name, text);
    }
}

static uint64_t total_hash(const struct tally *t)
{
    uint64_t hash = 0;
    for (uint64_t i = 0; i <= t->runs->last - t->runs->first; i++) {
        hash = hash_fold(hash, t->hash[i]);
    }
    return hash;
}

static void print_verdict(struct tally *t)
{
    const double real = now_s() - t->start;
    const double hours = (double)t->virtual_ns / 3.6e12;
    const double speed = (double)t->virtual_ns / 1e9 / real;
    const uint64_t passed = t->done > t->failed ? t->done - t->failed : 0;
    if (t->runs->json) {
        printf("%s],\n  \"passed\": %" PRIu64 ", \"failed\": %" PRIu64
               ", \"simulated_h\": %.3f, \"speed\": %.0f, \"hash\": "
               "\"%016" PRIx64 "\"",
               t->first_failure_said ? "\n  " : "", passed, t->failed, hours,
               speed, total_hash(t));
        if (t->runs->plan != NULL) {
            printf(", \"outage_ms\": %" PRIu64, t->points.outage_ns / 1000000);
        }
        puts("}");
        return;
    }
    print_counts(t);
    if (t->runs->plan != NULL) {
        points_sum(&t->points, t->runs->plan);
    } else {
        print_seen(t);
    }
    printf("%" PRIu64 " passed, %" PRIu64 " failed   %.1f simulated hours, "
           "%.0f times real time   trace hash %016" PRIx64 "\n",
           passed, t->failed, hours, speed, total_hash(t));
}

int runs_run(const struct runs *r)
{
    struct tally t = {.runs = r};
    t.start = now_s();
    t.said = t.start;
    t.hash = calloc(r->last - r->first + 1, sizeof *t.hash);
    CHECK(t.hash != NULL);
    if (r->plan != NULL) {
        points_begin(r);
    } else if (r->json) {
        printf("{\"schema\": \"motet.sim.run/1\", \"first\": \"%" PRIu64
               "\", \"last\": \"%" PRIu64 "\", \"preset\": \"%s\", \"commit\": "
               "\"%s\",\n  \"failures\": [",
               r->first, r->last, sim_preset_name(r->opt.preset),
               version_commit());
    } else {
        printf("seeds %" PRIu64 "..%" PRIu64 "   %s   build %s\n", r->first,
               r->last, sim_preset_name(r->opt.preset), version_commit());
    }
    for (uint32_t i = 0; i < r->jobs; i++) {
        start(&t, &t.job[i], r->first + i);
    }
    while (listen_to_all(&t)) {
        if (r->fail_fast && t.failed > 0) {
            break;
        }
    }
    for (uint32_t i = 0; i < r->jobs; i++) {
        if (t.job[i].pid != 0) {
            stop(&t.job[i], &(int){0});
        }
    }
    if (isatty(STDERR_FILENO)) {
        (void)fputs("\r\033[K", stderr);
    }
    print_verdict(&t);
    free(t.hash);
    return t.unsafe > 0                        ? EXIT_SIM_UNSAFE
           : t.stuck > 0                       ? EXIT_SIM_STUCK
           : t.differs > 0                     ? EXIT_SIM_DIFFERS
           : r->must_see && never_seen(&t) > 0 ? EXIT_SIM_NO_VERDICT
                                               : 0;
}

int runs_replay(const struct runs *r)
{
    struct sim_report report;
    printf("seed %" PRIu64 "   %s   build %s\n", r->first,
           sim_preset_name(r->opt.preset), version_commit());
    sim_run(r->first, &r->opt, &report);
    printf("%" PRIu32 " sites%s, %" PRIu64 " s, agreement after %" PRIu64
           " ms, %" PRIu64 " rebirths, %" PRIu64 " refused to join\n",
           report.sites, report.core_only ? ", a core healed" : "",
           report.virtual_ns / 1000000000, report.agreed_ns / 1000000,
           report.rebirths, report.refused_joins);
    if (report.verdict != SIM_PASS) {
        runs_print_failure(stdout, r, &report);
    }
    const bool differs = r->has_hash && r->hash != report.hash;
    printf("trace hash %016" PRIx64 "%s\n", report.hash,
           !r->has_hash ? ""
           : differs    ? " (NOT that of the failing run)"
                        : " (same as the failing run)");
    return report.verdict == SIM_UNSAFE  ? EXIT_SIM_UNSAFE
           : report.verdict == SIM_STUCK ? EXIT_SIM_STUCK
           : differs                     ? EXIT_SIM_DIFFERS
                                         : 0;
}
