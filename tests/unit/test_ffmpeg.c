// links: kf-supervisor
// The ffmpeg command, and the script with the secrets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/ffmpeg.h"

static const struct ffmpeg_way copy = {.audio = FFMPEG_AUDIO_COPY};

static struct config config_for_test(void)
{
    return (struct config){.ffmpeg.path = "/opt/ffmpeg"};
}

static struct config_stream stream_for_test(void)
{
    return (struct config_stream){
        .camera = "c",
        .name = "main",
        .url = "rtsp://h:554/x",
        .recording = {.segment_us = 60000000, .timeout_us = 5000000, .audio = CONFIG_AUDIO_AUTO},
    };
}

// Where the argument stands, or -1.
static int find_argument(char **args, const char *wanted)
{
    for (int i = 0; args[i] != NULL; i++) {
        if (strcmp(args[i], wanted) == 0)
            return i;
    }
    return -1;
}

static void expect_pair(char **args, const char *option, const char *value)
{
    int place = find_argument(args, option);
    if (place < 0)
        fail_msg("%s is missing", option);
    assert_string_equal(args[place + 1], value);
}

static void test_command(void **state)
{
    static const char *const expected[] = {"/opt/ffmpeg", "-nostdin", "-hide_banner", "-loglevel",
        "level+warning", "-stats_period", "1", "-progress", "pipe:4", "-f", "concat", "-safe", "0",
        "-protocol_whitelist", "pipe,rtsp,rtp,udp,tcp", "-i", "pipe:3", "-map", "0:v:0", "-map",
        "0:a:0?", "-c:v", "copy", "-tag:v", "hvc1", "-c:a", "copy", "-bsf:v",
        "setts=pts=PTS:"
        "dts='if(lt(N,4)*lt(NEXT_DTS,DTS)*not(eq(NEXT_DTS,NOPTS)),NEXT_DTS-DURATION,DTS)',"
        "setts=pts='if(eq(PTS,NOPTS),if(eq(NEXT_PTS,NEXT_DTS),NEXT_PTS-DURATION,"
        "if(lt(NEXT_PTS-NEXT_DTS,1.5*DURATION),NEXT_PTS-4*DURATION,NEXT_DTS)),PTS)':"
        "dts='if(eq(N,0),if(eq(NEXT_PTS,NEXT_DTS),NEXT_PTS-DURATION,"
        "if(lt(NEXT_PTS-NEXT_DTS,1.5*DURATION),NEXT_PTS-8*DURATION,NEXT_DTS-DURATION)),"
        "if(lt(N,4)*lt(NEXT_DTS,DTS)*not(eq(NEXT_DTS,NOPTS)),NEXT_DTS-DURATION,DTS))':"
        "duration='if(gt(NEXT_DTS,DTS),NEXT_DTS-DTS,DURATION)'",
        "-max_interleave_delta", "500000", "-f", "segment", "-segment_time", "60.000",
        "-segment_format", "mp4", "-segment_format_options",
        "movflags=+frag_keyframe+empty_moov+default_base_moof+frag_discont+negative_cts_offsets"
        "+skip_trailer:write_prft=wallclock:flush_packets=1:frag_duration=500000:"
        "video_track_timescale=90000",
        "/cache/c/main/1700000000123-%06d.mp4"};
    struct config config = config_for_test();
    struct config_stream stream = stream_for_test();
    char **args = ffmpeg_args(&config, &stream, &copy, "/cache/c/main", INT64_C(1700000000123));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_string_equal(args[i], expected[i]);
    assert_null(args[ARRAY_LENGTH(expected)]);
    ffmpeg_args_free(args);
    (void)state;
}

static void test_audio(void **state)
{
    static const struct {
        struct ffmpeg_way way;
        const char *codec, *bitrate; // NULL: not there
        const char *media;
    } table[] = {
        {{.audio = FFMPEG_AUDIO_COPY}, "copy", NULL, "video+audio"},
        {{.audio = FFMPEG_AUDIO_AAC}, "aac", NULL, "video+audio"},
        {{.audio = FFMPEG_AUDIO_AAC, .is_substitute = true}, "aac", "48k", "video+audio"},
        {{.audio = FFMPEG_AUDIO_NONE}, NULL, NULL, "video"},
    };
    struct config config = config_for_test();
    struct config_stream stream = stream_for_test();
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char **args = ffmpeg_args(&config, &stream, &table[i].way, "/d", 1);
        if (table[i].codec != NULL)
            expect_pair(args, "-c:a", table[i].codec);
        if (table[i].bitrate != NULL)
            expect_pair(args, "-b:a", table[i].bitrate);
        assert_int_equal(find_argument(args, "-c:a") >= 0, table[i].codec != NULL);
        assert_int_equal(find_argument(args, "0:a:0?") >= 0, table[i].codec != NULL);
        assert_int_equal(find_argument(args, "-b:a") >= 0, table[i].bitrate != NULL);
        ffmpeg_args_free(args);
        char *expected = xasprintf("option allowed_media_types %s\n", table[i].media);
        char *script = ffmpeg_script(&config, &stream, &table[i].way);
        assert_non_null(strstr(script, expected));
        free(script);
        free(expected);
    }
    (void)state;
}

static void test_own_options_follow_a_substitute(void **state)
{
    static char *output_options[] = {"-b:a", "96k"};
    const struct ffmpeg_way way = {.audio = FFMPEG_AUDIO_AAC, .is_substitute = true};
    struct config config = config_for_test();
    config.ffmpeg.output_options = (struct config_list){output_options, 2};
    struct config_stream stream = stream_for_test();
    char **args = ffmpeg_args(&config, &stream, &way, "/d", 1);
    assert_true(find_argument(args, "96k") > find_argument(args, "48k"));
    ffmpeg_args_free(args);
    (void)state;
}

