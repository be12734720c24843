#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "deploy/check/check.h"
#include "netmgr/core/netmgr.h"

/* A cluster in a simulated world: sites as they run in motetd, on virtual time,
 * with a network, faults and load drawn from a seed. The same seed gives the
 * same run on the same code, with any compiler.
 *
 * A run: the sites boot and join; faults and load for a while; then everything
 * heals (in half of the runs only a core of the sites: the others are dead or
 * cut off for ever), no new load begins, and progress is demanded. */

enum { SIM_SITES_MAX = 32, SIM_VIOLATIONS_MAX = 8 };

/* One run in so many kinds of weather. */
enum sim_preset {
    SIM_SWARM,  /* each seed draws which faults there are, and how many */
    SIM_CALM,   /* no faults; a dull network */
    SIM_LOSSY,  /* no crashes; loss, duplicates, reordering, delays, cuts */
    SIM_DEATHS, /* crashes and restarts on a good network */
    SIM_TIGHT,  /* as SIM_SWARM, and every limit is tiny */
    SIM_PRESET_COUNT
};

struct sim_options {
    enum sim_preset preset;
    enum net_transport transport;
    uint32_t sites;  /* 2 .. SIM_SITES_MAX; 0 = drawn, 3 to 7 */
    uint64_t for_ns; /* of faults and load; 0 = drawn, 20 to 60 s */
    FILE *trace;     /* what happens, a line each; NULL = nothing */
};

enum sim_verdict {
    SIM_PASS,
    SIM_UNSAFE, /* a promise was broken */
    SIM_STUCK,  /* something did not end, or there was no agreement: P8, P13 */
};

/* clang-format off */
#define SIM_FAULTS(X)                                                          \
    X(CRASH, "crash") X(PAUSE, "pause") X(CUT_ONE_WAY, "cut one way")          \
    X(CUT, "cut both ways") X(HALVES, "halves") X(RING, "ring") X(CLOG, "clog")\
    X(BREAK, "break") X(WEATHER, "weather") X(STRANGER, "stranger")            \
    X(TWIN, "twin") X(LEAVE, "leave")
/* clang-format on */
#define SIM_FAULT_ENUM(name, text) SIM_FAULT_##name,
enum sim_fault { SIM_FAULTS(SIM_FAULT_ENUM) SIM_FAULT_COUNT };
#undef SIM_FAULT_ENUM

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
    uint64_t faults[SIM_FAULT_COUNT];
    struct check_counts counts;
    uint32_t violations; /* all; these are kept: */
    struct check_violation kept[SIM_VIOLATIONS_MAX];
};

/** Runs one seed. The report is filled in whatever comes. A CHECK that fails
 * inside a site aborts the process. */
void sim_run(uint64_t seed, const struct sim_options *opt,
             struct sim_report *report);

/** "swarm", "calm" ...; NULL outside the list. Static. */
const char *sim_preset_name(enum sim_preset preset);
/** "crash" ... Static. */
const char *sim_fault_name(enum sim_fault fault);

#endif
