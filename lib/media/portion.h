// A segment in portions: each begins with a key frame and lasts a few seconds, so that a player
// that asks for one does not have to take a whole segment. The division is a function of the sample
// table alone: the same segment is always divided the same way, also while it grows.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/media/samples.h"

enum {
    PORTION_MS = 6000, // no portion but the last of a segment is shorter
};

// Times are ticks since the decode time of the track's first sample.
struct portion {
    uint32_t first; // video samples
    uint32_t count;
    int64_t decode;
    int64_t start; // presentation of its key frame
    int64_t end;   // of the next one's, or the end of all presentation
};

struct portions {
    struct portion *items;
    size_t count;
    size_t capacity;
};

// Divides a video track whose time scale that is; `portions` may hold what an earlier call made.
// Samples before the first key frame are in none. Returns false where the track contradicts itself
// (one that was not checked).
bool portions_find(
    struct portions *portions, const struct sample_table_track *video, uint32_t timescale);
void portions_fini(struct portions *portions);
