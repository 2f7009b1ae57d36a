// Whether the clock in a run's frames runs as ours does. It may be set, may jump, and ffmpeg may
// then squeeze what comes into ticks for the rest of the run: only a new run mends that. A quartz
// that drifts, a network that stalls and catches up, and the stir of a run's first seconds are no
// jump. Pure and plain: callers pass monotonic time.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    MEDIACLOCK_VERDICTS = 3, // in an hour, at most: a camera's habit is not mended by new runs
};

struct mediaclock {
    int64_t first_us;     // when media time first advanced, 0 before
    int64_t last_us;      // when it last did
    int64_t media_us;     // the run's media time then
    int64_t offset_us;    // media time less ours, as far as it is accepted
    int64_t moved_us;     // by how much it is off that
    int64_t off_since_us; // since when it is off while data flows, 0: it is not
    int64_t off_moved_us; // moved_us at that time

    int64_t disorder_since_us; // when the row of warnings began
    int64_t disorder_us;       // the last one

    // What stays over runs.
    int64_t verdicts_us[MEDIACLOCK_VERDICTS]; // a ring
    unsigned verdict_count;
};

// A run begins.
void mediaclock_begin(struct mediaclock *clock);

// The media time of the run's output so far, 0 or less when it has none.
void mediaclock_progress(struct mediaclock *clock, int64_t media_us, int64_t now_us);

// ffmpeg has warned that the video's timestamps go backwards.
void mediaclock_disorder(struct mediaclock *clock, int64_t now_us);

// Forgets what is off by now: the loop itself was held up.
void mediaclock_forgive(struct mediaclock *clock, int64_t now_us);

// Whether the run should end. Then *words, the caller's, says why.
bool mediaclock_judge(struct mediaclock *clock, int64_t now_us, char **words);
