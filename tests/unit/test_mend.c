// What the first sender report does to a run is mended: recordings of the test camera, whose audio
// begins 33 whole frames (0.704 s) after its video, moved either way, with and without B-frames.
// The camera's frames are evenly spaced, so what is expected needs no reference.
#include "tests/unit/corpus.h"

#include "lib/media/mend.h"
#include "lib/media/mp4_write.h"

enum {
    FILES = 4,
    FRAME = 3600, // of 25 a second, at 90 kHz
    SOUND = 1024, // at 48 kHz
};

struct recording {
    const char *name;
    enum media_kind moved;
    bool reorders;
};

static const struct recording recordings[] = {
    {"audio-forward", MEDIA_AUDIO, false},
    {"audio-forward-b", MEDIA_AUDIO, true},
    {"video-backward", MEDIA_VIDEO, false},
    {"video-backward-b", MEDIA_VIDEO, true},
};

struct run {
    struct buf files[FILES];
    struct media_segment segments[FILES];
    struct mp4_layout layouts[FILES];
};

static void run_read(struct run *run, const char *name)
{
    for (int i = 0; i < FILES; i++) {
        char *path = xasprintf("report/%s-%06d", name, i);
        run->files[i] = corpus_load(path, ".mp4");
        must_read(&run->files[i], &run->segments[i], &run->layouts[i]);
        free(path);
    }
}

static void run_free(struct run *run)
{
    for (int i = 0; i < FILES; i++) {
        media_segment_fini(&run->segments[i]);
        buf_fini(&run->files[i]);
    }
}

static int compare(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

// The least presentation time of a kind over the run, after checking that decode times and
// presentation times are even, over the files' ends too. Where frames have lost their order, a
// frame that was to be shown later and one that was to fill its place may share a moment.
static int64_t check_even(
    const struct run *run, enum media_kind kind, int64_t spacing, bool disordered)
{
    int64_t times[4096], end = 0;
    size_t count = 0;
    for (int i = 0; i < FILES; i++) {
        const struct media_track *track = media_segment_track(&run->segments[i], kind);
        int64_t time = track->start;
        assert_true(i == 0 || (time - end >= -3 && time - end <= 3));
        for (size_t j = 0; j < track->sample_count; j++) {
            assert_in_range(track->samples[j].duration, spacing - 3, spacing + 3);
            times[count++] = time + track->samples[j].composition;
            time += track->samples[j].duration;
        }
        end = time;
    }
    qsort(times, count, sizeof(times[0]), compare);
    size_t odd = 0;
    for (size_t i = 1; i < count; i++)
        odd += times[i] - times[i - 1] < spacing - 3 || times[i] - times[i - 1] > spacing + 3;
    assert_in_range(odd, 0, disordered ? 2 : 0);
    return times[0];
}

static void both_tracks_are_even_and_in_step(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(recordings); i++) {
        const struct recording *recording = &recordings[i];
        struct run run, raw;
        struct mend mend, read;
        char text[MEND_TEXT_SIZE];
        uint32_t lost = 0;
        run_read(&run, recording->name);
        run_read(&raw, recording->name);
        assert_true(mend_find(run.segments, FILES, &mend));
        assert_int_equal(mend.kind, recording->moved);
        mend_format(&mend, text);
        assert_true(mend_parse(text, &read));
        assert_int_equal(read.kind, mend.kind);
        assert_int_equal(read.at, mend.at);
        assert_int_equal(read.end, mend.end);
        assert_int_equal(read.count, mend.count);
        assert_int_equal(read.usual, mend.usual);
        assert_int_equal(read.composition, mend.composition);
        for (int file = 0; file < FILES; file++) {
            lost += mend_lost(&mend, &run.segments[file]);
            mend_apply(&read, &run.segments[file]);
        }
        assert_int_equal(lost > 0, recording->reorders && recording->moved == MEDIA_VIDEO);
        int64_t picture = check_even(&run, MEDIA_VIDEO, FRAME, lost > 0);
        int64_t sound = check_even(&run, MEDIA_AUDIO, SOUND, false);
        assert_in_range(sound * 15 - picture * 8 + 1000, 33 * SOUND * 15 + 1000 - 30 * 15,
            33 * SOUND * 15 + 1000 + 30 * 15); // 1/720000 s
        // Nothing but times has changed, and nothing behind the jump.
        for (int file = 0; file < FILES; file++) {
            for (size_t j = 0; j < run.segments[file].track_count; j++) {
                const struct media_track *now = &run.segments[file].tracks[j];
                const struct media_track *then = &raw.segments[file].tracks[j];
                assert_int_equal(now->sample_count, then->sample_count);
                if (now->kind != mend.kind || then->start >= mend.end)
                    assert_int_equal(now->start, then->start);
                for (size_t k = 0; k < now->sample_count; k++) {
                    assert_int_equal(now->samples[k].offset, then->samples[k].offset);
                    assert_int_equal(now->samples[k].size, then->samples[k].size);
                    assert_int_equal(now->samples[k].key, then->samples[k].key);
                }
            }
        }
        run_free(&run);
        run_free(&raw);
    }
}

