#include "bench.h"
#include "tools/agree.h"
#include "tools/launch.h"
#include "tools/say.h"

/* motet bench start: from the start of a site's process until it and another
 * one agree on all, in a cluster of its own. */

static const uint64_t patience_ns = 20000000000;
static const uint64_t grace_ns = 2000000000;

static enum exit_code start_once(struct bench *b, struct bench_figures *out)
{
    struct site_files *site = &b->cluster->sites[b->cluster->count - 1];
    struct agree a;

    if (!launch_stop(b->cluster, site, grace_ns)) {
        return say_fail(EXIT_FAILED, "%s does not stop", site->name);
    }
    const uint64_t begin = clock_ns();
    if (!launch_start(b->cluster, site)) {
        return EXIT_FAILED;
    }
    cluster_count(b->cluster);
    if (!agree_wait(b->cluster, patience_ns, NULL, &a)) {
        launch_log(site);
        return say_fail(EXIT_STUCK, "%s did not become one of them",
                        site->name);
    }
    const uint64_t took = clock_ns() - begin;
    out->count++;
    out->elapsed_ns += took;
    out->cpu_ns += cost_of(site->process.pid);
    histogram_add(&out->latency, took);
    return EXIT_DONE;
}

static enum exit_code measure(struct bench *b, uint64_t size, uint64_t for_ns,
                              struct bench_figures *out)
{
    (void)size, (void)for_ns;
    *out = (struct bench_figures){0};
    histogram_init(&out->latency);
    return start_once(b, out);
}

const struct bench_kind bench_start = {
    .name = "start",
    .sites = 2,
    .latency = true,
    .measure = measure,
};
