#include <stdio.h>
#include <string.h>

#include "chaos.h"
#include "nucleus/base/hash.h"

/* Faults at random. All about a fault is drawn before the run, whatever the
 * sites will be doing then: so a list of faults can be cut down, and what is
 * left of it stays what it was. */

static const uint64_t ms = 1000000;
static const uint64_t second = 1000000000;

#define KIND(name, word, kind) [NEMESIS_##name] = {word, CHAOS_##kind},
static const struct {
    const char *word;
    enum chaos_kind kind;
} nemeses[NEMESIS_COUNT] = {NEMESES(KIND)};
#undef KIND

const char *nemesis_word(enum nemesis_kind kind)
{
    return (size_t)kind < NEMESIS_COUNT ? nemeses[kind].word : NULL;
}

enum chaos_kind nemesis_fault(enum nemesis_kind kind)
{
    return nemeses[kind].kind;
}

bool nemesis_of_word(const char *word, enum nemesis_kind *kind)
{
    for (size_t i = 0; i < NEMESIS_COUNT; i++) {
        if (strcmp(nemeses[i].word, word) == 0) {
            *kind = (enum nemesis_kind)i;
            return true;
        }
    }
    return false;
}

static uint32_t draw_site(struct prng *p, uint32_t count)
{
    return 1U << prng_below(p, count);
}

static uint64_t draw_cut_ns(struct prng *p)
{
    return prng_chance(p, 300000) ? prng_between(p, 50, 1000) * ms
                                  : prng_between(p, 1, 15) * second;
}

static void draw_pair(struct prng *p, uint32_t count, struct chaos_fault *f)
{
    const uint64_t a = prng_below(p, count);
    const uint64_t b = (a + 1 + prng_below(p, count - 1)) % count;
    f->sites = 1U << a;
    f->to = 1U << b;
}

static void draw_halves(struct prng *p, uint32_t count, struct chaos_fault *f)
{
    const uint32_t all = count >= 32 ? UINT32_MAX : (1U << count) - 1;
    f->sites = (uint32_t)prng_next(p) & all;
    f->to = all & ~f->sites;
    f->one_way = prng_chance(p, 200000);
}

/* A site and some, or all, of the others. */
static void draw_star(struct prng *p, uint32_t count, struct chaos_fault *f)
{
    const uint32_t all = count >= 32 ? UINT32_MAX : (1U << count) - 1;
    f->sites = draw_site(p, count);
    f->to = prng_chance(p, 500000)
                ? all & ~f->sites
                : (uint32_t)prng_next(p) & (uint32_t)prng_next(p) & all;
}

/* A site dies, or leaves in good order, and comes back after a while. Some lose
 * their state, or have a clock that jumps. */
static void draw_death(struct prng *p, uint32_t count, struct chaos_fault *f)
{
    const uint64_t draw = prng_below(p, 10);
    const uint64_t hurt = prng_below(p, 10);
    f->sites = draw_site(p, count);
    f->for_ns = prng_between(p, 500, 10000) * ms;
    if (draw < 2) {
        f->for_ns = prng_below(p, 10 * ms);
    } else if (draw < 4) {
        f->for_ns = prng_between(p, 10, 60) * second;
    }
    if (hurt < 2) {
        f->kind = hurt == 0 ? CHAOS_LOSE_STATE : CHAOS_ROLL_BACK;
    }
}

static void draw_site_fault(struct prng *p, uint32_t count,
                            struct chaos_fault *f)
{
    f->sites = draw_site(p, count);
    f->for_ns = prng_chance(p, 500000) ? prng_between(p, 5, 500) * ms
                                       : prng_between(p, 500, 10000) * ms;
}

static void draw_link_fault(struct prng *p, uint32_t count,
                            struct chaos_fault *f)
{
    draw_star(p, count, f);
    f->one_way = prng_chance(p, 300000);
    f->for_ns = prng_between(p, 1, 10) * second;
    if (f->kind == CHAOS_LOSS) {
        f->by = (int64_t)prng_between(p, 10000, 400000);
        f->burst = (uint32_t)prng_between(p, 1, 8);
    } else if (f->kind == CHAOS_DELAY) {
        f->by = (int64_t)(prng_between(p, 1, 300) * ms);
    } else {
        f->by = (int64_t)prng_between(p, 1000, 50000);
    }
}

static void draw_fault(enum nemesis_kind kind, struct prng *p, uint32_t count,
                       struct chaos_fault *f)
{
    switch (kind) {
    case NEMESIS_KILL:
    case NEMESIS_RESTART:
        draw_death(p, count, f);
        break;
    case NEMESIS_ONE_WAY:
    case NEMESIS_CUT:
        draw_pair(p, count, f);
        f->one_way = kind == NEMESIS_ONE_WAY;
        f->for_ns = draw_cut_ns(p);
        break;
    case NEMESIS_HALVES:
        draw_halves(p, count, f);
        f->for_ns = draw_cut_ns(p);
        break;
    case NEMESIS_RING:
        f->for_ns = draw_cut_ns(p);
        break;
    case NEMESIS_CLOG:
        draw_star(p, count, f);
        f->for_ns = prng_between(p, 50, 3000) * ms;
        break;
    case NEMESIS_BREAK:
        draw_pair(p, count, f);
        break;
    case NEMESIS_STRANGER:
        f->sites = draw_site(p, count);
        break;
    case NEMESIS_LOSS:
    case NEMESIS_DELAY:
    case NEMESIS_CORRUPT:
        draw_link_fault(p, count, f);
        break;
    case NEMESIS_PAUSE:
    case NEMESIS_TWIN:
    case NEMESIS_SLOW:
    case NEMESIS_STUCK:
    case NEMESIS_DISK_FULL:
        draw_site_fault(p, count, f);
        break;
    case NEMESIS_WEATHER:
    case NEMESIS_COUNT:
    default:
        break;
    }
}

void nemesis_draw(enum nemesis_kind kind, uint64_t seed, uint32_t site_count,
                  uint64_t for_ns, uint64_t mean_ns, struct chaos_faults *list)
{
    struct prng p;
    prng_init(&p, hash_fold(seed, 1000 + (uint64_t)kind));
    uint64_t at_ns = prng_exponential(&p, mean_ns);
    for (unsigned i = 1; at_ns < for_ns; i++) {
        struct chaos_fault f = {.kind = nemeses[kind].kind, .at_ns = at_ns};
        f.dice = prng_next(&p);
        draw_fault(kind, &p, site_count, &f);
        (void)snprintf(f.name, sizeof f.name, "%s-%u", nemeses[kind].word, i);
        if (!chaos_add(list, &f)) {
            return; /* CHAOS_FAULTS_MAX: enough of them */
        }
        at_ns += 1 + prng_exponential(&p, mean_ns);
    }
}
