// A movie fragment: which samples there are in its mdat (ISO/IEC 14496-12, 8.8). See mp4_parse.h.
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/media/mp4_parse.h"

enum {
    TFHD_BASE_DATA_OFFSET = 0x000001,
    TFHD_DESCRIPTION = 0x000002,
    TFHD_DURATION = 0x000008,
    TFHD_SIZE = 0x000010,
    TFHD_FLAGS = 0x000020,
    TFHD_BASE_IS_MOOF = 0x020000,

    TRUN_DATA_OFFSET = 0x0001,
    TRUN_FIRST_FLAGS = 0x0004,
    TRUN_DURATION = 0x0100,
    TRUN_SIZE = 0x0200,
    TRUN_FLAGS = 0x0400,
    TRUN_COMPOSITION = 0x0800,

    SAMPLE_NON_SYNC = 0x00010000, // sample_is_non_sync_sample (8.8.3.1)
};

// One traf while it is read.
struct mp4_traf {
    struct media_track *track; // NULL for a track that is not wanted
    struct mp4_track_state *state;
    struct mp4_defaults defaults;
    bool has_time;
    int64_t time;       // tfdt
    uint64_t base;      // base data offset
    uint64_t next;      // where the next run lies when it does not say
    bool cut;           // a sample was not whole: nothing of this track counts from there on
    bool first_pending; // no sample of this traf was added yet
};

static uint32_t mp4_next_u32(const uint8_t **at)
{
    uint32_t value = mp4_load_u32(*at);
    *at += 4;
    return value;
}

// Reads tfhd (8.8.7). `previous_end` is where the data of the traf before ends.
static bool mp4_parse_tfhd(struct mp4_reader tfhd, const struct mp4_fragment *fragment,
    uint64_t previous_end, struct media_segment *segment, struct mp4_state *state,
    struct mp4_traf *traf)
{
    uint32_t flags;
    mp4_reader_full(&tfhd, &flags);
    uint32_t id = mp4_reader_u32(&tfhd);
    for (size_t i = 0; i < segment->track_count; i++) {
        if (segment->tracks[i].id != id)
            continue;
        traf->track = &segment->tracks[i];
        traf->state = &state->tracks[i];
        traf->defaults = state->tracks[i].defaults;
    }
    traf->base = flags & TFHD_BASE_IS_MOOF ? fragment->moof_offset : previous_end;
    if (flags & TFHD_BASE_DATA_OFFSET)
        traf->base = mp4_reader_u64(&tfhd);
    if (flags & TFHD_DESCRIPTION)
        traf->defaults.description = mp4_reader_u32(&tfhd);
    if (flags & TFHD_DURATION)
        traf->defaults.duration = mp4_reader_u32(&tfhd);
    if (flags & TFHD_SIZE)
        traf->defaults.size = mp4_reader_u32(&tfhd);
    if (flags & TFHD_FLAGS)
        traf->defaults.flags = mp4_reader_u32(&tfhd);
    traf->next = traf->base;
    return !tfhd.failed && traf->base <= MP4_OFFSET_MAX;
}

static bool mp4_parse_tfdt(struct mp4_reader tfdt, struct mp4_traf *traf)
{
    uint32_t flags;
    uint8_t version = mp4_reader_full(&tfdt, &flags);
    uint64_t time = version == 1 ? mp4_reader_u64(&tfdt) : mp4_reader_u32(&tfdt);
    traf->has_time = true;
    traf->time = (int64_t)time;
    return !tfdt.failed && time <= MP4_TIME_MAX;
}

