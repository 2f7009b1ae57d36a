// GET /metrics. See metrics.h. All metrics stand in one table, at the end of this file.
#include "webui/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/live_client.h"
#include "webui/live_reload.h"
#include "webui/peers.h"
#include "webui/promtext.h"
#include "webui/traffic.h"
#include "webui/worker.h"

enum {
    METRICS_BOUNDS_MAX = 64,
};

struct metric;

// What one answer is made from.
struct metrics {
    const json_t *supervisor; // its status; NULL: it does not answer
    const json_t *indexer;
    const struct catalog_stream *streams;
    size_t stream_count;
    const struct traffic *traffic;
    struct live_clients_stats live;
    struct live_reloads_stats reloads;
    struct promtext text;
};

struct metric {
    const char *name;
    enum promtext_type type;
    const char *help;
    void (*write)(struct metrics *metrics, const char *key);
    const char *key; // the member of the status that it is made from, where it is one
};

static void metrics_put(struct metrics *metrics, struct promtext_label first,
    struct promtext_label second, struct promtext_label third, double value)
{
    const struct promtext_label labels[PROMTEXT_LABELS_MAX] = {first, second, third};
    promtext_put(&metrics->text, labels, value);
}

static struct promtext_label metrics_label(const char *name, const char *value)
{
    return (struct promtext_label){name, value};
}

static const struct promtext_label metrics_none = {0};

// Reads a number, a truth value or a time. Returns false for anything else.
static bool metrics_read(const json_t *value, double *number)
{
    int64_t time_us;
    if (json_is_number(value))
        *number = json_number_value(value);
    else if (json_is_boolean(value))
        *number = json_is_true(value);
    else if (json_is_string(value) && time_parse(json_string_value(value), &time_us))
        *number = (double)time_us / US_PER_SECOND;
    else
        return false;
    return true;
}

// A figure without labels: a member of some part of a status, if it is there.
static void metrics_put_member(struct metrics *metrics, const json_t *part, const char *key)
{
    double number;
    if (metrics_read(json_object_get(part, key), &number))
        metrics_put(metrics, metrics_none, metrics_none, metrics_none, number);
}

// --- Streams, as the supervisor and the indexer see them ---

// Reads the names of a stream's object. Returns false when it has none.
static bool metrics_stream_labels(
    const json_t *stream, struct promtext_label *camera, struct promtext_label *name)
{
    *camera = metrics_label("camera", json_string_value(json_object_get(stream, "camera")));
    *name = metrics_label("stream", json_string_value(json_object_get(stream, "stream")));
    return camera->value != NULL && name->value != NULL;
}

static void metrics_streams(struct metrics *metrics, const json_t *status, const char *key)
{
    const json_t *stream;
    size_t index;
    double number;
    struct promtext_label camera, name;
    json_array_foreach(json_object_get(status, "streams"), index, stream)
    {
        if (metrics_stream_labels(stream, &camera, &name) &&
            metrics_read(json_object_get(stream, key), &number))
            metrics_put(metrics, camera, name, metrics_none, number);
    }
}

static void metrics_stream(struct metrics *metrics, const char *key)
{
    metrics_streams(metrics, metrics->supervisor, key);
}

static void metrics_indexed_stream(struct metrics *metrics, const char *key)
{
    metrics_streams(metrics, metrics->indexer, key);
}

static const char *metrics_state(const json_t *stream)
{
    const char *state = json_string_value(json_object_get(stream, "state"));
    return state ? state : "";
}

static void metrics_stream_up(struct metrics *metrics, const char *key)
{
    const json_t *stream;
    size_t index;
    struct promtext_label camera, name;
    (void)key;
    json_array_foreach(json_object_get(metrics->supervisor, "streams"), index, stream)
    {
        if (metrics_stream_labels(stream, &camera, &name))
            metrics_put(metrics, camera, name, metrics_none,
                strcmp(metrics_state(stream), "recording") == 0);
    }
}

static void metrics_stream_state(struct metrics *metrics, const char *key)
{
    const json_t *stream, *state;
    size_t index, i;
    struct promtext_label camera, name;
    (void)key;
    json_array_foreach(json_object_get(metrics->supervisor, "streams"), index, stream)
    {
        if (!metrics_stream_labels(stream, &camera, &name))
            continue;
        json_array_foreach(json_object_get(metrics->supervisor, "states"), i, state)
        {
            const char *text = json_string_value(state);
            if (text != NULL)
                metrics_put(metrics, camera, name, metrics_label("state", text),
                    strcmp(metrics_state(stream), text) == 0);
        }
    }
}

