// What encoder and decoder of the packed sample table agree on: the layout's constants and how the
// next value is predicted. Private to samples*.c.
#pragma once

#include "lib/media/samples.h"

enum {
    SAMPLES_VERSION = 2,

    SAMPLES_ALL_KEYS = 1,         // every sample is a sync sample: no stream of keys
    SAMPLES_SAME_COMPOSITION = 2, // every sample has the same offset: no stream of compositions
    SAMPLES_PARAMETER_SETS = 4,   // every key sample carries its parameter sets
    SAMPLES_CLOCK = 8,            // durations by a steady clock and a code of their own
    SAMPLES_SIZE_CODE = 16,       // the sizes of one class have a code of their own
    SAMPLES_FLAGS = 31,
    SAMPLES_SHIFT_MAX = 32,

    SAMPLES_CLASS_KEY = 0,
    SAMPLES_CLASS_LATE = 1, // shown later than the mean: in a stream with B-frames, the others
    SAMPLES_CLASS_EARLY = 2,
};

// Durations are predicted as a clock would that runs at the mean period: `phase` is by how much the
// last sample was early, in 65536ths, so that jitter costs once, not twice as in differences of
// durations. The clock of most tracks is corrected by each sample a little; that of a track whose
// jitter is worth a code of its own runs as the encoder has set it.
static inline int64_t samples_predict_duration(const struct sample_cursor *cursor)
{
    return (cursor->period + cursor->phase + 32768) >> 16;
}

static inline void samples_learn_duration(struct sample_cursor *cursor, int64_t duration)
{
    int64_t error = duration * 65536 - (cursor->period + cursor->phase);
    if (error > cursor->period / 2 || error < -cursor->period / 2) {
        cursor->phase = 0; // a gap, no jitter: the clock starts again from here
        return;
    }
    cursor->phase = -error;
    if (!(cursor->pack->flags & SAMPLES_CLOCK)) {
        cursor->phase += error >> 4;
        cursor->period += error >> 8;
    } else if (cursor->pack->clock.shift > 0) {
        cursor->phase += error >> cursor->pack->clock.shift;
    }
}

// The place of a composition offset among the recent ones, which it then leads; SAMPLE_RECENT where
// it is not among them.
static inline unsigned samples_rank(struct sample_cursor *cursor, int32_t composition)
{
    unsigned rank = 0;
    while (rank < SAMPLE_RECENT && cursor->recent[rank] != composition)
        rank++;
    for (unsigned i = rank < SAMPLE_RECENT ? rank : SAMPLE_RECENT - 1; i > 0; i--)
        cursor->recent[i] = cursor->recent[i - 1];
    cursor->recent[0] = composition;
    return rank;
}

// The same for the gaps between chunks.
static inline unsigned samples_gap_rank(int64_t recent[SAMPLE_GAPS], int64_t gap)
{
    unsigned rank = 0;
    while (rank < SAMPLE_GAPS && recent[rank] != gap)
        rank++;
    for (unsigned i = rank < SAMPLE_GAPS ? rank : SAMPLE_GAPS - 1; i > 0; i--)
        recent[i] = recent[i - 1];
    recent[0] = gap;
    return rank;
}

static inline bool samples_size_coded(const struct sample_cursor *cursor, unsigned class)
{
    return cursor->pack->flags & SAMPLES_SIZE_CODE && cursor->pack->size_class == class;
}

// To which class a sample belongs whose size is to be predicted from the last ones of its class.
static inline unsigned samples_class(struct sample_cursor *cursor, bool key, int32_t composition)
{
    int64_t scaled = (int64_t)composition * 16;
    if (!cursor->composition_known)
        cursor->composition_mean = scaled;
    cursor->composition_known = true;
    bool late = scaled > cursor->composition_mean;
    cursor->composition_mean += (scaled - cursor->composition_mean) >> 4;
    return key ? SAMPLES_CLASS_KEY : late ? SAMPLES_CLASS_LATE : SAMPLES_CLASS_EARLY;
}

static inline int64_t samples_predict_size(const struct sample_cursor *cursor, unsigned class)
{
    return (cursor->size_predictions[class] + 8) >> 4;
}

static inline void samples_learn_size(struct sample_cursor *cursor, unsigned class, uint32_t size)
{
    int64_t scaled = (int64_t)size * 16;
    int64_t *prediction = &cursor->size_predictions[class];
    if (!cursor->size_known[class]) {
        cursor->size_known[class] = true;
        cursor->size_models[class].mean = (uint64_t)size * 32; // an eighth
        *prediction = scaled;
        return;
    }
    *prediction += (scaled - *prediction) >> cursor->pack->size_shift;
}
