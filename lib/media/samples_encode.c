// Packs a segment's tables. The format is described in samples.c.
#include <assert.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/media/samples_model.h"

// A variable-length integer: seven bits a byte, the lowest first, the highest bit says that more
// follow.
static void samples_put_varint(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buf_put_u8(out, (uint8_t)(value | 0x80));
    buf_put_u8(out, (uint8_t)value);
}

static uint32_t samples_common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// What is the same for the whole track.
static struct sample_pack samples_describe(const struct media_track *track)
{
    struct sample_pack pack = {
        .kind = track->kind,
        .sample_count = (uint32_t)track->sample_count,
        .flags = SAMPLES_ALL_KEYS | SAMPLES_SAME_COMPOSITION,
    };
    uint64_t total = 0, end = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        if (i == 0 || sample->offset != end)
            pack.chunk_count++;
        end = sample->offset + sample->size;
        if (!sample->key)
            pack.flags &= (uint8_t)~SAMPLES_ALL_KEYS;
        if (sample->composition != track->samples[0].composition)
            pack.flags &= (uint8_t)~SAMPLES_SAME_COMPOSITION;
        if (pack.unit != 1)
            pack.unit = samples_common_divisor(pack.unit, sample->duration);
        total += sample->duration;
    }
    if (pack.unit == 0)
        pack.unit = 1;
    if (track->sample_count > 0) {
        pack.period = total / pack.unit * 256 / track->sample_count;
        pack.composition = track->samples[0].composition;
    }
    return pack;
}

static struct sample_cursor samples_cursor(const struct sample_pack *pack)
{
    return (struct sample_cursor){.pack = pack, .period = (int64_t)pack->period};
}

// Writes numbers with runs, all by one model.
static void samples_put_numbers(struct bits_writer *writer, const uint64_t *numbers, size_t count)
{
    struct bits_model model = {0};
    for (size_t i = 0; i < count; i++)
        bits_put_run_number(writer, &model, numbers + i, count - i);
}

// How many samples that are no key stand before each key, and at the end.
static void samples_put_keys(
    struct bits_writer *writer, const struct media_track *track, uint64_t *numbers)
{
    size_t count = 0;
    int64_t gap = 0, last = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        if (!track->samples[i].key) {
            gap++;
            continue;
        }
        numbers[count++] = bits_fold(gap - last);
        last = gap;
        gap = 0;
    }
    // The last gap may reach beyond the end: as long as the one before, it costs nothing.
    numbers[count++] = bits_fold(gap > last ? gap - last : 0);
    samples_put_numbers(writer, numbers, count);
}

static void samples_put_durations(struct bits_writer *writer, const struct media_track *track,
    struct sample_cursor *cursor, uint64_t *numbers)
{
    for (size_t i = 0; i < track->sample_count; i++) {
        int64_t duration = track->samples[i].duration / cursor->pack->unit;
        numbers[i] = bits_fold(duration - samples_predict_duration(cursor));
        samples_learn_duration(cursor, duration);
    }
    samples_put_numbers(writer, numbers, track->sample_count);
}

static void samples_put_compositions(struct bits_writer *writer, const struct media_track *track,
    struct sample_cursor *cursor, uint64_t *numbers)
{
    struct bits_model ranks = {0}, values = {0};
    struct sample_cursor ahead = *cursor;
    for (size_t i = 0; i < track->sample_count; i++)
        numbers[i] = samples_rank(&ahead, track->samples[i].composition);
    for (size_t i = 0; i < track->sample_count; i++) {
        int64_t last = cursor->recent[0];
        int32_t composition = track->samples[i].composition;
        bits_put_run_number(writer, &ranks, numbers + i, track->sample_count - i);
        if (samples_rank(cursor, composition) == SAMPLE_RECENT)
            bits_put_number(writer, &values, bits_fold(composition - last));
    }
}

static void samples_put_sizes(
    struct bits_writer *writer, const struct media_track *track, struct sample_cursor *cursor)
{
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        unsigned class = samples_class(cursor, sample->key, sample->composition);
        if (cursor->size_known[class])
            bits_put_number(writer, &cursor->size_models[class],
                bits_fold((int64_t)sample->size - samples_predict_size(cursor, class)));
        else
            bits_put_raw(writer, sample->size);
        samples_learn_size(cursor, class, sample->size);
    }
}

// One track's chunks as three columns: samples, bytes, offset.
struct samples_chunks {
    uint32_t count;
    uint32_t next;
    uint32_t *samples;
    uint64_t *bytes;
    uint64_t *offsets;
    uint64_t *count_numbers; // what is written of them
    uint64_t *gap_numbers;
    struct bits_model count_model, gap_model;
};

static struct samples_chunks samples_find_chunks(const struct media_track *track, uint32_t count)
{
    struct samples_chunks chunks = {
        .samples = xcalloc(count, sizeof(*chunks.samples)),
        .bytes = xcalloc(count, sizeof(*chunks.bytes)),
        .offsets = xcalloc(count, sizeof(*chunks.offsets)),
        .count_numbers = xcalloc(count, sizeof(*chunks.count_numbers)),
        .gap_numbers = xcalloc(count, sizeof(*chunks.gap_numbers)),
    };
    uint64_t end = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        if (i == 0 || sample->offset != end)
            chunks.offsets[chunks.count++] = sample->offset;
        chunks.samples[chunks.count - 1]++;
        chunks.bytes[chunks.count - 1] += sample->size;
        end = sample->offset + sample->size;
    }
    assert(chunks.count == count);
    for (uint32_t i = 0; i < count; i++)
        chunks.count_numbers[i] =
            bits_fold((int64_t)chunks.samples[i] - (i > 0 ? chunks.samples[i - 1] : 0));
    return chunks;
}

