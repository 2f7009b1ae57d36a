// What a plan of retention is made of, read from the catalog a bounded piece at a time: the limits
// of each stream, what locks and events keep, the needs of the volumes, and the oldest segments as
// candidates. What was found to stay (because it is locked, or an event touches it) is not read
// again each time: a cursor stands behind it. Locks that go away move it back; a second look goes
// slowly through all that is kept, for footage that came late and events that were taken away.
#pragma once

#include "indexer/indexer.h"
#include "indexer/retention.h"
#include "lib/media/catalog_lock.h"

// What is known of a stream from one round to the next.
struct gathering_cursor {
    int64_t stream_id;
    int64_t locked_us; // every segment that starts up to here is locked
    int64_t judged_us; // every one that starts up to here is kept by an event or a lock
    int64_t again_us;  // how far the second look has come, which finds what came late
    int64_t next_us;   // monotonic: nothing is to be found before
    int64_t early_us;  // monotonic: when footage went that was promised, because of max_bytes
    uint64_t locked_segments;
    uint64_t locked_bytes;
    int64_t aged_to_us; // the round's: what was read, for the cursors to follow
    int64_t soft_to_us;
    int64_t again_to_us;
};

struct gathering {
    struct indexer *indexer;
    struct catalog_stream *streams; // of the last round
    size_t stream_count;
    struct gathering_cursor *cursors; // one for each
    struct catalog_lock *locks;
    size_t lock_count;
    int64_t locked_bytes_us;   // monotonic, when locked bytes were counted
    int64_t *volume_locked_us; // every segment of the volume that starts up to here is locked
    bool *volume_read;         // whether its oldest are among the round's
    size_t turn;               // the stream with which the next round begins
    size_t again;              // the stream at which the second look is

    // The round's.
    struct retention_stream *rules; // of each stream
    struct retention_volume *volumes;
    size_t volume_count;
    struct catalog_segment *rows; // ascending by start
    struct retention_candidate *candidates;
    size_t count;
    bool more; // there is more than one round's worth
};

void gathering_init(struct gathering *gathering, struct indexer *indexer);
void gathering_fini(struct gathering *gathering);

// Reads what a plan at `now_us` (the clock of ages) needs.
enum catalog_status gathering_read(
    struct gathering *gathering, int64_t now_us, int64_t monotonic_us, char **cause);

// After the plan: the cursors follow. Then the round's data can be cleared.
void gathering_follow(struct gathering *gathering);
void gathering_clear(struct gathering *gathering);

// The limits have changed: all is looked at again.
void gathering_restart(struct gathering *gathering);

// Looks again at what is locked, for what came there late.
void gathering_recheck_locked(struct gathering *gathering);
