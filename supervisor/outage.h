// When a stream counts as down, for its hooks: away for longer than the hold-off, counted from its
// last frame, so that blips stay silent; and up only after a down that was told. Pure: the caller
// says how the stream is and what time it is.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/reason.h"

// What there is to tell.
enum outage_news {
    OUTAGE_NOTHING,
    OUTAGE_DOWN,
    OUTAGE_UP,
};

// How a stream is. Times are monotonic.
struct outage_view {
    bool is_wanted;
    bool is_recording;
    bool is_queued;        // no failure has ended it: it waits for its turn to start
    int64_t last_frame_us; // or when it was wanted, if there was none since; 0: nobody knows
    enum reason reason;    // why it does not record, as far as is known
};

// What is remembered of a stream between two looks; zero to begin with. Plain data.
struct outage {
    int64_t since_us;   // it is away since then; 0 while it is not
    int64_t queued_us;  // when it was last seen waiting for its turn
    bool is_told;       // that it is down
    enum reason reason; // which was told
};

// Of what there is to tell.
struct outage_report {
    enum reason reason; // with OUTAGE_UP: the one that was told
    int64_t since_us;   // since when it is away; with OUTAGE_UP: when it was up again
    int64_t away_us;    // how long it has been away
};

// Looks at the stream. Fills *report unless it returns OUTAGE_NOTHING.
enum outage_news outage_look(struct outage *outage, const struct outage_view *view,
    int64_t hold_off_us, int64_t now_us, struct outage_report *report);
