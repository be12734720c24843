#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "nucleus/base/ui.h"

TestSuite(ui, .timeout = 5);

static const uint64_t site = 0xfedcba9876543210;

Test(ui, a_serial_past_the_last_is_a_bug, .signal = SIGABRT)
{
    (void)ui_make(site, 1, UI_PORT, (uint32_t)UI_SERIAL_MAX + 1);
}

Test(ui, no_kind_is_a_bug, .signal = SIGABRT)
{
    (void)ui_make(site, 1, UI_NONE, 1);
}

Test(ui, an_unknown_kind_is_none)
{
    for (uint64_t kind = 0; kind < 16; kind++) {
        const struct motet_ui ui = {.hi = site, .lo = kind << 28 | 5};
        const bool known = kind > 0 && kind < UI_KIND_COUNT;
        cr_expect_eq(ui_kind(ui), known ? (enum ui_kind)kind : UI_NONE);
    }
    cr_assert_eq(ui_kind((struct motet_ui){0}), UI_NONE);
}

Test(ui, gives_back_its_parts)
{
    static const uint32_t serials[] = {0, 1, UI_SERIAL_MAX};
    static const enum ui_kind kinds[] = {UI_PORT, UI_GROUP, UI_ACTOR, UI_SITE,
                                         UI_CONTROL};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 5; k++) {
            const struct motet_ui ui =
                ui_make(site, UINT32_MAX, kinds[k], serials[i]);
            cr_assert_eq(ui_site(ui), site);
            cr_assert_eq(ui_incarnation(ui), UINT32_MAX);
            cr_assert_eq(ui_kind(ui), kinds[k]);
            cr_assert_eq(ui_serial(ui), serials[i]);
            cr_assert_eq(ui_is_group(ui), kinds[k] == UI_GROUP);
        }
    }
}

Test(ui, equal_means_both_words)
{
    const struct motet_ui ui = ui_make(site, 1, UI_PORT, 1);
    cr_assert(ui_equal(ui, ui));
    cr_assert_not(ui_equal(ui, ui_make(site, 1, UI_PORT, 2)));
    cr_assert_not(ui_equal(ui, ui_make(site, 2, UI_PORT, 1)));
    cr_assert_not(ui_equal(ui, ui_make(site + 1, 1, UI_PORT, 1)));
    cr_assert_not(ui_equal(ui, ui_make(site, 1, UI_ACTOR, 1)));
}

Test(ui, the_well_known_ones_outlive_an_incarnation)
{
    cr_assert_eq(ui_kind(ui_of_site(site)), UI_SITE);
    cr_assert_eq(ui_kind(ui_of_control(site)), UI_CONTROL);
    cr_assert_eq(ui_site(ui_of_control(site)), site);
    cr_assert_eq(ui_incarnation(ui_of_control(site)), 0);
    cr_assert_eq(ui_serial(ui_of_control(site)), 0);
}

Test(ui, a_name_is_a_static_group_without_a_site)
{
    const struct motet_ui ui = ui_of_name("echo");
    cr_assert_eq(ui_kind(ui), UI_STATIC_GROUP);
    cr_assert(ui_is_group(ui));
    cr_assert_eq(ui_site(ui), 0);
    cr_assert_eq(ui_incarnation(ui), 0);
    cr_assert_eq(ui_serial(ui), 0);
    cr_assert(ui_equal(ui, ui_of_name("echo")));
    cr_assert_not(ui_equal(ui, ui_of_name("echo2")));
    cr_assert_not(ui_equal(ui, ui_of_name("Echo")));
}

/* Part of the protocol: sites of different versions must agree for ever. */
Test(ui, the_ui_of_a_name_never_changes)
{
    const struct motet_ui ui = ui_of_name("echo");
    cr_assert_eq(ui.hi, 0x73e1b9858b8a4ea0, "%lx", (unsigned long)ui.hi);
    cr_assert_eq(ui.lo, 0x6875ae083002667f, "%lx", (unsigned long)ui.lo);
}

Test(ui, names_that_are_none)
{
    char name[MOTET_NAME_MAX + 2];
    static const char *const bad[] = {"",     " ",   "a b",  "a\n",
                                      "a:b",  "a*b", "\x7f", "caf\xc3\xa9",
                                      "a\\b", "@"};
    cr_assert_not(ui_name_ok(NULL));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_not(ui_name_ok(bad[i]), "\"%s\"", bad[i]);
    }
    memset(name, 'a', sizeof name);
    cr_assert_not(ui_name_ok(name), "one past, and no end in sight");
    name[MOTET_NAME_MAX + 1] = '\0';
    cr_assert_not(ui_name_ok(name), "one past");
    name[MOTET_NAME_MAX] = '\0';
    cr_assert(ui_name_ok(name), "at the limit");
}

Test(ui, names_that_are_some)
{
    static const char *const good[] = {"a",    "Z9",      "paris", "site/name",
                                       "$ctl", "a.b_c-d", "/",     "0"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_expect(ui_name_ok(good[i]), "\"%s\"", good[i]);
    }
}
