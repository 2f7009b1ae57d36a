// A segment as it stands in a volume: read back from its file alone into the row and the packed
// table that filing made of it. The file says itself what it is: its tags carry the identity, the
// node, and its place in time.
#pragma once

#include "indexer/seal.h"
#include "lib/core/buf.h"
#include "lib/media/catalog.h"

struct sealed {
    enum seal_state state; // SEAL_INTERRUPTED: damaged since, or never finished
    struct segment_id id;
    struct mp4_tags tags;
    struct mp4_layout layout;
    struct media_segment media;
    struct catalog_segment row; // without the catalog's ids
    struct buf packed;
    int64_t media_start_us; // on the run's media clock
    int64_t media_duration_us;
    int64_t jump_us; // segtime_jump_us()
};

// Reads the open file of `size` bytes. `key`, its name in the volume, goes into the row. Of a file
// that is damaged, what can be read counts, as long as the tags can. Returns 0, or -1 with *cause
// set: it is not a segment, or not a sealed one. Release with sealed_fini() after success.
int sealed_load(struct sealed *sealed, int fd, uint64_t size, const char *key, char **cause);
void sealed_fini(struct sealed *sealed);

// Releases the samples, which row and packed table can do without.
void sealed_forget_samples(struct sealed *sealed);

// Fills what of a row follows from the samples, and appends the packed table.
void sealed_summarize(const struct media_segment *media, const struct mp4_layout *layout,
    struct catalog_segment *row, struct buf *packed);

// Whether a segment may stand from start to end: times that the catalog's days and names can hold.
bool sealed_span_plausible(int64_t start_us, int64_t end_us);

// Puts row, table, codecs and stream into the catalog, and its run where the catalog does not know
// it. CATALOG_NONE: the catalog has a segment of that identity.
enum catalog_status sealed_commit(
    struct sealed *sealed, struct catalog *catalog, int64_t volume_id, char **cause);
