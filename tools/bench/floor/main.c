#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

enum {
    SECONDS_MAX = 600,
    WARM_UP = 1000,        /* round trips not counted, at most ... */
    SAMPLES_MAX = 1 << 22, /* round trips whose time is kept */
};

static const double warm_up_s = 0.1; /* ... and for so long at most */

void floor_die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fprintf(stderr, "motet-floor: ");
    (void)vfprintf(stderr, fmt, args);
    (void)fprintf(stderr, "\n");
    va_end(args);
    exit(1);
}

void floor_must(bool ok, const char *what)
{
    if (!ok) {
        const char *tls = ERR_reason_error_string(ERR_peek_error());
        floor_die("%s: %s", what, tls != NULL ? tls : strerror(errno));
    }
}

double floor_now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_s(int who)
{
    struct rusage u;
    (void)getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Binds this process to the nth processor that it may use. */
static void pin(size_t nth)
{
    cpu_set_t all;
    cpu_set_t one;
    floor_must(sched_getaffinity(0, sizeof all, &all) == 0, "processors");
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all) && nth-- == 0) {
            CPU_SET(cpu, &one);
            floor_must(sched_setaffinity(0, sizeof one, &one) == 0,
                       "processors");
            return;
        }
    }
    floor_die("two processors were asked for, but only one may be used");
}

/* -- round trips ----------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

static void warm_up(bool (*trip)(void *ctx), void *ctx)
{
    const double start = floor_now_s();
    for (int i = 0; i < WARM_UP && floor_now_s() - start < warm_up_s; i++) {
        floor_must(trip(ctx), "echo");
    }
}

void floor_ask(const struct floor_options *o, bool (*trip)(void *ctx),
               void *ctx, struct floor_result *r)
{
    static float samples[SAMPLES_MAX];
    warm_up(trip, ctx);
    const double cpu = cpu_s(RUSAGE_SELF);
    const double start = floor_now_s();
    double last = start;
    uint64_t count = 0;
    do {
        floor_must(trip(ctx), "echo");
        const double now = floor_now_s();
        samples[count % SAMPLES_MAX] = (float)((now - last) * 1e6);
        last = now;
        count++;
    } while (last - start < o->seconds);
    r->cpu_s = cpu_s(RUSAGE_SELF) - cpu; /* without the sorting */
    const size_t kept = count < SAMPLES_MAX ? (size_t)count : SAMPLES_MAX;
    qsort(samples, kept, sizeof samples[0], by_value);
    r->messages = count;
    r->elapsed_s = last - start;
    r->min_us = (double)samples[0];
    r->p50_us = (double)samples[kept / 2];
    r->p90_us = (double)samples[kept * 90 / 100];
    r->p99_us = (double)samples[kept * 99 / 100];
    r->max_us = (double)samples[kept - 1];
}

/* -- the two processes ----------------------------------------------------- */

static struct floor_result measure(const struct floor_options *o)
{
    const struct floor_pair *pair =
        o->over == OVER_UDP ? &floor_datagram : &floor_stream;
    struct floor_result r = {0};
    pair->prepare(o);
    const pid_t child = fork();
    floor_must(child >= 0, "fork");
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        pin(o->two_cpus ? 1 : 0);
        pair->serve(o);
        exit(0);
    }
    pin(0);
    const double cpu = cpu_s(RUSAGE_SELF);
    pair->measure(o, &r);
    if (r.cpu_s == 0) {
        r.cpu_s = cpu_s(RUSAGE_SELF) - cpu;
    }
    int status = 0;
    floor_must(waitpid(child, &status, 0) == child, "wait");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        floor_die("the other process failed");
    }
    r.cpu_s += cpu_s(RUSAGE_CHILDREN);
    return r;
}

/* -- words ----------------------------------------------------------------- */

static const char *const overs[OVER_COUNT] = {"tcp", "tls", "udp", "unix"};

static void report(const struct floor_options *o, const struct floor_result *r)
{
    const double messages = (double)(r->messages > 0 ? r->messages : 1);
    (void)printf("{\"what\":\"%s\",\"over\":\"%s\",\"batch\":%s,"
                 "\"cpus\":\"%s\",\"size\":%zu,\"messages\":%llu,"
                 "\"lost\":%llu,\"seconds\":%.6f,\"rate\":%.3f,",
                 o->send ? "send" : "echo", overs[o->over],
                 o->batch ? "true" : "false", o->two_cpus ? "two" : "one",
                 o->size, (unsigned long long)r->messages,
                 (unsigned long long)r->lost, r->elapsed_s,
                 (double)r->messages / r->elapsed_s);
    if (!o->send) {
        (void)printf("\"min_us\":%.3f,\"p50_us\":%.3f,\"p90_us\":%.3f,"
                     "\"p99_us\":%.3f,\"max_us\":%.3f,",
                     r->min_us, r->p50_us, r->p90_us, r->p99_us, r->max_us);
    }
    (void)printf("\"cpu_s_per_million\":%.6f}\n", r->cpu_s * 1e6 / messages);
}

_Noreturn static void usage(void)
{
    (void)fprintf(stderr,
                  "usage: motet-floor echo|send [--over tcp|tls|udp|unix] "
                  "[--batch yes|no] [--size BYTES] [--seconds S] "
                  "[--cpus one|two]\n");
    exit(64);
}

/* Which of the words it is. */
static size_t word(const char *text, const char *const words[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return i;
        }
    }
    usage();
}

static void set(struct floor_options *o, int key, const char *text)
{
    static const char *const no_yes[] = {"no", "yes"};
    static const char *const one_two[] = {"one", "two"};
    char *rest = NULL;
    switch (key) {
    case 'o':
        o->over = (enum floor_over)word(text, overs, OVER_COUNT);
        break;
    case 'b':
        o->batch = word(text, no_yes, 2) == 1;
        break;
    case 's':
        o->size = strtoul(text, &rest, 10);
        break;
    case 'd':
        o->seconds = strtod(text, &rest);
        break;
    case 'c':
        o->two_cpus = word(text, one_two, 2) == 1;
        break;
    default:
        usage();
    }
    if (rest != NULL && *rest != '\0') {
        usage();
    }
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"over", required_argument, NULL, 'o'},
        {"batch", required_argument, NULL, 'b'},
        {"size", required_argument, NULL, 's'},
        {"seconds", required_argument, NULL, 'd'},
        {"cpus", required_argument, NULL, 'c'},
        {0}};
    struct floor_options o = {
        .over = OVER_TLS, .batch = true, .size = 64, .seconds = 2};
    int key;
    if (argc < 2) {
        usage();
    }
    o.send = strcmp(argv[1], "send") == 0;
    o.two_cpus = o.send;
    if (!o.send && strcmp(argv[1], "echo") != 0) {
        usage();
    }
    while ((key = getopt_long(argc - 1, argv + 1, "", known, NULL)) != -1) {
        set(&o, key, optarg);
    }
    if (optind != argc - 1 || o.size < 1 || o.size > FLOOR_SIZE_MAX ||
        !(o.seconds > 0 && o.seconds <= SECONDS_MAX)) {
        usage();
    }
    (void)signal(SIGPIPE, SIG_IGN);
    const struct floor_result r = measure(&o);
    report(&o, &r);
    return 0;
}
