// The packed tracks of a row: whatever a file may say comes back exactly, what is damaged is
// refused, and a usual segment takes few bytes.
#include "tests/unit/corpus.h"

#include "lib/media/catalog_tracks.h"

#define NOON_US INT64_C(1774958400000000)

// A number whose size is as random as its value.
static uint64_t random_number(void)
{
    uint64_t value = (uint64_t)random() << 33 ^ (uint64_t)random() << 11 ^ (uint64_t)random();
    return value >> random() % 64;
}

static uint32_t random_up_to(uint32_t max)
{
    uint64_t value = random_number();
    return random() % 4 == 0 ? max : (uint32_t)(value % ((uint64_t)max + 1));
}

static void random_track(struct catalog_track *track, enum media_kind kind)
{
    struct track_summary *summary = &track->summary;
    struct track_counts *counts = &summary->counts;
    bool composed = random() % 2, steady = random() % 2;
    track->codec_id = 1 + random() % 1000;
    summary->kind = kind;
    summary->sets = (enum media_sets)(random() % 3);
    summary->timescale = (uint32_t)random_number() | 1;
    summary->start = (int64_t)random_number() * (random() % 2 ? 1 : -1);
    summary->last_duration = (uint32_t)random_number();
    counts->samples = random_up_to(random() % 3 == 0 ? 2 : MEDIA_SAMPLES_MAX);
    counts->syncs = random_up_to(counts->samples);
    counts->chunks = random_up_to(counts->samples);
    counts->stsc_entries = random_up_to(counts->chunks);
    counts->stts_entries =
        steady ? counts->samples < 2 ? counts->samples : 2 : random_up_to(counts->samples);
    counts->ctts_entries = composed ? random_up_to(counts->samples) : counts->samples > 0;
    counts->bytes = random_number() >> 1;
    counts->duration =
        steady ? (uint64_t)counts->samples * summary->last_duration : random_number() >> 1;
    if (composed) {
        summary->first_presentation = (int32_t)random_number();
        summary->least_composition = (int32_t)random_number();
        summary->greatest_composition = (int32_t)random_number();
    }
}

static void random_segment(struct catalog_segment *segment)
{
    *segment = (struct catalog_segment){
        .start_us = (int64_t)(random_number() >> 1),
        .run = (int64_t)(random_number() >> 1),
        .size_bytes = random_number() >> 1,
    };
    segment->end_us = segment->start_us + (int64_t)(random_number() % CATALOG_DURATION_US_MAX);
    segment->media_end = random() % 2 ? segment->size_bytes : segment->size_bytes / 2;
    segment->media_offset = segment->media_end / 3;
    if (random() % 4 != 0)
        random_track(&segment->video, MEDIA_VIDEO);
    if (random() % 4 != 0)
        random_track(&segment->audio, MEDIA_AUDIO);
}

// What decoding is given: all but what is packed.
static struct catalog_segment bare(const struct catalog_segment *segment)
{
    struct catalog_segment row = *segment;
    row.media_end = 0;
    row.video.summary = (struct track_summary){.timescale = segment->video.summary.timescale};
    row.audio.summary = (struct track_summary){.timescale = segment->audio.summary.timescale};
    return row;
}

static void assert_track_equal(const struct catalog_track *a, const struct catalog_track *b)
{
    const struct track_summary *left = &a->summary, *right = &b->summary;
    assert_int_equal(a->codec_id, b->codec_id);
    assert_int_equal(left->kind, right->kind);
    assert_int_equal(left->sets, right->sets);
    assert_int_equal(left->timescale, right->timescale);
    assert_int_equal(left->start, right->start);
    assert_int_equal(left->first_presentation, right->first_presentation);
    assert_int_equal(left->least_composition, right->least_composition);
    assert_int_equal(left->greatest_composition, right->greatest_composition);
    assert_int_equal(left->last_duration, right->last_duration);
    assert_memory_equal(&left->counts, &right->counts, sizeof(left->counts));
}

static void assert_comes_back(const struct catalog_segment *segment)
{
    struct buf packed = BUF_INIT;
    struct catalog_segment row = bare(segment);
    assert_true(catalog_tracks_valid(segment));
    catalog_tracks_encode(segment, &packed);
    assert_int_equal(catalog_tracks_decode(&row, packed.data, packed.size), 0);
    assert_int_equal(row.media_end, segment->media_end);
    assert_track_equal(&row.video, &segment->video);
    assert_track_equal(&row.audio, &segment->audio);
    buf_fini(&packed);
}

