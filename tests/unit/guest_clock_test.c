#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tools/chaos_guest.h"

TestSuite(guest_clock, .timeout = 20);

#define MS 1000000ULL
#define S 1000000000ULL

static struct guest_clock *read_text(const char *text)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/tmp/guest_clock_test.%d",
                   (int)getpid());
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0);
    cr_assert_eq(fclose(f), 0);
    struct guest_clock *c = guest_clock_read(path);
    (void)unlink(path);
    cr_assert_not_null(c);
    return c;
}

static void expect(const struct guest_clock *c, uint64_t guest_ns,
                   uint64_t host_ns, const char *what)
{
    cr_expect_eq(guest_clock_host(c, guest_ns), host_ns, "%s: %llu", what,
                 (unsigned long long)guest_clock_host(c, guest_ns));
}

Test(guest_clock, a_boot_that_nobody_knows)
{
    struct guest_clock *c = read_text("boot 1\nat 1 2 3\nnonsense\n");
    cr_expect_not(guest_clock_boot(c, 2));
    cr_expect(guest_clock_boot(c, 1));
    guest_clock_free(c);
    cr_expect_null(guest_clock_read("/nowhere/x"));
}

/* The guest is 100 s behind at first, and loses 1 ms in a second. */
Test(guest_clock, runs_evenly_between_two_looks)
{
    struct guest_clock *c =
        read_text("boot 5\n"
                  "at 1000000000 101000000000 101000000000\n"
                  "at 2000000000 102001000000 102001000000\n");
    cr_assert(guest_clock_boot(c, 5));
    expect(c, 1 * S, 101 * S, "at a look");
    expect(c, 1500 * MS, 101 * S + 500 * MS + MS / 2, "between");
    expect(c, 500 * MS, 100 * S + 500 * MS, "before the first");
    expect(c, 3 * S, 103 * S + MS, "after the last");
    expect(c, UINT64_MAX, UINT64_MAX, "never");
    guest_clock_free(c);
}

Test(guest_clock, the_fastest_answer_of_a_while_is_believed)
{
    struct guest_clock *c =
        read_text("boot 5\n"
                  "at 1000000000 101000000000 101090000000\n" /* 90 ms */
                  "at 1100000000 101099900000 101100100000\n" /* 0.2 ms */
                  "at 1200000000 101150000000 101200000000\n");
    cr_assert(guest_clock_boot(c, 5));
    expect(c, 1 * S, 101 * S, "exactly, by the second look");
    guest_clock_free(c);
}

/* It stood still for 8 s, at 3 s of its own time. */
Test(guest_clock, a_standstill_is_a_jump)
{
    struct guest_clock *c =
        read_text("boot 5\n"
                  "at 2500000000 102500000000 102500000000\n"
                  "resume 111000000000\n"
                  /* asked before it stood still */
                  "at 3000500000 102900000000 111000900000\n"
                  "at 3100000000 111099900000 111100100000\n");
    cr_assert(guest_clock_boot(c, 5));
    expect(c, 2999 * MS, 102999 * MS, "just before");
    expect(c, 3001 * MS, 111001 * MS, "just after");
    expect(c, 9 * S, 117 * S, "a deadline that is far away");
    guest_clock_free(c);
}

Test(guest_clock, each_boot_begins_anew)
{
    struct guest_clock *c =
        read_text("boot 5\n"
                  "at 1000000000 101000000000 101000000000\n"
                  "boot 6\n"
                  "at 1000000000 201000000000 201000000000\n");
    cr_assert(guest_clock_boot(c, 5));
    expect(c, 2 * S, 102 * S, "the first");
    cr_assert(guest_clock_boot(c, 6));
    expect(c, 2 * S, 202 * S, "the second");
    guest_clock_free(c);
}
