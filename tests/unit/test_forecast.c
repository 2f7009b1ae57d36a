// links: kf-indexer
// The forecast: held against days that are played through one by one.
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "indexer/forecast.h"
#include "lib/core/alloc.h"

#define GB UINT64_C(1000000000)

static void assert_days(double got, double expected)
{
    if (fabs(got - expected) > 0.01)
        fail_msg("%g days, not %g", got, expected);
}

static void one_stream_fills_its_disk(void **state)
{
    (void)state;
    // 10 GB a day, 30 so far, room for 70 more: full in a week, and then ten days are held.
    const struct forecast_stream stream = {10.0 * GB, 30 * GB, 3, 30, 0};
    struct forecast forecast;
    forecast_make(&stream, 1, 70 * GB, &forecast);
    assert_days(forecast.full_days, 7);
    assert_days(forecast.history_days, 10);
    assert_days(forecast.bytes_per_day / GB, 10);
}

static void its_own_limits_may_come_first(void **state)
{
    (void)state;
    struct forecast forecast;
    const struct forecast_stream aged = {10.0 * GB, 30 * GB, 3, 8, 0};
    forecast_make(&aged, 1, 70 * GB, &forecast);
    assert_days(forecast.full_days, -1);
    assert_days(forecast.history_days, 8);
    const struct forecast_stream bounded = {10.0 * GB, 30 * GB, 3, 30, 60 * GB};
    forecast_make(&bounded, 1, 70 * GB, &forecast);
    assert_days(forecast.full_days, -1);
    assert_days(forecast.history_days, 6);
}

static void a_full_disk_holds_what_it_holds(void **state)
{
    (void)state;
    const struct forecast_stream streams[] = {
        {10.0 * GB, 50 * GB, 5, 30, 0}, {5.0 * GB, 10 * GB, 2, 2, 0}};
    struct forecast forecast;
    forecast_make(streams, 2, 0, &forecast);
    assert_days(forecast.full_days, 0);
    assert_days(forecast.history_days, 5); // the second one has its two days already
}

static void nothing_recorded_tells_nothing(void **state)
{
    (void)state;
    const struct forecast_stream stream = {0, 50 * GB, 5, 30, 0};
    struct forecast forecast;
    forecast_make(&stream, 1, GB, &forecast);
    assert_days(forecast.full_days, -1);
    assert_days(forecast.history_days, -1);
    forecast_make(NULL, 0, 0, &forecast);
    assert_days(forecast.bytes_per_day, 0);
}

// A thousandth of a day after the other: each stream grows until its age or its bytes stop it.
static double played_full_days(const struct forecast_stream *streams, size_t count, double room)
{
    for (int step = 0; step < 100000; step++) {
        double used = 0, days = step / 1000.0;
        for (size_t i = 0; i < count; i++) {
            double age = streams[i].age_days + days, bytes = (double)streams[i].bytes;
            bytes +=
                streams[i].bytes_per_day *
                (age < streams[i].keep_days ? days : streams[i].keep_days - streams[i].age_days);
            if (streams[i].max_bytes > 0 && bytes > (double)streams[i].max_bytes)
                bytes = (double)streams[i].max_bytes;
            used += bytes - (double)streams[i].bytes;
        }
        if (used > room)
            return days;
    }
    return -1;
}

static void random_archives_fill_as_they_do_when_played(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SEED=%u\n", seed);
    srand(seed);
    for (int round = 0; round < 100; round++) {
        struct forecast_stream streams[4];
        size_t count = 1 + (size_t)rand() % 4;
        for (size_t i = 0; i < count; i++) {
            double age = rand() % 20;
            streams[i] = (struct forecast_stream){.bytes_per_day = (double)(rand() % 50) * GB,
                .age_days = age,
                .keep_days = age + rand() % 30};
            streams[i].bytes = (uint64_t)(streams[i].bytes_per_day * age);
            if (rand() % 3 == 0)
                streams[i].max_bytes = streams[i].bytes + (uint64_t)(rand() % 500) * GB + 1;
        }
        uint64_t room = (uint64_t)(rand() % 1500) * GB + GB / 2;
        struct forecast forecast;
        forecast_make(streams, count, room, &forecast);
        assert_days(forecast.full_days, played_full_days(streams, count, (double)room));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_fills_its_disk),
        cmocka_unit_test(its_own_limits_may_come_first),
        cmocka_unit_test(a_full_disk_holds_what_it_holds),
        cmocka_unit_test(nothing_recorded_tells_nothing),
        cmocka_unit_test(random_archives_fill_as_they_do_when_played),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
