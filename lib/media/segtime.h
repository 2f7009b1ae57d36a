// Where a segment stands in UTC: the one pure function that gives it, for the indexer that commits
// a segment and for the readers of segments that are open or not yet committed.
//
// Within a run the media clock is continuous. An observation is a file's birth time against the
// media time at which the file begins; the run's anchor is the least delayed observation (least
// arrival − media). The first file of a run is born late, because the recorder probes first, so it
// is no observation: its start is derived from the second file's birth, or from its own last write
// when it stays alone. What is committed never moves; a better anchor is slewed in by at most 500
// ppm of each segment's media duration.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// What is carried from segment to segment of one run; zeroed before the first.
struct segtime {
    bool anchored;
    int64_t anchor_us; // UTC at media time zero
    bool placed;
    int64_t next_start_us; // UTC where the last placed segment ends
    int64_t next_media_us; // media time of that moment
};

struct segtime_segment {
    uint32_t number;
    int64_t media_start_us; // on the run's media clock
    int64_t media_duration_us;
    int64_t birth_us;      // of its file; 0 when not known
    int64_t next_birth_us; // of the file numbered one higher; 0 when there is none yet
    int64_t written_us;    // last write to its file (before sealing); 0 when not known
    int64_t latency_us;    // of the camera; subtracted from every arrival
};

// Places the next segment of a run, in order of number. `alone` says that no successor will come
// (the run has ended), or that the caller wants an estimate now. Returns false, with nothing
// changed, when the start must wait for the successor's birth. Segments of a run never overlap:
// start ≥ the last one's end. Media missing in between moves the start on, but not beyond a minute
// after the file's birth: a jump of the camera's clock is not followed.
bool segtime_place(struct segtime *time, const struct segtime_segment *segment, bool alone,
    int64_t *start_us, int64_t *end_us);
