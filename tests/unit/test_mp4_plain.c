// Files of other writers: plain ones of every codec that ffmpeg puts into MP4 and fragments of
// other kinds against what ffprobe finds in them, whole, torn at any byte and sealed; and tables of
// every kind that the standard allows, made by hand.
#include "tests/unit/corpus.h"

#include "lib/media/mp4_write.h"

// --- Files of other writers ---

static void check_file(const char *name, bool plain)
{
    struct buf file = corpus_load(name, ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(&file, &segment, &layout);
    check_all_packets(&segment, name, UINT64_MAX);
    assert_int_equal(layout.plain, plain);
    assert_int_equal(layout.skipped, 0);
    assert_int_equal(layout.cut_mdat_offset, 0);
    assert_int_equal(layout.tail_offset, 0);
    assert_false(layout.foreign);
    assert_false(layout.init_overwritten);
    if (plain)
        assert_int_equal(layout.media_end, file.size);
    media_segment_fini(&segment);
    buf_fini(&file);
}

static void packets_are_what_ffprobe_finds(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_plain); i++)
        check_file(corpus_plain[i], true);
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_fragments); i++)
        check_file(corpus_fragments[i], false);
}

// Cuts and seals as the indexer does.
static void seal(
    struct buf *file, const struct media_segment *segment, const struct mp4_layout *layout)
{
    const struct mp4_tags tags = {.identity = "a/b/1-000001", .node = "n", .end_us = 1000000};
    uint8_t header[16];
    file->size = layout->media_end;
    if (layout->cut_mdat_offset != 0)
        memcpy(file->data + layout->cut_mdat_offset, header, mp4_cut_header(layout, header));
    mp4_put_sealed_moov(file, segment, &tags);
    mp4_sealed_header(layout, file->data + layout->init_offset);
}

// Seals, reads again, takes the seal off again.
static void check_seal(const struct buf *file, const char *name, uint64_t end)
{
    struct buf sealed = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout before, after;
    struct mp4_tags tags;
    char *cause = NULL;
    buf_put(&sealed, file->data, file->size);
    must_read(&sealed, &segment, &before);
    seal(&sealed, &segment, &before);
    media_segment_fini(&segment);
    must_read(&sealed, &segment, &after);
    check_all_packets(&segment, name, end);
    media_segment_fini(&segment);
    assert_true(after.init_overwritten);
    assert_int_equal(after.plain, before.plain);
    assert_int_equal(after.media_offset, before.media_offset);
    assert_int_equal(after.media_end, before.media_end);
    assert_int_equal(after.tail_offset, before.media_end);
    assert_int_equal(after.cut_mdat_offset, 0);
    assert_memory_equal(after.init_header, before.init_header, 16);
    struct mp4_source source = memory_source(&sealed);
    assert_int_equal(mp4_read_tags(&source, &after, &tags, &cause), 0);
    assert_string_equal(tags.identity, "a/b/1-000001");

    memcpy(sealed.data + after.init_offset, after.init_header, 16);
    sealed.size = after.media_end;
    if (before.cut_mdat_offset == 0)
        assert_memory_equal(sealed.data, file->data, after.media_end);
    must_read(&sealed, &segment, &after);
    check_all_packets(&segment, name, end);
    media_segment_fini(&segment);
    buf_fini(&sealed);
}

static void sealed_they_give_what_they_gave_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_plain) + ARRAY_LENGTH(corpus_fragments); i++) {
        const char *name = i < ARRAY_LENGTH(corpus_plain)
                               ? corpus_plain[i]
                               : corpus_fragments[i - ARRAY_LENGTH(corpus_plain)];
        struct buf file = corpus_load(name, ".mp4");
        check_seal(&file, name, UINT64_MAX);
        buf_fini(&file);
    }
}

// How many packets end before `size`, and how many of them it takes to have a sample of each kind.
static size_t packets_before(const char *name, uint64_t size)
{
    size_t whole = 0;
    for (enum media_kind kind = MEDIA_VIDEO; kind <= MEDIA_AUDIO; kind++) {
        size_t count;
        struct packet *packets = corpus_packets(name, kind, &count);
        for (size_t i = 0; i < count; i++)
            whole += packets[i].offset + packets[i].size <= size;
        free(packets);
    }
    return whole;
}

