// What is remembered of one stream that is followed: where its fragments of the last half minute
// lie, and the bytes of its last group of pictures, with which whoever joins begins at once. Pure;
// the caller locks.
#pragma once

#include "webui/live_fragment.h"

enum {
    LIVE_HISTORY_S = 40,
    LIVE_HISTORY_PARTS_MAX = 1024,
    LIVE_GROUP_SIZE_MAX = 32 * 1024 * 1024, // bytes; a larger group is not kept
};

struct live_history {
    struct live_part parts[LIVE_HISTORY_PARTS_MAX]; // a ring
    size_t first;
    size_t count;
    struct live_fragment **group; // the last key fragment and what followed, without a gap
    size_t group_count;
    size_t group_capacity;
    size_t group_bytes;
    uint64_t serial;     // of the last fragment; 0: none yet
    uint64_t continuity; // of the last fragment
    int64_t end_us;      // where its presentation ends
    bool is_broken;      // something was lost since
};

void live_history_init(struct live_history *history);
void live_history_fini(struct live_history *history);

// Something between the last fragment and the next is missing.
void live_history_break(struct live_history *history);

// Gives a part that follows on the last one its serial and continuity. Time does not run on where
// another run begins, a file or fragment is missing, or it steps back by more than
// LIVE_STEP_BACK_US or on by more than LIVE_STEP_ON_US.
#define LIVE_STEP_BACK_US INT64_C(500000)
#define LIVE_STEP_ON_US INT64_C(5000000)
void live_history_place(struct live_history *history, struct live_part *part);

// Remembers a part that was placed; takes references of its own.
void live_history_add(struct live_history *history, const struct live_part *part);

// Keeps the fragment of the part that was added last, if it belongs to the last group of pictures.
void live_history_keep(struct live_history *history, struct live_fragment *fragment);

// The part of that index, from 0, the oldest.
const struct live_part *live_history_part(const struct live_history *history, size_t index);

// The last part, or NULL.
const struct live_part *live_history_last(const struct live_history *history);
