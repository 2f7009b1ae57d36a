// The parts of mp4_read(), apart from the walk over the file: the initial moov, which names the
// tracks, its tables, which name the samples of a plain file, and a moof, which names those of a
// fragment. Private to mp4_*.c.
#pragma once

#include "lib/core/buf.h"
#include "lib/media/media.h"
#include "lib/media/mp4_reader.h"

// A decode time that leaves room for every duration a file may add, and a place in a file to which
// any offset of a run can be added.
#define MP4_TIME_MAX (INT64_MAX / 4)
#define MP4_OFFSET_MAX (INT64_MAX / 4)

// A track's defaults for its fragments (trex, 8.8.3), over which tfhd may write its own.
struct mp4_defaults {
    uint32_t description; // index into stsd
    uint32_t duration;
    uint32_t size;
    uint32_t flags;
};

// State of one track while its samples are read.
struct mp4_track_state {
    struct mp4_defaults defaults;
    int64_t shift;        // from media time to where the edit list puts it, ticks
    int64_t next_time;    // decode time behind the last sample
    uint32_t description; // of its samples; 0 before the first
    uint32_t entry_count;
};

struct mp4_state {
    struct mp4_track_state tracks[MEDIA_TRACKS_MAX]; // as in the segment
    struct buf entries[MEDIA_TRACKS_MAX];            // all sample entries, where there are several
    struct mp4_reader tables[MEDIA_TRACKS_MAX];      // stbl; lies in the moov
    size_t samples_max;                              // of one track
    bool fragmented;                                 // the moov says that fragments may follow
    uint64_t media_begin, media_end; // of all samples; media_begin is UINT64_MAX before the first
    uint32_t ended_early;            // tracks that go on with another sample entry
};

// Reads the boxes of the initial moov behind its mvhd, whose body is given too: adds the first
// video and the first audio track to the empty `segment`. Returns 0, or -1 with *cause set; segment
// and state are the caller's to release in either case.
int mp4_parse_init(struct mp4_reader mvhd, struct mp4_reader children,
    struct media_segment *segment, struct mp4_state *state, char **cause);
void mp4_state_fini(struct mp4_state *state);

// Whether a track's next sample may have this sample entry: any for its first, then always the
// same.
bool mp4_state_describe(struct mp4_track_state *track, uint32_t description);

// Gives each track the sample entry that its samples have.
void mp4_settle_entries(struct media_segment *segment, const struct mp4_state *state);

// Adds the samples that the moov's tables name and that lie whole before `limit`: of each track, up
// to the first that does not. Returns 0, or -1 with *cause set.
int mp4_parse_tables(
    struct media_segment *segment, struct mp4_state *state, uint64_t limit, char **cause);

struct mp4_fragment {
    struct mp4_reader children; // of the moof
    uint64_t moof_offset;
    struct mp4_extent {
        uint64_t begin, end;
    } data[2]; // each sample lies in one of them: the mdats of fragments before, and its own
};

// Adds the samples of a fragment whose bytes lie whole in its data: of each track, up to the first
// that does not. Returns false where the moof contradicts itself; nothing is added then.
bool mp4_parse_fragment(
    const struct mp4_fragment *fragment, struct media_segment *segment, struct mp4_state *state);

// Appends a sample to its track. Returns false when there are more than a file may have.
bool mp4_add_sample(
    struct mp4_state *state, struct media_track *track, const struct media_sample *sample);

// Big-endian numbers of a table whose extent was checked.
static inline uint32_t mp4_load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t mp4_load_u64(const uint8_t *at)
{
    return (uint64_t)mp4_load_u32(at) << 32 | mp4_load_u32(at + 4);
}
