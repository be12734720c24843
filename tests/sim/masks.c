/* Whole sites whose small messages go over UDP, in a dull network that loses
 * just these of the first 64 datagrams: each one, each one both ways, and each
 * pair. Counted from the start, that is while they connect and join; or from
 * when calls, sends and all else begins. Nothing but delay may come of it.
 *
 *     masks_test EVERY     of the pairs, each EVERY-th; 1: all
 *     masks_test SEED start|load LOST BACK     one run again, with its trace */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/sim/sim.h"

enum { FIRST = 64 };

static const uint64_t for_ns = 1500000000;

struct sweep {
    uint64_t runs;
    uint64_t broken;
    uint32_t least; /* datagrams that were counted in a run, one way */
};

static void run_seed(struct sweep *s, uint64_t seed,
                     const struct sim_mask *mask, FILE *trace)
{
    struct sim_report r;
    const struct sim_options opt = {.preset = SIM_CALM,
                                    .transport = NET_UDP,
                                    .sites = 2,
                                    .for_ns = for_ns,
                                    .trace = trace,
                                    .mask = mask};

    s->runs++;
    sim_run(seed, &opt, &r);
    for (int way = 0; way < 2; way++) {
        s->least = r.masked[way] < s->least ? r.masked[way] : s->least;
    }
    if (r.verdict == SIM_PASS) {
        return;
    }
    s->broken++;
    printf("masks_test %" PRIu64 " %s %016" PRIx64 " %016" PRIx64 ": P%d: %s\n",
           r.seed, mask->late ? "load" : "start", mask->lost[0], mask->lost[1],
           r.kept[0].promise, r.kept[0].text);
}

static void run(struct sweep *s, const struct sim_mask *mask)
{
    run_seed(s, s->runs + 1, mask, NULL);
}

static uint64_t bit(int i)
{
    return UINT64_C(1) << i;
}

static void singles(struct sweep *s, bool late)
{
    for (int i = 0; i < FIRST; i++) {
        run(s, &(struct sim_mask){late, {bit(i), 0}});
        run(s, &(struct sim_mask){late, {0, bit(i)}});
    }
}

static void pairs(struct sweep *s, bool late, int every)
{
    int n = 0;

    for (int i = 0; i < FIRST; i++) {
        for (int j = 0; j < FIRST; j++) {
            if (n++ % every != 0) {
                continue;
            }
            run(s, &(struct sim_mask){late, {bit(i), bit(j)}});
            if (i < j) {
                run(s, &(struct sim_mask){late, {bit(i) | bit(j), 0}});
                run(s, &(struct sim_mask){late, {0, bit(i) | bit(j)}});
            }
        }
    }
}

int main(int argc, char **argv)
{
    const int every = argc > 1 ? atoi(argv[1]) : 1;
    struct sweep s = {.least = UINT32_MAX};

    if (argc == 5) {
        const struct sim_mask mask = {
            .late = strcmp(argv[2], "load") == 0,
            .lost = {strtoull(argv[3], NULL, 16), strtoull(argv[4], NULL, 16)}};
        run_seed(&s, strtoull(argv[1], NULL, 10), &mask, stdout);
        return s.broken == 0 ? 0 : 1;
    }
    for (int late = 0; late < 2 && every > 0; late++) {
        singles(&s, late != 0);
        pairs(&s, late != 0, every);
    }
    printf("%" PRIu64 " runs, %" PRIu64 " broke a promise; at least %u "
           "datagrams each way\n",
           s.runs, s.broken, s.least);
    /* Else some of the masks have lost nothing. */
    return s.broken == 0 && s.runs > 0 && s.least >= FIRST ? 0 : 1;
}
