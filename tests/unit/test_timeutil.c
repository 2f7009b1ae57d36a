// Times as text and back, against published values (RFC 3339's own examples, known epochs).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

static void accepts(const char *text, int64_t expected_us)
{
    int64_t time_us = -1;
    if (!time_parse(text, &time_us))
        fail_msg("refused: %s", text);
    assert_int_equal(time_us, expected_us);
}

static void refuses(const char *text)
{
    int64_t time_us;
    if (time_parse(text, &time_us))
        fail_msg("accepted: %s", text);
}

static void test_rfc3339_examples(void **state)
{
    (void)state;
    // RFC 3339, 5.8
    accepts("1985-04-12T23:20:50.52Z", INT64_C(482196050520000));
    accepts("1996-12-19T16:39:57-08:00", INT64_C(851042397000000));
    accepts("1990-12-31T23:59:60Z", INT64_C(662688000000000));
    accepts("1990-12-31T15:59:60-08:00", INT64_C(662688000000000));
    accepts("2000-02-29T00:00:00Z", INT64_C(951782400000000));
}

static void test_forms_that_people_type(void **state)
{
    (void)state;
    accepts("0", 0);
    accepts("1700000000", INT64_C(1700000000000000));
    accepts("1700000000.123456", INT64_C(1700000000123456));
    accepts("1700000000.1234567", INT64_C(1700000000123456));
    accepts("2023-11-14T22:13:20+00:00", INT64_C(1700000000000000));
    accepts("2023-11-14T23:13:20 01:00", INT64_C(1700000000000000)); // an unescaped '+'
    accepts("2023-11-14 22:13:20z", INT64_C(1700000000000000));
}

static void test_what_is_no_time(void **state)
{
    (void)state;
    static const char *const table[] = {"", " ", "now", "-1", "1e9", "0x10", "1700000000.", ".5",
        "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13Z", "2023-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z", "2023-00-10T00:00:00Z",
        "2023-01-00T00:00:00Z", "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z",
        "2023-11-14T22:13:61Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+01",
        "2023-11-14T22:13:20Zx", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00",
        "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        refuses(table[i]);
}

static void test_format(void **state)
{
    (void)state;
    char text[TIME_TEXT_SIZE];
    time_format_utc(INT64_C(1700000000123456), text);
    assert_string_equal(text, "2023-11-14T22:13:20.123456Z");
    time_format_utc(INT64_C(1700000000000001), text);
    assert_string_equal(text, "2023-11-14T22:13:20.000001Z");
    time_format_utc(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999Z");
    time_format_day(INT64_C(1700006399999999), text);
    assert_string_equal(text, "2023-11-14");
    time_format_day(INT64_C(1700006400000000), text);
    assert_string_equal(text, "2023-11-15");
}

static void test_day_number(void **state)
{
    (void)state;
    assert_int_equal(time_day_number(0), 0);
    assert_int_equal(time_day_number(US_PER_DAY - 1), 0);
    assert_int_equal(time_day_number(US_PER_DAY), 1);
    assert_int_equal(time_day_number(-1), -1);
}

static void test_local_offset_over_a_change_of_clocks(void **state)
{
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    // 2025-10-26 01:00 UTC: summer time ends.
    assert_int_equal(time_local_offset(INT64_C(1761440399) * US_PER_SECOND), 7200);
    assert_int_equal(time_local_offset(INT64_C(1761440400) * US_PER_SECOND), 3600);
    setenv("TZ", "UTC", 1);
    tzset();
}

static void test_muldiv(void **state)
{
    (void)state;
    assert_int_equal(time_muldiv(10, 3, 4), 8); // 7.5 away from zero
    assert_int_equal(time_muldiv(-10, 3, 4), -8);
    assert_int_equal(time_muldiv(INT64_MAX / 2, 90000, 90000), INT64_MAX / 2);
    assert_int_equal(
        time_muldiv(INT64_C(1700000000000000), 90000, 1000000), INT64_C(153000000000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc3339_examples),
        cmocka_unit_test(test_forms_that_people_type),
        cmocka_unit_test(test_what_is_no_time),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_day_number),
        cmocka_unit_test(test_local_offset_over_a_change_of_clocks),
        cmocka_unit_test(test_muldiv),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
