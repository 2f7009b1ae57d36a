// `keepframe-indexer reindex`. See reindex.h.
#include "indexer/reindex.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/archive.h"
#include "indexer/exchange.h"
#include "indexer/ledger.h"
#include "indexer/lockfile.h"
#include "indexer/sealed.h"
#include "indexer/volume.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/cache.h"
#include "lib/media/catalog.h"

enum {
    REINDEX_BATCH = 1000, // rows in a transaction
};

#define REINDEX_PROGRESS_US (10 * US_PER_SECOND)

// The end of a run that nobody has written down.
#define REINDEX_REASON "unknown"

struct reindex {
    const struct config *config;
    struct catalog *catalog;
    const char *volume; // the path of the one in hand
    int root;
    int64_t volume_id;
    size_t uncommitted;
    uint64_t segments;
    uint64_t doubles;
    uint64_t damaged;
    uint64_t unknown;
    int64_t told_us; // monotonic
    char *cause;     // what ended the walk
};

static int reindex_fail(struct reindex *reindex, enum catalog_status status, char *cause)
{
    if (status == CATALOG_OK)
        return 0;
    reindex->cause = cause ? cause : xstrdup("the new catalog is locked");
    return -1;
}

static int reindex_commit(struct reindex *reindex)
{
    char *cause = NULL;
    reindex->uncommitted = 0;
    enum catalog_status status = catalog_commit(reindex->catalog, &cause);
    if (status == CATALOG_OK)
        status = catalog_begin(reindex->catalog, &cause);
    return reindex_fail(reindex, status, cause);
}

// --- One file ---

static int reindex_add(struct reindex *reindex, struct sealed *sealed)
{
    char *cause = NULL;
    enum catalog_status status =
        sealed_commit(sealed, reindex->catalog, reindex->volume_id, &cause);
    if (status == CATALOG_NONE) {
        reindex->doubles++;
        log_warn("%s/%s: %s is there already, this copy is left alone", reindex->volume,
            sealed->row.key, sealed->tags.identity);
        return 0;
    }
    if (reindex_fail(reindex, status, cause) < 0)
        return -1;
    reindex->segments++;
    if (sealed->state != SEAL_DONE) {
        reindex->damaged++;
        log_warn("%s/%s: it is damaged, what can be read of it is indexed", reindex->volume,
            sealed->row.key);
    }
    return ++reindex->uncommitted >= REINDEX_BATCH ? reindex_commit(reindex) : 0;
}

