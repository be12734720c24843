#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "chaos.h"
#include "deploy/check/eventlog.h"
#include "deploy/sim/sim.h"
#include "say.h"

/* The simulator as a ground: all kinds of fault, virtual time. */

struct playing {
    struct chaos_run *run;
    FILE *events[CHAOS_SITES_MAX];
};

static bool can(enum chaos_kind kind, const char **why)
{
    (void)kind;
    (void)why;
    return true;
}

static void on_event(void *ctx, uint32_t site, const struct check_event *e)
{
    struct playing *p = ctx;
    char line[EVENTLOG_LINE_MAX];
    const size_t size = eventlog_write(e, line);
    if (site < CHAOS_SITES_MAX && p->events[site] != NULL) {
        (void)fwrite(line, 1, size, p->events[site]);
    }
}

static void on_fault(void *ctx, uint64_t now_ns, const struct chaos_fault *f,
                     bool begins)
{
    struct playing *p = ctx;
    chaos_log_fault(p->run, now_ns, f, begins);
}

static void on_accuse(void *ctx, int promise, uint64_t now_ns, uint64_t site,
                      const char *text)
{
    struct playing *p = ctx;
    chaos_accuse(p->run, promise, now_ns, site, text);
}

static void on_phase(void *ctx, uint64_t now_ns, int phase)
{
    struct chaos_run *r = ((struct playing *)ctx)->run;
    uint64_t *const to[] = {&r->start_ns, &r->healed_ns, &r->end_ns};
    *to[phase] = now_ns;
}

static bool open_events(struct playing *p)
{
    for (uint32_t i = 0; i < p->run->scenario->sites; i++) {
        char name[32];
        char path[PATH_BYTES];
        (void)snprintf(name, sizeof name, "site%" PRIu32, i + 1);
        if (!path_join(path, p->run->folder, name, ".events")) {
            return false;
        }
        p->events[i] = fopen(path, "we");
        if (p->events[i] == NULL) {
            say_error("cannot write %.300s", path);
            return false;
        }
    }
    return true;
}

static enum exit_code play(struct chaos_run *r)
{
    struct playing p = {.run = r};
    struct sim_report *report = calloc(1, sizeof *report);
    struct sim_options opt = {
        .ctx = &p,
        .on_event = on_event,
        .on_fault = on_fault,
        .on_accuse = on_accuse,
        .on_phase = on_phase,
    };
    CHECK(report != NULL);
    sim_of_scenario(r->scenario, &opt);
    opt.faults = &r->faults;
    opt.plugin = r->plugin;
    r->states = r->scenario->sites;
    const bool ok = open_events(&p);
    if (ok) {
        sim_run(r->seed, &opt, report);
        r->agreed_ns = report->agreed_ns;
    }
    for (uint32_t i = 0; i < CHAOS_SITES_MAX; i++) {
        if (p.events[i] != NULL) {
            (void)fclose(p.events[i]);
        }
    }
    free(report);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

const struct chaos_ground chaos_on_sim = {
    .name = "sim", .can = can, .play = play};