// A count for each reason that there was. "unknown" is always there, so that the sum over all
// reasons begins at zero.
static void metrics_stream_reasons(struct metrics *metrics, const char *key)
{
    const json_t *stream, *count;
    size_t index;
    const char *reason;
    struct promtext_label camera, name;
    json_array_foreach(json_object_get(metrics->supervisor, "streams"), index, stream)
    {
        json_t *counts = json_object_get(stream, key);
        if (counts == NULL || !metrics_stream_labels(stream, &camera, &name))
            continue;
        if (json_object_get(counts, "unknown") == NULL)
            metrics_put(metrics, camera, name, metrics_label("reason", "unknown"), 0);
        json_object_foreach(counts, reason, count)
        {
            metrics_put(
                metrics, camera, name, metrics_label("reason", reason), json_number_value(count));
        }
    }
}

static void metrics_stream_oldest(struct metrics *metrics, const char *key)
{
    (void)key;
    for (size_t i = 0; i < metrics->stream_count; i++) {
        const struct catalog_stream *stream = &metrics->streams[i];
        if (stream->first_us != 0)
            metrics_put(metrics, metrics_label("camera", stream->camera),
                metrics_label("stream", stream->stream), metrics_none,
                (double)stream->first_us / US_PER_SECOND);
    }
}

// --- The storage, as the indexer sees it ---

static void metrics_indexer(struct metrics *metrics, const char *key)
{
    metrics_put_member(metrics, metrics->indexer, key);
}

static void metrics_cache_bytes(struct metrics *metrics, const char *key)
{
    metrics_put_member(metrics, json_object_get(metrics->indexer, "cache"), key);
}

static void metrics_indexer_reasons(struct metrics *metrics, const char *key)
{
    const char *reason;
    const json_t *count;
    json_object_foreach(json_object_get(metrics->indexer, key), reason, count)
    {
        metrics_put(metrics, metrics_label("reason", reason), metrics_none, metrics_none,
            json_number_value(count));
    }
}

static void metrics_volume(struct metrics *metrics, const char *key)
{
    const json_t *volume;
    size_t index;
    double number;
    json_array_foreach(json_object_get(metrics->indexer, "volumes"), index, volume)
    {
        const char *path = json_string_value(json_object_get(volume, "path"));
        if (path != NULL && metrics_read(json_object_get(volume, key), &number))
            metrics_put(metrics, metrics_label("volume", path), metrics_none, metrics_none, number);
    }
}

// --- The web interface itself ---

static void metrics_request(const char *route, unsigned status, uint64_t count, void *arg)
{
    char code[16] = "other";
    if (status != 0)
        snprintf(code, sizeof(code), "%u", status);
    metrics_put(arg, metrics_label("route", route), metrics_label("code", code), metrics_none,
        (double)count);
}

static void metrics_requests(struct metrics *metrics, const char *key)
{
    (void)key;
    traffic_each(metrics->traffic, metrics_request, metrics);
}

static void metrics_response_bytes(struct metrics *metrics, const char *key)
{
    (void)key;
    metrics_put(
        metrics, metrics_none, metrics_none, metrics_none, (double)traffic_bytes(metrics->traffic));
}

static void metrics_responses_cut(struct metrics *metrics, const char *key)
{
    (void)key;
    metrics_put(metrics, metrics_none, metrics_none, metrics_none,
        (double)traffic_failures(metrics->traffic));
}

static void metrics_live(struct metrics *metrics, const char *key)
{
    const struct live_clients_stats *live = &metrics->live;
    const uint64_t value = strcmp(key, "clients") == 0 ? live->clients
                           : strcmp(key, "sent") == 0  ? live->sent
                                                       : live->dropped;
    metrics_put(metrics, metrics_none, metrics_none, metrics_none, (double)value);
}

static void metrics_playlists(struct metrics *metrics, const char *key)
{
    const struct live_reloads_stats *reloads = &metrics->reloads;
    const uint64_t value = strcmp(key, "waiting") == 0 ? reloads->waiting : reloads->refused;
    metrics_put(metrics, metrics_none, metrics_none, metrics_none, (double)value);
}

static void metrics_request_seconds(struct metrics *metrics, const char *key)
{
    struct traffic_times times;
    (void)key;
    for (size_t i = 0; traffic_times_get(metrics->traffic, i, &times); i++) {
        double counts[TRAFFIC_BOUNDS + 1], total = 0;
        for (size_t j = 0; j <= TRAFFIC_BOUNDS; j++)
            total += counts[j] = (double)times.counts[j];
        if (total > 0)
            promtext_put_histogram(&metrics->text, metrics_label("route", times.route),
                traffic_bounds_s, counts, TRAFFIC_BOUNDS, (double)times.sum_us / US_PER_SECOND);
    }
}

// --- The daemon ---

static void metrics_program(struct metrics *metrics, const char *name, bool up)
{
    metrics_put(metrics, metrics_label("program", name), metrics_none, metrics_none, up);
}

