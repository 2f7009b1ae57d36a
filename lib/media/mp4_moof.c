// Fragmented ISO BMFF. See mp4_moof.h.
#include "lib/media/mp4_moof.h"

#include <string.h>

enum {
    MOOF_BASE_IS_MOOF = 0x020000, // tfhd (8.8.7)

    MOOF_RUN_OFFSET = 0x0001, // trun (8.8.8)
    MOOF_RUN_DURATION = 0x0100,
    MOOF_RUN_SIZE = 0x0200,
    MOOF_RUN_FLAGS = 0x0400,
    MOOF_RUN_COMPOSITION = 0x0800,

    MOOF_SAMPLE_KEY = 0x02000000,   // depends on no other (8.8.3.1)
    MOOF_SAMPLE_OTHER = 0x01010000, // depends on others, is no sync sample

    MOOF_MDAT_HEADER = 8,
};

void mp4_put_init(struct buf *buf, const struct mp4_track *tracks, size_t track_count)
{
    mp4_put_ftyp(buf);
    size_t moov = mp4_box_begin(buf, "moov");
    mp4_put_mvhd(buf, 0, 1000, 0, (uint32_t)track_count + 1);
    for (size_t i = 0; i < track_count; i++) {
        mp4_put_track_head(buf, &tracks[i], 0);
        for (enum mp4_table table = 0; table < MP4_TABLE_COUNT; table++)
            if (mp4_table_size(&tracks[i], table) > 0)
                mp4_put_table_head(buf, &tracks[i], table);
    }
    size_t mvex = mp4_box_begin(buf, "mvex");
    for (size_t i = 0; i < track_count; i++) {
        size_t trex = mp4_full_box_begin(buf, "trex", 0, 0);
        buf_put_u32(buf, tracks[i].id);
        buf_put_u32(buf, 1); // of the only sample entry
        buf_put_zeros(buf, 12);
        mp4_box_end(buf, trex);
    }
    mp4_box_end(buf, mvex);
    mp4_box_end(buf, moov);
}

// How many samples from `first` on lie one behind the other.
static size_t moof_run_length(const struct mp4_moof_track *track, size_t first)
{
    size_t count = 1;
    while (first + count < track->sample_count &&
           track->samples[first + count].offset ==
               track->samples[first + count - 1].offset + track->samples[first + count - 1].size)
        count++;
    return count;
}

// `distance` is how far the mdat's media is from the moof.
static void moof_put_run(struct buf *buf, const struct mp4_moof_track *track, size_t first,
    size_t count, uint32_t distance)
{
    uint32_t flags = MOOF_RUN_OFFSET | MOOF_RUN_DURATION | MOOF_RUN_SIZE | MOOF_RUN_FLAGS;
    for (size_t i = 0; i < count; i++)
        if (track->samples[first + i].composition != 0)
            flags |= MOOF_RUN_COMPOSITION;
    size_t trun = mp4_full_box_begin(buf, "trun", 1, flags);
    buf_put_u32(buf, (uint32_t)count);
    buf_put_u32(buf, distance + (uint32_t)track->samples[first].offset);
    for (size_t i = 0; i < count; i++) {
        const struct mp4_moof_sample *sample = &track->samples[first + i];
        buf_put_u32(buf, sample->duration);
        buf_put_u32(buf, sample->size);
        buf_put_u32(buf, sample->key ? MOOF_SAMPLE_KEY : MOOF_SAMPLE_OTHER);
        if (flags & MOOF_RUN_COMPOSITION)
            buf_put_u32(buf, (uint32_t)sample->composition);
    }
    mp4_box_end(buf, trun);
}

static void moof_put_track(struct buf *buf, const struct mp4_moof_track *track, uint32_t distance)
{
    size_t traf = mp4_box_begin(buf, "traf");
    size_t tfhd = mp4_full_box_begin(buf, "tfhd", 0, MOOF_BASE_IS_MOOF);
    buf_put_u32(buf, track->id);
    mp4_box_end(buf, tfhd);
    size_t tfdt = mp4_full_box_begin(buf, "tfdt", 1, 0);
    buf_put_u64(buf, track->decode_time);
    mp4_box_end(buf, tfdt);
    for (size_t first = 0; first < track->sample_count;) {
        size_t count = moof_run_length(track, first);
        moof_put_run(buf, track, first, count, distance);
        first += count;
    }
    mp4_box_end(buf, traf);
}

static void moof_put(struct buf *buf, uint32_t sequence, const struct mp4_moof_track *tracks,
    size_t track_count, uint32_t distance)
{
    size_t moof = mp4_box_begin(buf, "moof");
    size_t mfhd = mp4_full_box_begin(buf, "mfhd", 0, 0);
    buf_put_u32(buf, sequence);
    mp4_box_end(buf, mfhd);
    for (size_t i = 0; i < track_count; i++)
        if (tracks[i].sample_count > 0)
            moof_put_track(buf, &tracks[i], distance);
    mp4_box_end(buf, moof);
}

int mp4_put_moof(struct buf *buf, uint32_t sequence, const struct mp4_moof_track *tracks,
    size_t track_count, uint64_t media_size)
{
    size_t start = buf->size;
    size_t styp = mp4_box_begin(buf, "styp");
    buf_put(buf, "msdh\0\0\0\0msdhmsix", 16);
    mp4_box_end(buf, styp);
    size_t moof = buf->size;
    // Its size is the same whatever the distance is; so the first try tells the distance.
    moof_put(buf, sequence, tracks, track_count, 0);
    uint64_t distance = buf->size - moof + MOOF_MDAT_HEADER;
    if (media_size > INT32_MAX - distance) {
        buf->size = start;
        return -1;
    }
    buf->size = moof;
    moof_put(buf, sequence, tracks, track_count, (uint32_t)distance);
    buf_put_u32(buf, (uint32_t)media_size + MOOF_MDAT_HEADER);
    buf_put(buf, "mdat", 4);
    return 0;
}
