// What a stream's next start does otherwise than its last one: which audio it takes, and by which
// transport, learnt from how its runs ended. It is remembered for the life of the daemon, or until
// the stream's configuration changes. Pure.
//
// Video is never lost because of audio: what MP4 does not take is encoded, and what can not be
// encoded, or is announced and never comes, is left out.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/core/config.h"
#include "supervisor/ffmpeg.h"
#include "supervisor/reason.h"

struct adapt {
    struct ffmpeg_way way; // of the next start
    // Of this run:
    unsigned hints; // what its lines have said
    bool has_frames;
    bool is_overdue; // it is ended because no progress came
    // Of all runs:
    bool is_patient;       // one that is overdue is slow, no more
    bool is_suspicion;     // audio is treated as it is on suspicion only
    bool is_audio_cleared; // the suspicion was wrong; it may rise again once frames have come
    bool is_tcp_refused;   // by the camera, in words
    bool has_crossed;      // the other transport has been tried since frames came
    bool has_told_unused;
};

// Begins as the configuration says: nothing is learnt yet.
void adapt_reset(struct adapt *adapt, const struct config_recording *recording);

// A run begins.
void adapt_begin(struct adapt *adapt);

// The run has its first frame.
void adapt_frame(struct adapt *adapt);

// Takes a line of stderr.
void adapt_line(struct adapt *adapt, const char *line);

// Whether the run, which has lasted for `age_us` without a word of progress, should be ended
// because ffmpeg may hold all video back: it encodes audio that is announced and perhaps never
// comes. Ended by SIGTERM, it writes what it has held back.
bool adapt_is_overdue(struct adapt *adapt, int64_t age_us);

// Takes the end of a run that nobody planned. Returns true when the next start does something else
// and should be made at once, with *news (allocated) saying what has been learnt; else *news is
// NULL.
bool adapt_end(
    struct adapt *adapt, const struct config_recording *recording, enum reason reason, char **news);

// Whether the line is ffmpeg's word that it ignores an option of the script, heard for the first
// time.
bool adapt_is_unused_news(struct adapt *adapt, const char *line);
