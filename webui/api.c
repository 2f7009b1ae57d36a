// The JSON API. See api.h and docs/api.md.
#include "webui/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"
#include "webui/footage.h"
#include "webui/peers.h"

bool api_catalog_failed(struct reply *reply, enum catalog_status status, char *cause)
{
    if (status == CATALOG_BUSY)
        reply_busy(reply);
    else if (status == CATALOG_ERROR)
        reply_error(reply, 503, "catalog_unreadable", NULL, "%s", cause);
    free(cause);
    return status == CATALOG_BUSY || status == CATALOG_ERROR;
}

// --- /healthz ---

void api_health(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    json_t *reasons = json_array();
    char *cause = NULL;
    struct catalog_stream *streams = NULL;
    size_t count;
    enum catalog_status status = worker_open_catalog(worker, &cause);
    if (status == CATALOG_OK)
        status = worker_check(worker, catalog_streams(worker->catalog, &streams, &count, &cause));
    if (status == CATALOG_BUSY)
        json_array_append_new(reasons, json_string(REPLY_BUSY));
    else if (status != CATALOG_OK)
        json_array_append_new(reasons, reply_text("the catalog can not be read: %s", cause));
    free(streams);
    free(cause);
    peers_complain(worker->peers, worker->conf, reasons);
    if (json_array_size(reasons) == 0) {
        json_decref(reasons);
        reply_json(reply, 200, json_pack("{s:s}", "status", "ok"));
    } else {
        reply_json(reply, 503, json_pack("{s:s, s:o}", "status", "failing", "reasons", reasons));
    }
}

// --- Cameras ---

// A stream that is configured, or has footage, or both.
struct api_stream {
    const char *camera;
    const char *stream;
    const struct conf_stream *conf;
    const struct catalog_stream *row;
};

static int api_stream_compare(const void *left, const void *right)
{
    const struct api_stream *a = left, *b = right;
    int order = strcmp(a->camera, b->camera);
    return order ? order : strcmp(a->stream, b->stream);
}

// All streams, those of the configuration and those of the catalog, by name. The caller's to free.
static struct api_stream *api_streams_merge(
    const struct conf *conf, const struct catalog_stream *rows, size_t row_count, size_t *count)
{
    struct api_stream *streams = xcalloc(conf->stream_count + row_count + 1, sizeof(streams[0]));
    *count = 0;
    for (size_t i = 0; i < conf->stream_count; i++)
        streams[(*count)++] = (struct api_stream){
            conf->streams[i].camera, conf->streams[i].stream, &conf->streams[i], NULL};
    for (size_t i = 0; i < row_count; i++) {
        const struct conf_stream *known = conf_find(conf, rows[i].camera, rows[i].stream);
        if (known != NULL)
            streams[known - conf->streams].row = &rows[i];
        else if (rows[i].segments > 0)
            streams[(*count)++] =
                (struct api_stream){rows[i].camera, rows[i].stream, NULL, &rows[i]};
    }
    qsort(streams, *count, sizeof(streams[0]), api_stream_compare);
    return streams;
}

// Whether a file of the cache is committed already, and waits only for its name there to go.
static bool api_is_committed(
    struct worker *worker, const struct api_stream *stream, const struct cache_file *file)
{
    struct catalog_segment row;
    char *cause = NULL;
    if (stream->row == NULL)
        return false;
    bool committed = catalog_segment_find(worker->catalog, stream->row->id, file->id.run,
                         file->id.number, &row, &cause) == CATALOG_OK;
    if (committed)
        catalog_segment_fini(&row);
    free(cause);
    return committed;
}

// When the footage of a file that is not committed begins, roughly: it is read only for this.
static int64_t api_file_start(struct worker *worker, const struct cache_file *file)
{
    const struct recent *recent;
    char *cause = NULL;
    int64_t start_us = 0;
    if (recents_get(worker->shared->recents, worker->conf->cache, file, &recent, &cause) ==
        RECENT_OK) {
        start_us = file->written_us - recent->media_duration_us;
        recent_release(recent);
    }
    free(cause);
    return start_us;
}

// Adds what lies in the cache and is not committed: the newest footage of all.
static void api_stream_add_cache(struct worker *worker, const struct api_stream *stream,
    int64_t *first_us, int64_t *last_us, uint64_t *bytes)
{
    char *cause = NULL;
    struct cache_listing listing;
    if (cache_list(worker->conf->cache, stream->camera, stream->stream, &listing, &cause) < 0) {
        free(cause);
        return;
    }
    for (size_t i = 0; i < listing.count; i++) {
        const struct cache_file *file = &listing.files[i];
        if (api_is_committed(worker, stream, file))
            continue;
        if (*first_us == 0)
            *first_us = api_file_start(worker, file);
        if (*first_us == 0)
            continue; // nothing of it can be played yet
        *last_us = file->written_us > *last_us ? file->written_us : *last_us;
        *bytes += file->size;
    }
    cache_listing_fini(&listing);
}

