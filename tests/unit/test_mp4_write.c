// Writing: the trailing moov of sealed segments, and tables put together span by span. What is
// written is read back by a reader of plain MP4 files of this test's own.
#include "tests/unit/corpus.h"

#include "lib/media/mp4_write.h"

// --- Reading plain files back ---

struct bytes {
    const uint8_t *at;
    size_t size;
};

static uint64_t get(const struct bytes *bytes, size_t offset, unsigned count)
{
    uint64_t value = 0;
    assert_true(offset + count <= bytes->size);
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | bytes->at[offset + i];
    return value;
}

// The body of the nth box of that type directly inside `parent`; its size is 0 when there is none.
// All boxes of the parent must fill it exactly.
static struct bytes child(struct bytes parent, const char *type, int number)
{
    struct bytes found = {0};
    while (parent.size > 0) {
        uint64_t size = get(&parent, 0, 4), header = 8;
        if (size == 1) {
            size = get(&parent, 8, 8);
            header = 16;
        }
        assert_true(size >= header && size <= parent.size);
        if (memcmp(parent.at + 4, type, 4) == 0 && number-- == 0)
            found = (struct bytes){parent.at + header, size - header};
        parent.at += size;
        parent.size -= size;
    }
    return found;
}

static struct bytes descend(struct bytes parent, const char *path)
{
    for (; *path != '\0'; path += path[4] == '/' ? 5 : 4)
        parent = child(parent, path, 0);
    return parent;
}

struct plain_track {
    struct media_track media; // samples; start is the time of the first in the edited movie
    uint32_t description;     // of the last chunk
    size_t ctts_rows;
    int64_t empty_edit; // movie ticks
    int64_t edit_duration;
    int64_t edit_media_time;
    uint64_t tkhd_duration;
    uint64_t mdhd_duration;
};

static void expand_samples(const struct bytes *stbl, struct media_track *track)
{
    struct bytes stsz = child(*stbl, "stsz", 0), stts = child(*stbl, "stts", 0);
    struct bytes ctts = child(*stbl, "ctts", 0), stss = child(*stbl, "stss", 0);
    track->sample_count = get(&stsz, 8, 4);
    track->samples = xcalloc(track->sample_count, sizeof(*track->samples));
    for (size_t i = 0; i < track->sample_count; i++) {
        track->samples[i].size = (uint32_t)get(&stsz, 12 + 4 * i, 4);
        track->samples[i].key = stss.size == 0;
    }
    size_t at = 0;
    for (size_t row = 0; row < get(&stts, 4, 4); row++) {
        for (uint64_t n = get(&stts, 8 + 8 * row, 4); n > 0; n--)
            track->samples[at++].duration = (uint32_t)get(&stts, 12 + 8 * row, 4);
    }
    assert_int_equal(at, track->sample_count);
    at = 0;
    for (size_t row = 0; ctts.size > 0 && row < get(&ctts, 4, 4); row++) {
        for (uint64_t n = get(&ctts, 8 + 8 * row, 4); n > 0; n--)
            track->samples[at++].composition = (int32_t)get(&ctts, 12 + 8 * row, 4);
    }
    assert_true(ctts.size == 0 || at == track->sample_count);
    for (size_t row = 0; stss.size > 0 && row < get(&stss, 4, 4); row++)
        track->samples[get(&stss, 8 + 4 * row, 4) - 1].key = true;
}

static void expand_offsets(const struct bytes *stbl, struct plain_track *plain)
{
    struct bytes stsc = child(*stbl, "stsc", 0), co64 = child(*stbl, "co64", 0);
    uint64_t rows = get(&stsc, 4, 4), chunks = get(&co64, 4, 4);
    size_t at = 0;
    assert_int_equal(get(&stsc, 8, 4), 1);
    for (uint64_t row = 0; row < rows; row++) {
        uint64_t first = get(&stsc, 8 + 12 * row, 4);
        uint64_t next = row + 1 < rows ? get(&stsc, 20 + 12 * row, 4) : chunks + 1;
        assert_true(next > first);
        plain->description = (uint32_t)get(&stsc, 16 + 12 * row, 4);
        for (; first < next; first++) {
            uint64_t offset = get(&co64, 8 + 8 * (first - 1), 8);
            for (uint64_t n = get(&stsc, 12 + 12 * row, 4); n > 0; n--) {
                assert_true(at < plain->media.sample_count);
                plain->media.samples[at].offset = offset;
                offset += plain->media.samples[at++].size;
            }
        }
    }
    assert_int_equal(at, plain->media.sample_count);
}

