#ifndef TOOLS_CHAOS_H
#define TOOLS_CHAOS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cluster.h"
#include "deploy/chaos/scenario.h"
#include "deploy/check/check.h"
#include "exits.h"
#include "sites/plugin/plugin.h"

/* A run of a scenario on some ground, and what is left of it: a folder with
 *
 *   scenario.yml    with all faults, as they were drawn
 *   run.log         what the runner did: a time and some words on each line
 *   SITE.events     what the actors of a site saw (deploy/check/eventlog.h)
 *   links.json      what passed each link, if it was about links
 *   run.json        seed, ground, sites, times, what the runner saw to be wrong
 *   report.json, index.html   the judgement: made again by `motet chaos check`
 *
 * Files of the tools:
 *   cmd_chaos.c cmd_chaos_live.c   the verbs: runs; faults by hand
 *   chaos_run.c    folder, log, phases: the same on every ground
 *   chaos_sim.c chaos_host.c   the grounds; chaos_strike.c chaos_site.c what is
 *                  done to sites, chaos_links.c to what is between them
 *   chaos_guest.c  what guests have seen, by the clock of the host
 *   chaos_user.c   the invariants of the user's actor, on real processes
 *   chaos_folder.c chaos_judge.c   read a folder, and judge
 *   chaos_report.c chaos_html.c   says so */

enum {
    CHAOS_ACCUSED_MAX = 64,
    CHAOS_SHOWN_MAX = 4096, /* faults in a report */
    CHAOS_BUCKETS_MAX = 512,
};

/* What the runner itself has seen to be wrong. */
struct chaos_accusation {
    int promise; /* 0: a site crashed */
    uint64_t at_ns;
    uint64_t site;
    char text[CHECK_TEXT_MAX];
};

struct chaos_run;

/* How a ground does it. All faults come one at a time, in the order of time. */
struct chaos_ground {
    const char *name;
    /** Whether it can do this. @param why  a reason, static, when it cannot */
    bool (*can)(enum chaos_kind kind, const char **why);
    /** Plays the whole run: sites up, load, faults, heal, the end. What went
     * wrong with the ground itself is told. @return EXIT_DONE: it can be
     * judged */
    enum exit_code (*play)(struct chaos_run *r);
    const char *sites; /* the ground of its sites (ground.h); NULL: no sites */
};

/** The i-th ground; NULL past the last. */
const struct chaos_ground *chaos_ground_at(size_t i);

/** By name, NULL if there is none. */
const struct chaos_ground *chaos_ground_find(const char *name);

/** Whether it can do all of a list. @param kind, why  the first that it cannot
 * do, if they are not NULL */
bool chaos_can(const struct chaos_ground *g, const struct chaos_faults *faults,
               enum chaos_kind *kind, const char **why);

extern const struct chaos_ground chaos_on_sim;
extern const struct chaos_ground chaos_on_host;
extern const struct chaos_ground chaos_on_netns;
extern const struct chaos_ground chaos_on_qemu;

struct chaos_run {
    const struct chaos_ground *ground;
    struct scenario *scenario;
    bool own_load;               /* not an actor of the user's ... */
    const struct plugin *plugin; /* ... which is this */
    uint32_t states;             /* of it that were looked at */
    struct chaos_faults faults;
    uint64_t seed;
    const char *cluster; /* its name, of real sites */
    uint64_t port;       /* first one to try */
    char folder[PATH_BYTES];
    FILE *log;
    uint64_t start_ns; /* of the load, on the clock of the events */
    uint64_t healed_ns;
    uint64_t end_ns;    /* events after it are not judged */
    uint64_t agreed_ns; /* it took so long */
    json_t *sites;      /* names, in order */
    struct chaos_accusation accused[CHAOS_ACCUSED_MAX];
    uint32_t accused_count;
    volatile const int *stop; /* set by SIGINT and SIGTERM */
};

/** A line of run.log. */
__attribute__((format(printf, 3, 4))) void
chaos_log(struct chaos_run *r, uint64_t at_ns, const char *format, ...);
void chaos_accuse(struct chaos_run *r, int promise, uint64_t at_ns,
                  uint64_t site, const char *text);
/** Begins or ends: into the log. */
void chaos_log_fault(struct chaos_run *r, uint64_t at_ns,
                     const struct chaos_fault *f, bool begins);

/** Asks the user's invariants about the states that the sites have left in the
 * folder of the run. */
void chaos_look(struct chaos_run *r);

/** Makes the folder, plays, judges, reports. */
enum exit_code chaos_run(struct chaos_run *r);

/* ---- the judgement ---------------------------------------------------------
 */

struct chaos_shown {
    char name[CHAOS_NAME_MAX];
    char text[CHAOS_TEXT_MAX];
    uint32_t sites;            /* a bit for each site it is about */
    uint64_t begin_ns, end_ns; /* from the start of the load */
};

/* What happened in a part of the run. */
struct chaos_bucket {
    uint32_t ok, refused, unknown;
};

/* A life of a site, and when it stood still. */
struct chaos_span {
    uint32_t site; /* index */
    bool pause;
    uint64_t begin_ns, end_ns;
};

struct chaos_move {
    uint32_t site;
    uint64_t at_ns;
};

struct chaos_verdict {
    enum exit_code code;      /* DONE, UNSAFE, STUCK, NO_VERDICT, CRASHED */
    char why[CHECK_TEXT_MAX]; /* of NO_VERDICT */
    char scenario[SCENARIO_NAME_MAX];
    char about[SCENARIO_TEXT_MAX];
    char ground[16];
    char build[64];
    uint64_t seed;
    uint64_t calls_min;
    bool own_load;   /* not an actor of the user's */
    uint32_t states; /* of such an actor, that were looked at */
    uint64_t start_ns, healed_ns, end_ns, agreed_ns;
    char sites[CHAOS_SITES_MAX][MOTET_NAME_MAX + 1];
    uint64_t ids[CHAOS_SITES_MAX];
    uint32_t site_count;
    struct check_counts counts;
    uint64_t events;
    uint64_t pending; /* sends and calls of live sites without an end */
    uint32_t violations;
    struct chaos_accusation kept[CHECK_VIOLATIONS_MAX];
    uint32_t kept_count;
    struct chaos_shown *shown;
    size_t shown_count;
    struct chaos_span *spans;
    size_t span_count;
    struct chaos_move *moves;
    size_t move_count;
    struct chaos_bucket buckets[CHAOS_BUCKETS_MAX];
    uint64_t bucket_ns;
};

/** run.json of a folder. @return false: it cannot be read; told */
bool chaos_read_run(struct chaos_verdict *v, const char *folder);

/** Reads a folder and judges. @return false: it cannot be read; told.
 * Gives: chaos_verdict_free() */
bool chaos_judge(const char *folder, struct chaos_verdict *v);
void chaos_verdict_free(struct chaos_verdict *v);

/** What is pending in a folder whose run goes on: sends and calls of live sites
 * without an end. */
uint64_t chaos_pending(const char *folder);

/** On stdout; the verdict last. */
void chaos_report(const struct chaos_verdict *v, const char *folder);
/** report.json and index.html. @return false; told */
bool chaos_report_files(const struct chaos_verdict *v, const char *folder);
bool chaos_html(const struct chaos_verdict *v, const char *path);
json_t *chaos_verdict_json(const struct chaos_verdict *v);

/** The program's shared object of the load. @return false: told */
bool chaos_load_object(char *path);

#endif
