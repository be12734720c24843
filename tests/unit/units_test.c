#include <criterion/criterion.h>

#include "deploy/units/units.h"

TestSuite(units, .timeout = 10);

#define S 1000000000ULL

Test(units, refuse_what_is_no_quantity)
{
    static const char *const bad[] = {
        "",
        " 1s",
        "1 s",
        "-1s",
        "+1s",
        "1",
        "1x",
        "s",
        "1.s",
        ".5s",
        "1..s",
        "1.5",
        "1e3s",
        "0x1s",
        "1s ",
        "367000h",
        "1.12345678s",
        "99999999999999999999s",
        "18446744073709551616ns",
        "5124096h",
        "8784.5h",
    };
    uint64_t n;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cr_expect_not(unit_duration(bad[i], &n), "%s", bad[i]);
    }
}

Test(units, durations)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"1ns", 1},
        {"250us", 250000},
        {"50ms", 50000000},
        {"2s", 2 * S},
        {"1.5s", 3 * S / 2},
        {"0.25ms", 250000},
        {"1m", 60 * S},
        {"1min", 60 * S},
        {"2h", 7200 * S},
        {"8784h", 366 * 86400 * S},
    };
    uint64_t n;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        cr_expect(unit_duration(good[i].text, &n), "%s", good[i].text);
        cr_expect_eq(n, good[i].ns, "%s", good[i].text);
    }
}

Test(units, sizes)
{
    uint64_t n;

    cr_assert(unit_size("64", &n));
    cr_assert_eq(n, 64);
    cr_assert(unit_size("64KiB", &n));
    cr_assert_eq(n, 65536);
    cr_assert(unit_size("1.5K", &n));
    cr_assert_eq(n, 1536);
    cr_assert(unit_size("1024GiB", &n));
    cr_assert_not(unit_size("1025GiB", &n), "above 1 TiB");
    cr_assert_not(unit_size("1.5", &n), "half a byte");
    cr_assert_not(unit_size("64kb", &n));
    cr_assert_not(unit_size("-1", &n));
}

Test(units, rates)
{
    uint64_t n;

    cr_assert(unit_rate("2000/s", &n));
    cr_assert_eq(n, 2000);
    cr_assert(unit_rate("2000", &n));
    cr_assert_eq(n, 2000);
    cr_assert(unit_rate("120/m", &n));
    cr_assert_eq(n, 2);
    cr_assert(unit_rate("10000000/s", &n));
    cr_assert_not(unit_rate("10000001/s", &n), "too fast");
    cr_assert_not(unit_rate("0/s", &n), "never");
    cr_assert_not(unit_rate("30/m", &n), "less than one a second");
    cr_assert_not(unit_rate("5/h", &n));
}

Test(units, percent_and_counts)
{
    uint64_t n;

    cr_assert(unit_percent("1%", &n));
    cr_assert_eq(n, 10000);
    cr_assert(unit_percent("0.5%", &n));
    cr_assert_eq(n, 5000);
    cr_assert_not(unit_percent("101%", &n));
    cr_assert_not(unit_percent("1", &n));
    cr_assert(unit_count("1000000", &n));
    cr_assert_eq(n, 1000000);
    cr_assert_not(unit_count("1.5", &n));
    cr_assert_not(unit_count("1000000000000001", &n));
}

static void shows(const char *got, const char *want)
{
    cr_expect_str_eq(got, want);
}

Test(units, printed_durations)
{
    char text[UNIT_TEXT_MAX];

    shows(unit_ns(0, text), "0 ns");
    shows(unit_ns(999, text), "999 ns");
    shows(unit_ns(96000, text), "96 us");
    shows(unit_ns(3900000, text), "3.9 ms");
    shows(unit_ns(3920000, text), "3.92 ms");
    shows(unit_ns(39210000, text), "39.2 ms");
    shows(unit_ns(392100000, text), "392 ms");
    shows(unit_ns(1240 * S / 1000, text), "1.24 s");
    shows(unit_ns(131 * S, text), "2m 11s");
    shows(unit_age_ms(3999, text), "3s");
    shows(unit_age_ms(131000, text), "2m 11s");
    shows(unit_age_ms(3 * 3600000 + 4 * 60000, text), "3h 4m");
    shows(unit_age_ms(50 * 3600000ULL, text), "2d 2h");
}

Test(units, printed_sizes)
{
    char text[UNIT_TEXT_MAX];

    shows(unit_bytes(0, text), "0 B");
    shows(unit_bytes(1023, text), "1023 B");
    shows(unit_bytes(1024, text), "1 KiB");
    shows(unit_bytes(3174, text), "3.09 KiB");
    shows(unit_bytes(16 << 20, text), "16 MiB");
    shows(unit_bytes(5ULL << 30, text), "5 GiB");
}
