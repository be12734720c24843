#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "deploy/chaos/scenario.h"
#include "deploy/check/check.h"
#include "netmgr/core/netmgr.h"
#include "sites/plugin/plugin.h"

/* A cluster in a simulated world: sites as they run in motetd, on virtual time,
 * with a network, faults and load drawn from a seed. The same seed gives the
 * same run on the same code, with any compiler.
 *
 * A run: the sites boot and join; faults and load for a while; then everything
 * heals (in half of the runs only a core of the sites: the others are dead or
 * cut off for ever), no new load begins, and progress is demanded. */

enum { SIM_SITES_MAX = 32, SIM_VIOLATIONS_MAX = 8, SIM_SEEN_MAX = 64 };

/* One run in so many kinds of weather. */
enum sim_preset {
    SIM_SWARM,  /* each seed draws which faults there are, and how many */
    SIM_CALM,   /* no faults; a dull network */
    SIM_LOSSY,  /* no crashes; loss, duplicates, reordering, delays, cuts */
    SIM_DEATHS, /* crashes and restarts on a good network */
    SIM_TIGHT,  /* as SIM_SWARM, and every limit is tiny */
    SIM_PRESET_COUNT
};

/* What the actors do. */
enum sim_workload {
    SIM_MESSAGES, /* send, call, forward, watch, join ... */
    SIM_MIGRATE,  /* the same, and their ports move, alone or with them */
    SIM_WORKLOAD_COUNT
};

/* What became of the one move of a run with a crash point. */
enum point_end {
    POINT_NOT_BEGUN,
    POINT_MOVED,
    POINT_STAYED,
    POINT_DIED, /* with the site that had its ports */
    POINT_END_COUNT
};

struct point_found {
    uint32_t events;    /* of the move: at both ends and between them */
    uint32_t packets;   /* between them, from its beginning to its end */
    uint64_t took_ns;   /* from its beginning to its end */
    uint64_t outage_ns; /* from the heal to an answered call */
    enum point_end end;
};

struct point;

struct sim_options {
    enum sim_preset preset;
    enum sim_workload workload;
    enum net_transport transport;
    uint32_t sites;  /* 2 .. SIM_SITES_MAX; 0 = drawn, 3 to 7 */
    uint64_t for_ns; /* of faults and load; 0 = drawn, 20 to 60 s */
    FILE *trace;     /* what happens, a line each; NULL = nothing */
    bool records;    /* what the sites note of themselves, too */
    const struct scenario *scenario;   /* NULL: sites and faults are drawn */
    const struct chaos_faults *faults; /* NULL: as drawn; else these instead */
    struct chaos_faults *drawn; /* NULL, or gives the faults: chaos_free() */

    const struct point *point; /* NULL, or: one move, and this that breaks */

    const struct plugin *plugin; /* runs on each site, instead of the load */
    const char *actor;           /* as it was named, to be told */

    /* Who listens; each may be NULL. */
    void *ctx;
    void (*on_event)(void *ctx, uint32_t site, const struct check_event *e);
    void (*on_accuse)(void *ctx, int promise, uint64_t now_ns, uint64_t site,
                      const char *text);
    /** 0: faults may begin; 1: all are healed; 2: it is over. */
    void (*on_phase)(void *ctx, uint64_t now_ns, int phase);
    void (*on_fault)(void *ctx, uint64_t now_ns, const struct chaos_fault *f,
                     bool begins);
};

enum sim_verdict {
    SIM_PASS,
    SIM_UNSAFE, /* a promise was broken */
    SIM_STUCK,  /* something did not end, or there was no agreement: P8, P13 */
};

struct sim_report {
    uint64_t seed;
    enum sim_verdict verdict;
    uint64_t hash; /* of everything that happened */
    uint32_t sites;
    bool core_only;      /* not all sites came back */
    uint64_t virtual_ns; /* length of the run */
    uint64_t agreed_ns;  /* from the heal to agreement */
    uint64_t packets;
    uint64_t datagrams; /* of paths, and how often those came and went */
    uint64_t paths_up, paths_down;
    uint64_t refused_joins; /* a site was told that it may not join */
    uint64_t rebirths;
    uint64_t steps; /* transitions of moves */
    uint64_t faults[CHAOS_KIND_COUNT];
    uint32_t seen[SIM_SEEN_MAX]; /* rare paths: seen.h */
    struct point_found point;    /* of a crash point */
    struct check_counts counts;
    uint32_t violations; /* all; these are kept: */
    struct check_violation kept[SIM_VIOLATIONS_MAX];
};

/** Runs one seed. The report is filled in whatever comes. A CHECK that fails
 * inside a site aborts the process. */
void sim_run(uint64_t seed, const struct sim_options *opt,
             struct sim_report *report);

/** What a run of that seed would be: its sites, its length, its faults; nothing
 * is run. The faults are opt->drawn. */
void sim_plan(uint64_t seed, const struct sim_options *opt, uint32_t *sites,
              uint64_t *for_ns);

/** "swarm", "calm" ...; NULL outside the list. Static. */
const char *sim_preset_name(enum sim_preset preset);

/** "messages", "migrate"; NULL outside the list. Static. */
const char *sim_workload_name(enum sim_workload workload);

/** The options of a scenario: its sites, its length, its network. Borrows it.
 */
void sim_of_scenario(const struct scenario *s, struct sim_options *opt);

#endif
