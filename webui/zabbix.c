// What Zabbix asks. See zabbix.h.
#include "webui/zabbix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "webui/peers.h"
#include "webui/worker.h"

void zabbix_discovery(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    json_t *list = json_array();
    for (size_t i = 0; i < worker->conf->stream_count; i++) {
        const struct conf_stream *stream = &worker->conf->streams[i];
        json_array_append_new(list,
            json_pack("{s:s, s:s}", "{#CAMERA}", stream->camera, "{#STREAM}", stream->stream));
    }
    reply_json(reply, 200, list);
}

// Seconds since the epoch of a time in RFC 3339. Returns false when it is none.
static bool zabbix_time(const json_t *text, double *seconds)
{
    int64_t time_us;
    if (!json_is_string(text) || !time_parse(json_string_value(text), &time_us))
        return false;
    *seconds = (double)time_us / US_PER_SECOND;
    return true;
}

static void zabbix_set_flag(json_t *object, const char *key, bool flag)
{
    json_object_set_new(object, key, json_integer(flag));
}

// Copies what is there: numbers and texts as they are, truth as 0 or 1.
static void zabbix_copy(json_t *object, const json_t *from, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (json_is_boolean(value))
            zabbix_set_flag(object, *keys, json_is_true(value));
        else if (value != NULL && !json_is_null(value))
            json_object_set(object, *keys, value);
    }
}

static double zabbix_total(const json_t *counts)
{
    const char *key;
    json_t *count;
    double total = 0;
    json_object_foreach((json_t *)counts, key, count)
    {
        (void)key;
        total += json_number_value(count);
    }
    return total;
}

// --- Streams ---

// The sum of a stream's counts of all reasons that were not planned.
static double zabbix_failures(const json_t *supervisor, const json_t *counts)
{
    const json_t *reason;
    size_t index;
    double total = zabbix_total(counts);
    json_array_foreach(json_object_get(supervisor, "planned_reasons"), index, reason)
    {
        total -= json_number_value(json_object_get(counts, json_string_value(reason)));
    }
    return total < 0 ? 0 : total;
}

static void zabbix_add_supervised(json_t *object, const json_t *supervisor, const json_t *stream)
{
    static const char *const keys[] = {"state", "enabled", "frames", "bytes", "dropped_frames",
        "duplicated_frames", "fps", "bytes_per_second", "cpu_seconds", "resident_bytes", NULL};
    const char *state = json_string_value(json_object_get(stream, "state"));
    const char *reason = json_string_value(json_object_get(stream, "last_reason"));
    const char *words = json_string_value(json_object_get(stream, "last_words"));
    double last;
    zabbix_copy(object, stream, keys);
    zabbix_set_flag(object, "up", state != NULL && strcmp(state, "recording") == 0);
    json_object_set_new(object, "last_reason", json_string(reason ? reason : ""));
    json_object_set_new(object, "last_words", json_string(words ? words : ""));
    json_object_set_new(object, "restarts",
        json_integer((json_int_t)zabbix_failures(
            supervisor, json_object_get(stream, "restarts_by_reason"))));
    json_object_set_new(object, "gap_seconds",
        json_real(zabbix_failures(supervisor, json_object_get(stream, "gap_seconds_by_reason"))));
    if (zabbix_time(json_object_get(stream, "last_frame"), &last))
        json_object_set_new(object, "last_frame", json_real(last));
}

// The object of a stream in the answer, or NULL when it is not configured.
static json_t *zabbix_stream(const json_t *streams, const char *camera, const char *name)
{
    char key[2 * SEGMENT_NAME_MAX];
    if (camera == NULL || name == NULL ||
        (size_t)snprintf(key, sizeof(key), "%s/%s", camera, name) >= sizeof(key))
        return NULL;
    return json_object_get(streams, key);
}

static json_t *zabbix_stream_of(const json_t *streams, const json_t *stream)
{
    return zabbix_stream(streams, json_string_value(json_object_get(stream, "camera")),
        json_string_value(json_object_get(stream, "stream")));
}

static void zabbix_add_indexed(json_t *streams, const json_t *indexer)
{
    static const char *const keys[] = {"clock_skew_seconds", NULL};
    const json_t *stream;
    size_t index;
    json_array_foreach(json_object_get(indexer, "streams"), index, stream)
    {
        json_t *object = zabbix_stream_of(streams, stream);
        if (object != NULL)
            zabbix_copy(object, stream, keys);
    }
}

static void zabbix_add_cataloged(json_t *streams, struct worker *worker)
{
    struct catalog_stream *rows = NULL;
    size_t count = 0;
    char *cause = NULL;
    enum catalog_status status = worker_open_catalog(worker, &cause);
    if (status == CATALOG_OK)
        status = worker_check(worker, catalog_streams(worker->catalog, &rows, &count, &cause));
    free(cause);
    if (status != CATALOG_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        json_t *object = zabbix_stream(streams, rows[i].camera, rows[i].stream);
        if (object == NULL || rows[i].first_us == 0)
            continue;
        json_object_set_new(object, "oldest", json_real((double)rows[i].first_us / US_PER_SECOND));
        json_object_set_new(object, "footage_bytes", json_integer((json_int_t)rows[i].bytes));
    }
    free(rows);
}

