// The sample tables (ISO/IEC 14496-12, 8.6 and 8.7): their sizes from counts, their heads, and
// their bodies span by span. See mp4_write.h.
#include "lib/media/mp4_rows.h"

// What a table is called, how long it is without its rows, and how long a row is.
static const struct {
    char type[5];
    uint8_t version;
    uint8_t head_size;
    uint8_t row_size;
} mp4_table_kinds[MP4_TABLE_COUNT] = {
    [MP4_STTS] = {"stts", 0, 16, 8},
    [MP4_CTTS] = {"ctts", 1, 16, 8},
    [MP4_STSS] = {"stss", 0, 16, 4},
    [MP4_STSZ] = {"stsz", 0, 20, 4},
    [MP4_STSC] = {"stsc", 0, 16, 12},
    [MP4_CO64] = {"co64", 0, 16, 8},
};

static bool mp4_table_present(const struct mp4_track *track, enum mp4_table table)
{
    if (table == MP4_CTTS)
        return track->composition;
    return table != MP4_STSS || track->counts.syncs != track->counts.samples;
}

static uint32_t mp4_table_rows(const struct track_counts *counts, enum mp4_table table)
{
    switch (table) {
    case MP4_STTS:
        return counts->stts_entries;
    case MP4_CTTS:
        return counts->ctts_entries;
    case MP4_STSS:
        return counts->syncs;
    case MP4_STSZ:
        return counts->samples;
    case MP4_STSC:
        return counts->stsc_entries;
    case MP4_CO64:
        return counts->chunks;
    case MP4_TABLE_COUNT:
        break;
    }
    return 0;
}

uint64_t mp4_table_body_size(
    const struct mp4_track *track, const struct track_counts *counts, enum mp4_table table)
{
    if (!mp4_table_present(track, table))
        return 0;
    return (uint64_t)mp4_table_rows(counts, table) * mp4_table_kinds[table].row_size;
}

uint64_t mp4_table_size(const struct mp4_track *track, enum mp4_table table)
{
    if (!mp4_table_present(track, table))
        return 0;
    return mp4_table_kinds[table].head_size + mp4_table_body_size(track, &track->counts, table);
}

void mp4_put_table_head(struct buf *buf, const struct mp4_track *track, enum mp4_table table)
{
    if (!mp4_table_present(track, table))
        return;
    buf_put_u32(buf, (uint32_t)mp4_table_size(track, table));
    buf_put(buf, mp4_table_kinds[table].type, 4);
    buf_put_u32(buf, (uint32_t)mp4_table_kinds[table].version << 24);
    if (table == MP4_STSZ)
        buf_put_u32(buf, 0); // sizes differ
    buf_put_u32(buf, mp4_table_rows(&track->counts, table));
}

static void mp4_rows_put_run(struct mp4_rows *rows)
{
    buf_put_u32(rows->buf, rows->run_count);
    buf_put_u32(rows->buf, rows->run_value);
    rows->run_count = 0;
}

// One more sample of a run-length table; `alone` begins a row in any case.
static void mp4_rows_add_run(struct mp4_rows *rows, uint32_t value, bool alone)
{
    if (rows->run_count > 0 && (alone || value != rows->run_value))
        mp4_rows_put_run(rows);
    rows->run_value = value;
    rows->run_count++;
}

static void mp4_rows_put_chunk(struct mp4_rows *rows)
{
    if (rows->chunk_samples == rows->stsc_samples)
        return;
    buf_put_u32(rows->buf, rows->chunk_number);
    buf_put_u32(rows->buf, rows->chunk_samples);
    buf_put_u32(rows->buf, rows->entry);
    rows->stsc_samples = rows->chunk_samples;
}

static void mp4_rows_add_chunk(struct mp4_rows *rows, const struct media_sample *sample)
{
    if (rows->chunk_samples == 0 || sample->offset != rows->next_offset) {
        if (rows->table == MP4_CO64)
            buf_put_u64(rows->buf, sample->offset + (uint64_t)rows->offset_shift);
        else if (rows->chunk_samples > 0)
            mp4_rows_put_chunk(rows);
        rows->chunk_number++;
        rows->chunk_samples = 0;
    }
    rows->chunk_samples++;
    rows->next_offset = sample->offset + sample->size;
}

