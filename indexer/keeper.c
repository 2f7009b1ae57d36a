// Keeps one volume at hand. See keeper.h.
#include "indexer/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/committer.h"
#include "indexer/purge.h"
#include "indexer/quarantine.h"
#include "indexer/storage.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

#define KEEPER_PERIOD_US (2 * US_PER_SECOND)
#define KEEPER_SILENCE_US (120 * US_PER_SECOND) // a large copy may take its time
enum {
    KEEPER_END_MS = 3000, // for the job in hand, when the program ends
};

#define KEEPER_DOUBT_US (10 * US_PER_SECOND)

struct keeper_look {
    struct worker_job job;
    struct keeper *keeper;
    bool busy;
    int64_t since_us; // monotonic, of the one that goes on
    int64_t next_us;
    char *trouble;
    struct volume *open; // the loop's: what was opened last, usable or not

    // The job's: what it looks at, and what it finds.
    char *path;
    char *cache;
    struct volume *volume;
    struct volume **left; // volumes that were replaced; jobs that wait may still name them
    size_t left_count;
    size_t left_capacity;
    struct retention_space space;
    struct stat quarantine_seen;
    struct quarantine *quarantine; // NULL: as before
    char *cause;
    bool unmarked;
};

// --- In the worker ---

// Opens the volume, anew when another directory has taken its place: a disk that came back.
static bool keeper_open(struct keeper_look *look)
{
    char uuid[VOLUME_UUID_SIZE];
    if (look->volume != NULL && volume_check(look->volume, &look->cause) == 0)
        return true;
    free(look->cause);
    look->cause = NULL;
    int marked = volume_mark_read(look->path, uuid, &look->cause);
    look->unmarked = marked == 0;
    if (marked == 0)
        look->cause = xasprintf("%s has no " VOLUME_MARK ": is its disk mounted?", look->path);
    if (marked <= 0)
        return false;
    struct volume *volume = volume_open(look->path, uuid, look->cache, &look->cause);
    if (volume == NULL)
        return false;
    if (look->volume != NULL) {
        ARRAY_RESERVE(look->left, look->left_count, look->left_capacity);
        look->left[look->left_count++] = look->volume;
    }
    look->volume = volume;
    return volume_check(volume, &look->cause) == 0;
}

static void keeper_run(struct worker_job *job)
{
    struct keeper_look *look = (struct keeper_look *)job;
    look->unmarked = false;
    if (keeper_open(look) && volume_space(look->volume, &look->space, &look->cause) == 0)
        look->quarantine = quarantine_look(look->volume, &look->quarantine_seen);
    else
        look->quarantine_seen = (struct stat){0};
}

// --- In the loop ---

static void keeper_note(struct keeper *keeper, char *cause)
{
    struct keeper_look *look = keeper->look;
    if (cause != NULL && (look->trouble == NULL || strcmp(cause, look->trouble) != 0))
        log_err("nothing is written to this volume: %s", cause);
    else if (cause == NULL && look->trouble != NULL)
        log_info("%s can be written to again", keeper->path);
    free(look->trouble);
    look->trouble = cause;
}

// A volume's place on its way into the catalog.
struct keeper_place {
    struct commit commit;
    char uuid[VOLUME_UUID_SIZE];
    char *path;
};

static enum catalog_status keeper_place_apply(
    struct catalog *catalog, struct commit *commit, char **cause)
{
    const struct keeper_place *place = (const struct keeper_place *)commit;
    int64_t id;
    return catalog_volume_add(catalog, place->uuid, place->path, &id, cause);
}

static void keeper_place_free(struct commit *commit)
{
    free(((struct keeper_place *)commit)->path);
    free(commit);
}

