// The packed sample table: its format, opening and iterating. See samples.h.
//
// A table is a head of bytes and variable-length integers (seven bits a byte, lowest first), then
// streams of bits.
//
//   version (2), number of tracks (0 to 2)
//   per track: kind (1 video, 2 audio), flags (1: all samples are sync samples; 2: all have the
//   same
//     composition offset; 4: every sync sample carries its parameter sets; 8: a steady clock; 16: a
//     code for sizes), samples, chunks, unit (a common divisor of all durations), period (mean
//     duration in 65536ths of a unit), composition (folded; of all samples, else of the first),
//     samples that most chunks have, rows (three bytes, see chunks), shift of the mean of sizes (a
//     byte); with a steady clock: its shift (a byte), first error (folded, 65536ths), code; with a
//     code for sizes: class (a byte), code; then the lengths of the four streams in bytes: keys,
//     durations, compositions, sizes
//   length of the stream of chunks in bytes
//   the streams: of the first track, of the second track, of the chunks
//
// A chunk is a run of samples of one track that lie one behind the other in the file. "Folded" is a
// signed number as an unsigned one (0, -1, 1, -2 …). Numbers are written as Golomb-Rice codes whose
// parameter follows their mean, most of them with runs of zeros, and where that is shorter in a
// prefix code of their own: low bits (a byte) and sixteen lengths (four bits each, the first of a
// byte in its high bits; bits.c).
//
//   keys: folded change of the number of samples between two sync samples, from 0 on; the last one
//     may be longer than what is left
//   durations: in units, folded difference to the prediction of a clock (samples_model.h): jitter
//   is
//     paid once, equal durations cost nothing. A clock that is corrected by every sample a little,
//     or a steady one and a prefix code
//   compositions: rank among the eight most recent offsets; 8 stands for another, whose folded
//     difference to the last follows
//   sizes: the first of its class in 6 + n bits; then the folded difference to the moving mean of
//     the class (0 sync samples; 1 samples shown later than the mean; 2 the others)
//   chunks, of all tracks in file order. The head of a chunk: 0 where it is the other track's turn
//   as
//     expected, else 1; the folded difference of its samples to what most have. Then, with the next
//     chunk's head before it, the folded change of the gap behind the chunk before (of any track):
//     less what its samples and those of the other track's chunk that follows take in the tables
//     that lie in that gap, a row each. What lies between two chunks of a track is not written: it
//     follows from the sizes of the other track's samples.
#include "lib/media/samples.h"

#include "lib/core/alloc.h"
#include "lib/media/samples_model.h"

static struct bits_reader samples_reader(const struct sample_stream *stream)
{
    return (struct bits_reader){.data = stream->data, .size = stream->size};
}

// Reads how many samples stand before the next key.
static void cursor_read_gap(struct sample_cursor *cursor)
{
    cursor->key_gap +=
        (uint64_t)bits_unfold(bits_get_run_number(&cursor->keys, &cursor->key_model));
    cursor->key_left = cursor->key_gap;
    if (cursor->key_gap > UINT32_MAX)
        cursor->failed = true;
}

static void cursor_init(struct sample_cursor *cursor, const struct sample_pack *pack)
{
    *cursor = (struct sample_cursor){
        .pack = pack,
        .keys = samples_reader(&pack->keys),
        .durations = samples_reader(&pack->durations),
        .compositions = samples_reader(&pack->compositions),
        .sizes = samples_reader(&pack->sizes),
        .period = (int64_t)pack->period,
        .phase = -pack->clock.error,
    };
    if (!(pack->flags & SAMPLES_ALL_KEYS))
        cursor_read_gap(cursor);
}

// Whether the next sample is one, in a track where not all are.
static bool cursor_at_key(const struct sample_cursor *cursor)
{
    return cursor->key_left == 0 && !(cursor->pack->flags & SAMPLES_ALL_KEYS);
}

static bool cursor_key(struct sample_cursor *cursor)
{
    if (cursor->pack->flags & SAMPLES_ALL_KEYS)
        return true;
    if (cursor->key_left == 0) {
        cursor_read_gap(cursor);
        return true;
    }
    cursor->key_left--;
    return false;
}

