// Segments that the catalog does not have yet, read from the files themselves, and kept as long as
// the files do not change.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/cache.h"
#include "lib/media/media.h"
#include "lib/media/samples.h"

// What a file held when it was read. Shared by whoever has a reference, in any thread, and never
// changed.
struct recent {
    struct segment_id id;
    bool is_first;      // of its run
    uint64_t size;      // of the file then
    int64_t written_us; // last write then
    uint64_t media_offset;
    uint64_t media_end;
    int64_t media_start_us; // on the run's clock
    int64_t media_duration_us;
    int64_t media_jump_us; // segtime_jump_us()
    struct recent_track {
        struct track_summary summary; // counts.samples 0: none
        uint8_t *entry;
        size_t entry_size;
    } tracks[MEDIA_TRACKS_MAX]; // video, audio
    struct buf packed;
};

void recent_release(const struct recent *recent);
void recent_retain(const struct recent *recent);

struct recents;

// Any thread may ask.
struct recents *recents_new(void);
void recents_free(struct recents *recents);

enum recent_status {
    RECENT_OK,
    RECENT_GONE,   // the file is no longer there
    RECENT_BROKEN, // or holds no sample yet
};

// Reads a file of the cache up to its last whole fragment. On RECENT_OK the caller has a reference;
// on RECENT_BROKEN *cause is set.
enum recent_status recents_get(struct recents *recents, const char *cache,
    const struct cache_file *file, const struct recent **recent, char **cause);

// Reads any segment file into a packed table. Returns 0, or -1 with *cause set.
int recent_read_table(int fd, struct buf *packed, char **cause);
