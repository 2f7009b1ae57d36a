// Portions of a segment, and the media of each, against a model of its own: every frame is in one
// portion exactly, sound goes with the pictures of its time, holes in it are filled.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/media/portion_media.h"

enum {
    VIDEO_SCALE = 90000,
    AUDIO_SCALE = 16000,
    AUDIO_FRAME = 1024,
};

struct made {
    struct media_segment media;
    struct track_summary summaries[MEDIA_TRACKS_MAX];
    struct buf packed;
    struct sample_table table;
};

static void add(struct media_track *track, uint64_t offset, uint32_t size, uint32_t duration,
    int32_t composition, bool key)
{
    ARRAY_RESERVE(track->samples, track->sample_count, track->sample_capacity);
    track->samples[track->sample_count++] =
        (struct media_sample){offset, size, duration, composition, key};
}

// 25 frames a second, a key frame every `group` frames, fragments of half a second: video, then
// the sound of that time. Sound is missing from `hole_s` on for two seconds (-1: nowhere).
static void make(struct made *made, int frames, int group, int hole_s)
{
    *made = (struct made){0};
    made->media.track_count = 2;
    struct media_track *video = &made->media.tracks[0], *audio = &made->media.tracks[1];
    *video =
        (struct media_track){.kind = MEDIA_VIDEO, .id = 1, .timescale = VIDEO_SCALE, .start = 9000};
    *audio =
        (struct media_track){.kind = MEDIA_AUDIO, .id = 2, .timescale = AUDIO_SCALE, .start = 1600};
    uint64_t offset = 1000;
    int64_t heard = 0;
    for (int i = 0; i < frames; i++) {
        add(video, offset, 500 + (uint32_t)(i % 7), 3600, i % 3 ? 3600 : 7200, i % group == 0);
        offset += 500 + (uint32_t)(i % 7);
        if (i % 12 != 11 && i != frames - 1)
            continue;
        for (; heard < (int64_t)(i + 1) * AUDIO_SCALE / 25; heard += AUDIO_FRAME) {
            int64_t second = heard / AUDIO_SCALE;
            if (hole_s >= 0 && second >= hole_s && second < hole_s + 2) {
                audio->samples[audio->sample_count - 1].duration += AUDIO_FRAME;
                continue;
            }
            add(audio, offset, 100, AUDIO_FRAME, 0, true);
            offset += 100;
        }
        offset += 300; // the next fragment's tables
    }
    for (size_t i = 0; i < 2; i++)
        track_summarize(&made->media.tracks[i], &made->summaries[i]);
    sample_table_encode(&made->media, &made->packed);
    char *cause = NULL;
    if (sample_table_open(&made->table, made->packed.data, made->packed.size, &cause) < 0)
        fail_msg("%s", cause);
}

static void unmake(struct made *made)
{
    media_segment_fini(&made->media);
    buf_fini(&made->packed);
}

static struct portions divide(const struct made *made)
{
    struct portions portions = {0};
    portions_find(&portions, sample_table_track(&made->table, MEDIA_VIDEO), VIDEO_SCALE);
    return portions;
}

static void test_division(void **state)
{
    (void)state;
    static const struct {
        int frames, group;
        size_t count;
        uint32_t first; // frames of the first portion
    } rows[] = {
        {1500, 50, 10, 150},   // 2 s between key frames, 60 s
        {1500, 40, 10, 160},   // 1.6 s: 6.4 s is the first that is long enough
        {1500, 250, 6, 250},   // 10 s
        {1500, 5000, 1, 1500}, // only one key frame
        {100, 25, 1, 100},     // shorter than one portion
        {151, 50, 2, 150},     // the last has one frame
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct made made;
        make(&made, rows[i].frames, rows[i].group, -1);
        struct portions portions = divide(&made);
        assert_int_equal(portions.count, rows[i].count);
        assert_int_equal(portions.items[0].count, rows[i].first);
        uint32_t next = 0;
        for (size_t k = 0; k < portions.count; k++) {
            const struct portion *portion = &portions.items[k];
            assert_int_equal(portion->first, next);
            assert_true(made.media.tracks[0].samples[next].key);
            assert_int_equal(portion->decode, (int64_t)next * 3600);
            assert_int_equal(
                portion->start, portion->decode + made.media.tracks[0].samples[next].composition);
            if (k > 0)
                assert_int_equal(portion->start, portions.items[k - 1].end);
            next += portion->count;
        }
        assert_int_equal(next, rows[i].frames);
        portions_fini(&portions);
        unmake(&made);
    }
}

