// How long to wait before something that failed is started again.
#pragma once

#include <stdint.h>

#include "lib/core/timeutil.h"

enum {
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_MAX_MS = 30000,
};

// What lived so long begins again with the shortest pause.
#define BACKOFF_STABLE_US (60 * US_PER_SECOND)

// The pause in milliseconds after `failures` (from 1) in a row: 1 s doubled each time, with up to a
// fifth of it taken off or put on by `random` so that cameras that failed together do not come back
// together; 30 s at most. Pure.
int64_t backoff_delay_ms(unsigned failures, uint32_t random);

// The same with a random number of its own.
int64_t backoff_pause_ms(unsigned failures);
