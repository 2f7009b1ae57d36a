// What ffmpeg's -progress says, line by line. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    int64_t frames;      // video frames of this run
    double fps;          //
    int64_t out_time_us; // media time of the output
    int64_t duplicated;  // frames
    int64_t dropped;
    bool has_ended;
};

// Takes one "key=value" line; unknown keys and values that are no numbers are passed over. Returns
// true when the line ends a block.
bool progress_line(struct progress *progress, const char *line);