static void read_edits(struct bytes elst, struct plain_track *plain)
{
    unsigned wide = get(&elst, 0, 1) == 1 ? 8 : 4;
    size_t at = 8;
    for (uint64_t n = get(&elst, 4, 4); n > 0; n--, at += 2 * wide + 4) {
        int64_t time = (int64_t)get(&elst, at + wide, wide);
        bool empty = wide == 8 ? time == -1 : time == UINT32_MAX;
        assert_int_equal(get(&elst, at + 2 * wide, 4), 0x10000);
        if (empty) {
            plain->empty_edit += (int64_t)get(&elst, at, wide);
            continue;
        }
        plain->edit_duration = (int64_t)get(&elst, at, wide);
        plain->edit_media_time = time;
    }
}

// The nth track of a moov's body; release its samples with free().
static struct plain_track read_track(struct bytes moov, int number)
{
    struct plain_track plain = {0};
    struct bytes trak = child(moov, "trak", number);
    struct bytes tkhd = child(trak, "tkhd", 0);
    struct bytes mdhd = descend(trak, "mdia/mdhd"), hdlr = descend(trak, "mdia/hdlr");
    struct bytes stbl = descend(trak, "mdia/minf/stbl");
    bool wide = get(&tkhd, 0, 1) == 1;
    plain.media.id = (uint32_t)get(&tkhd, wide ? 20 : 12, 4);
    plain.tkhd_duration = wide ? get(&tkhd, 28, 8) : get(&tkhd, 20, 4);
    wide = get(&mdhd, 0, 1) == 1;
    plain.media.timescale = (uint32_t)get(&mdhd, wide ? 20 : 12, 4);
    plain.mdhd_duration = wide ? get(&mdhd, 24, 8) : get(&mdhd, 16, 4);
    plain.media.kind = memcmp(hdlr.at + 8, "vide", 4) == 0 ? MEDIA_VIDEO : MEDIA_AUDIO;
    expand_samples(&stbl, &plain.media);
    expand_offsets(&stbl, &plain);
    struct bytes ctts = child(stbl, "ctts", 0);
    plain.ctts_rows = ctts.size > 0 ? get(&ctts, 4, 4) : 0;
    assert_true(ctts.size == 0 || ctts.at[0] == 1);
    struct bytes elst = descend(trak, "edts/elst");
    if (elst.size > 0)
        read_edits(elst, &plain);
    return plain;
}

// --- Sealing as the indexer does ---

static const struct mp4_tags some_tags = {
    .identity = "front-door/main/1774915200123-000007",
    .node = "käse \"1\"",
    .start_us = INT64_C(1774915207123456),
    .end_us = INT64_C(1774915210123457),
    .utc_offset_s = -12600,
};

static void seal(struct buf *file, const struct mp4_tags *tags)
{
    struct media_segment segment;
    struct mp4_layout layout;
    uint8_t header[16];
    must_read(file, &segment, &layout);
    file->size = layout.media_end;
    if (layout.cut_mdat_offset != 0)
        memcpy(file->data + layout.cut_mdat_offset, header, mp4_cut_header(&layout, header));
    mp4_put_sealed_moov(file, &segment, tags);
    mp4_sealed_header(&layout, header);
    memcpy(file->data + layout.init_offset, header, sizeof(header));
    media_segment_fini(&segment);
}

// Earliest presentation and end of the last, of a track that begins at `time`.
static void presentation(
    const struct media_track *track, int64_t time, int64_t *first, int64_t *end)
{
    *first = INT64_MAX;
    *end = INT64_MIN;
    for (size_t i = 0; i < track->sample_count; i++) {
        int64_t shown = time + track->samples[i].composition;
        if (shown < *first)
            *first = shown;
        if (shown + track->samples[i].duration > *end)
            *end = shown + track->samples[i].duration;
        time += track->samples[i].duration;
    }
}

