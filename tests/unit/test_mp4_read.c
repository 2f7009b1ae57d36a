// Reading segments: real ones against what ffprobe finds in them, whole, torn at any byte, and half
// or wholly sealed; and fragments of every kind that the standard allows, made by hand.
#include "tests/unit/corpus.h"

// --- Real recordings ---

static void packets_are_what_ffprobe_finds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        must_read(&file, &segment, &layout);
        check_all_packets(&segment, corpus_files[i], UINT64_MAX);
        assert_int_equal(layout.media_end, file.size);
        assert_int_equal(layout.media_offset, segment.tracks[0].samples[0].offset);
        assert_int_equal(layout.cut_mdat_offset, 0);
        assert_int_equal(layout.tail_offset, 0);
        assert_int_equal(layout.skipped, 0);
        assert_false(layout.init_overwritten);
        assert_memory_equal(layout.init_header, file.data + layout.init_offset, 16);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void tracks_are_described(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000000", ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.track_count, 2);
    assert_int_equal(segment.tracks[0].kind, MEDIA_VIDEO);
    assert_int_equal(segment.tracks[0].timescale, 90000);
    assert_memory_equal(segment.tracks[0].entry + 4, "avc1", 4);
    assert_int_equal(segment.tracks[1].kind, MEDIA_AUDIO);
    assert_int_equal(segment.tracks[1].timescale, 16000);
    assert_memory_equal(segment.tracks[1].entry + 4, "mp4a", 4);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void presentation_runs_on_over_the_files_of_a_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i += 2) {
        int64_t start_us[2], duration_us[2];
        for (size_t j = 0; j < 2; j++) {
            struct buf file = corpus_load(corpus_files[i + j], ".mp4");
            struct media_segment segment;
            struct mp4_layout layout;
            must_read(&file, &segment, &layout);
            assert_true(media_segment_span(&segment, &start_us[j], &duration_us[j]));
            media_segment_fini(&segment);
            buf_fini(&file);
        }
        assert_int_equal(start_us[0] + duration_us[0], start_us[1]);
    }
}

// --- Torn ---

// The least size at which the fragment that holds `offset` is whole: where the next box after its
// mdat begins. Walks over the boxes on its own.
static uint64_t whole_fragments_end(const struct buf *file, uint64_t size)
{
    uint64_t offset = 0, end = 0;
    while (offset + 8 <= size) {
        const uint8_t *at = file->data + offset;
        uint64_t box = (uint64_t)at[0] << 24 | (uint64_t)at[1] << 16 | (uint64_t)at[2] << 8 | at[3];
        offset += box;
        if (memcmp(at + 4, "mdat", 4) == 0 && offset <= size)
            end = offset;
    }
    return end;
}

static uint64_t first_fragment_end(const struct buf *file)
{
    uint64_t size = 0;
    while (whole_fragments_end(file, size) == 0)
        size++;
    return size;
}

// Reads the first `size` bytes, which must give the whole samples in them; then cuts as sealing
// does, which must change nothing.
static void check_torn(const struct buf *file, const char *name, size_t size, uint64_t first_sample)
{
    // A copy of just that size, so that a read beyond it is seen.
    struct buf torn = {.data = xmalloc(size), .size = size, .capacity = size};
    memcpy(torn.data, file->data, size);
    if (size < first_sample) {
        must_not_read(&torn);
        buf_fini(&torn);
        return;
    }
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&torn, &segment, &layout);
    check_all_packets(&segment, name, size);
    assert_true(layout.media_end <= size);
    media_segment_fini(&segment);

    if (layout.cut_mdat_offset != 0) {
        uint8_t header[16];
        size_t header_size = mp4_cut_header(&layout, header);
        memcpy(torn.data + layout.cut_mdat_offset, header, header_size);
    }
    torn.size = layout.media_end;
    must_read(&torn, &segment, &layout);
    check_all_packets(&segment, name, size);
    assert_int_equal(layout.cut_mdat_offset, 0);
    assert_int_equal(layout.media_end, torn.size);
    media_segment_fini(&segment);
    buf_fini(&torn);
}

static void torn_at_any_byte_the_whole_samples_stay(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        size_t count;
        struct packet *packets = corpus_packets(corpus_files[i], MEDIA_VIDEO, &count);
        uint64_t first_sample = packets[0].offset + packets[0].size;
        free(packets);
        // Every byte around the first fragment's boxes, and every 13th of the rest.
        for (size_t size = 0; size <= file.size; size += size < first_sample + 600 ? 1 : 13)
            check_torn(&file, corpus_files[i], size, first_sample);
        buf_fini(&file);
    }
}

