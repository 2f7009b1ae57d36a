// The volumes together. See storage.h.
#include "indexer/storage.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "indexer/purge.h"
#include "indexer/quarantine.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_storage.h"

#define STORAGE_PERIOD_US (10 * US_PER_SECOND)

struct storage {
    struct indexer *indexer;
    struct keeper **keepers;
    size_t count;
    int64_t next_us; // when the figures are read again
    struct catalog_storage *figures;
    size_t figure_count;
};

// --- The start ---

static int storage_mark_one(struct catalog *catalog, const char *path, char **cause)
{
    char uuid[VOLUME_UUID_SIZE];
    struct stat info;
    int64_t id;
    // The mark of an archive whose catalog was lost stays.
    int marked = volume_mark_read(path, uuid, cause);
    if (marked < 0 || (marked == 0 && volume_mark(path, uuid, cause) < 0))
        return -1;
    if (catalog_volume_add(catalog, uuid, path, &id, cause) != CATALOG_OK)
        return -1;
    if (stat(path, &info) == 0)
        log_info(
            "%s is volume %s, on device %u:%u", path, uuid, major(info.st_dev), minor(info.st_dev));
    return 0;
}

int storage_mark(struct catalog *catalog, const struct config *config, char **cause)
{
    struct catalog_volume *volumes;
    size_t count;
    if (catalog_volumes(catalog, &volumes, &count, cause) != CATALOG_OK)
        return -1;
    for (size_t i = 0; i < count; i++)
        free(volumes[i].path);
    free(volumes);
    for (size_t i = 0; count == 0 && i < config->storage.volume_count; i++) {
        if (storage_mark_one(catalog, config->storage.volumes[i].path, cause) < 0)
            return -1;
    }
    return 0;
}

// What the catalog knows by that path; the mark has the last word when it is read.
static int64_t storage_known_id(struct indexer *indexer, const char *path)
{
    struct catalog_volume *volumes;
    size_t count;
    char *cause = NULL;
    int64_t id = 0;
    if (catalog_volumes(indexer->catalog, &volumes, &count, &cause) != CATALOG_OK) {
        free(cause);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(volumes[i].path, path) == 0)
            id = volumes[i].id;
        free(volumes[i].path);
    }
    free(volumes);
    return id;
}

struct storage *storage_new(struct indexer *indexer)
{
    struct storage *storage = xcalloc(1, sizeof(*storage));
    storage->indexer = indexer;
    storage->count = indexer->config->storage.volume_count;
    storage->keepers = xcalloc(storage->count, sizeof(struct keeper *));
    for (size_t i = 0; i < storage->count; i++) {
        int64_t id = storage_known_id(indexer, indexer->config->storage.volumes[i].path);
        storage->keepers[i] = keeper_new(indexer, i, id);
    }
    return storage;
}

void storage_end(struct storage *storage)
{
    for (size_t i = 0; storage != NULL && i < storage->count; i++)
        keeper_end(storage->keepers[i]);
}

void storage_free(struct storage *storage)
{
    if (storage == NULL)
        return;
    for (size_t i = 0; i < storage->count; i++)
        keeper_free(storage->keepers[i]);
    free(storage->keepers);
    free(storage->figures);
    free(storage);
}

// --- Figures ---

static const struct catalog_storage *storage_figures(const struct storage *storage, int64_t id)
{
    for (size_t i = 0; i < storage->figure_count; i++) {
        if (storage->figures[i].volume_id == id)
            return &storage->figures[i];
    }
    return NULL;
}

static void storage_read_figures(struct storage *storage)
{
    struct catalog_storage *figures;
    size_t count;
    char *cause = NULL;
    if (catalog_storage(storage->indexer->catalog, &figures, &count, &cause) != CATALOG_OK) {
        free(cause);
        return;
    }
    free(storage->figures);
    storage->figures = figures;
    storage->figure_count = count;
    for (size_t i = 0; i < storage->count; i++) {
        const struct catalog_storage *own = storage_figures(storage, storage->keepers[i]->id);
        storage->keepers[i]->oldest_us = own ? own->first_us : 0;
    }
}

void storage_tick(struct storage *storage, int64_t now_us)
{
    for (size_t i = 0; i < storage->count; i++)
        keeper_tick(storage->keepers[i], now_us);
    if (now_us < storage->next_us)
        return;
    storage->next_us = now_us + STORAGE_PERIOD_US;
    storage_read_figures(storage);
}

