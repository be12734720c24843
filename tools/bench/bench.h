#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <jansson.h>
#include <sched.h>

#include "judge.h"
#include "nucleus/base/histogram.h"
#include "tools/client.h"
#include "tools/options.h"

/* motet bench: one kind of measurement is one file with one struct bench_kind;
 * what they have in common is here. Who does what:
 *
 *   verbs.c    the words, what may be asked for
 *   run.c      again and again, with what it is compared to in between
 *   ask.c      bench actors of sites, several at a time
 *   user.c     the same by processes that are attached
 *   own.c      a cluster for one command only
 *   cost.c     processors: bound, counted
 *   floor.c    motet-floor
 *   print.c    what came out
 *   against.c  two results, one after the other
 *   judge.c    what may be concluded */

enum {
    BENCH_SITES_MAX = 16,
    BENCH_FLOORS_MAX = 4,
    BENCH_SIZES_MAX = 4,
    BENCH_NAME_BYTES = 32,
    BENCH_GROUP_BYTES = MOTET_NAME_MAX + 8, /* "bench.SITE" */
};

#define BENCH_SCHEMA "motet.bench/2"

struct bench_wish {
    const char *from;
    const char *to;
    const char *cpus;      /* "one", "two", or NULL */
    const char *size;      /* "64", "64KiB", "all" */
    const char *actors;    /* "supervisor", "user" */
    const char *transport; /* NULL: the cluster that runs, as it is */
    const char *save;
    const char *against;
    uint64_t for_ns;
    uint64_t warmup_ns;
    uint64_t window;
    uint64_t rate;
    uint64_t runs;
    uint64_t count; /* senders or receivers */
    uint64_t beside;
    bool insecure;
    bool floor;
    bool histogram;
};

/* What one measurement gave. */
struct bench_figures {
    uint64_t count;
    uint64_t elapsed_ns;
    uint64_t refused;
    uint64_t maybe;
    uint64_t beside;          /* bodies of the stream beside that arrived */
    uint64_t cpu_ns;          /* of all processes that took part */
    struct histogram latency; /* ns; empty if it is not measured */
    /* Where there is no histogram, as of the floor: 0 = not known. */
    uint64_t p50_ns, p90_ns, p99_ns;
};

/* The same again and again. */
struct bench_series {
    char name[BENCH_NAME_BYTES]; /* "motet", "raw TLS" */
    size_t runs;
    uint64_t rate_mhz[JUDGE_RUNS_MAX]; /* a thousandth per second */
    uint64_t p50_ns[JUDGE_RUNS_MAX];
    uint64_t p90_ns[JUDGE_RUNS_MAX];
    uint64_t p99_ns[JUDGE_RUNS_MAX];
    uint64_t cost_ns[JUDGE_RUNS_MAX]; /* of CPU, for one */
    uint64_t beside_mhz[JUDGE_RUNS_MAX];
    uint64_t count, refused, maybe;
    struct histogram latency;
};

struct bench_row {
    uint64_t size;
    struct bench_series own;
    struct bench_series floors[BENCH_FLOORS_MAX];
    size_t floor_count;
    struct judge_noise noise;
};

struct bench {
    const struct bench_wish *wish;
    const struct bench_kind *kind;
    struct cluster *cluster;
    struct client *client;
    const struct site_files *from;
    const struct site_files *to;
    bool tls;
    bool user;    /* actors */
    bool latency; /* is measured: within a turn of a site there is none */
    uint64_t window;
    const char *cpus;                  /* NULL: not bound */
    char transport[CLUSTER_WAY_BYTES]; /* of small messages: "tcp", "udp",
                                          "auto" */
    uint64_t sizes[BENCH_SIZES_MAX];
    size_t size_count;
    uint64_t families; /* of user actors until now */
    size_t ends;       /* of fan-in and fan-out: how many, besides the one */
    uint64_t beside;   /* size of the bodies of a stream beside; 0 = none */
};

struct bench_kind {
    const char *name;  /* "call" */
    const char *floor; /* of motet-floor: "echo", "send"; NULL: none */
    uint64_t window;   /* if none is said */
    unsigned sites;    /* that it needs */
    bool one_site;     /* both ends are on one */
    bool latency;
    bool fan;   /* --count says how many ends */
    bool sized; /* bodies have a size */
    /** @return EXIT_DONE; else it is told */
    enum exit_code (*measure)(struct bench *b, uint64_t size, uint64_t for_ns,
                              struct bench_figures *out);
    /** After the last one, whatever came of it; may be NULL. */
    void (*end)(struct bench *b);
};