static void torn_at_any_byte_the_whole_samples_stay(void **state)
{
    (void)state;
    static const char *const names[] = {
        "plain-h264-front", "frag-cmaf", "frag-base-offset", "frag-every-frame", "frag-separate"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf file = corpus_load(names[i], ".mp4");
        for (size_t size = 1; size < file.size; size += 37) {
            struct buf torn = {.data = xmalloc(size), .size = size, .capacity = size};
            struct media_segment segment;
            struct mp4_layout layout;
            memcpy(torn.data, file.data, size);
            if (packets_before(names[i], size) == 0) {
                must_not_read(&torn);
            } else {
                must_read(&torn, &segment, &layout);
                check_all_packets(&segment, names[i], size);
                media_segment_fini(&segment);
                check_seal(&torn, names[i], size);
            }
            buf_fini(&torn);
        }
        buf_fini(&file);
    }
}

static void a_head_without_media_is_empty(void **state)
{
    (void)state;
    static const char *const names[] = {"frag-base-offset", "plain-h264-front", "h264-000000"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf file = corpus_load(names[i], ".mp4");
        size_t count;
        struct packet *packets = corpus_packets(names[i], MEDIA_VIDEO, &count);
        for (size_t size = 0; size <= packets[0].offset + 2; size++) {
            struct mp4_source source = memory_source(&file);
            struct media_segment segment;
            struct mp4_layout layout;
            char *cause = NULL;
            source.size = size;
            assert_int_equal(mp4_read(&source, &segment, &layout, &cause), -1);
            assert_int_equal(layout.empty, size <= packets[0].offset);
            free(cause);
        }
        free(packets);
        buf_fini(&file);
    }
    // A moov without tracks, but media behind it.
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf file = corpus_load(names[i], ".mp4");
        struct mp4_source source = memory_source(&file);
        struct media_segment segment;
        struct mp4_layout layout;
        char *cause = NULL;
        for (char *at; (at = memmem(file.data, file.size, "trak", 4)) != NULL;)
            memcpy(at, "junk", 4);
        assert_int_equal(mp4_read(&source, &segment, &layout, &cause), -1);
        assert_false(layout.empty);
        free(cause);
        buf_fini(&file);
    }
    struct buf nonsense = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    char *cause = NULL;
    buf_put(&nonsense, "what is this, not an MP4?", 25);
    struct mp4_source source = memory_source(&nonsense);
    assert_int_equal(mp4_read(&source, &segment, &layout, &cause), -1);
    assert_false(layout.empty);
    free(cause);
    buf_fini(&nonsense);
}

static bool has_parameter_sets(struct buf *file)
{
    struct media_segment segment;
    struct mp4_layout layout;
    must_read(file, &segment, &layout);
    bool all = segment.tracks[0].parameter_sets;
    media_segment_fini(&segment);
    return all;
}

// x264 and x265 with repeat-headers put them before every key picture, else into the sample entry.
static void key_samples_with_parameter_sets_are_noted(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint8_t types[3]; // first byte of each unit that must be there
    } files[] = {{"plain-h264-inband", {0x67, 0x68, 0}}, {"frag-h265-inband", {0x40, 0x42, 0x44}}};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct buf file = corpus_load(files[i].name, ".mp4");
        size_t count, last = 0;
        struct packet *packets = corpus_packets(files[i].name, MEDIA_VIDEO, &count);
        for (size_t j = 0; j < count; j++)
            last = packets[j].key ? j : last;
        assert_true(last > 0);
        assert_true(has_parameter_sets(&file));
        for (size_t type = 0; type < 3 && files[i].types[type] != 0; type++) {
            // Makes each of those units of the last key sample something else.
            uint8_t *at = file.data + packets[last].offset;
            while (at[4] != files[i].types[type])
                at += 4 + ((size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3]);
            uint8_t byte = at[4];
            at[4] = i == 0 ? 0x06 : 0x4e;
            assert_false(has_parameter_sets(&file));
            at[4] = byte;
        }
        assert_true(has_parameter_sets(&file));
        free(packets);
        buf_fini(&file);
    }
    static const char *const without[] = {
        "h264-000000", "h265-000000", "plain-h265-mp3", "plain-mjpeg-aac"};
    for (size_t i = 0; i < ARRAY_LENGTH(without); i++) {
        struct buf file = corpus_load(without[i], ".mp4");
        assert_false(has_parameter_sets(&file));
        buf_fini(&file);
    }
}

