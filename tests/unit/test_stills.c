// Which key frames a time-lapse shows and for how long, held against a plain model that looks at
// every moment by itself; and files of key frames, read back.
#include "lib/media/still.h"
#include "tests/unit/vfile.h"

static int archive_keys(void *arg, size_t segment, struct stills *keys, char **cause)
{
    struct archive *archive = arg;
    struct sample_table table;
    archive->tables_asked++;
    if (sample_table_peek(
            &table, archive->packed[segment].data, archive->packed[segment].size, cause) < 0)
        return -1;
    if (stills_find(
            keys, &archive->segments[segment], segment, sample_table_track(&table, MEDIA_VIDEO)))
        return 0;
    *cause = xasprintf("contradicts itself");
    return -1;
}

// Three segments of one run, a gap of 100 s, two of another one. Key frames each 2 s.
static void fill(struct archive *archive, bool leading)
{
    static const struct {
        int64_t run, start_s;
        unsigned frames;
    } parts[] = {{1, 0, 250}, {1, 10, 250}, {1, 20, 75}, {2, 123, 500}, {2, 143, 10}};
    archive_init(archive);
    for (uint32_t i = 0; i < ARRAY_LENGTH(parts); i++)
        archive_add(archive, &(struct recipe){.run = parts[i].run,
                                 .number = i < 3 ? i : i - 3,
                                 .start_us = START_US + parts[i].start_s * 1000000,
                                 .video_start = 90000 * parts[i].start_s,
                                 .frames = parts[i].frames,
                                 .gop = 50,
                                 .reordered = leading,
                                 .leading = leading,
                                 .sounds = i == 1 ? 20 : 0});
}

// When a frame of the archive is shown, from its media alone.
static int64_t shown_us(const struct archive *archive, size_t segment, uint32_t index)
{
    const struct media_track *track = &archive->media[segment].tracks[0];
    int64_t time = 0, least = INT64_MAX, own = 0;
    for (uint32_t i = 0; i < track->sample_count; i++) {
        int64_t at = time + track->samples[i].composition;
        least = at < least ? at : least;
        own = i == index ? at : own;
        time += track->samples[i].duration;
    }
    return archive->segments[segment].start_us + (own - least) * 1000000 / VIDEO_SCALE;
}

// All key frames of the archive.
static struct stills all_keys(const struct archive *archive)
{
    struct stills keys = {0};
    for (size_t i = 0; i < archive->count; i++) {
        const struct media_track *track = &archive->media[i].tracks[0];
        for (uint32_t n = 0; n < track->sample_count; n++)
            if (track->samples[n].key)
                stills_add(&keys, &(struct still){.segment = i,
                                      .index = n,
                                      .offset = track->samples[n].offset,
                                      .size = track->samples[n].size,
                                      .time_us = shown_us(archive, i, n)});
    }
    return keys;
}

// The last one at or before a moment.
static struct still find_key(const struct stills *keys, int64_t time_us)
{
    struct still found = {.time_us = INT64_MIN};
    for (size_t i = 0; i < keys->count; i++)
        if (keys->items[i].time_us <= time_us && keys->items[i].time_us >= found.time_us)
            found = keys->items[i];
    assert_true(found.size > 0);
    return found;
}

// Goes through all moments.
static void expect_chosen(
    const struct archive *archive, const struct timelapse *timelapse, const struct stills *chosen)
{
    struct stills keys = all_keys(archive);
    size_t at = 0;
    uint32_t moments = 0;
    int64_t covered_us = 0, moment = 0, step_us = (int64_t)timelapse->speed * 40000;
    for (size_t i = 0; i < archive->count; i++) {
        int64_t from = archive->segments[i].start_us, to = archive->segments[i].end_us;
        from = from > timelapse->start_us ? from : timelapse->start_us;
        to = to < timelapse->end_us ? to : timelapse->end_us;
        for (; to > from && moment * step_us < covered_us + to - from; moment++) {
            struct still wanted = find_key(&keys, from + moment * step_us - covered_us);
            if (moments > 0 && (chosen->items[at].offset != wanted.offset ||
                                   chosen->items[at].segment != wanted.segment)) {
                assert_int_equal(chosen->items[at].duration, moments * 3600);
                at++;
                moments = 0;
            }
            assert_true(at < chosen->count);
            assert_int_equal(chosen->items[at].segment, wanted.segment);
            assert_int_equal(chosen->items[at].index, wanted.index);
            assert_int_equal(chosen->items[at].offset, wanted.offset);
            assert_int_equal(chosen->items[at].size, wanted.size);
            assert_int_equal(chosen->items[at].time_us, wanted.time_us);
            moments++;
        }
        covered_us += to > from ? to - from : 0;
    }
    assert_int_equal(chosen->items[at].duration, moments * 3600);
    assert_int_equal(chosen->count, at + 1);
    assert_int_equal(timelapse_covered_us(timelapse), covered_us);
    assert_true(timelapse_frames_max(timelapse) >= chosen->count);
    stills_fini(&keys);
}