static void metrics_program_up(struct metrics *metrics, const char *key)
{
    (void)key;
    metrics_program(metrics, "supervisor", metrics->supervisor != NULL);
    metrics_program(metrics, "indexer", metrics->indexer != NULL);
    metrics_program(metrics, "webui", true);
}

// Of the programs that the supervisor starts.
static void metrics_program_restarts(struct metrics *metrics, const char *key)
{
    static const char *const programs[] = {"indexer", "webui"};
    double number;
    for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
        const json_t *program = json_object_get(metrics->supervisor, programs[i]);
        if (metrics_read(json_object_get(program, key), &number))
            metrics_put(
                metrics, metrics_label("program", programs[i]), metrics_none, metrics_none, number);
    }
}

static void metrics_version(struct metrics *metrics, const char *program, const char *version)
{
    if (version != NULL)
        metrics_put(metrics, metrics_label("program", program), metrics_label("version", version),
            metrics_none, 1);
}

static void metrics_build_info(struct metrics *metrics, const char *key)
{
    metrics_version(
        metrics, "supervisor", json_string_value(json_object_get(metrics->supervisor, key)));
    metrics_version(metrics, "indexer", json_string_value(json_object_get(metrics->indexer, key)));
    metrics_version(metrics, "webui", KEEPFRAME_VERSION);
}

static void metrics_supervisor(struct metrics *metrics, const char *key)
{
    metrics_put_member(metrics, metrics->supervisor, key);
}

static void metrics_config(struct metrics *metrics, const char *key)
{
    metrics_put_member(metrics, json_object_get(metrics->supervisor, "config"), key);
}

static void metrics_loop_delay(struct metrics *metrics, const char *key)
{
    const json_t *delay = json_object_get(metrics->supervisor, key);
    const json_t *bounds = json_object_get(delay, "bounds");
    const json_t *counts = json_object_get(delay, "counts");
    double upper[METRICS_BOUNDS_MAX], values[METRICS_BOUNDS_MAX + 1];
    size_t count = json_array_size(bounds);
    if (count == 0 || count > METRICS_BOUNDS_MAX || json_array_size(counts) != count + 1)
        return;
    for (size_t i = 0; i <= count; i++) {
        if (i < count)
            upper[i] = json_number_value(json_array_get(bounds, i));
        values[i] = json_number_value(json_array_get(counts, i));
    }
    promtext_put_histogram(&metrics->text, metrics_none, upper, values, count,
        json_number_value(json_object_get(delay, "sum")));
}

// --- The table ---

#define COUNTER(name, help, write, key)                                                            \
    {                                                                                              \
        "keepframe_" name "_total", PROMTEXT_COUNTER, help, write, key                             \
    }
#define GAUGE(name, help, write, key)                                                              \
    {                                                                                              \
        "keepframe_" name, PROMTEXT_GAUGE, help, write, key                                        \
    }
#define HISTOGRAM(name, help, write, key)                                                          \
    {                                                                                              \
        "keepframe_" name, PROMTEXT_HISTOGRAM, help, write, key                                    \
    }

