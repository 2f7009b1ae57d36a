// Packs a segment's tables. The format is described in samples.c.
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/media/samples_chunks.h"

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

enum {
    SAMPLES_SIZE_SHIFT = 2,      // of a mean of sizes, where nothing speaks for another
    SAMPLES_SIZES_LOOK = 400,    // samples from which that is guessed
    SAMPLES_CODE_BITS = 8 * 10,  // what the head says of a code
    SAMPLES_CLOCK_MIN = 64,      // samples of a track that may have a code of its own
    SAMPLES_CLOCK_BITS = 8 * 14, // what the head says of it
};

// What is the same for the whole track.
static struct sample_pack samples_describe(const struct media_track *track)
{
    struct sample_pack pack = {
        .kind = track->kind,
        .sample_count = (uint32_t)track->sample_count,
        .flags = SAMPLES_ALL_KEYS | SAMPLES_SAME_COMPOSITION,
    };
    uint64_t total = 0, end = 0;
    uint32_t last = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        if (i == 0 || sample->offset != end)
            pack.chunk_count++;
        end = sample->offset + sample->size;
        if (!sample->key)
            pack.flags &= (uint8_t)~SAMPLES_ALL_KEYS;
        if (sample->composition != track->samples[0].composition)
            pack.flags &= (uint8_t)~SAMPLES_SAME_COMPOSITION;
        if (pack.unit != 1 && sample->duration != last)
            pack.unit = samples_common_divisor(pack.unit, sample->duration);
        last = sample->duration;
        total += sample->duration;
    }
    if (pack.unit == 0)
        pack.unit = 1;
    if (track->parameter_sets)
        pack.flags |= SAMPLES_PARAMETER_SETS;
    if (track->sample_count > 0) {
        pack.period =
            (uint64_t)((unsigned __int128)(total / pack.unit) * 65536 / track->sample_count);
        pack.composition = track->samples[0].composition;
    }
    return pack;
}