// Writes down that the volume lies elsewhere now.
static void keeper_move(struct keeper *keeper, const struct catalog_volume *known)
{
    log_info("volume %s has moved from %s to %s", known->uuid, known->path, keeper->path);
    struct keeper_place *place = xcalloc(1, sizeof(*place));
    place->commit.kind = COMMIT_CALL;
    place->commit.apply = keeper_place_apply;
    place->commit.done = place->commit.drop = keeper_place_free;
    snprintf(place->uuid, sizeof(place->uuid), "%s", known->uuid);
    place->path = xstrdup(keeper->path);
    committer_put(keeper->indexer->committer, &place->commit);
}

// What the catalog knows the opened volume as. Returns NULL, or why it can not be used.
static char *keeper_identify(struct keeper *keeper, const struct volume *volume)
{
    struct catalog_volume *volumes;
    size_t count;
    char *cause = NULL;
    if (catalog_volumes(keeper->indexer->catalog, &volumes, &count, &cause) != CATALOG_OK)
        return cause ? cause : xstrdup("the catalog is locked");
    int64_t id = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(volumes[i].uuid, volume->uuid) == 0) {
            id = volumes[i].id;
            if (strcmp(volumes[i].path, keeper->path) != 0)
                keeper_move(keeper, &volumes[i]);
        }
        free(volumes[i].path);
    }
    free(volumes);
    const struct keeper *other = id ? storage_find(keeper->indexer->storage, id) : NULL;
    if (id == 0)
        return xasprintf("%s carries the mark %s, which the catalog does not know; `keepframe-"
                         "indexer volume add %s` makes it one of its volumes",
            keeper->path, volume->uuid, keeper->path);
    if (other != NULL && other != keeper && other->volume != NULL)
        return xasprintf("%s carries the same mark as %s", keeper->path, other->path);
    keeper->id = id;
    return NULL;
}

// Takes over what was found to lie in the quarantine.
static void keeper_take_quarantine(struct keeper *keeper)
{
    struct keeper_look *look = keeper->look;
    if (look->quarantine == NULL)
        return;
    quarantine_free(keeper->quarantine);
    keeper->quarantine = look->quarantine;
    look->quarantine = NULL;
}

// Takes up a volume that was opened.
static char *keeper_take(struct keeper *keeper)
{
    struct keeper_look *look = keeper->look;
    char *cause = keeper_identify(keeper, look->volume);
    if (cause != NULL)
        return cause;
    log_info("volume %s is open; segments are %s", keeper->path,
        look->volume->links ? "linked into it"
                            : "copied into it, it is not the cache's file system");
    look->open = look->volume;
    keeper->credit = (struct credit){0};
    keeper->full_until_us = keeper->doubt_until_us = 0;
    return NULL;
}

static void keeper_done(struct worker_job *job)
{
    struct keeper_look *look = (struct keeper_look *)job;
    struct keeper *keeper = look->keeper;
    char *cause = look->cause;
    look->busy = false;
    look->cause = NULL;
    if (!job->ran || keeper->indexer->stopping) {
        free(cause);
        return;
    }
    if (cause != NULL && look->unmarked && keeper->id == 0) {
        free(cause);
        cause = xasprintf("%s has no " VOLUME_MARK ", and the catalog does not know it: `keepframe-"
                          "indexer volume add %s` makes it a volume",
            keeper->path, keeper->path);
    }
    if (cause == NULL && look->volume != look->open)
        cause = keeper_take(keeper);
    keeper->volume = cause == NULL ? look->volume : NULL;
    keeper_note(keeper, cause);
    keeper_take_quarantine(keeper);
    if (keeper->volume == NULL)
        return;
    keeper->space = look->space;
    keeper->coming_bytes = 0;
    uint64_t missing =
        credit_look(&keeper->credit, time_monotonic_us(), look->space.available_bytes);
    if (missing > 0)
        log_warn("%s: %" PRIu64 " bytes that were deleted a minute ago are still not free; does a "
                 "snapshot or another program hold them?",
            keeper->path, missing);
    purge_look(keeper->purge);
}