// --- Choosing ---

struct keeper *storage_at(const struct storage *storage, size_t index)
{
    return index < storage->count ? storage->keepers[index] : NULL;
}

struct keeper *storage_find(const struct storage *storage, int64_t id)
{
    for (size_t i = 0; storage != NULL && i < storage->count; i++) {
        if (storage->keepers[i]->id == id)
            return storage->keepers[i];
    }
    return NULL;
}

struct keeper *storage_choose(const struct storage *storage, uint64_t bytes, int64_t now_us)
{
    struct keeper *oldest = NULL;
    for (size_t i = 0; i < storage->count; i++) {
        struct keeper *keeper = storage->keepers[i];
        if (keeper->volume == NULL || now_us < keeper->doubt_until_us)
            continue;
        if (keeper_has_room(keeper, bytes, now_us))
            return keeper;
        // One without footage has nothing to give.
        bool older = oldest == NULL ||
                     (keeper->oldest_us != 0 &&
                         (oldest->oldest_us == 0 || keeper->oldest_us < oldest->oldest_us));
        if (now_us >= keeper->full_until_us && older)
            oldest = keeper;
    }
    return oldest;
}

size_t storage_pending(const struct storage *storage)
{
    size_t pending = 0;
    for (size_t i = 0; i < storage->count; i++) {
        if (storage->keepers[i]->worker != NULL)
            pending += worker_pending(storage->keepers[i]->worker);
    }
    return pending;
}

// --- Status ---

static json_t *storage_stamp(int64_t time_us)
{
    char text[TIME_TEXT_SIZE];
    if (time_us == 0)
        return json_null();
    time_format_utc(time_us, text);
    return json_string(text);
}

static json_t *storage_volume_json(
    const struct storage *storage, const struct catalog_storage *all, const struct keeper *keeper)
{
    const struct retention_space *space = &keeper->space;
    const struct catalog_storage none = {0}, *own = all ? all : &none;
    const char *trouble = keeper_trouble(keeper);
    uint64_t reserve = retention_reserve(
        &storage->indexer->config->storage.volumes[keeper->index].min_free, space->total_bytes);
    return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "path",
        keeper->path, "writable", keeper->volume != NULL, "total_bytes",
        (json_int_t)space->total_bytes, "free_bytes", (json_int_t)space->available_bytes,
        "min_free_bytes", (json_int_t)reserve, "used_bytes", (json_int_t)own->bytes, "segments",
        (json_int_t)own->segments, "garbage_bytes", (json_int_t)own->garbage_bytes, "waiting_jobs",
        (json_int_t)(keeper->worker ? worker_pending(keeper->worker) : 0), "oldest",
        storage_stamp(own->first_us), "trouble", trouble ? json_string(trouble) : json_null(),
        "quarantine", quarantine_json(keeper->volume ? keeper->quarantine : NULL));
}

json_t *storage_volumes_json(const struct storage *storage)
{
    json_t *array = json_array();
    struct catalog_storage *figures;
    size_t count;
    char *cause = NULL;
    if (catalog_storage(storage->indexer->catalog, &figures, &count, &cause) != CATALOG_OK) {
        free(cause);
        figures = NULL;
        count = 0;
    }
    for (size_t i = 0; i < storage->count; i++) {
        const struct catalog_storage *own = NULL;
        for (size_t j = 0; j < count && storage->keepers[i]->id != 0; j++)
            own = figures[j].volume_id == storage->keepers[i]->id ? &figures[j] : own;
        json_array_append_new(array, storage_volume_json(storage, own, storage->keepers[i]));
    }
    free(figures);
    return array;
}

void storage_add_alarms(const struct storage *storage, json_t *alarms)
{
    for (size_t i = 0; i < storage->count; i++) {
        const char *trouble = keeper_trouble(storage->keepers[i]);
        size_t stuck = purge_stuck(storage->keepers[i]->purge);
        if (trouble != NULL)
            json_array_append_new(alarms, json_string(trouble));
        if (stuck > 0)
            json_array_append_new(alarms,
                json_sprintf("%s: %zu files can not be deleted", storage->keepers[i]->path, stuck));
    }
}
