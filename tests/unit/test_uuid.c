// New identities: the layout of RFC 9562, and that none comes twice.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/uuid.h"

static void the_time_stands_first(void **state)
{
    (void)state;
    char text[UUID_TEXT_SIZE];
    // The RFC's own example: 2022-02-22 19:22:22 UTC is 0x017F22E279B0 milliseconds.
    uuid_make(INT64_C(1645557742000000), text);
    assert_int_equal(strlen(text), 36);
    assert_memory_equal(text, "017f22e2-79b0-7", 15);
    assert_non_null(strchr("89ab", text[19]));
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(text[i], '-');
        else
            assert_non_null(strchr("0123456789abcdef", text[i]));
    }
}

static void later_ones_sort_later(void **state)
{
    (void)state;
    char earlier[UUID_TEXT_SIZE], later[UUID_TEXT_SIZE];
    uuid_make(INT64_C(1774942200123000), earlier);
    uuid_make(INT64_C(1774942200124000), later);
    assert_true(strcmp(earlier, later) < 0);
}

static int compare(const void *left, const void *right)
{
    return strcmp(left, right);
}

static void none_comes_twice(void **state)
{
    (void)state;
    enum {
        COUNT = 1000
    };
    static char texts[COUNT][UUID_TEXT_SIZE];
    for (size_t i = 0; i < COUNT; i++)
        uuid_make(INT64_C(1774942200123000), texts[i]);
    qsort(texts, COUNT, UUID_TEXT_SIZE, compare);
    for (size_t i = 1; i < COUNT; i++)
        assert_string_not_equal(texts[i - 1], texts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_time_stands_first),
        cmocka_unit_test(later_ones_sort_later),
        cmocka_unit_test(none_comes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
