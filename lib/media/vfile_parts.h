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

// The last piece that begins at or before `offset`, which counts from the media's beginning.
size_t vfile_find_piece(const struct vfile *file, uint64_t offset);

// The same of a track's spans; `offset` counts from the beginning of the table's body.
size_t vfile_find_span(const struct vfile *file, const struct vfile_part *part, uint64_t offset);

// vfile_tables.c: appends the body of a table of one of its track's spans, as many bytes as were
// announced. Returns 0, or -1 with *cause set.
int vfile_put_table(const struct vfile *file, const struct vfile_source *source,
    const struct vfile_part *part, size_t index, struct buf *out, char **cause);

// Consecutive bytes of a piece that are not simply those of its file from file_offset on.
struct vfile_extent {
    uint64_t base;   // from the piece's beginning
    uint64_t offset; // in the segment file; VFILE_MADE: made bytes
    uint64_t size;
};

#define VFILE_MADE UINT64_MAX

struct vfile_extents {
    struct vfile_extent *items;
    size_t count;
    size_t capacity;
    size_t piece; // whose they are, when there are any
};

// vfile_extents.c: what a piece, sparse or prefixed, is made of, in order; replaces what *extents
// holds. Returns 0, or -1 with *cause set.
int vfile_extents_load(struct vfile_extents *extents, const struct vfile *file,
    const struct vfile_source *source, size_t index, char **cause);
void vfile_extents_fini(struct vfile_extents *extents);

// The extent that holds the byte `offset` of the piece.
const struct vfile_extent *vfile_extents_find(const struct vfile_extents *extents, uint64_t offset);
