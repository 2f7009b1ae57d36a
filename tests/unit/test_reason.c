// links: kf-supervisor
// The names of reasons: what others read in files and metrics.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/reason.h"

static void test_every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    assert_null(reason_name(REASON_NONE));
    for (enum reason one = REASON_NONE + 1; one < REASON_COUNT; one++) {
        assert_int_equal(
            strspn(reason_name(one), "abcdefghijklmnopqrstuvwxyz_"), strlen(reason_name(one)));
        for (enum reason other = one + 1; other < REASON_COUNT; other++)
            assert_string_not_equal(reason_name(one), reason_name(other));
    }
}

static void test_what_is_planned(void **state)
{
    (void)state;
    int planned = 0;
    for (enum reason reason = REASON_NONE; reason < REASON_COUNT; reason++)
        planned += reason_is_planned(reason);
    assert_int_equal(planned, 5);
    assert_true(reason_is_planned(REASON_STOPPED));
    assert_true(reason_is_planned(REASON_RELOAD));
    assert_true(reason_is_planned(REASON_RESTART));
    assert_true(reason_is_planned(REASON_DISABLED));
    assert_true(reason_is_planned(REASON_REMOVED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_reason_has_a_name_of_its_own),
        cmocka_unit_test(test_what_is_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
