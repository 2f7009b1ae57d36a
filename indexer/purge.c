// Unlinks what is garbage on a volume. See purge.h.
#include "indexer/purge.h"

#include <stdlib.h>

#include "indexer/committer.h"
#include "indexer/expiry.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog.h"

#define PURGE_STUCK_US (3600 * US_PER_SECOND) // then files that could not go are tried again

struct purge {
    struct worker_job job;
    struct keeper *keeper;
    size_t uncommitted; // changes that are on their way
    bool deleting;      // the job is with the worker
    size_t stuck;       // files that could not be deleted
    int64_t stuck_us;

    // The job's.
    const struct volume *volume;
    struct volume_deletion *deletions;
    size_t count;
    struct retention_space before;
    struct retention_space after;
};

struct purge *purge_new(struct keeper *keeper)
{
    struct purge *purge = xcalloc(1, sizeof(*purge));
    purge->keeper = keeper;
    return purge;
}

void purge_free(struct purge *purge)
{
    free(purge);
}

static void purge_run(struct worker_job *job)
{
    struct purge *purge = (struct purge *)job;
    char *cause = NULL;
    bool known = volume_space(purge->volume, &purge->before, &cause) == 0;
    volume_delete(purge->volume, purge->deletions, purge->count);
    if (!known || volume_space(purge->volume, &purge->after, &cause) < 0)
        purge->after = purge->before;
    free(cause);
}

static void purge_committed(struct commit *commit)
{
    struct purge *purge = commit->arg;
    struct indexer *indexer = purge->keeper->indexer;
    free(commit);
    if (--purge->uncommitted == 0 && !indexer->stopping)
        expiry_go_on(indexer->expiry);
}

void purge_drop(struct commit *commit)
{
    free(commit);
}

static void purge_forget(struct purge *purge)
{
    for (size_t i = 0; i < purge->count; i++)
        free(purge->deletions[i].key);
    free(purge->deletions);
    purge->deletions = NULL;
    purge->count = 0;
}

// Returns the bytes that came free.
static uint64_t purge_settle(struct purge *purge)
{
    uint64_t freed = 0;
    for (size_t i = 0; i < purge->count; i++) {
        struct volume_deletion *deletion = &purge->deletions[i];
        if (!deletion->gone) {
            purge->stuck++;
            continue;
        }
        struct commit *commit = xcalloc(1, sizeof(*commit));
        commit->kind = COMMIT_GARBAGE_DONE;
        commit->done = purge_committed;
        commit->arg = purge;
        commit->garbage_id = deletion->id;
        purge->uncommitted++;
        committer_put(purge->keeper->indexer->committer, commit);
        freed += deletion->freed;
        if (deletion->missing)
            log_warn(
                "%s/%s was to be deleted and was not there", purge->volume->path, deletion->key);
    }
    return freed;
}

static void purge_done(struct worker_job *job)
{
    struct purge *purge = (struct purge *)job;
    struct keeper *keeper = purge->keeper;
    purge->deleting = false;
    if (job->ran) {
        purge->stuck = 0;
        uint64_t freed = purge_settle(purge);
        purge->stuck_us = time_monotonic_us();
        credit_add(&keeper->credit, purge->stuck_us, freed, purge->before.available_bytes,
            purge->after.available_bytes);
        keeper->space = purge->after;
    }
    purge_forget(purge);
}

// The garbage of the volume. Returns false when there is nothing to be done about it.
static bool purge_gather(struct purge *purge)
{
    struct indexer *indexer = purge->keeper->indexer;
    struct catalog_garbage *garbage;
    size_t count;
    char *cause = NULL;
    if (catalog_garbage_list(indexer->catalog, &garbage, &count, &cause) != CATALOG_OK) {
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
        free(cause);
        return false;
    }
    purge->deletions = xcalloc(count, sizeof(*purge->deletions));
    for (size_t i = 0; i < count; i++) {
        if (garbage[i].volume_id == purge->keeper->id)
            purge->deletions[purge->count++] =
                (struct volume_deletion){.id = garbage[i].id, .key = xstrdup(garbage[i].key)};
    }
    catalog_garbage_free(garbage, count);
    return purge->count > purge->stuck;
}

size_t purge_stuck(const struct purge *purge)
{
    return purge->stuck;
}

bool purge_busy(const struct purge *purge)
{
    return purge->deleting || purge->uncommitted > 0;
}

void purge_look(struct purge *purge)
{
    struct keeper *keeper = purge->keeper;
    if (purge_busy(purge) || keeper->volume == NULL || keeper->worker == NULL)
        return;
    if (purge->stuck > 0 && time_monotonic_us() - purge->stuck_us >= PURGE_STUCK_US)
        purge->stuck = 0;
    if (!purge_gather(purge)) {
        purge_forget(purge);
        return;
    }
    purge->job.run = purge_run;
    purge->job.done = purge_done;
    purge->volume = keeper->volume;
    purge->deleting = true;
    worker_submit_first(keeper->worker, &purge->job);
}
