// Key frames of recorded segments as pictures by themselves: which there are, which one was on
// screen at a moment, and which ones a time-lapse shows for how long. Pure: tables come through
// struct still_source.
#pragma once

#include "lib/media/vfile.h"

enum {
    STILL_FPS = 25, // moments of a time-lapse that are looked at in each second of it
    STILL_SPEED_MAX = 100000,
};

struct still {
    size_t segment;    // index into the segments
    uint32_t index;    // of its sample
    uint64_t offset;   // of its bytes in the segment's file
    uint32_t size;     // > 0
    int64_t time_us;   // UTC when it was on screen first
    uint32_t duration; // VFILE_STILL_SCALE; of those that were chosen
};

struct stills {
    struct still *items;
    size_t count;
    size_t capacity;
};

void stills_fini(struct stills *stills);
struct still *stills_add(struct stills *stills, const struct still *still);

// Appends the key frames of a segment, which is `index` of its request. Returns false where the
// table contradicts itself or its segment.
bool stills_find(struct stills *stills, const struct vfile_segment *segment, size_t index,
    const struct sample_table_track *video);

// The last one at or before a moment, or NULL.
const struct still *stills_at(const struct stills *stills, int64_t time_us);

// Where a segment's key frames come from: fills `keys`, which is empty, in the order of decoding.
// Returns 0, or -1 with *cause set.
struct still_source {
    int (*keys)(void *arg, size_t segment, struct stills *keys, char **cause);
    void *arg;
};

struct timelapse {
    const struct vfile_segment *segments; // ascending by start
    size_t segment_count;
    int64_t start_us;
    int64_t end_us;
    uint32_t speed; // how many seconds one second of it shows
};

// Of its frames there are no more than this; from the segments' rows alone.
uint64_t timelapse_frames_max(const struct timelapse *timelapse);

// What of the range was recorded, microseconds; gaps in it are left out.
int64_t timelapse_covered_us(const struct timelapse *timelapse);

// Chooses the frames: at each moment of the time-lapse (STILL_FPS in a second) the last key frame
// at or before what it shows; at the very beginning, where there is none, the first one. Only
// segments that a moment falls into are looked at. Returns 0, or -1 with *cause set.
int timelapse_choose(const struct timelapse *timelapse, const struct still_source *source,
    struct stills *chosen, char **cause);
