// A sealed segment, read back. See sealed.h.
#include "indexer/sealed.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"
#include "lib/media/catalog_tracks.h"
#include "lib/media/samples.h"

enum {
    SEALED_CODEC_ANY = 1, // in place of a codec's id, as long as the catalog was not asked
};

// The end of the year 9999.
#define SEALED_UTC_US_MAX (INT64_C(253402300799) * US_PER_SECOND)

bool sealed_span_plausible(int64_t start_us, int64_t end_us)
{
    return start_us >= 0 && end_us >= start_us && end_us <= SEALED_UTC_US_MAX &&
           end_us - start_us <= CATALOG_DURATION_US_MAX;
}

void sealed_summarize(const struct media_segment *media, const struct mp4_layout *layout,
    struct catalog_segment *row, struct buf *packed)
{
    row->media_offset = layout->media_offset;
    row->media_end = layout->media_end;
    for (size_t i = 0; i < media->track_count; i++) {
        const struct media_track *track = &media->tracks[i];
        struct catalog_track *summary = track->kind == MEDIA_VIDEO ? &row->video : &row->audio;
        track_summarize(track, &summary->summary);
        summary->codec_id = SEALED_CODEC_ANY;
    }
    sample_table_encode(media, packed);
}

// Checks that every sample entry is one that the catalog takes.
static int sealed_check_codecs(const struct media_segment *media, char **cause)
{
    struct codec_info info;
    for (size_t i = 0; i < media->track_count; i++) {
        const struct media_track *track = &media->tracks[i];
        if (codec_describe(track->entry, track->entry_size, &info, cause) < 0)
            return -1;
    }
    return 0;
}

static int sealed_read(struct sealed *sealed, const struct mp4_source *source, char **cause)
{
    if (mp4_read(source, &sealed->media, &sealed->layout, cause) < 0)
        return -1;
    sealed->state = seal_inspect(source, &sealed->media, &sealed->layout, &sealed->tags);
    if (sealed->state < SEAL_WRITTEN &&
        mp4_read_tags(source, &sealed->layout, &sealed->tags, cause) < 0)
        return -1;
    if (sealed->state < SEAL_WRITTEN)
        mend_apply(&sealed->tags.mend, &sealed->media);
    if (!segment_id_parse(sealed->tags.identity, &sealed->id) ||
        !sealed_span_plausible(sealed->tags.start_us, sealed->tags.end_us) ||
        !media_segment_span(&sealed->media, &sealed->media_start_us, &sealed->media_duration_us)) {
        *cause = xstrdup("its tags name no segment");
        return -1;
    }
    return sealed_check_codecs(&sealed->media, cause);
}

int sealed_load(struct sealed *sealed, int fd, uint64_t size, const char *key, char **cause)
{
    struct cache_reader *reader = xmalloc(sizeof(*reader));
    cache_reader_init(reader, fd);
    const struct mp4_source source = cache_reader_source(reader, size);
    *sealed = (struct sealed){0};
    int result = sealed_read(sealed, &source, cause);
    free(reader);
    if (result < 0) {
        sealed_fini(sealed);
        return -1;
    }
    sealed->row = (struct catalog_segment){
        .start_us = sealed->tags.start_us,
        .end_us = sealed->tags.end_us,
        .run = sealed->id.run,
        .number = sealed->id.number,
        .size_bytes = size,
        .utc_offset_s = sealed->tags.utc_offset_s,
        .key = xstrdup(key),
    };
    sealed_summarize(&sealed->media, &sealed->layout, &sealed->row, &sealed->packed);
    sealed->jump_us = segtime_jump_us(&sealed->media);
    if (catalog_tracks_valid(&sealed->row))
        return 0;
    *cause = xstrdup("its counts can not be those of a file");
    sealed_fini(sealed);
    return -1;
}

void sealed_fini(struct sealed *sealed)
{
    media_segment_fini(&sealed->media);
    catalog_segment_fini(&sealed->row);
    buf_fini(&sealed->packed);
}

void sealed_forget_samples(struct sealed *sealed)
{
    for (size_t i = 0; i < sealed->media.track_count; i++) {
        struct media_track *track = &sealed->media.tracks[i];
        free(track->samples);
        track->samples = NULL;
        track->sample_count = track->sample_capacity = 0;
    }
}

// --- Into the catalog ---

static enum catalog_status sealed_commit_codecs(
    struct sealed *sealed, struct catalog *catalog, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    for (size_t i = 0; i < sealed->media.track_count && status == CATALOG_OK; i++) {
        const struct media_track *track = &sealed->media.tracks[i];
        struct catalog_track *row =
            track->kind == MEDIA_VIDEO ? &sealed->row.video : &sealed->row.audio;
        status = catalog_codec_add(catalog, track->entry, track->entry_size, &row->codec_id, cause);
    }
    return status;
}

// The run's clock, as it stands after this segment: footage of the run that is still to come goes
// on from there.
static enum catalog_status sealed_commit_run(
    const struct sealed *sealed, struct catalog *catalog, char **cause)
{
    const struct catalog_segment *row = &sealed->row;
    struct catalog_run run;
    enum catalog_status status = catalog_run_get(catalog, row->stream_id, row->run, &run, cause);
    if (status == CATALOG_NONE) {
        status = CATALOG_OK;
        run = (struct catalog_run){
            .stream_id = row->stream_id, .run = row->run, .start_us = row->run * 1000};
    }
    int64_t media_end_us = sealed->media_start_us + sealed->media_duration_us;
    if (status != CATALOG_OK || (run.time.placed && run.time.next_media_us >= media_end_us))
        return status;
    run.time = (struct segtime){
        .anchored = true,
        .anchor_us = row->start_us - sealed->media_start_us,
        .observations = 1,
        .placed = true,
        .start_us = row->start_us,
        .next_start_us = row->end_us,
        .next_media_us = media_end_us,
        .jump_us = sealed->jump_us,
    };
    if (sealed->tags.mend.kind != 0)
        run.mend = sealed->tags.mend;
    return catalog_run_put(catalog, &run, cause);
}

enum catalog_status sealed_commit(
    struct sealed *sealed, struct catalog *catalog, int64_t volume_id, char **cause)
{
    struct catalog_segment *row = &sealed->row;
    *cause = NULL;
    row->volume_id = volume_id;
    enum catalog_status status =
        catalog_stream_add(catalog, sealed->id.camera, sealed->id.stream, &row->stream_id, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_known(catalog, row->stream_id, row->run, row->number, cause);
    if (status != CATALOG_NONE)
        return status == CATALOG_OK ? CATALOG_NONE : status;
    status = sealed_commit_run(sealed, catalog, cause);
    if (status == CATALOG_OK)
        status = sealed_commit_codecs(sealed, catalog, cause);
    if (status == CATALOG_OK)
        status = catalog_frames_put(catalog, row, sealed->packed.data, sealed->packed.size, cause);
    return status == CATALOG_OK ? catalog_segment_add(catalog, row, cause) : status;
}
