// How segments stand one behind the other in a virtual file.
#include "tests/unit/vfile.h"

// The recorder's own first boundary: decode times of the second segment begin before the first's
// end, presentation runs on.
static void test_overlapping_decode_times_keep_presentation(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    for (uint32_t i = 1; i < 3; i++) {
        struct media_track *track = &archive.media[i].tracks[0];
        track->start -= 2 * FRAME;
        for (size_t s = 0; s < track->sample_count; s++)
            track->samples[s].composition += 2 * FRAME;
        buf_fini(&archive.packed[i]);
        sample_table_encode(&archive.media[i], &archive.packed[i]);
        track_summarize(track, &archive.segments[i].tracks[VFILE_VIDEO]);
    }
    struct ask ask = between(START_US + 2000000, START_US + 11000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    // Presentation times are the recorded ones, to the tick.
    size_t count;
    const struct movie_sample **samples = shown(&result.movie, result.video, &count);
    for (size_t i = 1; i < count; i++)
        assert_int_equal(samples[i]->presentation - samples[i - 1]->presentation, FRAME);
    free(samples);
    result_fini(&result);
    archive_fini(&archive);
}

// Presentation before decoding: an edit can not begin before zero, so all of it is moved.
static void test_negative_presentation_is_moved_with_its_sound(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    for (uint32_t i = 0; i < 3; i++) {
        struct media_track *track = &archive.media[i].tracks[0];
        track->start += 5 * FRAME;
        for (size_t s = 0; s < track->sample_count; s++)
            track->samples[s].composition -= 5 * FRAME;
        buf_fini(&archive.packed[i]);
        sample_table_encode(&archive.media[i], &archive.packed[i]);
        track_summarize(track, &archive.segments[i].tracks[VFILE_VIDEO]);
    }
    struct ask ask = between(START_US + 2000000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.video->edits[0].media_time, 0);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// A camera that pauses for half a second between two segments of a run has paused in the file, too.
static void test_a_short_pause_inside_a_run_lasts_as_long(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    for (uint32_t i = 1; i < 3; i++) {
        archive.media[i].tracks[0].start += 45000;
        archive.media[i].tracks[1].start += 8000;
        archive.segments[i].tracks[VFILE_VIDEO].start += 45000;
        archive.segments[i].tracks[VFILE_AUDIO].start += 8000;
        archive.segments[i].start_us += 500000;
        archive.segments[i].end_us += 500000;
    }
    struct ask ask = between(START_US + 2000000, START_US + 9000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// Two runs with 100 s between them: the second follows at once, its sound in step with it.
static void test_time_between_runs_is_skipped(void **state)
{
    (void)state;
    for (int overlap = 0; overlap < 2; overlap++) {
        struct archive archive;
        archive_init(&archive);
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .start_us = START_US,
                                  .video_start = 5000,
                                  .frames = 100,
                                  .gop = 25,
                                  .audio_start = 1000,
                                  .sounds = overlap ? 70 : 50});
        archive_add(&archive, &(struct recipe){.run = 2,
                                  .start_us = START_US + 104000000,
                                  .video_start = 700000,
                                  .frames = 50,
                                  .gop = 25,
                                  .reordered = true,
                                  .audio_start = 700000 * 8 / 45 + 400,
                                  .sounds = 30});
        struct result result;
        fetch(&result, &archive, between(START_US, START_US + 200000000));
        assert_int_equal(result.video->sample_count, 150);
        assert_int_equal(result.video->edits[0].duration, 150 * FRAME);
        assert_int_equal(
            result.video->samples[100].presentation - result.video->samples[0].presentation,
            100 * FRAME);
        assert_int_equal(result.info.end_us, START_US + 106000000);
        // The second run's sound begins 400/16000 s after its picture, in the file as in the
        // record; with an overlap, whole frames of it are missing at its beginning.
        unsigned kept = result.audio->sample_count - (overlap ? 70 : 50);
        const struct movie_sample *first = &result.audio->samples[overlap ? 70 : 50];
        int64_t dropped = 30 - kept;
        assert_true(overlap ? dropped > 0 && dropped < 10 : dropped == 0);
        double expected = 64000 + 400 + (double)dropped * SOUND - (1000 - 5000 * 8 / 45.0);
        assert_float_equal(
            (double)(first->presentation - result.audio->samples[0].presentation), expected, 1.01);
        result_fini(&result);
        archive_fini(&archive);
    }
}

static void test_sample_entries_are_chosen_by_segment(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    archive.segments[1].entries[VFILE_VIDEO] = 2;
    struct result result;
    fetch(&result, &archive, between(START_US, START_US + 12000000));
    assert_int_equal(result.video->entry_count, 2);
    for (uint32_t i = 0; i < 300; i++)
        assert_int_equal(result.video->samples[i].entry, i >= 100 && i < 200 ? 2 : 1);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_stretches_tell_when_segments_are_shown(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    for (uint32_t i = 0; i < 3; i++)
        archive_add(&archive, &(struct recipe){.run = 1 + i / 2,
                                  .number = i % 2,
                                  .start_us = START_US + (i + 5 * (i / 2)) * 4000000,
                                  .video_start = 5000 + i % 2 * 360000,
                                  .frames = 100,
                                  .gop = 25});
    struct vfile *file = must_make(&archive, between(START_US + 1000000, START_US + 40000000));
    struct vfile_stretch stretch;
    assert_int_equal(vfile_stretch_count(file), 3);
    for (size_t i = 0; i < 3; i++) {
        vfile_stretch_get(file, i, &stretch);
        assert_false(stretch.silence);
        assert_int_equal(stretch.segment, i);
        assert_int_equal(stretch.media_us, (int64_t)i * 4000000 - 1000000);
    }
    assert_int_equal(vfile_info(file)->skipped_us, 20000000);
    assert_int_equal(vfile_info(file)->duration_us, 11000000);
    vfile_free(file);
    archive_fini(&archive);
}

static void test_absurd_times_are_refused(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, false);
    static const struct {
        int64_t start;
        uint32_t timescale;
        uint64_t duration;
    } cases[] = {{INT64_MAX, 90000, 360000}, {INT64_MIN, 90000, 360000}, {0, 0, 360000},
        {0, UINT32_MAX, 360000}, {0, 90000, UINT64_MAX}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct track_summary kept = archive.segments[1].tracks[VFILE_VIDEO];
        struct track_summary *summary = &archive.segments[1].tracks[VFILE_VIDEO];
        summary->start = cases[i].start;
        summary->timescale = cases[i].timescale;
        summary->counts.duration = cases[i].duration;
        char *cause = NULL;
        assert_null(make(&archive, between(START_US, START_US + 12000000), &cause));
        assert_non_null(cause);
        free(cause);
        *summary = kept;
    }
    archive_fini(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlapping_decode_times_keep_presentation),
        cmocka_unit_test(test_negative_presentation_is_moved_with_its_sound),
        cmocka_unit_test(test_a_short_pause_inside_a_run_lasts_as_long),
        cmocka_unit_test(test_time_between_runs_is_skipped),
        cmocka_unit_test(test_sample_entries_are_chosen_by_segment),
        cmocka_unit_test(test_stretches_tell_when_segments_are_shown),
        cmocka_unit_test(test_absurd_times_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
