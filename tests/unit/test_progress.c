// links: kf-supervisor
// ffmpeg's -progress, and its last words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/logcap.h"
#include "supervisor/progress.h"

static void test_blocks(void **state)
{
    // As ffmpeg 5.1 writes it with the segment muxer.
    static const char *const lines[] = {"frame=75", "fps=25.17", "stream_0_0_q=-1.0", "bitrate=N/A",
        "total_size=N/A", "out_time_us=2960000", "out_time_ms=2960000", "out_time=00:00:02.960000",
        "dup_frames=3", "drop_frames=4", "speed=0.99x", "progress=continue"};
    struct progress progress = {0};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        assert_int_equal(progress_line(&progress, lines[i]), i == ARRAY_LENGTH(lines) - 1);
    assert_int_equal(progress.frames, 75);
    assert_true(progress.fps > 25.16 && progress.fps < 25.18);
    assert_int_equal(progress.out_time_us, 2960000);
    assert_int_equal(progress.duplicated, 3);
    assert_int_equal(progress.dropped, 4);
    assert_false(progress.has_ended);
    assert_true(progress_line(&progress, "progress=end"));
    assert_true(progress.has_ended);
    (void)state;
}

static void test_nonsense_changes_nothing(void **state)
{
    static const char *const lines[] = {"", "=", "frame", "frame=", "frame=x", "frame=9x",
        "frame=99999999999999999999", "fps=nan", "fps=", "fps=1e999x", "out_time_us=N/A",
        "progress", "xprogress=end", " frame=9"};
    struct progress progress = {.frames = 5, .fps = 2.};
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        assert_false(progress_line(&progress, lines[i]));
    assert_int_equal(progress.frames, 5);
    assert_true(progress.fps > 1.99 && progress.fps < 2.01);
    assert_int_equal(progress.out_time_us, 0);
    (void)state;
}

static void test_lines_are_kept_and_counted(void **state)
{
    struct logcap *log = logcap_new();
    assert_null(logcap_last(log));
    assert_int_equal(logcap_add(log, "[rtsp @ 0x55d4e3a0b2c0] [error] one \r"), 1);
    assert_int_equal(logcap_add(log, "[rtsp @ 0x7f0000000000] [error] one"), 2);
    assert_int_equal(logcap_add(log, "two\x1b[31m"), 1);
    assert_int_equal(logcap_add(log, "not UTF-8: \xff\xc3\xa4"), 1);
    assert_int_equal(logcap_add(log, "UTF-8: \xc3\xa4"), 1);
    unsigned repeats;
    assert_int_equal(logcap_count(log), 4);
    assert_string_equal(logcap_line(log, 0, &repeats), "[rtsp] [error] one");
    assert_int_equal(repeats, 2);
    assert_string_equal(logcap_line(log, 1, &repeats), "two?[31m");
    assert_int_equal(repeats, 1);
    assert_string_equal(logcap_line(log, 2, &repeats), "not UTF-8: ???");
    assert_string_equal(logcap_last(log), "UTF-8: \xc3\xa4");
    logcap_free(log);
    (void)state;
}

static void test_lines_are_bounded(void **state)
{
    struct logcap *log = logcap_new();
    char text[2000];
    unsigned repeats;
    for (int i = 0; i < 250; i++) {
        snprintf(text, sizeof(text), "line %d", i);
        logcap_add(log, text);
    }
    assert_int_equal(logcap_count(log), 100);
    assert_string_equal(logcap_line(log, 0, &repeats), "line 150");
    assert_string_equal(logcap_line(log, 99, &repeats), "line 249");
    // 499 ASCII characters, then one of two bytes that does not fit as a whole.
    memset(text, 'x', 499);
    snprintf(text + 499, 100, "\xc3\xa4 and more");
    logcap_add(log, text);
    assert_int_equal(strlen(logcap_last(log)), 499);
    logcap_free(log);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_nonsense_changes_nothing),
        cmocka_unit_test(test_lines_are_kept_and_counted),
        cmocka_unit_test(test_lines_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
