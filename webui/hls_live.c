// HLS of what is live: the playlist, and what it names. See hls.h and live_playlist.h.
#include "webui/hls.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/etag.h"
#include "webui/live_bytes.h"
#include "webui/live_playlist.h"
#include "webui/live_reload.h"
#include "webui/worker.h"

enum {
    HLS_LIVE_AUDIO = 0, // of every address here
    HLS_LIVE_SEQUENCE,
    HLS_LIVE_PART,

    HLS_LIVE_LASTS_S = 300, // a name stands for the same bytes for ever
    HLS_LIVE_FORMAT_VERSION = 1,
};

const struct query_rule hls_live_rules[] = {
    [HLS_LIVE_AUDIO] = {.name = "audio", .type = QUERY_FLAG},
    [HLS_LIVE_SEQUENCE] =
        {.name = "_HLS_msn", .type = QUERY_INTEGER, .fallback = -1, .min = 0, .max = INT64_MAX / 2},
    [HLS_LIVE_PART] = {.name = "_HLS_part",
        .type = QUERY_INTEGER,
        .fallback = -1,
        .min = 0,
        .max = INT64_MAX / 2},
    {0},
};

const struct query_rule hls_live_media_rules[] = {
    [HLS_LIVE_AUDIO] = {.name = "audio", .type = QUERY_FLAG},
    {0},
};

// Returns false with the reply filled when there is no such stream.
static bool hls_live_knows(
    const struct worker *worker, const struct request *request, struct reply *reply)
{
    if (conf_find(worker->conf, request->names[0], request->names[1]) != NULL)
        return true;
    reply_error(reply, 404, "stream_not_found", NULL, "there is no stream \"%s/%s\"",
        request->names[0], request->names[1]);
    return false;
}

static struct live_name hls_live_name(const struct worker *worker, const struct request *request)
{
    return (struct live_name){worker->conf->cache, request->names[0], request->names[1]};
}

void hls_live(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct query_value *values = request->values;
    const struct live_reload_request reload = {
        .name = hls_live_name(worker, request),
        .client = request->client,
        .sound = values[HLS_LIVE_AUDIO].number == 1,
        .sequence = values[HLS_LIVE_SEQUENCE].number,
        .part = values[HLS_LIVE_PART].number,
    };
    if (!hls_live_knows(worker, request, reply))
        return;
    if (values[HLS_LIVE_PART].given && !values[HLS_LIVE_SEQUENCE].given)
        reply_error(reply, 400, "missing_parameter", "_HLS_msn",
            "\"_HLS_part\" needs \"_HLS_msn\": the part of which segment");
    else
        live_reload_answer(worker->shared->reloads, &reload, reply);
}

// --- What the playlist names ---

struct hls_live_piece {
    const char *name;
    bool sound;
    // What is found; of an init or of parts, with references for the caller.
    struct live_init *init;
    struct live_part *parts;
    size_t count;
};

static void hls_live_look_init(void *arg, const struct live_segments *segments)
{
    struct hls_live_piece *piece = arg;
    int64_t run;
    uint32_t number;
    if (!playlist_parse_init(piece->name, &run, &number))
        return;
    struct live_init *init = live_segments_find_init(segments, run, number);
    if (init != NULL)
        piece->init = live_init_ref(init);
}

static void hls_live_look_segment(void *arg, const struct live_segments *segments)
{
    struct hls_live_piece *piece = arg;
    int64_t run;
    uint32_t number, first, last;
    if (!live_playlist_parse_segment(piece->name, &run, &number, &first, &last))
        return;
    const struct live_segment *segment = live_segments_find(segments, run, number, first, last);
    if (segment == NULL)
        return;
    piece->count = segment->count;
    piece->parts = xcalloc(piece->count, sizeof(piece->parts[0]));
    for (size_t i = 0; i < piece->count; i++) {
        piece->parts[i] = *live_segments_part(segments, segment, i);
        live_part_ref(&piece->parts[i]);
    }
}

static void hls_live_look_part(void *arg, const struct live_segments *segments)
{
    struct hls_live_piece *piece = arg;
    int64_t run;
    uint32_t number, index;
    if (!playlist_parse_item(piece->name, &run, &number, &index))
        return;
    const struct live_part *part = live_segments_find_part(segments, run, number, index);
    if (part == NULL)
        return;
    piece->count = 1;
    piece->parts = xcalloc(1, sizeof(piece->parts[0]));
    piece->parts[0] = *part;
    live_part_ref(part);
}

// Looks for it. Returns false with the reply filled when it is not there.
static bool hls_live_find(struct worker *worker, const struct request *request,
    live_look_fn look_fn, struct hls_live_piece *piece, struct reply *reply)
{
    const struct live_name name = hls_live_name(worker, request);
    *piece = (struct hls_live_piece){
        .name = request->names[2], .sound = request->values[HLS_LIVE_AUDIO].number == 1};
    if (!hls_live_knows(worker, request, reply))
        return false;
    live_look(live_reloads_live(worker->shared->reloads), &name, look_fn, piece);
    if (piece->init != NULL || piece->count > 0)
        return true;
    reply_error(reply, 404, "segment_not_found", NULL,
        "\"%s\" is not listed, or not any more: load the playlist again", piece->name);
    return false;
}

// The name of a piece stands for its bytes.
static void hls_live_tag(
    const struct request *request, const struct hls_live_piece *piece, struct reply *reply)
{
    struct etag etag;
    const int version[] = {HLS_LIVE_FORMAT_VERSION, piece->sound};
    etag_init(&etag);
    etag_add(&etag, request->path, strlen(request->path));
    etag_add(&etag, version, sizeof(version));
    etag_format(&etag, reply->etag, sizeof(reply->etag));
    reply->status = 200;
    reply->content_type = "video/mp4";
    reply->lasts_s = HLS_LIVE_LASTS_S;
}

void hls_live_init(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct hls_live_piece piece;
    if (!hls_live_find(worker, request, hls_live_look_init, &piece, reply))
        return;
    const struct buf *bytes = piece.sound ? &piece.init->bytes : &piece.init->silent;
    buf_put(&reply->body, bytes->data, bytes->size);
    hls_live_tag(request, &piece, reply);
    live_init_unref(piece.init);
}

static void hls_live_media(
    struct worker *worker, const struct request *request, live_look_fn look_fn, struct reply *reply)
{
    struct hls_live_piece piece;
    if (!hls_live_find(worker, request, look_fn, &piece, reply))
        return;
    hls_live_tag(request, &piece, reply);
    reply->stream = live_bytes_new(piece.parts, piece.count, piece.sound);
}

void hls_live_segment(struct worker *worker, const struct request *request, struct reply *reply)
{
    hls_live_media(worker, request, hls_live_look_segment, reply);
}

void hls_live_part(struct worker *worker, const struct request *request, struct reply *reply)
{
    hls_live_media(worker, request, hls_live_look_part, reply);
}