// Takes the time of a traf's first sample over into the track. Where it says otherwise than the
// durations so far, the sample before it lasts longer or shorter: at least one tick, so that time
// never runs backward; what can not be taken back there is at the next fragment.
static void mp4_traf_begin(struct mp4_traf *traf)
{
    struct media_track *track = traf->track;
    traf->first_pending = false;
    if (track->sample_count == 0) {
        track->start = (traf->has_time ? traf->time : 0) + traf->state->shift;
        traf->state->next_time = track->start;
        return;
    }
    int64_t time = traf->time + traf->state->shift;
    if (!traf->has_time || time == traf->state->next_time)
        return;
    struct media_sample *last = &track->samples[track->sample_count - 1];
    int64_t duration = last->duration + (time - traf->state->next_time);
    if (duration < 1)
        duration = last->duration < 1 ? last->duration : 1;
    if (duration > UINT32_MAX)
        duration = UINT32_MAX;
    traf->state->next_time += duration - last->duration;
    last->duration = (uint32_t)duration;
}

// One track run, its header read and its table checked against its box.
struct mp4_run {
    uint32_t count;
    uint32_t flags;
    uint32_t first_flags;
    uint64_t offset;
    const uint8_t *rows;
    uint32_t row_size;
};

// Reads the header of a trun (8.8.8) and makes sure that its rows are there.
static bool mp4_parse_trun(struct mp4_reader trun, const struct mp4_traf *traf, struct mp4_run *run)
{
    mp4_reader_full(&trun, &run->flags);
    run->count = mp4_reader_u32(&trun);
    run->offset = traf->next;
    if (run->flags & TRUN_DATA_OFFSET) {
        int64_t offset = (int64_t)traf->base + (int32_t)mp4_reader_u32(&trun);
        if (offset < 0)
            return false;
        run->offset = (uint64_t)offset;
    }
    run->first_flags = run->flags & TRUN_FIRST_FLAGS ? mp4_reader_u32(&trun) : 0;
    run->row_size =
        4 * (uint32_t)__builtin_popcount(
                run->flags & (TRUN_DURATION | TRUN_SIZE | TRUN_FLAGS | TRUN_COMPOSITION));
    run->rows = mp4_reader_take(&trun, (uint64_t)run->count * run->row_size);
    return !trun.failed && run->offset <= MP4_OFFSET_MAX;
}

// Bytes of all samples of a run.
static uint64_t mp4_run_bytes(const struct mp4_run *run, const struct mp4_defaults *defaults)
{
    if (!(run->flags & TRUN_SIZE))
        return (uint64_t)run->count * defaults->size;
    const uint8_t *at = run->rows + (run->flags & TRUN_DURATION ? 4 : 0);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < run->count; i++, at += run->row_size)
        bytes += mp4_load_u32(at);
    return bytes;
}

// The next sample of a run, its offset apart.
static void mp4_read_row(const struct mp4_traf *traf, const struct mp4_run *run, bool first,
    const uint8_t **at, struct media_sample *sample)
{
    uint32_t flags = traf->defaults.flags;
    sample->duration = traf->defaults.duration;
    sample->size = traf->defaults.size;
    if (first && run->flags & TRUN_FIRST_FLAGS)
        flags = run->first_flags;
    if (run->flags & TRUN_DURATION)
        sample->duration = mp4_next_u32(at);
    if (run->flags & TRUN_SIZE)
        sample->size = mp4_next_u32(at);
    if (run->flags & TRUN_FLAGS)
        flags = mp4_next_u32(at);
    // Version 0 is unsigned, but no sane offset has the highest bit set, and writers put negative
    // ones there.
    if (run->flags & TRUN_COMPOSITION)
        sample->composition = (int32_t)mp4_next_u32(at);
    sample->key = !(flags & SAMPLE_NON_SYNC);
}

// Whether a sample lies whole in the data that a fragment may have.
static bool mp4_fragment_holds(
    const struct mp4_fragment *fragment, const struct media_sample *sample)
{
    for (size_t i = 0; i < ARRAY_LENGTH(fragment->data); i++) {
        const struct mp4_extent *data = &fragment->data[i];
        if (sample->offset >= data->begin && sample->offset <= data->end &&
            sample->size <= data->end - sample->offset)
            return true;
    }
    return false;
}

