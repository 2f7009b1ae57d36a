// The packed sample table: where every frame of a segment lies, how long it lasts and what it is,
// in about two bytes a frame. This is what frames-DAY.db stores. Its format is described in
// docs/architecture.md and has a version in its first byte.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/media.h"

// A table opened for reading: it points into the bytes that it was opened on and owns nothing.
struct sample_table {
    uint32_t track_count;
    struct sample_table_track {
        enum media_kind kind;
        uint32_t sample_count;
        uint32_t chunk_count;
        const uint8_t *chunks;  // packed
        const uint8_t *samples; // packed
        const uint8_t *end;
    } tracks[MEDIA_TRACKS_MAX];
};

// One sample while iterating, with its place in time.
struct sample {
    uint32_t index;       // in its track
    uint32_t chunk;       // its chunk's index in the track
    bool chunk_start;     // first of its chunk
    uint64_t decode_time; // since the first sample of the track, ticks
    uint64_t offset;
    uint32_t size;
    uint32_t duration;
    int32_t composition;
    bool key;
};

struct sample_iter {
    const struct sample_table_track *track;
    struct sample current;
    uint32_t chunk_left;
    const uint8_t *chunk_next;
    const uint8_t *sample_next;
    int64_t state[6]; // predictions, the codec's own
};

// Appends the packed form of the segment's tables.
void sample_table_encode(const struct media_segment *segment, struct buf *out);

// Opens packed bytes, checking all of them, so that iterating can not fail afterwards. Returns 0,
// or -1 with *cause set (an unknown version, a truncated or contradictory table).
int sample_table_open(struct sample_table *table, const uint8_t *data, size_t size, char **cause);

// The track of that kind, or NULL.
const struct sample_table_track *sample_table_track(
    const struct sample_table *table, enum media_kind kind);

void sample_iter_init(struct sample_iter *iter, const struct sample_table_track *track);

// The next sample in decode order, or NULL after the last; valid until the next call.
const struct sample *sample_iter_next(struct sample_iter *iter);
