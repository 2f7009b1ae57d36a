// links: kf-webui
// Playlists: what RFC 8216 demands of the text, and the names in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "webui/playlist.h"

static void test_names(void **state)
{
    (void)state;
    char name[PLAYLIST_NAME_SIZE];
    int64_t run;
    uint32_t number, portion;
    playlist_format_item(1700000000123, 7, 2, name);
    assert_string_equal(name, "1700000000123-000007-2");
    assert_true(playlist_parse_item(name, &run, &number, &portion));
    assert_true(run == 1700000000123 && number == 7 && portion == 2);
    playlist_format_init(1700000000123, 1234567, name);
    assert_string_equal(name, "1700000000123-1234567");
    assert_true(playlist_parse_init(name, &run, &number));
    assert_true(run == 1700000000123 && number == 1234567);
}

static void test_names_that_are_none(void **state)
{
    (void)state;
    static const char *const none[] = {"", "-", "1-2-3", "1700000000123-000007",
        "1700000000123-000007-", "1700000000123-000007-02", "1700000000123-000007--2",
        "1700000000123-000007-4294967296", "1700000000123-7-2", "1700000000123-000007-2x",
        "x-000007-2", "1700000000123-000007-1-2", "-1700000000123-000007-2",
        "17000000001231700000000123170000000012317000000001231700000000123-000007-2"};
    int64_t run;
    uint32_t number, portion;
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++)
        if (playlist_parse_item(none[i], &run, &number, &portion))
            fail_msg("\"%s\" was taken", none[i]);
    assert_false(playlist_parse_init("1700000000123-000007-2", &run, &number));
    assert_false(playlist_parse_init("1700000000123-000007.mp4", &run, &number));
}

static void test_media(void **state)
{
    (void)state;
    struct playlist_item items[] = {
        {.run = 1700000000123,
            .number = 0,
            .portion = 0,
            .wall_us = 1700000000500000,
            .duration_us = 6000000,
            .map = {1700000000123, 1}},
        {.run = 1700000000123, .number = 0, .portion = 1, .duration_us = 6040001},
        {.run = 1700000100000,
            .number = 0,
            .portion = 0,
            .wall_us = 1700000100000000,
            .duration_us = 40000,
            .discontinuity = true,
            .map = {1700000100000, 0}},
    };
    const struct playlist playlist = {
        .items = items, .count = 3, .ended = true, .offset_us = 1500000, .suffix = "?audio=0"};
    struct buf text = BUF_INIT;
    playlist_put_media(&text, &playlist);
    assert_string_equal(buf_string(&text),
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-TARGETDURATION:7\n"
        "#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-START:TIME-OFFSET=1.500000,PRECISE=YES\n"
        "#EXT-X-MAP:URI=\"init-1700000000123-000001.mp4?audio=0\"\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.500000Z\n"
        "#EXTINF:6.000000,\n"
        "seg-1700000000123-000000-0.m4s?audio=0\n"
        "#EXTINF:6.040001,\n"
        "seg-1700000000123-000000-1.m4s?audio=0\n"
        "#EXT-X-DISCONTINUITY\n"
        "#EXT-X-MAP:URI=\"init-1700000100000-000000.mp4?audio=0\"\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:15:00.000000Z\n"
        "#EXTINF:0.040000,\n"
        "seg-1700000100000-000000-0.m4s?audio=0\n"
        "#EXT-X-ENDLIST\n");
    buf_fini(&text);
}

static void test_one_that_goes_on(void **state)
{
    (void)state;
    struct playlist_item item = {
        .run = 1700000000123, .wall_us = 1700000000500000, .duration_us = 2000000};
    const struct playlist playlist = {.items = &item, .count = 1, .suffix = ""};
    struct buf text = BUF_INIT;
    playlist_put_media(&text, &playlist);
    const char *shown = buf_string(&text);
    assert_non_null(strstr(shown, "#EXT-X-PLAYLIST-TYPE:EVENT\n"));
    assert_non_null(strstr(shown, "#EXT-X-TARGETDURATION:2\n"));
    assert_null(strstr(shown, "#EXT-X-ENDLIST"));
    assert_null(strstr(shown, "#EXT-X-START"));
    buf_fini(&text);
}

static void test_master(void **state)
{
    (void)state;
    const struct playlist_variant variants[] = {
        {.uri = "main/vod.m3u8?start=1",
            .codecs = "avc1.64001f,mp4a.40.2",
            .bandwidth = 4100000,
            .average_bandwidth = 4000000,
            .width = 1920,
            .height = 1080,
            .frame_rate = 25},
        {.uri = "sub/vod.m3u8", .bandwidth = 200000, .average_bandwidth = 150000},
    };
    struct buf text = BUF_INIT;
    playlist_put_master(&text, variants, 2);
    assert_string_equal(buf_string(&text),
        "#EXTM3U\n"
        "#EXT-X-VERSION:7\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=4100000,AVERAGE-BANDWIDTH=4000000,"
        "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1920x1080,FRAME-RATE=25.000\n"
        "main/vod.m3u8?start=1\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=200000,AVERAGE-BANDWIDTH=150000\n"
        "sub/vod.m3u8\n");
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_one_that_goes_on),
        cmocka_unit_test(test_master),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
