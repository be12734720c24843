#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* motet-floor: what this machine gives to two processes with plain blocking
 * sockets and nothing else. Motet's own figures are divided by these, measured
 * in the same minute in the same layout. */

enum { FLOOR_SIZE_MAX = 16 << 20 };

enum floor_over { OVER_TCP, OVER_TLS, OVER_UDP, OVER_UNIX, OVER_COUNT };

struct floor_options {
    bool send; /* one way; else echo */
    enum floor_over over;
    bool batch; /* many messages to one write; of one way */
    bool two_cpus;
    size_t size;
    double seconds;
};

struct floor_result {
    uint64_t messages; /* echoed, or received at the other side */
    uint64_t lost;     /* of datagrams */
    double elapsed_s;
    double cpu_s; /* of both processes */
    double min_us, p50_us, p90_us, p99_us, max_us;
};

/* ---- main.c ---- */

/** Ends the program with a line on stderr. */
__attribute__((format(printf, 1, 2))) _Noreturn void floor_die(const char *fmt,
                                                               ...);
/** Ends it, and says why as OpenSSL or errno has it, unless `ok`. */
void floor_must(bool ok, const char *what);
double floor_now_s(void);

/** Round trips by `trip` until the time is over, each timed. */
void floor_ask(const struct floor_options *o, bool (*trip)(void *ctx),
               void *ctx, struct floor_result *r);

/* ---- The two sides: the parent measures, the child serves. One pair for each
 * kind of socket. */

struct floor_pair {
    /** Before the fork: sockets that both know. */
    void (*prepare)(const struct floor_options *o);
    /** The other side, until the first one ends. */
    void (*serve)(const struct floor_options *o);
    /** Fills in all but the CPU time. */
    void (*measure)(const struct floor_options *o, struct floor_result *r);
};

extern const struct floor_pair floor_stream;   /* TCP, TLS, unix */
extern const struct floor_pair floor_datagram; /* UDP */

#endif
