// The packed sample table: what goes in comes out, for recordings and for tables made at random;
// what is damaged is refused; how large it is.
#include "tests/unit/corpus.h"

#include "lib/media/samples.h"

// --- Random numbers, the same in every run ---

static uint64_t random_state;

static uint32_t random_u32(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 32);
}

static int64_t random_between(int64_t least, int64_t greatest)
{
    return least + (int64_t)(random_u32() % (uint64_t)(greatest - least + 1));
}

// --- Making tables ---

static struct media_sample *add_sample(struct media_track *track)
{
    ARRAY_RESERVE(track->samples, track->sample_count, track->sample_capacity);
    track->samples[track->sample_count] = (struct media_sample){0};
    return &track->samples[track->sample_count++];
}

// Any 32 bits, but mostly small ones.
static uint32_t random_value(unsigned wildness)
{
    return wildness == 0 ? 0 : random_u32() >> random_between(32 - (int64_t)wildness, 31);
}

static void random_segment(struct media_segment *segment)
{
    *segment = (struct media_segment){.track_count = (size_t)random_between(0, 2)};
    unsigned wild_size = (unsigned)random_between(0, 32);
    unsigned wild_duration = (unsigned)random_between(0, 32);
    unsigned wild_composition = (unsigned)random_between(0, 32);
    unsigned wild_gap = (unsigned)random_between(0, 32);
    int key_every = (int)random_between(1, 40);
    uint64_t offset = random_value(32);
    for (size_t i = 0; i < segment->track_count; i++) {
        segment->tracks[i].kind =
            segment->track_count == 1 && random_u32() % 2 ? MEDIA_AUDIO : i + 1;
        segment->tracks[i].parameter_sets = random_u32() % 2;
    }
    int chunks = (int)random_between(0, 60);
    for (int i = 0; i < chunks && segment->track_count > 0; i++) {
        struct media_track *track =
            &segment->tracks[random_between(0, (int64_t)segment->track_count - 1)];
        offset += random_value(wild_gap);
        for (int64_t count = random_between(1, 30); count > 0; count--) {
            struct media_sample *sample = add_sample(track);
            sample->offset = offset;
            sample->size = random_value(wild_size);
            sample->duration = random_u32() % 4 == 0 ? random_value(wild_duration) : 3000;
            sample->composition = (int32_t)random_value(wild_composition);
            if (random_u32() % 8 == 0)
                sample->composition = -sample->composition;
            sample->key = random_between(1, key_every) == 1;
            offset += sample->size;
        }
    }
}

// --- Comparing ---

static void check_track(const struct sample_table_track *packed, const struct media_track *track)
{
    struct sample_iter iter;
    uint64_t time = 0, end = 0;
    uint32_t chunk = UINT32_MAX;
    assert_int_equal(packed->sample_count, track->sample_count);
    sample_iter_init(&iter, packed);
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *expected = &track->samples[i];
        const struct sample *sample = sample_iter_next(&iter);
        bool chunk_start = i == 0 || expected->offset != end;
        chunk += chunk_start;
        end = expected->offset + expected->size;
        assert_non_null(sample);
        assert_int_equal(sample->index, i);
        assert_int_equal(sample->chunk, chunk);
        assert_int_equal(sample->chunk_start, chunk_start);
        assert_int_equal(sample->decode_time, time);
        assert_int_equal(sample->offset, expected->offset);
        assert_int_equal(sample->size, expected->size);
        assert_int_equal(sample->duration, expected->duration);
        assert_int_equal(sample->composition, expected->composition);
        assert_int_equal(sample->key, expected->key);
        time += expected->duration;
    }
    assert_null(sample_iter_next(&iter));
    assert_null(sample_iter_next(&iter));
    assert_int_equal(packed->chunk_count, chunk + 1);
}

// Packs into a buffer of just the right size, so that a read beyond it is seen.
static struct buf pack(const struct media_segment *segment)
{
    struct buf packed = BUF_INIT;
    sample_table_encode(segment, &packed);
    struct buf exact = {.data = xmalloc(packed.size), .size = packed.size, .capacity = packed.size};
    memcpy(exact.data, packed.data, packed.size);
    buf_fini(&packed);
    return exact;
}

