// links: kf-supervisor
// What the next start learns from an end: the lines and ends of runs in, ways of recording out. The
// lines are ffmpeg 5.1's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/adapt.h"

#define COPY FFMPEG_AUDIO_COPY
#define AAC FFMPEG_AUDIO_AAC
#define NONE FFMPEG_AUDIO_NONE

static const char no_alaw[] = "[mp4 @ 0x557eca069e00] [error] Could not find tag for codec "
                              "pcm_alaw in stream #1, codec not currently supported in container";
static const char no_header[] = "[error] Could not write header for output file #0 (incorrect "
                                "codec parameters ?): Invalid argument";
static const char no_video_tag[] = "[mp4 @ 0x1] [error] Could not find tag for codec vp8 in stream "
                                   "#0, codec not currently supported in container";
static const char no_size[] = "[segment @ 0x55afe84229c0] [error] dimensions not set";
static const char no_data[] = "[warning] Finishing stream 0:1 without any data written to it.";
static const char no_decoder[] = "[fatal] Decoder (codec none) not found for input stream #0:0";
static const char no_encoder[] = "[fatal] Unknown encoder 'aac'";
static const char bad_encoder[] =
    "[error] Error while opening encoder for output stream #0:1 - maybe incorrect parameters such "
    "as bit_rate, rate, width or height";
static const char no_transport[] =
    "[rtsp @ 0x556667eeaa80] [error] method SETUP failed: 461 Unsupported transport";

// One run and what is to be done after it.
struct run {
    const char *lines[3];
    enum reason reason;
    bool has_frames;
    bool is_at_once;
    enum ffmpeg_audio audio;
    bool is_udp;
};

static void play(
    enum config_audio audio, enum config_transport transport, const struct run *runs, size_t count)
{
    const struct config_recording recording = {.audio = audio, .transport = transport};
    struct adapt adapt;
    adapt_reset(&adapt, &recording);
    for (size_t i = 0; i < count; i++) {
        char *news;
        adapt_begin(&adapt);
        for (size_t k = 0; k < ARRAY_LENGTH(runs[i].lines) && runs[i].lines[k] != NULL; k++)
            adapt_line(&adapt, runs[i].lines[k]);
        if (runs[i].has_frames)
            adapt_frame(&adapt);
        bool is_at_once = adapt_end(&adapt, &recording, runs[i].reason, &news);
        if (is_at_once != runs[i].is_at_once || adapt.way.audio != runs[i].audio ||
            adapt.way.is_udp != runs[i].is_udp)
            fail_msg("after run %zu: at once %d, audio %d, udp %d", i, is_at_once,
                (int)adapt.way.audio, adapt.way.is_udp);
        assert_int_equal(news != NULL, is_at_once);
        free(news);
    }
}

#define PLAY(audio, transport, ...)                                                                \
    do {                                                                                           \
        const struct run runs[] = {__VA_ARGS__};                                                   \
        play(audio, transport, runs, ARRAY_LENGTH(runs));                                          \
    } while (0)

static void test_the_first_start_is_as_configured(void **state)
{
    static const struct {
        enum config_audio audio;
        enum config_transport transport;
        enum ffmpeg_audio expected;
        bool is_udp;
    } table[] = {
        {CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP, COPY, false},
        {CONFIG_AUDIO_COPY, CONFIG_TRANSPORT_UDP, COPY, true},
        {CONFIG_AUDIO_AAC, CONFIG_TRANSPORT_AUTO, AAC, false},
        {CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_TCP, NONE, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        const struct config_recording recording = {
            .audio = table[i].audio, .transport = table[i].transport};
        struct adapt adapt;
        memset(&adapt, 0xff, sizeof(adapt));
        adapt_reset(&adapt, &recording);
        assert_int_equal(adapt.way.audio, table[i].expected);
        assert_int_equal(adapt.way.is_udp, table[i].is_udp);
        assert_false(adapt.way.is_substitute);
    }
    (void)state;
}

static void test_audio_that_mp4_refuses_is_encoded_and_stays_so(void **state)
{
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP,
        {{no_alaw, no_header}, REASON_CODEC, .is_at_once = true, .audio = AAC},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = AAC},
        {{NULL}, REASON_REFUSED, .audio = AAC}, {{NULL}, REASON_TIMEOUT, .audio = AAC});
    (void)state;
}

