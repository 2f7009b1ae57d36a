// What a segment's row knows of its tracks and of where its media lies, packed into some thirty
// bytes: a catalog of millions of rows has to stay small. Pure; the format stands at the top of
// catalog_tracks.c and has a version in its first byte.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/catalog.h"

enum {
    CATALOG_TRACKS_VERSION = 2, // older rows are read, too
};

// Whether the segment's counts can be those of a file; what this refuses can not be packed.
bool catalog_tracks_valid(const struct catalog_segment *segment);

// Appends the packed form of both tracks' summaries and of media_end. Predictions are made from the
// rest of the row: start, end, run, size, media_offset, which tracks there are and their
// timescales.
void catalog_tracks_encode(const struct catalog_segment *segment, struct buf *out);

// The reverse, into a segment that has all that predictions are made from, and the codec id and
// timescale of each track. Returns 0, or -1 for bytes that encoding does not make of a valid
// segment (a damaged or newer catalog); both tracks are gone then: codec ids of 0, and
// media_end = media_offset.
int catalog_tracks_decode(struct catalog_segment *segment, const uint8_t *data, size_t size);
