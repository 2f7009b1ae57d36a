// The two halves of mp4_read(), apart from the walk over the file: the initial moov, which names
// the tracks, and a moof, which names samples. Private to mp4_*.c.
#pragma once

#include "lib/media/media.h"
#include "lib/media/mp4_reader.h"

// A track's defaults for its fragments (trex, 8.8.3), over which tfhd may write its own.
struct mp4_defaults {
    uint32_t description; // index into stsd
    uint32_t duration;
    uint32_t size;
    uint32_t flags;
};

// State of one track while its fragments are read.
struct mp4_track_state {
    struct mp4_defaults defaults;
    int64_t next_time; // decode time behind the last sample
    uint64_t next_offset;
};

struct mp4_state {
    struct mp4_track_state tracks[MEDIA_TRACKS_MAX]; // as in the segment
    size_t samples_max;                              // of one track
};

// Reads the boxes of the initial moov behind its mvhd: adds the first video and the first audio
// track to the empty `segment`. Returns 0, or -1 with *cause set; the segment is the caller's to
// release in either case.
int mp4_parse_init(struct mp4_reader children, struct media_segment *segment,
    struct mp4_state *state, char **cause);

struct mp4_fragment {
    struct mp4_reader children; // of the moof
    uint64_t moof_offset;
    uint64_t data_offset; // of the mdat's payload
    uint64_t data_end;    // where it, or what there is of the file, ends
};

// Adds the samples of a fragment whose bytes lie whole in its data: of each track, up to the first
// that does not. Returns false where the moof contradicts itself; nothing is added then.
bool mp4_parse_fragment(
    const struct mp4_fragment *fragment, struct media_segment *segment, struct mp4_state *state);