static void test_udp(void **state)
{
    const struct ffmpeg_way way = {.audio = FFMPEG_AUDIO_COPY, .is_udp = true};
    struct config config = config_for_test();
    struct config_stream stream = stream_for_test();
    char *script = ffmpeg_script(&config, &stream, &way);
    assert_string_equal(script, "ffconcat version 1.0\n"
                                "file 'rtsp://h:554/x'\n"
                                "option rtsp_transport udp\n"
                                "option timeout 5000000\n"
                                "option allowed_media_types video+audio\n"
                                "option buffer_size 4194304\n");
    free(script);
    (void)state;
}

static void test_tls_options_and_odd_values(void **state)
{
    static char *output_options[] = {"-metadata", "title=a b"};
    struct config config = config_for_test();
    config.ffmpeg.output_options = (struct config_list){output_options, 2};
    struct config_stream stream = stream_for_test();
    stream.url = "rtsps://h/x";
    stream.recording.segment_us = 2500000;
    char **args = ffmpeg_args(&config, &stream, &copy, "/100%/d", 7);
    expect_pair(args, "-protocol_whitelist", "pipe,rtsp,rtp,udp,tcp,tls");
    expect_pair(args, "-segment_time", "2.500");
    expect_pair(args, "-metadata", "title=a b");
    assert_true(find_argument(args, "-metadata") < find_argument(args, "segment"));
    assert_true(find_argument(args, "/100%%/d/7-%06d.mp4") > 0);
    ffmpeg_args_free(args);
    (void)state;
}

static void test_no_secret_in_the_arguments(void **state)
{
    struct config config = config_for_test();
    struct config_stream stream = stream_for_test();
    stream.username = "nvr";
    stream.password = "geheim99";
    char **args = ffmpeg_args(&config, &stream, &copy, "/d", 1);
    for (char **arg = args; *arg != NULL; arg++) {
        assert_null(strstr(*arg, "geheim99"));
        assert_null(strstr(*arg, "rtsp://"));
    }
    ffmpeg_args_free(args);
    (void)state;
}

static void test_script(void **state)
{
    static char *input_options[] = {"-buffer_size", "1'0", "max_delay", "5"};
    struct config config = config_for_test();
    config.ffmpeg.input_options = (struct config_list){input_options, 4};
    struct config_stream stream = stream_for_test();
    char *script = ffmpeg_script(&config, &stream, &copy);
    assert_string_equal(script, "ffconcat version 1.0\n"
                                "file 'rtsp://h:554/x'\n"
                                "option rtsp_transport tcp\n"
                                "option timeout 5000000\n"
                                "option allowed_media_types video+audio\n"
                                "option buffer_size '1'\\''0'\n"
                                "option max_delay '5'\n");
    free(script);
    (void)state;
}

static void test_credentials_are_encoded_into_the_url(void **state)
{
    static const struct {
        const char *username, *password, *expected;
    } table[] = {
        {"nvr", NULL, "file 'rtsp://nvr@h/x?a=it'\\''s'\n"},
        {"nvr", "a-._~Z9", "file 'rtsp://nvr:a-._~Z9@h/x?a=it'\\''s'\n"},
        {"a@b", "p%w@x'\"q:/?#",
            "file 'rtsp://a%40b:p%25w%40x%27%22q%3A%2F%3F%23@h/x?a=it'\\''s'\n"},
        {"ä", " ", "file 'rtsp://%C3%A4:%20@h/x?a=it'\\''s'\n"},
    };
    struct config config = config_for_test();
    struct config_stream stream = stream_for_test();
    stream.url = "rtsp://h/x?a=it's";
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        stream.username = (char *)table[i].username;
        stream.password = (char *)table[i].password;
        char *script = ffmpeg_script(&config, &stream, &copy);
        assert_non_null(strstr(script, table[i].expected));
        free(script);
    }
    (void)state;
}

static void test_version(void **state)
{
    static const struct {
        const char *output;
        const char *cause; // NULL: good enough
    } table[] = {
        {"ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026\n", NULL},
        {"ffmpeg version 5.1 Copyright", NULL},
        {"ffmpeg version 6.0", NULL},
        {"ffmpeg version n7.1-3 Copyright", NULL},
        {"ffmpeg version 10.0 x", NULL},
        {"ffmpeg version N-112345-gabcdef Copyright", NULL},
        {"ffmpeg version 5.0.3 Copyright", "it is version 5.0.3, but 5.1 or later is needed"},
        {"ffmpeg version 4.4.2-0ubuntu0 Copyright",
            "it is version 4.4.2-0ubuntu0, but 5.1 or later is needed"},
        {"ffmpeg version n4.4\n", "it is version n4.4, but 5.1 or later is needed"},
        {"avconv version 12", "it does not answer -version as ffmpeg does"},
        {"", "it does not answer -version as ffmpeg does"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char *cause = NULL;
        int result = ffmpeg_version_check(table[i].output, &cause);
        assert_int_equal(result, table[i].cause ? -1 : 0);
        if (table[i].cause != NULL)
            assert_string_equal(cause, table[i].cause);
        free(cause);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_audio),
        cmocka_unit_test(test_own_options_follow_a_substitute),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_tls_options_and_odd_values),
        cmocka_unit_test(test_no_secret_in_the_arguments),
        cmocka_unit_test(test_script),
        cmocka_unit_test(test_credentials_are_encoded_into_the_url),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
