// A virtual file as it is laid out: a short list of parts. Heads are made at once, table bodies
// when they are wanted, span by span; where a span's entries stand in a table follows from the
// counts of the spans before it, so no list of slices is kept. Only vfile*.c include this.
#pragma once

#include "lib/media/vfile_plan.h"

enum {
    VFILE_PARTS_MAX = 2 + MEDIA_TRACKS_MAX * (1 + 2 * MP4_TABLE_COUNT),
};

enum vfile_part_kind {
    VFILE_HEAD,  // bytes that stand in `heads`
    VFILE_TABLE, // the body of a table
    VFILE_MEDIA,
};

struct vfile_part {
    enum vfile_part_kind kind;
    uint64_t offset; // in the file
    uint64_t size;
    size_t head;          // where its bytes stand
    int track;            // of a table
    enum mp4_table table; // of a table
};

struct vfile {
    struct vfile_info info;
    struct vfile_plan plan;
    struct mp4_track tracks[MEDIA_TRACKS_MAX];
    struct buf heads;
    struct vfile_part parts[VFILE_PARTS_MAX];
    size_t part_count;
    uint64_t media_offset; // where the media part begins
    bool audio;
};

// The part that holds the byte `offset` of the file.
const struct vfile_part *vfile_find_part(const struct vfile *file, uint64_t offset);

// The last piece that begins at or before `offset`, which counts from the beginning of a table's
// body or of the media.
size_t vfile_find_piece(const struct vfile *file, const struct vfile_part *part, uint64_t offset);