static void growing_file_counts_whole_fragments_only(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-b-aac-000001", ".mp4");
    uint64_t first = first_fragment_end(&file);
    for (size_t size = 0; size <= file.size; size += 7) {
        struct mp4_source source = memory_source(&file);
        struct media_segment segment;
        struct mp4_layout layout;
        char *cause = NULL;
        source.size = size;
        source.growing = true;
        int result = mp4_read(&source, &segment, &layout, &cause);
        assert_int_equal(result, size < first ? -1 : 0);
        free(cause);
        if (result != 0)
            continue;
        check_all_packets(&segment, "h264-b-aac-000001", whole_fragments_end(&file, size));
        media_segment_fini(&segment);
    }
    buf_fini(&file);
}

static void damaged_boxes_are_no_crash(void **state)
{
    (void)state;
    struct buf file = corpus_load("h264-000000", ".mp4");
    struct buf damaged = BUF_INIT;
    for (uint32_t seed = 1; seed <= 20000; seed++) {
        struct mp4_source source;
        struct media_segment segment;
        struct mp4_layout layout;
        char *cause = NULL;
        damaged.size = 0;
        buf_put(&damaged, file.data, file.size);
        uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
        for (int i = 0; i < 4; i++) {
            random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            damaged.data[(random >> 40) % 3000] = (uint8_t)(random >> 32);
        }
        source = memory_source(&damaged);
        if (mp4_read(&source, &segment, &layout, &cause) == 0)
            media_segment_fini(&segment);
        else
            assert_non_null(cause);
        free(cause);
    }
    buf_fini(&damaged);
    buf_fini(&file);
}

// --- Sealed, wholly or not ---

static void put_tail(struct buf *file, uint32_t size)
{
    buf_put_u32(file, size);
    buf_put(file, "moov", 4);
    buf_put_zeros(file, size - 8);
}

static void sealed_file_gives_what_it_gave_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct media_segment segment;
        struct mp4_layout before, after;
        must_read(&file, &segment, &before);
        media_segment_fini(&segment);
        put_tail(&file, 500);
        mp4_sealed_header(&before, file.data + before.init_offset);

        must_read(&file, &segment, &after);
        check_all_packets(&segment, corpus_files[i], UINT64_MAX);
        media_segment_fini(&segment);
        assert_true(after.init_overwritten);
        assert_int_equal(after.init_offset, before.init_offset);
        assert_int_equal(after.init_size, before.init_size);
        assert_memory_equal(after.init_header, before.init_header, 16);
        assert_int_equal(after.media_end, before.media_end);
        assert_int_equal(after.tail_offset, before.media_end);
        assert_int_equal(after.tail_size, 500);
        assert_int_equal(after.cut_mdat_offset, 0);
        buf_fini(&file);
    }
}

