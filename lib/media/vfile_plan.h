// What a virtual file is made of, before any byte is laid out: which samples of which segments each
// track has, and when each is shown (spans); and what of which segments its media is (pieces). Only
// vfile*.c include this.
#pragma once

#include "lib/media/vfile.h"

// Bytes that stand in no file, one for each of a kind's sample entries; size 0: none. Of video the
// parameter sets that go before its key samples, of audio a frame of silence.
struct vfile_made {
    uint8_t *data;
    uint32_t size;
    uint32_t duration; // of the silent frame, ticks of the track
};

// Consecutive samples of one track, of one segment or of silence.
struct vfile_span {
    size_t piece;           // where their bytes are
    uint32_t first;         // in the segment's track
    uint32_t count;         // > 0
    uint32_t last_duration; // of the last one
    int32_t composition_shift;
    uint32_t entry;
    struct track_counts base; // of all spans of the track before this one
};

enum vfile_piece_kind {
    PIECE_SEGMENT,
    PIECE_SILENCE, // silent frames, one behind the other
    PIECE_STILL,   // one key sample of a segment
};

// A part of the media.
struct vfile_piece {
    enum vfile_piece_kind kind;
    bool sparse;    // only the video's chunks, else everything from file_offset to file_end
    bool prefixed;  // each of its key samples has made bytes before it
    uint32_t entry; // whose made bytes
    size_t segment; // index into the request's segments; of silence, the one that it goes with
    int64_t time;   // its beginning in the presentation, ticks of its track
    int64_t origin; // what is added to its run's clock to get the file's, ticks of the video track
    int64_t video_end;    // on its run's clock, where the next run may begin
    uint64_t file_offset; // of the first byte that is needed
    uint64_t file_end;    // behind the last one
    uint64_t size;        // bytes that it puts into the file
    uint64_t base;        // bytes of the pieces before it
    struct {
        uint32_t first;
        uint32_t count;
    } kept[MEDIA_TRACKS_MAX]; // of the segment's samples, from the first to the last needed
};

struct vfile_track_plan {
    uint32_t timescale; // 0: the file has no such track
    bool composition;
    struct vfile_span *spans;
    size_t span_count;
    size_t span_capacity;
    struct vfile_made *made; // of each of its sample entries
    size_t made_count;
    struct track_counts counts;
    struct mp4_edit edits[2];
    size_t edit_count;
    uint64_t duration; // movie time scale
    uint64_t dropped;  // ticks of what was left out because two segments overlap
};

struct vfile_plan {
    struct vfile_piece *pieces;
    size_t piece_count;
    size_t piece_capacity;
    uint32_t timescale; // of the movie
    uint64_t duration;
    struct vfile_track_plan tracks[MEDIA_TRACKS_MAX];
    int64_t shown_time; // of the first frame shown, on the file's clock
    int64_t start_us;
    int64_t end_us;
    int64_t lead_in_us;
    int64_t skipped_us;
};

// Returns 0, or -1 with *cause set. Release with vfile_plan_fini() in both cases.
int vfile_plan_make(struct vfile_plan *plan, const struct vfile_request *request,
    const struct vfile_source *source, char **cause);
void vfile_plan_fini(struct vfile_plan *plan);

// The sample table of one track of a segment, checked against what the segment said of it. NULL
// with *cause set on failure.
const struct sample_table_track *vfile_track_table(const struct vfile_source *source,
    size_t segment, enum media_kind kind, uint32_t sample_count, char **cause);

// The made bytes of a piece: of its silent frames each, or before each of its key samples.
const struct vfile_made *vfile_piece_made(
    const struct vfile_plan *plan, const struct vfile_piece *piece);
