// links: kf-supervisor
// Figures from ffmpeg's own lines, as version 5.1 writes them, and the clock from its `prft` boxes.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/buf.h"
#include "supervisor/probe_clock.h"
#include "supervisor/probe_stats.h"

static struct probe_stats stats;

static void begin(void)
{
    static const char *const head[] = {"#software: Lavf59.27.100", "#tb 0: 1/90000",
        "#media_type 0: video", "#codec_id 0: h264", "#dimensions 0: 1920x1080", "#sar 0: 0/1",
        "#tb 1: 1/8000", "#media_type 1: audio", "#codec_id 1: pcm_alaw", "#sample_rate 1: 8000",
        "#channel_layout_name 1: mono"};
    memset(&stats, 0, sizeof(stats));
    for (size_t i = 0; i < ARRAY_LENGTH(head); i++)
        probe_stats_line(&stats, head[i], 0);
}

static void feed(int64_t dts, int64_t pts, int size, bool is_key, bool is_timed, int64_t now_us)
{
    char line[128];
    snprintf(line, sizeof(line), "0, %10lld, %10lld,     3600, %8d, 0x59018ef7%s%s", (long long)dts,
        (long long)pts, size, is_key ? "" : ", F=0x0", is_timed ? ", S=1,       16" : "");
    probe_stats_line(&stats, line, now_us);
}

static void assert_near(double value, double expected)
{
    if (fabs(value - expected) > 0.001 * fabs(expected) + 1e-9)
        fail_msg("%f, not %f", value, expected);
}

static void test_headers(void **state)
{
    begin();
    const struct probe_track *video = &stats.tracks[0], *audio = &stats.tracks[1];
    assert_true(video->is_there && audio->is_there);
    assert_string_equal(video->codec, "h264");
    assert_int_equal(video->width, 1920);
    assert_int_equal(video->height, 1080);
    assert_string_equal(audio->codec, "pcm_alaw");
    assert_int_equal(audio->sample_rate, 8000);
    assert_string_equal(audio->layout, "mono");
    (void)state;
}

// `first_pts` of the first frame, which stands a tick before the next one.
static void expect_rates(int64_t first_pts)
{
    begin();
    feed(0, first_pts, 9000, true, false, 0);
    for (int i = 0; i < 100; i++)
        feed(1 + i * 7200, 1 + i * 7200, 1000, (i + 1) % 50 == 0, false, 0);
    const struct probe_track *video = &stats.tracks[0];
    assert_int_equal(video->frames, 101);
    assert_int_equal(video->keys, 3);
    assert_near(probe_track_span(video), 99 * 0.08);
    assert_near(probe_track_fps(video), 12.5);
    assert_near(probe_track_bitrate(video), 1000 * 8 * 12.5);
    assert_near(probe_track_key_frames(video), 50);
    assert_near(probe_track_key_seconds(video), 4);
    assert_false(video->is_reordered);
}

static void test_rates(void **state)
{
    expect_rates(INT64_MIN);
    expect_rates(0);
    (void)state;
}

static void test_b_frames(void **state)
{
    begin();
    feed(0, 7200, 10, true, false, 0);
    feed(3600, 18000, 10, false, false, 0);
    assert_false(stats.tracks[0].is_reordered);
    feed(7200, 10800, 10, false, false, 0);
    assert_true(stats.tracks[0].is_reordered);
    (void)state;
}

static void test_too_little(void **state)
{
    begin();
    assert_near(probe_track_fps(&stats.tracks[0]), 0);
    assert_near(probe_track_bitrate(&stats.tracks[0]), 0);
    feed(0, 0, 10, true, false, 0);
    assert_near(probe_track_fps(&stats.tracks[0]), 0);
    assert_near(probe_track_key_seconds(&stats.tracks[0]), 0);
    feed(0, 0, 10, true, false, 0); // the same time again
    assert_near(probe_track_fps(&stats.tracks[0]), 0);
    (void)state;
}

static void test_rubbish(void **state)
{
    static const char *const lines[] = {"", "#", "#tb", "#tb 0", "#tb 9: 1/2", "#tb -1: 1/2",
        "#tb 0: 0/0", "#dimensions 0: x", "#codec_id 7: h264", "x", "0", "0,", "0, 1", "0,1,2,3",
        "5, 0, 0, 0, 0, 0x0", "-1, 0, 0, 0, 5, 0x0", "0, a, b, c, d", "0, 1, 1, 1, -7, 0x1",
        "0, 99999999999999999999999, 1, 1, 1, 0x1"};
    begin();
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++)
        probe_stats_line(&stats, lines[i], 0);
    assert_int_equal(stats.tracks[0].frames, 0);
    assert_int_equal(stats.tracks[1].frames, 0);
    assert_int_equal(stats.tracks[0].tick_den, 0); // the last line about it made no sense
    (void)state;
}

