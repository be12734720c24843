#include <criterion/criterion.h>
#include <signal.h>

#include "nucleus/base/deadline.h"
#include "nucleus/base/prng.h"

TestSuite(deadline, .timeout = 10);

Test(deadline, none_is_never)
{
    struct mem m;
    struct deadlines d;
    struct deadline t = {0};
    mem_init(&m, 1 << 20);
    deadlines_init(&d, &m);
    cr_assert_eq(deadlines_next(&d), DEADLINE_NEVER);
    cr_assert_null(deadlines_pop(&d, UINT64_MAX));
    deadline_clear(&d, &t);
    cr_assert(deadline_set(&d, &t, DEADLINE_NEVER));
    cr_assert_not(deadline_armed(&t));
    cr_assert_eq(m.blocks, 0);
    deadlines_fini(&d);
}

Test(deadline, refuses_at_the_memory_cap)
{
    static struct deadline timers[1000];
    struct mem m;
    struct deadlines d;
    mem_init(&m, 2000);
    deadlines_init(&d, &m);
    uint32_t armed = 0;
    while (deadline_set(&d, &timers[armed], 1000 - armed)) {
        armed++;
        cr_assert_lt(armed, 1000, "the cap holds");
    }
    cr_assert_gt(armed, 0);
    cr_assert_not(deadline_armed(&timers[armed]));
    cr_assert_eq(d.count, armed);
    cr_assert(deadline_set(&d, &timers[0], 1), "moving needs no memory");
    cr_assert_eq(deadlines_pop(&d, 1), &timers[0]);
    cr_assert(deadline_set(&d, &timers[armed], 5), "room came back");
    deadlines_fini(&d);
    cr_assert_eq(m.blocks, 0);
}

Test(deadline, not_before_its_time)
{
    struct mem m;
    struct deadlines d;
    struct deadline t = {.kind = 3};
    mem_init(&m, 1 << 20);
    deadlines_init(&d, &m);
    cr_assert(deadline_set(&d, &t, 100));
    cr_assert(deadline_armed(&t));
    cr_assert_eq(deadlines_next(&d), 100);
    cr_assert_null(deadlines_pop(&d, 99));
    cr_assert_eq(deadlines_pop(&d, 100), &t);
    cr_assert_not(deadline_armed(&t));
    cr_assert_eq(t.kind, 3);
    cr_assert_eq(deadlines_next(&d), DEADLINE_NEVER);
    deadlines_fini(&d);
}

Test(deadline, ties_fire_in_the_order_armed)
{
    enum { TIMERS = 100 };
    struct mem m;
    struct deadlines d;
    struct deadline timers[TIMERS] = {0};
    mem_init(&m, 1 << 20);
    deadlines_init(&d, &m);
    for (uint32_t i = 0; i < TIMERS; i++) {
        cr_assert(deadline_set(&d, &timers[i], 10));
    }
    cr_assert(deadline_set(&d, &timers[0], 10), "armed again: the last now");
    for (uint32_t i = 1; i <= TIMERS; i++) {
        cr_assert_eq(deadlines_pop(&d, 10), &timers[i % TIMERS]);
    }
    deadlines_fini(&d);
    cr_assert_eq(m.blocks, 0);
}

enum { MODEL_TIMERS = 64 };

struct model {
    uint64_t at_ns[MODEL_TIMERS]; /* DEADLINE_NEVER = not armed */
    uint64_t order[MODEL_TIMERS];
};

static uint32_t first_of(const struct model *model)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < MODEL_TIMERS; i++) {
        if (model->at_ns[i] < model->at_ns[best] ||
            (model->at_ns[i] == model->at_ns[best] &&
             model->order[i] < model->order[best])) {
            best = i;
        }
    }
    return best;
}

static void change(struct deadlines *d, struct deadline *t, struct model *model,
                   uint64_t order, struct prng *p)
{
    const uint64_t i = prng_below(p, MODEL_TIMERS);
    if (prng_chance(p, 300000)) {
        deadline_clear(d, &t[i]);
        model->at_ns[i] = DEADLINE_NEVER;
        return;
    }
    const uint64_t at_ns = prng_below(p, 40); /* many ties */
    cr_assert(deadline_set(d, &t[i], at_ns));
    model->at_ns[i] = at_ns;
    model->order[i] = order;
}

Test(deadline, agrees_with_a_model)
{
    struct mem m;
    struct deadlines d;
    struct deadline timers[MODEL_TIMERS] = {0};
    struct model model;
    struct prng p;
    mem_init(&m, 1 << 20);
    deadlines_init(&d, &m);
    prng_init(&p, 1);
    for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
        model.at_ns[i] = DEADLINE_NEVER;
        model.order[i] = 0;
    }
    for (uint64_t step = 1; step < 50000; step++) {
        change(&d, timers, &model, step, &p);
        const uint32_t best = first_of(&model);
        cr_assert_eq(deadlines_next(&d), model.at_ns[best]);
        if (!prng_chance(&p, 400000)) {
            continue;
        }
        const uint64_t now_ns = prng_below(&p, 40);
        const bool due = model.at_ns[best] <= now_ns;
        cr_assert_eq(deadlines_pop(&d, now_ns), due ? &timers[best] : NULL);
        if (due) {
            model.at_ns[best] = DEADLINE_NEVER;
        }
        for (uint32_t i = 0; i < MODEL_TIMERS; i++) {
            cr_assert_eq(deadline_armed(&timers[i]),
                         model.at_ns[i] != DEADLINE_NEVER);
        }
    }
    deadlines_fini(&d);
    cr_assert_eq(m.blocks, 0);
}

Test(deadline, of_another_heap_is_a_bug, .signal = SIGABRT)
{
    struct mem m;
    struct deadlines a;
    struct deadlines b;
    struct deadline t = {0};
    struct deadline u = {0};
    mem_init(&m, 1 << 20);
    deadlines_init(&a, &m);
    deadlines_init(&b, &m);
    cr_assert(deadline_set(&a, &t, 1));
    cr_assert(deadline_set(&b, &u, 1));
    deadline_clear(&b, &t);
}