// AV1's sync samples must carry a sequence header; who knows whether they do.
static void key_samples_with_a_sequence_header_are_noted(void **state)
{
    (void)state;
    struct buf file = corpus_load("plain-av1-opus", ".mp4");
    size_t count, last = 0;
    struct packet *packets = corpus_packets("plain-av1-opus", MEDIA_VIDEO, &count);
    for (size_t i = 0; i < count; i++)
        last = packets[i].key ? i : last;
    assert_true(has_parameter_sets(&file));
    // A sequence header with a size becomes a frame without one, padding, and itself again.
    uint8_t *at = file.data + packets[last].offset;
    assert_int_equal(at[0], 0x0a);
    static const uint8_t others[] = {0x30, 0x7a, 0x1a, 0x08};
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        at[0] = others[i];
        assert_true(has_parameter_sets(&file) == (others[i] == 0x08));
    }
    free(packets);
    buf_fini(&file);
}

// --- Tables made by hand ---

#define FIELDS(...)                                                                                \
    (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)

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

static void put_table(struct buf *buf, const char *type, const uint32_t *fields, size_t count)
{
    size_t box = box_begin(buf, type);
    for (size_t i = 0; i < count; i++)
        buf_put_u32(buf, fields[i]);
    box_end(buf, box);
}

// A file with one video track of 1000 ticks a second in a movie of 500: sample entries ent1 and
// ent2; edit list and tables as given, both whole boxes one behind the other.
static struct buf file_of(const struct buf *edits, const struct buf *tables)
{
    struct buf file = BUF_INIT;
    put_table(&file, "ftyp", FIELDS(0, 0));
    size_t moov = box_begin(&file, "moov");
    size_t box = box_begin(&file, "mvhd");
    buf_put_zeros(&file, 12);
    buf_put_u32(&file, 500);
    buf_put_zeros(&file, 84);
    box_end(&file, box);
    size_t trak = box_begin(&file, "trak");
    box = box_begin(&file, "tkhd");
    buf_put_zeros(&file, 12);
    buf_put_u32(&file, 7);
    buf_put_zeros(&file, 68);
    box_end(&file, box);
    if (edits->size > 0) {
        box = box_begin(&file, "edts");
        buf_put(&file, edits->data, edits->size);
        box_end(&file, box);
    }
    size_t mdia = box_begin(&file, "mdia");
    put_table(&file, "mdhd", FIELDS(0, 0, 0, 1000, 0, 0));
    put_table(&file, "hdlr", FIELDS(0, 0, 0x76696465, 0, 0, 0));
    size_t minf = box_begin(&file, "minf");
    size_t stbl = box_begin(&file, "stbl");
    put_table(&file, "stsd", FIELDS(0, 2, 16, 0x656e7431, 0, 1, 20, 0x656e7432, 0, 1, 0));
    buf_put(&file, tables->data, tables->size);
    box_end(&file, stbl);
    box_end(&file, minf);
    box_end(&file, mdia);
    box_end(&file, trak);
    box_end(&file, moov);
    return file;
}

struct expected {
    uint64_t offset;
    uint32_t size;
    uint32_t duration;
    int32_t composition;
    bool key;
};

// Reads the file of such tables, with `media` bytes of an mdat behind it; chunk offsets in the
// tables and in `expected` are counted from the file's beginning.
static struct mp4_layout check_tables(struct buf *tables, struct buf *edits, size_t media,
    int64_t start, const struct expected *expected, size_t count)
{
    struct buf file = file_of(edits, tables);
    struct media_segment segment;
    struct mp4_layout layout;
    size_t box = box_begin(&file, "mdat");
    buf_put_zeros(&file, media);
    box_end(&file, box);
    must_read(&file, &segment, &layout);
    assert_int_equal(segment.track_count, 1);
    assert_int_equal(segment.tracks[0].id, 7);
    assert_int_equal(segment.tracks[0].start, start);
    assert_int_equal(segment.tracks[0].sample_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct media_sample *sample = &segment.tracks[0].samples[i];
        assert_int_equal(sample->offset, expected[i].offset);
        assert_int_equal(sample->size, expected[i].size);
        assert_int_equal(sample->duration, expected[i].duration);
        assert_int_equal(sample->composition, expected[i].composition);
        assert_int_equal(sample->key, expected[i].key);
    }
    media_segment_fini(&segment);
    buf_fini(&file);
    buf_fini(tables);
    buf_fini(edits);
    return layout;
}

