// Sealing: turns a closed segment of fragments into an ordinary, seekable MP4 without moving its
// media, in an order of writes that survives a crash between any two of them; and recognises and
// mends what such a crash left.
//
//   a complete moov behind the last whole sample → the old moov's first 16 bytes become the header
//   of one mdat that spans everything up to the new moov → one fdatasync
//
// A file that is torn, or whose sealing was interrupted, is first cut back to its last whole sample
// and synced.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/mp4_read.h"

enum {
    SEAL_HEADER_SIZE = 16,
};

enum seal_state {
    SEAL_OPEN,        // as the recorder left it
    SEAL_INTERRUPTED, // an earlier life began; nothing of it can be trusted
    SEAL_WRITTEN,     // the trailing moov is whole, the header is not overwritten yet (or torn)
    SEAL_DONE,
};

// How far sealing of a segment had come. A trailing moov counts only when it equals, byte for byte,
// the one that its own tags and the fragments give; `tags` are then filled (SEAL_WRITTEN and
// SEAL_DONE), and the segment has got the mended times that they tell.
enum seal_state seal_inspect(const struct mp4_source *source, struct media_segment *segment,
    const struct mp4_layout *layout, struct mp4_tags *tags);

// What is to be written.
struct seal_plan {
    struct mp4_layout layout;
    struct buf moov;
    uint64_t size; // of the sealed file
};

void seal_plan_init(struct seal_plan *plan, const struct media_segment *segment,
    const struct mp4_layout *layout, const struct mp4_tags *tags);
void seal_plan_fini(struct seal_plan *plan);

// Seals the file in place; `fd` is open for reading and writing. Returns 0, or -1 with *cause and
// errno set. *unsynced is set when it was a sync that failed: the system may have forgotten that
// bytes of the file are not on the disk, and would call a second sync a success.
int seal_in_place(int fd, const struct seal_plan *plan, bool *unsynced, char **cause);

// The sync alone, of a file that was found sealed.
int seal_sync(int fd, bool *unsynced, char **cause);

// Writes the sealed form of `from` into the empty file `to`, durably. Returns 0, or -1 with *cause
// and errno set.
int seal_copy(int from, int to, const struct seal_plan *plan, char **cause);
