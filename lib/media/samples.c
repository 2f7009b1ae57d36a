// The packed sample table: its format, opening and iterating. See samples.h.
//
// A table is a head of bytes and variable-length integers (seven bits a byte, lowest first), then
// streams of bits.
//
//   version (1), number of tracks (0 to 2)
//   per track: kind (1 video, 2 audio), flags (1: all samples are sync samples; 2: all have the
//   same
//     composition offset), samples, chunks, unit (a common divisor of all durations), period (mean
//     duration in 256ths of a unit), composition (folded; of all samples, else of the first),
//     lengths of its four streams in bytes: keys, durations, compositions, sizes
//   length of the stream of chunks in bytes
//   the streams: of the first track, of the second track, of the chunks
//
// A chunk is a run of samples of one track that lie one behind the other in the file. "Folded" is a
// signed number as an unsigned one (0, -1, 1, -2 …). Numbers are written as Golomb-Rice codes whose
// parameter follows their mean, most of them with runs of zeros (bits.c).
//
//   keys: folded change of the number of samples between two sync samples, from 0 on; the last one
//     may be longer than what is left
//   durations: in units, folded difference to the prediction of a clock that is corrected by every
//     sample a little (samples_model.h): jitter is paid once, equal durations cost nothing
//   compositions: rank among the eight most recent offsets; 8 stands for another, whose folded
//     difference to the last follows
//   sizes: the first of its class in 6 + n bits; then the folded difference to the moving mean of
//     the class (sync samples; samples shown later than the mean; the others)
//   chunks, of all tracks in file order: 0 where it is the other track's turn as expected; then by
//     track the folded changes of the number of samples and of the gap behind the chunk before (of
//     any track). What lies between two chunks of a track is not written: it follows from the sizes
//     of the other track's samples.
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
    };
    if (!(pack->flags & SAMPLES_ALL_KEYS))
        cursor_read_gap(cursor);
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
    uint64_t number = bits_get_run_number(&cursor->durations, &cursor->duration_model);
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
    if (cursor->size_known[class])
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

void sample_iter_init_parts(
    struct sample_iter *iter, const struct sample_table_track *track, unsigned parts)
{
    *iter = (struct sample_iter){.track = track, .parts = parts};
    if (parts & SAMPLE_OFFSETS)
        iter->parts |= SAMPLE_CHUNKS | SAMPLE_SIZES;
    if (iter->parts & SAMPLE_SIZES)
        iter->parts |= SAMPLE_KEYS | SAMPLE_COMPOSITIONS;
    iter->chunks = samples_reader(&track->chunks);
    for (uint32_t i = 0; i < track->packs; i++)
        cursor_init(&iter->cursors[i], &track->pack[i]);
    iter->current.index = UINT32_MAX;
    iter->current.chunk = UINT32_MAX;
}

void sample_iter_init(struct sample_iter *iter, const struct sample_table_track *track)
{
    sample_iter_init_parts(iter, track, SAMPLE_ALL);
}

// Passes over the samples of another track's chunk.
static void iter_pass(struct sample_iter *iter, uint32_t track, int64_t count)
{
    struct sample_cursor *cursor = &iter->cursors[track];
    for (; count > 0 && !cursor_failed(cursor); count--) {
        bool key = cursor_key(cursor);
        int32_t composition = cursor_composition(cursor);
        iter->position += cursor_size(cursor, key, composition);
    }
}

// Reads a folded change of a value, which may wrap around in a table that is not sound.
static void iter_read_change(struct sample_iter *iter, struct bits_model *model, int64_t *value)
{
    uint64_t change = (uint64_t)bits_unfold(bits_get_run_number(&iter->chunks, model));
    *value = (int64_t)((uint64_t)*value + change);
}

// Goes to the next chunk of the track, over chunks of the other.
static void iter_enter_chunk(struct sample_iter *iter)
{
    uint32_t track;
    do {
        track = iter->turn;
        uint64_t turn = bits_get_run_number(&iter->chunks, &iter->turn_model);
        if (turn > 0)
            track = (track + 1) % iter->track->packs;
        iter_read_change(iter, &iter->count_models[track], &iter->counts[track]);
        iter_read_change(iter, &iter->gap_models[track], &iter->gaps[track]);
        iter->turn = (track + 1) % iter->track->packs;
        if (iter->counts[track] < 1 || iter->counts[track] > MEDIA_SAMPLES_MAX || turn > 1 ||
            iter->chunks.failed) {
            iter->failed = true;
            return;
        }
        iter->position += (uint64_t)iter->gaps[track];
        if (track != iter->track->own && iter->parts & SAMPLE_OFFSETS)
            iter_pass(iter, track, iter->counts[track]);
    } while (track != iter->track->own);
    iter->chunk_left = (uint32_t)iter->counts[track];
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

const struct sample_table_track *sample_table_track(
    const struct sample_table *table, enum media_kind kind)
{
    for (uint32_t i = 0; i < table->track_count; i++) {
        if (table->tracks[i].kind == kind)
            return &table->tracks[i];
    }
    return NULL;
}