static inline void mp4_rows_add_to(
    struct mp4_rows *rows, enum mp4_table table, const struct media_sample *sample, bool last)
{
    switch (table) {
    case MP4_STTS:
        mp4_rows_add_run(rows, sample->duration, last);
        break;
    case MP4_CTTS:
        mp4_rows_add_run(rows, (uint32_t)(sample->composition + rows->composition_shift), false);
        break;
    case MP4_STSS:
        if (sample->key)
            buf_put_u32(rows->buf, rows->sample_number);
        break;
    case MP4_STSZ:
        buf_put_u32(rows->buf, sample->size + (sample->key ? rows->key_prefix : 0));
        break;
    case MP4_STSC:
    case MP4_CO64:
        mp4_rows_add_chunk(rows, sample);
        break;
    case MP4_TABLE_COUNT:
        break;
    }
    rows->sample_number++;
}

void mp4_rows_add(struct mp4_rows *rows, const struct media_sample *sample, bool last)
{
    mp4_rows_add_to(rows, rows->table, sample, last);
}

// A loop for each table: there are thousands of samples.
void mp4_rows_add_all(struct mp4_rows *rows, const struct media_sample *samples, size_t count)
{
#define MP4_ROWS_LOOP(table)                                                                       \
    case table:                                                                                    \
        for (size_t i = 0; i < count; i++)                                                         \
            mp4_rows_add_to(rows, table, &samples[i], i + 1 == count);                             \
        break
    switch (rows->table) {
        MP4_ROWS_LOOP(MP4_STTS);
        MP4_ROWS_LOOP(MP4_CTTS);
        MP4_ROWS_LOOP(MP4_STSS);
        MP4_ROWS_LOOP(MP4_STSZ);
        MP4_ROWS_LOOP(MP4_STSC);
        MP4_ROWS_LOOP(MP4_CO64);
    case MP4_TABLE_COUNT:
        break;
    }
#undef MP4_ROWS_LOOP
}

void mp4_rows_end(struct mp4_rows *rows)
{
    if (rows->run_count > 0)
        mp4_rows_put_run(rows);
    if (rows->table == MP4_STSC && rows->chunk_samples > 0)
        mp4_rows_put_chunk(rows);
}

// The parts of samples that a table is made of.
static unsigned mp4_table_parts(enum mp4_table table)
{
    static const unsigned parts[MP4_TABLE_COUNT] = {
        [MP4_STTS] = SAMPLE_DURATIONS,
        [MP4_CTTS] = SAMPLE_COMPOSITIONS,
        [MP4_STSS] = SAMPLE_KEYS,
        [MP4_STSZ] = SAMPLE_SIZES, // and keys, where they have a prefix
        [MP4_STSC] = SAMPLE_OFFSETS,
        [MP4_CO64] = SAMPLE_OFFSETS,
    };
    return parts[table];
}

// The next sample of a span as it goes into the file; false behind its last.
static bool mp4_span_next(
    const struct mp4_span *span, struct sample_iter *iter, struct media_sample *next, bool *last)
{
    const struct sample *sample;
    do {
        sample = sample_iter_next(iter);
    } while (sample != NULL && sample->index < span->first);
    if (sample == NULL || sample->index - span->first >= span->count)
        return false;
    *last = sample->index - span->first == span->count - 1;
    *next = (struct media_sample){
        .offset = sample->offset,
        .size = sample->size,
        .duration = *last ? span->last_duration : sample->duration,
        .composition = sample->composition,
        .key = sample->key,
    };
    return true;
}

void mp4_span_counts(const struct mp4_span *span, struct track_counts *counts)
{
    struct track_counter counter = {0};
    struct sample_iter iter;
    struct media_sample sample;
    bool last;
    sample_iter_init(&iter, span->samples);
    while (mp4_span_next(span, &iter, &sample, &last))
        track_counter_add(&counter, &sample);
    track_counter_end(&counter, counts);
}

void mp4_put_table_body(struct buf *buf, const struct mp4_span *span, enum mp4_table table)
{
    struct mp4_rows rows = {
        .buf = buf,
        .table = table,
        .composition_shift = span->composition_shift,
        .offset_shift = span->offset_shift,
        .key_prefix = span->key_prefix,
        .entry = span->entry,
        .sample_number = span->sample_base + 1,
        .chunk_number = span->chunk_base,
    };
    struct sample_iter iter;
    struct media_sample sample;
    bool last;
    sample_iter_init_parts(&iter, span->samples,
        mp4_table_parts(table) | (table == MP4_STSZ && span->key_prefix > 0 ? SAMPLE_KEYS : 0));
    while (mp4_span_next(span, &iter, &sample, &last))
        mp4_rows_add(&rows, &sample, last);
    mp4_rows_end(&rows);
}
