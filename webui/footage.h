// What footage of a stream there is in a range: the catalog's rows, and the segments in the cache
// that the catalog does not have yet, merged by identity.
#pragma once

#include "lib/media/portion.h"
#include "lib/media/vfile.h"
#include "webui/recent.h"
#include "webui/worker.h"

enum footage_state {
    FOOTAGE_OPEN,   // the recorder still writes it
    FOOTAGE_CLOSED, // not committed yet
    FOOTAGE_SEALED, // in the catalog
};

struct footage_segment {
    int64_t run;
    uint32_t number;
    enum footage_state state;
    int64_t start_us;
    int64_t end_us;
    uint64_t size_bytes;
    uint64_t media_offset;
    uint64_t media_end;
    struct track_summary tracks[MEDIA_TRACKS_MAX]; // video, audio; counts.samples 0: none
    uint32_t codecs[MEDIA_TRACKS_MAX];             // 1-based, into footage's codecs; 0: none
    int64_t volume_id;                             // of a sealed one
    char *key;                                     // in its volume
    const struct recent *recent;                   // of one that is not sealed
    _Atomic uint64_t stamp; // of a sealed one's file when it was opened first; 0: not yet
};

struct footage {
    int64_t stream_id; // 0: the catalog does not know the stream yet
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    char *cache;
    struct catalog_volume *volumes;
    size_t volume_count;
    struct footage_segment *segments; // ascending by start
    size_t count;
    size_t capacity;
    struct catalog_codec *codecs;
    size_t codec_count;
    size_t codec_capacity;
};

struct footage_query {
    const char *camera;
    const char *stream;
    int64_t start_us;
    int64_t end_us;
    int64_t after_us; // only those that start later; INT64_MIN: all
    size_t limit;     // 0: all
    bool uncommitted; // only those that the catalog does not have yet
    bool predecessor; // also the one that the first one continues, where frames may refer to it
};

// CATALOG_NONE: there is no such stream. `footage` needs footage_fini() after CATALOG_OK only;
// *cause is set for CATALOG_BUSY and CATALOG_ERROR.
enum catalog_status footage_load(struct worker *worker, const struct footage_query *query,
    struct footage *footage, char **cause);
void footage_fini(struct footage *footage);

// The segment of that identity alone, wherever it is by now. CATALOG_NONE: there is none.
enum catalog_status footage_load_one(
    struct worker *worker, const struct segment_id *id, struct footage *footage, char **cause);

// The identity of a segment, "CAMERA/STREAM/RUN-NNNNNN".
void footage_id(const struct footage *footage, const struct footage_segment *segment,
    char text[SEGMENT_TEXT_SIZE]);

// Bytes of memory that the segments hold.
size_t footage_memory(const struct footage *footage);

// footage_file.c: the bytes of a segment.

// Opens a segment's file wherever it stands by now. A filed one must be the file of its row, by its
// size, and the same that it was when it was opened before. Returns the descriptor, or -1 with
// *cause set.
int footage_open(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, char **cause);

// A segment's sample table, valid until the next call. NULL with *cause set on failure.
const struct sample_table *footage_table(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, char **cause);

// A short look at a segment's video, at its table, which may not have been checked: `look` gets
// `arg` and returns false where the table contradicts itself. It is not called when there is no
// video. Returns 0, or -1 with *cause set.
typedef bool (*footage_look_fn)(void *arg, const struct sample_table_track *video);
int footage_look(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, footage_look_fn look, void *arg, char **cause);

// Divides a segment's video into portions; its table is looked at for this alone and not kept.
// Returns 0, or -1 with *cause set.
int footage_portions(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, struct portions *portions, char **cause);