// Holds a sealed track against ffprobe's packets of the recording.
static void check_sealed_track(const struct plain_track *plain, const char *name)
{
    size_t count;
    struct packet *packets = corpus_packets(name, plain->media.kind, &count);
    int64_t dts = 0, first, end;
    assert_int_equal(plain->media.sample_count, count);
    for (size_t i = 0; i < count; i++) {
        const struct media_sample *sample = &plain->media.samples[i];
        assert_int_equal(sample->offset, packets[i].offset);
        assert_int_equal(sample->size, packets[i].size);
        assert_int_equal(sample->key, packets[i].key);
        assert_int_equal(dts, packets[i].dts - packets[0].dts);
        assert_int_equal(dts + sample->composition - plain->media.samples[0].composition,
            packets[i].pts - packets[0].pts);
        dts += sample->duration;
    }
    presentation(&plain->media, 0, &first, &end);
    assert_int_equal(first, 0);
    assert_int_equal(plain->edit_media_time, 0);
    assert_int_equal(plain->mdhd_duration, dts);
    free(packets);
}

static void sealed_recordings_are_plain_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        struct media_segment segment;
        struct mp4_layout layout;
        must_read(&file, &segment, &layout);
        seal(&file, &some_tags);
        struct bytes whole = {file.data, file.size};
        assert_int_equal(child(whole, "moof", 0).size, 0);
        assert_int_equal(child(whole, "moov", 1).size, 0);
        struct bytes moov = child(whole, "moov", 0);
        assert_ptr_equal(moov.at - 8, file.data + layout.media_end);
        struct bytes mvhd = child(moov, "mvhd", 0);
        uint32_t movie = (uint32_t)get(&mvhd, 12, 4);
        uint64_t movie_duration = get(&mvhd, 16, 4), longest = 0;
        int64_t starts[2] = {0}, least = INT64_MAX;
        struct plain_track tracks[2];
        for (size_t j = 0; j < segment.track_count; j++) {
            int64_t end;
            tracks[j] = read_track(moov, (int)j);
            check_sealed_track(&tracks[j], corpus_files[i]);
            presentation(&segment.tracks[j], segment.tracks[j].start, &starts[j], &end);
            // Both time scales divide the movie's, so this is exact enough for one tick.
            assert_in_range(tracks[j].edit_duration * segment.tracks[j].timescale / movie,
                end - starts[j] - 1, end - starts[j] + 1);
            starts[j] = starts[j] * movie / segment.tracks[j].timescale;
            least = starts[j] < least ? starts[j] : least;
            assert_int_equal(
                tracks[j].tkhd_duration, tracks[j].empty_edit + tracks[j].edit_duration);
            longest = tracks[j].tkhd_duration > longest ? tracks[j].tkhd_duration : longest;
        }
        assert_int_equal(movie_duration, longest);
        for (size_t j = 0; j < segment.track_count; j++) {
            assert_in_range(tracks[j].empty_edit + 1, starts[j] - least, starts[j] - least + 2);
            free(tracks[j].media.samples);
        }
        assert_int_equal(child(moov, "trak", (int)segment.track_count).size, 0);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void tags_come_back_and_the_moov_is_always_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(corpus_files); i++) {
        struct buf file = corpus_load(corpus_files[i], ".mp4");
        seal(&file, &some_tags);
        struct mp4_source source = memory_source(&file);
        struct media_segment segment;
        struct mp4_layout layout;
        struct mp4_tags tags;
        char *cause = NULL;
        must_read(&file, &segment, &layout);
        assert_int_equal(mp4_read_tags(&source, &layout, &tags, &cause), 0);
        assert_string_equal(tags.identity, some_tags.identity);
        assert_string_equal(tags.node, some_tags.node);
        assert_int_equal(tags.start_us, some_tags.start_us);
        assert_int_equal(tags.end_us, some_tags.end_us);
        assert_int_equal(tags.utc_offset_s, some_tags.utc_offset_s);
        struct buf moov = BUF_INIT;
        mp4_put_sealed_moov(&moov, &segment, &tags);
        assert_int_equal(moov.size, layout.tail_size);
        assert_memory_equal(moov.data, file.data + layout.tail_offset, moov.size);
        assert_int_equal(layout.tail_offset + layout.tail_size, file.size);
        buf_fini(&moov);
        media_segment_fini(&segment);
        buf_fini(&file);
    }
}

