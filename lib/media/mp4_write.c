// The boxes that every file of ours has: ftyp, mvhd, and a track up to its stsd. See mp4_write.h.
#include "lib/media/mp4_write.h"

#include <string.h>

enum {
    MP4_EPOCH_S = 2082844800, // from 1904 to 1970
    MP4_RATE_ONE = 0x00010000,
    MP4_VOLUME_FULL = 0x0100,
    MP4_LANGUAGE_NONE = 0x55c4, // "und" (8.4.2.3)
    MP4_TRACK_FLAGS = 3,        // enabled, in movie
};

size_t mp4_box_begin(struct buf *buf, const char type[4])
{
    buf_put_u32(buf, 0);
    buf_put(buf, type, 4);
    return buf->size - 8;
}

size_t mp4_full_box_begin(struct buf *buf, const char type[4], uint8_t version, uint32_t flags)
{
    size_t token = mp4_box_begin(buf, type);
    buf_put_u32(buf, (uint32_t)version << 24 | flags);
    return token;
}

void mp4_box_end(struct buf *buf, size_t token)
{
    buf_set_u32(buf, token, (uint32_t)(buf->size - token));
}

void mp4_put_ftyp(struct buf *buf)
{
    size_t ftyp = mp4_box_begin(buf, "ftyp");
    buf_put(buf, "isom", 4);
    buf_put_u32(buf, 0x200);
    buf_put(buf, "isomiso4iso6mp41", 16);
    mp4_box_end(buf, ftyp);
}

// Seconds since 1904, as file times are counted (8.2.2.3).
static uint64_t mp4_file_time(int64_t time_us)
{
    return time_us < 0 ? MP4_EPOCH_S : (uint64_t)(time_us / 1000000) + MP4_EPOCH_S;
}

// Version 1 where a value does not fit 32 bits.
static uint8_t mp4_time_version(uint64_t time, uint64_t duration)
{
    return time > UINT32_MAX || duration > UINT32_MAX;
}

static void mp4_put_sized(struct buf *buf, uint8_t version, uint64_t value)
{
    if (version == 1)
        buf_put_u64(buf, value);
    else
        buf_put_u32(buf, (uint32_t)value);
}

static void mp4_put_matrix(struct buf *buf)
{
    static const uint32_t unity[] = {0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000};
    for (size_t i = 0; i < 9; i++)
        buf_put_u32(buf, unity[i]);
}

void mp4_put_mvhd(struct buf *buf, int64_t creation_us, uint32_t timescale, uint64_t duration,
    uint32_t next_track_id)
{
    uint64_t time = mp4_file_time(creation_us);
    uint8_t version = mp4_time_version(time, duration);
    size_t mvhd = mp4_full_box_begin(buf, "mvhd", version, 0);
    mp4_put_sized(buf, version, time);
    mp4_put_sized(buf, version, time);
    buf_put_u32(buf, timescale);
    mp4_put_sized(buf, version, duration);
    buf_put_u32(buf, MP4_RATE_ONE);
    buf_put_u16(buf, MP4_VOLUME_FULL);
    buf_put_zeros(buf, 10);
    mp4_put_matrix(buf);
    buf_put_zeros(buf, 24);
    buf_put_u32(buf, next_track_id);
    mp4_box_end(buf, mvhd);
}

static void mp4_put_tkhd(struct buf *buf, const struct mp4_track *track, uint64_t time)
{
    uint8_t version = mp4_time_version(time, track->duration);
    size_t tkhd = mp4_full_box_begin(buf, "tkhd", version, MP4_TRACK_FLAGS);
    mp4_put_sized(buf, version, time);
    mp4_put_sized(buf, version, time);
    buf_put_u32(buf, track->id);
    buf_put_u32(buf, 0);
    mp4_put_sized(buf, version, track->duration);
    buf_put_zeros(buf, 12); // reserved, layer, alternate_group
    buf_put_u16(buf, track->kind == MEDIA_AUDIO ? MP4_VOLUME_FULL : 0);
    buf_put_u16(buf, 0);
    mp4_put_matrix(buf);
    buf_put_u32(buf, track->width << 16);
    buf_put_u32(buf, track->height << 16);
    mp4_box_end(buf, tkhd);
}

