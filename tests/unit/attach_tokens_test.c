#include <criterion/criterion.h>

#include "attach_ground.h"
#include "sites/host/attach_inside.h"

/* The outcome of a send goes where its port goes. There it must not be taken
 * for that of another send: so no two servers count from the same number. */

TestSuite(attach_tokens, .timeout = 20);

enum { SERVERS = 4 };

Test(attach_tokens, no_two_servers_count_from_the_same)
{
    uint64_t first[SERVERS];
    for (int i = 0; i < SERVERS; i++) {
        struct ground g;
        ground_start(&g);
        first[i] = g.attach->last_token;
        ground_stop(&g);
        cr_expect_gt(first[i], UINT32_MAX, "from anywhere");
        for (int k = 0; k < i; k++) {
            const uint64_t apart =
                first[i] > first[k] ? first[i] - first[k] : first[k] - first[i];
            cr_expect_gt(apart, UINT32_MAX);
        }
    }
}
