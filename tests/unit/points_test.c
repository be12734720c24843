#include <criterion/criterion.h>
#include <string.h>

#include "deploy/sim/points.h"

/* The stories of the crash points, and the names of their cases. */

TestSuite(points, .timeout = 100);

enum { FIRST = 100, LAST = 139, EVERY = 211 };

/* A move that is refused for a reason that passes is tried again: some of these
 * hand a call on to where its server is just going. */
Test(points, when_nothing_breaks_it_moves)
{
    for (uint64_t seed = FIRST; seed <= LAST; seed++) {
        const struct point p = {.transport = seed % 2 == 0 ? NET_TCP : NET_UDP};
        struct sim_options opt = {0};
        struct sim_report r;
        point_options(&p, &opt);
        sim_run(seed, &opt, &r);
        cr_expect_eq(r.point.end, POINT_MOVED, "seed %lu", (unsigned long)seed);
        cr_expect_eq(r.violations, 0, "seed %lu: %s", (unsigned long)seed,
                     r.kept[0].text);
        cr_expect_geq(r.steps, 5, "all of them are told");
    }
}

Test(points, each_case_has_a_name_of_its_own)
{
    static struct points_plan plan;
    char before[POINT_TEXT_MAX] = "";
    uint64_t faults = 0;
    cr_assert(points_plan(&plan, 3, 1U << NET_UDP, EVERY));
    cr_assert_gt(plan.count, 5000 / EVERY);
    for (uint64_t i = 1; i <= plan.count; i++) {
        const struct point p = points_case(&plan, i);
        struct point again;
        char text[POINT_TEXT_MAX];
        cr_assert(point_parse(point_text(&p, text), &again), "%s", text);
        cr_expect(again.port == p.port && again.transport == NET_UDP &&
                      again.fault == p.fault && again.event == p.event &&
                      again.packet == p.packet,
                  "%s", text);
        cr_expect_str_neq(text, before);
        memcpy(before, text, sizeof before);
        faults |= UINT64_C(1) << p.fault;
    }
    cr_expect_eq(faults, (UINT64_C(1) << POINT_FAULT_COUNT) - 1, "all kinds");
}