static struct sample_cursor samples_cursor(const struct sample_pack *pack)
{
    return (struct sample_cursor){
        .pack = pack, .period = (int64_t)pack->period, .phase = -pack->clock.error};
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

// A track's durations in units; new.
static uint32_t *samples_durations(const struct media_track *track, uint32_t unit)
{
    uint32_t *durations = xcalloc(track->sample_count + 1, sizeof(*durations));
    uint32_t last = 0, quotient = 0;
    for (size_t i = 0; i < track->sample_count; i++) {
        // Most are as the one before, and a division takes as long as all else here.
        if (track->samples[i].duration != last) {
            last = track->samples[i].duration;
            quotient = last / unit;
        }
        durations[i] = quotient;
    }
    return durations;
}

// What is written of the durations, by the clock that the pack has.
static void samples_find_durations(
    const uint32_t *durations, const struct sample_pack *pack, uint64_t *numbers)
{
    struct sample_cursor cursor = samples_cursor(pack);
    for (size_t i = 0; i < pack->sample_count; i++) {
        int64_t duration = durations[i];
        numbers[i] = bits_fold(duration - samples_predict_duration(&cursor));
        samples_learn_duration(&cursor, duration);
    }
}

// Lays a steady clock through a track's time stamps, by least squares.
static void samples_fit_clock(const uint32_t *durations, struct sample_pack *pack)
{
    const double count = (double)pack->sample_count;
    double sum = 0, product = 0, time = 0;
    for (size_t i = 0; i < pack->sample_count; i++) {
        sum += time;
        product += time * (double)i;
        time += (double)durations[i];
    }
    double middle = (count - 1) / 2;
    double period = (product - sum * middle) / (count * (count * count - 1) / 12);
    double error = middle * period - sum / count; // of the first sample
    if (period < 1 || period > UINT32_MAX || error > period / 2 || error < -period / 2)
        return;
    pack->flags |= SAMPLES_CLOCK;
    pack->period = (uint64_t)(period * 65536);
    pack->clock.error = (int64_t)(error * 65536);
}

// Chooses how the durations are written, where `plain` bits are what they take by the other clock.
// Returns whether that is with a steady one; their numbers are then filled in.
static bool samples_choose_clock(
    const uint32_t *durations, struct sample_pack *pack, uint64_t plain, uint64_t *numbers)
{
    static const uint8_t shifts[] = {0, 5};
    struct sample_pack fitted = *pack;
    if (pack->sample_count < SAMPLES_CLOCK_MIN || plain < SAMPLES_CLOCK_BITS ||
        plain / 2 < pack->sample_count)
        return false;
    samples_fit_clock(durations, &fitted);
    for (size_t i = 0; fitted.flags & SAMPLES_CLOCK && i < ARRAY_LENGTH(shifts); i++) {
        fitted.clock.shift = shifts[i];
        samples_find_durations(durations, &fitted, numbers);
        uint64_t bits = bits_code_make(&fitted.clock.code, numbers, pack->sample_count);
        // A clock that follows is worth trying only where one that does not is no good.
        if (bits + SAMPLES_CLOCK_BITS < plain) {
            *pack = fitted;
            return true;
        }
    }
    return false;
}

// Appends the durations and decides on the pack's clock.
static void samples_put_durations(struct bits_writer *writer, const struct media_track *track,
    struct sample_pack *pack, uint64_t *numbers)
{
    uint32_t *durations = samples_durations(track, pack->unit);
    size_t start = writer->out->size;
    samples_find_durations(durations, pack, numbers);
    samples_put_numbers(writer, numbers, track->sample_count);
    bits_flush(writer);
    if (samples_choose_clock(durations, pack, (writer->out->size - start) * 8, numbers)) {
        writer->out->size = start;
        for (size_t i = 0; i < track->sample_count; i++)
            bits_put_code(writer, &pack->clock.code, numbers[i]);
    }
    free(durations);
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

// What is written of the sizes of one class, or of all where that is SAMPLE_CLASSES; the first of
// each class left out; of the first `samples` samples. Returns how many there are.
static size_t samples_find_sizes(const struct media_track *track, const struct sample_pack *pack,
    size_t samples, unsigned wanted, uint64_t *numbers)
{
    struct sample_cursor cursor = samples_cursor(pack);
    size_t count = 0;
    for (size_t i = 0; i < samples && i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        unsigned class = samples_class(&cursor, sample->key, sample->composition);
        if (cursor.size_known[class] && (wanted == class || wanted == SAMPLE_CLASSES))
            numbers[count++] =
                bits_fold((int64_t)sample->size - samples_predict_size(&cursor, class));
        samples_learn_size(&cursor, class, sample->size);
    }
    return count;
}

// The class that most samples belong to.
static unsigned samples_main_class(const struct media_track *track, const struct sample_pack *pack)
{
    struct sample_cursor cursor = samples_cursor(pack);
    size_t counts[SAMPLE_CLASSES] = {0};
    unsigned most = 0;
    for (size_t i = 0; i < track->sample_count; i++)
        counts[samples_class(&cursor, track->samples[i].key, track->samples[i].composition)]++;
    for (unsigned class = 1; class < SAMPLE_CLASSES; class ++)
        most = counts[class] > counts[most] ? class : most;
    return most;
}

// Chooses how fast the mean of sizes follows, and a code for those of the main class.
static void samples_choose_sizes(
    const struct media_track *track, struct sample_pack *pack, uint64_t *numbers)
{
    uint64_t least = UINT64_MAX;
    unsigned best = SAMPLES_SIZE_SHIFT;
    for (unsigned shift = 1; shift <= SAMPLES_SIZE_SHIFT + 1; shift++) {
        uint64_t bits = 0;
        pack->size_shift = (uint8_t)shift;
        size_t count = samples_find_sizes(track, pack, SAMPLES_SIZES_LOOK, SAMPLE_CLASSES, numbers);
        // Twice the logarithm, about: its whole part and one more bit.
        for (size_t i = 0; i < count; i++) {
            unsigned length = 64 - (unsigned)__builtin_clzll(numbers[i] | 1);
            bits += 2 * length + (length > 1 ? numbers[i] >> (length - 2) & 1 : 0);
        }
        if (bits < least) {
            least = bits;
            best = shift;
        }
    }
    pack->size_shift = (uint8_t)best;
    pack->size_class = (uint8_t)samples_main_class(track, pack);
    size_t count = samples_find_sizes(track, pack, SIZE_MAX, pack->size_class, numbers);
    uint64_t plain = bits_measure_numbers(numbers, count);
    if (bits_code_make(&pack->size_code, numbers, count) + SAMPLES_CODE_BITS < plain)
        pack->flags |= SAMPLES_SIZE_CODE;
}

static void samples_put_sizes(
    struct bits_writer *writer, const struct media_track *track, struct sample_cursor *cursor)
{
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        unsigned class = samples_class(cursor, sample->key, sample->composition);
        uint64_t number = bits_fold((int64_t)sample->size - samples_predict_size(cursor, class));
        if (!cursor->size_known[class])
            bits_put_raw(writer, sample->size);
        else if (samples_size_coded(cursor, class))
            bits_put_code(writer, &cursor->pack->size_code, number);
        else
            bits_put_number(writer, &cursor->size_models[class], number);
        samples_learn_size(cursor, class, sample->size);
    }
}

// Ends a stream. Returns its length.
static size_t samples_end_stream(struct bits_writer *writer, size_t *start)
{
    bits_flush(writer);
    size_t length = writer->out->size - *start;
    *start = writer->out->size;
    return length;
}

static void samples_put_code(struct buf *head, const struct bits_code *code)
{
    buf_put_u8(head, code->low);
    for (int i = 0; i < BITS_TOKENS; i += 2)
        buf_put_u8(head, (uint8_t)(code->lengths[i] << 4 | code->lengths[i + 1]));
}

static void samples_put_head(
    struct buf *head, const struct sample_pack *pack, const size_t lengths[4])
{
    buf_put_u8(head, (uint8_t)pack->kind);
    buf_put_u8(head, pack->flags);
    samples_put_varint(head, pack->sample_count);
    samples_put_varint(head, pack->chunk_count);
    samples_put_varint(head, pack->unit);
    samples_put_varint(head, pack->period);
    samples_put_varint(head, bits_fold(pack->composition));
    samples_put_varint(head, pack->chunk_samples);
    buf_put_u8(head, pack->row_own);
    buf_put_u8(head, pack->row_other);
    buf_put_u8(head, pack->row_key);
    buf_put_u8(head, pack->size_shift);
    if (pack->flags & SAMPLES_CLOCK) {
        buf_put_u8(head, pack->clock.shift);
        samples_put_varint(head, bits_fold(pack->clock.error));
        samples_put_code(head, &pack->clock.code);
    }
    if (pack->flags & SAMPLES_SIZE_CODE) {
        buf_put_u8(head, pack->size_class);
        samples_put_code(head, &pack->size_code);
    }
    for (int i = 0; i < 4; i++)
        samples_put_varint(head, lengths[i]);
}

static void samples_encode_track(struct buf *head, struct buf *streams,
    const struct media_track *track, struct sample_pack *pack)
{
    struct bits_writer writer = {.out = streams};
    struct sample_cursor cursor = samples_cursor(pack);
    uint64_t *numbers = xcalloc(track->sample_count + 1, sizeof(*numbers));
    size_t start = streams->size, lengths[4];
    if (!(pack->flags & SAMPLES_ALL_KEYS))
        samples_put_keys(&writer, track, numbers);
    lengths[0] = samples_end_stream(&writer, &start);
    samples_put_durations(&writer, track, pack, numbers);
    lengths[1] = samples_end_stream(&writer, &start);
    if (!(pack->flags & SAMPLES_SAME_COMPOSITION))
        samples_put_compositions(&writer, track, &cursor, numbers);
    lengths[2] = samples_end_stream(&writer, &start);
    samples_choose_sizes(track, pack, numbers);
    cursor = samples_cursor(pack);
    samples_put_sizes(&writer, track, &cursor);
    lengths[3] = samples_end_stream(&writer, &start);
    samples_put_head(head, pack, lengths);
    free(numbers);
}

void sample_table_encode(const struct media_segment *segment, struct buf *out)
{
    struct sample_pack packs[MEDIA_TRACKS_MAX];
    struct samples_chunks *chunks;
    struct buf streams = BUF_INIT;
    buf_put_u8(out, SAMPLES_VERSION);
    buf_put_u8(out, (uint8_t)segment->track_count);
    for (size_t i = 0; i < segment->track_count; i++)
        packs[i] = samples_describe(&segment->tracks[i]);
    chunks = samples_chunks_new(segment, packs);
    for (size_t i = 0; i < segment->track_count; i++)
        samples_encode_track(out, &streams, &segment->tracks[i], &packs[i]);
    struct bits_writer writer = {.out = &streams};
    size_t start = streams.size;
    samples_put_chunks(&writer, chunks, segment->track_count, packs);
    samples_put_varint(out, samples_end_stream(&writer, &start));
    buf_put(out, streams.data, streams.size);
    samples_chunks_free(chunks);
    buf_fini(&streams);
}
