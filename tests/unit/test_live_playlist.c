// links: kf-webui
// What a live playlist lists, and its text: held against RFC 8216bis.
#include "tests/unit/live.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/timeutil.h"
#include "webui/live_playlist.h"

#define RUN INT64_C(1700000000123)

static struct live_corpus corpus;

static int setup(void **state)
{
    (void)state;
    live_corpus_open(&corpus, "h264-000000");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_corpus_close(&corpus);
    return 0;
}

// One fragment after the other, as a follower gives them.
struct camera {
    struct live_segments segments;
    struct live_part part;
    struct segment_id id;
    int64_t delay_us; // of its arrival
};

static void camera_begin(struct camera *camera)
{
    *camera = (struct camera){.part = corpus.parts[0], .id = corpus.owner->id};
    camera->id.run = RUN;
    camera->part.start_us = 0;
    camera->part.duration_us = 500000;
    camera->part.has_video = true;
    camera->part.continuity = 1;
}

static void camera_add(struct camera *camera, bool key)
{
    camera->part.key = key;
    camera->part.file = live_file_new(&camera->id, -1);
    live_segments_add(&camera->segments, &camera->part,
        RUN * 1000 + camera->part.start_us + camera->part.duration_us + camera->delay_us);
    live_file_unref(camera->part.file);
    camera->part.index++;
    camera->part.start_us += camera->part.duration_us;
}

// So many groups of pictures of so many fragments.
static void camera_add_groups(struct camera *camera, size_t groups, size_t fragments)
{
    for (size_t i = 0; i < groups * fragments; i++)
        camera_add(camera, i % fragments == 0);
}

static char *camera_text(struct camera *camera)
{
    struct buf text = BUF_INIT;
    live_playlist_put(&text, &camera->segments, true, false);
    buf_put_u8(&text, 0);
    return (char *)text.data;
}

static size_t occurrences(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)) != NULL; text += strlen(word))
        count++;
    return count;
}

static void test_the_text(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera.id.number = 12;
    camera_add_groups(&camera, 2, 6);
    camera.part.duration_us = 520000;
    camera_add(&camera, true);
    camera_add(&camera, false);
    char *text = camera_text(&camera);
    const char wanted[] =
        "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.800000\n"
        "#EXT-X-PART-INF:PART-TARGET=0.600000\n"
        "#EXT-X-MEDIA-SEQUENCE:1700000000\n#EXT-X-DISCONTINUITY-SEQUENCE:103759\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-MAP:URI=\"live-1700000000123-000012.mp4\"\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.123000Z\n"
        "#EXT-X-PART:DURATION=0.500000,URI=\"part-1700000000123-000012-0.m4s\",INDEPENDENT=YES\n"
        "#EXT-X-PART:DURATION=0.500000,URI=\"part-1700000000123-000012-1.m4s\"\n";
    assert_int_equal(strncmp(text, wanted, sizeof(wanted) - 1), 0);
    const char end[] =
        "#EXTINF:3.000000,\nlive-1700000000123-000012-6-11.m4s\n"
        "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:26.123000Z\n"
        "#EXT-X-PART:DURATION=0.520000,URI=\"part-1700000000123-000012-12.m4s\",INDEPENDENT=YES\n"
        "#EXT-X-PART:DURATION=0.520000,URI=\"part-1700000000123-000012-13.m4s\"\n";
    assert_true(strlen(text) > strlen(end));
    assert_string_equal(text + strlen(text) - strlen(end), end);
    assert_int_equal(occurrences(text, "#EXT-X-MAP"), 1);
    free(text);
    live_segments_fini(&camera.segments);
}

