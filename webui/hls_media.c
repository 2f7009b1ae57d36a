// What the playlists name: initialisations and media segments. See hls.h.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/media/portion_media.h"
#include "lib/media/silence.h"
#include "webui/etag.h"
#include "webui/footage.h"
#include "webui/hls.h"
#include "webui/layout.h"
#include "webui/playlist.h"

enum {
    HLS_FORMAT_VERSION = 1,
    HLS_LASTS_S = 3600, // what is filed does not change
};

enum {
    HLS_MEDIA_AUDIO,
};

const struct query_rule hls_media_rules[] = {
    [HLS_MEDIA_AUDIO] = {.name = "audio", .type = QUERY_FLAG, .fallback = 1},
    {0},
};

// Loads the one segment. Returns false with the reply filled on failure.
static bool hls_load_segment(struct worker *worker, const struct request *request, int64_t run,
    uint32_t number, struct footage *footage, struct reply *reply)
{
    struct segment_id id = {.run = run, .number = number};
    char *cause = NULL;
    memcpy(id.camera, request->names[0], sizeof(id.camera));
    memcpy(id.stream, request->names[1], sizeof(id.stream));
    enum catalog_status status = footage_load_one(worker, &id, footage, &cause);
    if (status == CATALOG_OK && footage->segments[0].tracks[VFILE_VIDEO].counts.samples == 0) {
        footage_fini(footage);
        status = CATALOG_NONE;
    }
    if (status == CATALOG_BUSY)
        reply_busy(reply);
    else if (status == CATALOG_NONE)
        reply_error(reply, 404, "segment_not_found", NULL,
            "segment %" PRId64 "-%06" PRIu32 " of \"%s/%s\" is not there, or not any more", run,
            number, id.camera, id.stream);
    else if (status != CATALOG_OK)
        reply_error(reply, 503, "catalog_unreadable", NULL, "%s", cause);
    free(cause);
    return status == CATALOG_OK;
}

static void hls_name_unknown(struct reply *reply, const char *name)
{
    reply_error(reply, 404, "segment_not_found", NULL,
        "\"%s\" is no name that a playlist has: load the playlist again", name);
}

static const struct catalog_codec *hls_codec(const struct footage *footage, int kind)
{
    uint32_t index = footage->segments[0].codecs[kind];
    return index > 0 ? &footage->codecs[index - 1] : NULL;
}

// --- Initialisation ---

static void hls_put_init(const struct footage *footage, bool audio, struct buf *out)
{
    struct mp4_track tracks[MEDIA_TRACKS_MAX];
    struct mp4_entry entries[MEDIA_TRACKS_MAX];
    size_t count = 0;
    for (int kind = 0; kind < (audio ? MEDIA_TRACKS_MAX : 1); kind++) {
        const struct catalog_codec *codec = hls_codec(footage, kind);
        if (codec == NULL)
            continue;
        entries[count] = (struct mp4_entry){codec->entry, codec->entry_size};
        tracks[count] = (struct mp4_track){
            .id = (uint32_t)kind + 1,
            .kind = kind == VFILE_VIDEO ? MEDIA_VIDEO : MEDIA_AUDIO,
            .timescale = footage->segments[0].tracks[kind].timescale,
            .width = codec->info.width,
            .height = codec->info.height,
            .entries = &entries[count],
            .entry_count = 1,
        };
        count++;
    }
    mp4_put_init(out, tracks, count);
}

void hls_init(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct footage footage;
    int64_t run;
    uint32_t number;
    if (!playlist_parse_init(request->names[2], &run, &number)) {
        hls_name_unknown(reply, request->names[2]);
        return;
    }
    if (!hls_load_segment(worker, request, run, number, &footage, reply))
        return;
    hls_put_init(&footage, request->values[HLS_MEDIA_AUDIO].number == 1, &reply->body);
    reply->lasts_s = footage.segments[0].state == FOOTAGE_SEALED ? HLS_LASTS_S : 0;
    footage_fini(&footage);
    reply->status = 200;
    reply->content_type = "video/mp4";
}

// --- Media ---

// What is asked for: a portion of the one segment in `footage`.
struct hls_portion {
    struct worker *worker;
    struct footage *footage;
    struct portions portions;
    uint32_t index;
    bool audio;
};

