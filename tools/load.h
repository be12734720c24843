#ifndef TOOLS_LOAD_H
#define TOOLS_LOAD_H

#include "client.h"
#include "nucleus/base/histogram.h"

/* Many calls or sends from one port, at a rate or as fast as their window
 * allows, each with its outcome; and the check of what came back. */

enum {
    LOAD_IN_FLIGHT_MAX = 8192,
    LOAD_ANNEX_BYTES = 20, /* of a numbered message: see load_number() */
};

struct load {
    struct client *client;
    struct motet_dest to;
    bool send; /* one way; else calls */
    const void *body;
    size_t size;
    bool own_body;  /* the body of each is its number, in decimal */
    bool numbered;  /* the annex of each holds its number */
    bool verify;    /* of calls: replies, and their order */
    uint64_t count; /* how many; 0 = as `for_ns` and the rate say */
    uint64_t for_ns;
    uint64_t rate; /* per second; 0 = as the window allows */
    uint64_t window;
    uint64_t deadline_ns; /* of each */
    void (*each_second)(const struct load *l, void *user);
    /* Each that was done, as it ends; may be NULL. */
    void (*each_done)(const struct load *l, uint64_t due_ns, uint64_t end_ns);
    void *user;

    /* What came of it. */
    uint64_t begun;
    uint64_t ok;
    uint64_t refused;
    uint64_t maybe;
    uint64_t lost; /* ended with no outcome at all */
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t wrong;       /* replies that are not what was asked */
    uint64_t unexplained; /* of a counter: steps that were not ours */
    uint64_t elapsed_ns;
    enum motet_err first_err; /* of those that failed */
    struct histogram all;     /* time from when each was due to its end, ns */
    struct histogram second;  /* likewise since the last each_second() */
    uint64_t second_ok;
};

/** Runs it to its end: every message has its outcome, or its deadline is long
 * over. */
void load_run(struct load *l);

/** The number of a numbered message, and the run it belongs to.
 * @return false: it has none */
bool load_number(const void *annex, size_t size, uint64_t *run,
                 uint64_t *number);

#endif
