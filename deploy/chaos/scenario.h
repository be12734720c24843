#ifndef CHAOS_SCENARIO_H
#define CHAOS_SCENARIO_H

#include <stdio.h>

#include "chaos.h"

/* A scenario: sites, workload, faults at times, what must hold. Read from a
 * YAML file; the same file runs on every ground.
 *
 *   name: one-way-cut
 *   about: site1 reaches site2, but not the other way round
 *   sites: 3                  # 2 to 32: site1, site2, ...
 *   for: 20s                  # faults and load
 *   network: calm             # of the simulator: calm lossy deaths swarm tight
 *   transport: udp            # of small messages: tcp udp auto
 *   workload: {actors: 2, rate: 40/s}      # on each site
 *   actor: ./my-actor.so:arguments         # instead of the workload
 *   nemesis: [kill, cut]      # these besides, at random
 *   faults:
 *     - {at: 4s, fault: cut, from: site2, to: site1, one-way: yes, for: 8s}
 *     - {at: 5s, fault: kill, site: each, every: 3s, for: 2s}
 *     - {at: 6s, fault: loss, by: 30%, burst: 4, from: all, to: all, for: 5s}
 *   holds: {agree: 12s, settle: 20s, core: no, calls: 20}
 *   seed: 17                  # of a run that once failed
 *
 * A site is a name, a list of names, "all", "any" (one, drawn from the seed) or
 * "each" (the next one at each repetition). */

enum {
    SCENARIO_NAME_MAX = 64,
    SCENARIO_TEXT_MAX = 200,
    SCENARIO_LINES_MAX = 256, /* faults as written */
    SCENARIO_WHY_MAX = 512,
    SCENARIO_BYTES_MAX = 1 << 20, /* of a file */
};

enum scenario_network {
    NETWORK_SWARM, /* in the order of enum sim_preset */
    NETWORK_CALM,
    NETWORK_LOSSY,
    NETWORK_DEATHS,
    NETWORK_TIGHT,
    NETWORK_COUNT
};

enum scenario_pick { PICK_THESE, PICK_ANY, PICK_EACH };

/* A line of "faults". */
struct scenario_line {
    struct chaos_fault fault;
    enum scenario_pick pick;    /* of fault.sites */
    enum scenario_pick pick_to; /* of fault.to */
    uint64_t every_ns;          /* 0: once */
    uint32_t times;             /* 0: to the end */
};

struct scenario {
    char name[SCENARIO_NAME_MAX];
    char about[SCENARIO_TEXT_MAX];
    uint32_t sites;
    uint64_t for_ns;
    enum scenario_network network;
    char transport[8]; /* "tcp", "udp", "auto" */
    uint32_t actors;   /* on a site; 0 = drawn, or 1 */
    uint64_t rate;     /* operations of a site a second; 0 = drawn, or 25 */
    char actor[SCENARIO_TEXT_MAX]; /* of the user's; "" = the workload */
    uint32_t nemeses;              /* a bit for each enum nemesis_kind */
    struct scenario_line lines[SCENARIO_LINES_MAX];
    uint32_t line_count;
    uint64_t agree_ns;  /* after the heal; 0: 12 s */
    uint64_t settle_ns; /* for what is pending; 0: 20 s */
    bool core;          /* only a core of the sites heals */
    uint64_t calls_min; /* answered ones, or the run proves nothing */
    bool has_seed;
    uint64_t seed;
};

/** With the numbers of a scenario that says nothing. */
void scenario_init(struct scenario *s);

/**
 * Reads a file.
 *
 * @param why  on failure: "FILE line N: what is wrong; what to do";
 *             SCENARIO_WHY_MAX bytes
 */
bool scenario_read(struct scenario *s, const char *path, char *why);

/** All faults of a run, in the order of their times: repetitions written out,
 * "any" drawn, random ones added. Ownership: gives, chaos_free(). */
void scenario_faults(const struct scenario *s, uint64_t seed,
                     struct chaos_faults *list);

/** Writes it, with these faults for its own. */
void scenario_write(FILE *out, const struct scenario *s,
                    const struct chaos_faults *list);

/** 0, 1, 2 for "tcp", "udp", "auto", as enum net_transport; -1: no such word.
 */
int scenario_transport(const char *word);

/** "calm" and so on; NULL outside the list. */
const char *scenario_network_name(enum scenario_network network);

#endif