static void test_segments_begin_with_key_frames_and_last_a_few_seconds(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add(&camera, false); // nothing can be shown of it
    assert_int_equal(camera.segments.count, 0);
    camera_add_groups(&camera, 5, 2); // of a second
    assert_int_equal(camera.segments.count, 2);
    assert_int_equal(camera.segments.items[0].duration_us, 3 * US_PER_SECOND);
    assert_int_equal(camera.segments.target_s, 4);
    camera_add_groups(&camera, 2, 20); // of ten seconds
    assert_int_equal(camera.segments.items[1].duration_us, 12 * US_PER_SECOND);
    assert_int_equal(camera.segments.target_s, 12);
    assert_int_equal(camera.segments.part_target_us, 500000);
    char *text = camera_text(&camera);
    assert_non_null(strstr(text, "#EXT-X-TARGETDURATION:12\n"));
    free(text);
    live_segments_fini(&camera.segments);
}

static void test_one_without_key_frames_ends_at_last(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add(&camera, true);
    for (size_t i = 0; i < 70; i++)
        camera_add(&camera, false);
    assert_int_equal(camera.segments.count, 2);
    assert_int_equal(camera.segments.items[0].duration_us, LIVE_SEGMENT_MAX_S * US_PER_SECOND);
    char *text = camera_text(&camera);
    assert_null(strstr(text, "#EXT-X-INDEPENDENT-SEGMENTS"));
    free(text);
    live_segments_fini(&camera.segments);
}

static void test_files_runs_and_inits_are_borders(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add_groups(&camera, 1, 2);
    camera.id.number++; // the next file: nothing but a border
    camera.part.index = 0;
    camera_add_groups(&camera, 1, 2);
    camera.id.run += 60000; // a new run with the same init
    camera.part.index = 0;
    camera.part.continuity++;
    camera_add_groups(&camera, 1, 2);
    struct live_init other = *corpus.parts[0].init;
    other.bytes = BUF_INIT;
    buf_put(&other.bytes, "another", 7);
    atomic_init(&other.references, 1);
    camera.part.init = &other; // and one of its own
    camera.part.continuity++;
    camera.id.run += 60000;
    camera.part.index = 0;
    camera_add_groups(&camera, 1, 2);
    const struct live_segments *segments = &camera.segments;
    assert_int_equal(segments->count, 4);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(segments->items[i].sequence, segments->items[0].sequence + i);
        assert_int_equal(segments->items[i].is_discontinuity, i >= 2);
        assert_int_equal(segments->items[i].map.run, i < 3 ? RUN : RUN + 120000);
    }
    assert_int_equal(segments->items[3].discontinuities, segments->items[0].discontinuities + 2);
    assert_ptr_equal(live_segments_find_init(segments, RUN + 120000, 1), &other);
    assert_ptr_equal(live_segments_find_init(segments, RUN, 0), corpus.parts[0].init);
    assert_null(live_segments_find_init(segments, RUN + 60000, 1));
    char *text = camera_text(&camera);
    assert_int_equal(occurrences(text, "#EXT-X-DISCONTINUITY\n"), 2);
    free(text);
    live_segments_fini(&camera.segments);
    assert_int_equal(atomic_load(&other.references), 1);
    buf_fini(&other.bytes);
}

static void test_what_is_old_goes_and_numbers_only_grow(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    uint64_t sequence = 0;
    for (size_t i = 0; i < 600; i++) {
        camera_add(&camera, i % (i < 300 ? 8 : 30) == 0); // groups of 4 s, then of 15 s
        const struct live_segments *segments = &camera.segments;
        const struct live_segment *first = &segments->items[segments->listed];
        assert_true(first->sequence >= sequence);
        sequence = first->sequence;
        int64_t listed_us = 0;
        for (size_t k = segments->listed; k < segments->count; k++)
            if (segments->items[k].is_complete)
                listed_us += segments->items[k].duration_us;
        // Once there is as much, the list is never shorter than three target durations.
        if (i > 200 && (i < 300 || i > 500))
            assert_true(listed_us >= 3 * segments->target_s * US_PER_SECOND);
        assert_true(listed_us <= (LIVE_SEGMENTS_WINDOW_S + 5 * segments->target_s) * US_PER_SECOND);
        assert_true(segments->part_count < 300);
    }
    // What was listed last is still there when it is listed no more.
    assert_true(camera.segments.listed >= 3);
    // Parts only of the segments of the last three target durations: 45 s and what is being
    // written.
    char *text = camera_text(&camera);
    size_t parts = occurrences(text, "#EXT-X-PART:");
    assert_true(parts >= 90 && parts <= 150);
    assert_true(occurrences(text, "#EXTINF") >= 3);
    free(text);
    live_segments_fini(&camera.segments);
}