static void torn_tails_have_no_tags(void **state)
{
    (void)state;
    struct buf file = corpus_load("h265-000001", ".mp4");
    struct media_segment segment;
    struct mp4_layout layout;
    struct mp4_tags tags;
    seal(&file, &some_tags);
    size_t size = file.size;
    must_read(&file, &segment, &layout);
    media_segment_fini(&segment);
    for (file.size = layout.tail_offset; file.size < size; file.size++) {
        struct mp4_source source = memory_source(&file);
        char *cause = NULL;
        must_read(&file, &segment, &layout);
        assert_int_equal(mp4_read_tags(&source, &layout, &tags, &cause), -1);
        assert_non_null(cause);
        free(cause);
        media_segment_fini(&segment);
    }
    // Every byte of the tail damaged in turn: never a crash.
    for (size_t at = layout.tail_offset; at < size; at++) {
        struct mp4_source source = memory_source(&file);
        char *cause = NULL;
        file.data[at] ^= 0xff;
        must_read(&file, &segment, &layout);
        if (mp4_read_tags(&source, &layout, &tags, &cause) != 0)
            assert_non_null(cause);
        free(cause);
        media_segment_fini(&segment);
        file.data[at] ^= 0xff;
    }
    buf_fini(&file);
}

// --- Edits ---

static void add_sample(struct media_track *track, struct media_sample sample)
{
    ARRAY_RESERVE(track->samples, track->sample_count, track->sample_capacity);
    track->samples[track->sample_count++] = sample;
}

static void add_samples(struct media_track *track, uint64_t offset, int count, uint32_t duration)
{
    for (int i = 0; i < count; i++)
        add_sample(track, (struct media_sample){.offset = offset + (uint64_t)i * 10,
                              .size = 10,
                              .duration = duration,
                              .key = true});
}

// Video of 1 s at 90 kHz and audio of 1 s at 8 kHz, the audio `lead` seconds before the video.
static void check_edits(double lead, int64_t video_delay, int64_t audio_delay, uint64_t duration)
{
    static uint8_t entry[] = {0, 0, 0, 8, 'n', 'o', 'n', 'e'};
    struct media_segment segment = {.track_count = 2,
        .tracks = {{.kind = MEDIA_VIDEO, .id = 1, .timescale = 90000, .start = 900000},
            {.kind = MEDIA_AUDIO, .id = 2, .timescale = 8000}}};
    segment.tracks[1].start = (int64_t)(8000 * (10 - lead));
    for (int i = 0; i < 2; i++) {
        segment.tracks[i].entry = xmalloc(8);
        memcpy(segment.tracks[i].entry, entry, 8);
        segment.tracks[i].entry_size = 8;
    }
    add_samples(&segment.tracks[0], 0, 10, 9000);
    add_samples(&segment.tracks[1], 1000, 10, 800);
    struct buf buf = BUF_INIT;
    mp4_put_sealed_moov(&buf, &segment, &some_tags);
    struct bytes moov = child((struct bytes){buf.data, buf.size}, "moov", 0);
    struct plain_track video = read_track(moov, 0), audio = read_track(moov, 1);
    struct bytes mvhd = child(moov, "mvhd", 0);
    assert_int_equal(get(&mvhd, 16, 4), duration);
    assert_int_equal(video.empty_edit, video_delay);
    assert_int_equal(audio.empty_edit, audio_delay);
    assert_int_equal(video.edit_duration, 90000);
    assert_int_equal(audio.edit_duration, 90000);
    assert_int_equal(video.ctts_rows, 0);
    free(video.media.samples);
    free(audio.media.samples);
    media_segment_fini(&segment);
    buf_fini(&buf);
}

static void the_later_track_gets_an_empty_edit(void **state)
{
    (void)state;
    check_edits(0, 0, 0, 90000);
    check_edits(-0.5, 0, 45000, 135000);
    check_edits(0.25, 22500, 0, 112500);
}