#define SAMPLES(...)                                                                               \
    (const struct expected[]){__VA_ARGS__},                                                        \
        sizeof((const struct expected[]){__VA_ARGS__}) / sizeof(struct expected)

static void runs_and_chunks_of_several_lengths(void **state)
{
    (void)state;
    struct buf tables = BUF_INIT, edits = BUF_INIT;
    put_table(&tables, "stts", FIELDS(0, 3, 2, 40, 0, 99, 4, 50)); // a row for no sample
    put_table(&tables, "ctts", FIELDS(0, 2, 1, 80, 5, (uint32_t)-40));
    put_table(&tables, "stsc", FIELDS(0, 3, 1, 2, 1, 2, 1, 1, 4, 2, 1));
    put_table(&tables, "stss", FIELDS(0, 3, 1, 6, 900)); // one beyond the end
    put_table(&tables, "stsz", FIELDS(0, 0, 6, 1, 2, 3, 4, 5, 6));
    put_table(&tables, "stco", FIELDS(0, 4, 800, 700, 810, 820)); // one goes back
    check_tables(&tables, &edits, 500, 0,
        SAMPLES({800, 1, 40, 80, true}, {801, 2, 40, -40, false}, {700, 3, 50, -40, false},
            {810, 4, 50, -40, false}, {820, 5, 50, -40, false}, {825, 6, 50, -40, true}));
}

static void wide_offsets_same_sizes_and_no_sync_table(void **state)
{
    (void)state;
    struct buf tables = BUF_INIT, edits = BUF_INIT;
    put_table(&tables, "stts", FIELDS(0, 1, 3, 7));
    put_table(&tables, "ctts", FIELDS(0x01000000, 1, 2, (uint32_t)-3)); // one short
    put_table(&tables, "stsc", FIELDS(0, 1, 1, 2, 2));
    put_table(&tables, "stsz", FIELDS(0, 9, 3));
    put_table(&tables, "co64", FIELDS(0, 2, 0, 700, 0, 720));
    check_tables(&tables, &edits, 500, 0,
        SAMPLES({700, 9, 7, -3, true}, {709, 9, 7, -3, true}, {720, 9, 7, 0, true}));
}

static void compact_sizes_and_an_empty_sync_table(void **state)
{
    (void)state;
    static const struct {
        uint32_t bits;
        uint32_t words[3];
        size_t word_count;
    } kinds[] = {{4, {0x12300000}, 1}, {8, {0x01020300}, 1}, {16, {0x00010002, 0x00030000}, 2}};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct buf tables = BUF_INIT, edits = BUF_INIT;
        put_table(&tables, "stts", FIELDS(0, 1, 3, 7));
        put_table(&tables, "stsc", FIELDS(0, 1, 1, 3, 1));
        put_table(&tables, "stss", FIELDS(0, 0));
        size_t box = box_begin(&tables, "stz2");
        buf_put_u32(&tables, 0);
        buf_put_u32(&tables, kinds[i].bits);
        buf_put_u32(&tables, 3);
        for (size_t j = 0; j < kinds[i].word_count; j++)
            buf_put_u32(&tables, kinds[i].words[j]);
        box_end(&tables, box);
        put_table(&tables, "stco", FIELDS(0, 1, 700));
        check_tables(&tables, &edits, 500, 0,
            SAMPLES({700, 1, 7, 0, false}, {701, 2, 7, 0, false}, {703, 3, 7, 0, false}));
    }
}