static void check_segment(const struct media_segment *segment)
{
    struct buf packed = pack(segment);
    struct sample_table table;
    char *cause = NULL;
    if (sample_table_open(&table, packed.data, packed.size, &cause) != 0)
        fail_msg("%s", cause);
    assert_int_equal(table.track_count, segment->track_count);
    for (size_t i = 0; i < segment->track_count; i++) {
        const struct sample_table_track *track =
            sample_table_track(&table, segment->tracks[i].kind);
        assert_ptr_equal(track, &table.tracks[i]);
        assert_int_equal(track->parameter_sets, segment->tracks[i].parameter_sets);
        check_track(track, &segment->tracks[i]);
    }
    buf_fini(&packed);
}

// --- Tests ---

static void recordings_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        must_read(&file, &segment, &layout);
        check_segment(&segment);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void random_tables_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 3000; random_state++) {
        uint64_t seed = random_state;
        struct media_segment segment;
        random_segment(&segment);
        check_segment(&segment);
        media_segment_fini(&segment);
        random_state = seed;
    }
}

// Cameras: a grid of frames that jitters, drifts, stands still for a while or skips; B-frames;
// sizes of any spread; fragments whose headers grow with their samples.
static void random_camera(struct media_segment *segment)
{
    int64_t period = random_between(1, 20000), jitter = random_between(0, period / 2 + 1);
    int64_t size = random_between(0, 1000000), spread = random_between(0, size);
    int64_t drift = random_between(-3, 3), time = 0;
    int64_t gop = random_between(1, 120), rows = 4 * random_between(0, 4);
    int gap_every = (int)random_between(20, 2000), reorder = (int)random_between(0, 3);
    uint64_t offset = 700;
    *segment = (struct media_segment){.track_count = (size_t)random_between(1, 2)};
    for (size_t i = 0; i < segment->track_count; i++)
        segment->tracks[i].kind = i + 1;
    int64_t frames = random_between(1, 700);
    for (int64_t frame = 0, grid = 0; frame < frames;) {
        int64_t count = random_between(1, 20);
        offset += 100 + (uint64_t)(rows * count) + (frame % gop == 0 ? 4 : 0);
        for (; count > 0; count--, frame++) {
            struct media_sample *sample = add_sample(&segment->tracks[0]);
            grid += period + frame * drift / 64;
            if (random_between(1, gap_every) == 1)
                grid += random_between(0, INT32_MAX);
            int64_t next = grid + random_between(-jitter, jitter);
            next = next > time ? next : time;
            sample->duration = (uint32_t)(next - time);
            time = next;
            sample->key = frame % gop == 0;
            sample->composition = reorder ? (int32_t)((frame % (reorder + 1)) * period) : 0;
            sample->size = (uint32_t)(size + random_between(-spread, spread));
            sample->offset = offset;
            offset += sample->size;
        }
        for (int64_t i = random_between(0, 12); segment->track_count > 1 && i > 0; i--) {
            struct media_sample *sample = add_sample(&segment->tracks[1]);
            *sample = (struct media_sample){offset, random_value(9), 1024, 0, true};
            offset += sample->size;
        }
    }
}

static void random_cameras_come_out_as_they_went_in(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 1000; random_state++) {
        uint64_t seed = random_state;
        struct media_segment segment;
        random_camera(&segment);
        check_segment(&segment);
        media_segment_fini(&segment);
        random_state = seed;
    }
}

static void empty_tables_and_tracks(void **state)
{
    (void)state;
    struct media_segment segment = {0};
    check_segment(&segment);
    segment.track_count = 2;
    segment.tracks[0].kind = MEDIA_VIDEO;
    segment.tracks[1].kind = MEDIA_AUDIO;
    check_segment(&segment);
    *add_sample(&segment.tracks[1]) = (struct media_sample){0};
    check_segment(&segment);
    media_segment_fini(&segment);
}

