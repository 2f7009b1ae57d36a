// How the daemon and its streams are doing. See status.h.
#include "supervisor/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/hints.h"
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
static json_t *status_age(int64_t moment_us, int64_t now_us)
{
    return moment_us ? json_integer((now_us - moment_us) / 1000) : json_null();
}

// A moment as text, or null when it has not been.
static json_t *status_time(int64_t utc_us)
{
    char text[TIME_TEXT_SIZE];
    if (utc_us == 0)
        return json_null();
    time_format_utc(utc_us, text);
    return json_string(text);
}

static json_t *status_restarts(const struct figures *figures)
{
    json_t *object = json_object();
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (figures->restarts[reason] > 0)
            json_object_set_new(
                object, reason_name(reason), json_integer(figures->restarts[reason]));
    }
    return object;
}

static json_t *status_gaps(const struct figures *figures, int64_t now_us)
{
    json_t *object = json_object();
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        int64_t gap_us = figures_gap_us(figures, reason, now_us);
        if (gap_us > 0)
            json_object_set_new(
                object, reason_name(reason), json_real((double)gap_us / US_PER_SECOND));
    }
    return object;
}

// What has been since the daemon began, and how fast it comes now.
static void status_add_figures(json_t *object, const struct figures *figures, int64_t now_us)
{
    json_t *more = json_pack("{s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "restarts",
        (json_int_t)figures_restarts(figures), "restarts_by_reason", status_restarts(figures),
        "gap_seconds_by_reason", status_gaps(figures, now_us), "frames",
        (json_int_t)figures->frames, "bytes", (json_int_t)figures->bytes, "duplicated_frames",
        (json_int_t)figures->duplicated, "dropped_frames", (json_int_t)figures->dropped, "fps",
        figures_fps(figures), "bytes_per_second", figures_bytes_per_second(figures), "last_frame",
        status_time(figures->last_frame_utc_us));
    json_object_update(object, more);
    json_decref(more);
}

static void status_add_usage(json_t *object, const struct usage *usage)
{
    json_object_set_new(
        object, "cpu_seconds", json_real((double)usage_cpu_us(usage) / US_PER_SECOND));
    json_object_set_new(object, "resident_bytes",
        usage->resident_bytes ? json_integer(usage->resident_bytes) : json_null());
}

// What the ffmpeg that runs is doing.
static void status_add_run(json_t *object, const struct stream *stream, int64_t now_us)
{
    int64_t run = stream->run.open.run;
    json_t *more = json_pack("{s:i, s:I, s:I, s:f, s:o}", "pid", (int)child_pid(stream->child),
        "run", (json_int_t)run, "run_frames", (json_int_t)stream->progress.frames,
        "run_media_seconds", (double)stream->progress.out_time_us / US_PER_SECOND,
        "progress_age_ms", status_age(stream->vitality.block_us, now_us));
    json_object_update(object, more);
    json_decref(more);
    if (stream->growth.fd < 0)
        return;
    char *path = run_segment_path(stream->directory, run, stream->growth.number);
    json_object_set_new(object, "file", json_string(path));
    json_object_set_new(object, "file_bytes", json_integer(stream->growth.size));
    free(path);
}

// How long until the next start, as far as is known: the end of its pause, or its turn.
static int64_t status_next_start_us(const struct stream *stream, int64_t now_us)
{
    if (stream->turn.is_queued)
        return start_queue_turn_us(&stream->host->starts, &stream->turn, now_us);
    double left_s = ev_timer_remaining(stream->host->loop, (ev_timer *)&stream->timer);
    return left_s > 0 ? (int64_t)(left_s * US_PER_SECOND) : 0;
}