// The portion's virtual file. Returns NULL with *cause set on failure, or without when there is no
// such portion.
static struct vfile *hls_make_file(struct hls_portion *portion, char **cause)
{
    struct footage_segment *segment = &portion->footage->segments[0];
    const struct sample_table *table =
        footage_table(portion->worker, portion->footage, segment, cause);
    if (table == NULL)
        return NULL;
    const struct sample_table_track *video = sample_table_track(table, MEDIA_VIDEO);
    if (video != NULL)
        portions_find(&portion->portions, video, segment->tracks[VFILE_VIDEO].timescale);
    size_t count = portion->portions.count;
    bool last = portion->index + 1 == count;
    // The last one of a file that is still written may grow.
    if (portion->index >= count || (last && segment->state == FOOTAGE_OPEN))
        return NULL;
    const struct catalog_codec *codec = hls_codec(portion->footage, VFILE_AUDIO);
    struct silence silence = {0};
    if (codec != NULL && !silence_make(codec->entry, codec->entry_size,
                             segment->tracks[VFILE_AUDIO].timescale, &silence))
        silence = (struct silence){0};
    const struct portion_request request = {
        .table = table,
        .tracks = segment->tracks,
        .portion = &portion->portions.items[portion->index],
        .audio = portion->audio && codec != NULL,
        .first = portion->index == 0,
        .last = last,
        .run_start = segment->number == 0,
        .silence = {silence.size, silence.duration},
        // The run's start: then times grow from run to run also for readers that do not look at
        // discontinuities.
        .time_base_s = segment->run / 1000,
    };
    struct portion_media media;
    struct vfile *file = NULL;
    if (portion_media_make(&media, &request, cause) == 0)
        file = vfile_new_portion(&media, &silence, cause);
    portion_media_fini(&media);
    return file;
}

// Stands for everything that the bytes come from.
static void hls_tag(struct layout *layout, const struct hls_portion *portion)
{
    const struct footage *footage = &layout->footage;
    const struct footage_segment *segment = &footage->segments[0];
    struct etag etag;
    char id[SEGMENT_TEXT_SIZE];
    etag_init(&etag);
    footage_id(footage, segment, id);
    etag_add(&etag, id, strlen(id));
    const int64_t place[] = {HLS_FORMAT_VERSION, portion->index, portion->audio,
        (int64_t)vfile_info(layout->file)->size, (int64_t)segment->media_offset,
        segment->tracks[VFILE_VIDEO].start, segment->tracks[VFILE_AUDIO].start};
    etag_add(&etag, place, sizeof(place));
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++) {
        const struct catalog_codec *codec = hls_codec(footage, kind);
        if (codec != NULL)
            etag_add(&etag, codec->entry, codec->entry_size);
    }
    etag_format(&etag, layout->etag, sizeof(layout->etag));
}

// Answers with the portion; takes the footage.
static void hls_answer_portion(
    struct hls_portion *portion, const struct request *request, struct reply *reply)
{
    struct layout_key key = {.audio = portion->audio};
    char *cause = NULL;
    portion->worker->busy = false;
    struct vfile *file = hls_make_file(portion, &cause);
    if (file == NULL) {
        if (portion->worker->busy)
            reply_busy(reply);
        else if (cause == NULL)
            reply_error(reply, 404, "segment_not_found", NULL,
                "the segment has no portion %" PRIu32 ", or not yet", portion->index);
        else
            reply_error(reply, 500, "unplayable", NULL, "this can not be played: %s", cause);
        free(cause);
        footage_fini(portion->footage);
        return;
    }
    memcpy(key.camera, request->names[0], sizeof(key.camera));
    memcpy(key.stream, request->names[1], sizeof(key.stream));
    struct layout *layout = layout_new(&key, portion->footage, file);
    hls_tag(layout, portion);
    reply->status = 200;
    reply->content_type = "video/mp4";
    memcpy(reply->etag, layout->etag, sizeof(reply->etag));
    reply->lasts_s = layout->footage.segments[0].state == FOOTAGE_SEALED ? HLS_LASTS_S : 0;
    struct shared *shared = portion->worker->shared;
    reply->stream = layout_stream(layout, shared->holds, shared->disks);
    layout_release(layout);
}

void hls_segment(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct footage footage;
    struct hls_portion portion = {.worker = worker,
        .footage = &footage,
        .audio = request->values[HLS_MEDIA_AUDIO].number == 1};
    int64_t run;
    uint32_t number;
    if (!playlist_parse_item(request->names[2], &run, &number, &portion.index)) {
        hls_name_unknown(reply, request->names[2]);
        return;
    }
    if (!hls_load_segment(worker, request, run, number, &footage, reply))
        return;
    hls_answer_portion(&portion, request, reply);
    portions_fini(&portion.portions);
}
