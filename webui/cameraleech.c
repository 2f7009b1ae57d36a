// The addresses of Cameraleech. See cameraleech.h.
#include "webui/cameraleech.h"

#include <inttypes.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "webui/peers.h"
#include "webui/worker.h"

void cameraleech_cameras(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    json_t *list = json_array();
    const char *last = "";
    for (size_t i = 0; i < worker->conf->stream_count; i++) {
        const char *camera = worker->conf->streams[i].camera;
        if (strcmp(camera, last) != 0)
            json_array_append_new(list, json_pack("{s:s}", "{#CAMERA}", camera));
        last = camera;
    }
    reply_json(reply, 200, json_pack("{s:o}", "data", list));
}

// The name of the camera's stream whose figures are the camera's; NULL: there is no such camera.
static const char *cameraleech_stream(const struct conf *conf, const char *camera)
{
    const struct conf_stream *stream = conf_find(conf, camera, "main");
    for (size_t i = 0; stream == NULL && i < conf->stream_count; i++)
        if (strcmp(conf->streams[i].camera, camera) == 0)
            stream = &conf->streams[i];
    return stream ? stream->stream : NULL;
}

// What Cameraleech took from ffmpeg, in its units, and where it stands in the supervisor's status.
static const struct cameraleech_figure {
    const char *name;
    const char *key;
    double factor;
    bool has_decimals;
} cameraleech_figures[] = {
    {"frame", "frames", 1, false},
    {"fps", "fps", 1, true},
    {"bitrate", "bytes_per_second", 8.0 / 1000, false}, // kbit/s
    {"outtime", "run_media_seconds", 1, false},
    {"dupframes", "duplicated_frames", 1, false},
    {"dropframes", "dropped_frames", 1, false},
};

static const struct cameraleech_figure *cameraleech_find(const char *path)
{
    const char *word = strrchr(path, '/') + 1;
    for (size_t i = 0; i < ARRAY_LENGTH(cameraleech_figures); i++)
        if (strcmp(cameraleech_figures[i].name, word) == 0)
            return &cameraleech_figures[i];
    return NULL;
}

void cameraleech_figure(struct worker *worker, const struct request *request, struct reply *reply)
{
    const struct cameraleech_figure *figure = cameraleech_find(request->path);
    const char *camera = request->names[0];
    const char *stream = cameraleech_stream(worker->conf, camera);
    if (figure == NULL || stream == NULL) {
        reply_error(reply, 404, "camera_not_found", NULL, "there is no camera \"%s\"", camera);
        return;
    }
    const json_t *status = peers_stream(worker->peers, worker->conf, camera, stream);
    if (status == NULL) {
        reply_error(reply, 503, "supervisor", NULL,
            "the supervisor does not answer, or does not know the camera yet");
        return;
    }
    double value = json_number_value(json_object_get(status, figure->key)) * figure->factor;
    reply->status = 200;
    reply->content_type = "text/plain; charset=utf-8";
    if (figure->has_decimals)
        buf_printf(&reply->body, "%f", value);
    else
        buf_printf(&reply->body, "%" PRId64, (int64_t)value);
}
