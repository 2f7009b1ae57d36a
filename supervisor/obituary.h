// The end of an ffmpeg in one word and in one line, composed from all that is known of it. Pure.
#pragma once

#include <stdint.h>

#include "supervisor/clue.h"
#include "supervisor/reason.h"

struct obituary_facts {
    const char *camera;
    const char *stream;
    int status;            // as waitpid(2) gives it
    enum reason ended_as;  // why we ended it; REASON_NONE when we did not
    const char *end_words; // what explains that; may be NULL
    const char *last_line; // on stderr, of this run; NULL: it said nothing
    const struct clue *clue;
    int64_t life_us;
    int64_t timeout_us; // the socket's; 0: not known
    int64_t frames;
};

struct obituary {
    enum reason reason;
    char *words; // the last words that explain it, for the run's file; NULL: none do
    char *line;  // camera, stream, how it ended, life, frames, reason, last words
};

// Release with obituary_fini().
void obituary_compose(struct obituary *obituary, const struct obituary_facts *facts);
void obituary_fini(struct obituary *obituary);