static void test_more_frames_than_are_remembered(void **state)
{
    begin();
    for (int i = 0; i < PROBE_STATS_FRAMES_MAX + 10; i++)
        feed(i * 90, i * 90, 1, true, true, 1);
    assert_int_equal(stats.tracks[0].frames, PROBE_STATS_FRAMES_MAX + 10);
    (void)state;
}

static void test_descriptions(void **state)
{
    static const struct {
        const char *line, *profile;
        double fps;
    } table[] = {
        {"[info]   Stream #0:0: Video: h264 (High), yuv420p(progressive), 320x180, 25 fps, 25 tbr, "
         "90k tbn",
            "High", 25},
        {"[info]   Stream #0:0: Video: hevc (Main) (hev1 / 0x31766568), yuv420p(tv), 29.97 fps",
            "Main", 29.97},
        {"[info]   Stream #1:0: Video: h264 (avc1 / 0x31637661), yuv420p, 12 tbr", "", 0},
        {"[info]   Stream #0:0: Video: h264, none, 90k tbr, 90k tbn", "", 0},
        {"[info]   Stream #0:0 -> #0:0 (copy)", "", 0},
        {"Video: h264 (High), 25 fps", "", 0},
        {"Stream #0:0: Video: ", "", 0},
        {"Stream #0:0: Video: h264 (", "", 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        memset(&stats, 0, sizeof(stats));
        probe_stats_describe(&stats, table[i].line);
        assert_string_equal(stats.tracks[0].profile, table[i].profile);
        assert_near(stats.tracks[0].declared_fps, table[i].fps);
    }
    probe_stats_describe(&stats, "[info]   Stream #0:1: Audio: aac (LC), 48000 Hz, mono, fltp");
    assert_string_equal(stats.tracks[1].profile, "LC");
    (void)state;
}

// --- The clock ---

#define NTP_2026 UINT64_C(0xecf86aa6)
#define UTC_2026_US INT64_C(1766714406000000) // the same moment, 2025-12-26T02:00:06Z

static void put_box(struct buf *out, const char *type, size_t size)
{
    buf_put_u32(out, (uint32_t)(8 + size));
    buf_put(out, type, 4);
}

static void put_fragment(struct buf *out, uint64_t ntp)
{
    if (ntp != 0) {
        put_box(out, "prft", 24);
        buf_put_u32(out, 0x01000018);
        buf_put_u32(out, 1);
        buf_put_u64(out, ntp);
        buf_put_u64(out, 0);
    }
    put_box(out, "moof", 4);
    buf_put_zeros(out, 4);
    put_box(out, "mdat", 3);
    buf_put_zeros(out, 3);
}

static void test_clock(void **state)
{
    struct buf file = BUF_INIT;
    int64_t skew_us = 0;
    begin();
    put_box(&file, "ftyp", 0);
    put_fragment(&file, 0);
    put_fragment(&file, NTP_2026 << 32);
    put_fragment(&file, (NTP_2026 << 32) + UINT64_C(0x40000000)); // a quarter of a second on
    feed(0, 0, 1, true, false, UTC_2026_US - 9000000);            // its time was not known
    feed(1, 1, 1, true, true, UTC_2026_US + 300000);
    feed(2, 2, 1, true, true, UTC_2026_US + 250000 + 200000); // the least delayed
    assert_true(probe_clock_skew(file.data, file.size, &stats, &skew_us));
    assert_int_equal(skew_us, -200000);
    // Cut anywhere, it stays inside.
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *copy = xmalloc(size);
        memcpy(copy, file.data, size);
        probe_clock_skew(copy, size, &stats, &skew_us);
        free(copy);
    }
    buf_fini(&file);
    (void)state;
}

static void test_no_clock(void **state)
{
    struct buf file = BUF_INIT;
    int64_t skew_us = 0;
    begin();
    put_fragment(&file, NTP_2026 << 32);
    assert_false(probe_clock_skew(file.data, file.size, &stats, &skew_us));
    feed(0, 0, 1, true, false, UTC_2026_US); // ffmpeg's own time, not the camera's
    assert_false(probe_clock_skew(file.data, file.size, &stats, &skew_us));
    assert_false(probe_clock_skew(NULL, 0, &stats, &skew_us));
    buf_fini(&file);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_b_frames),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_more_frames_than_are_remembered),
        cmocka_unit_test(test_descriptions),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_no_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
