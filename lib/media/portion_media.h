// The media of a portion: its samples as a fragment has them, and where their bytes come from.
// Pure.
#pragma once

#include "lib/media/mp4_moof.h"
#include "lib/media/portion.h"

#define PORTION_SILENCE UINT64_MAX

// Consecutive bytes of the segment's file, or of silent frames one behind the other.
struct portion_extent {
    uint64_t offset; // PORTION_SILENCE
    uint64_t size;
};

struct portion_media {
    struct mp4_moof_track tracks[MEDIA_TRACKS_MAX]; // video, audio
    size_t capacities[MEDIA_TRACKS_MAX];
    struct portion_extent *extents; // in the order of the mdat
    size_t extent_count;
    size_t extent_capacity;
    uint64_t size;
};

struct portion_request {
    const struct sample_table *table;
    const struct track_summary *tracks; // video, audio
    const struct portion *portion;
    bool audio;
    bool first;     // the portion is the segment's first one,
    bool last;      // or last one
    bool run_start; // the segment is its run's first one: nothing comes before its video
    struct {
        uint32_t size;     // of a silent frame; 0: there is none
        uint32_t duration; // ticks of the audio track
    } silence;
    int64_t time_base_s; // added to the run's clock; no time may be negative
};

// Gathers it. Holes in the sound are filled with silent frames where they are longer than one, and
// those at the ends of a segment where they are longer than the tracks may lie apart there.
// Returns 0, or -1 with *cause set for a time that can not be written. Release with
// portion_media_fini() in both cases.
int portion_media_make(
    struct portion_media *media, const struct portion_request *request, char **cause);
void portion_media_fini(struct portion_media *media);
