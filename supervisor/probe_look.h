// A short look at a stream by ffmpeg: it is read as for a recording, but nothing is kept. Runs a
// loop of its own until the look is over; only the probing child calls it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/probe_rtsp.h"
#include "supervisor/probe_stats.h"
#include "supervisor/probe_target.h"

struct probe_look {
    struct probe_stats stats;
    const char *reason; // why no frame came, as an ended recording has it; NULL when frames came
    char *words;        // ffmpeg's own that explain it most, masked; may be NULL
    bool has_skew;
    int64_t skew_us; // the camera's clock is so far ahead of ours
};

// The arguments; `clock_path` gets an MP4 with the camera's times, or is NULL. Pure. Release with
// ffmpeg_args_free().
char **probe_look_args(const struct probe_target *target, const char *clock_path);

// The script with the address and its credentials. Pure. The caller owns it.
char *probe_look_script(const struct probe_target *target, enum probe_transport transport);

// Looks. The first frame must be there after `patience_us`, and all is over before `deadline_us`
// (monotonic). Returns a new look; release with probe_look_free().
struct probe_look *probe_look_run(const struct probe_target *target, enum probe_transport transport,
    int64_t patience_us, int64_t deadline_us);
void probe_look_free(struct probe_look *look);
