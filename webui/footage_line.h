// In which order the segments of a range are played. Stretches (segments of one run that follow
// each other, and do not go back in time) stay whole: where two overlap, because runs do or because
// the computer's clock was set back, one is played after the other, the one that began first first;
// of those that have begun when the range does, the one with the lower identity.
#pragma once

#include "webui/footage.h"

// Brings the segments of a range from `start_us` on, ascending by start, into that order.
void footage_line_up(struct footage *footage, int64_t start_us);

// Which of them is played first. There must be one.
const struct footage_segment *footage_line_first(const struct footage *footage, int64_t start_us);
