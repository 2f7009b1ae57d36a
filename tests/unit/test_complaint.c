// links: kf-supervisor
// How often a failure that goes on is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "supervisor/complaint.h"

static void test_once_and_then_hourly_with_a_count(void **state)
{
    struct complaint complaint = {0};
    unsigned untold, told = 0, said = 0;
    (void)state;
    for (int64_t second = 0; second <= 3 * 3600; second += 30) {
        if (!complaint_take(&complaint, REASON_REFUSED, second * US_PER_SECOND, &untold))
            continue;
        assert_int_equal(second % 3600, 0);
        assert_int_equal(untold, second ? 119 : 0);
        told++;
        said += untold + 1;
    }
    assert_int_equal(told, 4);
    assert_int_equal(said, 361); // none is lost
}

static void test_another_reason_is_news(void **state)
{
    struct complaint complaint = {0};
    unsigned untold;
    (void)state;
    assert_true(complaint_take(&complaint, REASON_REFUSED, 0, &untold));
    assert_false(complaint_take(&complaint, REASON_REFUSED, 1, &untold));
    assert_true(complaint_take(&complaint, REASON_TIMEOUT, 2, &untold));
    assert_int_equal(untold, 1);
    assert_false(complaint_take(&complaint, REASON_TIMEOUT, 3, &untold));
    complaint_end(&complaint);
    assert_true(complaint_take(&complaint, REASON_TIMEOUT, 4, &untold));
    assert_int_equal(untold, 0);
}

static void test_an_end_is_news_where_its_beginning_was_told(void **state)
{
    struct complaint complaint = {0};
    unsigned untold;
    (void)state;
    assert_false(complaint_was_told(&complaint, 0)); // there was none
    complaint_take(&complaint, REASON_TIMEOUT, 10, &untold);
    complaint_take(&complaint, REASON_TIMEOUT, 20, &untold);
    assert_true(complaint_was_told(&complaint, 10));
    assert_false(complaint_was_told(&complaint, 11)); // only what came untold
    complaint_end(&complaint);
    assert_false(complaint_was_told(&complaint, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_and_then_hourly_with_a_count),
        cmocka_unit_test(test_another_reason_is_news),
        cmocka_unit_test(test_an_end_is_news_where_its_beginning_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