static void samples_chunks_fini(struct samples_chunks *chunks)
{
    free(chunks->samples);
    free(chunks->bytes);
    free(chunks->offsets);
    free(chunks->count_numbers);
    free(chunks->gap_numbers);
}

// Puts the chunks of all tracks into file order: turns[i] is 0 where the track that is expected to
// be next has the next chunk; the gaps before the chunks become numbers.
static void samples_order_chunks(
    struct samples_chunks *chunks, size_t tracks, uint64_t *turns, uint8_t *order, size_t total)
{
    uint64_t end = 0;
    uint64_t last_gaps[MEDIA_TRACKS_MAX] = {0};
    size_t expected = 0;
    for (size_t i = 0; i < total; i++) {
        size_t track = chunks[0].next < chunks[0].count ? 0 : 1;
        if (tracks > 1 && track == 0 && chunks[1].next < chunks[1].count &&
            chunks[1].offsets[chunks[1].next] < chunks[0].offsets[chunks[0].next])
            track = 1;
        uint32_t chunk = chunks[track].next++;
        uint64_t gap = chunks[track].offsets[chunk] - end;
        chunks[track].gap_numbers[chunk] = bits_fold((int64_t)(gap - last_gaps[track]));
        last_gaps[track] = gap;
        end = chunks[track].offsets[chunk] + chunks[track].bytes[chunk];
        turns[i] = track != expected;
        order[i] = (uint8_t)track;
        expected = (track + 1) % tracks;
    }
    for (size_t i = 0; i < tracks; i++)
        chunks[i].next = 0;
}

static void samples_put_chunks(struct bits_writer *writer, const struct media_segment *segment,
    const struct sample_pack *packs)
{
    struct samples_chunks chunks[MEDIA_TRACKS_MAX];
    size_t total = 0;
    for (size_t i = 0; i < segment->track_count; i++) {
        chunks[i] = samples_find_chunks(&segment->tracks[i], packs[i].chunk_count);
        total += packs[i].chunk_count;
    }
    uint64_t *turns = xcalloc(total, sizeof(*turns));
    uint8_t *order = xcalloc(total, sizeof(*order));
    struct bits_model turn_model = {0};
    samples_order_chunks(chunks, segment->track_count, turns, order, total);
    for (size_t i = 0; i < total; i++) {
        struct samples_chunks *track = &chunks[order[i]];
        uint32_t next = track->next++;
        bits_put_run_number(writer, &turn_model, turns + i, total - i);
        bits_put_run_number(
            writer, &track->count_model, track->count_numbers + next, track->count - next);
        bits_put_run_number(
            writer, &track->gap_model, track->gap_numbers + next, track->count - next);
    }
    free(turns);
    free(order);
    for (size_t i = 0; i < segment->track_count; i++)
        samples_chunks_fini(&chunks[i]);
}

// Appends one stream behind the others and its length to the head.
static void samples_end_stream(struct buf *head, struct bits_writer *writer, size_t *start)
{
    bits_flush(writer);
    samples_put_varint(head, writer->out->size - *start);
    *start = writer->out->size;
}

static void samples_encode_track(struct buf *head, struct buf *streams,
    const struct media_track *track, const struct sample_pack *pack)
{
    struct bits_writer writer = {.out = streams};
    struct sample_cursor cursor = samples_cursor(pack);
    uint64_t *numbers = xcalloc(track->sample_count + 1, sizeof(*numbers));
    size_t start = streams->size;
    buf_put_u8(head, (uint8_t)pack->kind);
    buf_put_u8(head, pack->flags);
    samples_put_varint(head, pack->sample_count);
    samples_put_varint(head, pack->chunk_count);
    samples_put_varint(head, pack->unit);
    samples_put_varint(head, pack->period);
    samples_put_varint(head, bits_fold(pack->composition));
    if (!(pack->flags & SAMPLES_ALL_KEYS))
        samples_put_keys(&writer, track, numbers);
    samples_end_stream(head, &writer, &start);
    samples_put_durations(&writer, track, &cursor, numbers);
    samples_end_stream(head, &writer, &start);
    if (!(pack->flags & SAMPLES_SAME_COMPOSITION))
        samples_put_compositions(&writer, track, &cursor, numbers);
    samples_end_stream(head, &writer, &start);
    samples_put_sizes(&writer, track, &cursor);
    samples_end_stream(head, &writer, &start);
    free(numbers);
}

void sample_table_encode(const struct media_segment *segment, struct buf *out)
{
    struct sample_pack packs[MEDIA_TRACKS_MAX];
    struct buf streams = BUF_INIT;
    buf_put_u8(out, SAMPLES_VERSION);
    buf_put_u8(out, (uint8_t)segment->track_count);
    for (size_t i = 0; i < segment->track_count; i++) {
        packs[i] = samples_describe(&segment->tracks[i]);
        samples_encode_track(out, &streams, &segment->tracks[i], &packs[i]);
    }
    struct bits_writer writer = {.out = &streams};
    size_t start = streams.size;
    samples_put_chunks(&writer, segment, packs);
    samples_end_stream(out, &writer, &start);
    buf_put(out, streams.data, streams.size);
    buf_fini(&streams);
}
