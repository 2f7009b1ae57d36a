// Playlists of the archive. See hls.h and docs/api.md.
//
// A media segment of HLS is a portion of a recorded segment (lib/media/portion.h). Its times are
// those of the recorder's run, so nothing has to be put right at the borders of portions and
// segments; where they do not run on there is a discontinuity.
#include "webui/hls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/portion.h"
#include "webui/footage.h"
#include "webui/footage_line.h"
#include "webui/live_reload.h"
#include "webui/playlist.h"
#include "webui/product.h"

enum {
    HLS_STEP_MAX_MS = 100, // further apart, segments of a run do not follow each other
    HLS_LIVE_PAST_S = 120, // that tell what a stream that is live needs
};

enum {
    HLS_START,
    HLS_END,
    HLS_AUDIO,
};

const struct query_rule hls_master_rules[] = {
    [HLS_START] = {.name = "start", .type = QUERY_TIME},
    [HLS_END] = {.name = "end", .type = QUERY_TIME},
    [HLS_AUDIO] = {.name = "audio", .type = QUERY_FLAG, .fallback = 1},
    {0},
};

const struct query_rule hls_vod_rules[] = {
    [HLS_START] = {.name = "start", .type = QUERY_TIME, .required = true},
    [HLS_END] = {.name = "end", .type = QUERY_TIME, .required = true},
    [HLS_AUDIO] = {.name = "audio", .type = QUERY_FLAG, .fallback = 1},
    {0},
};

// Returns false with the reply filled when the parameters contradict each other.
static bool hls_check_range(const struct request *request, struct reply *reply)
{
    int64_t start_us = request->values[HLS_START].number, end_us = request->values[HLS_END].number;
    int64_t now_us = time_now_us();
    if (end_us <= start_us)
        reply_error(reply, 400, "bad_parameter", "end", "\"end\" must be later than \"start\"");
    else if ((end_us < now_us ? end_us : now_us) - start_us > PRODUCT_DAYS_MAX * US_PER_DAY)
        reply_error(reply, 400, "range_too_long", "end",
            "a playlist holds %d days at most; ask for a part of the range", PRODUCT_DAYS_MAX);
    else
        return true;
    return false;
}

static void hls_answer(struct reply *reply, struct buf *text)
{
    reply->status = 200;
    reply->content_type = HLS_CONTENT_TYPE;
    reply->body = *text;
}

// Answers for footage that could not be loaded, and releases the cause. Returns false when all is
// well.
static bool hls_load_failed(struct reply *reply, const char *camera, const char *stream,
    enum catalog_status status, char *cause)
{
    bool failed = product_load_failed(reply, camera, stream, status, cause);
    if (failed)
        free(cause);
    return failed;
}

static enum catalog_status hls_load(struct worker *worker, const char *camera, const char *stream,
    const struct query_value *values, struct footage *footage, char **cause)
{
    const struct footage_query query = {
        .camera = camera,
        .stream = stream,
        .start_us = values[HLS_START].number,
        .end_us = values[HLS_END].number,
        .after_us = INT64_MIN,
        .limit = PRODUCT_SEGMENTS_MAX,
    };
    return footage_load(worker, &query, footage, cause);
}

// --- The streams of a camera ---

static bool hls_has_video(const struct footage_segment *segment)
{
    return segment->tracks[VFILE_VIDEO].counts.samples > 0 && segment->codecs[VFILE_VIDEO] != 0;
}

// Adds a codec's name to a list that does not have it yet, if it fits.
static void hls_add_codec(char *list, const char *name)
{
    size_t used = strlen(list), length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return;
    if (length > 0 && used + length + 2 <= PLAYLIST_TYPE_SIZE)
        snprintf(list + used, PLAYLIST_TYPE_SIZE - used, "%s%s", used > 0 ? "," : "", name);
}

