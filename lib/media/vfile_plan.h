// Which samples of which segments go into a virtual file, and when each is shown: the arithmetic of
// trimming and joining, before any byte is laid out. Only vfile*.c include this.
#pragma once

#include "lib/media/vfile.h"

// The consecutive samples of one track that come from one segment.
struct vfile_span {
    uint32_t first;
    uint32_t count; // 0: none
    uint32_t last_duration;
    int32_t composition_shift;
    uint32_t entry;
    struct track_counts base; // of all spans of the track before this one
};

// One segment's part of the file.
struct vfile_piece {
    size_t segment;       // index into the request's segments
    bool sparse;          // only the video's chunks, else everything from file_offset on
    uint64_t file_offset; // of the first byte that is needed
    uint64_t file_end;    // behind the last one
    uint64_t size;        // bytes that it puts into the file
    uint64_t base;        // bytes of the pieces before it
    struct vfile_span spans[MEDIA_TRACKS_MAX];
};

struct vfile_track_plan {
    uint32_t timescale; // 0: the file has no such track
    bool composition;
    struct track_counts counts;
    struct mp4_edit edits[2];
    size_t edit_count;
    uint64_t duration; // movie time scale
};

struct vfile_plan {
    struct vfile_piece *pieces;
    size_t piece_count;
    size_t piece_capacity;
    uint32_t timescale; // of the movie
    uint64_t duration;
    struct vfile_track_plan tracks[MEDIA_TRACKS_MAX];
    int64_t start_us;
    int64_t end_us;
    int64_t lead_in_us;
};

// Returns 0, or -1 with *cause set. Release with vfile_plan_fini() in both cases.
int vfile_plan_make(struct vfile_plan *plan, const struct vfile_request *request,
    const struct vfile_source *source, char **cause);
void vfile_plan_fini(struct vfile_plan *plan);

// The sample table of one track of a segment, checked against what the segment said of it. NULL
// with *cause set on failure.
const struct sample_table_track *vfile_track_table(const struct vfile_source *source,
    size_t segment, enum media_kind kind, uint32_t sample_count, char **cause);
