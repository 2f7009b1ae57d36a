// Any range of a stream as one file. See playback.h and docs/api.md.
#include "webui/playback.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/etag.h"
#include "webui/footage_line.h"
#include "webui/layout.h"
#include "webui/playback_check.h"
#include "webui/product.h"

static const char *const playback_gaps[] = {"skip", "fail", NULL};
static const char *const playback_start_at[] = {"exact", "keyframe", NULL};

// What says which file it is.
// clang-format off
#define PLAYBACK_RULES \
    [PLAYBACK_START] = {.name = "start", .type = QUERY_TIME, .required = true}, \
    [PLAYBACK_END] = {.name = "end", .type = QUERY_TIME}, \
    [PLAYBACK_DURATION] = {.name = "duration", .type = QUERY_DURATION}, \
    [PLAYBACK_AUDIO] = {.name = "audio", .type = QUERY_FLAG, .fallback = 1}, \
    [PLAYBACK_GAPS] = {.name = "gaps", .type = QUERY_CHOICE, .choices = playback_gaps}, \
    [PLAYBACK_START_AT] = {.name = "start_at", .type = QUERY_CHOICE, .choices = playback_start_at}, \
    [PLAYBACK_DOWNLOAD] = {.name = "download", .type = QUERY_FLAG}, \
    [PLAYBACK_CODEC] = {.name = "codec", .type = QUERY_CHOICE, .choices = product_codecs},
// clang-format on

const struct query_rule playback_rules[] = {PLAYBACK_RULES{0}};

const struct query_rule playback_map_rules[] = {
    PLAYBACK_RULES[PLAYBACK_LIMIT] =
        {.name = "limit", .type = QUERY_INTEGER, .fallback = 1000, .min = 1, .max = 10000},
    [PLAYBACK_CURSOR] = {.name = "cursor", .type = QUERY_INTEGER, .max = INT32_MAX},
    {0},
};

// Reads the parameters. Returns false with the reply filled.
static bool playback_read_key(
    const struct request *request, struct layout_key *key, struct reply *reply)
{
    const struct query_value *values = request->values;
    *key = (struct layout_key){
        .start_us = values[PLAYBACK_START].number,
        .audio = values[PLAYBACK_AUDIO].number == 1,
        .gaps_fail = values[PLAYBACK_GAPS].number == 1,
        .start_at_key = values[PLAYBACK_START_AT].number == 1,
        .codec = (int)values[PLAYBACK_CODEC].number,
    };
    return product_read_range(
        request, &values[PLAYBACK_END], &values[PLAYBACK_DURATION], key, reply);
}

// --- Laying out ---

// The sample entries of the file: each codec that its segments use, once.
struct playback_entries {
    struct mp4_entry *items[MEDIA_TRACKS_MAX];
    uint32_t *numbers; // of each of the footage's codecs in its track's entries; 0: not used
};

static void playback_take_entries(struct playback_entries *entries, const struct footage *footage,
    struct vfile_segment *segments, struct vfile_request *request)
{
    entries->numbers = xcalloc(footage->codec_count + 1, sizeof(entries->numbers[0]));
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        entries->items[kind] = xcalloc(footage->codec_count + 1, sizeof(struct mp4_entry));
        request->entries[kind].items = entries->items[kind];
        for (size_t i = 0; i < footage->count; i++) {
            uint32_t index = footage->segments[i].codecs[kind];
            if (index == 0 || segments[i].tracks[kind].counts.samples == 0)
                continue;
            const struct catalog_codec *codec = &footage->codecs[index - 1];
            if (entries->numbers[index] == 0) {
                size_t count = request->entries[kind].count++;
                entries->items[kind][count] = (struct mp4_entry){codec->entry, codec->entry_size};
                entries->numbers[index] = (uint32_t)count + 1;
            }
            segments[i].entries[kind] = entries->numbers[index];
            request->width =
                codec->info.width > request->width ? codec->info.width : request->width;
            request->height =
                codec->info.height > request->height ? codec->info.height : request->height;
        }
    }
}

static void playback_entries_fini(struct playback_entries *entries)
{
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        free(entries->items[kind]);
    free(entries->numbers);
}

static struct vfile *playback_make_file(struct worker *worker, const struct layout_key *key,
    const struct footage *footage, char **cause)
{
    struct vfile_segment *segments = xcalloc(footage->count, sizeof(segments[0]));
    struct playback_entries entries;
    struct vfile_request request = {
        .segments = segments,
        .segment_count = footage->count,
        .start_us = key->start_us,
        .end_us = key->end_us,
        .audio = key->audio,
        .start_at_key = key->start_at_key,
    };
    product_describe(footage, segments);
    playback_take_entries(&entries, footage, segments, &request);
    struct layout_access access = {worker, footage};
    struct vfile_source source = layout_source(&access);
    struct vfile *file = vfile_new(&request, &source, cause);
    playback_entries_fini(&entries);
    free(segments);
    return file;
}