// What a range of a stream needs of a connection and a decoder, from the rows alone.
static bool hls_describe(
    const struct footage *footage, bool audio, struct playlist_variant *variant)
{
    int64_t total_us = 0;
    uint64_t total_bytes = 0, frames = 0;
    for (size_t i = 0; i < footage->count; i++) {
        const struct footage_segment *segment = &footage->segments[i];
        int64_t span_us = segment->end_us - segment->start_us;
        if (!hls_has_video(segment) || span_us <= 0)
            continue;
        for (int kind = 0; kind < (audio ? MEDIA_TRACKS_MAX : 1); kind++) {
            if (segment->codecs[kind] == 0)
                continue;
            const struct codec_info *info = &footage->codecs[segment->codecs[kind] - 1].info;
            hls_add_codec(variant->codecs, info->name);
            variant->width = info->width > variant->width ? info->width : variant->width;
            variant->height = info->height > variant->height ? info->height : variant->height;
        }
        uint64_t rate =
            (uint64_t)((double)segment->size_bytes * 8 * US_PER_SECOND / (double)span_us);
        variant->bandwidth = rate > variant->bandwidth ? rate : variant->bandwidth;
        total_us += span_us;
        total_bytes += segment->size_bytes;
        frames += segment->tracks[VFILE_VIDEO].counts.samples;
    }
    if (total_us == 0)
        return false;
    variant->average_bandwidth =
        (uint64_t)((double)total_bytes * 8 * US_PER_SECOND / (double)total_us);
    variant->frame_rate = (double)frames * US_PER_SECOND / (double)total_us;
    return true;
}

static bool hls_is_live(const struct query_value *values)
{
    return !values[HLS_START].given && !values[HLS_END].given;
}

static char *hls_variant_uri(const char *stream, const struct query_value *values)
{
    if (hls_is_live(values))
        return xasprintf("%s/live.m3u8%s", stream, values[HLS_AUDIO].number == 1 ? "?audio=1" : "");
    char start[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE];
    time_format_utc(values[HLS_START].number, start);
    time_format_utc(values[HLS_END].number, end);
    return xasprintf("%s/vod.m3u8?start=%s&end=%s%s", stream, start, end,
        values[HLS_AUDIO].number == 0 ? "&audio=0" : "");
}

// Writes the variants of those streams that have footage in the range. Returns how many, or -1 with
// the reply filled.
static int hls_put_variants(struct worker *worker, const struct request *request,
    const struct catalog_stream *streams, size_t count, struct buf *text, struct reply *reply)
{
    struct playlist_variant *variants = xcalloc(count + 1, sizeof(variants[0]));
    char **uris = xcalloc(count + 1, sizeof(uris[0]));
    size_t found = 0;
    bool failed = false;
    for (size_t i = 0; i < count && !failed; i++) {
        struct footage footage;
        char *cause = NULL;
        if (strcmp(streams[i].camera, request->names[0]) != 0)
            continue;
        enum catalog_status status = hls_load(
            worker, streams[i].camera, streams[i].stream, request->values, &footage, &cause);
        if (status == CATALOG_NONE)
            continue; // configured, and nothing was ever recorded of it
        failed = hls_load_failed(reply, streams[i].camera, streams[i].stream, status, cause);
        if (failed)
            break;
        if (hls_describe(&footage, request->values[HLS_AUDIO].number == 1, &variants[found])) {
            uris[found] = hls_variant_uri(streams[i].stream, request->values);
            variants[found].uri = uris[found];
            found++;
        }
        footage_fini(&footage);
    }
    if (!failed)
        playlist_put_master(text, variants, found);
    for (size_t i = 0; i < found; i++)
        free(uris[i]);
    free(uris);
    free(variants);
    return failed ? -1 : (int)found;
}

// The streams that a master playlist may have: those of the archive, or those that are configured,
// where it is for what is live.
static enum catalog_status hls_list_streams(struct worker *worker, bool is_live,
    struct catalog_stream **streams, size_t *count, char **cause)
{
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status != CATALOG_OK)
        return status;
    if (!is_live)
        return worker_check(worker, catalog_streams(worker->catalog, streams, count, cause));
    const struct conf *conf = worker->conf;
    *streams = xcalloc(conf->stream_count + 1, sizeof(**streams));
    for (*count = 0; *count < conf->stream_count; (*count)++) {
        struct catalog_stream *stream = &(*streams)[*count];
        snprintf(stream->camera, sizeof(stream->camera), "%s", conf->streams[*count].camera);
        snprintf(stream->stream, sizeof(stream->stream), "%s", conf->streams[*count].stream);
    }
    return CATALOG_OK;
}