static uint32_t cursor_duration(struct sample_cursor *cursor)
{
    uint64_t number = cursor->pack->flags & SAMPLES_CLOCK
                          ? bits_get_code(&cursor->durations, &cursor->pack->clock.code)
                          : bits_get_run_number(&cursor->durations, &cursor->duration_model);
    int64_t duration =
        (int64_t)((uint64_t)samples_predict_duration(cursor) + (uint64_t)bits_unfold(number));
    if (duration < 0 || duration > UINT32_MAX / cursor->pack->unit) {
        cursor->failed = true;
        return 0;
    }
    samples_learn_duration(cursor, duration);
    return (uint32_t)duration * cursor->pack->unit;
}

static int32_t cursor_composition(struct sample_cursor *cursor)
{
    if (cursor->pack->flags & SAMPLES_SAME_COMPOSITION)
        return cursor->pack->composition;
    uint64_t rank = bits_get_run_number(&cursor->compositions, &cursor->rank_model);
    int64_t composition = cursor->recent[rank < SAMPLE_RECENT ? rank : 0];
    if (rank >= SAMPLE_RECENT) {
        uint64_t number = bits_get_number(&cursor->compositions, &cursor->composition_model);
        composition = (int64_t)((uint64_t)composition + (uint64_t)bits_unfold(number));
    }
    if (composition < INT32_MIN || composition > INT32_MAX || rank > SAMPLE_RECENT) {
        cursor->failed = true;
        return 0;
    }
    samples_rank(cursor, (int32_t)composition);
    return (int32_t)composition;
}

static uint32_t cursor_size(struct sample_cursor *cursor, bool key, int32_t composition)
{
    unsigned class = samples_class(cursor, key, composition);
    uint64_t size;
    if (cursor->size_known[class] && samples_size_coded(cursor, class))
        size = (uint64_t)samples_predict_size(cursor, class) +
               (uint64_t)bits_unfold(bits_get_code(&cursor->sizes, &cursor->pack->size_code));
    else if (cursor->size_known[class])
        size = (uint64_t)samples_predict_size(cursor, class) +
               (uint64_t)bits_unfold(bits_get_number(&cursor->sizes, &cursor->size_models[class]));
    else
        size = bits_get_raw(&cursor->sizes);
    if (size > UINT32_MAX) {
        cursor->failed = true;
        return 0;
    }
    samples_learn_size(cursor, class, (uint32_t)size);
    return (uint32_t)size;
}

static bool cursor_failed(const struct sample_cursor *cursor)
{
    return cursor->failed || cursor->keys.failed || cursor->durations.failed ||
           cursor->compositions.failed || cursor->sizes.failed;
}

// Reads the head of the next chunk of any track.
static void iter_read_head(struct sample_iter *iter)
{
    iter->next_count = 0;
    if (iter->chunks_left == 0)
        return;
    iter->chunks_left--;
    uint32_t track = iter->turn;
    uint64_t turn = bits_get_run_number(&iter->chunks, &iter->turn_model);
    if (turn > 0)
        track = (track + 1) % iter->track->packs;
    uint64_t number = bits_get_run_number(&iter->chunks, &iter->gaps[track].counts);
    uint64_t count = iter->track->pack[track].chunk_samples + (uint64_t)bits_unfold(number);
    iter->turn = (track + 1) % iter->track->packs;
    iter->next_track = track;
    if (turn > 1 || count > MEDIA_SAMPLES_MAX || iter->chunks.failed)
        iter->failed = true;
    else
        iter->next_count = (uint32_t)count;
}

void sample_iter_init_parts(
    struct sample_iter *iter, const struct sample_table_track *track, unsigned parts)
{
    *iter = (struct sample_iter){.track = track, .parts = parts};
    if (parts & SAMPLE_OFFSETS)
        iter->parts |= SAMPLE_CHUNKS | SAMPLE_SIZES;
    if (iter->parts & SAMPLE_SIZES)
        iter->parts |= SAMPLE_KEYS | SAMPLE_COMPOSITIONS;
    iter->chunks = samples_reader(&track->chunks);
    for (uint32_t i = 0; i < track->packs; i++) {
        cursor_init(&iter->cursors[i], &track->pack[i]);
        iter->chunks_left += track->pack[i].chunk_count;
    }
    iter->current.index = UINT32_MAX;
    iter->current.chunk = UINT32_MAX;
    if (iter->parts & SAMPLE_CHUNKS)
        iter_read_head(iter);
}

