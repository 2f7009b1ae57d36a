// How fast the footage grows. See outlook.h.
#include "indexer/outlook.h"

#include <stdlib.h>

#include "indexer/forecast.h"
#include "indexer/storage.h"
#include "indexer/volume.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_storage.h"

#define OUTLOOK_PERIOD_US (60 * US_PER_SECOND)
#define OUTLOOK_HOUR_US (3600 * US_PER_SECOND)

enum {
    OUTLOOK_HOURS = 24,
};

struct outlook {
    struct indexer *indexer;
    int64_t next_us;
    struct forecast forecast;
    uint64_t room_bytes;
    int hours;
};

struct outlook *outlook_new(struct indexer *indexer)
{
    struct outlook *outlook = xcalloc(1, sizeof(*outlook));
    outlook->indexer = indexer;
    outlook->forecast.full_days = outlook->forecast.history_days = -1;
    return outlook;
}

void outlook_free(struct outlook *outlook)
{
    free(outlook);
}

// What may be written before `min_free` on all volumes that are there, each file system once.
static uint64_t outlook_room(const struct outlook *outlook)
{
    const struct storage *storage = outlook->indexer->storage;
    const struct keeper *keeper, *other;
    uint64_t room = 0;
    for (size_t i = 0; (keeper = storage_at(storage, i)) != NULL; i++) {
        bool counted = keeper->volume == NULL;
        for (size_t j = 0; j < i && !counted; j++) {
            other = storage_at(storage, j);
            counted = other->volume != NULL && other->volume->device == keeper->volume->device;
        }
        uint64_t reserve = retention_reserve(
            &outlook->indexer->config->storage.volumes[i].min_free, keeper->space.total_bytes);
        if (!counted && keeper->space.available_bytes > reserve)
            room += keeper->space.available_bytes - reserve;
    }
    return room;
}

// A stream's figures; `recorded` bytes in the hours up to `end_us`. *hours: over how many.
static struct forecast_stream outlook_stream(const struct config *config,
    const struct catalog_stream *stream, uint64_t recorded, int64_t end_us, int *hours)
{
    const struct config_stream *found = config_stream_find(config, stream->camera, stream->stream);
    const struct config_recording *recording = found ? &found->recording : &config->defaults;
    int64_t keep_us = recording->retain.continuous_us, first_us = stream->first_us;
    int64_t whole = first_us < end_us ? (end_us - first_us) / OUTLOOK_HOUR_US : 0;
    *hours = whole < OUTLOOK_HOURS ? (int)whole : OUTLOOK_HOURS;
    struct forecast_stream made = {
        .bytes = stream->bytes,
        .max_bytes = (uint64_t)recording->retain.max_bytes,
        .age_days =
            first_us > 0 && first_us < end_us ? (double)(end_us - first_us) / US_PER_DAY : 0,
    };
    if (*hours > 0)
        made.bytes_per_day = (double)recorded / *hours * OUTLOOK_HOURS;
    if (recording->retain.mode == CONFIG_MODE_EVENTS) {
        // What is recorded says little about what stays.
        keep_us = recording->retain.events_us ? recording->retain.events_us : keep_us;
        made.bytes_per_day = made.age_days > 0 ? (double)stream->bytes / made.age_days : 0;
    }
    made.keep_days = (double)keep_us / US_PER_DAY;
    return made;
}

static void outlook_read(struct outlook *outlook)
{
    struct indexer *indexer = outlook->indexer;
    struct catalog_stream *streams;
    struct catalog_rate *rates = NULL;
    size_t count, rate_count = 0;
    char *cause = NULL;
    if (catalog_streams(indexer->catalog, &streams, &count, &cause) != CATALOG_OK) {
        free(cause);
        return;
    }
    int64_t end_us = time_now_us() / OUTLOOK_HOUR_US * OUTLOOK_HOUR_US;
    if (catalog_rates(indexer->catalog, end_us - OUTLOOK_HOURS * OUTLOOK_HOUR_US, end_us, &rates,
            &rate_count, &cause) != CATALOG_OK)
        free(cause);
    struct forecast_stream *made = xcalloc(count, sizeof(*made));
    outlook->hours = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t recorded = 0;
        int hours;
        for (size_t j = 0; j < rate_count; j++)
            recorded = rates[j].stream_id == streams[i].id ? rates[j].bytes : recorded;
        made[i] = outlook_stream(indexer->config, &streams[i], recorded, end_us, &hours);
        outlook->hours = hours > outlook->hours ? hours : outlook->hours;
    }
    outlook->room_bytes = outlook_room(outlook);
    forecast_make(made, count, outlook->room_bytes, &outlook->forecast);
    free(made);
    free(rates);
    free(streams);
}

void outlook_tick(struct outlook *outlook, int64_t now_us)
{
    if (now_us < outlook->next_us)
        return;
    outlook->next_us = now_us + OUTLOOK_PERIOD_US;
    outlook_read(outlook);
}

static json_t *outlook_days(const struct outlook *outlook, double days)
{
    return days < 0 || outlook->hours == 0 ? json_null() : json_real(days);
}

json_t *outlook_json(const struct outlook *outlook)
{
    const struct forecast *forecast = &outlook->forecast;
    return json_pack("{s:f, s:I, s:o, s:o, s:i}", "bytes_per_day",
        outlook->hours > 0 ? forecast->bytes_per_day : 0.0, "room_bytes",
        (json_int_t)outlook->room_bytes, "full_days", outlook_days(outlook, forecast->full_days),
        "history_days", outlook_days(outlook, forecast->history_days), "hours", outlook->hours);
}
