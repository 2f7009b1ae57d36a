// Writes ISO BMFF: the boxes that every file of ours has, the trailing moov of a sealed segment,
// and the parts from which a virtual file's moov is put together (heads with known sizes, table
// bodies span by span).
#pragma once

#include "lib/core/buf.h"
#include "lib/media/mp4_read.h"
#include "lib/media/samples.h"

// Opens a box and returns the token with which mp4_box_end() closes it and writes its size.
size_t mp4_box_begin(struct buf *buf, const char type[4]);
size_t mp4_full_box_begin(struct buf *buf, const char type[4], uint8_t version, uint32_t flags);
void mp4_box_end(struct buf *buf, size_t token);

struct mp4_edit {
    uint64_t duration;  // movie time scale
    int64_t media_time; // track time scale; -1 is an empty edit
};

struct mp4_entry {
    const uint8_t *data; // a whole sample entry box
    size_t size;
};

// One track of a file to be written. Times fit 64 bits: version 1 boxes are used where needed
// (8.2.2, 8.3.2, 8.4.2).
struct mp4_track {
    uint32_t id;
    enum media_kind kind;
    uint32_t timescale;
    uint64_t duration; // presentation, movie time scale
    uint32_t width;
    uint32_t height;
    const struct mp4_edit *edits;
    size_t edit_count; // 0: no edts
    const struct mp4_entry *entries;
    size_t entry_count;
    bool composition;           // write a ctts (version 1)
    struct track_counts counts; // of the whole track
};

enum mp4_table {
    MP4_STTS,
    MP4_CTTS,
    MP4_STSS,
    MP4_STSZ,
    MP4_STSC,
    MP4_CO64,
    MP4_TABLE_COUNT,
};

void mp4_put_ftyp(struct buf *buf);

// creation_us: UTC; duration: in `timescale`.
void mp4_put_mvhd(struct buf *buf, int64_t creation_us, uint32_t timescale, uint64_t duration,
    uint32_t next_track_id);

// The size of a whole trak, and its beginning: everything up to and with stsd, the sizes counting
// the tables that must follow in the order of enum mp4_table (ctts only where `composition`, stss
// only where not every sample is a sync sample).
uint64_t mp4_track_size(const struct mp4_track *track);
void mp4_put_track_head(struct buf *buf, const struct mp4_track *track, int64_t creation_us);

// Size of one whole table with its header: 0 for a table that this track does not have. Size of the
// bodies of `counts`.
uint64_t mp4_table_size(const struct mp4_track *track, enum mp4_table table);
uint64_t mp4_table_body_size(
    const struct mp4_track *track, const struct track_counts *counts, enum mp4_table table);
void mp4_put_table_head(struct buf *buf, const struct mp4_track *track, enum mp4_table table);

// Consecutive samples of one segment's track as they go into a file.
struct mp4_span {
    const struct sample_table_track *samples;
    uint32_t first;            // index in the segment's track
    uint32_t count;            // > 0
    uint32_t last_duration;    // the last sample's duration in the file
    int32_t composition_shift; // added to every composition offset
    uint32_t entry;            // 1-based index into stsd
    uint32_t sample_base;      // samples of the track before this span
    uint32_t chunk_base;       // chunks of the track before this span
    int64_t offset_shift;      // added to a chunk's place in the segment file
    uint32_t key_prefix;       // bytes that each key sample has more than in the segment file
};

// Counts of a span, walked: for whole segments the catalog's row says the same. `duration` counts
// last_duration.
void mp4_span_counts(const struct mp4_span *span, struct track_counts *counts);

// Appends the body of one table for one span; bodies of consecutive spans simply follow each other.
void mp4_put_table_body(struct buf *buf, const struct mp4_span *span, enum mp4_table table);

// The trailing moov of a sealed segment: times rebased to zero, edit lists that keep audio and
// video in step, the tags. The same segment and tags give the same bytes, always.
void mp4_put_sealed_moov(
    struct buf *buf, const struct media_segment *segment, const struct mp4_tags *tags);