// A stream whose first pictures in decode order are shown late, and one whose first in decode order
// is not the first shown.
static void composition_offsets_begin_at_zero(void **state)
{
    (void)state;
    static const int32_t given[][4] = {{6, 12, 3, 3}, {0, 3, -9, 3}, {5, 5, 5, 5}};
    static const int32_t expected[][4] = {{0, 6, -3, -3}, {3, 6, -6, 6}, {0, 0, 0, 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        struct media_segment segment = {
            .track_count = 1, .tracks = {{.kind = MEDIA_VIDEO, .id = 1, .timescale = 90000}}};
        segment.tracks[0].entry = xcalloc(1, 8);
        for (size_t j = 0; j < 4; j++)
            add_sample(&segment.tracks[0],
                (struct media_sample){
                    .offset = j, .size = 1, .duration = 3, .composition = given[i][j]});
        struct buf buf = BUF_INIT;
        mp4_put_sealed_moov(&buf, &segment, &some_tags);
        struct bytes moov = child((struct bytes){buf.data, buf.size}, "moov", 0);
        struct plain_track video = read_track(moov, 0);
        for (size_t j = 0; j < 4; j++)
            assert_int_equal(video.media.samples[j].composition, expected[i][j]);
        assert_int_equal(video.ctts_rows > 0, i < 2);
        assert_int_equal(video.edit_media_time, 0);
        free(video.media.samples);
        media_segment_fini(&segment);
        buf_fini(&buf);
    }
}

// --- Spans ---

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % limit;
}

static void random_track(struct media_track *track)
{
    *track = (struct media_track){.kind = MEDIA_VIDEO, .id = 1, .timescale = 90000};
    uint64_t offset = 1000;
    uint32_t duration = 3000;
    int32_t composition = 0;
    for (uint32_t chunk = random_below(12) + 1; chunk > 0; chunk--) {
        for (uint32_t i = random_below(3) ? 5 : random_below(9) + 1; i > 0; i--) {
            if (random_below(3) == 0)
                duration = random_below(3) * 3000;
            if (random_below(2) == 0)
                composition = (int32_t)random_below(3) * 3000 - 3000;
            struct media_sample sample = {
                offset, random_below(500), duration, composition, random_below(5) == 0};
            add_sample(track, sample);
            offset += sample.size;
        }
        offset += random_below(4) ? 100 : 0;
    }
}

// The same counts, computed in the plainest way.
static struct track_counts plain_counts(const struct media_sample *samples, size_t count)
{
    struct track_counts counts = {.samples = (uint32_t)count};
    uint32_t chunk_samples = 0, last_chunk_samples = 0;
    for (size_t i = 0; i < count; i++) {
        const struct media_sample *sample = &samples[i];
        bool last = i + 1 == count;
        bool chunk_ends = last || samples[i + 1].offset != sample->offset + sample->size;
        counts.syncs += sample->key;
        counts.bytes += sample->size;
        counts.duration += sample->duration;
        counts.stts_entries += i == 0 || last || sample->duration != samples[i - 1].duration;
        counts.ctts_entries += i == 0 || sample->composition != samples[i - 1].composition;
        chunk_samples++;
        if (!chunk_ends)
            continue;
        counts.chunks++;
        counts.stsc_entries += chunk_samples != last_chunk_samples;
        last_chunk_samples = chunk_samples;
        chunk_samples = 0;
    }
    return counts;
}

static void check_counts(const struct track_counts *a, const struct track_counts *b)
{
    assert_int_equal(a->samples, b->samples);
    assert_int_equal(a->syncs, b->syncs);
    assert_int_equal(a->chunks, b->chunks);
    assert_int_equal(a->stts_entries, b->stts_entries);
    assert_int_equal(a->ctts_entries, b->ctts_entries);
    assert_int_equal(a->stsc_entries, b->stsc_entries);
    assert_int_equal(a->bytes, b->bytes);
    assert_int_equal(a->duration, b->duration);
}

static void add_counts(struct track_counts *sum, const struct track_counts *more)
{
    sum->samples += more->samples;
    sum->syncs += more->syncs;
    sum->chunks += more->chunks;
    sum->stts_entries += more->stts_entries;
    sum->ctts_entries += more->ctts_entries;
    sum->stsc_entries += more->stsc_entries;
    sum->bytes += more->bytes;
    sum->duration += more->duration;
}