static void test_audio_that_can_not_be_encoded_is_left_out(void **state)
{
    static const char *const ends[] = {no_decoder, no_encoder, bad_encoder,
        "[error] Error reinitializing filters!",
        "[error] Cannot determine format of input stream 0:1 after EOF"};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP,
            {{no_alaw, no_header}, REASON_CODEC, .is_at_once = true, .audio = AAC},
            {{ends[i]}, REASON_UNKNOWN, .is_at_once = true, .audio = NONE},
            {{NULL}, REASON_CLOSED, .has_frames = true, .audio = NONE});
    PLAY(CONFIG_AUDIO_AAC, CONFIG_TRANSPORT_TCP,
        {{no_encoder}, REASON_UNKNOWN, .is_at_once = true, .audio = NONE});
    (void)state;
}

static void test_a_forced_copy_gives_way_to_video(void **state)
{
    PLAY(CONFIG_AUDIO_COPY, CONFIG_TRANSPORT_TCP,
        {{no_alaw, no_header}, REASON_CODEC, .is_at_once = true, .audio = NONE},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = NONE});
    (void)state;
}

static void test_other_ends_change_no_audio(void **state)
{
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP, {{NULL}, REASON_REFUSED, .audio = COPY},
        {{no_video_tag, no_header}, REASON_CODEC, .audio = COPY},
        {{no_size, no_header}, REASON_NO_FRAMES, .audio = COPY},
        {{NULL}, REASON_UNKNOWN, .audio = COPY},
        {{no_data}, REASON_CLOSED, .audio = COPY}, // copied audio holds nothing back
        {{no_alaw}, REASON_CLOSED, .has_frames = true, .audio = COPY});
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP, // what the run before has said is forgotten
        {{no_alaw}, REASON_STALLED, .has_frames = true, .audio = COPY},
        {{NULL}, REASON_UNKNOWN, .audio = COPY});
    (void)state;
}

static void test_audio_is_suspected_of_what_nothing_explains_and_cleared(void **state)
{
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP,
        {{no_header}, REASON_UNKNOWN, .is_at_once = true, .audio = AAC},
        {{no_header}, REASON_UNKNOWN, .is_at_once = true, .audio = NONE},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = NONE});
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP,
        {{no_header}, REASON_UNKNOWN, .is_at_once = true, .audio = AAC},
        {{no_header}, REASON_UNKNOWN, .is_at_once = true, .audio = NONE},
        {{NULL}, REASON_UNKNOWN, .audio = NONE},      // this says nothing about it
        {{no_header}, REASON_UNKNOWN, .audio = COPY}, // it was not the audio
        {{no_header}, REASON_UNKNOWN, .audio = COPY},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = COPY},
        {{no_header}, REASON_UNKNOWN, .is_at_once = true, .audio = AAC});
    (void)state;
}

static void test_encoded_audio_that_never_comes_is_left_out(void **state)
{
    const struct config_recording recording = {.audio = CONFIG_AUDIO_AAC};
    struct adapt adapt;
    char *news;
    adapt_reset(&adapt, &recording);
    adapt_begin(&adapt);
    assert_false(adapt_is_overdue(&adapt, 8000000));
    assert_true(adapt_is_overdue(&adapt, 8000001));
    adapt_line(&adapt, no_data);
    assert_true(adapt_end(&adapt, &recording, REASON_NO_FRAMES, &news));
    assert_non_null(strstr(news, "announces audio and sends none"));
    free(news);
    assert_int_equal(adapt.way.audio, NONE);
    adapt_begin(&adapt);
    assert_false(adapt_is_overdue(&adapt, 60000000));
    (void)state;
}

static void test_a_slow_camera_is_interrupted_once(void **state)
{
    const struct config_recording recording = {.audio = CONFIG_AUDIO_AAC};
    struct adapt adapt;
    char *news;
    adapt_reset(&adapt, &recording);
    adapt_begin(&adapt);
    assert_true(adapt_is_overdue(&adapt, 9000000));
    assert_false(adapt_end(&adapt, &recording, REASON_NO_FRAMES, &news));
    assert_null(news);
    assert_int_equal(adapt.way.audio, AAC);
    adapt_begin(&adapt);
    assert_false(adapt_is_overdue(&adapt, 60000000));
    (void)state;
}

static void test_copied_audio_is_never_overdue(void **state)
{
    const struct config_recording recording = {.audio = CONFIG_AUDIO_AUTO};
    struct adapt adapt;
    adapt_reset(&adapt, &recording);
    adapt_begin(&adapt);
    assert_false(adapt_is_overdue(&adapt, 3600000000));
    (void)state;
}

static void test_auto_crosses_to_the_other_transport_and_stays_where_video_comes(void **state)
{
    PLAY(CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_AUTO,
        {{no_transport}, REASON_CONFIGURATION, .is_at_once = true, .audio = NONE, .is_udp = true},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = NONE, .is_udp = true},
        {{NULL}, REASON_REFUSED, .audio = NONE, .is_udp = true}, // no transport helps here
        {{no_size, no_header}, REASON_NO_FRAMES, .is_at_once = true, .audio = NONE},
        {{NULL}, REASON_TIMEOUT, .has_frames = true, .audio = NONE});
    (void)state;
}