// The entity tag stands for everything that the bytes come from.
static void playback_tag(struct layout *layout)
{
    const struct footage *footage = &layout->footage;
    const struct vfile_info *info = vfile_info(layout->file);
    int64_t last_us = footage->segments[info->last].end_us;
    const int64_t request[] = {VFILE_FORMAT_VERSION, layout->key.start_us,
        layout->key.end_us < last_us ? layout->key.end_us : last_us, layout->key.audio,
        layout->key.start_at_key, layout->key.codec, (int64_t)info->size};
    struct etag etag;
    etag_init(&etag);
    etag_add(&etag, request, sizeof(request));
    for (size_t i = info->first; i <= info->last; i++) {
        const struct footage_segment *segment = &footage->segments[i];
        char id[SEGMENT_TEXT_SIZE];
        footage_id(footage, segment, id);
        etag_add(&etag, id, strlen(id));
        const int64_t place[] = {segment->start_us, segment->end_us, (int64_t)segment->media_offset,
            (int64_t)segment->media_end};
        etag_add(&etag, place, sizeof(place));
        for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
            const struct track_summary *summary = &segment->tracks[kind];
            const struct track_counts *counts = &summary->counts;
            const int64_t figures[] = {summary->timescale, summary->start,
                summary->first_presentation, summary->last_duration, counts->samples, counts->syncs,
                counts->chunks, counts->stts_entries, counts->ctts_entries, (int64_t)counts->bytes,
                (int64_t)counts->duration};
            etag_add(&etag, figures, sizeof(figures));
            if (segment->codecs[kind] == 0)
                continue;
            const struct catalog_codec *codec = &footage->codecs[segment->codecs[kind] - 1];
            etag_add(&etag, codec->entry, codec->entry_size);
        }
    }
    etag_format(&etag, layout->etag, sizeof(layout->etag));
    // A date has seconds only, so it stands for what does not change any more.
    layout->modified_s = last_us / US_PER_SECOND;
    for (size_t i = info->first; i <= info->last; i++)
        if (footage->segments[i].state != FOOTAGE_SEALED)
            layout->modified_s = 0;
}

// Loads the footage and lays it out. Returns NULL with the reply filled on failure.
static struct layout *playback_lay_out(
    struct worker *worker, const struct layout_key *key, struct reply *reply)
{
    const struct footage_query query = {
        .camera = key->camera,
        .stream = key->stream,
        .start_us = key->start_us,
        .end_us = key->end_us,
        .after_us = INT64_MIN,
        .limit = PRODUCT_SEGMENTS_MAX + 1,
        .predecessor = true,
    };
    struct footage footage;
    struct layout *layout = NULL;
    struct vfile *file;
    char *cause = NULL;
    enum catalog_status status = footage_load(worker, &query, &footage, &cause);
    if (product_load_failed(reply, key->camera, key->stream, status, cause)) {
        free(cause);
        return NULL;
    }
    product_choose_codec(&footage, key->codec);
    if (footage.count > PRODUCT_SEGMENTS_MAX)
        reply_error(reply, 400, "range_too_long", "start",
            "a file holds %d segments at most; ask for a part of the range", PRODUCT_SEGMENTS_MAX);
    else if (playback_check(&footage, key, reply)) {
        footage_line_up(&footage, key->start_us);
        worker->busy = false;
        file = playback_make_file(worker, key, &footage, &cause);
        if (file != NULL) {
            layout = layout_new(key, &footage, file);
            playback_tag(layout);
            return layout;
        }
        product_refuse(reply, key, worker->busy, cause);
    }
    free(cause);
    footage_fini(&footage);
    return layout;
}

// --- Answering ---

// "front-door_main_2026-03-31_07-30-00Z_600s.mp4"
static void playback_name_file(struct reply *reply, const struct layout *layout, bool download)
{
    const struct vfile_info *info = vfile_info(layout->file);
    char time[TIME_TEXT_SIZE];
    product_file_time(info->start_us, time);
    reply_header(reply, "Content-Disposition", "%s; filename=\"%s_%s_%sZ_%" PRId64 "s.mp4\"",
        download ? "attachment" : "inline", layout->key.camera, layout->key.stream, time,
        (info->duration_us + US_PER_SECOND / 2) / US_PER_SECOND);
}

static void playback_answer(
    struct worker *worker, struct reply *reply, struct layout *layout, bool download)
{
    const struct vfile_info *info = vfile_info(layout->file);
    char text[TIME_TEXT_SIZE];
    reply->status = 200;
    reply->content_type = "video/mp4";
    time_format_utc(info->start_us, text);
    reply_header(reply, "X-Keepframe-Start", "%s", text);
    time_format_utc(info->end_us, text);
    reply_header(reply, "X-Keepframe-End", "%s", text);
    reply_header(reply, "X-Keepframe-Lead-In-Ms", "%" PRId64, (info->lead_in_us + 500) / 1000);
    reply_header(reply, "X-Keepframe-Skipped-Ms", "%" PRId64, (info->skipped_us + 500) / 1000);
    reply_header(reply, "X-Keepframe-Silence-Ms", "%" PRId64, (info->silence_us + 500) / 1000);
    playback_name_file(reply, layout, download);
    memcpy(reply->etag, layout->etag, sizeof(reply->etag));
    reply->modified_s = layout->modified_s;
    product_lasts(reply, layout);
    reply->stream = layout_stream(layout, worker->shared->holds, worker->shared->disks);
}

struct layout *playback_layout(
    struct worker *worker, const struct request *request, struct reply *reply)
{
    struct layout_key key;
    if (!playback_read_key(request, &key, reply))
        return NULL;
    struct layout *layout =
        layouts_find(worker->shared->layouts, &key, request->conditions.if_range);
    if (layout != NULL)
        return layout;
    layout = playback_lay_out(worker, &key, reply);
    if (layout != NULL)
        layouts_keep(worker->shared->layouts, layout);
    return layout;
}

void playback_handle(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct layout *layout = playback_layout(worker, request, reply);
    if (layout == NULL)
        return;
    playback_answer(worker, reply, layout, request->values[PLAYBACK_DOWNLOAD].number == 1);
    layout_release(layout);
}