static void counts_of_a_whole_segment(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 500; random_state++) {
        uint64_t seed = random_state;
        struct media_segment segment = {.track_count = 1};
        struct sample_table table;
        struct track_summary summary;
        struct track_counts counts;
        struct buf packed = BUF_INIT;
        char *cause = NULL;
        random_track(&segment.tracks[0]);
        const struct media_track *track = &segment.tracks[0];
        sample_table_encode(&segment, &packed);
        assert_int_equal(sample_table_open(&table, packed.data, packed.size, &cause), 0);
        track_summarize(track, &summary);
        struct mp4_span span = {.samples = &table.tracks[0],
            .count = (uint32_t)track->sample_count,
            .last_duration = summary.last_duration};
        struct track_counts expected = plain_counts(track->samples, track->sample_count);
        mp4_span_counts(&span, &counts);
        check_counts(&summary.counts, &expected);
        check_counts(&counts, &expected);
        buf_fini(&packed);
        media_segment_fini(&segment);
        random_state = seed;
    }
}

enum {
    SPANS = 3,
};

// A file of random spans of one segment, each at another place, as one track's tables; then read
// back sample by sample.
static void check_spans(void)
{
    static const uint8_t entries[2][8] = {
        {0, 0, 0, 8, 'o', 'n', 'e', '1'}, {0, 0, 0, 8, 't', 'w', 'o', '2'}};
    struct media_segment segment = {.track_count = 1};
    struct sample_table table;
    struct buf packed = BUF_INIT, moov = BUF_INIT;
    char *cause = NULL;
    struct mp4_span spans[SPANS];
    random_track(&segment.tracks[0]);
    const struct media_track *track = &segment.tracks[0];
    sample_table_encode(&segment, &packed);
    assert_int_equal(sample_table_open(&table, packed.data, packed.size, &cause), 0);

    struct mp4_entry stsd[] = {{entries[0], 8}, {entries[1], 8}};
    struct mp4_track file = {.id = 7,
        .kind = MEDIA_VIDEO,
        .timescale = 90000,
        .duration = 1234,
        .width = 64,
        .height = 48,
        .entries = stsd,
        .entry_count = 2,
        .composition = random_below(2)};
    for (uint32_t i = 0; i < SPANS; i++) {
        struct track_counts counts;
        uint32_t first = random_below((uint32_t)track->sample_count);
        spans[i] = (struct mp4_span){.samples = &table.tracks[0],
            .first = first,
            .count = 1 + random_below((uint32_t)track->sample_count - first),
            .last_duration = random_below(5000),
            .composition_shift = (int32_t)random_below(9) - 4,
            .entry = 1 + i % 2,
            .sample_base = file.counts.samples,
            .chunk_base = file.counts.chunks,
            .offset_shift = (int64_t)random_below(1000) * 10000000 - 900};
        mp4_span_counts(&spans[i], &counts);
        add_counts(&file.counts, &counts);
    }
    size_t box = mp4_box_begin(&moov, "moov");
    mp4_put_track_head(&moov, &file, 0);
    for (enum mp4_table kind = 0; kind < MP4_TABLE_COUNT; kind++) {
        size_t before = moov.size;
        mp4_put_table_head(&moov, &file, kind);
        for (int i = 0; i < SPANS && moov.size > before; i++) {
            struct track_counts counts;
            size_t body = moov.size;
            mp4_span_counts(&spans[i], &counts);
            mp4_put_table_body(&moov, &spans[i], kind);
            assert_int_equal(moov.size - body, mp4_table_body_size(&file, &counts, kind));
        }
        assert_int_equal(moov.size - before, mp4_table_size(&file, kind));
    }
    mp4_box_end(&moov, box);
    assert_int_equal(moov.size, 8 + mp4_track_size(&file));

    struct plain_track plain =
        read_track(child((struct bytes){moov.data, moov.size}, "moov", 0), 0);
    const struct media_sample *sample = plain.media.samples;
    for (int i = 0; i < SPANS; i++) {
        const struct mp4_span *span = &spans[i];
        for (uint32_t j = 0; j < span->count; j++, sample++) {
            const struct media_sample *from = &track->samples[span->first + j];
            assert_int_equal(sample->offset, from->offset + (uint64_t)span->offset_shift);
            assert_int_equal(sample->size, from->size);
            assert_int_equal(sample->key, from->key);
            assert_int_equal(
                sample->duration, j + 1 == span->count ? span->last_duration : from->duration);
            assert_int_equal(sample->composition,
                file.composition ? from->composition + span->composition_shift : 0);
        }
    }
    assert_ptr_equal(sample, plain.media.samples + plain.media.sample_count);
    assert_int_equal(plain.description, spans[SPANS - 1].entry);
    free(plain.media.samples);
    buf_fini(&packed);
    buf_fini(&moov);
    media_segment_fini(&segment);
}

