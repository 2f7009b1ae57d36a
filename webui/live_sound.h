// Silence for a client that hears a stream whose sound has stopped: a player that waits for sound
// would hold the picture up. Pure.
#pragma once

#include "webui/live_fragment.h"

// How far sound may end before the picture of a fragment does.
#define LIVE_SOUND_LAG_US INT64_C(400000)

struct live_sound {
    bool is_begun;
    uint64_t continuity;
    int64_t end_ticks; // of what was sent, on the run's clock
};

// What a client must be sent behind a fragment so that its sound reaches as far as its picture: a
// fragment of silent frames alone, a reference for the caller. NULL: nothing; also where there is
// no silence to be had in the track's coding.
struct live_fragment *live_sound_fill(struct live_sound *sound, const struct live_fragment *sent);
