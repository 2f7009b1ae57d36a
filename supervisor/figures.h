// What a stream has done since the daemon began, over all its runs: totals that never fall, the
// time that is missing by reason, and how fast data comes now. Pure and plain: callers pass the
// time, and there is nothing to release.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/progress.h"
#include "supervisor/reason.h"

enum {
    FIGURES_SAMPLES = 11, // one a second: rates are those of the last ten seconds
};

struct figures {
    // Totals.
    int64_t frames;
    int64_t duplicated;
    int64_t dropped;
    int64_t bytes;
    int64_t restarts[REASON_COUNT]; // by the reason of the end before
    int64_t last_frame_utc_us;      // 0: there was none

    struct progress counted; // what the totals have of the run that goes on
    int64_t block_us;        // monotonic: when its progress was last heard of
    int64_t quiet_since_us;  // nothing was heard from here …
    int64_t quiet_until_us;  // … to there; 0: it was never quiet

    // Where frames are missing. A gap lasts from the last frame to the next one; its time counts
    // for the reason of the newest end. All monotonic.
    bool has_gap;
    enum reason gap_reason;       // REASON_NONE: nothing has failed so far
    int64_t gap_since_us;         // when it began
    int64_t gap_counted_us;       // up to when it stands in gap_us
    int64_t gap_us[REASON_COUNT]; // finished parts
    int64_t last_frame_us;
    int64_t last_gap_us; // how long the last one was that a frame has ended

    struct {
        int64_t time_us;
        int64_t bytes;
        int64_t frames;
    } samples[FIGURES_SAMPLES]; // a ring
    unsigned sample_count;      // taken so far
};

// The stream is wanted from now on: frames are missing until the first one comes.
void figures_want(struct figures *figures, int64_t now_us);

// It is not wanted any more, and nothing is missing.
void figures_unwant(struct figures *figures, int64_t now_us);

// A run begins.
void figures_begin(struct figures *figures);

// The run's progress so far.
void figures_progress(
    struct figures *figures, const struct progress *progress, int64_t now_us, int64_t utc_us);

// The run's files have grown.
void figures_grow(struct figures *figures, int64_t bytes);

// The run ended, or could not begin; `is_restart`: another one follows.
void figures_end(struct figures *figures, enum reason reason, bool is_restart, int64_t now_us);

// Once a second.
void figures_tick(struct figures *figures, int64_t now_us);

// The time missing for that reason, the gap that goes on included.
int64_t figures_gap_us(const struct figures *figures, enum reason reason, int64_t now_us);

int64_t figures_restarts(const struct figures *figures);

// Over the last ten seconds.
double figures_bytes_per_second(const struct figures *figures);
double figures_fps(const struct figures *figures);
