// links: kf-supervisor
// Totals, gaps and rates over the lives of a stream, on a clock of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "supervisor/figures.h"

#define S US_PER_SECOND

static void progress(struct figures *figures, int64_t frames, int64_t second)
{
    const struct progress now = {.frames = frames, .duplicated = frames / 10, .dropped = 1};
    figures_progress(figures, &now, second * S, (1000 + second) * S);
}

static int64_t gap_s(const struct figures *figures, enum reason reason, int64_t second)
{
    return figures_gap_us(figures, reason, second * S) / S;
}

static void test_totals_go_on_over_runs(void **state)
{
    struct figures figures = {0};
    (void)state;
    figures_want(&figures, 0);
    figures_begin(&figures);
    progress(&figures, 20, 1);
    progress(&figures, 50, 2);
    figures_grow(&figures, 1000);
    assert_int_equal(figures.frames, 50);
    assert_int_equal(figures.last_frame_utc_us, 1002 * S);
    figures_end(&figures, REASON_CLOSED, true, 3 * S);
    figures_begin(&figures);
    assert_int_equal(figures.frames, 50);
    progress(&figures, 0, 4);
    assert_int_equal(figures.frames, 50);
    assert_int_equal(figures.last_frame_utc_us, 1002 * S); // no new frame
    progress(&figures, 30, 5);
    figures_grow(&figures, 500);
    progress(&figures, 10, 6); // a counter that falls says nothing
    assert_int_equal(figures.frames, 80);
    assert_int_equal(figures.duplicated, 5 + 3);
    assert_int_equal(figures.dropped, 1 + 1);
    assert_int_equal(figures.bytes, 1500);
    assert_int_equal(figures.last_frame_utc_us, 1005 * S);
}

static void test_a_gap_lasts_from_frame_to_frame(void **state)
{
    struct figures figures = {0};
    (void)state;
    figures_want(&figures, 0);
    figures_begin(&figures);
    progress(&figures, 25, 3); // the wait for the first frame ever is nobody's fault
    progress(&figures, 50, 4);
    figures_end(&figures, REASON_STALLED, true, 14 * S);
    assert_int_equal(gap_s(&figures, REASON_STALLED, 14), 10);
    assert_int_equal(gap_s(&figures, REASON_STALLED, 16), 12); // it goes on
    figures_begin(&figures);
    figures_end(&figures, REASON_REFUSED, true, 20 * S);
    assert_int_equal(gap_s(&figures, REASON_STALLED, 20), 16); // never falls
    assert_int_equal(gap_s(&figures, REASON_REFUSED, 25), 5);
    figures_begin(&figures);
    progress(&figures, 25, 30);
    assert_int_equal(gap_s(&figures, REASON_STALLED, 99), 16);
    assert_int_equal(gap_s(&figures, REASON_REFUSED, 99), 10);
    assert_int_equal(gap_s(&figures, REASON_NONE, 99), 0);
    assert_int_equal(figures.restarts[REASON_STALLED], 1);
    assert_int_equal(figures.restarts[REASON_REFUSED], 1);
    assert_int_equal(figures_restarts(&figures), 2);
}

// What ffmpeg counts when it gives up came before the silence, which the gap includes.
static void test_a_last_count_after_silence_is_of_before(void **state)
{
    struct figures figures = {0};
    (void)state;
    figures_want(&figures, 0);
    figures_begin(&figures);
    progress(&figures, 25, 3);
    progress(&figures, 50, 4);
    progress(&figures, 60, 14);
    progress(&figures, 60, 14); // "progress=end"
    figures_end(&figures, REASON_TIMEOUT, true, 14 * S);
    assert_int_equal(gap_s(&figures, REASON_TIMEOUT, 15), 10);
    assert_int_equal(figures.last_frame_utc_us, 1005 * S);
    // A silence that frames have ended is none of the end.
    figures_begin(&figures);
    progress(&figures, 25, 20);
    progress(&figures, 50, 27);
    progress(&figures, 75, 28);
    figures_end(&figures, REASON_CLOSED, true, 28 * S);
    assert_int_equal(figures.last_frame_utc_us, 1028 * S);
}

static void test_the_end_of_a_gap_tells_how_long_it_was(void **state)
{
    struct figures figures = {0};
    const struct progress some = {.frames = 25}, more = {.frames = 50};
    (void)state;
    figures_want(&figures, 10 * S);
    figures_begin(&figures);
    figures_end(&figures, REASON_TIMEOUT, true, 20 * S);
    assert_int_equal(gap_s(&figures, REASON_TIMEOUT, 20), 10); // it never had a frame
    figures_begin(&figures);
    figures_progress(&figures, &some, 70 * S, 0);
    assert_int_equal(figures.last_gap_us, 60 * S);
    figures_progress(&figures, &more, 71 * S, 0);
    assert_int_equal(figures.last_gap_us, 60 * S);
}

static void test_what_is_not_wanted_is_not_missing(void **state)
{
    struct figures figures = {0};
    (void)state;
    figures_want(&figures, 0);
    figures_begin(&figures);
    progress(&figures, 25, 1);
    figures_end(&figures, REASON_DISABLED, false, 3 * S);
    figures_unwant(&figures, 3 * S);
    assert_int_equal(gap_s(&figures, REASON_DISABLED, 1000), 2); // while it ended
    assert_int_equal(figures_restarts(&figures), 0);
    figures_want(&figures, 1000 * S);
    figures_begin(&figures);
    progress(&figures, 25, 1002);
    assert_int_equal(gap_s(&figures, REASON_DISABLED, 2000), 2);
}

static void test_rates_are_those_of_the_last_ten_seconds(void **state)
{
    struct figures figures = {0};
    (void)state;
    assert_true(figures_fps(&figures) == 0);
    figures_want(&figures, 0);
    figures_begin(&figures);
    for (int second = 0; second <= 20; second++) {
        progress(&figures, second * 25, second);
        figures_grow(&figures, second ? 4000 : 0);
        figures_tick(&figures, second * S);
        if (second > 0) {
            assert_float_equal(figures_fps(&figures), 25., 0.001);
            assert_float_equal(figures_bytes_per_second(&figures), 4000., 0.001);
        }
    }
    for (int second = 21; second <= 25; second++)
        figures_tick(&figures, second * S);
    assert_float_equal(figures_fps(&figures), 12.5, 0.001);
    for (int second = 26; second <= 30; second++)
        figures_tick(&figures, second * S);
    assert_true(figures_fps(&figures) == 0 && figures_bytes_per_second(&figures) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_go_on_over_runs),
        cmocka_unit_test(test_a_gap_lasts_from_frame_to_frame),
        cmocka_unit_test(test_a_last_count_after_silence_is_of_before),
        cmocka_unit_test(test_the_end_of_a_gap_tells_how_long_it_was),
        cmocka_unit_test(test_what_is_not_wanted_is_not_missing),
        cmocka_unit_test(test_rates_are_those_of_the_last_ten_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
