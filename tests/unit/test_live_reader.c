// links: kf-webui
// Whole fragments of a growing file, held against a walk of the test's own over its boxes and
// against ffprobe's packets.
#include "tests/unit/live.h"

#include "lib/media/mp4_write.h"

static const char *const recorded[] = {"h264-000000", "h264-000001", "h264-b-aac-000000",
    "h264-b-aac-000001", "h265-000000", "h265-000001"};

// Where the fragments of a file lie.
struct extent {
    uint64_t offset, end;
};

static uint32_t big(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static size_t walk(const struct buf *file, struct extent *extents)
{
    size_t count = 0;
    for (uint64_t at = 0; at + 8 <= file->size; at += big(file->data + at)) {
        if (memcmp(file->data + at + 4, "moof", 4) == 0)
            extents[count].offset = at;
        if (memcmp(file->data + at + 4, "mdat", 4) == 0)
            extents[count++].end = at + big(file->data + at);
    }
    return count;
}

static size_t whole_before(const struct extent *extents, size_t count, uint64_t size)
{
    size_t whole = 0;
    while (whole < count && extents[whole].end <= size)
        whole++;
    return whole;
}

// Reads on as far as the first `size` bytes allow.
static void read_on(struct buf *file, uint64_t size, struct live_reader *reader,
    const struct extent *extents, size_t *read)
{
    struct mp4_source source = memory_source(file);
    struct live_part part;
    char *cause = NULL;
    enum live_read result;
    source.size = size;
    while ((result = live_reader_next(reader, &source, &part, &cause)) == LIVE_READ_PART) {
        assert_int_equal(part.offset, extents[*read].offset);
        assert_int_equal(part.offset + part.size, extents[*read].end);
        assert_int_equal(part.index, *read);
        (*read)++;
    }
    assert_int_equal(result, LIVE_READ_WAIT);
    assert_null(cause);
}

static void test_only_whole_fragments_wherever_the_file_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(recorded); i++) {
        struct buf file = corpus_load(recorded[i], ".mp4");
        struct extent extents[LIVE_TEST_FRAGMENTS_MAX];
        size_t count = walk(&file, extents);
        assert_true(count > 1);
        for (unsigned step = 1; step < 5000; step = step * 3 + 1) {
            struct live_reader reader = {0};
            size_t read = 0;
            for (uint64_t size = 0; size <= file.size;
                 size = size == file.size || size + step < file.size ? size + step : file.size) {
                read_on(&file, size, &reader, extents, &read);
                assert_int_equal(read, whole_before(extents, count, size));
            }
            assert_int_equal(read, count);
            live_reader_fini(&reader);
        }
        buf_fini(&file);
    }
}

// What ffprobe says of the fragment's packets of one kind: least presentation time; false without.
static bool packets_in(const struct packet *packets, size_t count, const struct live_part *part,
    int64_t *first, int64_t *last, bool *key)
{
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (packets[i].offset < part->offset || packets[i].offset >= part->offset + part->size)
            continue;
        if (!found)
            *key = packets[i].key;
        if (!found || packets[i].pts < *first)
            *first = packets[i].pts;
        if (!found || packets[i].pts > *last)
            *last = packets[i].pts;
        found = true;
    }
    return found;
}

static void test_times_and_keys_are_those_of_the_packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(recorded); i++) {
        struct live_corpus corpus;
        size_t video_count, audio_count;
        live_corpus_open(&corpus, recorded[i]);
        struct packet *video = corpus_packets(recorded[i], MEDIA_VIDEO, &video_count);
        struct packet *audio = corpus_packets(recorded[i], MEDIA_AUDIO, &audio_count);
        const uint32_t scale = live_init_track(corpus.reader.init, MEDIA_VIDEO)->timescale;
        int64_t base = 0, first, last, before_us = 0;
        bool key;
        for (size_t k = 0; k < corpus.count; k++) {
            const struct live_part *part = &corpus.parts[k];
            bool has_video = packets_in(video, video_count, part, &first, &last, &key);
            assert_int_equal(part->has_video, has_video);
            if (has_video) {
                if (base == 0)
                    base = first * 1000000 / scale - part->start_us;
                assert_int_equal(part->key, key);
                assert_in_range(part->start_us + base - first * 1000000 / scale + 1, 0, 2);
                assert_true(part->start_us + base + part->duration_us > last * 1000000 / scale);
                assert_true(before_us == 0 || llabs(part->start_us - before_us) < 300000);
                before_us = part->start_us + part->duration_us;
            }
            bool has_audio = packets_in(audio, audio_count, part, &first, &last, &key);
            assert_int_equal(part->sound_end_us != INT64_MIN, has_audio);
        }
        free(video);
        free(audio);
        live_corpus_close(&corpus);
    }
}

