// links: kf-supervisor
// Media time against ours: what is a jump, and what is none. Second by second, as ffmpeg reports.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "supervisor/mediaclock.h"

#define S US_PER_SECOND

// What media time is at that second of the run; -1: no report comes.
typedef double (*media_fn)(int second);

// Runs the camera. Returns the second at which the run is ended, or 0.
static int run(struct mediaclock *clock, media_fn media, int from_s, int seconds)
{
    char *words = NULL;
    mediaclock_begin(clock);
    for (int second = 1; second <= seconds; second++) {
        int64_t now_us = (from_s + second) * S;
        double media_s = media(second);
        if (media_s >= 0)
            mediaclock_progress(clock, (int64_t)(media_s * S), now_us);
        if (mediaclock_judge(clock, now_us, &words)) {
            free(words);
            return second;
        }
    }
    return 0;
}

static double drifts(int second)
{
    return second * 1.0002;
}

static double drifts_back(int second)
{
    return second * 0.9998;
}

static double is_born_late(int second)
{
    return second < 4 ? 0 : second < 6 ? second - 3.5 : second + 0.8;
}

// Eight seconds of silence, then three in which all of it comes.
static double stalls_and_bursts(int second)
{
    if (second >= 100 && second < 108)
        return -1;
    return second >= 108 && second < 111 ? 99 + (second - 107) * 3.6 : second;
}

// Reports go on, but say the same.
static double stalls_with_reports(int second)
{
    return second >= 100 && second < 130 ? 100 : second;
}

static double catches_up_slowly(int second)
{
    if (second >= 100 && second < 109)
        return -1;
    double behind = 8 - (second - 109) * 0.4;
    return second >= 109 && behind > 0 ? second - behind : second;
}

static double sends_a_frame_in_ten_seconds(int second)
{
    return second / 10 * 10;
}

static double jumps_ahead_40(int second)
{
    return second < 100 ? second : second + 40;
}

static double jumps_back_40(int second)
{
    // ffmpeg squeezes what comes into ticks until time has caught up.
    return second < 100 ? second : second < 140 ? 100 + (second - 100) * 0.001 : second - 40;
}

static double is_set_30_ahead_early(int second)
{
    return second < 14 ? second : second + 30;
}

static double loses_five_seconds(int second)
{
    return second < 100 ? second : second < 105 ? -1 : second - 5;
}

static void test_what_is_no_jump(void **state)
{
    static const struct {
        const char *name;
        media_fn media;
    } table[] = {
        {"drift of 200 ppm", drifts},
        {"drift of -200 ppm", drifts_back},
        {"late birth", is_born_late},
        {"stall with a burst", stalls_and_bursts},
        {"stall with reports", stalls_with_reports},
        {"slow return", catches_up_slowly},
        {"a frame in ten seconds", sends_a_frame_in_ten_seconds},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct mediaclock clock = {0};
        int end = run(&clock, table[i].media, 1000, 24 * 3600);
        if (end != 0)
            fail_msg("%s: ended at %d s", table[i].name, end);
    }
}

static void test_what_is_a_jump(void **state)
{
    static const struct {
        const char *name;
        media_fn media;
        int second; // of the jump
    } table[] = {
        {"+40 s", jumps_ahead_40, 100},
        {"-40 s", jumps_back_40, 102},
        {"+30 s", is_set_30_ahead_early, 14},
        {"-5 s", loses_five_seconds, 105},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct mediaclock clock = {0};
        int end = run(&clock, table[i].media, 1000, 3600);
        if (end < table[i].second + 10 || end > table[i].second + 13)
            fail_msg("%s: ended at %d s", table[i].name, end);
    }
}

static double jumps_every_minute(int second)
{
    return second + second / 60 * 40;
}

static void test_a_habit_is_left_alone(void **state)
{
    struct mediaclock clock = {0};
    int now_s = 1000;
    (void)state;
    for (int i = 0; i < 3; i++) {
        int end = run(&clock, jumps_every_minute, now_s, 3000);
        assert_in_range(end, 70, 73);
        now_s += end;
    }
    int end = run(&clock, jumps_every_minute, now_s, 8000);
    assert_in_range(end, 3600 - 3 * 73, 3600 + 60);
}

static int run_disorder(struct mediaclock *clock, int from_s, int to_s, int every)
{
    char *words = NULL;
    mediaclock_begin(clock);
    for (int second = 1; second <= 600; second++) {
        mediaclock_progress(clock, second * S, second * S);
        if (second >= from_s && second <= to_s && second % every == 0)
            mediaclock_disorder(clock, second * S);
        if (mediaclock_judge(clock, second * S, &words)) {
            free(words);
            return second;
        }
    }
    return 0;
}

static void test_timestamps_that_go_backwards(void **state)
{
    struct mediaclock clocks[5] = {0};
    (void)state;
    assert_int_equal(run_disorder(&clocks[0], 2, 12, 1), 0); // the stir of the beginning
    assert_int_equal(run_disorder(&clocks[1], 2, 600, 1), 1 + 12 + 10);
    assert_int_equal(run_disorder(&clocks[2], 200, 205, 1), 0);
    assert_int_equal(run_disorder(&clocks[3], 200, 600, 1), 210);
    assert_int_equal(run_disorder(&clocks[4], 1, 600, 10), 0); // now and then
}

static void test_what_could_not_be_heard_is_forgiven(void **state)
{
    struct mediaclock clock = {0};
    char *words = NULL;
    (void)state;
    mediaclock_begin(&clock);
    for (int second = 1; second < 100; second++)
        mediaclock_progress(&clock, second * S, second * S);
    for (int second = 100; second < 109; second++)
        mediaclock_progress(&clock, (second + 10) * S, second * S);
    mediaclock_forgive(&clock, 109 * S);
    mediaclock_progress(&clock, 122 * S, 112 * S);
    assert_false(mediaclock_judge(&clock, 112 * S, &words));
    for (int second = 113; second <= 122; second++)
        mediaclock_progress(&clock, (second + 10) * S, second * S);
    assert_true(mediaclock_judge(&clock, 122 * S, &words));
    assert_string_equal(words, "media time has moved by +10.0 s against the clock");
    free(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_jump),
        cmocka_unit_test(test_what_is_a_jump),
        cmocka_unit_test(test_a_habit_is_left_alone),
        cmocka_unit_test(test_timestamps_that_go_backwards),
        cmocka_unit_test(test_what_could_not_be_heard_is_forgiven),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
