// Rounds over the files that are being written. See cachesync.h.
#include "indexer/cachesync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "indexer/stock.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

struct cachesync {
    struct worker_job job;
    struct indexer *indexer;
    bool busy;
    int64_t next_us;

    // The job's: files and directories, and how long they took.
    char **paths;
    bool *failed; // of each
    char *cause;  // of the first that failed
    size_t count;
    int64_t busy_us;

    char *trouble; // of the last round
};

static void cachesync_fail(struct cachesync *sync, size_t index)
{
    sync->failed[index] = true;
    if (sync->cause == NULL)
        sync->cause = xasprintf("%s can not be synced: %s", sync->paths[index], strerror(errno));
}

static void cachesync_path(struct cachesync *sync, size_t index)
{
    const char *path = sync->paths[index];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            log_warn("%s can not be opened to be synced: %s", path, strerror(errno));
        return;
    }
    if (fdatasync(fd) < 0 && errno != EINVAL)
        cachesync_fail(sync, index);
    close(fd);
}

static void cachesync_run(struct worker_job *job)
{
    struct cachesync *sync = (struct cachesync *)job;
    int64_t since_us = time_monotonic_us();
    for (size_t i = 0; i < sync->count; i++)
        cachesync_path(sync, i);
    sync->busy_us = time_monotonic_us() - since_us;
}

// Tells what has gone wrong, or that it goes well again.
static void cachesync_note(struct cachesync *sync)
{
    if (sync->cause != NULL && (sync->trouble == NULL || strcmp(sync->cause, sync->trouble) != 0))
        log_err("%s; its bytes are written anew when it is filed", sync->cause);
    else if (sync->cause == NULL && sync->trouble != NULL)
        log_info("the cache is synced again");
    free(sync->trouble);
    sync->trouble = sync->cause;
    sync->cause = NULL;
}

static void cachesync_done(struct worker_job *job)
{
    struct cachesync *sync = (struct cachesync *)job;
    struct figures *figures = &sync->indexer->figures;
    sync->busy = false;
    figures->sync_us = sync->busy_us;
    if (sync->busy_us > figures->sync_us_max)
        figures->sync_us_max = sync->busy_us;
    cachesync_note(sync);
    for (size_t i = 0; i < sync->count; i++) {
        if (sync->failed[i])
            stock_not_durable(sync->indexer->ingest, sync->paths[i]);
        free(sync->paths[i]);
    }
    free(sync->paths);
    free(sync->failed);
    sync->paths = NULL;
    sync->failed = NULL;
    sync->count = 0;
}

struct cachesync *cachesync_new(struct indexer *indexer)
{
    struct cachesync *sync = xcalloc(1, sizeof(*sync));
    sync->job.run = cachesync_run;
    sync->job.done = cachesync_done;
    sync->indexer = indexer;
    return sync;
}

void cachesync_free(struct cachesync *sync)
{
    if (sync == NULL)
        return;
    free(sync->trouble);
    free(sync);
}

const char *cachesync_trouble(const struct cachesync *sync)
{
    return sync->trouble;
}

void cachesync_tick(struct cachesync *sync, int64_t now_us)
{
    if (sync->busy || now_us < sync->next_us)
        return;
    sync->next_us = now_us + sync->indexer->config->recording.sync_us;
    sync->paths = stock_unsynced(sync->indexer->ingest, &sync->count);
    sync->failed = xcalloc(sync->count, sizeof(*sync->failed));
    sync->busy = true;
    worker_submit_first(sync->indexer->cache_worker, &sync->job);
}
