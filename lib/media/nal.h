// The inner structure of a video sample of H.264 or H.265: units, each behind its length (ISO/IEC
// 14496-15). Enough to tell damaged bytes from whole ones where a length or a header is hit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How many bytes a unit's length has, as the sample entry says; 0 where samples have no such units.
unsigned nal_length_size(const uint8_t *entry, size_t entry_size);

// Whether the sample is a sequence of whole units, none of them empty or with its forbidden bit
// set.
bool nal_sample_whole(const uint8_t *sample, size_t size, unsigned length_size);
