#include <criterion/criterion.h>
#include <signal.h>

#include "nucleus/base/check.h"
#include "nucleus/base/version.h"

TestSuite(check, .timeout = 5);

Test(check, what_is_false_aborts, .signal = SIGABRT)
{
    CHECK(1 + 1 == 3);
}

Test(check, what_is_true_does_nothing)
{
    CHECK(1 + 1 == 2);
}

Test(check, the_version_is_known)
{
    cr_assert_str_eq(version_text(), "0.1.0");
    cr_assert_str_not_empty(version_commit());
}
