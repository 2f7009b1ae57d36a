// A finished layout: a virtual file with the footage that it is made of, shared by the answers that
// read from it, and kept for a while, because players ask for many parts of one file.
#pragma once

#include "webui/disks.h"
#include "webui/footage.h"
#include "webui/holds.h"
#include "webui/reply.h"

// What a layout was asked for with.
struct layout_key {
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t start_us;
    int64_t end_us;
    bool audio;
    bool start_at_key;
    bool gaps_fail;
    uint32_t speed; // of a time-lapse; 0: it is none
    int codec;      // which one of playback.c's names; 0: any
};

struct layout {
    struct layout_key key;
    struct footage footage;
    struct vfile *file;
    char etag[REPLY_ETAG_SIZE];
    int64_t modified_s; // 0: it may still change
    int64_t checked_us; // monotonic, when the footage was looked at
};

// Takes footage and file; the caller has the one reference.
struct layout *layout_new(
    const struct layout_key *key, struct footage *footage, struct vfile *file);
void layout_retain(struct layout *layout);
void layout_release(struct layout *layout); // NULL is legal; in any thread

// The stream of its bytes; takes a reference of its own, and holds the footage while it is there.
// What it reads stands in the lanes of its disks.
struct reply_stream *layout_stream(struct layout *layout, struct holds *holds, struct disks *disks);

// How the file gets at tables and files, in an I/O thread. `arg` must outlive the result.
struct layout_access {
    struct worker *worker;
    const struct footage *footage;
};
struct vfile_source layout_source(struct layout_access *access);

// The layouts that are kept; any thread may ask.
struct layouts;

struct layouts *layouts_new(void);
void layouts_free(struct layouts *layouts);

// A kept layout that answers for this key: one that was made or checked a moment ago, or whose
// entity tag the client names in `if_range` (it reads on in the file that it has; its bytes never
// change). NULL when there is none, else a reference for the caller.
struct layout *layouts_find(
    struct layouts *layouts, const struct layout_key *key, const char *if_range);

// Keeps a layout, in place of an equal one.
void layouts_keep(struct layouts *layouts, struct layout *layout);