// Without a range, the list is of what is live: what was recorded just now tells what it needs.
static void hls_make_live(struct request *request)
{
    struct query_value *values = request->values;
    values[HLS_END].number = time_now_us();
    values[HLS_START].number = values[HLS_END].number - HLS_LIVE_PAST_S * US_PER_SECOND;
    if (!values[HLS_AUDIO].given)
        values[HLS_AUDIO].number = 0;
}

// Returns false with the reply filled when only one end of a range is given.
static bool hls_has_both_ends(const struct query_value *values, struct reply *reply)
{
    if (values[HLS_START].given == values[HLS_END].given)
        return true;
    const char *missing = values[HLS_START].given ? "end" : "start";
    reply_error(reply, 400, "missing_parameter", missing,
        "\"%s\" is missing; without both the list is of what is live", missing);
    return false;
}

void hls_master(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct catalog_stream *streams = NULL;
    struct request asked = *request;
    size_t count = 0;
    char *cause = NULL;
    const bool is_live = hls_is_live(asked.values);
    if (is_live)
        hls_make_live(&asked);
    if (!hls_has_both_ends(asked.values, reply) || !hls_check_range(&asked, reply))
        return;
    enum catalog_status status = hls_list_streams(worker, is_live, &streams, &count, &cause);
    if (hls_load_failed(reply, asked.names[0], "", status, cause))
        return;
    struct buf text = BUF_INIT;
    int found = hls_put_variants(worker, &asked, streams, count, &text, reply);
    free(streams);
    if (found > 0) {
        hls_answer(reply, &text);
        return;
    }
    buf_fini(&text);
    if (found == 0)
        reply_error(reply, 404, "no_footage", NULL, "camera \"%s\" has no footage in this range",
            asked.names[0]);
}

// --- A range of one stream ---

struct hls_vod {
    struct worker *worker;
    struct footage *footage;
    const struct request *request;
    struct playlist playlist;
    struct portions portions; // of the segment that is looked at
    size_t last;              // the segment before it that has portions in the list
    size_t map_item;          // the item that names the present initialisation
    bool unfinished;          // the end of the range is not recorded yet
};

static struct vfile_segment hls_place(const struct footage_segment *segment)
{
    struct vfile_segment place = {.start_us = segment->start_us, .end_us = segment->end_us};
    memcpy(place.tracks, segment->tracks, sizeof(place.tracks));
    return place;
}

static bool hls_same_init(
    const struct footage_segment *a, const struct footage_segment *b, bool audio)
{
    for (int kind = 0; kind < (audio ? MEDIA_TRACKS_MAX : 1); kind++)
        if (a->codecs[kind] != b->codecs[kind] ||
            (a->codecs[kind] != 0 && a->tracks[kind].timescale != b->tracks[kind].timescale))
            return false;
    return true;
}

static bool hls_continues(const struct footage_segment *before, const struct footage_segment *after)
{
    const struct track_summary *a = &before->tracks[VFILE_VIDEO], *b = &after->tracks[VFILE_VIDEO];
    if (before->run != after->run || before->number + 1 != after->number ||
        a->timescale != b->timescale)
        return false;
    int64_t step = b->start - (a->start + (int64_t)a->counts.duration);
    return llabs(step) * 1000 <= (int64_t)HLS_STEP_MAX_MS * a->timescale;
}

