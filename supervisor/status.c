// How the daemon and its streams are doing. See status.h.
#include "supervisor/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/run.h"

static json_t *status_lines(const struct logcap *log)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < logcap_count(log); i++) {
        unsigned repeats;
        const char *text = logcap_line(log, i, &repeats);
        json_array_append_new(
            lines, json_pack("{s:s, s:i}", "text", text, "repeats", (int)repeats));
    }
    return lines;
}

// Milliseconds since a monotonic moment, or null when it has not been.
static json_t *status_age(int64_t moment_us)
{
    return moment_us ? json_integer((time_monotonic_us() - moment_us) / 1000) : json_null();
}

static json_t *status_run(const struct stream *stream)
{
    const struct progress *progress = &stream->progress;
    json_t *object = json_pack("{s:i, s:I, s:I, s:f, s:I, s:I, s:o}", "pid",
        (int)child_pid(stream->child), "run", (json_int_t)stream->run.run, "frames",
        (json_int_t)progress->frames, "fps", progress->fps, "duplicated_frames",
        (json_int_t)progress->duplicated, "dropped_frames", (json_int_t)progress->dropped,
        "progress_age_ms", status_age(stream->vitality.block_us));
    if (stream->vitality.file_us != 0) {
        char *path =
            run_segment_path(stream->directory, stream->run.run, stream->vitality.file_number);
        json_object_set_new(object, "file", json_string(path));
        json_object_set_new(object, "bytes", json_integer(stream->vitality.file_size));
        free(path);
    }
    return object;
}

json_t *status_stream(const struct stream *stream, bool with_log)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:I, s:i, s:s?}", "camera", stream->camera,
        "stream", stream->name, "state", stream_state_name(stream->state), "enabled",
        stream->is_wanted, "restarts", (json_int_t)stream->restarts, "failures",
        (int)stream->failures, "last_reason", stream->last_reason);
    if (stream->child != NULL) {
        json_t *run = status_run(stream);
        json_object_update(object, run);
        json_decref(run);
    }
    if (stream->state == STREAM_WAITING) {
        double left = ev_timer_remaining(stream->host->loop, (ev_timer *)&stream->timer);
        json_object_set_new(object, "next_start_ms", json_integer((json_int_t)(left * 1000)));
    }
    if (with_log)
        json_object_set_new(object, "log", status_lines(stream->log));
    return object;
}

static json_t *status_service(const struct service *service)
{
    pid_t pid = service_pid(service);
    const char *state = pid ? "running" : service_is_wanted(service) ? "waiting" : "off";
    return json_pack("{s:s, s:o, s:I, s:I, s:s?}", "state", state, "pid",
        pid ? json_integer(pid) : json_null(), "restarts", (json_int_t)service_restarts(service),
        "hangs", (json_int_t)service_hangs(service), "last_failure", service_last_failure(service));
}

json_t *status_daemon(const struct daemon *daemon)
{
    char start[TIME_TEXT_SIZE];
    time_format_utc(daemon->start_us, start);
    json_t *streams = json_array();
    for (size_t i = 0; i < daemon->stream_count; i++)
        json_array_append_new(streams, status_stream(daemon->streams[i], false));
    return json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:o, s:o}", "node", daemon->config->node,
        "version", KEEPFRAME_VERSION, "pid", (int)getpid(), "start", start, "listen",
        daemon->config->http.listen, "indexer", status_service(daemon->indexer), "webui",
        status_service(daemon->webui), "streams", streams);
}

static void status_log_service(const struct service *service)
{
    log_info("state: %s: pid %d, %" PRIu64 " restarts", service_name(service),
        (int)service_pid(service), service_restarts(service));
}

void status_log(const struct daemon *daemon)
{
    status_log_service(daemon->indexer);
    status_log_service(daemon->webui);
    for (size_t i = 0; i < daemon->stream_count; i++) {
        const struct stream *stream = daemon->streams[i];
        log_info("state: %s/%s: %s, pid %d, run %" PRId64 ", %" PRId64 " frames, %" PRIu64
                 " restarts, last reason %s",
            stream->camera, stream->name, stream_state_name(stream->state),
            stream->child ? (int)child_pid(stream->child) : 0, stream->run.run,
            stream->progress.frames, stream->restarts,
            stream->last_reason ? stream->last_reason : "none");
    }
}