static struct buf one_sample(void)
{
    struct buf tables = BUF_INIT;
    put_table(&tables, "stts", FIELDS(0, 1, 1, 7));
    put_table(&tables, "stsc", FIELDS(0, 1, 1, 1, 1));
    put_table(&tables, "stsz", FIELDS(0, 9, 1));
    put_table(&tables, "stco", FIELDS(0, 1, 700));
    return tables;
}

static void edits_place_the_beginning(void **state)
{
    (void)state;
    static const struct {
        uint32_t fields[20];
        size_t count;
        int64_t start;
    } lists[] = {
        {{0, 1, 100, 30, 0x10000}, 5, -30},
        // 50 and 25 of 500 a second are 150 of 1000; the edits after the first are not followed
        {{0, 4, 50, UINT32_MAX, 0x10000, 25, UINT32_MAX, 0x10000, 10, 20, 0x10000, 10, 5000,
             0x10000},
            14, 130},
        {{0x01000000, 2, 0, 50, UINT32_MAX, UINT32_MAX, 0x10000, 0, 10, 0, 20, 0x10000}, 12, 80},
        {{0x01000000, 1, 0, 10, 1, 0, 0x10000}, 7, -(INT64_C(1) << 32)}, {{0, 0}, 2, 0},
        {{0, 2, 50, UINT32_MAX}, 4, 0}, // torn
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        struct buf tables = one_sample(), edits = BUF_INIT;
        put_table(&edits, "elst", lists[i].fields, lists[i].count);
        check_tables(&tables, &edits, 500, lists[i].start, SAMPLES({700, 9, 7, 0, true}));
    }
}

static void a_track_ends_before_another_sample_entry(void **state)
{
    (void)state;
    for (uint32_t second = 1; second <= 2; second++) {
        struct buf tables = BUF_INIT, edits = BUF_INIT;
        put_table(&tables, "stts", FIELDS(0, 1, 4, 7));
        put_table(&tables, "stsc", FIELDS(0, 2, 1, 2, 2, 2, 2, second));
        put_table(&tables, "stsz", FIELDS(0, 9, 4));
        put_table(&tables, "stco", FIELDS(0, 2, 700, 720));
        struct buf file = file_of(&edits, &tables);
        struct media_segment segment;
        struct mp4_layout layout;
        size_t box = box_begin(&file, "mdat");
        buf_put_zeros(&file, 500);
        box_end(&file, box);
        must_read(&file, &segment, &layout);
        assert_int_equal(segment.tracks[0].sample_count, second == 2 ? 4 : 2);
        assert_int_equal(layout.skipped, second == 2 ? 0 : 1);
        assert_int_equal(segment.tracks[0].entry_size, 20);
        assert_memory_equal(segment.tracks[0].entry + 4, "ent2", 4);
        media_segment_fini(&segment);
        buf_fini(&file);
        buf_fini(&tables);
    }
}

static void mdats_of_any_header_around_the_moov(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct buf tables = one_sample(), none = BUF_INIT, file = file_of(&none, &tables);
        struct media_segment segment;
        struct mp4_layout layout;
        uint64_t mdat = file.size;
        if (kind == 0) { // up to the end of the file
            put_table(&file, "mdat", FIELDS(0));
            buf_set_u32(&file, mdat, 0);
        } else if (kind == 1) { // a wide size
            buf_put_u32(&file, 1);
            buf_put(&file, "mdat", 4);
            buf_put_u64(&file, 16 + 500);
        } else { // two of them
            put_table(&file, "mdat", FIELDS(1));
            put_table(&file, "free", FIELDS(2));
            size_t box = box_begin(&file, "mdat");
            buf_put_zeros(&file, 500);
            box_end(&file, box);
        }
        if (kind < 2)
            buf_put_zeros(&file, 500);
        must_read(&file, &segment, &layout);
        assert_int_equal(segment.tracks[0].sample_count, 1);
        assert_int_equal(layout.media_end, file.size);
        assert_int_equal(layout.cut_mdat_offset, kind == 0 ? mdat : 0);
        assert_int_equal(layout.cut_mdat_size, kind == 0 ? file.size - mdat : 0);
        seal(&file, &segment, &layout);
        media_segment_fini(&segment);
        must_read(&file, &segment, &layout);
        assert_int_equal(segment.tracks[0].sample_count, 1);
        assert_int_equal(layout.tail_offset, layout.media_end);
        assert_int_equal(layout.cut_mdat_offset, 0);
        media_segment_fini(&segment);
        buf_fini(&file);
        buf_fini(&tables);
    }
}

