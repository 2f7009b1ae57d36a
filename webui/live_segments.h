// The fragments of a stream that is followed, put together to what a live playlist lists: parts,
// one for each fragment that has pictures, and segments that begin with a key frame. Pure; the
// caller locks.
//
// A segment ends where the next key frame is LIVE_SEGMENT_MIN_S or more from its begin, where
// another file begins, and where time does not run on; one without a key frame for
// LIVE_SEGMENT_MAX_S ends all the same. What has been told of a segment does not change, and
// numbers only grow: the first is the time in seconds, so they are greater than those of an earlier
// life of the program.
#pragma once

#include "webui/live_fragment.h"

enum {
    LIVE_SEGMENT_MIN_S = 3,
    LIVE_SEGMENT_MAX_S = 30,
    LIVE_SEGMENTS_WINDOW_S = 18, // that are listed at least; and three target durations
    LIVE_SEGMENTS_PARTS_MAX = 4096,
};

struct live_segment {
    uint64_t sequence;
    uint64_t first; // of its parts, counted from the first that ever was
    size_t count;   // of its parts
    int64_t duration_us;
    int64_t wall_us; // UTC of its begin
    bool is_complete;
    bool is_independent;      // begins with a key frame
    bool is_discontinuity;    // time, or what is needed to decode, is another than before
    uint64_t discontinuities; // up to it, itself included
    struct {
        int64_t run; // RUN-NNNNNN of the file whose init it needs: the first that had this one
        uint32_t number;
    } map;
};

// A part with what its arrival says: UTC of the run's media time 0.
struct live_segment_part {
    struct live_part part;
    int64_t zero_us;
};

struct live_segments {
    struct live_segment_part *parts;
    size_t part_count;
    size_t part_capacity;
    uint64_t part_base; // the number of parts[0]
    struct live_segment *items;
    size_t count;
    size_t capacity;
    size_t listed;    // index of the first that a playlist lists; those before it may still be read
    int64_t target_s; // no segment is longer, rounded; 0: there is none yet
    int64_t part_target_us; // no part is longer; a multiple of 0.1 s
};

void live_segments_fini(struct live_segments *segments);

// Adds the next fragment of the stream, which has its continuity, and was complete at `wall_us`
// (UTC); takes references of its own. One without pictures is passed over.
void live_segments_add(
    struct live_segments *segments, const struct live_part *part, int64_t wall_us);

// A segment's part, counted from 0.
const struct live_part *live_segments_part(
    const struct live_segments *segments, const struct live_segment *segment, size_t index);

// Whether a part, or with `part` < 0 a whole segment, is there, or a later one: what a playlist's
// reader waits for (RFC 8216bis, 6.2.5.2).
bool live_segments_has(const struct live_segments *segments, int64_t sequence, int64_t part);

// Whether that is further ahead than may be asked for.
bool live_segments_is_too_far(const struct live_segments *segments, int64_t sequence, int64_t part);

// The complete segment whose parts are from `first` to `last` of that file; the part of that index.
// NULL: there is none, or not any more.
const struct live_segment *live_segments_find(const struct live_segments *segments, int64_t run,
    uint32_t number, uint32_t first, uint32_t last);
const struct live_part *live_segments_find_part(
    const struct live_segments *segments, int64_t run, uint32_t number, uint32_t index);

// The init that is named so by a segment's map, or NULL.
struct live_init *live_segments_find_init(
    const struct live_segments *segments, int64_t run, uint32_t number);
