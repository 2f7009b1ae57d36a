// links: kf-webui
// Days as people count them: where they begin and end, also where a clock is put forward or back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "webui/civil.h"

#define HOUR_US (3600 * US_PER_SECOND)

static struct civil_zone zone_of(const char *text)
{
    struct civil_zone zone;
    if (!civil_parse_zone(text, &zone))
        fail_msg("%s is refused", text);
    return zone;
}

static int64_t day_of(const char *text)
{
    int64_t day;
    if (!civil_parse_day(text, &day))
        fail_msg("%s is refused", text);
    return day;
}

static int64_t time_of(const char *text)
{
    int64_t time_us;
    assert_true(time_parse(text, &time_us));
    return time_us;
}

static void days_at_an_offset(void **state)
{
    (void)state;
    struct civil_zone utc = zone_of("utc"), east = zone_of("+05:30"), west = zone_of("-08:00");
    int64_t day = day_of("2026-03-31");
    assert_true(civil_day_start(&utc, day) == time_of("2026-03-31T00:00:00Z"));
    assert_true(civil_day_start(&east, day) == time_of("2026-03-31T00:00:00+05:30"));
    assert_true(civil_day_start(&west, day) == time_of("2026-03-31T00:00:00-08:00"));
    assert_true(civil_day_of(&east, time_of("2026-03-31T00:00:00+05:30")) == day);
    assert_true(civil_day_of(&east, time_of("2026-03-31T00:00:00+05:30") - 1) == day - 1);
    assert_true(civil_day_of(&west, time_of("2026-03-31T23:59:59-08:00")) == day);
    struct civil_zone space = zone_of(" 05:30"); // an unescaped '+'
    assert_int_equal(space.offset_s, east.offset_s);
}

static void days_of_the_server(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    struct civil_zone local = zone_of("local");
    int64_t spring = day_of("2026-03-29"), autumn = day_of("2026-10-25");
    assert_true(civil_day_start(&local, spring) == time_of("2026-03-29T00:00:00+01:00"));
    assert_true(
        civil_day_start(&local, spring + 1) - civil_day_start(&local, spring) == 23 * HOUR_US);
    assert_true(
        civil_day_start(&local, autumn + 1) - civil_day_start(&local, autumn) == 25 * HOUR_US);
    assert_true(civil_day_of(&local, time_of("2026-10-25T23:59:59+01:00")) == autumn);
}

static void what_is_no_day_or_zone(void **state)
{
    (void)state;
    static const char *const days[] = {"", "2026-3-31", "2026-02-29", "2026-13-01", "2026-00-01",
        "2026-01-00", "1969-12-31", "9999-01-01", "2026-03-31T", "2026/03/31", "20260331ab"};
    static const char *const zones[] = {
        "", "cet", "+2:00", "+02", "+0200", "+02:60", "02:00+", "+19:00", "*02:00"};
    int64_t day;
    struct civil_zone zone;
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++)
        if (civil_parse_day(days[i], &day))
            fail_msg("%s is taken", days[i]);
    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
        if (civil_parse_zone(zones[i], &zone))
            fail_msg("%s is taken", zones[i]);
    char text[CIVIL_DAY_SIZE];
    civil_format_day(day_of("2028-02-29"), text);
    assert_string_equal(text, "2028-02-29");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_at_an_offset),
        cmocka_unit_test(days_of_the_server),
        cmocka_unit_test(what_is_no_day_or_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
