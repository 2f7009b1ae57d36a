// Room and rates, and how the programs are. See docs/api.md.
#include <stdlib.h>
#include <string.h>

#include "lib/core/timeutil.h"
#include "lib/media/catalog_storage.h"
#include "webui/api.h"
#include "webui/peers.h"
#include "webui/worker.h"

#define STORAGE_RATE_US US_PER_DAY // over which rates are taken

// All that is needed, as the catalog has it.
struct storage {
    struct catalog_stream *streams;
    size_t stream_count;
    struct catalog_volume *volumes;
    size_t volume_count;
    struct catalog_storage *rooms;
    size_t room_count;
    struct catalog_rate *rates;
    size_t rate_count;
};

static enum catalog_status storage_load(
    struct worker *worker, struct storage *storage, char **cause)
{
    int64_t now_us = time_now_us();
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status == CATALOG_OK)
        status = catalog_streams(worker->catalog, &storage->streams, &storage->stream_count, cause);
    if (status == CATALOG_OK)
        status = catalog_volumes(worker->catalog, &storage->volumes, &storage->volume_count, cause);
    if (status == CATALOG_OK)
        status = catalog_storage(worker->catalog, &storage->rooms, &storage->room_count, cause);
    if (status == CATALOG_OK)
        status = catalog_rates(worker->catalog, now_us - STORAGE_RATE_US, now_us, &storage->rates,
            &storage->rate_count, cause);
    return worker_check(worker, status);
}

static void storage_fini(struct storage *storage)
{
    for (size_t i = 0; i < storage->volume_count; i++)
        free(storage->volumes[i].path);
    free(storage->streams);
    free(storage->volumes);
    free(storage->rooms);
    free(storage->rates);
}

// What the indexer says of a volume, or NULL.
static json_t *storage_volume_status(const json_t *indexer, const char *path)
{
    json_t *volume;
    size_t index;
    json_array_foreach(json_object_get(indexer, "volumes"), index, volume)
    {
        const char *name = json_string_value(json_object_get(volume, "path"));
        if (name != NULL && strcmp(name, path) == 0)
            return volume;
    }
    return NULL;
}

// What the indexer says of the volume, and over it what the catalog has.
static json_t *storage_volume(
    const struct storage *storage, const struct catalog_volume *volume, const json_t *indexer)
{
    json_t *status = storage_volume_status(indexer, volume->path);
    json_t *json = status ? json_deep_copy(status) : json_object();
    json_object_set_new(json, "path", reply_text("%s", volume->path));
    json_object_set_new(json, "uuid", json_string(volume->uuid));
    for (size_t i = 0; i < storage->room_count; i++) {
        const struct catalog_storage *room = &storage->rooms[i];
        if (room->volume_id != volume->id)
            continue;
        json_object_set_new(json, "used_bytes", json_integer((json_int_t)room->bytes));
        json_object_set_new(json, "segments", json_integer((json_int_t)room->segments));
        json_object_set_new(json, "first", reply_time(room->first_us));
        json_object_set_new(json, "deleting_bytes", json_integer((json_int_t)room->garbage_bytes));
    }
    return json;
}

static json_t *storage_stream(const struct storage *storage, const struct catalog_stream *stream)
{
    double bytes_per_second = 0;
    for (size_t i = 0; i < storage->rate_count; i++)
        if (storage->rates[i].stream_id == stream->id && storage->rates[i].covered_us > 0)
            bytes_per_second = (double)storage->rates[i].bytes * (double)US_PER_SECOND /
                               (double)storage->rates[i].covered_us;
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:f}", "camera", stream->camera, "stream",
        stream->stream, "first", reply_time(stream->first_us), "last", reply_time(stream->last_us),
        "bytes", (json_int_t)stream->bytes, "segments", (json_int_t)stream->segments,
        "bytes_per_second", bytes_per_second);
}

static double storage_bytes_per_day(const struct storage *storage)
{
    double bytes = 0;
    for (size_t i = 0; i < storage->rate_count; i++)
        bytes += (double)storage->rates[i].bytes;
    return bytes;
}

static json_t *status_copy(const json_t *status)
{
    return status ? json_deep_copy(status) : json_null();
}

void api_storage(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    struct storage storage = {0};
    char *cause = NULL;
    enum catalog_status status = storage_load(worker, &storage, &cause);
    if (api_catalog_failed(reply, status, cause)) {
        storage_fini(&storage);
        return;
    }
    const json_t *indexer = peers_indexer(worker->peers, worker->conf);
    json_t *volumes = json_array(), *streams = json_array();
    for (size_t i = 0; i < storage.volume_count; i++)
        json_array_append_new(volumes, storage_volume(&storage, &storage.volumes[i], indexer));
    for (size_t i = 0; i < storage.stream_count; i++)
        json_array_append_new(streams, storage_stream(&storage, &storage.streams[i]));
    reply_json(reply, 200,
        json_pack("{s:s, s:o, s:o, s:f, s:o}", "node", worker->conf->node, "volumes", volumes,
            "streams", streams, "bytes_per_day", storage_bytes_per_day(&storage), "forecast",
            status_copy(json_object_get(indexer, "storage"))));
    storage_fini(&storage);
}

void api_status(struct worker *worker, const struct request *request, struct reply *reply)
{
    (void)request;
    json_t *reasons = json_array();
    peers_complain(worker->peers, worker->conf, reasons);
    reply_json(reply, 200,
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "node", worker->conf->node, "version",
            KEEPFRAME_VERSION, "time", reply_time(time_now_us()), "reasons", reasons, "supervisor",
            status_copy(peers_supervisor(worker->peers, worker->conf)), "indexer",
            status_copy(peers_indexer(worker->peers, worker->conf))));
}
