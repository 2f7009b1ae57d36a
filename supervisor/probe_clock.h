// The camera's clock, from the `prft` boxes (ISO/IEC 14496-12, 8.16.5) that ffmpeg writes: pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "supervisor/probe_stats.h"

// How far the camera's clock is ahead of ours. `data` is an MP4 with one frame in each fragment,
// made of the frames that `stats` saw arrive: the least delayed frame tells most, so what is found
// is the clock's error less the way of that frame from lens to here. Returns false when the camera
// has not told its time (no RTCP sender report came).
bool probe_clock_skew(
    const uint8_t *data, size_t size, const struct probe_stats *stats, int64_t *skew_us);
