// How far a camera's clock is from ours, told from the producer reference times (prft, ISO/IEC
// 14496-12, 8.16.5) that the recorder writes before each fragment. Pure.
//
// After the camera's first RTCP sender report such a time is the camera's own at the capture of the
// fragment's first frame; without reports it is our clock when the fragment was written, a fragment
// later. Nothing in the box tells which. But where a file ends with its last fragment, a time of
// ours is the time of the file's last write. So only a time that is clearly another one is the
// camera's, and only two segments that agree are believed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// The reference time of a segment's last fragment.
struct skew_sight {
    uint64_t ntp;       // as the box has it; 0: there is none
    int64_t shown_us;   // UTC by our clock when the frame that it belongs to was captured
    int64_t written_us; // last write to the file, with which the fragment was complete
};

// Reads a sight. Returns false where it holds no time of the camera's, or that can not be told.
bool skew_read(const struct skew_sight *sight, int64_t *skew_us);

// What a stream's segments say, one after the other; zeroed before the first.
struct skew {
    bool has_last;
    bool believed;
    int64_t us; // of the last segment: the camera's clock minus ours
    int64_t seen_us;
};

// Takes in a segment: `skew_us` where it told one, seen at `now_us` (any clock).
void skew_add(struct skew *skew, bool has_skew, int64_t skew_us, int64_t now_us);

// The skew as it can be published at `now_us`. Returns false when there is none that is believed
// and of late.
bool skew_get(const struct skew *skew, int64_t now_us, int64_t *skew_us);
