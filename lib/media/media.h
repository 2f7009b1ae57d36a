// What the programs know of one segment's media, apart from any container: its tracks, their
// samples and the counts that sizes are computed from. Containers fill it, the catalog keeps its
// summary, the virtual file is made from it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum media_kind {
    MEDIA_VIDEO = 1,
    MEDIA_AUDIO = 2,
};

enum {
    MEDIA_TRACKS_MAX = 2,        // a segment has at most one video and one audio track
    MEDIA_SAMPLES_MAX = 1 << 22, // of one track: an hour at a thousand a second
};

struct media_sample {
    uint64_t offset;     // of its bytes in the segment file
    uint32_t size;       // bytes
    uint32_t duration;   // ticks to the next sample's decode time
    int32_t composition; // presentation minus decode time, ticks (ISO/IEC 14496-12, 8.6.1.3)
    bool key;            // sync sample
};

struct media_track {
    enum media_kind kind;
    uint32_t id; // track_ID in the file
    uint32_t timescale;
    int64_t start;  // decode time of the first sample on the run's media clock, ticks (tfdt)
    uint8_t *entry; // the sample entry box as in stsd, its header included (8.5.2)
    size_t entry_size;
    bool parameter_sets; // every key sample carries its own (H.264: SPS, PPS; H.265: VPS too;
                         // AV1: sequence header)
    struct media_sample *samples; // in decode order
    size_t sample_count;
    size_t sample_capacity;
};

struct media_segment {
    struct media_track tracks[MEDIA_TRACKS_MAX]; // video first, when there is one
    size_t track_count;
};

void media_segment_fini(struct media_segment *segment);

// The track of that kind, or NULL.
const struct media_track *media_segment_track(
    const struct media_segment *segment, enum media_kind kind);

// Everything that an exact MP4 size needs to know of consecutive samples of one track. A chunk is a
// run of samples that lie one behind the other in the file. Runs of equal entries are counted
// within the span, the last sample always has an stts entry of its own (so a join may change its
// duration and no size).
struct track_counts {
    uint32_t samples;
    uint32_t syncs;
    uint32_t chunks;
    uint32_t stts_entries;
    uint32_t ctts_entries; // of a table that is written, were it all zero: at least 1 where there
                           // is a sample
    uint32_t stsc_entries;
    uint64_t bytes;
    uint64_t duration; // sum of the samples' durations, ticks
};

// Whether every key sample of a track carries its parameter sets.
enum media_sets {
    MEDIA_SETS_UNKNOWN, // it is audio, or the row is older than this question
    MEDIA_SETS_CARRIED,
    MEDIA_SETS_LACKING,
};

// One track of a segment without its samples: what the catalog's narrow row holds.
struct track_summary {
    enum media_kind kind;
    uint32_t timescale;
    int64_t start;              // decode time of the first sample on the run's media clock, ticks
    int32_t first_presentation; // least presentation time minus `start`, ticks
    int32_t least_composition;
    int32_t greatest_composition;
    uint32_t last_duration; // of the last sample, ticks
    struct track_counts counts;
    enum media_sets sets;
};

void track_summarize(const struct media_track *track, struct track_summary *summary);

// Counts consecutive samples one by one; zeroed before the first.
struct track_counter {
    struct track_counts counts; // of what has ended; track_counter_end() adds what is open
    uint64_t next_offset;
    uint32_t duration;      // of the last sample
    uint32_t stts_duration; // of the last stts entry
    int32_t composition;
    uint32_t chunk_samples; // of the open chunk
    uint32_t stsc_samples;  // of the last stsc entry
};

void track_counter_add(struct track_counter *counter, const struct media_sample *sample);

// Gives the counts of all samples added so far; more may be added afterwards.
void track_counter_end(const struct track_counter *counter, struct track_counts *counts);

// Ticks in microseconds, rounded down; exact for any time that a segment may have.
int64_t media_ticks_to_us(int64_t ticks, uint32_t timescale);

// Where presentation of the segment begins on its run's media clock, and how long it lasts, in
// microseconds: of the video track, else of the first. Returns false for a segment without samples.
bool media_segment_span(
    const struct media_segment *segment, int64_t *start_us, int64_t *duration_us);