static struct timelapse range(
    const struct archive *archive, int64_t start_us, int64_t end_us, uint32_t speed)
{
    return (struct timelapse){.segments = archive->segments,
        .segment_count = archive->count,
        .start_us = START_US + start_us,
        .end_us = START_US + end_us,
        .speed = speed};
}

static void must_choose(
    struct archive *archive, const struct timelapse *timelapse, struct stills *chosen)
{
    struct still_source source = {archive_keys, archive};
    char *cause = NULL;
    *chosen = (struct stills){0};
    if (timelapse_choose(timelapse, &source, chosen, &cause) < 0)
        fail_msg("%s", cause);
}

static void test_each_moment_shows_the_last_key_frame_before_it(void **state)
{
    (void)state;
    static const uint32_t speeds[] = {1, 2, 3, 7, 25, 50, 51, 99, 1000, 100000};
    static const int64_t ranges[][2] = {{0, 143400000}, {1, 143400000}, {1999999, 2000001},
        {9999999, 10000000}, {4700000, 126100000}, {22000000, 123000001}};
    for (int leading = 0; leading < 2; leading++) {
        struct archive archive;
        fill(&archive, leading);
        for (size_t i = 0; i < ARRAY_LENGTH(speeds) * ARRAY_LENGTH(ranges); i++) {
            const int64_t *span = ranges[i / ARRAY_LENGTH(speeds)];
            struct timelapse timelapse =
                range(&archive, span[0], span[1], speeds[i % ARRAY_LENGTH(speeds)]);
            struct stills chosen;
            must_choose(&archive, &timelapse, &chosen);
            expect_chosen(&archive, &timelapse, &chosen);
            stills_fini(&chosen);
        }
        archive_fini(&archive);
    }
}

static void test_only_tables_that_a_moment_falls_into_are_looked_at(void **state)
{
    (void)state;
    struct archive archive;
    struct stills chosen;
    fill(&archive, false);
    // Each 25 s of what was recorded: 0 s, and 2 s into the fourth segment.
    struct timelapse timelapse = range(&archive, 0, 143000000, 625);
    must_choose(&archive, &timelapse, &chosen);
    assert_int_equal(archive.tables_asked, 2);
    assert_int_equal(chosen.count, 2);
    assert_int_equal(chosen.items[1].time_us, START_US + 125000000);
    stills_fini(&chosen);
    archive_fini(&archive);
}

static void test_a_beginning_without_a_key_frame_shows_the_first(void **state)
{
    (void)state;
    struct archive archive;
    struct stills chosen;
    fill(&archive, false);
    archive.media[0].tracks[0].samples[0].key = false;
    archive_pack(&archive, 0);
    struct timelapse timelapse = range(&archive, 0, 10000000, 1);
    must_choose(&archive, &timelapse, &chosen);
    assert_int_equal(chosen.items[0].index, 50);
    assert_int_equal(chosen.items[0].duration, 4 * VFILE_STILL_SCALE);
    stills_fini(&chosen);
    for (size_t i = 0; i < 250; i++)
        archive.media[0].tracks[0].samples[i].key = false;
    archive_pack(&archive, 0);
    timelapse = range(&archive, 0, 20000000, 1);
    must_choose(&archive, &timelapse, &chosen);
    assert_int_equal(chosen.items[0].segment, 1);
    assert_int_equal(chosen.items[0].duration, 12 * VFILE_STILL_SCALE);
    stills_fini(&chosen);
    archive_fini(&archive);
}

