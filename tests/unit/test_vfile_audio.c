// The sound of a virtual file: in step with the picture, and silent where there is none.
#include "tests/unit/entries.h"
#include "tests/unit/vfile.h"

static const uint8_t silence[] = {0x00, 0xc8, 0x00, 0x80, 0x23, 0x80};

// From now on the archive's sound is AAC, mono at 16 kHz, of which silence can be made.
static struct buf say_aac(struct archive *archive)
{
    static const uint8_t config[] = {0x14, 0x08};
    struct buf entry = entry_aac(config, sizeof(config));
    archive->entries[VFILE_AUDIO][0] = (struct mp4_entry){entry.data, entry.size};
    return entry;
}

static bool is_silence(const struct result *result, const struct movie_sample *sample)
{
    return sample->size == sizeof(silence) &&
           memcmp(result->data + sample->offset, silence, sizeof(silence)) == 0;
}

// Holds a result whose video has no gaps against the model: each recorded frame in the range is
// there at its time, silence is nowhere else than where none is, and nothing is empty. Returns how
// many silent frames there are.
static size_t check_filled(struct archive *archive, const struct result *result)
{
    const double frame_us = SOUND * 1e6 / AUDIO_SCALE;
    size_t sound_count, at = 0, silent = 0, found = 0, expected = 0;
    struct model_frame *sounds = model_frames(archive, MEDIA_AUDIO, &sound_count);
    const struct movie_track *track = result->audio;
    const struct movie_edit *edit = &track->edits[track->edit_count - 1];
    double empty_us = track->edit_count > 1
                          ? (double)track->edits[0].duration * 1e6 / result->movie.timescale
                          : 0;
    assert_true(empty_us <= frame_us);
    for (uint32_t i = 0; i < track->sample_count; i++) {
        const struct movie_sample *sample = &track->samples[i];
        double time_us = (double)result->info.start_us + empty_us +
                         (double)(sample->presentation - edit->media_time) * 1e6 / track->timescale;
        double length_us = sample->duration * 1e6 / track->timescale;
        assert_true(length_us < 2 * frame_us + 1);
        if (is_silence(result, sample)) {
            silent++;
            for (size_t s = 0; s < sound_count; s++)
                assert_false(sounds[s].start_us > time_us - frame_us / 2 &&
                             sounds[s].start_us < time_us + frame_us / 2);
            continue;
        }
        while (at < sound_count && !same_bytes(result, sample, &sounds[at]))
            at++;
        assert_true(at < sound_count);
        assert_float_equal(time_us, sounds[at].start_us, 100);
        found++;
    }
    for (size_t s = 0; s < sound_count; s++)
        expected += sounds[s].start_us > (double)result->info.start_us - frame_us + 100 &&
                    sounds[s].start_us < (double)result->info.end_us - 100;
    assert_int_equal(found, expected);
    // From the first picture to the last.
    double covered_us = (double)edit->duration * 1e6 / result->movie.timescale + empty_us;
    assert_true(covered_us > (double)result->info.duration_us - frame_us - 100);
    free(sounds);
    return silent;
}

static void remove_sound(struct archive *archive, size_t segment)
{
    free(archive->media[segment].tracks[1].samples);
    archive->media[segment].tracks[1] = (struct media_track){0};
    archive->media[segment].track_count = 1;
    archive_pack(archive, segment);
}

// A hole as the recorder writes it: the frame before it lasts until the next one.
static void make_hole(struct archive *archive, size_t segment, size_t first, size_t count)
{
    struct media_track *track = &archive->media[segment].tracks[1];
    assert_true(first > 0 && first + count < track->sample_count);
    for (size_t i = first; i < first + count; i++)
        track->samples[first - 1].duration += track->samples[i].duration;
    memmove(&track->samples[first], &track->samples[first + count],
        (track->sample_count - first - count) * sizeof(track->samples[0]));
    track->sample_count -= count;
    archive_pack(archive, segment);
}

