// Room that was made on a volume and that its file system does not show yet (xfs and btrfs report
// late; a snapshot never gives back). It counts as free for a minute, so that nothing is deleted
// twice for the same need. What has not appeared then is an alarm, and from there on only a few
// segments are tried at a time, in pauses that grow to an hour, until room moves again: an archive
// is never eaten for room that does not come. Pure: the caller brings the time.
#pragma once

#include "indexer/retention.h"

enum {
    CREDIT_ENTRIES_MAX = 16,
    CREDIT_TRIAL_FILES = 4, // deleted at once while deleting does not help
};

#define CREDIT_US INT64_C(60000000)       // how long what was freed counts
#define CREDIT_PAUSE_US INT64_C(60000000) // the first pause
#define CREDIT_PAUSE_MAX_US INT64_C(3600000000)

struct credit {
    struct {
        uint64_t freed;  // all that it was
        uint64_t hidden; // that has not appeared
        int64_t since_us;
    } entries[CREDIT_ENTRIES_MAX]; // oldest first
    size_t count;
    uint64_t available_bytes; // of the last look, 0 before the first
    uint64_t growth_bytes;    // what was written between the last two
    uint64_t missing_bytes;   // that never appeared; 0: deleting helps
    uint64_t moved_bytes;     // that have appeared since
    int64_t pause_us;         // between two trials
    int64_t resume_us;        // when the next one may be
};

// `freed_bytes` were unlinked, between two looks at the file system that `before_bytes` and
// `after_bytes` were available.
void credit_add(struct credit *credit, int64_t now_us, uint64_t freed_bytes, uint64_t before_bytes,
    uint64_t after_bytes);

// A new look: what has appeared since the last one is credited no more. Returns the bytes whose
// minute is over and that never appeared: the file system holds them back, or somebody has the
// files open, or somebody else took the room.
uint64_t credit_look(struct credit *credit, int64_t now_us, uint64_t available_bytes);

// How many segments may go for `min_free` now: SIZE_MAX while deleting helps.
size_t credit_allowance(const struct credit *credit, int64_t now_us);

// Segments were deleted for `min_free`: while deleting does not help, the next pause begins.
void credit_used(struct credit *credit, int64_t now_us);

// What is missing to `min_free` (its percentage holds for files too, where the file system limits
// them), the credit counted as free. As much as was written between the last two looks is kept free
// beyond it, a quarter of it at most, so that it holds until the next look.
struct retention_need credit_need(const struct credit *credit, const struct config_amount *min_free,
    const struct retention_space *space);
