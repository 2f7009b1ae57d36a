// The indexer's state as JSON. See status.h.
#include "indexer/status.h"

#include <stdlib.h>
#include <string.h>

#include "indexer/announce.h"
#include "indexer/cacheroom.h"
#include "indexer/cachesync.h"
#include "indexer/committer.h"
#include "indexer/expiry.h"
#include "indexer/ingest_stream.h"
#include "indexer/outlook.h"
#include "indexer/reconcile.h"
#include "indexer/stock.h"
#include "indexer/storage.h"
#include "indexer/worker.h"
#include "lib/core/config.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

static json_t *status_tally(const struct tally *tally)
{
    json_t *object = json_object();
    for (size_t i = 0; i < TALLY_REASONS_MAX && tally->entries[i].reason != NULL; i++)
        json_object_set_new(
            object, tally->entries[i].reason, json_integer((json_int_t)tally->entries[i].count));
    return object;
}

static double status_seconds(int64_t time_us)
{
    return (double)time_us / US_PER_SECOND;
}

// What is known of streams' clocks, for those of which something is.
static json_t *status_streams(const struct indexer *indexer)
{
    const struct ingest_stream *stream;
    json_t *streams = json_array();
    int64_t now_us = time_monotonic_us(), skew_us;
    for (size_t i = 0; (stream = ingest_stream_at(indexer->ingest, i)) != NULL; i++)
        if (skew_get(&stream->skew, now_us, &skew_us))
            json_array_append_new(
                streams, json_pack("{s:s, s:s, s:f}", "camera", stream->camera, "stream",
                             stream->name, "clock_skew_seconds", status_seconds(skew_us)));
    return streams;
}

static json_t *status_alarms(const struct indexer *indexer)
{
    json_t *alarms = json_array();
    storage_add_alarms(indexer->storage, alarms);
    ingest_add_alarms(indexer->ingest, alarms);
    if (cachesync_trouble(indexer->cachesync) != NULL)
        json_array_append_new(alarms, json_string(cachesync_trouble(indexer->cachesync)));
    expiry_add_alarms(indexer->expiry, alarms);
    cacheroom_add_alarms(indexer->cacheroom, alarms);
    if (committer_trouble(indexer->committer) != NULL)
        json_array_append_new(alarms, json_string(committer_trouble(indexer->committer)));
    return alarms;
}

json_t *status_json(const struct indexer *indexer)
{
    const struct figures *figures = &indexer->figures;
    struct stock_figures cache;
    stock_measure(indexer->ingest, time_now_us(), &cache);
    return json_pack(
        "{s:s, s:s, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:{s:I, s:I, s:I}, s:I, s:I, s:f, s:f, s:f,"
        " s:f, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "node", indexer->config->node, "version", KEEPFRAME_VERSION, "committed",
        (json_int_t)figures->committed, "committed_bytes", (json_int_t)figures->committed_bytes,
        "quarantined", status_tally(&figures->quarantined), "deleted",
        status_tally(&figures->deleted), "damaged_fragments",
        (json_int_t)figures->skipped_fragments, "mended", (json_int_t)figures->mended,
        "disordered_frames", (json_int_t)figures->disordered_frames, "cache", "streams",
        (json_int_t)cache.streams, "files", (json_int_t)cache.files, "bytes",
        (json_int_t)cache.bytes, "waiting_jobs",
        (json_int_t)storage_pending(indexer->storage) +
            (json_int_t)worker_pending(indexer->cache_worker),
        "waiting_commits", (json_int_t)committer_pending(indexer->committer), "index_lag_seconds",
        status_seconds(cache.lag_us), "cache_sync_seconds", status_seconds(figures->sync_us),
        "cache_sync_seconds_max", status_seconds(figures->sync_us_max), "filing_seconds_max",
        status_seconds(figures->filing_us_max), "loop_delay_seconds",
        status_seconds(figures->loop_delay_us_max), "volumes",
        storage_volumes_json(indexer->storage), "storage", outlook_json(indexer->outlook),
        "streams", status_streams(indexer), "locked", expiry_locked_json(indexer->expiry), "alarms",
        status_alarms(indexer), "warnings", expiry_warnings_json(indexer->expiry), "announced",
        announce_status(indexer->announce), "reconcile", reconcile_status(indexer->reconcile));
}
