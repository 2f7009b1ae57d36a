// links: kf-supervisor
// What cameras announce, and what they could send instead.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/probe_sdp.h"

static bool parse(const char *text, struct probe_sdp *sdp)
{
    return probe_sdp_parse(text, strlen(text), sdp);
}

static void test_camera(void **state)
{
    static const char text[] =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
        "a=rtpmap:96 H264/90000\r\na=framerate:12.5\r\na=control:stream=0\r\n"
        "m=audio 0 RTP/AVP 8\r\na=control:stream=1\r\nm=application 0 RTP/AVP 107\r\n"
        "a=control:stream=2\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n";
    struct probe_sdp sdp;
    assert_true(parse(text, &sdp));
    assert_string_equal(sdp.control, "*");
    assert_true(sdp.video.is_there);
    assert_int_equal(sdp.video.payload, 96);
    assert_string_equal(sdp.video.encoding, "H264");
    assert_int_equal(sdp.video.clock_rate, 90000);
    assert_true(sdp.video.framerate > 12.4 && sdp.video.framerate < 12.6);
    assert_string_equal(sdp.video.control, "stream=0");
    assert_true(sdp.audio.is_there);
    assert_string_equal(sdp.audio.encoding, "PCMA");
    assert_string_equal(sdp.audio.control, "stream=1");
    (void)state;
}

static void test_first_of_a_kind_counts(void **state)
{
    struct probe_sdp sdp;
    assert_true(parse("v=0\nm=video 0 RTP/AVP 96\na=control:one\nm=video 0 RTP/AVP 97\n"
                      "a=control:two\na=rtpmap:96 H265/90000\n",
        &sdp));
    assert_string_equal(sdp.video.control, "one");
    assert_string_equal(sdp.video.encoding, "");
    assert_false(sdp.audio.is_there);
    (void)state;
}

static void test_rubbish(void **state)
{
    static const char *const texts[] = {"", "hello", "HTTP/1.1 400 Bad Request\r\n\r\n", "v", "V=0",
        "\n\n\n", "m=video 0 RTP/AVP 96\n"};
    struct probe_sdp sdp;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_false(parse(texts[i], &sdp));
    assert_true(parse("v=0\nm=video\nm=video \na=rtpmap\na=rtpmap:\na=framerate:-1\n"
                      "a=framerate:nan\na=framerate:1e99\na=rtpmap:x\na=rtpmap:-1 H264\n",
        &sdp));
    assert_true(sdp.video.is_there);
    assert_int_equal(sdp.video.payload, -1);
    assert_true(sdp.video.framerate <= 0);
    assert_string_equal(sdp.video.encoding, "");
    (void)state;
}

static void test_long_lines_are_cut(void **state)
{
    struct probe_sdp sdp;
    char text[8192];
    memset(text, 'x', sizeof(text));
    memcpy(text, "v=0\nm=video 0 RTP/AVP 96\na=control:", 35);
    memcpy(text + sizeof(text) - 20, "\na=framerate:25\n", 16);
    assert_true(probe_sdp_parse(text, sizeof(text) - 4, &sdp));
    assert_int_equal(strlen(sdp.video.control), PROBE_SDP_CONTROL_SIZE - 1);
    assert_true(sdp.video.framerate > 24);
    // An encoding of that length is none.
    assert_true(parse("v=0\nm=video 0 RTP/AVP 96\na=rtpmap:96 "
                      "0123456789012345678901234567890123456789/90000\n",
        &sdp));
    assert_string_equal(sdp.video.encoding, "");
    (void)state;
}

static void test_control_characters_are_left_out(void **state)
{
    struct probe_sdp sdp;
    assert_true(parse("v=0\nm=video 0 RTP/AVP 96\na=control:a\x01z\n", &sdp));
    assert_string_equal(sdp.video.control, "");
    (void)state;
}

static void test_addresses(void **state)
{
    static const struct {
        const char *base, *control, *expected;
    } table[] = {
        {"rtsp://h/x", "", "rtsp://h/x"},
        {"rtsp://h/x", "*", "rtsp://h/x"},
        {"rtsp://h/x", "track1", "rtsp://h/x/track1"},
        {"rtsp://h/x/", "track1", "rtsp://h/x/track1"},
        {"rtsp://h/x?a=b", "trackID=1", "rtsp://h/x?a=b/trackID=1"},
        {"rtsp://h/x", "rtsp://other/y", "rtsp://other/y"},
        {"rtsp://h/x", "RTSP://other/y", "RTSP://other/y"},
        {"rtsp://h/x", "/y", "rtsp://h/x/y"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        char *address = probe_sdp_address(table[i].base, table[i].control);
        assert_string_equal(address, table[i].expected);
        free(address);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_camera),
        cmocka_unit_test(test_first_of_a_kind_counts),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_long_lines_are_cut),
        cmocka_unit_test(test_control_characters_are_left_out),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