static void greatest_values(void **state)
{
    (void)state;
    struct media_segment segment = {.track_count = 1, .tracks = {{.kind = MEDIA_VIDEO}}};
    static const struct media_sample samples[] = {
        {INT64_MAX - UINT32_MAX - UINT64_C(9), UINT32_MAX, UINT32_MAX, INT32_MAX, true},
        {0, 0, 0, INT32_MIN, false},
        {UINT64_C(1) << 40, UINT32_MAX, 1, 0, false},
        {7, 1, UINT32_MAX, INT32_MIN, true},
        {INT64_MAX - UINT64_C(1), 0, UINT32_MAX, -1, true},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(samples); i++)
        *add_sample(&segment.tracks[0]) = samples[i];
    check_segment(&segment);
    media_segment_fini(&segment);
}

static void parts_are_as_in_the_whole(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 200; random_state++) {
        uint64_t seed = random_state;
        struct media_segment segment;
        random_segment(&segment);
        struct buf packed = pack(&segment);
        struct sample_table table;
        char *cause = NULL;
        assert_int_equal(sample_table_open(&table, packed.data, packed.size, &cause), 0);
        for (uint32_t i = 0; i < table.track_count; i++) {
            for (unsigned parts = 0; parts <= SAMPLE_ALL; parts++) {
                struct sample_iter whole, part;
                const struct sample *a, *b;
                sample_iter_init(&whole, &table.tracks[i]);
                sample_iter_init_parts(&part, &table.tracks[i], parts);
                while ((a = sample_iter_next(&whole)) != NULL) {
                    assert_non_null(b = sample_iter_next(&part));
                    assert_int_equal(a->index, b->index);
                    if (parts & SAMPLE_KEYS)
                        assert_int_equal(a->key, b->key);
                    if (parts & SAMPLE_DURATIONS)
                        assert_int_equal(a->decode_time, b->decode_time);
                    if (parts & SAMPLE_COMPOSITIONS)
                        assert_int_equal(a->composition, b->composition);
                    if (parts & SAMPLE_SIZES)
                        assert_int_equal(a->size, b->size);
                    if (parts & SAMPLE_CHUNKS)
                        assert_int_equal(a->chunk, b->chunk);
                    if (parts & SAMPLE_OFFSETS)
                        assert_int_equal(a->offset, b->offset);
                }
                assert_null(sample_iter_next(&part));
            }
        }
        buf_fini(&packed);
        media_segment_fini(&segment);
        random_state = seed;
    }
}

static void check_refused(const uint8_t *data, size_t size)
{
    struct sample_table table;
    char *cause = NULL;
    assert_int_equal(sample_table_open(&table, data, size, &cause), -1);
    assert_non_null(cause);
    free(cause);
}

static void damaged_tables_are_refused_or_harmless(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000000", ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    struct buf packed = pack(&segment);
    for (size_t size = 0; size < packed.size; size++) {
        uint8_t *torn = xmalloc(size);
        memcpy(torn, packed.data, size);
        check_refused(torn, size);
        free(torn);
    }
    packed.data[0]++;
    check_refused(packed.data, packed.size);
    packed.data[0]--;
    random_state = 1;
    for (int i = 0; i < 20000; i++) {
        struct sample_table table;
        char *cause = NULL;
        size_t place = random_u32() % (i % 2 ? packed.size : 40);
        uint8_t byte = packed.data[place];
        packed.data[place] = (uint8_t)random_u32();
        if (sample_table_open(&table, packed.data, packed.size, &cause) != 0)
            assert_non_null(cause);
        free(cause);
        packed.data[place] = byte;
    }
    buf_fini(&packed);
    media_segment_fini(&segment);
    buf_fini(&file);
}

// --- Size ---

// About normal, in thousandths of its standard deviation.
static int64_t random_normal(void)
{
    int64_t sum = 0;
    for (int i = 0; i < 12; i++)
        sum += random_between(0, 1000);
    return sum - 6000;
}