struct keeper *keeper_new(struct indexer *indexer, size_t index, int64_t id)
{
    struct keeper *keeper = xcalloc(1, sizeof(*keeper));
    keeper->indexer = indexer;
    keeper->index = index;
    keeper->path = xstrdup(indexer->config->storage.volumes[index].path);
    keeper->id = id;
    char *name = xasprintf("volume %zu", index);
    keeper->worker = worker_new(indexer->loop, name);
    free(name);
    keeper->purge = purge_new(keeper);
    struct keeper_look *look = keeper->look = xcalloc(1, sizeof(*look));
    look->job.run = keeper_run;
    look->job.done = keeper_done;
    look->keeper = keeper;
    look->path = xstrdup(keeper->path);
    look->cache = xstrdup(indexer->config->storage.cache);
    return keeper;
}

void keeper_end(struct keeper *keeper)
{
    struct worker *worker = keeper->worker;
    keeper->worker = NULL;
    keeper->left_behind = !worker_end(worker, KEEPER_END_MS);
    if (keeper->left_behind)
        log_err("%s does not answer, what was to be done there is left to the next start",
            keeper->path);
}

void keeper_free(struct keeper *keeper)
{
    if (keeper->left_behind)
        return; // its thread still names all of it
    struct keeper_look *look = keeper->look;
    purge_free(keeper->purge);
    volume_free(look->volume);
    for (size_t i = 0; i < look->left_count; i++)
        volume_free(look->left[i]);
    free(look->left);
    quarantine_free(look->quarantine);
    quarantine_free(keeper->quarantine);
    free(look->trouble);
    free(look->cache);
    free(look->path);
    free(look);
    free(keeper->path);
    free(keeper);
}

static void keeper_wait(struct keeper *keeper, int64_t now_us)
{
    if (keeper->volume == NULL || now_us - keeper->look->since_us < KEEPER_SILENCE_US)
        return;
    keeper->volume = NULL;
    keeper_note(keeper, xasprintf("%s has not answered for %d s", keeper->path,
                            (int)(KEEPER_SILENCE_US / US_PER_SECOND)));
    worker_recall(keeper->worker);
}

void keeper_tick(struct keeper *keeper, int64_t now_us)
{
    struct keeper_look *look = keeper->look;
    if (look->busy) {
        keeper_wait(keeper, now_us);
        return;
    }
    if (now_us < look->next_us)
        return;
    look->next_us = now_us + KEEPER_PERIOD_US;
    look->since_us = now_us;
    look->busy = true;
    worker_submit_first(keeper->worker, &look->job);
}

void keeper_hurry(struct keeper *keeper)
{
    keeper->look->next_us = 0;
}

void keeper_blame(struct keeper *keeper, int error, int64_t now_us)
{
    if (error == ENOSPC || error == EDQUOT)
        keeper->full_until_us = now_us + KEEPER_DOUBT_US;
    else
        keeper->doubt_until_us = now_us + KEEPER_DOUBT_US;
    keeper_hurry(keeper);
}

bool keeper_has_room(const struct keeper *keeper, uint64_t bytes, int64_t now_us)
{
    const struct config_amount *min_free =
        &keeper->indexer->config->storage.volumes[keeper->index].min_free;
    const struct retention_space *space = &keeper->space;
    if (now_us < keeper->full_until_us)
        return false;
    uint64_t reserve = retention_reserve(min_free, space->total_bytes);
    uint64_t coming = keeper->coming_bytes + bytes;
    if (keeper->volume->links)
        coming = 0; // it lies there already
    if (space->available_bytes <= coming ||
        space->available_bytes - coming <= reserve + reserve / 4)
        return false;
    uint64_t files = min_free->is_percent ? retention_reserve(min_free, space->total_files) : 0;
    return space->total_files == 0 || space->available_files > files + files / 4;
}

struct retention_need keeper_need(const struct keeper *keeper)
{
    return credit_need(&keeper->credit,
        &keeper->indexer->config->storage.volumes[keeper->index].min_free, &keeper->space);
}

const char *keeper_trouble(const struct keeper *keeper)
{
    return keeper->look->trouble;
}