static struct portion_media gather(
    const struct made *made, const struct portions *portions, size_t index, uint32_t silence)
{
    const struct portion_request request = {
        .table = &made->table,
        .tracks = made->summaries,
        .portion = &portions->items[index],
        .audio = true,
        .first = index == 0,
        .last = index + 1 == portions->count,
        .silence = {.size = silence, .duration = AUDIO_FRAME},
        .time_base_s = 10,
    };
    struct portion_media media;
    char *cause = NULL;
    if (portion_media_make(&media, &request, &cause) < 0)
        fail_msg("%s", cause);
    return media;
}

// Where in the file the byte of the mdat stands.
static uint64_t file_offset(const struct portion_media *media, uint64_t at)
{
    for (size_t i = 0; i < media->extent_count; at -= media->extents[i++].size)
        if (at < media->extents[i].size)
            return media->extents[i].offset == PORTION_SILENCE ? PORTION_SILENCE
                                                               : media->extents[i].offset + at;
    fail_msg("the byte lies in no extent");
    return 0;
}

static void test_media_of_all_portions_is_the_segment(void **state)
{
    (void)state;
    struct made made;
    make(&made, 1500, 50, -1);
    struct portions portions = divide(&made);
    size_t next[MEDIA_TRACKS_MAX] = {0};
    uint64_t time[MEDIA_TRACKS_MAX] = {9000 + 10 * VIDEO_SCALE, 1600 + 10 * AUDIO_SCALE};
    for (size_t k = 0; k < portions.count; k++) {
        struct portion_media media = gather(&made, &portions, k, 6);
        uint64_t bytes = 0;
        for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
            const struct mp4_moof_track *track = &media.tracks[kind];
            assert_int_equal(track->decode_time, time[kind]);
            for (size_t i = 0; i < track->sample_count; i++) {
                const struct media_sample *from = &made.media.tracks[kind].samples[next[kind]++];
                assert_int_equal(file_offset(&media, track->samples[i].offset), from->offset);
                assert_int_equal(track->samples[i].size, from->size);
                assert_int_equal(track->samples[i].duration, from->duration);
                assert_int_equal(track->samples[i].composition, from->composition);
                assert_int_equal(track->samples[i].key, from->key);
                time[kind] += from->duration;
                bytes += from->size;
            }
        }
        // Small bytes in between ride along.
        assert_in_range(media.size, bytes, bytes + 13 * 300 + 2 * 4096);
        assert_true(media.extent_count <= 3);
        portion_media_fini(&media);
    }
    assert_int_equal(next[0], made.media.tracks[0].sample_count);
    assert_int_equal(next[1], made.media.tracks[1].sample_count);
    portions_fini(&portions);
    unmake(&made);
}

// A hole of two seconds, also over the border of two portions (at 6 s).
static void test_a_hole_is_filled(void **state)
{
    (void)state;
    static const int holes_s[] = {2, 5, 7};
    for (size_t row = 0; row < ARRAY_LENGTH(holes_s); row++) {
        struct made made;
        make(&made, 500, 50, holes_s[row]);
        struct portions portions = divide(&made);
        size_t silent = 0, heard = 0;
        uint64_t time = 1600 + 10 * AUDIO_SCALE;
        for (size_t k = 0; k < portions.count; k++) {
            struct portion_media media = gather(&made, &portions, k, 6);
            const struct mp4_moof_track *track = &media.tracks[1];
            assert_true(llabs((int64_t)(track->decode_time - time)) < AUDIO_FRAME);
            time = track->decode_time;
            for (size_t i = 0; i < track->sample_count; i++) {
                assert_true(track->samples[i].duration < 2 * AUDIO_FRAME);
                time += track->samples[i].duration;
                if (file_offset(&media, track->samples[i].offset) == PORTION_SILENCE)
                    silent++;
                else
                    heard++;
            }
            portion_media_fini(&media);
        }
        assert_int_equal(heard, made.media.tracks[1].sample_count);
        assert_in_range(silent, 2 * AUDIO_SCALE / AUDIO_FRAME - 2, 2 * AUDIO_SCALE / AUDIO_FRAME);
        assert_int_equal(time, 1600 + 10 * AUDIO_SCALE + made.summaries[1].counts.duration);
        portions_fini(&portions);
        unmake(&made);
    }
}

static void test_a_hole_without_silence_stays(void **state)
{
    (void)state;
    struct made made;
    make(&made, 500, 50, 2);
    struct portions portions = divide(&made);
    size_t heard = 0;
    for (size_t k = 0; k < portions.count; k++) {
        struct portion_media media = gather(&made, &portions, k, 0);
        heard += media.tracks[1].sample_count;
        portion_media_fini(&media);
    }
    assert_int_equal(heard, made.media.tracks[1].sample_count);
    portions_fini(&portions);
    unmake(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_division),
        cmocka_unit_test(test_media_of_all_portions_is_the_segment),
        cmocka_unit_test(test_a_hole_is_filled),
        cmocka_unit_test(test_a_hole_without_silence_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