// Adds the state, and why it failed last as long as it does not record.
static void api_stream_add_state(
    struct worker *worker, const struct api_stream *stream, json_t *json)
{
    bool is_configured = stream->conf != NULL, is_enabled = is_configured && stream->conf->enabled;
    const json_t *status = NULL;
    if (is_enabled)
        status = peers_stream(worker->peers, worker->conf, stream->camera, stream->stream);
    const char *state = json_string_value(json_object_get(status, "state"));
    const char *reason = json_string_value(json_object_get(status, "last_reason"));
    if (state == NULL)
        state = is_enabled ? "unknown" : is_configured ? "disabled" : "removed";
    bool fails = json_integer_value(json_object_get(status, "failures")) > 0 &&
                 strcmp(state, "recording") != 0;
    json_object_set_new(json, "state", json_string(state));
    json_object_set_new(json, "reason", fails && reason ? json_string(reason) : json_null());
}

static json_t *api_stream_json(struct worker *worker, const struct api_stream *stream)
{
    int64_t first_us = stream->row ? stream->row->first_us : 0;
    int64_t last_us = stream->row ? stream->row->last_us : 0;
    uint64_t bytes = stream->row ? stream->row->bytes : 0;
    api_stream_add_cache(worker, stream, &first_us, &last_us, &bytes);
    json_t *json = json_pack("{s:s, s:o, s:o, s:I}", "stream", stream->stream, "first",
        reply_time(first_us), "last", reply_time(last_us), "bytes", (json_int_t)bytes);
    api_stream_add_state(worker, stream, json);
    return json;
}

// All cameras, or the one of that name, each with its streams.
static json_t *api_cameras_json(
    struct worker *worker, const struct api_stream *streams, size_t count, const char *only)
{
    json_t *cameras = json_array(), *list = NULL;
    const char *camera = NULL;
    for (size_t i = 0; i < count; i++) {
        if (only != NULL && strcmp(only, streams[i].camera) != 0)
            continue;
        if (camera == NULL || strcmp(camera, streams[i].camera) != 0) {
            camera = streams[i].camera;
            list = json_array();
            json_array_append_new(
                cameras, json_pack("{s:s, s:o}", "camera", camera, "streams", list));
        }
        json_array_append_new(list, api_stream_json(worker, &streams[i]));
    }
    return cameras;
}

// The array of cameras, or NULL with the reply filled.
static json_t *api_cameras_load(struct worker *worker, const char *only, struct reply *reply)
{
    char *cause = NULL;
    struct catalog_stream *rows = NULL;
    size_t row_count = 0, count;
    enum catalog_status status = worker_open_catalog(worker, &cause);
    if (status == CATALOG_OK)
        status = worker_check(worker, catalog_streams(worker->catalog, &rows, &row_count, &cause));
    if (api_catalog_failed(reply, status, cause))
        return NULL;
    struct api_stream *streams = api_streams_merge(worker->conf, rows, row_count, &count);
    json_t *cameras = api_cameras_json(worker, streams, count, only);
    free(streams);
    free(rows);
    return cameras;
}

void api_cameras(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    json_t *cameras = api_cameras_load(worker, NULL, reply);
    if (cameras != NULL)
        reply_json(
            reply, 200, json_pack("{s:s, s:o}", "node", worker->conf->node, "cameras", cameras));
}

void api_camera(struct worker *worker, const struct request *request, struct reply *reply)
{
    const char *name = request->names[0];
    json_t *cameras = api_cameras_load(worker, name, reply);
    if (cameras == NULL)
        return;
    json_t *camera = json_array_get(cameras, 0);
    if (camera == NULL) {
        reply_error(reply, 404, "camera_not_found", NULL, "there is no camera \"%s\"", name);
    } else {
        json_object_set_new(camera, "node", json_string(worker->conf->node));
        reply_json(reply, 200, json_incref(camera));
    }
    json_decref(cameras);
}

// --- Segments ---

enum {
    SEGMENTS_START,
    SEGMENTS_END,
    SEGMENTS_LIMIT,
    SEGMENTS_CURSOR,
};

const struct query_rule api_segments_rules[] = {
    [SEGMENTS_START] = {.name = "start", .type = QUERY_TIME, .fallback = INT64_MIN / 2},
    [SEGMENTS_END] = {.name = "end", .type = QUERY_TIME, .fallback = INT64_MAX / 2},
    [SEGMENTS_LIMIT] = {.name = "limit",
        .type = QUERY_INTEGER,
        .fallback = API_LIST_DEFAULT,
        .min = 1,
        .max = API_LIST_MAX},
    [SEGMENTS_CURSOR] = {.name = "cursor", .type = QUERY_TEXT},
    {0},
};

