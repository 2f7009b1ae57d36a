// Whether key samples carry the parameter sets that their decoder needs (ISO/IEC 14496-15): a
// player that comes from a segment of another configuration needs them there. Private to mp4_*.c.
#pragma once

#include "lib/media/mp4_reader.h"

// Sets parameter_sets of each track, from the first units of its key samples. Of a track with
// more than 1024 of them, or where one can not be read, it is false.
void mp4_find_parameter_sets(struct mp4_file *file, struct media_segment *segment);
