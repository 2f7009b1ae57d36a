// In which order the segments of a range are played. Stretches (segments of one run that follow
// each other, and do not go back in time) stay whole: where two overlap, because runs do or because
// the computer's clock was set back, one is played after the other, the one that began first first.
#pragma once

#include "webui/footage.h"

// Brings the segments, ascending by start, into that order.
void footage_line_up(struct footage *footage);
