// What ffmpeg's lines on stderr tell about the end of a run: a table of patterns, each with its
// weight, so that a general line ("timed out") does not overrule a telling one ("401"). Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/reason.h"

// How much a line tells.
enum {
    CLUE_NOTHING,
    CLUE_VAGUE,   // the connection ended: ffmpeg says no word of a timeout while it connects
    CLUE_GENERAL, // may follow from something else
    CLUE_TELLING,
};

// The line that explains most so far.
struct clue {
    enum reason reason; // REASON_NONE: none has explained anything
    int weight;
    int64_t time_us; // when it was said
    char *words;
};

// What the line alone says, or REASON_NONE when it explains nothing.
enum reason clue_read(const char *line);

// Whether the line says that the video's timestamps go backwards.
bool clue_is_disorder(const char *line);

// Takes a line, said at that monotonic time. Of two that say as much the later one counts, and what
// was said half a minute before explains no end any more.
void clue_take(struct clue *clue, const char *line, int64_t now_us);

// Drops what explains nothing any more at that time.
void clue_expire(struct clue *clue, int64_t now_us);

void clue_fini(struct clue *clue);
