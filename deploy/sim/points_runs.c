#include <inttypes.h>

#include "nucleus/base/version.h"
#include "runs.h"

/* What is said of crash points: before, of one, and of all in the end. */

void points_take(struct points_tally *t, const struct points_plan *plan,
                 const struct sim_report *r)
{
    const struct point p = points_case(plan, r->seed);
    t->faulted[p.fault]++;
    t->ended[r->point.end]++;
    if (r->point.outage_ns > t->outage_ns) {
        t->outage_ns = r->point.outage_ns;
        t->outage_of = r->seed;
    }
}

void points_sum(const struct points_tally *t, const struct points_plan *plan)
{
    static const char *const ends[] = {"did not begin", "moved", "stayed",
                                       "died with a site"};
    char text[POINT_TEXT_MAX];
    printf("cases   ");
    for (uint32_t f = 0; f < POINT_FAULT_COUNT; f++) {
        printf(" %s %" PRIu64 "  ", point_fault_word((enum point_fault)f),
               t->faulted[f]);
    }
    printf("\nports   ");
    for (uint32_t i = 0; i < POINT_END_COUNT; i++) {
        if (t->ended[i] > 0) {
            printf(" %s %" PRIu64 "  ", ends[i], t->ended[i]);
        }
    }
    printf("\noutage   at most %" PRIu64 " ms after the heal",
           t->outage_ns / 1000000);
    if (t->outage_of != 0) {
        printf(", in ");
        const struct point p = points_case(plan, t->outage_of);
        (void)fputs(point_text(&p, text), stdout);
    }
    putchar('\n');
}

void points_begin(const struct runs *r)
{
    if (r->json) {
        printf("{\"schema\": \"motet.sim.crashpoints/1\", \"cases\": %" PRIu64
               ", \"commit\": \"%s\",\n  \"failures\": [",
               r->plan->count, version_commit());
        return;
    }
    printf("%" PRIu64 " crash points   build %s\n", r->plan->count,
           version_commit());
    points_print(r->plan);
}

int runs_point(const struct runs *r, const struct point *p)
{
    struct sim_options opt = r->opt;
    struct sim_report report;
    char text[POINT_TEXT_MAX];
    point_options(p, &opt);
    sim_run(1, &opt, &report);
    for (uint32_t i = 0; i < report.violations && i < SIM_VIOLATIONS_MAX; i++) {
        const struct check_violation *v = &report.kept[i];
        printf("%s  P%d %s: %s at ", i == 0 ? "FAIL" : "    ", v->promise,
               check_promise_name(v->promise), v->text);
        printf("%" PRIu64 " ms\n", v->now_ns / 1000000);
    }
    printf("%s: %s, answered %" PRIu64 " ms after the heal   trace hash "
           "%016" PRIx64 "\n",
           point_text(p, text),
           report.verdict == SIM_PASS ? "passed" : "failed",
           report.point.outage_ns / 1000000, report.hash);
    return report.verdict == SIM_UNSAFE  ? EXIT_SIM_UNSAFE
           : report.verdict == SIM_STUCK ? EXIT_SIM_STUCK
                                         : 0;
}
