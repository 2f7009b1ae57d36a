// How the files of a run grow: which one is the newest, how much ffmpeg has written. The newest one
// is kept open for reading, so that its size is known when it has been filed away, too.
#pragma once

#include <stdint.h>

struct growth {
    int fd;         // of the newest file; -1: none has been seen
    int64_t number; // of it
    int64_t size;   // of what ffmpeg has written into it, as of the last look
};

// A run begins: it has no file yet. What a run before has open must be closed.
void growth_begin(struct growth *growth);

// Looks at the files and returns how many bytes they have grown by since the last look. Files that
// came and went between two looks count nothing.
int64_t growth_look(struct growth *growth, const char *directory, int64_t run);

// The run has ended: a last look, then nothing is open.
int64_t growth_end(struct growth *growth, const char *directory, int64_t run);