static void whatever_a_file_may_say_comes_back(void **state)
{
    (void)state;
    srandom(5);
    for (int i = 0; i < 200000; i++) {
        struct catalog_segment segment;
        random_segment(&segment);
        assert_comes_back(&segment);
    }
}

static void extremes_come_back(void **state)
{
    (void)state;
    struct catalog_segment segment = {
        .start_us = INT64_MAX,
        .end_us = INT64_MAX,
        .run = INT64_MAX,
        .size_bytes = INT64_MAX,
        .media_end = INT64_MAX,
        .video = {1,
            {MEDIA_VIDEO, UINT32_MAX, INT64_MIN, INT32_MIN, INT32_MIN, INT32_MAX, UINT32_MAX,
                {MEDIA_SAMPLES_MAX, 0, MEDIA_SAMPLES_MAX, 0, 0, 0, INT64_MAX, INT64_MAX},
                MEDIA_SETS_LACKING}},
        .audio = {INT64_MAX, {MEDIA_AUDIO, 1, INT64_MAX, INT32_MAX, INT32_MIN, INT32_MAX, 0,
                                 {1, 1, 1, 1, 1, 1, INT64_MAX, INT64_MAX}, MEDIA_SETS_CARRIED}},
    };
    assert_comes_back(&segment);
    segment.video.codec_id = 0;
    segment.video.summary = (struct track_summary){0};
    assert_comes_back(&segment);
    segment.audio = (struct catalog_track){0};
    assert_comes_back(&segment);
}

static void what_no_file_can_say_is_refused(void **state)
{
    (void)state;
    struct catalog_segment segment = {.size_bytes = 10, .media_end = 10};
    segment.video = (struct catalog_track){
        1, {MEDIA_VIDEO, 90000, 0, 0, 0, 0, 1, {2, 1, 1, 2, 1, 1, 5, 2}, MEDIA_SETS_UNKNOWN}};
    assert_true(catalog_tracks_valid(&segment));
    struct catalog_segment wrong = segment;
    wrong.media_end = 11;
    assert_false(catalog_tracks_valid(&wrong));
    wrong = segment;
    wrong.video.summary.timescale = 0;
    assert_false(catalog_tracks_valid(&wrong));
    uint32_t *const counts[] = {&wrong.video.summary.counts.syncs,
        &wrong.video.summary.counts.chunks, &wrong.video.summary.counts.stts_entries,
        &wrong.video.summary.counts.ctts_entries, &wrong.video.summary.counts.stsc_entries};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        wrong = segment;
        *counts[i] = 3;
        assert_false(catalog_tracks_valid(&wrong));
    }
}

static void assert_refused(struct catalog_segment row, const uint8_t *data, size_t size)
{
    // On the heap and exact, so that a read past the end is seen.
    uint8_t *copy = xmalloc(size);
    if (size > 0)
        memcpy(copy, data, size);
    assert_int_equal(catalog_tracks_decode(&row, copy, size), -1);
    assert_int_equal(row.video.codec_id, 0);
    assert_int_equal(row.audio.codec_id, 0);
    assert_int_equal(row.media_end, row.media_offset);
    free(copy);
}

// A row of the first version said nothing of parameter sets.
static void an_older_row_does_not_know_of_parameter_sets(void **state)
{
    (void)state;
    srandom(7);
    for (int i = 0; i < 1000; i++) {
        struct catalog_segment segment;
        struct buf packed = BUF_INIT;
        random_segment(&segment);
        segment.video.summary.sets = segment.audio.summary.sets = MEDIA_SETS_UNKNOWN;
        catalog_tracks_encode(&segment, &packed);
        packed.data[0] = 1;
        struct catalog_segment row = bare(&segment);
        assert_int_equal(catalog_tracks_decode(&row, packed.data, packed.size), 0);
        assert_track_equal(&row.video, &segment.video);
        assert_track_equal(&row.audio, &segment.audio);
        if (segment.video.codec_id != 0) {
            packed.data[1] |= 8;
            assert_refused(bare(&segment), packed.data, packed.size);
            packed.data[0] = 2;
            row = bare(&segment);
            assert_int_equal(catalog_tracks_decode(&row, packed.data, packed.size), 0);
            assert_int_equal(row.video.summary.sets, MEDIA_SETS_CARRIED);
            packed.data[1] |= 16;
            assert_refused(bare(&segment), packed.data, packed.size);
        }
        buf_fini(&packed);
    }
}