static void what_is_mended_stays_mended(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(recordings); i++) {
        struct run run;
        struct mend mend, again;
        run_read(&run, recordings[i].name);
        mend_find(run.segments, FILES, &mend);
        for (int file = 0; file < FILES; file++)
            mend_apply(&mend, &run.segments[file]);
        assert_false(mend_find(run.segments, FILES, &again));
        assert_int_equal(again.kind, 0);
        run_free(&run);
    }
}

static void a_run_is_ready_with_twelve_seconds_or_one_track(void **state)
{
    (void)state;
    struct run run;
    run_read(&run, "audio-forward");
    assert_false(mend_ready(run.segments, FILES));
    run.segments[FILES - 1].tracks[0].samples[0].duration += 5 * 90000;
    assert_true(mend_ready(run.segments, FILES));
    for (int i = 0; i < FILES; i++)
        run.segments[i].tracks[1].kind = 0;
    assert_true(mend_ready(run.segments, 1));
    run_free(&run);
}

// A track of `seconds`, even.
static void even_track(struct media_track *track, enum media_kind kind, uint32_t timescale,
    uint32_t spacing, uint32_t seconds)
{
    *track = (struct media_track){.kind = kind, .timescale = timescale};
    track->sample_count = (size_t)seconds * timescale / spacing;
    track->samples = xcalloc(track->sample_count, sizeof(track->samples[0]));
    for (size_t i = 0; i < track->sample_count; i++)
        track->samples[i].duration = spacing;
}

static void only_a_jump_of_one_track_is_mended(void **state)
{
    (void)state;
    static const struct {
        uint32_t video_more, audio_more; // of the sample 5 s into it, in ms
        size_t at_s;
        enum media_kind found;
    } cases[] = {
        {0, 0, 5, 0}, {0, 700, 5, MEDIA_AUDIO}, {700, 0, 5, MEDIA_VIDEO},
        {700, 700, 5, 0},                                                     // both stood still
        {0, 90, 5, 0},                                                        // too little
        {0, 110, 5, MEDIA_AUDIO}, {0, 4900, 5, MEDIA_AUDIO}, {0, 5100, 5, 0}, // too much
        {0, 700, 11, MEDIA_AUDIO}, {0, 700, 13, 0},                           // too late
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct media_segment segment = {.track_count = 2};
        struct mend mend;
        even_track(&segment.tracks[0], MEDIA_VIDEO, 90000, FRAME, 30);
        even_track(&segment.tracks[1], MEDIA_AUDIO, 48000, SOUND, 30);
        segment.tracks[0].samples[cases[i].at_s * 25].duration += cases[i].video_more * 90;
        segment.tracks[1].samples[cases[i].at_s * 48000 / SOUND].duration +=
            cases[i].audio_more * 48;
        bool found = mend_find(&segment, 1, &mend);
        assert_int_equal(mend.kind, cases[i].found);
        assert_int_equal(found, cases[i].found != 0);
        media_segment_fini(&segment);
    }
}

// One second of footage that a camera lost a frame of is not moved.
static void a_lost_frame_of_a_slow_camera_is_no_jump(void **state)
{
    (void)state;
    struct media_segment segment = {.track_count = 2};
    struct mend mend;
    even_track(&segment.tracks[0], MEDIA_VIDEO, 90000, 18000, 30);
    even_track(&segment.tracks[1], MEDIA_AUDIO, 48000, SOUND, 30);
    segment.tracks[0].samples[20].duration += 18000;
    assert_false(mend_find(&segment, 1, &mend));
    media_segment_fini(&segment);
}

static void nonsense_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"video", "video 1 2 3 4", "image 1 2 1 1 0",
        "video 2 2 1 1 0", "video 3 2 1 1 0", "video 1 2 0 1 0", "video 1 2 1 0 0",
        "video 1 2 1 1 0 ", "video 01 2 1 1 0", "video 1 2 99999999 1 0",
        "video 1 9223372036854775807 1 1 0", "video 1 99999999999999999999 1 1 0"};
    struct mend mend;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_false(mend_parse(texts[i], &mend));
        assert_int_equal(mend.kind, 0);
    }
    assert_true(mend_parse("", &mend));
    assert_int_equal(mend.kind, 0);

    // One that fits no sample: more of them than it says, or time that would run backward.
    struct media_segment segment = {.track_count = 1};
    even_track(&segment.tracks[0], MEDIA_VIDEO, 90000, FRAME, 10);
    assert_true(mend_parse("video 90000 180000 1 3600 0", &mend));
    assert_false(mend_apply(&mend, &segment));
    assert_true(mend_parse("video 90000 180000 100 4000000000 0", &mend));
    assert_false(mend_apply(&mend, &segment));
    assert_true(mend_parse("audio 90000 180000 25 3600 0", &mend));
    assert_false(mend_apply(&mend, &segment));
    for (size_t i = 0; i < segment.tracks[0].sample_count; i++)
        assert_int_equal(segment.tracks[0].samples[i].duration, FRAME);
    media_segment_fini(&segment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_tracks_are_even_and_in_step),
        cmocka_unit_test(what_is_mended_stays_mended),
        cmocka_unit_test(a_run_is_ready_with_twelve_seconds_or_one_track),
        cmocka_unit_test(only_a_jump_of_one_track_is_mended),
        cmocka_unit_test(a_lost_frame_of_a_slow_camera_is_no_jump),
        cmocka_unit_test(nonsense_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