static void test_without_sound_no_byte_of_it_is_in_the_file(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, true, false, true);
    struct ask ask = {START_US + 1500000, START_US + 10500000, .silent = true};
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(result.movie.track_count, 1);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < result.video->sample_count; i++)
        sum += result.video->samples[i].size;
    assert_int_equal(result.movie.media_size, sum);
    for (uint64_t i = 0; i < result.movie.media_size; i++)
        assert_true(result.data[result.movie.media_offset + i] < 0x80);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_sound_that_stops_for_a_while_keeps_its_place(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    // The second segment has no sound at all.
    free(archive.media[1].tracks[1].samples);
    archive.media[1].tracks[1] = (struct media_track){0};
    archive.media[1].track_count = 1;
    archive.segments[1].tracks[VFILE_AUDIO] = (struct track_summary){0};
    buf_fini(&archive.packed[1]);
    sample_table_encode(&archive.media[1], &archive.packed[1]);
    struct ask ask = between(START_US + 1000000, START_US + 11000000);
    struct result result;
    fetch(&result, &archive, ask);
    check_range(&archive, &result, ask);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    // A range that begins where there is none: an empty edit holds the place.
    ask = between(START_US + 5000000, START_US + 11000000);
    fetch(&result, &archive, ask);
    assert_int_equal(result.audio->edit_count, 2);
    assert_int_equal(result.audio->edits[0].media_time, -1);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

// The recorder's durations at a file's end are guesses: the next file's sound may begin earlier.
static void test_sound_that_overlaps_a_little_inside_a_run_stays_whole(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    add_run(&archive, false, false, true);
    archive.media[1].tracks[1].start -= 700;
    track_summarize(&archive.media[1].tracks[1], &archive.segments[1].tracks[VFILE_AUDIO]);
    archive.tables_asked = 0;
    struct result result;
    fetch(&result, &archive, between(START_US, START_US + 12000000));
    const struct media_track *track = &archive.media[1].tracks[1];
    size_t kept = 0;
    for (uint32_t i = 0; i < result.audio->sample_count; i++) {
        const struct movie_sample *sample = &result.audio->samples[i];
        for (size_t s = 0; s < track->sample_count; s++)
            kept += sample->size == track->samples[s].size &&
                    memcmp(result.data + sample->offset,
                        archive.files[1].data + track->samples[s].offset, sample->size) == 0;
    }
    assert_int_equal(kept, track->sample_count);
    check_sound(&archive, &result, 100);
    result_fini(&result);
    archive_fini(&archive);
}

static void test_a_segment_without_sound_is_silent(void **state)
{
    (void)state;
    for (size_t segment = 0; segment < 3; segment++) {
        struct archive archive;
        archive_init(&archive);
        struct buf entry = say_aac(&archive);
        add_run(&archive, true, false, true);
        remove_sound(&archive, segment);
        archive.tables_asked = 0;
        struct ask ask = between(START_US + 500000, START_US + 11500000);
        struct vfile *file = must_make(&archive, ask);
        assert_true(archive.tables_asked <= 12); // of the trimmed ones alone
        int64_t silence_us = 0;
        for (size_t i = 0; i < vfile_stretch_count(file); i++) {
            struct vfile_stretch stretch;
            vfile_stretch_get(file, i, &stretch);
            silence_us += stretch.silence ? stretch.duration_us : 0;
        }
        assert_float_equal(silence_us, vfile_info(file)->silence_us, 64000);
        assert_in_range(vfile_info(file)->silence_us, 3200000, 4064000);
        vfile_free(file);
        struct result result;
        fetch(&result, &archive, ask);
        check_range(&archive, &result, ask);
        size_t silent = check_filled(&archive, &result);
        assert_in_range(silent, segment == 1 ? 61 : 50, segment == 1 ? 63 : 60);
        result_fini(&result);
        // Where all of a range is silent, there is no sound.
        fetch(&result, &archive,
            between(archive.segments[segment].start_us + 1500000,
                archive.segments[segment].start_us + 2500000));
        assert_null(result.audio);
        result_fini(&result);
        buf_fini(&entry);
        archive_fini(&archive);
    }
}

static void test_a_hole_inside_a_segment_is_silent(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    struct buf entry = say_aac(&archive);
    add_run(&archive, true, false, true);
    make_hole(&archive, 1, 20, 10);
    make_hole(&archive, 1, 40, 2);
    struct ask ask = between(START_US + 500000, START_US + 11500000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_int_equal(check_filled(&archive, &result), 12);
    // Its bytes stand beside the segment's, and no byte of the segment twice.
    uint64_t media = 12 * sizeof(silence);
    for (int i = 0; i < 3; i++)
        media += archive.segments[i].media_end - archive.segments[i].media_offset;
    assert_true(result.movie.media_size <= media);
    result_fini(&result);
    // A hole of one frame is none.
    make_hole(&archive, 2, 5, 1);
    fetch(&result, &archive, ask);
    assert_in_range(check_filled(&archive, &result), 12, 13);
    result_fini(&result);
    // In and at a hole's edges, and cut off inside of it.
    for (int64_t start_us = START_US + 5300000; start_us < START_US + 6400000; start_us += 37000) {
        fetch(&result, &archive, between(start_us, start_us + 4000000));
        check_filled(&archive, &result);
        result_fini(&result);
        fetch(&result, &archive, between(START_US + 1000000, start_us));
        check_filled(&archive, &result);
        result_fini(&result);
    }
    buf_fini(&entry);
    archive_fini(&archive);
}

// Packets of another length than a silent frame's are no holes.
static void test_long_packets_are_no_holes(void **state)
{
    (void)state;
    struct archive archive;
    archive_init(&archive);
    struct buf entry = entry_opus(1, 0);
    archive.entries[VFILE_AUDIO][0] = (struct mp4_entry){entry.data, entry.size};
    add_run(&archive, false, false, true);
    struct result result;
    for (int hole = 0; hole < 2; hole++) {
        fetch(&result, &archive, between(START_US + 500000, START_US + 11500000));
        size_t silent = 0;
        for (uint32_t i = 0; i < result.audio->sample_count; i++)
            silent += result.audio->samples[i].size == 3;
        // A silent frame has 20 ms: 320 ticks of this track; three packets have 3072.
        assert_in_range(silent, hole ? 9 : 0, hole ? 10 : 0);
        result_fini(&result);
        make_hole(&archive, 1, 20, 3);
    }
    buf_fini(&entry);
    archive_fini(&archive);
}

// Two hundred holes of any length: no frame is moved by them.
static void test_holes_add_up_to_no_drift(void **state)
{
    (void)state;
    srandom(3);
    struct archive archive;
    archive_init(&archive);
    struct buf entry = say_aac(&archive);
    int64_t next = 0;
    for (uint32_t i = 0; i < SEGMENTS_MAX; i++) {
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .number = i,
                                  .start_us = START_US + i * 4000000,
                                  .video_start = i * 360000,
                                  .frames = 100,
                                  .gop = 50,
                                  .audio_start = next,
                                  .sounds = (unsigned)(((i + 1) * 64000 - next) / SOUND)});
        struct media_track *track = &archive.media[i].tracks[1];
        for (int hole = 0; hole < 5; hole++)
            track->samples[2 + random() % 20].duration += (uint32_t)(random() % 5000);
        // What lies behind the end now goes.
        int64_t end = track->start;
        size_t kept = 0;
        while (kept < track->sample_count && end < (int64_t)(i + 1) * 64000)
            end += track->samples[kept++].duration;
        track->sample_count = kept;
        next = end;
        archive_pack(&archive, i);
    }
    struct ask ask = between(START_US + 500000, START_US + SEGMENTS_MAX * 4000000 - 500000);
    struct result result;
    fetch(&result, &archive, ask);
    assert_true(check_filled(&archive, &result) > 100);
    result_fini(&result);
    buf_fini(&entry);
    archive_fini(&archive);
}