static void damaged_bytes_are_refused_or_valid(void **state)
{
    (void)state;
    srandom(6);
    for (int i = 0; i < 20000; i++) {
        struct catalog_segment segment, row;
        struct buf packed = BUF_INIT;
        random_segment(&segment);
        catalog_tracks_encode(&segment, &packed);
        row = bare(&segment);
        for (size_t size = 0; size < packed.size; size++)
            assert_refused(row, packed.data, size);
        buf_put_u8(&packed, 0);
        assert_refused(row, packed.data, packed.size);
        packed.size--;
        packed.data[0]++;
        assert_refused(row, packed.data, packed.size);
        packed.data[0]--;
        packed.data[1 + (size_t)random() % (packed.size - 1)] ^= (uint8_t)(1 << random() % 8);
        if (catalog_tracks_decode(&row, packed.data, packed.size) == 0)
            assert_true(catalog_tracks_valid(&row));
        buf_fini(&packed);
    }
}

// A minute of 25 frames a second, moved by up to 1 ms either way, with AAC, as a recorder that has
// run for ten days leaves it: everything computed from the samples.
static void usual_segment(struct catalog_segment *segment, int compositions)
{
    struct media_track video = {.kind = MEDIA_VIDEO, .timescale = 90000},
                       audio = {.kind = MEDIA_AUDIO, .timescale = 48000};
    const uint64_t run_ms = NOON_US / 1000 - 10 * 86400000ll;
    uint64_t offset = 1201;
    int64_t place = 0;
    video.start = INT64_C(10) * 86400 * 90000 + 77777;
    audio.start = INT64_C(10) * 86400 * 48000 + 40000;
    video.samples = xcalloc(1500, sizeof(*video.samples));
    audio.samples = xcalloc(2813, sizeof(*audio.samples));
    for (size_t fragment = 0; fragment < 120; fragment++) {
        offset += 140 + 12 * 13 + 120 + 4 * 24;
        for (; video.sample_count < 1500 * (fragment + 1) / 120; video.sample_count++) {
            int64_t next = ((int64_t)video.sample_count + 1) * 3600 + random() % 181 - 90;
            uint32_t size = video.sample_count % 50 == 0 ? 80000 : 8000 + (uint32_t)random() % 4000;
            int32_t composition =
                compositions == 0 ? 0 : (int32_t[]){7200, 3600, 0}[video.sample_count % 3];
            video.samples[video.sample_count] = (struct media_sample){
                offset, size, (uint32_t)(next - place), composition, video.sample_count % 50 == 0};
            place = next;
            offset += size;
        }
        for (; audio.sample_count < 2813 * (fragment + 1) / 120; audio.sample_count++) {
            uint32_t size = 150 + (uint32_t)random() % 40;
            audio.samples[audio.sample_count] = (struct media_sample){offset, size, 1024, 0, true};
            offset += size;
        }
    }
    *segment = (struct catalog_segment){
        .start_us = NOON_US + 1234567,
        .end_us = NOON_US + 1234567 + place * 100 / 9 + 20000,
        .run = (int64_t)run_ms,
        .media_offset = 1201,
        .media_end = offset,
        .size_bytes = offset + 31500,
        .video.codec_id = 1,
        .audio.codec_id = 2,
    };
    track_summarize(&video, &segment->video.summary);
    track_summarize(&audio, &segment->audio.summary);
    free(video.samples);
    free(audio.samples);
}

static void a_usual_segment_takes_few_bytes(void **state)
{
    (void)state;
    const size_t most[] = {35, 46}; // without and with reordered frames
    for (int compositions = 0; compositions < 2; compositions++) {
        struct catalog_segment segment;
        struct buf packed = BUF_INIT;
        usual_segment(&segment, compositions);
        assert_comes_back(&segment);
        catalog_tracks_encode(&segment, &packed);
        print_message("%zu bytes\n", packed.size);
        assert_in_range(packed.size, 1, most[compositions]);
        buf_fini(&packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_a_file_may_say_comes_back),
        cmocka_unit_test(extremes_come_back),
        cmocka_unit_test(what_no_file_can_say_is_refused),
        cmocka_unit_test(an_older_row_does_not_know_of_parameter_sets),
        cmocka_unit_test(damaged_bytes_are_refused_or_valid),
        cmocka_unit_test(a_usual_segment_takes_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
