// links: kf-supervisor
// Pauses before restarts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/backoff.h"

static void test_pauses(void **state)
{
    static const struct {
        unsigned failures;
        int64_t least_ms, most_ms;
    } table[] = {{0, 800, 1200}, {1, 800, 1200}, {2, 1600, 2400}, {3, 3200, 4800}, {4, 6400, 9600},
        {5, 12800, 19200}, {6, 24000, 30000}, {7, 24000, 30000}, {4000000000, 24000, 30000}};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        assert_int_equal(backoff_delay_ms(table[i].failures, 0), table[i].least_ms);
        assert_int_equal(backoff_delay_ms(table[i].failures, UINT32_MAX), table[i].most_ms);
        int64_t middle_ms = backoff_delay_ms(table[i].failures, UINT32_MAX / 2);
        assert_true(middle_ms > table[i].least_ms && middle_ms <= table[i].most_ms);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