static int reindex_file(struct reindex *reindex, const char *key)
{
    struct sealed sealed;
    struct stat info;
    char *cause = NULL;
    int fd = openat(reindex->root, key, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool read = fd >= 0 && fstat(fd, &info) == 0;
    if (!read)
        cause = xstrdup(strerror(errno));
    else
        read = sealed_load(&sealed, fd, (uint64_t)info.st_size, key, &cause) == 0;
    if (fd >= 0)
        close(fd);
    if (!read) {
        reindex->unknown++;
        log_warn("%s/%s: left alone: %s", reindex->volume, key, cause);
        free(cause);
        return 0;
    }
    int result = reindex_add(reindex, &sealed);
    sealed_fini(&sealed);
    return result;
}

// --- All files ---

static void reindex_tell(struct reindex *reindex, const char *where)
{
    int64_t now_us = time_monotonic_us();
    if (now_us - reindex->told_us < REINDEX_PROGRESS_US)
        return;
    reindex->told_us = now_us;
    log_info("%s/%s: %" PRIu64 " segments so far", reindex->volume, where, reindex->segments);
}

static int reindex_day(const char *camera, const char *stream, const char *day, void *arg)
{
    struct reindex *reindex = arg;
    struct archive_names files;
    char *cause = NULL, *directory = xasprintf("%s/%s/%s", camera, stream, day);
    int result = 0;
    if (archive_list_files(reindex->root, directory, &files, &reindex->unknown, &cause) < 0) {
        log_err("%s/%s; it is passed over", reindex->volume, cause);
        free(cause);
    }
    for (size_t i = 0; i < files.count && result == 0; i++) {
        char *key = xasprintf("%s/%s", directory, files.names[i]);
        result = reindex_file(reindex, key);
        reindex_tell(reindex, directory);
        free(key);
    }
    archive_names_fini(&files);
    free(directory);
    return result;
}

static int reindex_volume(struct reindex *reindex, const char *path, char **cause)
{
    char uuid[VOLUME_UUID_SIZE];
    int marked = volume_mark_read(path, uuid, cause);
    if (marked == 0)
        *cause = xasprintf("%s has no " VOLUME_MARK ": is its disk mounted?", path);
    if (marked != 1 ||
        catalog_volume_add(reindex->catalog, uuid, path, &reindex->volume_id, cause) != CATALOG_OK)
        return -1;
    log_info("reading volume %s (%s)", path, uuid);
    reindex->volume = path;
    reindex->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (reindex->root < 0) {
        *cause = xasprintf("%s: can not be opened: %s", path, strerror(errno));
        return -1;
    }
    int result = archive_walk(reindex->root, reindex_day, reindex, &reindex->unknown, cause);
    close(reindex->root);
    if (result < 0 && *cause == NULL)
        *cause = reindex->cause;
    return result;
}

// A run that no recorder lives in any more has ended, even if nobody has written down why.
static int reindex_end_runs(struct reindex *reindex, char **cause)
{
    struct catalog_open_run *runs;
    size_t count;
    enum catalog_status status = catalog_runs_open(reindex->catalog, &runs, &count, cause);
    for (size_t i = 0; i < count && status == CATALOG_OK; i++) {
        struct catalog_run run;
        char *path = cache_run_path(
            reindex->config->storage.cache, runs[i].camera, runs[i].stream, runs[i].run);
        bool lives = access(path, F_OK) == 0;
        free(path);
        if (lives)
            continue;
        status = catalog_run_get(reindex->catalog, runs[i].stream_id, runs[i].run, &run, cause);
        run.end_us = runs[i].last_us;
        snprintf(run.reason, sizeof(run.reason), REINDEX_REASON);
        if (status == CATALOG_OK)
            status = catalog_run_put(reindex->catalog, &run, cause);
    }
    free(runs);
    return status == CATALOG_OK ? 0 : -1;
}

static int reindex_fill(struct reindex *reindex, const char *place, char **cause)
{
    const struct config *config = reindex->config;
    reindex->catalog = catalog_open_writer(place, cause);
    if (reindex->catalog == NULL || catalog_begin(reindex->catalog, cause) != CATALOG_OK)
        return -1;
    int result = ledger_restore(reindex->catalog, config, cause);
    for (size_t i = 0; i < config->storage.volume_count && result == 0; i++)
        result = reindex_volume(reindex, config->storage.volumes[i].path, cause);
    if (result == 0)
        result = reindex_end_runs(reindex, cause);
    if (result == 0 && catalog_commit(reindex->catalog, cause) != CATALOG_OK)
        result = -1;
    return result;
}

static int reindex_exchange(struct reindex *reindex, char **cause)
{
    const char *database = reindex->config->storage.database;
    char *kept = NULL, *place = exchange_begin(database, cause);
    int result = place ? reindex_fill(reindex, place, cause) : -1;
    catalog_close(reindex->catalog);
    free(place);
    if (result == 0)
        result = exchange_finish(database, &kept, cause);
    if (result == 0 && kept != NULL)
        log_info("the old catalog is kept in %s", kept);
    free(kept);
    return result;
}

int reindex_run(const struct config *config)
{
    struct reindex reindex = {.config = config, .told_us = time_monotonic_us()};
    char *cause = NULL;
    int lock = -1;
    if (fs_check_local_dir(config->storage.database, "storage.database", false, &cause) == 0)
        lock = lockfile_take(config->storage.database, &cause);
    int result = lock >= 0 ? reindex_exchange(&reindex, &cause) : -1;
    if (result == 0)
        log_info("the catalog was rebuilt: %" PRIu64 " segments, %" PRIu64
                 " of them damaged; %" PRIu64 " further copies and %" PRIu64
                 " other files were left alone",
            reindex.segments, reindex.damaged, reindex.doubles, reindex.unknown);
    else
        log_err("the catalog stays as it is: %s", cause ? cause : "it is locked");
    free(cause);
    if (lock >= 0)
        close(lock);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