static void test_auto_does_not_hurry_between_two_that_yield_nothing(void **state)
{
    PLAY(CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_AUTO,
        {{NULL}, REASON_TIMEOUT, .is_at_once = true, .audio = NONE, .is_udp = true},
        {{NULL}, REASON_NO_FRAMES, .audio = NONE},
        {{NULL}, REASON_STALLED, .audio = NONE, .is_udp = true},
        {{NULL}, REASON_UNKNOWN, .audio = NONE});
    (void)state;
}

static void test_auto_returns_to_tcp_that_was_silent_once(void **state)
{
    PLAY(CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_AUTO,
        {{NULL}, REASON_TIMEOUT, .is_at_once = true, .audio = NONE, .is_udp = true},
        {{NULL}, REASON_CLOSED, .has_frames = true, .audio = NONE},
        {{NULL}, REASON_TIMEOUT, .is_at_once = true, .audio = NONE, .is_udp = true});
    (void)state;
}

static void test_encoding_is_not_given_up_for_a_camera_in_trouble(void **state)
{
    static const char full[] = "[error] Could not write header for output file #0 (incorrect codec "
                               "parameters ?): No space left on device";
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_TCP,
        {{no_alaw, no_header}, REASON_CODEC, .is_at_once = true, .audio = AAC},
        {{"Server returned 5XX Server Error reply"}, REASON_UNKNOWN, .audio = AAC},
        {{full}, REASON_NO_SPACE, .audio = AAC}, {{full}, REASON_UNKNOWN, .audio = AAC});
    (void)state;
}

static void test_a_forced_transport_stays(void **state)
{
    PLAY(CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_UDP,
        {{no_size}, REASON_NO_FRAMES, .audio = NONE, .is_udp = true},
        {{no_transport}, REASON_CONFIGURATION, .audio = NONE, .is_udp = true});
    PLAY(CONFIG_AUDIO_OFF, CONFIG_TRANSPORT_TCP,
        {{no_transport}, REASON_CONFIGURATION, .audio = NONE});
    (void)state;
}

static void test_audio_first_then_transport(void **state)
{
    PLAY(CONFIG_AUDIO_AUTO, CONFIG_TRANSPORT_AUTO,
        {{no_alaw, no_header}, REASON_CODEC, .is_at_once = true, .audio = AAC},
        {{NULL}, REASON_TIMEOUT, .is_at_once = true, .audio = AAC, .is_udp = true});
    (void)state;
}

static void test_an_unused_option_is_news_once(void **state)
{
    static const char line[] = "[concat @ 0x1] [warning] Unused options for 'rtsp://***@h/'.";
    const struct config_recording recording = {0};
    struct adapt adapt;
    adapt_reset(&adapt, &recording);
    assert_false(adapt_is_unused_news(&adapt, no_data));
    assert_true(adapt_is_unused_news(&adapt, line));
    adapt_begin(&adapt);
    assert_false(adapt_is_unused_news(&adapt, line));
    adapt_reset(&adapt, &recording);
    assert_true(adapt_is_unused_news(&adapt, line));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_start_is_as_configured),
        cmocka_unit_test(test_audio_that_mp4_refuses_is_encoded_and_stays_so),
        cmocka_unit_test(test_audio_that_can_not_be_encoded_is_left_out),
        cmocka_unit_test(test_a_forced_copy_gives_way_to_video),
        cmocka_unit_test(test_other_ends_change_no_audio),
        cmocka_unit_test(test_audio_is_suspected_of_what_nothing_explains_and_cleared),
        cmocka_unit_test(test_encoded_audio_that_never_comes_is_left_out),
        cmocka_unit_test(test_a_slow_camera_is_interrupted_once),
        cmocka_unit_test(test_copied_audio_is_never_overdue),
        cmocka_unit_test(test_auto_crosses_to_the_other_transport_and_stays_where_video_comes),
        cmocka_unit_test(test_auto_does_not_hurry_between_two_that_yield_nothing),
        cmocka_unit_test(test_auto_returns_to_tcp_that_was_silent_once),
        cmocka_unit_test(test_encoding_is_not_given_up_for_a_camera_in_trouble),
        cmocka_unit_test(test_a_forced_transport_stays),
        cmocka_unit_test(test_audio_first_then_transport),
        cmocka_unit_test(test_an_unused_option_is_news_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