static void test_codecs_and_size_come_from_the_init(void **state)
{
    (void)state;
    static const struct {
        const char *file, *silent, *whole;
    } cases[] = {{"h264-000000", "avc1.", "avc1."}, {"h264-b-aac-000000", "avc1.", ",mp4a.40.2"},
        {"h265-000000", "hvc1.", "hvc1."}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct live_corpus corpus;
        char text[LIVE_CODECS_SIZE];
        live_corpus_open(&corpus, cases[i].file);
        live_init_codecs(corpus.reader.init, false, text);
        assert_int_equal(strncmp(text, cases[i].silent, strlen(cases[i].silent)), 0);
        assert_null(strchr(text, ','));
        live_init_codecs(corpus.reader.init, true, text);
        assert_non_null(strstr(text, cases[i].whole));
        assert_true(live_init_track(corpus.reader.init, MEDIA_VIDEO)->codec.width > 0);
        live_corpus_close(&corpus);
    }
}

// Counts boxes of a type anywhere below the known containers.
static size_t count_boxes(const uint8_t *data, size_t size, const char *type)
{
    static const char *const containers[] = {"moov", "trak", "mvex", "moof", "traf"};
    size_t count = 0;
    for (size_t at = 0; at + 8 <= size && big(data + at) >= 8; at += big(data + at)) {
        count += memcmp(data + at + 4, type, 4) == 0;
        for (size_t i = 0; i < ARRAY_LENGTH(containers); i++)
            if (memcmp(data + at + 4, containers[i], 4) == 0)
                count += count_boxes(data + at + 8, big(data + at) - 8, type);
    }
    return count;
}

static size_t count_differences(const uint8_t *a, const uint8_t *b, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += a[i] != b[i];
    return count;
}

static void test_without_sound_only_names_of_boxes_differ(void **state)
{
    (void)state;
    struct live_corpus corpus;
    live_corpus_open(&corpus, "h264-b-aac-000000");
    const struct live_init *init = corpus.reader.init;
    assert_int_equal(init->silent.size, init->bytes.size);
    assert_int_equal(count_boxes(init->bytes.data, init->bytes.size, "trak"), 2);
    assert_int_equal(count_boxes(init->silent.data, init->silent.size, "trak"), 1);
    assert_int_equal(count_boxes(init->silent.data, init->silent.size, "trex"), 1);
    // "trak" and "free" have one letter in common, "trex" too.
    assert_in_range(count_differences(init->bytes.data, init->silent.data, init->bytes.size), 2, 8);
    for (size_t i = 0; i < corpus.count; i++) {
        struct live_fragment *fragment = live_corpus_fragment(&corpus, &corpus.parts[i]);
        size_t tracks = count_boxes(fragment->bytes.data, corpus.parts[i].moof_size, "traf");
        bool has_sound = corpus.parts[i].sound_end_us != INT64_MIN;
        assert_int_equal(tracks, corpus.parts[i].has_video + has_sound);
        assert_int_equal(fragment->silent_moof.size, corpus.parts[i].moof_size);
        assert_int_equal(
            count_boxes(fragment->silent_moof.data, fragment->silent_moof.size, "traf"),
            corpus.parts[i].has_video);
        live_fragment_unref(fragment);
    }
    live_corpus_close(&corpus);
}