static void mp4_put_edits(struct buf *buf, const struct mp4_track *track)
{
    uint8_t version = 0;
    if (track->edit_count == 0)
        return;
    for (size_t i = 0; i < track->edit_count; i++) {
        if (track->edits[i].duration > UINT32_MAX || track->edits[i].media_time > INT32_MAX)
            version = 1;
    }
    size_t edts = mp4_box_begin(buf, "edts");
    size_t elst = mp4_full_box_begin(buf, "elst", version, 0);
    buf_put_u32(buf, (uint32_t)track->edit_count);
    for (size_t i = 0; i < track->edit_count; i++) {
        mp4_put_sized(buf, version, track->edits[i].duration);
        mp4_put_sized(buf, version, (uint64_t)track->edits[i].media_time);
        buf_put_u32(buf, MP4_RATE_ONE);
    }
    mp4_box_end(buf, elst);
    mp4_box_end(buf, edts);
}

static void mp4_put_mdhd(struct buf *buf, const struct mp4_track *track, uint64_t time)
{
    uint8_t version = mp4_time_version(time, track->counts.duration);
    size_t mdhd = mp4_full_box_begin(buf, "mdhd", version, 0);
    mp4_put_sized(buf, version, time);
    mp4_put_sized(buf, version, time);
    buf_put_u32(buf, track->timescale);
    mp4_put_sized(buf, version, track->counts.duration);
    buf_put_u16(buf, MP4_LANGUAGE_NONE);
    buf_put_u16(buf, 0);
    mp4_box_end(buf, mdhd);
}

static void mp4_put_hdlr(struct buf *buf, enum media_kind kind)
{
    const char *name = kind == MEDIA_VIDEO ? "Video" : "Audio";
    size_t hdlr = mp4_full_box_begin(buf, "hdlr", 0, 0);
    buf_put_u32(buf, 0);
    buf_put(buf, kind == MEDIA_VIDEO ? "vide" : "soun", 4);
    buf_put_zeros(buf, 12);
    buf_put(buf, name, strlen(name) + 1);
    mp4_box_end(buf, hdlr);
}

// The media header of its kind, and a data reference to the file itself (8.7.2).
static void mp4_put_media_head(struct buf *buf, enum media_kind kind)
{
    size_t header = kind == MEDIA_VIDEO ? mp4_full_box_begin(buf, "vmhd", 0, 1)
                                        : mp4_full_box_begin(buf, "smhd", 0, 0);
    buf_put_zeros(buf, kind == MEDIA_VIDEO ? 8 : 4);
    mp4_box_end(buf, header);
    size_t dinf = mp4_box_begin(buf, "dinf");
    size_t dref = mp4_full_box_begin(buf, "dref", 0, 0);
    buf_put_u32(buf, 1);
    size_t url = mp4_full_box_begin(buf, "url ", 0, 1);
    mp4_box_end(buf, url);
    mp4_box_end(buf, dref);
    mp4_box_end(buf, dinf);
}

static void mp4_put_stsd(struct buf *buf, const struct mp4_track *track)
{
    size_t stsd = mp4_full_box_begin(buf, "stsd", 0, 0);
    buf_put_u32(buf, (uint32_t)track->entry_count);
    for (size_t i = 0; i < track->entry_count; i++)
        buf_put(buf, track->entries[i].data, track->entries[i].size);
    mp4_box_end(buf, stsd);
}

// Closes a box that goes on with `more` bytes.
static void mp4_box_end_later(struct buf *buf, size_t token, uint64_t more)
{
    buf_set_u32(buf, token, (uint32_t)(buf->size - token + more));
}

static uint64_t mp4_tables_size(const struct mp4_track *track)
{
    uint64_t size = 0;
    for (enum mp4_table table = 0; table < MP4_TABLE_COUNT; table++)
        size += mp4_table_size(track, table);
    return size;
}

void mp4_put_track_head(struct buf *buf, const struct mp4_track *track, int64_t creation_us)
{
    uint64_t time = mp4_file_time(creation_us);
    uint64_t tables = mp4_tables_size(track);
    size_t trak = mp4_box_begin(buf, "trak");
    mp4_put_tkhd(buf, track, time);
    mp4_put_edits(buf, track);
    size_t mdia = mp4_box_begin(buf, "mdia");
    mp4_put_mdhd(buf, track, time);
    mp4_put_hdlr(buf, track->kind);
    size_t minf = mp4_box_begin(buf, "minf");
    mp4_put_media_head(buf, track->kind);
    size_t stbl = mp4_box_begin(buf, "stbl");
    mp4_put_stsd(buf, track);
    mp4_box_end_later(buf, stbl, tables);
    mp4_box_end_later(buf, minf, tables);
    mp4_box_end_later(buf, mdia, tables);
    mp4_box_end_later(buf, trak, tables);
}

uint64_t mp4_track_size(const struct mp4_track *track)
{
    struct buf head = BUF_INIT;
    mp4_put_track_head(&head, track, 0);
    uint64_t size = head.size + mp4_tables_size(track);
    buf_fini(&head);
    return size;
}
