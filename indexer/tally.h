// Counts by reason: what was deleted or put aside, and why. The reasons are constants, few and
// known to the code.
#pragma once

#include <stdint.h>

enum {
    TALLY_REASONS_MAX = 16,
};

struct tally {
    struct {
        const char *reason;
        uint64_t count;
    } entries[TALLY_REASONS_MAX];
};

// Adds to the count of `reason`, which must outlive the tally.
void tally_add(struct tally *tally, const char *reason, uint64_t count);