static void interrupted_seal_shows_its_tail(void **state)
{
    (void)state;
    for (int flipped = 0; flipped < 2; flipped++) {
        struct buf file = corpus_load("h264-b-aac-000001", ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        must_read(&file, &segment, &layout);
        media_segment_fini(&segment);
        uint64_t media_end = layout.media_end;
        put_tail(&file, 500);
        if (flipped)
            mp4_sealed_header(&layout, file.data + layout.init_offset);
        for (uint64_t size = media_end; size <= media_end + 500; size++) {
            file.size = size;
            must_read(&file, &segment, &layout);
            check_all_packets(&segment, "h264-b-aac-000001", UINT64_MAX);
            assert_int_equal(layout.media_end, media_end);
            assert_int_equal(layout.tail_offset, size < media_end + 8 ? 0 : media_end);
            assert_int_equal(layout.tail_size, size < media_end + 8 ? 0 : 500);
            media_segment_fini(&segment);
        }
        buf_fini(&file);
    }
}

// --- Fragments made by hand ---

static size_t box_begin(struct buf *buf, const char *type)
{
    buf_put_u32(buf, 0);
    buf_put(buf, type, 4);
    return buf->size - 8;
}

static void box_end(struct buf *buf, size_t start)
{
    buf_set_u32(buf, start, (uint32_t)(buf->size - start));
}

static void put_trak(struct buf *buf, uint32_t id, const char *handler, uint32_t timescale)
{
    size_t trak = box_begin(buf, "trak");
    size_t box = box_begin(buf, "tkhd");
    buf_put_zeros(buf, 12);
    buf_put_u32(buf, id);
    buf_put_zeros(buf, 68);
    box_end(buf, box);
    size_t mdia = box_begin(buf, "mdia");
    box = box_begin(buf, "mdhd");
    buf_put_zeros(buf, 12);
    buf_put_u32(buf, timescale);
    buf_put_zeros(buf, 8);
    box_end(buf, box);
    box = box_begin(buf, "hdlr");
    buf_put_zeros(buf, 8);
    buf_put(buf, handler, 4);
    buf_put_zeros(buf, 13);
    box_end(buf, box);
    size_t minf = box_begin(buf, "minf");
    size_t stbl = box_begin(buf, "stbl");
    size_t stsd = box_begin(buf, "stsd");
    buf_put_u32(buf, 0);
    buf_put_u32(buf, 1);
    box = box_begin(buf, "test");
    buf_put_zeros(buf, 8);
    box_end(buf, box);
    box_end(buf, stsd);
    box_end(buf, stbl);
    box_end(buf, minf);
    box_end(buf, mdia);
    box_end(buf, trak);
}

// Track 1 is video at 1000 ticks a second, 2 audio at 8000, 3 text.
static void put_init(struct buf *buf)
{
    size_t box = box_begin(buf, "ftyp");
    buf_put(buf, "isom\0\0\0\0", 8);
    box_end(buf, box);
    size_t moov = box_begin(buf, "moov");
    box = box_begin(buf, "mvhd");
    buf_put_zeros(buf, 100);
    box_end(buf, box);
    put_trak(buf, 3, "text", 1000);
    put_trak(buf, 2, "soun", 8000);
    put_trak(buf, 1, "vide", 1000);
    size_t mvex = box_begin(buf, "mvex");
    for (uint32_t id = 1; id <= 3; id++) {
        box = box_begin(buf, "trex");
        buf_put_u32(buf, 0);
        buf_put_u32(buf, id);
        buf_put_u32(buf, 1);   // description
        buf_put_u32(buf, 40);  // duration
        buf_put_u32(buf, 100); // size
        buf_put_u32(buf, 0x10000);
        box_end(buf, box);
    }
    box_end(buf, mvex);
    box_end(buf, moov);
}

// A moof with one traf; what follows tfhd's flags and track is given, the truns as whole boxes.
struct fragment {
    uint32_t track;
    uint32_t tfhd_flags;
    uint32_t tfhd_fields[6];
    size_t tfhd_field_count;
    int64_t time; // -1: no tfdt
    bool time_narrow;
};

static size_t moof_begin(struct buf *buf)
{
    size_t moof = box_begin(buf, "moof");
    size_t box = box_begin(buf, "mfhd");
    buf_put_zeros(buf, 8);
    box_end(buf, box);
    return moof;
}

static size_t traf_begin(struct buf *buf, const struct fragment *fragment)
{
    size_t traf = box_begin(buf, "traf");
    size_t box = box_begin(buf, "tfhd");
    buf_put_u32(buf, fragment->tfhd_flags);
    buf_put_u32(buf, fragment->track);
    for (size_t i = 0; i < fragment->tfhd_field_count; i++)
        buf_put_u32(buf, fragment->tfhd_fields[i]);
    box_end(buf, box);
    if (fragment->time >= 0) {
        box = box_begin(buf, "tfdt");
        buf_put_u32(buf, fragment->time_narrow ? 0 : 0x01000000);
        if (!fragment->time_narrow)
            buf_put_u32(buf, (uint32_t)(fragment->time >> 32));
        buf_put_u32(buf, (uint32_t)fragment->time);
        box_end(buf, box);
    }
    return traf;
}

static void put_trun(struct buf *buf, uint32_t version_flags, uint32_t count,
    const uint32_t *fields, size_t field_count)
{
    size_t box = box_begin(buf, "trun");
    buf_put_u32(buf, version_flags);
    buf_put_u32(buf, count);
    for (size_t i = 0; i < field_count; i++)
        buf_put_u32(buf, fields[i]);
    box_end(buf, box);
}

static void put_mdat(struct buf *buf, size_t payload)
{
    size_t box = box_begin(buf, "mdat");
    buf_put_zeros(buf, payload);
    box_end(buf, box);
}

#define FIELDS(...)                                                                                \
    (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

// A moof with one run of `count` samples of the trex defaults, its data directly behind it.
static void put_simple(struct buf *buf, uint32_t track, int64_t time, uint32_t count)
{
    size_t moof = moof_begin(buf);
    struct fragment fragment = {.track = track, .tfhd_flags = 0x20000, .time = time};
    size_t traf = traf_begin(buf, &fragment);
    uint32_t offset = (uint32_t)(buf->size - moof) + 20 + 8;
    put_trun(buf, 1, count, &offset, 1);
    box_end(buf, traf);
    box_end(buf, moof);
    put_mdat(buf, (size_t)count * 100);
}

static void check_sample(const struct media_sample *sample, uint64_t offset, uint32_t size,
    uint32_t duration, int32_t composition, bool key)
{
    assert_int_equal(sample->offset, offset);
    assert_int_equal(sample->size, size);
    assert_int_equal(sample->duration, duration);
    assert_int_equal(sample->composition, composition);
    assert_int_equal(sample->key, key);
}

static void every_field_of_a_run_and_defaults_of_trex(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    size_t moof = moof_begin(&file);
    struct fragment fragment = {.track = 1, .tfhd_flags = 0x20000, .time = 5};
    size_t traf = traf_begin(&file, &fragment);
    // duration, size, flags, composition of two samples; data offset set below
    size_t trun = file.size;
    put_trun(
        &file, 0x01000f01, 2, FIELDS(0, 30, 10, 0x02000000, (uint32_t)-7, 50, 20, 0x01010000, 9));
    // a second run directly behind the first, all by default but the first sample's flags
    put_trun(&file, 0x00000004, 2, FIELDS(0x02000000));
    box_end(&file, traf);
    box_end(&file, moof);
    uint64_t data = file.size + 8;
    buf_set_u32(&file, trun + 16, (uint32_t)(data - moof));
    put_mdat(&file, 230);
    must_read(&file, &segment, &layout);
    const struct media_track *video = media_segment_track(&segment, MEDIA_VIDEO);
    assert_ptr_equal(video, &segment.tracks[0]);
    assert_int_equal(video->start, 5);
    assert_int_equal(video->sample_count, 4);
    check_sample(&video->samples[0], data, 10, 30, -7, true);
    check_sample(&video->samples[1], data + 10, 20, 50, 9, false);
    check_sample(&video->samples[2], data + 30, 100, 40, 0, true);
    check_sample(&video->samples[3], data + 130, 100, 40, 0, false);
    assert_int_equal(layout.media_offset, data);
    assert_int_equal(layout.media_end, data + 230);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void defaults_of_tfhd_and_base_data_offset(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    size_t moof = moof_begin(&file);
    // base data offset, description 1, duration, size, flags
    struct fragment fragment = {.track = 1,
        .tfhd_flags = 0x3b,
        .tfhd_fields = {0, 0, 1, 33, 50, 0},
        .tfhd_field_count = 6,
        .time = 77,
        .time_narrow = true};
    size_t tfhd = file.size + 8 + 16;
    size_t traf = traf_begin(&file, &fragment);
    put_trun(&file, 0x0800, 2, FIELDS(0x80000000, 4)); // version 0
    box_end(&file, traf);
    box_end(&file, moof);
    uint64_t data = file.size + 8;
    buf_set_u32(&file, tfhd + 4, (uint32_t)data);
    put_mdat(&file, 100);
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.tracks[0].start, 77);
    assert_int_equal(segment.tracks[0].sample_count, 2);
    check_sample(&segment.tracks[0].samples[0], data, 50, 33, INT32_MIN, true);
    check_sample(&segment.tracks[0].samples[1], data + 50, 50, 33, 4, true);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void without_any_base_trafs_follow_each_other(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    size_t moof = moof_begin(&file);
    struct fragment fragment = {.track = 3, .time = -1};
    size_t traf = traf_begin(&file, &fragment);
    size_t trun = file.size;
    put_trun(&file, 0x0201, 2, FIELDS(0, 5, 6)); // a text track's 11 bytes, ignored
    box_end(&file, traf);
    fragment.track = 1;
    traf = traf_begin(&file, &fragment);
    put_trun(&file, 0, 1, NULL, 0);
    box_end(&file, traf);
    fragment.track = 2;
    traf = traf_begin(&file, &fragment);
    put_trun(&file, 0x0001, 1, FIELDS(3)); // three bytes behind the video
    box_end(&file, traf);
    box_end(&file, moof);
    uint64_t data = file.size + 8;
    buf_set_u32(&file, trun + 16, (uint32_t)(data - moof));
    put_mdat(&file, 11 + 100 + 3 + 100);
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.track_count, 2);
    check_sample(&segment.tracks[0].samples[0], data + 11, 100, 40, 0, false);
    check_sample(&segment.tracks[1].samples[0], data + 11 + 100 + 3, 100, 40, 0, false);
    assert_int_equal(segment.tracks[0].start, 0);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void decode_time_that_differs_bends_the_sample_before(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    put_simple(&file, 1, 1000, 2); // up to 1080
    put_simple(&file, 1, 1090, 2); // 10 late; up to 1170
    put_simple(&file, 1, 1150, 2); // 20 early; up to 1230
    put_simple(&file, 1, 1180, 2); // 50 early: one tick stays, 11 are left over; up to 1271
    put_simple(&file, 1, 1260, 2); // the 11 again: up to 1340
    put_simple(&file, 1, -1, 1);   // runs on
    must_read(&file, &segment, &layout);
    static const uint32_t expected[] = {40, 50, 40, 20, 40, 1, 40, 29, 40, 40, 40};
    const struct media_track *video = &segment.tracks[0];
    assert_int_equal(video->start, 1000);
    assert_int_equal(video->sample_count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_int_equal(video->samples[i].duration, expected[i]);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void fragments_that_contradict_themselves_are_skipped(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    put_simple(&file, 1, 0, 1);
    size_t box = moof_begin(&file); // a moof without data
    box_end(&file, box);
    put_simple(&file, 1, 40, 2);
    buf_set_u32(&file, file.size - 200 - 8 - 4, 0x00ffffff); // its data lie elsewhere
    put_simple(&file, 1, 120, 1);
    size_t trun = file.size - 100 - 8 - 20;
    buf_set_u32(&file, trun + 12, 1000000); // a million samples, whose table
    buf_set_u32(&file, trun + 8, 0x201);    // is not there
    put_simple(&file, 1, 160, 1);
    box = box_begin(&file, "free");
    box_end(&file, box);
    put_simple(&file, 2, 0, 1);
    uint64_t end = file.size;
    moof_begin(&file); // a last one without data, its box not closed
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.tracks[0].sample_count, 2);
    assert_int_equal(segment.tracks[0].samples[0].duration, 160);
    assert_int_equal(segment.tracks[1].sample_count, 1);
    assert_int_equal(layout.skipped, 3);
    assert_int_equal(layout.media_end, end);
    media_segment_fini(&segment);
    buf_fini(&file);
}

// Found by the fuzzer: what the first traf said of its track stayed when the second was nonsense.
static void fragment_not_believed_leaves_nothing_behind(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    size_t moof = moof_begin(&file);
    struct fragment fragment = {.track = 2, .tfhd_flags = 0x20000, .time = 777};
    size_t traf = traf_begin(&file, &fragment);
    size_t trun = file.size;
    put_trun(&file, 1, 1, FIELDS(0));
    box_end(&file, traf);
    traf = box_begin(&file, "traf"); // without a tfhd
    box_end(&file, traf);
    box_end(&file, moof);
    buf_set_u32(&file, trun + 16, (uint32_t)(file.size + 8 - moof));
    put_mdat(&file, 100);
    put_simple(&file, 1, 5, 1);
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.tracks[0].sample_count, 1);
    assert_int_equal(segment.tracks[1].sample_count, 0);
    assert_int_equal(segment.tracks[1].start, 0);
    assert_int_equal(layout.skipped, 1);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void another_sample_description_is_not_believed(void **state)
{
    (void)state;
    for (uint32_t description = 1; description <= 2; description++) {
        struct buf file = BUF_INIT;
        struct media_segment segment;
        struct mp4_layout layout;
        put_init(&file);
        size_t moof = moof_begin(&file);
        struct fragment fragment = {.track = 1,
            .tfhd_flags = 0x20002,
            .tfhd_fields = {description},
            .tfhd_field_count = 1,
            .time = 0};
        size_t traf = traf_begin(&file, &fragment);
        put_trun(&file, 1, 1, FIELDS((uint32_t)(file.size + 20 + 8 - moof)));
        box_end(&file, traf);
        box_end(&file, moof);
        put_mdat(&file, 100);
        if (description == 1) {
            must_read(&file, &segment, &layout);
            media_segment_fini(&segment);
        } else {
            must_not_read(&file);
        }
        buf_fini(&file);
    }
}

static void samples_of_no_bytes_are_bounded(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    put_init(&file);
    size_t moof = moof_begin(&file);
    struct fragment fragment = {
        .track = 1, .tfhd_flags = 0x20010, .tfhd_fields = {0}, .tfhd_field_count = 1, .time = 0};
    size_t traf = traf_begin(&file, &fragment);
    size_t trun = file.size;
    put_trun(&file, 1, 3, FIELDS(0));
    box_end(&file, traf);
    box_end(&file, moof);
    buf_set_u32(&file, trun + 16, (uint32_t)(file.size + 8 - moof));
    put_mdat(&file, 0);
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.tracks[0].sample_count, 3);
    media_segment_fini(&segment);
    buf_set_u32(&file, trun + 12, UINT32_MAX);
    must_not_read(&file);
    buf_fini(&file);
}

static void mdat_with_a_wide_header_is_cut_in_its_wide_size(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    put_init(&file);
    put_simple(&file, 1, 0, 3);
    size_t mdat = file.size - 308;
    file.size = mdat;
    buf_set_u32(&file, mdat - 4, 88 + 16); // data offset, the last field of the moof's 88 bytes
    buf_put_u32(&file, 1);
    buf_put(&file, "mdat", 4);
    buf_put_u64(&file, 16 + 300);
    buf_put_zeros(&file, 299);
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.tracks[0].sample_count, 2);
    assert_int_equal(layout.cut_mdat_offset, mdat);
    assert_int_equal(layout.cut_mdat_size, 16 + 200);
    uint8_t header[16];
    assert_int_equal(mp4_cut_header(&layout, header), 16);
    assert_memory_equal(header, "\0\0\0\1mdat\0\0\0\0\0\0\0\xd8", 16);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void what_is_no_segment_is_refused(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    must_not_read(&file);
    put_init(&file);
    must_not_read(&file); // no sample
    put_simple(&file, 1, INT64_MAX / 8, 1);
    must_not_read(&file); // absurd time
    buf_fini(&file);
}

// A moov that lies so late that sealing would write over two sectors.
static void what_sealing_could_not_undo_is_foreign(void **state)
{
    (void)state;
    for (size_t beside = 490; beside <= 513; beside++) {
        struct buf late = BUF_INIT;
        struct media_segment segment;
        struct mp4_layout layout;
        size_t box = box_begin(&late, "free");
        buf_put_zeros(&late, beside - 8 - 16);
        box_end(&late, box);
        put_init(&late);
        put_simple(&late, 1, 0, 1);
        must_read(&late, &segment, &layout);
        assert_int_equal(layout.foreign, layout.init_offset > 496);
        assert_int_equal(layout.init_offset, beside - 8 - 16 + 8 + 16);
        media_segment_fini(&segment);
        buf_fini(&late);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_what_ffprobe_finds),
        cmocka_unit_test(tracks_are_described),
        cmocka_unit_test(presentation_runs_on_over_the_files_of_a_run),
        cmocka_unit_test(torn_at_any_byte_the_whole_samples_stay),
        cmocka_unit_test(growing_file_counts_whole_fragments_only),
        cmocka_unit_test(damaged_boxes_are_no_crash),
        cmocka_unit_test(sealed_file_gives_what_it_gave_before),
        cmocka_unit_test(interrupted_seal_shows_its_tail),
        cmocka_unit_test(every_field_of_a_run_and_defaults_of_trex),
        cmocka_unit_test(defaults_of_tfhd_and_base_data_offset),
        cmocka_unit_test(without_any_base_trafs_follow_each_other),
        cmocka_unit_test(decode_time_that_differs_bends_the_sample_before),
        cmocka_unit_test(fragments_that_contradict_themselves_are_skipped),
        cmocka_unit_test(fragment_not_believed_leaves_nothing_behind),
        cmocka_unit_test(another_sample_description_is_not_believed),
        cmocka_unit_test(samples_of_no_bytes_are_bounded),
        cmocka_unit_test(mdat_with_a_wide_header_is_cut_in_its_wide_size),
        cmocka_unit_test(what_is_no_segment_is_refused),
        cmocka_unit_test(what_sealing_could_not_undo_is_foreign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