json_t *status_stream(const struct daemon *daemon, const struct stream *stream, bool with_log)
{
    int64_t now_us = time_monotonic_us();
    json_t *object = json_pack("{s:s, s:s, s:s, s:o, s:b, s:s, s:i, s:s?, s:s?}", "camera",
        stream->camera, "stream", stream->name, "state", stream_state_name(stream->state), "since",
        status_time(stream->state_since_us), "enabled", stream->is_wanted, "transport",
        stream->adapt.way.is_udp ? "udp" : "tcp", "failures", (int)stream->failures, "last_reason",
        reason_name(stream->last_reason), "last_words", stream->last_words);
    status_add_figures(object, &stream->figures, now_us);
    status_add_usage(object, &stream->usage);
    if (stream->child != NULL)
        status_add_run(object, stream, now_us);
    if (stream->state == STREAM_WAITING)
        json_object_set_new(
            object, "next_start_ms", json_integer(status_next_start_us(stream, now_us) / 1000));
    json_object_set_new(object, "disabled_by_command",
        json_boolean(disabled_has(&daemon->disabled, stream->camera, stream->name)));
    if (with_log)
        json_object_set_new(object, "log", status_lines(stream->log));
    return object;
}

static json_t *status_states(void)
{
    json_t *names = json_array();
    for (int state = 0; state < STREAM_STATE_COUNT; state++)
        json_array_append_new(names, json_string(stream_state_name(state)));
    return names;
}

static json_t *status_reasons(bool only_planned)
{
    json_t *names = json_array();
    for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++)
        if (!only_planned || reason_is_planned(reason))
            json_array_append_new(names, json_string(reason_name(reason)));
    return names;
}

static json_t *status_service(const struct service *service)
{
    pid_t pid = service_pid(service);
    const char *state = pid ? "running" : service_is_wanted(service) ? "waiting" : "off";
    return json_pack("{s:s, s:o, s:I, s:I, s:s?, s:o}", "state", state, "pid",
        pid ? json_integer(pid) : json_null(), "restarts", (json_int_t)service_restarts(service),
        "hangs", (json_int_t)service_hangs(service), "last_failure", service_last_failure(service),
        "heartbeat_age_ms", status_age(service_heartbeat_us(service), time_monotonic_us()));
}

json_t *status_daemon(const struct daemon *daemon)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < daemon->stream_count; i++)
        json_array_append_new(streams, status_stream(daemon, daemon->streams[i], false));
    return json_pack(
        "{s:s, s:s, s:i, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "node",
        daemon->config->node, "version", KEEPFRAME_VERSION, "pid", (int)getpid(), "start",
        status_time(daemon->start_us), "listen", daemon->config->http.listen, "states",
        status_states(), "reasons", status_reasons(false), "planned_reasons", status_reasons(true),
        "indexer", status_service(daemon->indexer), "webui", status_service(daemon->webui),
        "loop_delay", histogram_json(&daemon->meter.delay), "config",
        reloader_status(daemon->reloader), "hooks", hooks_status(daemon->hooks),
        "clock_synchronised", !hints_is_clock_loose(), "upgrade", upgrade_status(daemon->upgrade),
        "streams", streams);
}

static void status_log_service(const struct service *service)
{
    log_info("state: %s: pid %d, %" PRIu64 " restart%s", service_name(service),
        (int)service_pid(service), service_restarts(service),
        service_restarts(service) == 1 ? "" : "s");
}

void status_log(const struct daemon *daemon)
{
    status_log_service(daemon->indexer);
    status_log_service(daemon->webui);
    for (size_t i = 0; i < daemon->stream_count; i++) {
        const struct stream *stream = daemon->streams[i];
        const struct figures *figures = &stream->figures;
        log_info("state: %s/%s: %s, pid %d, run %" PRId64 ", %" PRId64 " frames, %" PRId64
                 " bytes, %" PRId64 " restart%s, last reason %s",
            stream->camera, stream->name, stream_state_name(stream->state),
            stream->child ? (int)child_pid(stream->child) : 0, stream->run.open.run,
            figures->frames, figures->bytes, figures_restarts(figures),
            figures_restarts(figures) == 1 ? "" : "s",
            stream->last_reason ? reason_name(stream->last_reason) : "none");
    }
}
