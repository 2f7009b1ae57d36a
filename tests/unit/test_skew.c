// links: kf-indexer
// What a producer reference time says of a camera's clock, and when it is not believed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/skew.h"

#define S INT64_C(1000000)
#define WRITTEN (INT64_C(1774942260) * S) // 2026-03-31T07:31:00Z
#define NTP_1970 UINT64_C(2208988800)

// A file written to last at WRITTEN, whose last fragment of half a second began to be captured
// 0.6 s before; the camera's clock then showed `skew_us` more than ours.
static struct skew_sight camera_sight(int64_t skew_us)
{
    int64_t shown_us = WRITTEN - 600000;
    uint64_t time_us = (uint64_t)(shown_us + skew_us) + NTP_1970 * S;
    return (struct skew_sight){
        .ntp = time_us / S << 32 | ((time_us % S << 32) / S),
        .shown_us = shown_us,
        .written_us = WRITTEN,
    };
}

static void assert_told(int64_t skew_us)
{
    struct skew_sight sight = camera_sight(skew_us);
    int64_t told_us;
    if (!skew_read(&sight, &told_us))
        fail_msg("%lld µs are not told", (long long)skew_us);
    assert_in_range(skew_us - told_us, 0, 1); // the fraction is rounded
}

static void assert_not_told(int64_t skew_us)
{
    struct skew_sight sight = camera_sight(skew_us);
    int64_t told_us;
    if (skew_read(&sight, &told_us))
        fail_msg("%lld µs are told as %lld", (long long)skew_us, (long long)told_us);
}

static void test_a_camera_s_time_is_told(void **state)
{
    (void)state;
    assert_told(0);
    assert_told(-30 * S);
    assert_told(30 * S);
    assert_told(-1 * S);
    assert_told(2 * S);
    assert_told(300 * S);
    assert_told(-7200 * S);
    // It began to count in 1970 when it was switched on.
    assert_told(100 * S - WRITTEN);
}

static void test_our_own_time_of_writing_is_none(void **state)
{
    (void)state;
    // What the recorder writes without reports is the time of the write: 0.6 s after shown_us.
    assert_not_told(600000);
    assert_not_told(600000 - 200000);
    assert_not_told(600000 + 200000);
    assert_told(600000 - 300000);
    assert_told(600000 + 300000);
}

static void test_what_is_no_date_is_not_believed(void **state)
{
    (void)state;
    struct skew_sight sight = camera_sight(0);
    int64_t told_us;
    sight.ntp = 0;
    assert_false(skew_read(&sight, &told_us));
    sight.ntp = UINT64_C(12345) << 32; // a camera that counts from its start
    assert_false(skew_read(&sight, &told_us));
    sight = camera_sight(-5 * S);
    sight.written_us = 0;
    assert_false(skew_read(&sight, &told_us));
    assert_not_told(INT64_C(400) * 86400 * S);
}

static void test_every_bit_pattern_is_read(void **state)
{
    (void)state;
    struct skew_sight sight = camera_sight(0);
    int64_t told_us;
    for (unsigned bit = 0; bit < 64; bit++) {
        sight.ntp = UINT64_C(1) << bit;
        skew_read(&sight, &told_us);
        sight.ntp = UINT64_MAX >> bit;
        skew_read(&sight, &told_us);
        sight.ntp = UINT64_MAX << bit;
        skew_read(&sight, &told_us);
    }
}

static void test_two_segments_must_agree(void **state)
{
    (void)state;
    struct skew skew = {0};
    int64_t us;
    assert_false(skew_get(&skew, 0, &us));
    skew_add(&skew, true, -5 * S, 10 * S);
    assert_false(skew_get(&skew, 10 * S, &us));
    skew_add(&skew, true, -5 * S + 300000, 20 * S);
    assert_true(skew_get(&skew, 20 * S, &us));
    assert_int_equal(us, -5 * S + 300000);
    // A step: once more to be confirmed.
    skew_add(&skew, true, 40 * S, 30 * S);
    assert_false(skew_get(&skew, 30 * S, &us));
    skew_add(&skew, true, 40 * S, 40 * S);
    assert_true(skew_get(&skew, 40 * S, &us));
    // A segment that tells nothing.
    skew_add(&skew, false, 0, 50 * S);
    assert_false(skew_get(&skew, 50 * S, &us));
    skew_add(&skew, true, 0, 60 * S);
    assert_false(skew_get(&skew, 60 * S, &us));
}

static void test_an_old_skew_is_forgotten(void **state)
{
    (void)state;
    struct skew skew = {0};
    int64_t us;
    skew_add(&skew, true, 7 * S, 10 * S);
    skew_add(&skew, true, 7 * S, 20 * S);
    assert_true(skew_get(&skew, 3600 * S, &us));
    assert_false(skew_get(&skew, 7300 * S, &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_camera_s_time_is_told),
        cmocka_unit_test(test_our_own_time_of_writing_is_none),
        cmocka_unit_test(test_what_is_no_date_is_not_believed),
        cmocka_unit_test(test_every_bit_pattern_is_read),
        cmocka_unit_test(test_two_segments_must_agree),
        cmocka_unit_test(test_an_old_skew_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
