// links: kf-supervisor
// The set of streams that a command has disabled.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/disabled.h"

static void test_set_and_ask(void **state)
{
    // Names whose order as "CAMERA/STREAM" differs from that of the cameras alone.
    static const char *const names[][2] = {
        {"b", "sub"}, {"b", "main"}, {"b-1", "main"}, {"a", "main"}, {"b", "main2"}, {"b0", "m"}};
    struct disabled disabled = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        assert_false(disabled_has(&disabled, names[i][0], names[i][1]));
        assert_true(disabled_set(&disabled, names[i][0], names[i][1], true));
        assert_false(disabled_set(&disabled, names[i][0], names[i][1], true));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_true(disabled_has(&disabled, names[i][0], names[i][1]));
    assert_false(disabled_has(&disabled, "b", "mai"));
    assert_false(disabled_has(&disabled, "c", "main"));
    assert_int_equal(disabled.count, ARRAY_LENGTH(names));
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        assert_true(disabled_set(&disabled, names[i][0], names[i][1], false));
        assert_false(disabled_set(&disabled, names[i][0], names[i][1], false));
        for (size_t j = 0; j < ARRAY_LENGTH(names); j++)
            assert_int_equal(disabled_has(&disabled, names[j][0], names[j][1]), j > i);
    }
    disabled_fini(&disabled);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_and_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
