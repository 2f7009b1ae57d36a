// Where a segment stands in UTC: the one pure function that gives it, for the indexer that commits
// a segment and for the readers of segments that are open or not yet committed.
//
// Within a run the media clock is continuous. An observation is a file's birth time, when its first
// frame arrived, against the media time at which the file begins. The first file of a run is born
// late, because the recorder probes first, so it is no observation: its start is derived from the
// second file's birth, or from its own last write when it stays alone.
//
// The anchor, UTC at media time zero, follows the least delayed observations: at once to an earlier
// one, by at most 250 ppm of the time between to a later one, so that a camera's slow clock is
// followed too and a late birth moves nothing to speak of. A segment's wall duration is its media
// duration, bent by at most 500 ppm toward the anchor. What is placed never moves.
//
// An observation more than a second early, or late in three consecutive segments, or as far off as
// the media clock has jumped, is a step: a new epoch of the run begins, with an anchor of its own.
// Inside an epoch no segment overlaps another. Two epochs overlap only where the computer's clock
// was set back by more than a segment: that time was recorded twice.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/media/media.h"

// Why an epoch began, as far as it can be told.
#define SEGTIME_STEPS(X)                                                                           \
    X(NONE, "")                                                                                    \
    X(CLOCK_STEP, "clock_step")   /* the computer's clock was set */                               \
    X(CAMERA_JUMP, "camera_jump") /* the camera's media clock jumped */                            \
    X(DELAY, "delay")             /* for good, frames come some seconds later than before */

enum segtime_step {
#define SEGTIME_STEP_ENUM(name, text) SEGTIME_##name,
    SEGTIME_STEPS(SEGTIME_STEP_ENUM)
#undef SEGTIME_STEP_ENUM
    SEGTIME_STEP_COUNT,
};

// The word for it.
const char *segtime_step_name(enum segtime_step step);

// What is carried from segment to segment of one run; zeroed before the first.
struct segtime {
    bool anchored;
    int64_t anchor_us;     // UTC at media time zero
    uint32_t observations; // how many have confirmed the anchor, as far as that matters
    uint32_t late;         // how many in a row were more than a second late
    int64_t late_us;       // the anchor that the least delayed of these would give
    bool placed;
    int64_t start_us;            // of the last placed segment
    int64_t next_start_us;       // UTC where it ends
    int64_t next_media_us;       // media time of that moment
    int64_t jump_us;             // of the media clock within it
    bool next_seen;              // its successor's arrival was taken in already,
    enum segtime_step next_step; // and is this step
    enum segtime_step step;      // with which the last placed segment began an epoch
    int64_t step_us;             // how far the anchor moved then
};

struct segtime_segment {
    uint32_t number;
    int64_t media_start_us; // on the run's media clock
    int64_t media_duration_us;
    int64_t media_jump_us; // segtime_jump_us()
    int64_t birth_us;      // of its file; 0 when not known
    int64_t next_birth_us; // of the file numbered one higher; 0 when there is none yet
    int64_t written_us;    // last write to its file (before sealing); 0 when not known
    int64_t latency_us;    // of the camera; subtracted from every arrival
};

// Places the next segment of a run, in order of number. `alone` says that no successor will come
// (the run has ended), or that the caller wants an estimate now. Returns false, with nothing
// changed, when the start must wait for the successor's birth. time->step tells whether the segment
// begins an epoch.
bool segtime_place(struct segtime *time, const struct segtime_segment *segment, bool alone,
    int64_t *start_us, int64_t *end_us);

// How far a segment's media clock has jumped ahead (one sample that lasts seconds longer than the
// others) or back (samples that were squeezed to a tick each): what tells a jump of the camera's
// clock from a step of ours.
int64_t segtime_jump_us(const struct media_segment *segment);