static void spans_of_segments_make_one_track(void **state)
{
    (void)state;
    for (random_state = 1; random_state < 2000; random_state++) {
        uint64_t seed = random_state;
        check_spans();
        random_state = seed;
    }
}

// --- Heads ---

static void long_durations_take_version_1(void **state)
{
    (void)state;
    static const uint8_t entry[] = {0, 0, 0, 8, 'n', 'o', 'n', 'e'};
    struct mp4_entry stsd = {entry, 8};
    struct mp4_edit edits[] = {
        {UINT64_C(1) << 32, -1}, {UINT64_C(0x123456789a), INT64_C(0x1000000005)}};
    struct mp4_track track = {.id = 1,
        .kind = MEDIA_AUDIO,
        .timescale = 90000,
        .duration = UINT64_C(1) << 33,
        .edits = edits,
        .edit_count = 2,
        .entries = &stsd,
        .entry_count = 1,
        .counts = {.duration = UINT64_C(1) << 34}};
    struct buf buf = BUF_INIT;
    size_t box = mp4_box_begin(&buf, "moov");
    mp4_put_mvhd(&buf, INT64_C(2300000000) * 1000000, 90000, UINT64_C(1) << 35, 2);
    mp4_put_track_head(&buf, &track, 0);
    for (enum mp4_table kind = 0; kind < MP4_TABLE_COUNT; kind++)
        mp4_put_table_head(&buf, &track, kind);
    mp4_box_end(&buf, box);
    struct bytes moov = child((struct bytes){buf.data, buf.size}, "moov", 0);
    struct bytes mvhd = child(moov, "mvhd", 0);
    assert_int_equal(mvhd.size, 112);
    assert_int_equal(get(&mvhd, 0, 1), 1);
    // 1904-01-01 is 66 years with 17 leap days before 1970-01-01.
    assert_int_equal(get(&mvhd, 4, 8), 2300000000 + (66 * INT64_C(365) + 17) * 86400);
    assert_int_equal(get(&mvhd, 24, 8), UINT64_C(1) << 35);
    struct bytes trak = child(moov, "trak", 0);
    struct bytes tkhd = child(trak, "tkhd", 0), mdhd = descend(trak, "mdia/mdhd");
    struct bytes elst = descend(trak, "edts/elst");
    assert_int_equal(get(&tkhd, 28, 8), UINT64_C(1) << 33);
    assert_int_equal(get(&mdhd, 24, 8), UINT64_C(1) << 34);
    assert_int_equal(get(&elst, 0, 1), 1);
    assert_int_equal(get(&elst, 8, 8), UINT64_C(1) << 32);
    assert_int_equal(get(&elst, 16, 8), UINT64_MAX);
    assert_int_equal(get(&elst, 28, 8), UINT64_C(0x123456789a));
    assert_int_equal(get(&elst, 36, 8), UINT64_C(0x1000000005));
    buf_fini(&buf);

    // And version 0 where they fit.
    mp4_put_mvhd(&buf, 0, 90000, UINT32_MAX, 2);
    assert_int_equal(buf.size, 108);
    buf_fini(&buf);
}

static void ftyp_is_one_box(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT;
    mp4_put_ftyp(&buf);
    struct bytes ftyp = child((struct bytes){buf.data, buf.size}, "ftyp", 0);
    assert_int_equal(ftyp.size % 4, 0);
    assert_memory_equal(ftyp.at, "isom", 4);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed_recordings_are_plain_files),
        cmocka_unit_test(tags_come_back_and_the_moov_is_always_the_same),
        cmocka_unit_test(torn_tails_have_no_tags),
        cmocka_unit_test(the_later_track_gets_an_empty_edit),
        cmocka_unit_test(composition_offsets_begin_at_zero),
        cmocka_unit_test(counts_of_a_whole_segment),
        cmocka_unit_test(spans_of_segments_make_one_track),
        cmocka_unit_test(long_durations_take_version_1),
        cmocka_unit_test(ftyp_is_one_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