static void tables_that_are_torn_or_missing_are_refused(void **state)
{
    (void)state;
    static const char *const needed[] = {"stts", "stsc", "stsz", "stco"};
    for (size_t i = 0; i < 2 * ARRAY_LENGTH(needed); i++) {
        struct buf tables = one_sample(), none = BUF_INIT;
        char *at = memmem(tables.data, tables.size, needed[i / 2], 4);
        assert_non_null(at);
        if (i % 2 == 0)
            memcpy(at, "none", 4);
        else if (strcmp(needed[i / 2], "stsz") == 0)
            memcpy(at + 8, "\0\0\0\0\x7f\xff\xff\xff", 8); // sizes of many samples, not there
        else
            memcpy(at + 8, "\xff\xff\xff\xff", 4);
        struct buf file = file_of(&none, &tables);
        size_t box = box_begin(&file, "mdat");
        buf_put_zeros(&file, 500);
        box_end(&file, box);
        must_not_read(&file);
        buf_fini(&file);
        buf_fini(&tables);
    }
}

static void damaged_boxes_are_no_crash(void **state)
{
    (void)state;
    static const char *const names[] = {"plain-h264-front", "frag-mixed-moov"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct buf file = corpus_load(names[i], ".mp4");
        for (uint32_t seed = 1; seed <= 10000; seed++) {
            struct mp4_source source = memory_source(&file);
            struct media_segment segment;
            struct mp4_layout layout;
            char *cause = NULL;
            uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15);
            size_t place = (size_t)(random >> 40) % 2500;
            uint8_t byte = file.data[place];
            file.data[place] = (uint8_t)(random >> 32);
            if (mp4_read(&source, &segment, &layout, &cause) == 0)
                media_segment_fini(&segment);
            else
                assert_non_null(cause);
            free(cause);
            file.data[place] = byte;
        }
        buf_fini(&file);
    }
}

// Sealed, it would not be known again.
static void an_mvhd_of_another_size_is_foreign(void **state)
{
    (void)state;
    struct buf from = corpus_load("plain-h264-aac", ".mp4"), file = BUF_INIT;
    struct media_segment segment;
    struct mp4_layout layout;
    uint8_t *mvhd = memmem(from.data, from.size, "mvhd", 4);
    assert_non_null(mvhd);
    size_t moov = (size_t)(mvhd - from.data) - 12, end = moov + 8 + 108;
    mvhd[-1] += 8;
    mvhd[-9] += 8; // no carry
    assert_true(mvhd[-9] >= 8);
    buf_put(&file, from.data, end);
    buf_put(&file, "\0\0\0\0\0\0\0", 8);
    buf_put(&file, from.data + end, from.size - end);
    must_read(&file, &segment, &layout);
    check_all_packets(&segment, "plain-h264-aac", UINT64_MAX);
    assert_true(layout.foreign);
    media_segment_fini(&segment);
    buf_fini(&file);
    buf_fini(&from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_are_what_ffprobe_finds),
        cmocka_unit_test(sealed_they_give_what_they_gave_before),
        cmocka_unit_test(torn_at_any_byte_the_whole_samples_stay),
        cmocka_unit_test(a_head_without_media_is_empty),
        cmocka_unit_test(key_samples_with_parameter_sets_are_noted),
        cmocka_unit_test(key_samples_with_a_sequence_header_are_noted),
        cmocka_unit_test(runs_and_chunks_of_several_lengths),
        cmocka_unit_test(wide_offsets_same_sizes_and_no_sync_table),
        cmocka_unit_test(compact_sizes_and_an_empty_sync_table),
        cmocka_unit_test(edits_place_the_beginning),
        cmocka_unit_test(a_track_ends_before_another_sample_entry),
        cmocka_unit_test(mdats_of_any_header_around_the_moov),
        cmocka_unit_test(tables_that_are_torn_or_missing_are_refused),
        cmocka_unit_test(an_mvhd_of_another_size_is_foreign),
        cmocka_unit_test(damaged_boxes_are_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
