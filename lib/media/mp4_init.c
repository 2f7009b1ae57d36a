// The initial moov of a fragmented file: which tracks there are, and their defaults. See
// mp4_parse.h.
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_parse.h"

enum {
    MP4_ENTRY_MAX = 64 * 1024, // a sample entry box; real ones have some hundred bytes
};

static uint32_t mp4_parse_hdlr(struct mp4_reader hdlr)
{
    mp4_reader_take(&hdlr, 8);
    return mp4_reader_u32(&hdlr);
}

// Reads the sample entries: the first becomes the track's, until its samples name another one;
// where there are several, all are kept. Returns how many there are, 0 when the first is not one of
// a sensible size.
static uint32_t mp4_parse_stsd(
    struct mp4_reader stsd, struct media_track *track, struct buf *entries)
{
    struct mp4_box entry;
    uint32_t count = 0;
    mp4_reader_take(&stsd, 8); // version, flags, entry_count
    const struct mp4_reader all = stsd;
    for (; mp4_box_next(&stsd, &entry); count++) {
        if (entry.size > MP4_ENTRY_MAX)
            break;
        if (count > 0)
            continue;
        track->entry = xmalloc(entry.size);
        memcpy(track->entry, entry.start, entry.size);
        track->entry_size = entry.size;
    }
    if (count > 1)
        buf_put(entries, all.at, all.left);
    return count;
}

// Where the edit list puts media time 0 (8.6.6), in ticks of the track; 0 without a list. Returns
// false for a time that no track can have.
static bool mp4_parse_elst(
    struct mp4_reader elst, uint32_t movie_timescale, uint32_t timescale, int64_t *shift)
{
    uint32_t flags;
    uint8_t version = mp4_reader_full(&elst, &flags);
    uint32_t count = mp4_reader_u32(&elst);
    __int128 delay = 0; // of empty edits, in the movie's ticks
    for (uint32_t i = 0; i < count && !elst.failed; i++) {
        uint64_t duration = version == 1 ? mp4_reader_u64(&elst) : mp4_reader_u32(&elst);
        int64_t time =
            version == 1 ? (int64_t)mp4_reader_u64(&elst) : (int32_t)mp4_reader_u32(&elst);
        mp4_reader_u32(&elst); // rate
        if (elst.failed)
            break;
        if (time == -1) {
            delay += duration;
            continue;
        }
        __int128 sum = -(__int128)time;
        if (movie_timescale > 0)
            sum += delay * timescale / movie_timescale;
        if (sum > MP4_TIME_MAX || sum < -MP4_TIME_MAX)
            return false;
        *shift = (int64_t)sum;
        return true;
    }
    return true;
}

// Reads a trak whose handler is wanted. Returns 0, or -1 with *cause set.
static int mp4_parse_trak(const struct mp4_reader *trak, uint32_t movie_timescale,
    struct media_segment *segment, struct mp4_state *state, char **cause)
{
    static const uint32_t tkhd_path[] = {MP4_TYPE('t', 'k', 'h', 'd')};
    static const uint32_t elst_path[] = {
        MP4_TYPE('e', 'd', 't', 's'), MP4_TYPE('e', 'l', 's', 't')};
    static const uint32_t mdhd_path[] = {
        MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'd', 'h', 'd')};
    static const uint32_t stbl_path[] = {
        MP4_TYPE('m', 'd', 'i', 'a'), MP4_TYPE('m', 'i', 'n', 'f'), MP4_TYPE('s', 't', 'b', 'l')};
    size_t index = segment->track_count - 1;
    struct media_track *track = &segment->tracks[index];
    struct mp4_track_state *own = &state->tracks[index];
    const char *name = track->kind == MEDIA_VIDEO ? "video" : "audio";
    struct mp4_box tkhd, mdhd, stbl, stsd, elst;
    if (!mp4_box_find_path(trak, tkhd_path, ARRAY_LENGTH(tkhd_path), &tkhd) ||
        !mp4_box_find_path(trak, mdhd_path, ARRAY_LENGTH(mdhd_path), &mdhd) ||
        !mp4_box_find_path(trak, stbl_path, ARRAY_LENGTH(stbl_path), &stbl) ||
        !mp4_box_find(&stbl.body, MP4_TYPE('s', 't', 's', 'd'), &stsd)) {
        *cause = xasprintf("the %s track lacks tkhd, mdhd or stsd", name);
        return -1;
    }
    track->id = mp4_number_behind_times(tkhd.body);
    track->timescale = mp4_number_behind_times(mdhd.body);
    if (track->id == 0 || track->timescale == 0) {
        *cause = xasprintf("the %s track has no number or no time scale", name);
        return -1;
    }
    own->entry_count = mp4_parse_stsd(stsd.body, track, &state->entries[index]);
    if (own->entry_count == 0) {
        *cause = xasprintf("the %s track has no sample entry of a sensible size", name);
        return -1;
    }
    state->tables[index] = stbl.body;
    if (mp4_box_find_path(trak, elst_path, ARRAY_LENGTH(elst_path), &elst) &&
        !mp4_parse_elst(elst.body, movie_timescale, track->timescale, &own->shift)) {
        *cause = xasprintf("the %s track's edit list is absurd", name);
        return -1;
    }
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
static void mp4_sort_tracks(struct media_segment *segment, struct mp4_state *state)
{
    if (segment->track_count != 2 || segment->tracks[0].kind != MEDIA_AUDIO)
        return;
    const struct media_track audio = segment->tracks[0];
    const struct mp4_track_state audio_state = state->tracks[0];
    const struct buf audio_entries = state->entries[0];
    const struct mp4_reader audio_tables = state->tables[0];
    segment->tracks[0] = segment->tracks[1];
    segment->tracks[1] = audio;
    state->tracks[0] = state->tracks[1];
    state->tracks[1] = audio_state;
    state->entries[0] = state->entries[1];
    state->entries[1] = audio_entries;
    state->tables[0] = state->tables[1];
    state->tables[1] = audio_tables;
}

