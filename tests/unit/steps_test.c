#include <criterion/criterion.h>
#include <string.h>

#include "deploy/sim/steps.h"
#include "nucleus/base/mem.h"

/* Transitions of moves, as sites tell of them: what must not happen first. */

TestSuite(steps, .timeout = 10);

enum { S = 7, D = 9, LIFE = 3 };

static struct step at(uint64_t site, enum mig_state from, enum mig_event event,
                      enum mig_state to)
{
    return (struct step){
        .site = site,
        .incarnation = LIFE,
        .xid = {.site = S, .incarnation = LIFE, .number = 1},
        .from = from,
        .event = event,
        .to = to,
        .port = {.hi = 1, .lo = 2},
        .epoch = 5,
    };
}

enum { ROWS = 8 };

/* All rows but the last are right. */
static const struct {
    const char *why; /* NULL: the last is right, too */
    struct {
        uint64_t site;
        enum mig_state from;
        enum mig_event event;
        enum mig_state to;
    } row[ROWS];
} cases[] = {
#define R(site, from, event, to)                   \
    {                                              \
        site, MIG_##from, MIG_ON_##event, MIG_##to \
    }
    {"is not in the table", {R(S, OWN, ACKED, NONE)}},
    {"is not in the table", /* a destination that takes over when it is sure */
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(D, PRP, ACKED, OWN)}},
    {"leads elsewhere", /* ... that takes over when its source is gone */
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(D, PRP, GONE, OWN)}},
    {"leads elsewhere", /* a source that resumes when its destination is gone */
     {R(S, OWN, START, FRZ), R(S, FRZ, PREPARED, FWD), R(S, FWD, GONE, OWN)}},
    {"does not go on", {R(S, OWN, START, FRZ), R(S, FWD, ACKED, NONE)}},
    {"does not go on", {R(S, OWN, START, FRZ), R(D, PRP, COMMITTED, OWN)}},
    {"does not go on", /* forgotten that it was activated */
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(S, FRZ, PREPARED, FWD),
      R(D, PRP, COMMITTED, OWN), R(D, NONE, COMMITTED, NONE)}},
    {"was begun before",
     {R(S, OWN, START, FRZ), R(S, FRZ, CANCELLED, OWN), R(S, OWN, START, FRZ)}},
    {"begins elsewhere", {R(D, OWN, START, FRZ)}},
    {"was never begun", {R(D, NONE, PREPARE, PRP)}},
    {"was held before",
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(D, PRP, ABORTED, NONE),
      R(D, NONE, PREPARE, PRP)}},
    {"was not committed",
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP),
      R(D, PRP, COMMITTED, OWN)}},
    {"was activated",
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(S, FRZ, PREPARED, FWD),
      R(D, PRP, COMMITTED, OWN), R(S, FWD, NEVER, OWN)}},
    {NULL,
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(S, FRZ, QUERIED, FRZ),
      R(S, FRZ, PREPARED, FWD), R(D, PRP, RETRY, PRP),
      R(D, PRP, COMMITTED, OWN), R(D, OWN, COMMITTED, OWN),
      R(S, FWD, ACKED, NONE)}},
    {NULL, /* an old offer, when it is forgotten what was activated */
     {R(S, OWN, START, FRZ), R(D, NONE, PREPARE, PRP), R(S, FRZ, PREPARED, FWD),
      R(D, PRP, COMMITTED, OWN), R(S, FWD, ACKED, NONE),
      R(S, NONE, PREPARED, NONE), R(D, OWN, PREPARE_BAD, OWN),
      R(D, NONE, PREPARE_BAD, NONE)}},
    {NULL, /* given up, and the other side hears of it late */
     {R(S, OWN, START, FRZ), R(S, FRZ, TIMEOUT, OWN), R(D, NONE, PREPARE, PRP),
      R(S, NONE, PREPARED, NONE), R(D, PRP, ABORTED, NONE),
      R(D, NONE, PREPARE_BAD, NONE)}},
#undef R
};

Test(steps, moves_as_they_may_and_may_not_go)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct mem mem;
        struct steps s;
        char why[STEP_WHY_MAX] = "";
        mem_init(&mem, SIZE_MAX);
        steps_init(&s, &mem);
        uint32_t rows = 0;
        while (rows < ROWS && cases[i].row[rows].site != 0) {
            rows++;
        }
        for (uint32_t k = 0; k < rows; k++) {
            const struct step e = at(cases[i].row[k].site, cases[i].row[k].from,
                                     cases[i].row[k].event, cases[i].row[k].to);
            const bool last = k + 1 == rows && cases[i].why != NULL;
            cr_expect_eq(steps_feed(&s, &e, why), !last, "%zu, row %u: %s", i,
                         k, why);
        }
        cr_expect(cases[i].why == NULL || strstr(why, cases[i].why) != NULL,
                  "%zu: %s", i, why);
        cr_expect_eq(s.count, rows);
        steps_fini(&s);
        cr_expect_eq(mem.used_bytes, 0);
    }
}

/* One move that goes to its end, or stays, at that epoch. */
static bool moves(struct steps *s, uint64_t number, uint64_t epoch, bool stays,
                  char why[STEP_WHY_MAX])
{
    struct step e[] = {
        at(S, MIG_OWN, MIG_ON_START, MIG_FRZ),
        at(D, MIG_NONE, MIG_ON_PREPARE, MIG_PRP),
        at(S, MIG_FRZ, MIG_ON_PREPARED, MIG_FWD),
        at(D, MIG_PRP, MIG_ON_COMMITTED, MIG_OWN),
    };
    if (stays) {
        e[1] = at(S, MIG_FRZ, MIG_ON_REFUSED, MIG_OWN);
    }
    bool ok = true;
    for (size_t i = 0; i < (stays ? 2 : ARRAY_LEN(e)); i++) {
        e[i].xid.number = number;
        e[i].epoch = epoch;
        ok = steps_feed(s, &e[i], why) && ok;
    }
    return ok;
}

Test(steps, epochs_rise)
{
    struct mem mem;
    struct steps s;
    char why[STEP_WHY_MAX] = "";
    mem_init(&mem, SIZE_MAX);
    steps_init(&s, &mem);
    cr_expect(moves(&s, 1, 5, false, why), "%s", why);
    cr_expect(moves(&s, 2, 6, true, why), "%s", why);
    cr_expect_not(moves(&s, 3, 7, false, why), "it stayed at 8");
    cr_expect(strstr(why, "used before") != NULL, "%s", why);
    cr_expect(moves(&s, 4, 8, false, why), "%s", why);
    steps_fini(&s);
}

Test(steps, of_another_life_of_the_source)
{
    struct mem mem;
    struct steps s;
    char why[STEP_WHY_MAX];
    struct step e = at(S, MIG_NONE, MIG_ON_QUERIED, MIG_NONE);
    mem_init(&mem, SIZE_MAX);
    steps_init(&s, &mem);
    e.incarnation = LIFE + 1;
    cr_expect_not(steps_feed(&s, &e, why));
    cr_expect(strstr(why, "another life") != NULL, "%s", why);
    steps_fini(&s);
}