static const struct metric metrics_table[] = {
    GAUGE("stream_up", "Whether frames of the stream are being recorded.", metrics_stream_up, NULL),
    GAUGE("stream_state", "1 for the state that the stream's recorder is in, 0 for the others.",
        metrics_stream_state, NULL),
    COUNTER("stream_frames", "Video frames recorded since the supervisor began.", metrics_stream,
        "frames"),
    COUNTER("stream_bytes", "Bytes recorded since the supervisor began, measured from the files.",
        metrics_stream, "bytes"),
    COUNTER("stream_dropped_frames", "Frames that the recorder has dropped.", metrics_stream,
        "dropped_frames"),
    COUNTER("stream_duplicated_frames", "Frames that the recorder has doubled.", metrics_stream,
        "duplicated_frames"),
    GAUGE("stream_fps", "Video frames a second that are being recorded.", metrics_stream, "fps"),
    GAUGE("stream_bytes_per_second", "Bytes a second that are being recorded.", metrics_stream,
        "bytes_per_second"),
    GAUGE("stream_last_frame_timestamp_seconds", "When the last frame was recorded.",
        metrics_stream, "last_frame"),
    COUNTER("stream_restarts", "Ends of the stream's recorder, by reason.", metrics_stream_reasons,
        "restarts_by_reason"),
    COUNTER("stream_gap_seconds",
        "Time without recording since the supervisor began, by reason; the gap that goes on now "
        "included.",
        metrics_stream_reasons, "gap_seconds_by_reason"),
    GAUGE("stream_clock_skew_seconds",
        "The camera's clock minus ours, where the camera tells its time; its delay counts too.",
        metrics_indexed_stream, "clock_skew_seconds"),
    GAUGE("stream_oldest_timestamp_seconds", "When the oldest footage of the stream begins.",
        metrics_stream_oldest, NULL),
    COUNTER(
        "stream_cpu_seconds", "CPU time of the stream's recorders.", metrics_stream, "cpu_seconds"),
    GAUGE("stream_resident_bytes",
        "Memory of the stream's recorder; shared pages count by their share (PSS).", metrics_stream,
        "resident_bytes"),
    COUNTER("segments_committed", "Segments that have come into the catalog.", metrics_indexer,
        "committed"),
    COUNTER("segments_quarantined", "Segments that could not be used and were put aside.",
        metrics_indexer_reasons, "quarantined"),
    COUNTER("segments_deleted", "Segments that were deleted, by reason.", metrics_indexer_reasons,
        "deleted"),
    GAUGE("index_lag_seconds", "Age of the oldest segment that is finished and not yet committed.",
        metrics_indexer, "index_lag_seconds"),
    GAUGE("cache_bytes", "Footage in the cache directory.", metrics_cache_bytes, "bytes"),
    GAUGE("cache_sync_seconds", "How long the last round of making the cache durable took.",
        metrics_indexer, "cache_sync_seconds"),
    GAUGE("volume_free_bytes", "Free space of the volume that we may use.", metrics_volume,
        "free_bytes"),
    GAUGE("volume_used_bytes", "Footage on the volume.", metrics_volume, "used_bytes"),
    COUNTER("http_requests", "Requests answered, by route and status.", metrics_requests, NULL),
    COUNTER("http_response_bytes", "Bytes of bodies sent.", metrics_response_bytes, NULL),
    COUNTER("http_responses_cut_short",
        "Answers that had to end early, because a file was gone or not what it had been, say.",
        metrics_responses_cut, NULL),
    HISTOGRAM("http_request_seconds",
        "Time from a request's first line until its answer begins, by route.",
        metrics_request_seconds, NULL),
    GAUGE("live_clients", "Live views that are being sent.", metrics_live, "clients"),
    COUNTER("live_fragments_sent", "Fragments of live views sent.", metrics_live, "sent"),
    COUNTER("live_fragments_dropped",
        "Fragments of live views left out for clients whose link was too slow.", metrics_live,
        "dropped"),
    GAUGE("live_playlists_waiting", "Requests for a live playlist that wait for what comes next.",
        metrics_playlists, "waiting"),
    COUNTER("live_playlists_unwaited",
        "Such requests answered at once because their client waited too often already.",
        metrics_playlists, "refused"),
    GAUGE("program_up", "Whether the program answers. What is asked of it is absent otherwise.",
        metrics_program_up, NULL),
    COUNTER("program_restarts", "How often the supervisor had to start the program again.",
        metrics_program_restarts, "restarts"),
    GAUGE("build_info", "The versions of the programs; always 1.", metrics_build_info, "version"),
    GAUGE("config_last_reload_successful",
        "Whether the configuration could be used when it was read last.", metrics_config,
        "successful"),
    GAUGE("config_last_reload_timestamp_seconds", "When the configuration was read last.",
        metrics_config, "time"),
    GAUGE("clock_synchronised", "Whether a time service keeps the recorder's clock right.",
        metrics_supervisor, "clock_synchronised"),
    HISTOGRAM("loop_delay_seconds",
        "How long the supervisor's event loop was busy before it looked at its events again.",
        metrics_loop_delay, "loop_delay"),
};

void metrics_handle(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    char *cause = NULL;
    struct catalog_stream *streams = NULL;
    struct metrics metrics = {
        .supervisor = peers_supervisor(worker->peers, worker->conf),
        .indexer = peers_indexer(worker->peers, worker->conf),
        .traffic = worker->shared->traffic,
    };
    live_clients_get_stats(worker->shared->live, &metrics.live);
    live_reloads_get_stats(worker->shared->reloads, &metrics.reloads);
    // Without the catalog the rest is still worth telling.
    if (worker_open_catalog(worker, &cause) == CATALOG_OK &&
        worker_check(worker, catalog_streams(worker->catalog, &streams, &metrics.stream_count,
                                 &cause)) != CATALOG_OK)
        metrics.stream_count = 0;
    metrics.streams = streams;
    reply->status = 200;
    reply->content_type = PROMTEXT_CONTENT_TYPE;
    for (size_t i = 0; i < ARRAY_LENGTH(metrics_table); i++) {
        const struct metric *metric = &metrics_table[i];
        promtext_begin(&metrics.text, &reply->body, metric->name, metric->type, metric->help);
        metric->write(&metrics, metric->key);
    }
    free(streams);
    free(cause);
}