static json_t *api_track_json(
    const struct footage *footage, const struct footage_segment *segment, int kind)
{
    const struct codec_info none = {0};
    const struct codec_info *info =
        segment->codecs[kind] ? &footage->codecs[segment->codecs[kind] - 1].info : &none;
    json_t *json = json_pack("{s:s, s:s, s:I}", "type", kind == VFILE_VIDEO ? "video" : "audio",
        "codec", info->name, "samples", (json_int_t)segment->tracks[kind].counts.samples);
    if (kind == VFILE_VIDEO) {
        json_object_set_new(json, "width", json_integer(info->width));
        json_object_set_new(json, "height", json_integer(info->height));
    } else {
        json_object_set_new(json, "channels", json_integer(info->channels));
        json_object_set_new(json, "sample_rate", json_integer(info->sample_rate));
    }
    return json;
}

static json_t *api_segment_json(
    const struct footage *footage, const struct footage_segment *segment)
{
    static const char *const states[] = {
        [FOOTAGE_OPEN] = "open", [FOOTAGE_CLOSED] = "closed", [FOOTAGE_SEALED] = "sealed"};
    char id[SEGMENT_TEXT_SIZE];
    footage_id(footage, segment, id);
    json_t *tracks = json_array();
    for (int kind = 0; kind < MEDIA_TRACKS_MAX; kind++)
        if (segment->tracks[kind].counts.samples > 0)
            json_array_append_new(tracks, api_track_json(footage, segment, kind));
    return json_pack("{s:s, s:o, s:o, s:I, s:s, s:o}", "id", id, "start",
        reply_time(segment->start_us), "end", reply_time(segment->end_us), "bytes",
        (json_int_t)segment->size_bytes, "state", states[segment->state], "tracks", tracks);
}

// A cursor is the start and identity of the last segment of a page: "START.RUN-NNNNNN".
static json_t *api_cursor_json(const struct footage_segment *last)
{
    return json_sprintf(
        "%" PRId64 ".%" PRId64 "-%06" PRIu32, last->start_us, last->run, last->number);
}

static bool api_cursor_parse(const char *text, int64_t *start_us)
{
    int64_t run;
    uint32_t number;
    char again[QUERY_TEXT_SIZE];
    if (sscanf(text, "%" SCNd64 ".%" SCNd64 "-%" SCNu32, start_us, &run, &number) != 3)
        return false;
    snprintf(again, sizeof(again), "%" PRId64 ".%" PRId64 "-%06" PRIu32, *start_us, run, number);
    return strcmp(again, text) == 0;
}

// Reads the parameters. Returns false with the reply filled.
static bool api_segments_query(
    const struct request *request, struct footage_query *query, struct reply *reply)
{
    const struct query_value *values = request->values;
    *query = (struct footage_query){
        .camera = request->names[0],
        .stream = request->names[1],
        .start_us = values[SEGMENTS_START].number,
        .end_us = values[SEGMENTS_END].number,
        .after_us = INT64_MIN,
        .limit = (size_t)values[SEGMENTS_LIMIT].number + 1, // one more tells of a next page
    };
    if (query->end_us <= query->start_us) {
        reply_error(reply, 400, "bad_parameter", "end", "\"end\" must be later than \"start\"");
        return false;
    }
    if (values[SEGMENTS_CURSOR].given &&
        !api_cursor_parse(values[SEGMENTS_CURSOR].text, &query->after_us)) {
        reply_error(reply, 400, "bad_parameter", "cursor",
            "\"cursor\" must be the one that the page before gave");
        return false;
    }
    return true;
}

void api_segments(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct footage_query query;
    struct footage footage;
    char *cause = NULL;
    if (!api_segments_query(request, &query, reply))
        return;
    enum catalog_status status = footage_load(worker, &query, &footage, &cause);
    if (api_catalog_failed(reply, status, cause))
        return;
    if (status == CATALOG_NONE) {
        reply_error(reply, 404, "stream_not_found", NULL, "there is no stream \"%s/%s\"",
            query.camera, query.stream);
        return;
    }
    size_t limit = query.limit - 1;
    size_t count = footage.count < limit ? footage.count : limit;
    json_t *segments = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(segments, api_segment_json(&footage, &footage.segments[i]));
    json_t *cursor =
        footage.count > limit ? api_cursor_json(&footage.segments[count - 1]) : json_null();
    reply_json(reply, 200,
        json_pack(
            "{s:s, s:o, s:o}", "node", worker->conf->node, "segments", segments, "cursor", cursor));
    footage_fini(&footage);
}
