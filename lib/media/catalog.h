// The catalog: what footage there is and where, in SQLite. catalog.db holds narrow rows (from which
// every size is computed), frames-YYYY-MM-DD.db the packed sample tables of the segments that start
// on that UTC day.
//
// One writer (the indexer), many readers in other processes; a handle belongs to one thread. Rows
// cross this interface as plain structs, no statement outlives a call.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"
#include "lib/media/codec.h"
#include "lib/media/media.h"
#include "lib/media/mend.h"
#include "lib/media/segment_id.h"
#include "lib/media/segtime.h"

struct catalog;

enum catalog_status {
    CATALOG_OK = 0,
    CATALOG_NONE,     // there is no such row
    CATALOG_BUSY,     // a reader came while no writer lives or the writer starts: try again soon
    CATALOG_CONFLICT, // another one has that identity
    CATALOG_ERROR, // *cause says what and what to do (a string of the caller's); for this one only
};

// No segment lasts longer.
#define CATALOG_DURATION_US_MAX (INT64_C(24) * 3600 * 1000000)

// Opens the catalog in directory `database` for its one writer: makes or migrates it (with a backup
// before), refuses a newer one. Returns NULL with *cause set on failure.
struct catalog *catalog_open_writer(const char *database, char **cause);

// Opens it for reading, as another user too. CATALOG_BUSY where there is none yet.
enum catalog_status catalog_open_reader(
    const char *database, struct catalog **catalog, char **cause);
void catalog_close(struct catalog *catalog);

// Whether another catalog has taken the place of the one that is open, so that it must be opened
// anew.
bool catalog_replaced(struct catalog *catalog);

struct catalog_track {
    int64_t codec_id; // 0: the segment has no such track
    struct track_summary summary;
};

// One committed segment: the narrow row. One whose tracks are damaged comes back without any, so
// that its file can still be found and deleted.
struct catalog_segment {
    int64_t stream_id;
    int64_t start_us;
    int64_t end_us;
    int64_t run;
    uint32_t number;
    int64_t volume_id;
    uint64_t size_bytes;   // of the file
    uint64_t media_offset; // of the first and behind the last sample's byte in the file
    uint64_t media_end;
    int utc_offset_s; // of its name
    char *key;        // in its volume; on reading always filled, owned by the row
    struct catalog_track video;
    struct catalog_track audio;
};

void catalog_segment_fini(struct catalog_segment *segment);

struct catalog_segments {
    struct catalog_segment *rows;
    size_t count;
};

void catalog_segments_fini(struct catalog_segments *segments);

struct catalog_stream {
    int64_t id;
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t first_us; // 0 when it has no footage
    int64_t last_us;
    uint64_t bytes;
    uint64_t segments;
};

struct catalog_volume {
    int64_t id;
    char uuid[37];
    char *path;
};

struct catalog_codec {
    int64_t id;
    uint8_t *entry; // the sample entry box
    size_t entry_size;
    struct codec_info info;
};

void catalog_codec_fini(struct catalog_codec *codec);

struct catalog_run {
    int64_t stream_id;
    int64_t run;
    int64_t start_us;
    int64_t end_us; // 0 while it lives
    char reason[32];
    char detail[256];    // the recorder's last words
    struct segtime time; // state after its last committed segment
    struct mend mend;    // of its first seconds; decided with its first segment
};

// --- Reading (by both kinds of handle) ---

// All streams with their totals, ascending by camera and name. The array is the caller's (free()).
enum catalog_status catalog_streams(
    struct catalog *catalog, struct catalog_stream **streams, size_t *count, char **cause);
enum catalog_status catalog_stream_find(struct catalog *catalog, const char *camera,
    const char *stream, struct catalog_stream *found, char **cause);

// The segments of a stream that intersect [start_us, end_us), ascending by start, `limit` at most
// (0: all). `after_us`: only those that start later than this (a cursor), INT64_MIN for none.
enum catalog_status catalog_segments_in(struct catalog *catalog, int64_t stream_id,
    int64_t start_us, int64_t end_us, int64_t after_us, size_t limit,
    struct catalog_segments *segments, char **cause);

enum catalog_status catalog_segment_find(struct catalog *catalog, int64_t stream_id, int64_t run,
    uint32_t number, struct catalog_segment *segment, char **cause);

// Whether the segment of that identity has a row: CATALOG_OK or CATALOG_NONE.
enum catalog_status catalog_segment_known(
    struct catalog *catalog, int64_t stream_id, int64_t run, uint32_t number, char **cause);

// The packed sample table of a segment (samples.h), appended to `packed`.
enum catalog_status catalog_frames(struct catalog *catalog, const struct catalog_segment *segment,
    struct buf *packed, char **cause);