void sample_iter_init(struct sample_iter *iter, const struct sample_table_track *track)
{
    sample_iter_init_parts(iter, track, SAMPLE_ALL);
}

// Passes over the samples of another track's chunk.
static void iter_pass(struct sample_iter *iter, uint32_t track, uint32_t count)
{
    struct sample_cursor *cursor = &iter->cursors[track];
    for (; count > 0 && !cursor_failed(cursor); count--) {
        bool key = cursor_key(cursor);
        int32_t composition = cursor_composition(cursor);
        iter->position += cursor_size(cursor, key, composition);
    }
}

// The gap before a chunk; in a table that is not sound it may wrap around.
static uint64_t iter_read_gap(struct sample_iter *iter, uint32_t track, uint32_t count)
{
    const struct sample_pack *pack = &iter->track->pack[track];
    struct sample_gaps *gaps = &iter->gaps[track];
    uint64_t rank = bits_get_run_number(&iter->chunks, &gaps->ranks);
    uint64_t gap = (uint64_t)gaps->recent[rank < SAMPLE_GAPS ? rank : 0];
    if (rank >= SAMPLE_GAPS)
        gap += (uint64_t)bits_unfold(bits_get_number(&iter->chunks, &gaps->changes));
    samples_gap_rank(gaps->recent, (int64_t)gap);
    iter->failed |= rank > SAMPLE_GAPS;
    gap += (uint64_t)pack->row_own * count;
    if (iter->parts & SAMPLE_KEYS && cursor_at_key(&iter->cursors[track]))
        gap += pack->row_key;
    if (iter->next_track != track)
        gap += (uint64_t)pack->row_other * iter->next_count;
    return gap;
}

// Goes to the next chunk of the track, over chunks of the other.
static void iter_enter_chunk(struct sample_iter *iter)
{
    uint32_t track, count;
    do {
        track = iter->next_track;
        count = iter->next_count;
        if (count == 0 || iter->failed) {
            iter->failed = true;
            return;
        }
        iter_read_head(iter);
        iter->position += iter_read_gap(iter, track, count);
        if (iter->chunks.failed || iter->failed) {
            iter->failed = true;
            return;
        }
        if (track != iter->track->own && iter->parts & SAMPLE_OFFSETS)
            iter_pass(iter, track, count);
    } while (track != iter->track->own);
    iter->chunk_left = count;
    iter->current.chunk++;
}

const struct sample *sample_iter_next(struct sample_iter *iter)
{
    struct sample *sample = &iter->current;
    struct sample_cursor *cursor = &iter->cursors[iter->track->own];
    if (sample->index + 1 >= iter->track->sample_count || iter->failed)
        return NULL;
    sample->decode_time += sample->duration;
    sample->index++;
    if (iter->parts & SAMPLE_CHUNKS) {
        sample->chunk_start = iter->chunk_left == 0;
        if (sample->chunk_start)
            iter_enter_chunk(iter);
        iter->chunk_left--;
    }
    if (iter->parts & SAMPLE_KEYS)
        sample->key = cursor_key(cursor);
    if (iter->parts & SAMPLE_DURATIONS)
        sample->duration = cursor_duration(cursor);
    if (iter->parts & SAMPLE_COMPOSITIONS)
        sample->composition = cursor_composition(cursor);
    if (iter->parts & SAMPLE_SIZES) {
        sample->offset = iter->position;
        sample->size = cursor_size(cursor, sample->key, sample->composition);
        iter->position += sample->size;
    }
    return sample;
}

bool sample_iter_failed(const struct sample_iter *iter)
{
    bool failed = iter->failed || iter->chunks.failed;
    for (uint32_t i = 0; i < iter->track->packs; i++)
        failed |= cursor_failed(&iter->cursors[i]);
    return failed;
}

const struct sample_table_track *sample_table_track(
    const struct sample_table *table, enum media_kind kind)
{
    for (uint32_t i = 0; i < table->track_count; i++) {
        if (table->tracks[i].kind == kind)
            return &table->tracks[i];
    }
    return NULL;
}
