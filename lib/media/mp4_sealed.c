// The trailing moov of a sealed segment: what makes the fragments a plain, seekable file. See
// mp4_write.h.
//
// Each track's times begin at its earliest presentation: composition offsets are moved so that it
// is zero (they may be negative then: ctts version 1), and an empty edit puts a track that begins
// later than the other in its place. So no sample is hidden, and a player that ignores edit lists
// is wrong by that difference at most.
#include "lib/media/mp4_write.h"

#include <stdlib.h>

#include "lib/core/timeutil.h"
#include "lib/media/codec.h"
#include "lib/media/mp4_rows.h"
#include "lib/media/mp4_tags.h"

// One track on the movie's time scale.
struct sealed_track {
    const struct media_track *media;
    struct track_summary summary;
    int64_t start;     // of its earliest presentation, on the run's media clock
    uint64_t duration; // from there to the end of its last
    struct mp4_edit edits[2];
    struct mp4_entry entry;
};

// Where the presentation of the track's last shown sample ends, relative to its first sample's
// decode time.
static int64_t sealed_presentation_end(const struct media_track *track)
{
    int64_t time = 0, end = INT64_MIN;
    for (size_t i = 0; i < track->sample_count; i++) {
        const struct media_sample *sample = &track->samples[i];
        int64_t sample_end = time + sample->composition + sample->duration;
        if (sample_end > end)
            end = sample_end;
        time += sample->duration;
    }
    return end;
}

static void sealed_measure(
    struct sealed_track *sealed, const struct media_track *track, uint32_t timescale)
{
    *sealed = (struct sealed_track){.media = track};
    track_summarize(track, &sealed->summary);
    int64_t first = sealed->summary.first_presentation;
    sealed->start = time_muldiv(track->start + first, timescale, track->timescale);
    sealed->duration =
        (uint64_t)time_muldiv(sealed_presentation_end(track) - first, timescale, track->timescale);
    sealed->entry = (struct mp4_entry){track->entry, track->entry_size};
}

// The head's description of a track; its edits live in `sealed`.
static struct mp4_track sealed_describe(struct sealed_track *sealed, uint64_t delay)
{
    struct mp4_track track = {
        .id = sealed->media->id,
        .kind = sealed->media->kind,
        .timescale = sealed->media->timescale,
        .duration = delay + sealed->duration,
        .edits = sealed->edits,
        .entries = &sealed->entry,
        .entry_count = 1,
        .composition = sealed->summary.least_composition != sealed->summary.first_presentation ||
                       sealed->summary.greatest_composition != sealed->summary.first_presentation,
        .counts = sealed->summary.counts,
    };
    struct codec_info info;
    char *cause = NULL;
    if (codec_describe(sealed->media->entry, sealed->media->entry_size, &info, &cause) == 0 &&
        track.kind == MEDIA_VIDEO) {
        track.width = info.width;
        track.height = info.height;
    }
    free(cause);
    if (delay > 0)
        sealed->edits[track.edit_count++] = (struct mp4_edit){delay, -1};
    sealed->edits[track.edit_count++] = (struct mp4_edit){sealed->duration, 0};
    return track;
}

static void sealed_put_tables(
    struct buf *buf, const struct sealed_track *sealed, const struct mp4_track *track)
{
    const struct media_track *media = sealed->media;
    for (enum mp4_table table = 0; table < MP4_TABLE_COUNT; table++) {
        struct mp4_rows rows = {
            .buf = buf,
            .table = table,
            .composition_shift = -(int64_t)sealed->summary.first_presentation,
            .entry = 1,
            .sample_number = 1,
        };
        if (mp4_table_size(track, table) == 0)
            continue;
        mp4_put_table_head(buf, track, table);
        mp4_rows_add_all(&rows, media->samples, media->sample_count);
        mp4_rows_end(&rows);
    }
}

void mp4_put_sealed_moov(
    struct buf *buf, const struct media_segment *segment, const struct mp4_tags *tags)
{
    struct sealed_track tracks[MEDIA_TRACKS_MAX];
    size_t count = 0;
    uint32_t timescale = 0, next_id = 1;
    int64_t start = INT64_MAX;
    uint64_t duration = 0;
    for (size_t i = 0; i < segment->track_count; i++) {
        const struct media_track *track = &segment->tracks[i];
        if (track->sample_count == 0)
            continue;
        if (timescale == 0)
            timescale = track->timescale;
        struct sealed_track *sealed = &tracks[count++];
        sealed_measure(sealed, track, timescale);
        if (sealed->start < start)
            start = sealed->start;
        if (track->id >= next_id && track->id < UINT32_MAX)
            next_id = track->id + 1;
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t end = (uint64_t)(tracks[i].start - start) + tracks[i].duration;
        if (end > duration)
            duration = end;
    }
    size_t moov = mp4_box_begin(buf, "moov");
    mp4_put_mvhd(buf, tags->start_us, timescale > 0 ? timescale : 1000, duration, next_id);
    for (size_t i = 0; i < count; i++) {
        struct mp4_track track = sealed_describe(&tracks[i], (uint64_t)(tracks[i].start - start));
        mp4_put_track_head(buf, &track, tags->start_us);
        sealed_put_tables(buf, &tracks[i], &track);
    }
    mp4_put_tags(buf, tags);
    mp4_box_end(buf, moov);
}