// Adds the whole samples of a run. Returns false when there are more than a file may have, or when
// they are not of the sample entry that the track has.
static bool mp4_add_samples(struct mp4_traf *traf, const struct mp4_run *run,
    const struct mp4_fragment *fragment, struct mp4_state *state)
{
    const uint8_t *at = run->rows;
    struct media_sample sample = {.offset = run->offset};
    if (run->count > 0 && !mp4_state_describe(traf->state, traf->defaults.description))
        return false;
    for (uint32_t i = 0; i < run->count; i++) {
        mp4_read_row(traf, run, i == 0, &at, &sample);
        if (!mp4_fragment_holds(fragment, &sample)) {
            traf->cut = true;
            return true;
        }
        if (traf->first_pending)
            mp4_traf_begin(traf);
        if (!mp4_add_sample(state, traf->track, &sample))
            return false;
        traf->state->next_time += sample.duration;
        sample.offset += sample.size;
    }
    return true;
}

static bool mp4_parse_traf(const struct mp4_fragment *fragment, struct mp4_reader children,
    uint64_t *previous_end, struct media_segment *segment, struct mp4_state *state)
{
    struct mp4_traf traf = {.first_pending = true};
    struct mp4_box box;
    if (!mp4_box_find(&children, MP4_TYPE('t', 'f', 'h', 'd'), &box) ||
        !mp4_parse_tfhd(box.body, fragment, *previous_end, segment, state, &traf))
        return false;
    if (mp4_box_find(&children, MP4_TYPE('t', 'f', 'd', 't'), &box) &&
        !mp4_parse_tfdt(box.body, &traf))
        return false;
    while (mp4_box_next(&children, &box)) {
        struct mp4_run run;
        if (box.type != MP4_TYPE('t', 'r', 'u', 'n'))
            continue;
        if (!mp4_parse_trun(box.body, &traf, &run))
            return false;
        if (traf.track != NULL && !traf.cut && !mp4_add_samples(&traf, &run, fragment, state))
            return false;
        traf.next = run.offset + mp4_run_bytes(&run, &traf.defaults);
        if (traf.next > MP4_OFFSET_MAX)
            return false;
    }
    *previous_end = traf.next;
    return !children.failed;
}

// What a fragment that is not believed must leave as it was.
struct mp4_mark {
    size_t sample_count;
    uint32_t last_duration;
    struct mp4_track_state state;
};

bool mp4_parse_fragment(
    const struct mp4_fragment *fragment, struct media_segment *segment, struct mp4_state *state)
{
    struct mp4_mark marks[MEDIA_TRACKS_MAX] = {0};
    const uint64_t media_begin = state->media_begin, media_end = state->media_end;
    for (size_t i = 0; i < segment->track_count; i++) {
        const struct media_track *track = &segment->tracks[i];
        marks[i].sample_count = track->sample_count;
        if (track->sample_count > 0)
            marks[i].last_duration = track->samples[track->sample_count - 1].duration;
        marks[i].state = state->tracks[i];
    }
    struct mp4_reader children = fragment->children;
    uint64_t previous_end = fragment->moof_offset;
    bool believed = true;
    struct mp4_box box;
    while (believed && mp4_box_next(&children, &box)) {
        if (box.type == MP4_TYPE('t', 'r', 'a', 'f'))
            believed = mp4_parse_traf(fragment, box.body, &previous_end, segment, state);
    }
    if (believed && !children.failed)
        return true;
    for (size_t i = 0; i < segment->track_count; i++) {
        struct media_track *track = &segment->tracks[i];
        track->sample_count = marks[i].sample_count;
        if (track->sample_count > 0)
            track->samples[track->sample_count - 1].duration = marks[i].last_duration;
        else
            track->start = 0;
        state->tracks[i] = marks[i].state;
    }
    state->media_begin = media_begin;
    state->media_end = media_end;
    return false;
}
