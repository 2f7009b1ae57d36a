// Writes fragmented ISO BMFF (ISO/IEC 14496-12, 8.8): the initialisation segment of a player's
// track, and what stands before the media of a fragment.
#pragma once

#include "lib/media/mp4_write.h"

// ftyp and a moov without samples for these tracks (8.8.1).
void mp4_put_init(struct buf *buf, const struct mp4_track *tracks, size_t track_count);

struct mp4_moof_sample {
    uint64_t offset; // of its bytes, from the first one of the mdat's media
    uint32_t size;
    uint32_t duration;
    int32_t composition;
    bool key;
};

struct mp4_moof_track {
    uint32_t id;
    enum media_kind kind;
    uint64_t decode_time;            // of the first sample, ticks (8.8.12)
    struct mp4_moof_sample *samples; // in decode order
    size_t sample_count;             // 0: the fragment has nothing of this track
};

// styp, moof and the header of an mdat with `media_size` bytes that follow. Offsets in a moof have
// 31 bits: returns 0, or -1 with nothing written when the fragment is too large for them.
int mp4_put_moof(struct buf *buf, uint32_t sequence, const struct mp4_moof_track *tracks,
    size_t track_count, uint64_t media_size);
