// Keeps the volume at hand. See keeper.h.
#include "indexer/keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "indexer/expiry.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

#define KEEPER_PERIOD_US (2 * US_PER_SECOND)

struct keeper {
    struct worker_job job;
    struct indexer *indexer;
    bool busy;
    int64_t next_us;
    char *trouble;

    // The job's: what it looks at, and what it finds.
    char *path;
    char *uuid;
    char *cache;
    struct volume *volume;
    struct volume **left; // volumes that were replaced; jobs that wait may still name them
    size_t left_count;
    size_t left_capacity;
    struct retention_space space;
    char *cause;
};

// --- The start ---

static int64_t keeper_mark(struct catalog *catalog, const char *path, char **cause)
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
    return id;
}

int64_t keeper_register(struct catalog *catalog, const char *path, char **cause)
{
    struct catalog_volume *volumes;
    size_t count;
    if (catalog_volumes(catalog, &volumes, &count, cause) != CATALOG_OK)
        return -1;
    char uuid[VOLUME_UUID_SIZE];
    int64_t id = count == 0 ? keeper_mark(catalog, path, cause) : 0;
    bool marked = count > 0 && volume_mark_read(path, uuid, cause) == 1;
    for (size_t i = 0; i < count; i++) {
        bool same_mark = marked && strcmp(volumes[i].uuid, uuid) == 0;
        if (same_mark && strcmp(volumes[i].path, path) != 0) {
            log_info("volume %s has moved from %s to %s", uuid, volumes[i].path, path);
            if (catalog_volume_add(catalog, uuid, path, &id, cause) != CATALOG_OK)
                id = -1;
        } else if (same_mark || (id == 0 && strcmp(volumes[i].path, path) == 0)) {
            id = volumes[i].id;
        }
        free(volumes[i].path);
    }
    free(volumes);
    if (id == 0)
        *cause = xasprintf("storage.volumes: %s is not known to the catalog and carries none of "
                           "its marks; give the path of the volume that holds the footage",
            path);
    return id > 0 ? id : -1;
}

static char *keeper_uuid(struct indexer *indexer)
{
    struct catalog_volume *volumes;
    size_t count;
    char *cause = NULL, *uuid = NULL;
    if (catalog_volumes(indexer->catalog, &volumes, &count, &cause) != CATALOG_OK) {
        free(cause);
        return xstrdup("");
    }
    for (size_t i = 0; i < count; i++) {
        if (volumes[i].id == indexer->volume_id)
            uuid = xstrdup(volumes[i].uuid);
        free(volumes[i].path);
    }
    free(volumes);
    return uuid ? uuid : xstrdup("");
}

// --- In the worker ---

// Opens the volume, anew when another directory has taken its place: a disk that came back.
static bool keeper_open(struct keeper *keeper)
{
    char *cause = NULL;
    if (keeper->volume != NULL && volume_check(keeper->volume, &cause) == 0)
        return true;
    free(cause);
    struct volume *volume = volume_open(keeper->path, keeper->uuid, keeper->cache, &keeper->cause);
    if (volume == NULL)
        return false;
    if (keeper->volume != NULL) {
        ARRAY_RESERVE(keeper->left, keeper->left_count, keeper->left_capacity);
        keeper->left[keeper->left_count++] = keeper->volume;
    }
    keeper->volume = volume;
    log_info("volume %s is open; segments are %s", volume->path,
        volume->links ? "linked into it" : "copied into it, it is not the cache's file system");
    return true;
}

static void keeper_run(struct worker_job *job)
{
    struct keeper *keeper = (struct keeper *)job;
    if (keeper_open(keeper))
        volume_space(keeper->volume, &keeper->space, &keeper->cause);
}

// --- In the loop ---

static void keeper_note(struct keeper *keeper)
{
    char *cause = keeper->cause;
    keeper->cause = NULL;
    if (cause != NULL && (keeper->trouble == NULL || strcmp(cause, keeper->trouble) != 0))
        log_err("nothing is written to the volume, footage stays in the cache: %s", cause);
    else if (cause == NULL && keeper->trouble != NULL)
        log_info("%s can be written to again", keeper->path);
    free(keeper->trouble);
    keeper->trouble = cause;
}

static void keeper_done(struct worker_job *job)
{
    struct keeper *keeper = (struct keeper *)job;
    struct indexer *indexer = keeper->indexer;
    keeper->busy = false;
    if (!job->ran || indexer->stopping)
        return;
    indexer->volume = keeper->cause == NULL ? keeper->volume : NULL;
    keeper_note(keeper);
    if (indexer->volume == NULL)
        return;
    indexer->figures.space = keeper->space;
    expiry_look(indexer->expiry);
}

struct keeper *keeper_new(struct indexer *indexer, const char *path)
{
    struct keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->job.run = keeper_run;
    keeper->job.done = keeper_done;
    keeper->indexer = indexer;
    keeper->path = xstrdup(path);
    keeper->uuid = keeper_uuid(indexer);
    keeper->cache = xstrdup(indexer->config->storage.cache);
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    if (keeper == NULL)
        return;
    volume_free(keeper->volume);
    for (size_t i = 0; i < keeper->left_count; i++)
        volume_free(keeper->left[i]);
    free(keeper->left);
    free(keeper->trouble);
    free(keeper->cause);
    free(keeper->cache);
    free(keeper->uuid);
    free(keeper->path);
    free(keeper);
}

void keeper_tick(struct keeper *keeper, int64_t now_us)
{
    if (keeper->busy || now_us < keeper->next_us)
        return;
    keeper->next_us = now_us + KEEPER_PERIOD_US;
    keeper->busy = true;
    worker_submit_first(keeper->indexer->worker, &keeper->job);
}

const char *keeper_trouble(const struct keeper *keeper)
{
    return keeper->trouble;
}