static void hls_add_portion(struct hls_vod *vod, size_t index, size_t portion)
{
    const struct footage_segment *segment = &vod->footage->segments[index];
    const struct portion *part = &vod->portions.items[portion];
    struct playlist *playlist = &vod->playlist;
    const struct vfile_segment place = hls_place(segment);
    uint32_t timescale = segment->tracks[VFILE_VIDEO].timescale;
    int64_t wall_us = vfile_wall_time(&place, segment->tracks[VFILE_VIDEO].start + part->start);
    bool audio = vod->request->values[HLS_AUDIO].number == 1;
    ARRAY_RESERVE(playlist->items, playlist->count, playlist->capacity);
    struct playlist_item *item = &playlist->items[playlist->count++];
    *item = (struct playlist_item){
        .run = segment->run,
        .number = segment->number,
        .portion = (uint32_t)portion,
        .duration_us = media_ticks_to_us(part->end - part->start, timescale),
    };
    if (playlist->count == 1)
        playlist->offset_us = vod->request->values[HLS_START].number - wall_us;
    const struct footage_segment *last =
        playlist->count > 1 ? &vod->footage->segments[vod->last] : NULL;
    if (last != segment) {
        item->wall_us = wall_us;
        bool same = last != NULL && hls_same_init(last, segment, audio);
        item->discontinuity = last != NULL && !(same && hls_continues(last, segment));
        if (!same)
            vod->map_item = playlist->count - 1;
    }
    // Retention takes the oldest first: the newest segment that needs it keeps an initialisation
    // within reach longest.
    playlist->items[vod->map_item].map.run = segment->run;
    playlist->items[vod->map_item].map.number = segment->number;
    vod->last = index;
}

// Adds those portions of a segment that the range touches. Returns 0, or -1 with *cause set.
static int hls_add_segment(struct hls_vod *vod, size_t index, char **cause)
{
    struct footage_segment *segment = &vod->footage->segments[index];
    const struct query_value *values = vod->request->values;
    const struct vfile_segment place = hls_place(segment);
    if (footage_portions(vod->worker, vod->footage, segment, &vod->portions, cause) < 0)
        return -1;
    for (size_t i = 0; i < vod->portions.count; i++) {
        const struct portion *portion = &vod->portions.items[i];
        int64_t base = segment->tracks[VFILE_VIDEO].start;
        if (vfile_wall_time(&place, base + portion->end) <= values[HLS_START].number ||
            vfile_wall_time(&place, base + portion->start) >= values[HLS_END].number)
            continue;
        // The last one of a file that is still written may grow.
        if (segment->state == FOOTAGE_OPEN && i + 1 == vod->portions.count)
            vod->unfinished = true;
        else
            hls_add_portion(vod, index, i);
    }
    return 0;
}

static void hls_answer_vod(struct hls_vod *vod, struct reply *reply)
{
    // A range that reaches into the future, or to what is being recorded now, goes on.
    vod->playlist.ended = !vod->unfinished && vod->request->values[HLS_END].number <= time_now_us();
    vod->playlist.suffix = vod->request->values[HLS_AUDIO].number == 0 ? "?audio=0" : "";
    if (vod->playlist.count == 0) {
        reply_error(reply, 404, "no_footage", NULL, "\"%s/%s\" has no footage in this range",
            vod->footage->camera, vod->footage->stream);
        return;
    }
    struct buf text = BUF_INIT;
    playlist_put_media(&text, &vod->playlist);
    hls_answer(reply, &text);
}

void hls_vod(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct footage footage;
    char *cause = NULL;
    if (!hls_check_range(request, reply))
        return;
    enum catalog_status status =
        hls_load(worker, request->names[0], request->names[1], request->values, &footage, &cause);
    if (hls_load_failed(reply, request->names[0], request->names[1], status, cause))
        return;
    footage_line_up(&footage, request->values[HLS_START].number);
    struct hls_vod vod = {.worker = worker, .footage = &footage, .request = request};
    int result = 0;
    worker->busy = false;
    for (size_t i = 0; i < footage.count && result == 0; i++)
        if (hls_has_video(&footage.segments[i]))
            result = hls_add_segment(&vod, i, &cause);
    if (result == 0)
        hls_answer_vod(&vod, reply);
    else if (worker->busy)
        reply_busy(reply);
    else
        reply_error(reply, 500, "unplayable", NULL, "this range can not be listed: %s", cause);
    free(cause);
    portions_fini(&vod.portions);
    playlist_fini(&vod.playlist);
    footage_fini(&footage);
}
