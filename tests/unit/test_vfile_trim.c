// Where a virtual file begins and ends.
#include "tests/unit/vfile.h"

static void test_starting_at_a_key_frame_hides_nothing(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    struct ask ask = {START_US + 1500000, START_US + 3000000, .at_key = true};
    struct result result;
    fetch(&result, &archive, ask);
    size_t count;
    const struct movie_sample **samples = shown(&result.movie, result.video, &count);
    assert_true(samples[0]->key);
    assert_ptr_equal(samples[0], &result.video->samples[0]);
    assert_int_equal(result.info.lead_in_us, 0);
    assert_int_equal(result.info.start_us, START_US + 1000000);
    free(samples);
    result_fini(&result);
    // Without it, half a second is hidden and told of.
    ask.at_key = false;
    fetch(&result, &archive, ask);
    assert_true(llabs(result.info.lead_in_us - 480000) <= 12);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_leading_picture_is_decoded_from_the_key_frame_before(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, true, false);
    // The second segment's own first picture is its key frame here; the second GOP's key frame is
    // shown two frames after the picture at exactly 1 s, which refers to the first GOP.
    struct ask ask = between(START_US + 1000000, START_US + 1500000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    assert_true(result.video->samples[0].key);
    assert_int_equal(result.info.lead_in_us, 1000000);
    result_fini(&result);
    // The key frame itself needs nothing before it.
    ask.start_us = START_US + 1080000;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    assert_int_equal(result.info.lead_in_us, 0);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_leading_picture_may_need_the_segment_before(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    // Let the second segment begin with two pictures that are shown before its key frame.
    struct media_track *track = &archive.media[1].tracks[0];
    static const int32_t compositions[] = {2 * FRAME, -FRAME, -FRAME};
    for (int i = 0; i < 3; i++)
        track->samples[i].composition = compositions[i];
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    track_summarize(track, &archive.segments[1].tracks[VFILE_VIDEO]);
    struct ask ask = between(START_US + 4000000, START_US + 4500000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.info.first, 0);
    assert_int_equal(result.info.lead_in_us, 1000000);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_start_in_a_gap_begins_with_what_comes_next(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    archive_add(
        &archive, &(struct recipe){.run = 1, .start_us = START_US, .frames = 50, .gop = 25});
    archive_add(&archive,
        &(struct recipe){.run = 2, .start_us = START_US + 10000000, .frames = 50, .gop = 25});
    struct result result;
    fetch(&result, &archive, between(START_US + 5000000, START_US + 10500000));
    assert_int_equal(result.info.start_us, START_US + 10000000);
    assert_int_equal(result.info.first, 1);
    assert_int_equal(result.video->edits[0].duration, 45000);
    result_fini(&result);
    // An end in a gap: to the end of what was before.
    fetch(&result, &archive, between(START_US + 1000000, START_US + 5000000));
    assert_int_equal(result.info.end_us, START_US + 2000000);
    assert_int_equal(result.video->edits[0].duration, 90000);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_nothing_in_the_range_is_a_failure(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    archive_add(
        &archive, &(struct recipe){.run = 1, .start_us = START_US, .frames = 50, .gop = 25});
    char *cause = NULL;
    assert_null(make(&archive, between(START_US + 3000000, START_US + 5000000), &cause));
    assert_non_null(cause);
    free(cause);
    cause = NULL;
    assert_null(make(&archive, between(START_US - 3000000, START_US), &cause));
    assert_non_null(cause);
    free(cause);
    archive_fini(&archive);
}

static void test_a_bent_clock_moves_what_is_asked_for(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    // 4 s of media stand for 4.002 s of time.
    for (int i = 0; i < 3; i++) {
        archive.segments[i].start_us = START_US + i * 4002000;
        archive.segments[i].end_us = START_US + (i + 1) * 4002000;
    }
    const struct vfile_segment *segment = &archive.segments[1];
    assert_int_equal(vfile_media_time(segment, segment->start_us), 90000 + 360000);
    assert_int_equal(vfile_media_time(segment, segment->end_us), 90000 + 720000);
    assert_int_equal(vfile_media_time(segment, segment->start_us + 2001000), 90000 + 540000);
    assert_int_equal(vfile_wall_time(segment, 90000 + 540000), segment->start_us + 2001000);
    // There and back is the same tick, so a reported start gives the same frame again.
    for (int64_t tick = 90000 + 360000; tick < 90000 + 720000; tick += 37)
        assert_int_equal(vfile_media_time(segment, vfile_wall_time(segment, tick)), tick);
    // 8.020 s of time is 2 frames into the third segment, less 16 ms.
    struct ask ask = between(START_US + 8020000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    struct result again;
    fetch(&again, &archive, between(result.info.start_us, ask.end_us));
    assert_int_equal(again.info.start_us, result.info.start_us);
    assert_int_equal(again.video->sample_count, result.video->sample_count);
    result_fini(&again);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_only_trimmed_segments_are_looked_at(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    for (uint32_t i = 0; i < 16; i++)
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .number = i,
                                  .start_us = START_US + i * 4000000,
                                  .video_start = i * 360000,
                                  .frames = 100,
                                  .gop = 50,
                                  .audio_start = i * 64000,
                                  .sounds = 62});
    struct vfile *file = must_make(&archive, between(START_US + 500000, START_US + 62 * 1000000));
    // First and last: where to cut video and audio, what is left of both, and which bytes.
    assert_true(archive.tables_asked <= 12);
    assert_int_equal(archive.opens, 0);
    vfile_free(file);
    archive_fini(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting_at_a_key_frame_hides_nothing),
        cmocka_unit_test(test_a_leading_picture_is_decoded_from_the_key_frame_before),
        cmocka_unit_test(test_a_leading_picture_may_need_the_segment_before),
        cmocka_unit_test(test_a_start_in_a_gap_begins_with_what_comes_next),
        cmocka_unit_test(test_nothing_in_the_range_is_a_failure),
        cmocka_unit_test(test_a_bent_clock_moves_what_is_asked_for),
        cmocka_unit_test(test_only_trimmed_segments_are_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