// A camera as they are: 30 frames a second for a minute, a key frame every 2 s that is six times as
// large as another (`frame_size`), each time stamp off by up to 1 ms (evenly spread), frame sizes
// off by 8 % (normally spread) about a mean that wanders; AAC at 16 kHz, 32 kbit/s, 8 % as well;
// fragments of half a second with 116 bytes of headers and 12 or 4 for each sample.
static void camera_segment(struct media_segment *segment, int64_t frame_size, uint32_t audio_rate)
{
    int64_t time = 0, wander = 0;
    uint64_t offset = 1231;
    uint32_t frame = 0, sound = 0;
    *segment = (struct media_segment){.track_count = audio_rate > 0 ? 2 : 1,
        .tracks = {{.kind = MEDIA_VIDEO}, {.kind = MEDIA_AUDIO}}};
    for (uint32_t fragment = 0; fragment < 120; fragment++) {
        uint32_t sounds = 0;
        if (audio_rate > 0)
            sounds = (uint32_t)((uint64_t)(fragment + 1) * audio_rate / 2 / 1024) - sound;
        offset += 116 + 15 * 12 + sounds * 4;
        for (int i = 0; i < 15; i++, frame++) {
            struct media_sample *sample = add_sample(&segment->tracks[0]);
            int64_t next = ((int64_t)frame + 1) * 3000 + random_between(-90, 90);
            wander += random_normal() / 100 - wander / 50;
            sample->key = frame % 60 == 0;
            int64_t mean = sample->key ? 6 * frame_size : frame_size;
            sample->size = (uint32_t)(mean + mean * (wander + random_normal() * 80 / 1000) / 1000);
            sample->duration = (uint32_t)(next - time);
            sample->offset = offset;
            offset += sample->size;
            time = next;
        }
        for (; sounds > 0; sounds--, sound++) {
            struct media_sample *sample = add_sample(&segment->tracks[1]);
            sample->key = true;
            sample->duration = 1024;
            sample->size = (uint32_t)(256 + random_normal() * 20 / 1000);
            sample->offset = offset;
            offset += sample->size;
        }
    }
}

// Bytes of the packed table per sample, of a camera without audio.
static double video_cost(int64_t frame_size)
{
    struct media_segment segment;
    random_state = 1;
    camera_segment(&segment, frame_size, 0);
    check_segment(&segment);
    struct buf packed = pack(&segment);
    double cost = (double)packed.size / (double)segment.tracks[0].sample_count;
    media_segment_fini(&segment);
    buf_fini(&packed);
    return cost;
}

static void table_of_a_jittering_camera_is_small(void **state)
{
    (void)state;
    double video = video_cost(7500);
    double video_large = video_cost(15000);
    struct media_segment segment;
    random_state = 1;
    camera_segment(&segment, 7500, 16000);
    check_segment(&segment);
    struct buf packed = pack(&segment);
    // The video is another, but alike.
    double audio = ((double)packed.size - video * (double)segment.tracks[0].sample_count) /
                   (double)segment.tracks[1].sample_count;
    media_segment_fini(&segment);
    buf_fini(&packed);
    print_message("bytes per frame: video %.3f at 2 Mbit/s, %.3f at 4 Mbit/s, audio %.3f\n", video,
        video_large, audio);
    assert_true(video <= 2.5);
    assert_true(video_large <= 2.6);
    assert_true(audio <= 1.1);
}

static void table_of_a_steady_camera_is_smaller(void **state)
{
    (void)state;
    struct media_segment segment = {.track_count = 1, .tracks = {{.kind = MEDIA_VIDEO}}};
    for (uint32_t i = 0; i < 1800; i++)
        *add_sample(&segment.tracks[0]) = (struct media_sample){
            .offset = 1000 + UINT64_C(1000) * i + i / 15 * 300,
            .size = 1000,
            .duration = 3000,
            .key = i % 60 == 0,
        };
    struct buf packed = pack(&segment);
    // A bit for each size, and next to nothing for anything else.
    assert_true(packed.size < 1800 / 8 + 120);
    media_segment_fini(&segment);
    buf_fini(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings_come_out_as_they_went_in),
        cmocka_unit_test(random_tables_come_out_as_they_went_in),
        cmocka_unit_test(random_cameras_come_out_as_they_went_in),
        cmocka_unit_test(empty_tables_and_tracks),
        cmocka_unit_test(greatest_values),
        cmocka_unit_test(parts_are_as_in_the_whole),
        cmocka_unit_test(damaged_tables_are_refused_or_harmless),
        cmocka_unit_test(table_of_a_jittering_camera_is_small),
        cmocka_unit_test(table_of_a_steady_camera_is_smaller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