// The first run's sound stops 0.8 s before its last picture, or goes on behind it; the second's
// begins before its first picture, or 0.5 s after it. Time between the runs is skipped: so much of
// the sound, too.
static void test_a_runs_sound_goes_with_its_pictures(void **state)
{
    (void)state;
    static const struct {
        unsigned sounds;     // of the first run; 62.5 are 4 s
        int64_t audio_start; // of the second run, after its first picture
        unsigned silent[2];  // from, to
    } cases[] = {{50, 8000, {19, 21}}, {70, 8000, {6, 8}}, {50, -20000, {12, 13}},
        {80, -20000, {0, 0}}, {62, 0, {0, 0}}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct archive archive;
        archive_init(&archive);
        struct buf entry = say_aac(&archive);
        archive_add(&archive, &(struct recipe){.run = 1,
                                  .start_us = START_US,
                                  .frames = 100,
                                  .gop = 25,
                                  .sounds = cases[i].sounds});
        archive_add(&archive, &(struct recipe){.run = 2,
                                  .start_us = START_US + 104000000,
                                  .video_start = 900000,
                                  .frames = 100,
                                  .gop = 25,
                                  .audio_start = 160000 + cases[i].audio_start,
                                  .sounds = 62});
        struct result result;
        fetch(&result, &archive, between(START_US, START_US + 200000000));
        size_t silent = 0;
        for (uint32_t s = 0; s < result.audio->sample_count; s++) {
            const struct movie_sample *sample = &result.audio->samples[s];
            if (is_silence(&result, sample)) {
                silent += sample->decode < 100000;
                continue;
            }
            bool second = false;
            size_t at = 0;
            for (;;) {
                const struct media_sample *from = &archive.media[second].tracks[1].samples[at];
                if (from->size == sample->size &&
                    memcmp(result.data + sample->offset, archive.files[second].data + from->offset,
                        from->size) == 0)
                    break;
                if (++at < archive.media[second].tracks[1].sample_count)
                    continue;
                assert_false(second);
                second = true;
                at = 0;
            }
            int64_t time = archive.media[second].tracks[1].start + (int64_t)at * SOUND -
                           (second ? 160000 - 64000 : 0);
            assert_int_equal(sample->decode, time);
            // Each run's lies beside its own pictures.
            assert_true(second ? time > 64000 - SOUND : time < 64000);
        }
        assert_in_range(silent, cases[i].silent[0], cases[i].silent[1]);
        result_fini(&result);
        buf_fini(&entry);
        archive_fini(&archive);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_sound_no_byte_of_it_is_in_the_file),
        cmocka_unit_test(test_sound_that_stops_for_a_while_keeps_its_place),
        cmocka_unit_test(test_sound_that_overlaps_a_little_inside_a_run_stays_whole),
        cmocka_unit_test(test_a_segment_without_sound_is_silent),
        cmocka_unit_test(test_a_hole_inside_a_segment_is_silent),
        cmocka_unit_test(test_long_packets_are_no_holes),
        cmocka_unit_test(test_holes_add_up_to_no_drift),
        cmocka_unit_test(test_a_runs_sound_goes_with_its_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
