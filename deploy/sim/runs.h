#ifndef SIM_RUNS_H
#define SIM_RUNS_H

#include "points.h"
#include "sim.h"

/* What `motet sim` was asked for. */
struct runs {
    struct sim_options opt;
    uint64_t first, last; /* seeds */
    uint32_t jobs;
    bool twice;     /* run each seed twice and compare */
    bool fail_fast; /* stop at the first failure */
    bool must_see;  /* a rare path that is never seen fails */
    bool verbose;   /* how often each rare path was seen */
    bool json;
    bool anyway; /* replay on another commit */
    bool has_hash;
    uint64_t hash;                  /* expected */
    const char *program;            /* "motet sim" */
    const char *scenario;           /* as it was named; NULL: none */
    const struct points_plan *plan; /* crash points in the place of seeds */
};

enum { RUNS_JOBS_MAX = 64 };

/* Exit codes, the table of all commands is in tools/. */
enum {
    EXIT_SIM_USAGE = 2,
    EXIT_SIM_UNSAFE = 8,
    EXIT_SIM_NO_VERDICT = 9,
    EXIT_SIM_STUCK = 10,
    EXIT_SIM_DIFFERS = 11,
};

/** Runs all seeds in `jobs` processes. @return exit code */
int runs_run(const struct runs *r);

/* Crash points, added up. */
struct points_tally {
    uint64_t faulted[POINT_FAULT_COUNT];
    uint64_t ended[POINT_END_COUNT];
    uint64_t outage_ns, outage_of; /* the longest, and of which case */
};

/* ---- points_runs.c */

/** Says what will be run; with r->json the beginning of an object. */
void points_begin(const struct runs *r);
void points_take(struct points_tally *t, const struct points_plan *plan,
                 const struct sim_report *r);
/** Says on stdout what was done. */
void points_sum(const struct points_tally *t, const struct points_plan *plan);
/** Runs one crash point, with its trace if opt.trace. @return exit code */
int runs_point(const struct runs *r, const struct point *p);

/** Repeats the seed `first`, with its trace if opt.trace. @return exit code */
int runs_replay(const struct runs *r);

/** Prints what was violated, the first of each promise. */
void runs_print_failure(FILE *out, const struct runs *r,
                        const struct sim_report *report);

#endif
