#ifndef TOOLS_MEASURE_H
#define TOOLS_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"

/* Measurements between two sites, done by their bench actors; what they cost,
 * as the kernel counted it; and the floor below them. */

struct measure {
    bool send; /* one way; else calls */
    const struct site_files *from;
    const struct site_files *to;
    const char *to_group;
    uint64_t size;
    uint64_t seconds;
    uint64_t warmup_s;
    uint64_t window;
    uint64_t rate;    /* per second, 0 = as fast as it goes; of calls */
    const char *cpus; /* "one", "two": pin both processes; NULL = leave them */
};

struct measured {
    uint64_t count;
    uint64_t elapsed_ns;
    uint64_t rate;
    uint64_t refused;
    uint64_t maybe;
    uint64_t min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns; /* of calls */
    uint64_t cpu_us_per_million; /* of both processes; CELL_NONE if too few */
    uint64_t load_percent;       /* of the whole machine meanwhile */
};

/** @return EXIT_DONE; else it is told */
enum exit_code measure_run(struct client *c, const struct measure *m,
                           struct measured *out);

/** The same with plain sockets (motet-floor), secure or not. Told on failure.
 * Only count, rate, p50_ns, p99_ns and CPU are set. */
enum exit_code measure_floor(const struct measure *m, bool tls,
                             struct measured *out);

/** Asks the bench actor of a site; the text of its answer in `reply`. Told on
 * failure, also when the answer is "error=...". */
enum exit_code measure_ask(struct client *c, const char *site,
                           const char *words, uint64_t timeout_ns,
                           struct client_reply *reply);

/** A number of an answer; 0 if it is not there. */
uint64_t measure_number(const char *text, const char *key);

#endif
