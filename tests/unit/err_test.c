#include <criterion/criterion.h>
#include <motet/err.h>
#include <stdint.h>
#include <string.h>

TestSuite(err, .timeout = 5);

Test(err, outside_the_list_is_unknown_and_may_have_run)
{
    const enum motet_err past = MOTET_E_COUNT;
    cr_assert_str_eq(motet_err_text(past), "unknown error");
    cr_assert_str_eq(motet_err_name(past), "UNKNOWN");
    cr_assert_eq(motet_err_ran(past), MOTET_RAN_MAYBE);
    cr_assert_str_eq(motet_err_text((enum motet_err)UINT32_MAX),
                     "unknown error");
}

Test(err, success_has_run)
{
    cr_assert_eq(motet_err_ran(MOTET_OK), MOTET_RAN_YES);
    cr_assert_str_eq(motet_err_name(MOTET_OK), "OK");
    cr_assert_str_eq(motet_err_text(MOTET_OK), "success");
}

Test(err, only_those_called_maybe_may_have_run)
{
    for (unsigned i = 1; i < MOTET_E_COUNT; i++) {
        const enum motet_err err = (enum motet_err)i;
        const bool maybe = strncmp(motet_err_name(err), "MAYBE_", 6) == 0;
        cr_expect_eq(motet_err_ran(err), maybe ? MOTET_RAN_MAYBE : MOTET_RAN_NO,
                     "%s", motet_err_name(err));
    }
}

Test(err, every_name_and_text_is_there_once)
{
    for (unsigned i = 0; i < MOTET_E_COUNT; i++) {
        const char *text = motet_err_text((enum motet_err)i);
        cr_assert_gt(strlen(text), 0, "error %u", i);
        cr_assert_neq(text[strlen(text) - 1], '.', "error %u", i);
        for (unsigned j = 0; j < i; j++) {
            const enum motet_err other = (enum motet_err)j;
            cr_expect_str_neq(motet_err_name((enum motet_err)i),
                              motet_err_name(other));
            cr_expect_str_neq(text, motet_err_text(other));
        }
    }
}
