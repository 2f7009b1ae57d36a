// The packed sample table: where every frame of a segment lies, how long it lasts and what it is,
// in about two bytes a frame. This is what frames-DAY.db stores. Its format is described in
// samples.c and has a version in its first byte.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/bits.h"
#include "lib/media/media.h"

struct sample_stream {
    const uint8_t *data;
    size_t size;
};

// What is packed of one track; the numbers in its streams are samples.c's own.
struct sample_pack {
    enum media_kind kind;
    uint32_t sample_count;
    uint32_t chunk_count;
    uint8_t flags;
    uint32_t unit;       // every duration is a multiple of it, ticks
    uint64_t period;     // the mean duration, in 65536ths of a unit
    int32_t composition; // of every sample, where all have the same
    struct {             // of a jittering track: how its time stamps lie about a steady clock
        struct bits_code code;
        int64_t error; // of the first, in 65536ths of a unit
        uint8_t shift; // how fast the clock follows what it sees; 0: not at all
    } clock;
    uint8_t size_shift;         // how fast the mean of sizes follows: by a half, a quarter, …
    uint8_t size_class;         // the class of samples whose sizes have a code
    struct bits_code size_code; // of their own
    uint32_t chunk_samples;     // that most chunks have
    uint8_t row_own;            // what each of its samples adds to the gap before a chunk
    uint8_t row_other;          // and each sample of the other track's chunk behind it
    uint8_t row_key;            // and a key sample that is its first
    struct sample_stream keys, durations, compositions, sizes;
};

// A table opened for reading: it points into the bytes that it was opened on and owns nothing.
struct sample_table {
    uint32_t track_count;
    struct sample_table_track {
        enum media_kind kind;
        uint32_t sample_count;
        uint32_t chunk_count;
        bool parameter_sets; // every key sample carries its parameter sets
        uint32_t own;        // of the packs, this track's
        uint32_t packs; // as many as there are tracks: a chunk's place follows from all before it
        struct sample_pack pack[MEDIA_TRACKS_MAX];
        struct sample_stream chunks; // of all tracks, in file order
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

// What an iteration is to fill in; leaving parts out makes it faster.
enum sample_parts {
    SAMPLE_KEYS = 1,         // key
    SAMPLE_DURATIONS = 2,    // duration, decode_time
    SAMPLE_COMPOSITIONS = 4, // composition
    SAMPLE_SIZES = 8,        // size
    SAMPLE_CHUNKS = 16,      // chunk, chunk_start
    SAMPLE_OFFSETS = 32,     // offset
    SAMPLE_ALL = 63,
};

enum {
    SAMPLE_RECENT = 8, // composition offsets that are remembered
    SAMPLE_CLASSES = 3,
    SAMPLE_GAPS = 4, // gaps between chunks that are remembered
};

// Where one track's streams are read, and what is predicted of them.
struct sample_cursor {
    const struct sample_pack *pack;
    bool failed;
    struct bits_reader keys, durations, compositions, sizes;
    struct bits_model key_model, duration_model, rank_model, composition_model;
    uint64_t key_gap;
    uint64_t key_left;
    int64_t period;
    int64_t phase;
    int32_t recent[SAMPLE_RECENT];
    int64_t composition_mean;
    bool composition_known;
    struct bits_model size_models[SAMPLE_CLASSES];
    int64_t size_predictions[SAMPLE_CLASSES];
    bool size_known[SAMPLE_CLASSES];
};

struct sample_iter {
    const struct sample_table_track *track;
    struct sample current;
    unsigned parts;
    struct sample_cursor cursors[MEDIA_TRACKS_MAX];
    struct bits_reader chunks;
    struct bits_model turn_model;
    struct sample_gaps {
        struct bits_model counts, ranks, changes;
        int64_t recent[SAMPLE_GAPS];
    } gaps[MEDIA_TRACKS_MAX];
    uint64_t chunks_left; // of all tracks, whose heads were not read yet
    uint32_t turn;        // the track that is expected to have the chunk after the next
    uint32_t next_track;  // of the next chunk, whose head was read
    uint32_t next_count;  // its samples; 0: there is none
    uint32_t chunk_left;  // samples of the open chunk
    uint64_t position;    // where the next sample or chunk is expected
    bool failed;
};

// Appends the packed form of the segment's tables.
void sample_table_encode(const struct media_segment *segment, struct buf *out);

// Opens packed bytes, checking all of them, so that iterating can not fail afterwards. Returns 0,
// or -1 with *cause set (an unknown version, a truncated or contradictory table).
int sample_table_open(struct sample_table *table, const uint8_t *data, size_t size, char **cause);

// The same without looking at the samples, for a short look at them: whoever iterates asks
// sample_iter_failed() afterwards.
int sample_table_peek(struct sample_table *table, const uint8_t *data, size_t size, char **cause);

// The track of that kind, or NULL.
const struct sample_table_track *sample_table_track(
    const struct sample_table *table, enum media_kind kind);

// Begins an iteration; the track must stay where it is meanwhile.
void sample_iter_init(struct sample_iter *iter, const struct sample_table_track *track);

// The same over some parts of each sample only (a set of enum sample_parts); the other fields are
// not filled.
void sample_iter_init_parts(
    struct sample_iter *iter, const struct sample_table_track *track, unsigned parts);

// The next sample in decode order, or NULL after the last; valid until the next call.
const struct sample *sample_iter_next(struct sample_iter *iter);

// Whether what was iterated over contradicts itself; never for a table that was checked.
bool sample_iter_failed(const struct sample_iter *iter);
