// Whether an ffmpeg is alive, judged by its progress and by the growth of its files, never by
// finished segments: a camera may send its next key frame in an hour. Pure: callers pass what they
// saw, and when (monotonic microseconds).
#pragma once

#include <stdint.h>

#include "supervisor/reason.h"

struct vitality {
    int64_t sign_us;  // last sign of life
    int64_t block_us; // last progress block, 0 before the first
    int64_t frame_us; // last time that the frames became more
    int64_t frames;
    int64_t file_number; // of the newest segment
    int64_t file_size;
    int64_t file_us; // when it was first seen, 0 before
};

// A run begins.
void vitality_begin(struct vitality *vitality, int64_t now_us);

// A progress block came; `frames` counts from the run's start.
void vitality_block(struct vitality *vitality, int64_t frames, int64_t now_us);

// A segment of the run was seen with that size.
void vitality_file(struct vitality *vitality, int64_t number, int64_t size, int64_t now_us);

// Forgets the silence so far: nobody was listening.
void vitality_forgive(struct vitality *vitality, int64_t now_us);

// Why ffmpeg should be ended, or REASON_NONE: stalled (neither progress nor growth for about twice
// the socket timeout), no_frames (progress blocks go on, but there is no new
// frame for a minute, or no first one for five), no_keyframe (a
// segment is open for an hour, or has grown to 4 GiB).
enum reason vitality_judge(
    const struct vitality *vitality, int64_t timeout_us, int64_t segment_us, int64_t now_us);
