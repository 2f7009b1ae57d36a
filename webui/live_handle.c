// GET /live/CAMERA/STREAM.mp4 and GET /live/mux. See live_handle.h.
#include "webui/live_handle.h"

#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/live_client.h"
#include "webui/worker.h"

enum {
    LIVE_STREAM_AUDIO = 0, // the one parameter

    LIVE_MUX_TILES = 0,
    LIVE_MUX_AUDIO,

    // "CAMERA/STREAM,", as long as names may be.
    LIVE_TILES_TEXT_MAX = LIVE_MUX_TILES_MAX * 2 * SEGMENT_NAME_MAX,
};

const struct query_rule live_stream_rules[] = {
    [LIVE_STREAM_AUDIO] = {.name = "audio", .type = QUERY_FLAG},
    {0},
};

const struct query_rule live_mux_rules[] = {
    [LIVE_MUX_TILES] = {.name = "tiles", .type = QUERY_RAW, .required = true},
    [LIVE_MUX_AUDIO] = {.name = "audio",
        .type = QUERY_INTEGER,
        .fallback = -1,
        .min = 0,
        .max = LIVE_MUX_TILES_MAX - 1},
    {0},
};

// Returns false with the reply filled when there is no such stream.
static bool live_knows_stream(
    const struct worker *worker, const struct live_mux_tile *tile, struct reply *reply)
{
    if (conf_find(worker->conf, tile->camera, tile->stream) != NULL)
        return true;
    reply_error(reply, 404, "stream_not_found", NULL, "there is no stream \"%s/%s\"", tile->camera,
        tile->stream);
    return false;
}

static void live_answer(struct worker *worker, const struct live_mux_tile *tiles, size_t count,
    bool is_mux, struct reply *reply)
{
    reply->stream =
        live_client_new(worker->shared->live, worker->conf->cache, tiles, count, is_mux);
    if (reply->stream != NULL) {
        reply->status = 200;
        reply->content_type = is_mux ? "application/octet-stream" : "video/mp4";
        return;
    }
    reply_error(reply, 503, "too_many_viewers", NULL,
        "%d live views are being sent already; try again when one has ended", LIVE_CLIENTS_MAX);
    reply_header(reply, "Retry-After", "10");
}

void live_handle_stream(struct worker *worker, const struct request *request, struct reply *reply)
{
    struct live_mux_tile tile = {.sound = request->values[LIVE_STREAM_AUDIO].number == 1};
    memcpy(tile.camera, request->names[0], sizeof(tile.camera));
    memcpy(tile.stream, request->names[1], sizeof(tile.stream));
    if (live_knows_stream(worker, &tile, reply))
        live_answer(worker, &tile, 1, false, reply);
}

// --- The list of tiles ---

static bool live_copy_name(char name[SEGMENT_NAME_MAX], const char *text, size_t length)
{
    if (length >= SEGMENT_NAME_MAX)
        return false;
    memcpy(name, text, length);
    name[length] = '\0';
    return segment_name_valid(name);
}

// Reads "CAMERA/STREAM" of that length.
static bool live_read_tile(const char *text, size_t length, struct live_mux_tile *tile)
{
    const char *slash = memchr(text, '/', length);
    size_t camera = slash != NULL ? (size_t)(slash - text) : 0;
    *tile = (struct live_mux_tile){0};
    return slash != NULL && live_copy_name(tile->camera, text, camera) &&
           live_copy_name(tile->stream, slash + 1, length - camera - 1);
}

// Reads what the client wants to see. Returns how many tiles that are, or 0 with the reply filled.
static size_t live_read_tiles(struct worker *worker, const char *text,
    struct live_mux_tile tiles[LIVE_MUX_TILES_MAX], struct reply *reply)
{
    for (size_t count = 0;; count++) {
        size_t length = strcspn(text, ",");
        if (count == LIVE_MUX_TILES_MAX) {
            reply_error(reply, 400, "too_many_tiles", "tiles",
                "a live view has %d tiles at most; ask for the others in another request",
                LIVE_MUX_TILES_MAX);
            return 0;
        }
        if (!live_read_tile(text, length, &tiles[count])) {
            reply_error(reply, 400, "bad_parameter", "tiles",
                "\"tiles\" must be a list of streams, as front-door/main,yard/sub; number %zu of "
                "it is none",
                count + 1);
            return 0;
        }
        if (!live_knows_stream(worker, &tiles[count], reply))
            return 0;
        text += length;
        if (*text++ == '\0')
            return count + 1;
    }
}

void live_handle_mux(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct query_value *list = &request->values[LIVE_MUX_TILES];
    const int64_t audio = request->values[LIVE_MUX_AUDIO].number;
    struct live_mux_tile *tiles = xcalloc(LIVE_MUX_TILES_MAX, sizeof(*tiles));
    char *text = xmalloc(LIVE_TILES_TEXT_MAX);
    size_t count = 0;
    if (query_unescape(list->raw, list->raw_length, true, text, LIVE_TILES_TEXT_MAX))
        count = live_read_tiles(worker, text, tiles, reply);
    else
        reply_error(reply, 400, "bad_parameter", "tiles",
            "the value of \"tiles\" is too long or not percent-encoded as it must be");
    if (count > 0 && audio >= (int64_t)count) {
        reply_error(reply, 400, "bad_parameter", "audio",
            "\"audio\" must be the number of a tile, from 0 to %zu", count - 1);
    } else if (count > 0) {
        if (audio >= 0)
            tiles[audio].sound = true;
        live_answer(worker, tiles, count, true, reply);
    }
    free(text);
    free(tiles);
}