// The movie's time scale (8.2.2).
static uint32_t mp4_parse_mvhd(struct mp4_reader mvhd)
{
    return mp4_number_behind_times(mvhd);
}

int mp4_parse_init(struct mp4_reader mvhd, struct mp4_reader children,
    struct media_segment *segment, struct mp4_state *state, char **cause)
{
    uint32_t timescale = mp4_parse_mvhd(mvhd);
    struct mp4_box box, mvex;
    struct mp4_reader walk = children;
    while (mp4_box_next(&walk, &box)) {
        enum media_kind kind;
        if (box.type != MP4_TYPE('t', 'r', 'a', 'k') || (kind = mp4_trak_kind(&box.body)) == 0 ||
            media_segment_track(segment, kind) != NULL)
            continue;
        segment->tracks[segment->track_count++].kind = kind;
        if (mp4_parse_trak(&box.body, timescale, segment, state, cause) != 0)
            return -1;
    }
    if (segment->track_count == 0) {
        *cause = xstrdup("it has neither a video nor an audio track");
        return -1;
    }
    mp4_sort_tracks(segment, state);
    for (size_t i = 0; i < segment->track_count; i++)
        state->tracks[i].defaults.description = 1;
    state->fragmented = mp4_box_find(&children, MP4_TYPE('m', 'v', 'e', 'x'), &mvex);
    while (state->fragmented && mp4_box_next(&mvex.body, &box)) {
        if (box.type == MP4_TYPE('t', 'r', 'e', 'x'))
            mp4_parse_trex(box.body, segment, state);
    }
    return 0;
}

void mp4_state_fini(struct mp4_state *state)
{
    for (size_t i = 0; i < MEDIA_TRACKS_MAX; i++)
        buf_fini(&state->entries[i]);
}

bool mp4_state_describe(struct mp4_track_state *track, uint32_t description)
{
    if (track->description == 0 && description > 0 && description <= track->entry_count)
        track->description = description;
    return description > 0 && track->description == description;
}

void mp4_settle_entries(struct media_segment *segment, const struct mp4_state *state)
{
    for (size_t i = 0; i < segment->track_count; i++) {
        struct media_track *track = &segment->tracks[i];
        struct mp4_reader entries = mp4_reader_init(state->entries[i].data, state->entries[i].size);
        struct mp4_box entry;
        if (state->tracks[i].description < 2)
            continue;
        for (uint32_t number = 0; number < state->tracks[i].description; number++)
            mp4_box_next(&entries, &entry);
        free(track->entry);
        track->entry = xmalloc(entry.size);
        memcpy(track->entry, entry.start, entry.size);
        track->entry_size = entry.size;
    }
}

bool mp4_add_sample(
    struct mp4_state *state, struct media_track *track, const struct media_sample *sample)
{
    if (track->sample_count >= state->samples_max)
        return false;
    ARRAY_RESERVE(track->samples, track->sample_count, track->sample_capacity);
    track->samples[track->sample_count++] = *sample;
    if (sample->offset < state->media_begin)
        state->media_begin = sample->offset;
    if (sample->offset + sample->size > state->media_end)
        state->media_end = sample->offset + sample->size;
    return true;
}