static json_t *zabbix_streams(
    struct worker *worker, const json_t *supervisor, const json_t *indexer)
{
    json_t *streams = json_object();
    const json_t *stream;
    size_t index;
    for (size_t i = 0; i < worker->conf->stream_count; i++) {
        const struct conf_stream *conf = &worker->conf->streams[i];
        char key[2 * SEGMENT_NAME_MAX];
        snprintf(key, sizeof(key), "%s/%s", conf->camera, conf->stream);
        json_object_set_new(streams, key,
            json_pack("{s:s, s:s, s:i, s:I}", "camera", conf->camera, "stream", conf->stream,
                "enabled", (int)conf->enabled, "retain_seconds",
                (json_int_t)(conf->continuous_us / US_PER_SECOND)));
    }
    json_array_foreach(json_object_get(supervisor, "streams"), index, stream)
    {
        json_t *object = zabbix_stream_of(streams, stream);
        if (object != NULL)
            zabbix_add_supervised(object, supervisor, stream);
    }
    zabbix_add_indexed(streams, indexer);
    zabbix_add_cataloged(streams, worker);
    return streams;
}

// --- The daemon and the storage ---

// Of the streams that are to be recorded, how many are, and how many are not.
static void zabbix_count_streams(json_t *daemon, const json_t *streams)
{
    json_int_t up = 0, down = 0;
    const char *key;
    json_t *stream;
    json_object_foreach((json_t *)streams, key, stream)
    {
        (void)key;
        bool is_up = json_integer_value(json_object_get(stream, "up")) == 1;
        up += is_up;
        down += !is_up && json_integer_value(json_object_get(stream, "enabled")) == 1;
    }
    json_object_set_new(daemon, "streams_up", json_integer(up));
    json_object_set_new(daemon, "streams_down", json_integer(down));
}

static void zabbix_add_config(json_t *daemon, const json_t *config)
{
    const char *error = json_string_value(json_object_get(config, "error"));
    double time;
    if (config == NULL)
        return;
    zabbix_set_flag(
        daemon, "config_successful", json_is_true(json_object_get(config, "successful")));
    json_object_set_new(daemon, "config_error", json_string(error ? error : ""));
    if (zabbix_time(json_object_get(config, "time"), &time))
        json_object_set_new(daemon, "config_time", json_real(time));
}

static json_t *zabbix_daemon(
    const json_t *supervisor, const json_t *indexer, const json_t *streams, const char *node)
{
    static const char *const programs[] = {"indexer", "webui"};
    static const char *const keys[] = {"clock_synchronised", NULL};
    json_t *daemon = json_pack("{s:s, s:s, s:i, s:i}", "node", node, "version", KEEPFRAME_VERSION,
        "supervisor_up", supervisor != NULL, "indexer_up", indexer != NULL);
    double start;
    if (supervisor == NULL)
        return daemon;
    zabbix_count_streams(daemon, streams);
    if (zabbix_time(json_object_get(supervisor, "start"), &start))
        json_object_set_new(
            daemon, "uptime_seconds", json_real((double)time_now_us() / US_PER_SECOND - start));
    zabbix_copy(daemon, supervisor, keys);
    zabbix_add_config(daemon, json_object_get(supervisor, "config"));
    for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
        char key[32];
        snprintf(key, sizeof(key), "%s_restarts", programs[i]);
        json_t *restarts = json_object_get(json_object_get(supervisor, programs[i]), "restarts");
        if (restarts != NULL)
            json_object_set(daemon, key, restarts);
    }
    return daemon;
}

// All alarms as one text, a line each; empty when there is none.
static json_t *zabbix_alarms(const json_t *indexer)
{
    struct buf text = BUF_INIT;
    const json_t *alarm;
    size_t index;
    json_array_foreach(json_object_get(indexer, "alarms"), index, alarm)
    {
        buf_printf(&text, "%s%s", text.size ? "\n" : "", json_string_value(alarm));
    }
    json_t *string = json_string(buf_string(&text));
    buf_fini(&text);
    return string;
}

static json_t *zabbix_storage(const json_t *indexer)
{
    static const char *const keys[] = {
        "committed", "index_lag_seconds", "cache_sync_seconds", NULL};
    json_t *storage = json_object();
    zabbix_copy(storage, indexer, keys);
    json_object_set(
        storage, "cache_bytes", json_object_get(json_object_get(indexer, "cache"), "bytes"));
    const json_t *deleted = json_object_get(indexer, "deleted");
    json_object_set_new(storage, "deleted", json_integer((json_int_t)zabbix_total(deleted)));
    json_object_set_new(storage, "deleted_for_space",
        json_integer(json_integer_value(json_object_get(deleted, "min_free"))));
    json_object_set_new(storage, "quarantined",
        json_integer((json_int_t)zabbix_total(json_object_get(indexer, "quarantined"))));
    json_object_set_new(storage, "alarms", zabbix_alarms(indexer));
    return storage;
}

static json_t *zabbix_volumes(const json_t *indexer)
{
    static const char *const keys[] = {
        "path", "writable", "total_bytes", "free_bytes", "used_bytes", NULL};
    json_t *volumes = json_array();
    const json_t *volume;
    size_t index;
    json_array_foreach(json_object_get(indexer, "volumes"), index, volume)
    {
        json_t *object = json_object();
        zabbix_copy(object, volume, keys);
        json_array_append_new(volumes, object);
    }
    return volumes;
}

void zabbix_items(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    const json_t *supervisor = peers_supervisor(worker->peers, worker->conf);
    const json_t *indexer = peers_indexer(worker->peers, worker->conf);
    json_t *streams = zabbix_streams(worker, supervisor, indexer);
    json_t *answer = json_pack("{s:o, s:o}", "daemon",
        zabbix_daemon(supervisor, indexer, streams, worker->conf->node), "volumes",
        zabbix_volumes(indexer));
    if (indexer != NULL)
        json_object_set_new(answer, "storage", zabbix_storage(indexer));
    json_object_set_new(answer, "streams", streams);
    reply_json(reply, 200, answer);
}
