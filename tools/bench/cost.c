#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "tools/say.h"

/* ---- CPU time --------------------------------------------------------------
 */

uint64_t cost_of(pid_t pid)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) != 0 ||
        clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t cost_of_sites(const struct cluster *c)
{
    uint64_t all = 0;

    for (size_t i = 0; i < c->count; i++) {
        if (c->sites[i].running) {
            all += cost_of(c->sites[i].process.pid);
        }
    }
    return all;
}

static uint64_t usage(int who)
{
    struct rusage u;

    (void)getrusage(who, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

uint64_t cost_of_us(void)
{
    return usage(RUSAGE_SELF) + usage(RUSAGE_CHILDREN);
}

struct cost_machine cost_machine(void)
{
    struct cost_machine m = {0, 0};
    unsigned long long t[8] = {0};
    const uint64_t tick_ns =
        UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    FILE *f = fopen("/proc/stat", "re");

    if (f == NULL) {
        return m;
    }
    int found = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0],
                       &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
    (void)fclose(f);
    for (int i = 0; i < found; i++) {
        m.all_ns += t[i] * tick_ns;
        m.busy_ns += i == 3 || i == 4 ? 0 : t[i] * tick_ns; /* idle, iowait */
    }
    return m;
}

/* ---- processors ------------------------------------------------------------
 */

static bool nth_processor(const cpu_set_t *all, size_t nth, cpu_set_t *one)
{
    CPU_ZERO(one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, all) && nth-- == 0) {
            CPU_SET(cpu, one);
            return true;
        }
    }
    return false;
}

/* The processor of a site: the first of ours for where calls come from, the
 * second for all others. */
static bool processor_of(const struct bench *b, const struct site_files *site,
                         const cpu_set_t *all, cpu_set_t *one)
{
    const bool second = site != b->from && strcmp(b->cpus, "two") == 0;

    return nth_processor(all, second ? 1 : 0, one);
}

bool cost_pin(const struct bench *b)
{
    cpu_set_t all;
    cpu_set_t one;

    if (b->cpus == NULL) {
        return true;
    }
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    for (size_t i = 0; i < b->cluster->count; i++) {
        const struct site_files *site = &b->cluster->sites[i];
        if (!site->running) {
            continue;
        }
        if (!processor_of(b, site, &all, &one)) {
            say_error("this machine has no two processors for us");
            say_hint("use one: --cpus one");
            return false;
        }
        if (sched_setaffinity(site->process.pid, sizeof all, &one) != 0) {
            say_error("cannot bind %s to a processor", site->name);
            return false;
        }
    }
    return true;
}

void cost_unpin(const struct bench *b)
{
    cpu_set_t all;

    if (b->cpus == NULL || sched_getaffinity(0, sizeof all, &all) != 0) {
        return;
    }
    for (size_t i = 0; i < b->cluster->count; i++) {
        if (b->cluster->sites[i].running) {
            (void)sched_setaffinity(b->cluster->sites[i].process.pid,
                                    sizeof all, &all);
        }
    }
}

void cost_pin_to(const struct bench *b, const struct site_files *site)
{
    cpu_set_t all;
    cpu_set_t one;

    if (b->cpus != NULL && sched_getaffinity(0, sizeof all, &all) == 0 &&
        processor_of(b, site, &all, &one)) {
        (void)sched_setaffinity(0, sizeof one, &one);
    }
}