static void test_a_sealed_file_has_come_to_its_end(void **state)
{
    (void)state;
    struct live_corpus corpus;
    struct media_segment segment;
    struct mp4_layout layout;
    struct live_part part;
    char *cause = NULL;
    live_corpus_open(&corpus, "h264-000000");
    must_read(&corpus.file, &segment, &layout);
    media_segment_fini(&segment);
    // The tail comes first, while the reader is at the end; then the head is overwritten.
    buf_reserve(&corpus.file, (size_t)layout.init_size);
    buf_put(&corpus.file, corpus.file.data + layout.init_offset, (size_t)layout.init_size);
    struct mp4_source source = memory_source(&corpus.file);
    assert_int_equal(live_reader_next(&corpus.reader, &source, &part, &cause), LIVE_READ_END);
    mp4_sealed_header(&layout, corpus.file.data + layout.init_offset);
    assert_int_equal(live_reader_next(&corpus.reader, &source, &part, &cause), LIVE_READ_END);
    struct live_reader late = {0};
    assert_int_equal(live_reader_next(&late, &source, &part, &cause), LIVE_READ_END);
    assert_null(cause);
    live_reader_fini(&late);
    live_corpus_close(&corpus);
}

static void test_a_fragment_that_contradicts_itself_is_lost_alone(void **state)
{
    (void)state;
    struct live_corpus corpus;
    struct live_reader reader = {0};
    struct live_part part;
    live_corpus_open(&corpus, "h264-000000");
    const struct live_part *bad = &corpus.parts[1];
    for (uint64_t at = bad->offset; at < bad->offset + bad->moof_size - 4; at++)
        if (memcmp(corpus.file.data + at, "trun", 4) == 0)
            memset(corpus.file.data + at + 8, 0xff, 4); // sample_count
    const struct mp4_source source = memory_source(&corpus.file);
    for (size_t i = 0; i < corpus.count; i++) {
        char *cause = NULL;
        enum live_read result = live_reader_next(&reader, &source, &part, &cause);
        assert_int_equal(result, i == 1 ? LIVE_READ_LOST : LIVE_READ_PART);
        assert_true(i != 1 || cause != NULL);
        assert_int_equal(part.index, i);
        free(cause);
    }
    assert_int_equal(reader.lost, 1);
    live_reader_fini(&reader);
    live_corpus_close(&corpus);
}

static void test_bytes_of_no_sense_end_it(void **state)
{
    (void)state;
    srand(20);
    for (int round = 0; round < 3000; round++) {
        struct buf file = corpus_load(recorded[(size_t)round % ARRAY_LENGTH(recorded)], ".mp4");
        struct live_reader reader = {0};
        struct live_part part;
        char *cause = NULL;
        enum live_read result;
        size_t steps = 0;
        for (int i = 0; i < 1 + round % 8; i++)
            file.data[(size_t)rand() % (round % 2 ? file.size : 2000)] = (uint8_t)rand();
        const struct mp4_source source = memory_source(&file);
        while ((result = live_reader_next(&reader, &source, &part, &cause)) == LIVE_READ_PART ||
               result == LIVE_READ_LOST) {
            assert_true(++steps <= file.size);
            assert_true(result == LIVE_READ_LOST || part.offset + part.size <= file.size);
            free(cause);
            cause = NULL;
        }
        assert_int_equal(cause != NULL, result == LIVE_READ_BROKEN);
        free(cause);
        live_reader_fini(&reader);
        buf_fini(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_whole_fragments_wherever_the_file_ends),
        cmocka_unit_test(test_times_and_keys_are_those_of_the_packets),
        cmocka_unit_test(test_codecs_and_size_come_from_the_init),
        cmocka_unit_test(test_without_sound_only_names_of_boxes_differ),
        cmocka_unit_test(test_a_sealed_file_has_come_to_its_end),
        cmocka_unit_test(test_a_fragment_that_contradicts_itself_is_lost_alone),
        cmocka_unit_test(test_bytes_of_no_sense_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
