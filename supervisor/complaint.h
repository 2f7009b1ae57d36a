// How loud a failure is told: once, then again when its reason changes, and from time to time, with
// how often it has been since. Pure and plain.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/reason.h"

struct complaint {
    enum reason reason; // REASON_NONE: nothing to complain about
    int64_t told_us;    // monotonic
    unsigned untold;    // failures since
};

// A failure. Returns true when it is to be told; *untold is how often it happened unsaid since it
// was told the last time.
bool complaint_take(
    struct complaint *complaint, enum reason reason, int64_t now_us, unsigned *untold);

// Whether a failure was told at `since_us` or later, so that its end is worth a word too.
bool complaint_was_told(const struct complaint *complaint, int64_t since_us);

// All is well: the next failure is news.
void complaint_end(struct complaint *complaint);
