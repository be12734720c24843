#include <criterion/criterion.h>

#include "migration_world.h"
#include "nucleus/base/hash.h"
#include "sites/core/migration.h"

/* Built once as it is, and once with each of the bugs that are kept in the
 * machine under a macro: then the world must find it. */

TestSuite(migration_world, .timeout = 60);

enum { SEEDS = 4000 };

static const char *wrong_with(uint64_t seed)
{
    struct mw *w = mw_seed(seed);
    const char *wrong = w->wrong;
    free(w);
    return wrong;
}

#ifdef MIGRATION_HAS_BUG

Test(migration_world, the_bug_is_found)
{
    const char *wrong = NULL;
    uint64_t seed = 0;
    while (wrong == NULL && seed < SEEDS) {
        wrong = wrong_with(++seed);
    }
    cr_assert_not_null(wrong);
    cr_log_info("seed %llu: %s", (unsigned long long)seed, wrong);
}

#else

Test(migration_world, one_owner_whatever_happens)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const char *wrong = wrong_with(seed);
        cr_assert_null(wrong, "seed %llu: %s", (unsigned long long)seed, wrong);
    }
}

/* The weather is not so bad that nothing happens, nor so good. */
Test(migration_world, much_happens)
{
    uint32_t starts = 0, moved = 0, refused = 0, died = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct mw *w = mw_seed(seed);
        starts += w->starts;
        moved += w->moved;
        refused += w->refused;
        died += w->died;
        free(w);
    }
    cr_assert_gt(starts, 2000);
    cr_assert_gt(moved, 2000);
    cr_assert_gt(refused, 200);
    cr_assert(died > 40 && died < 160);
}

Test(migration_world, a_seed_repeats)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t hash[2];
        for (int i = 0; i < 2; i++) {
            struct mw *w = mw_seed(seed);
            hash[i] = hash_fold(w->nodes[0].trace.hash, w->nodes[1].trace.hash);
            cr_assert_gt(w->nodes[0].trace.count, 0);
            free(w);
        }
        cr_assert_eq(hash[0], hash[1]);
    }
}

#endif