extern const struct bench_kind bench_call;   /* call.c */
extern const struct bench_kind bench_send;   /* send.c */
extern const struct bench_kind bench_fanin;  /* fan.c */
extern const struct bench_kind bench_fanout; /* fan.c */
extern const struct bench_kind bench_local;  /* call.c */
extern const struct bench_kind bench_start;  /* start.c */

/* ---- run.c ---- */

/** One kind, as wished; told, printed, saved, compared.
 * @return what the command ends with */
enum exit_code bench_run(const struct bench_kind *kind,
                         const struct bench_wish *wish);

void bench_series_add(struct bench_series *s, const struct bench_figures *f);

/* ---- ask.c ---- */

struct bench_question {
    const struct site_files *site; /* whose bench actor is asked */
    char words[512];
    struct client_reply reply; /* to be freed when all is well */
};

/** Asks all at once, and waits for all. @return EXIT_DONE; else it is told and
 * there is no reply to free */
enum exit_code bench_ask(struct client *c, struct bench_question *q,
                         size_t count, uint64_t timeout_ns);
/** Likewise, and adds up what they measured: counts, CPU, latencies. */
enum exit_code bench_measure(struct bench *b, struct bench_question *q,
                             size_t count, uint64_t for_ns,
                             struct bench_figures *out);
/** A number of an answer; 0 if it is not there. */
uint64_t bench_number(const char *text, const char *key);
/** "GROUP.SITE". */
const char *bench_group(char text[BENCH_GROUP_BYTES], const char *group,
                        const struct site_files *site);
/** The other sites that run, at most `most`. @return how many */
size_t bench_others(const struct bench *b, const struct site_files *one,
                    const struct site_files *others[], size_t most);

/* ---- user.c ---- */

/* Processes attached to sites: `servers` take from one group, `clients` send or
 * call at once. */
struct bench_users {
    const struct site_files *servers[BENCH_SITES_MAX];
    const struct site_files *clients[BENCH_SITES_MAX];
    size_t server_count, client_count;
    bool send;
    bool all; /* each to all servers */
    uint64_t size;
    uint64_t for_ns;
};

enum exit_code bench_users(struct bench *b, const struct bench_users *u,
                           struct bench_figures *out);
/** One server and one client, on the sites of both ends. */
enum exit_code bench_two_users(struct bench *b, bool send, uint64_t size,
                               uint64_t for_ns, struct bench_figures *out);

/* ---- own.c ---- */

/** Runs `work` in a cluster that is made for it and removed after it, whatever
 * happens. */
enum exit_code bench_in_own(const struct bench_kind *kind,
                            const struct bench_wish *wish,
                            enum exit_code (*work)(const struct bench_kind *,
                                                   const struct bench_wish *));

/* ---- cost.c ---- */

/** CPU time of all sites of the cluster until now, ns. */
uint64_t cost_of_sites(const struct cluster *c);
/** CPU time of this process and its children that have ended. */
uint64_t cost_of_us(void);
uint64_t cost_of(pid_t pid);

/* Busy and all time of the machine. */
struct cost_machine {
    uint64_t busy_ns;
    uint64_t all_ns;
};
struct cost_machine cost_machine(void);

/** Binds the sites of both ends as motet-floor binds its own, if that is
 * wished.
 * @return false; it is told */
MUST_USE bool cost_pin(const struct bench *b);
void cost_unpin(const struct bench *b);
/** Binds this process to where the site is bound to. */
void cost_pin_to(const struct bench *b, const struct site_files *site);

/* ---- floor.c ---- */

/* Something below or beside Motet that it is compared to. */
struct bench_floor {
    char name[BENCH_NAME_BYTES];
    const char
        *over; /* of motet-floor; NULL: it is the same without --beside */
    bool batch;
};

/** What fits to the kind and its transport, the nearest first. */
size_t bench_floors(const struct bench *b,
                    struct bench_floor floors[BENCH_FLOORS_MAX]);
enum exit_code bench_floor(struct bench *b, const struct bench_floor *floor,
                           uint64_t size, uint64_t for_ns,
                           struct bench_figures *out);

/* ---- print.c ---- */

void print_head(const struct bench *b);
void print_row(const struct bench *b, const struct bench_row *row);
json_t *print_document(const struct bench *b, const struct bench_row *rows);

/* ---- against.c ---- */

/** Writes a result. @return false; it is told */
MUST_USE bool against_save(const char *path, const json_t *doc);
/** Compares with a result that was saved, or two of them.
 * @return EXIT_DONE: nothing is worse; EXIT_FAILED: something is;
 * EXIT_NO_VERDICT: too noisy, or nothing to compare; else it is told */
enum exit_code against(const json_t *now, const char *path, bool quiet);
enum exit_code against_files(const char *now, const char *before);

#endif
