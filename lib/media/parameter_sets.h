// What a decoder must be told anew where a file goes over to another configuration of its codec:
// the parameter sets that stand in a sample entry, as bytes that can be put before a key sample.
// Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/core/buf.h"

enum {
    PARAMETER_SETS_SIZE_MAX = 64 * 1024, // of those of an entry; real ones have a hundred bytes
};

// Appends the parameter sets of a sample entry in the form of its samples: of H.264 the SPS and PPS
// of its avcC, of H.265 the VPS, SPS and PPS of its hvcC (ISO/IEC 14496-15, 5.3.3 and 8.3.3), each
// behind its length, of AV1 the sequence header of its av1C (AV1 in ISOBMFF, 2.3). Nothing is
// appended for any other codec, for an entry that has none (avc3, hev1), and for a torn one.
void parameter_sets_make(const uint8_t *entry, size_t entry_size, struct buf *out);