static void test_what_is_waited_for(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    assert_false(live_segments_has(&camera.segments, 0, 0));
    camera_add_groups(&camera, 2, 8);
    const struct live_segments *segments = &camera.segments;
    const int64_t last = (int64_t)segments->items[1].sequence;
    assert_true(live_segments_has(segments, last - 1, -1));
    assert_true(live_segments_has(segments, last, 7));
    assert_false(live_segments_has(segments, last, 8));
    assert_false(live_segments_has(segments, last, -1)); // it may go on
    // A part too many is the first one of the next segment.
    assert_true(live_segments_has(segments, last - 1, 8));
    assert_true(live_segments_has(segments, 0, 0));
    assert_false(live_segments_is_too_far(segments, last, 8));
    assert_false(live_segments_is_too_far(segments, last + 1, 0));
    assert_true(live_segments_is_too_far(segments, last + 2, 0));
    assert_true(live_segments_is_too_far(segments, last, 100));
    assert_true(live_segments_is_too_far(segments, INT64_MAX / 2, -1));
    assert_false(live_segments_is_too_far(segments, 0, INT64_MAX / 2));
    live_segments_fini(&camera.segments);
}

static void test_the_least_delayed_arrival_tells_the_time(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    for (size_t i = 0; i < 32; i++) {
        camera.delay_us = i == 5 ? 0 : 300000;
        camera_add(&camera, i % 8 == 0);
    }
    assert_int_equal(camera.segments.items[0].wall_us, RUN * 1000 + 300000); // as was known then
    assert_int_equal(camera.segments.items[3].wall_us, RUN * 1000 + 12 * US_PER_SECOND);
    live_segments_fini(&camera.segments);
}

static void test_sound_alone_is_no_part(void **state)
{
    (void)state;
    struct camera camera;
    camera_begin(&camera);
    camera_add(&camera, true);
    camera.part.has_video = false;
    camera_add(&camera, false);
    camera.part.has_video = true;
    camera_add(&camera, false);
    assert_int_equal(camera.segments.part_count, 2);
    assert_null(live_segments_find_part(&camera.segments, RUN, 0, 1));
    assert_non_null(live_segments_find_part(&camera.segments, RUN, 0, 2));
    live_segments_fini(&camera.segments);
}

static void test_names(void **state)
{
    (void)state;
    int64_t run;
    uint32_t number, first, last;
    char name[PLAYLIST_NAME_SIZE];
    live_playlist_format_segment(RUN, 7, 0, UINT32_MAX, name);
    assert_string_equal(name, "1700000000123-000007-0-4294967295");
    assert_true(live_playlist_parse_segment(name, &run, &number, &first, &last));
    assert_true(run == RUN && number == 7 && first == 0 && last == UINT32_MAX);
    static const char *const bad[] = {"", "-", "1700000000123-000007-0", "1700000000123-7-0-1",
        "1700000000123-000007-00-1", "1700000000123-000007-0-4294967296",
        "1700000000123-000007-0-01", "1700000000123-000007-0-", "1700000000123-000007-0-1-2",
        "1700000000123-000007--1-2", "1700000000123-000007-0- 1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(live_playlist_parse_segment(bad[i], &run, &number, &first, &last));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_text),
        cmocka_unit_test(test_segments_begin_with_key_frames_and_last_a_few_seconds),
        cmocka_unit_test(test_one_without_key_frames_ends_at_last),
        cmocka_unit_test(test_files_runs_and_inits_are_borders),
        cmocka_unit_test(test_what_is_old_goes_and_numbers_only_grow),
        cmocka_unit_test(test_what_is_waited_for),
        cmocka_unit_test(test_the_least_delayed_arrival_tells_the_time),
        cmocka_unit_test(test_sound_alone_is_no_part),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