static void test_a_table_that_contradicts_its_row_is_refused(void **state)
{
    (void)state;
    struct archive archive;
    struct sample_table table;
    struct stills keys = {0};
    char *cause = NULL;
    fill(&archive, false);
    assert_int_equal(
        sample_table_peek(&table, archive.packed[0].data, archive.packed[0].size, &cause), 0);
    const struct sample_table_track *video = sample_table_track(&table, MEDIA_VIDEO);
    struct vfile_segment segment = archive.segments[0];
    assert_true(stills_find(&keys, &segment, 0, video));
    assert_int_equal(keys.count, 5);
    assert_null(stills_at(&keys, START_US - 1));
    assert_ptr_equal(stills_at(&keys, START_US), &keys.items[0]);
    assert_ptr_equal(stills_at(&keys, START_US + 3999999), &keys.items[1]);
    assert_ptr_equal(stills_at(&keys, INT64_MAX), &keys.items[4]);
    segment.media_offset++;
    assert_false(stills_find(&keys, &segment, 0, video));
    segment.media_offset--;
    segment.media_end = keys.items[4].offset + keys.items[4].size - 1;
    assert_false(stills_find(&keys, &segment, 0, video));
    segment = archive.segments[0];
    segment.tracks[VFILE_VIDEO].counts.samples--;
    assert_false(stills_find(&keys, &segment, 0, video));
    stills_fini(&keys);
    archive_fini(&archive);
}

static void test_a_file_holds_the_chosen_frames(void **state)
{
    (void)state;
    struct archive archive;
    struct stills chosen;
    char *cause = NULL;
    fill(&archive, true);
    struct timelapse timelapse = range(&archive, 0, 143400000, 20);
    must_choose(&archive, &timelapse, &chosen);
    struct vfile_request request = {.segments = archive.segments,
        .segment_count = archive.count,
        .entries = {{archive.entries[VFILE_VIDEO], 1}}};
    struct vfile_source source = archive_source(&archive);
    struct vfile *file = vfile_new_stills(&request, &chosen, &source, &cause);
    assert_non_null(file);
    const struct vfile_info *info = vfile_info(file);
    uint8_t *data = read_all(&archive, file);
    uint64_t at = info->size;
    for (size_t i = chosen.count; i-- > 0;) {
        const struct still *still = &chosen.items[i];
        at -= still->size;
        assert_memory_equal(
            data + at, archive.files[still->segment].data + still->offset, still->size);
        size_t segment;
        assert_true(vfile_media_segment(file, at, &segment));
        assert_int_equal(segment, still->segment);
    }
    assert_memory_equal(data + at - 12, "mdat", 4);
    assert_int_equal(info->duration_us, 2200000); // 43.4 s were recorded: 55 moments
    assert_int_equal(info->first, 0);
    assert_int_equal(info->last, 4);
    free(data);
    vfile_free(file);
    chosen.count = 0;
    assert_null(vfile_new_stills(&request, &chosen, &source, &cause));
    assert_non_null(strstr(cause, "key frames"));
    free(cause);
    stills_fini(&chosen);
    archive_fini(&archive);
}

static void test_how_many_frames_there_may_be_follows_from_rows(void **state)
{
    (void)state;
    struct archive archive;
    fill(&archive, false);
    struct timelapse timelapse = range(&archive, 0, 143400000, 1);
    assert_int_equal(timelapse_frames_max(&timelapse), (5 + 1) + (5 + 1) + (2 + 1) + (10 + 1) + 2);
    timelapse.speed = 100000;
    assert_int_equal(timelapse_frames_max(&timelapse), 1);
    assert_int_equal(archive.tables_asked, 0);
    archive_fini(&archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_moment_shows_the_last_key_frame_before_it),
        cmocka_unit_test(test_only_tables_that_a_moment_falls_into_are_looked_at),
        cmocka_unit_test(test_a_beginning_without_a_key_frame_shows_the_first),
        cmocka_unit_test(test_a_table_that_contradicts_its_row_is_refused),
        cmocka_unit_test(test_a_file_holds_the_chosen_frames),
        cmocka_unit_test(test_how_many_frames_there_may_be_follows_from_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