// The SHA-256 of the segment's file as it was filed. CATALOG_NONE: none is stored.
enum {
    CATALOG_HASH_SIZE = 32,
};
enum catalog_status catalog_hash(struct catalog *catalog, const struct catalog_segment *segment,
    uint8_t hash[CATALOG_HASH_SIZE], char **cause);

enum catalog_status catalog_codec_get(
    struct catalog *catalog, int64_t codec_id, struct catalog_codec *codec, char **cause);
enum catalog_status catalog_run_get(struct catalog *catalog, int64_t stream_id, int64_t run,
    struct catalog_run *found, char **cause);

// A run that has not ended, as far as the catalog knows.
struct catalog_open_run {
    int64_t stream_id;
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
    int64_t run;
    int64_t last_us; // where its footage ends; its start without any
};

// All of them, ascending by stream and run. The array is the caller's (free()).
enum catalog_status catalog_runs_open(
    struct catalog *catalog, struct catalog_open_run **runs, size_t *count, char **cause);

// All volumes; release each path and the array with free().
enum catalog_status catalog_volumes(
    struct catalog *catalog, struct catalog_volume **volumes, size_t *count, char **cause);

// --- Writing (the indexer only). Between begin and commit; a commit is durable. ---

enum catalog_status catalog_begin(struct catalog *catalog, char **cause);
enum catalog_status catalog_commit(struct catalog *catalog, char **cause);
void catalog_rollback(struct catalog *catalog);

enum catalog_status catalog_stream_add(
    struct catalog *catalog, const char *camera, const char *stream, int64_t *id, char **cause);
enum catalog_status catalog_volume_add(
    struct catalog *catalog, const char *uuid, const char *path, int64_t *id, char **cause);
enum catalog_status catalog_codec_add(
    struct catalog *catalog, const uint8_t *entry, size_t entry_size, int64_t *id, char **cause);
enum catalog_status catalog_run_put(
    struct catalog *catalog, const struct catalog_run *run, char **cause);

// Stores the packed table; to be called before catalog_segment_add(). catalog_commit() makes it
// durable before the rows.
enum catalog_status catalog_frames_put(struct catalog *catalog,
    const struct catalog_segment *segment, const void *packed, size_t packed_size, char **cause);

// Stores the hash of a segment whose table was just put.
enum catalog_status catalog_hash_put(struct catalog *catalog, const struct catalog_segment *segment,
    const uint8_t hash[CATALOG_HASH_SIZE], char **cause);

// Adds the row, its stream's totals and its hourly rollup. A start that the stream already has is
// moved on by 1 µs until it is free (segment->start_us says where it ended up); an identity that is
// there already: CATALOG_NONE, nothing written.
enum catalog_status catalog_segment_add(
    struct catalog *catalog, struct catalog_segment *segment, char **cause);

// Turns a row into garbage (totals and rollup go down): its file is to be unlinked, then
// catalog_garbage_done() called.
enum catalog_status catalog_segment_discard(struct catalog *catalog,
    const struct catalog_segment *segment, const char *reason, char **cause);

struct catalog_garbage {
    int64_t id;
    int64_t volume_id;
    char *key;
    uint64_t bytes;
};

enum catalog_status catalog_garbage_list(
    struct catalog *catalog, struct catalog_garbage **garbage, size_t *count, char **cause);
void catalog_garbage_free(struct catalog_garbage *garbage, size_t count);
// Whether that file is still to be unlinked: CATALOG_NONE when not.
enum catalog_status catalog_garbage_find(
    struct catalog *catalog, int64_t volume_id, const char *key, char **cause);
enum catalog_status catalog_garbage_done(struct catalog *catalog, int64_t id, char **cause);

// The oldest segments of a volume across all streams (for min_free), or of one stream that end
// before `before_us` (for ages), that start later than `after_us` (a cursor; INT64_MIN: all),
// `limit` at most, ascending by start.
enum catalog_status catalog_oldest_on_volume(struct catalog *catalog, int64_t volume_id,
    int64_t after_us, size_t limit, struct catalog_segments *segments, char **cause);
enum catalog_status catalog_oldest_of_stream(struct catalog *catalog, int64_t stream_id,
    int64_t before_us, int64_t after_us, size_t limit, struct catalog_segments *segments,
    char **cause);

// Forgets the runs of a stream that ended before `before_us` and have no segment.
enum catalog_status catalog_runs_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause);

// Unlinks the frames databases of days that have no row any more. Not while frames are put whose
// rows are still to come.
enum catalog_status catalog_frames_expire(struct catalog *catalog, char **cause);
