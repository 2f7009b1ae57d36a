// The initial moov of a fragmented file: which tracks there are, and their defaults. See
// mp4_parse.h.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_parse.h"

enum {
    MP4_ENTRY_MAX = 64 * 1024, // a sample entry box; real ones have some hundred bytes
};

// Finds a box by its path below `parent`.
static bool mp4_box_find_path(
    const struct mp4_reader *parent, const uint32_t *path, size_t depth, struct mp4_box *box)
{
    struct mp4_reader level = *parent;
    for (size_t i = 0; i < depth; i++) {
        if (!mp4_box_find(&level, path[i], box))
            return false;
        level = box->body;
    }
    return true;
}

// track_ID (8.3.2).
static uint32_t mp4_parse_tkhd(struct mp4_reader tkhd)
{
    uint32_t flags;
    uint8_t version = mp4_reader_full(&tkhd, &flags);
    mp4_reader_take(&tkhd, version == 1 ? 16 : 8);
    return mp4_reader_u32(&tkhd);
}

// The time scale (8.4.2).
static uint32_t mp4_parse_mdhd(struct mp4_reader mdhd)
{
    uint32_t flags;
    uint8_t version = mp4_reader_full(&mdhd, &flags);
    mp4_reader_take(&mdhd, version == 1 ? 16 : 8);
    return mp4_reader_u32(&mdhd);
}

static uint32_t mp4_parse_hdlr(struct mp4_reader hdlr)
{
    mp4_reader_take(&hdlr, 8);
    return mp4_reader_u32(&hdlr);
}

// Reads a trak whose handler is wanted. Returns 0, or -1 with *cause set.
static int mp4_parse_trak(const struct mp4_reader *trak, struct media_track *track, char **cause)
{
    static const uint32_t tkhd_path[] = {MP4_TYPE('t', 'k', 'h', 'd')};
    static const uint32_t mdhd_path[] = {
        MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'd', 'h', 'd')};
    static const uint32_t stsd_path[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'i', 'n', 'f'),
        MP4_TYPE('s', 't', 'b', 'l'), MP4_TYPE('s', 't', 's', 'd')};
    const char *name = track->kind == MEDIA_VIDEO ? "video" : "audio";
    struct mp4_box tkhd, mdhd, stsd, entry;
    if (!mp4_box_find_path(trak, tkhd_path, ARRAY_LENGTH(tkhd_path), &tkhd) ||
        !mp4_box_find_path(trak, mdhd_path, ARRAY_LENGTH(mdhd_path), &mdhd) ||
        !mp4_box_find_path(trak, stsd_path, ARRAY_LENGTH(stsd_path), &stsd)) {
        *cause = xasprintf("the %s track lacks tkhd, mdhd or stsd", name);
        return -1;
    }
    track->id = mp4_parse_tkhd(tkhd.body);
    track->timescale = mp4_parse_mdhd(mdhd.body);
    if (track->id == 0 || track->timescale == 0) {
        *cause = xasprintf("the %s track has no number or no time scale", name);
        return -1;
    }
    mp4_reader_take(&stsd.body, 8); // version, flags, entry_count
    if (!mp4_box_next(&stsd.body, &entry) || entry.size > MP4_ENTRY_MAX) {
        *cause = xasprintf("the %s track has no sample entry of a sensible size", name);
        return -1;
    }
    track->entry = xmalloc(entry.size);
    memcpy(track->entry, entry.start, entry.size);
    track->entry_size = entry.size;
    return 0;
}

// The kind of a trak, or 0 for one that is not wanted.
static enum media_kind mp4_trak_kind(const struct mp4_reader *trak)
{
    static const uint32_t path[] = {MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('h', 'd', 'l', 'r')};
    struct mp4_box hdlr;
    if (!mp4_box_find_path(trak, path, ARRAY_LENGTH(path), &hdlr))
        return 0;
    uint32_t handler = mp4_parse_hdlr(hdlr.body);
    if (handler == MP4_TYPE('v', 'i', 'd', 'e'))
        return MEDIA_VIDEO;
    return handler == MP4_TYPE('s', 'o', 'u', 'n') ? MEDIA_AUDIO : 0;
}

static void mp4_parse_trex(
    struct mp4_reader trex, const struct media_segment *segment, struct mp4_state *state)
{
    uint32_t flags;
    mp4_reader_full(&trex, &flags);
    uint32_t id = mp4_reader_u32(&trex);
    struct mp4_defaults defaults;
    defaults.description = mp4_reader_u32(&trex);
    defaults.duration = mp4_reader_u32(&trex);
    defaults.size = mp4_reader_u32(&trex);
    defaults.flags = mp4_reader_u32(&trex);
    for (size_t i = 0; !trex.failed && i < segment->track_count; i++) {
        if (segment->tracks[i].id == id)
            state->tracks[i].defaults = defaults;
    }
}

// Puts video before audio.
static void mp4_sort_tracks(struct media_segment *segment)
{
    if (segment->track_count == 2 && segment->tracks[0].kind == MEDIA_AUDIO) {
        struct media_track audio = segment->tracks[0];
        segment->tracks[0] = segment->tracks[1];
        segment->tracks[1] = audio;
    }
}

int mp4_parse_init(struct mp4_reader children, struct media_segment *segment,
    struct mp4_state *state, char **cause)
{
    struct mp4_box box, mvex;
    struct mp4_reader walk = children;
    while (mp4_box_next(&walk, &box)) {
        enum media_kind kind;
        if (box.type != MP4_TYPE('t', 'r', 'a', 'k') || (kind = mp4_trak_kind(&box.body)) == 0 ||
            media_segment_track(segment, kind) != NULL)
            continue;
        struct media_track *track = &segment->tracks[segment->track_count++];
        track->kind = kind;
        if (mp4_parse_trak(&box.body, track, cause) != 0)
            return -1;
    }
    if (segment->track_count == 0 ||
        !mp4_box_find(&children, MP4_TYPE('m', 'v', 'e', 'x'), &mvex)) {
        *cause = xstrdup(segment->track_count == 0 ? "it has neither a video nor an audio track"
                                                   : "it is not made of fragments (no mvex)");
        return -1;
    }
    mp4_sort_tracks(segment);
    for (size_t i = 0; i < segment->track_count; i++)
        state->tracks[i].defaults.description = 1;
    while (mp4_box_next(&mvex.body, &box)) {
        if (box.type == MP4_TYPE('t', 'r', 'e', 'x'))
            mp4_parse_trex(box.body, segment, state);
    }
    return 0;
}
