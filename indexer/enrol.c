// `volume add`. See enrol.h.
#include "indexer/enrol.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "indexer/committer.h"
#include "indexer/storage.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/ctl.h"
#include "lib/core/log.h"

// One request on its way.
struct enrol_work {
    struct worker_job job;
    struct commit commit;
    struct enrol *enrol;
    struct ctl_request *request;

    // What the thread looks at: the directory, and those that it must not overlap.
    char *path;
    char *cache;
    char *database;

    // What it finds.
    char *cause;
    char uuid[VOLUME_UUID_SIZE];
    bool marked; // it had a mark before
    bool on_root;
    dev_t device;
    uint64_t total_bytes;
    uint64_t free_bytes;
    bool known; // to the catalog
};

struct enrol {
    struct indexer *indexer;
    struct worker *worker;
    bool busy;
};

struct enrol *enrol_new(struct indexer *indexer)
{
    struct enrol *enrol = xcalloc(1, sizeof(*enrol));
    enrol->indexer = indexer;
    enrol->worker = worker_new(indexer->loop, "volume add");
    return enrol;
}

void enrol_end(struct enrol *enrol)
{
    if (enrol != NULL)
        worker_free(enrol->worker);
}

void enrol_free(struct enrol *enrol)
{
    free(enrol);
}

static void enrol_work_free(struct enrol_work *work)
{
    work->enrol->busy = false;
    free(work->cause);
    free(work->path);
    free(work->cache);
    free(work->database);
    free(work);
}

// --- In the thread ---

static bool enrol_is_below(const char *path, const char *directory)
{
    size_t length = strlen(directory);
    return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

// Whether the directory lies in the other one, or around it.
static bool enrol_overlaps(const char *path, const char *other)
{
    char real[PATH_MAX];
    return realpath(other, real) != NULL &&
           (enrol_is_below(path, real) || enrol_is_below(real, path));
}

// Replaces the path by its real one and checks the place. Returns NULL, or what is wrong with it.
static char *enrol_check_place(struct enrol_work *work)
{
    char real[PATH_MAX];
    struct stat info, root;
    if (realpath(work->path, real) == NULL)
        return errno == ENOENT
                   ? xasprintf("%s is not there: make it, or mount its disk first", work->path)
                   : xasprintf("%s: %s", work->path, strerror(errno));
    if (stat(real, &info) < 0 || stat("/", &root) < 0)
        return xasprintf("%s: %s", work->path, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return xasprintf("%s is not a directory", work->path);
    if (enrol_overlaps(real, work->cache))
        return xasprintf("%s and the cache (%s) lie in one another", work->path, work->cache);
    // The database's directory often has the volumes in it, but can not be one.
    char database[PATH_MAX];
    if (realpath(work->database, database) != NULL && enrol_is_below(database, real))
        return xasprintf("the catalog lies in %s", work->path);
    if (faccessat(AT_FDCWD, real, R_OK | W_OK | X_OK, AT_EACCESS) < 0)
        return errno == EROFS ? xasprintf("%s is mounted read-only", work->path)
                              : xasprintf("%s can not be written to by this user: %s", work->path,
                                    strerror(errno));
    work->device = info.st_dev;
    work->on_root = info.st_dev == root.st_dev;
    return NULL;
}

static void enrol_run(struct worker_job *job)
{
    struct enrol_work *work = (struct enrol_work *)job;
    struct statvfs space;
    work->cause = enrol_check_place(work);
    if (work->cause != NULL)
        return;
    int marked = volume_mark_read(work->path, work->uuid, &work->cause);
    if (marked < 0)
        return;
    work->marked = marked == 1;
    if (!work->marked && volume_mark(work->path, work->uuid, &work->cause) < 0)
        return;
    if (statvfs(work->path, &space) == 0) {
        work->total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
        work->free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    }
}

// --- In the committer ---

static enum catalog_status enrol_apply(struct catalog *catalog, struct commit *commit, char **cause)
{
    const struct enrol_work *work = commit->arg;
    int64_t id;
    return catalog_volume_add(catalog, work->uuid, work->path, &id, cause);
}

// --- In the loop ---

static void enrol_hint(json_t *hints, char *text)
{
    json_array_append_new(hints, json_string(text));
    free(text);
}

static bool enrol_is_configured(const struct enrol_work *work)
{
    const struct keeper *keeper;
    bool configured = false;
    for (size_t i = 0; (keeper = storage_at(work->enrol->indexer->storage, i)) != NULL; i++)
        configured |= strcmp(keeper->path, work->path) == 0;
    return configured;
}

static json_t *enrol_result(const struct enrol_work *work)
{
    json_t *hints = json_array();
    bool configured = enrol_is_configured(work);
    if (!configured)
        enrol_hint(hints, xasprintf("it is used after two more steps: write \"- path: %s\" under "
                                    "storage.volumes (a reload does not take it up), then restart "
                                    "keepframe, as `systemctl restart keepframe` does",
                              work->path));
    if (work->on_root)
        enrol_hint(hints, xasprintf("it lies on the system's own disk, that of /: if it should be "
                                    "another one, that is not mounted"));
    if (work->marked && !work->known)
        enrol_hint(hints,
            xasprintf("it had a mark already: footage in it that the catalog does not know is only "
                      "taken up by `keepframe-indexer reindex`"));
    char *device = xasprintf("%u:%u", major(work->device), minor(work->device));
    json_t *result = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:b, s:o}", "path", work->path,
        "uuid", work->uuid, "device", device, "total_bytes", (json_int_t)work->total_bytes,
        "free_bytes", (json_int_t)work->free_bytes, "known", work->known, "marked", work->marked,
        "configured", configured, "hints", hints);
    free(device);
    return result;
}

static void enrol_committed(struct commit *commit)
{
    struct enrol_work *work = commit->arg;
    struct keeper *keeper;
    log_info("%s is volume %s, on device %u:%u", work->path, work->uuid, major(work->device),
        minor(work->device));
    for (size_t i = 0; (keeper = storage_at(work->enrol->indexer->storage, i)) != NULL; i++)
        keeper_hurry(keeper);
    ctl_reply(work->request, enrol_result(work));
    enrol_work_free(work);
}

static void enrol_dropped(struct commit *commit)
{
    struct enrol_work *work = commit->arg;
    ctl_fail(work->request, "failed", NULL, "the catalog could not be written");
    enrol_work_free(work);
}

// What the catalog and the other volumes have against it.
static char *enrol_check_catalog(struct enrol_work *work)
{
    struct indexer *indexer = work->enrol->indexer;
    const struct keeper *keeper;
    struct catalog_volume *volumes;
    size_t count;
    char *cause = NULL;
    for (size_t i = 0; (keeper = storage_at(indexer->storage, i)) != NULL; i++) {
        if (keeper->volume != NULL && strcmp(keeper->path, work->path) != 0 &&
            strcmp(keeper->volume->uuid, work->uuid) == 0)
            return xasprintf("%s carries the same mark as %s: remove " VOLUME_MARK " there if it "
                             "is a copy",
                work->path, keeper->path);
    }
    if (catalog_volumes(indexer->catalog, &volumes, &count, &cause) != CATALOG_OK)
        return cause ? cause : xstrdup("the catalog is locked");
    for (size_t i = 0; i < count; i++) {
        work->known |= strcmp(volumes[i].uuid, work->uuid) == 0;
        free(volumes[i].path);
    }
    free(volumes);
    return NULL;
}

static void enrol_done(struct worker_job *job)
{
    struct enrol_work *work = (struct enrol_work *)job;
    if (job->ran && work->cause == NULL)
        work->cause = enrol_check_catalog(work);
    if (!job->ran || work->cause != NULL) {
        ctl_fail(work->request, "refused", "path", "%s",
            work->cause ? work->cause : "the indexer is ending");
        enrol_work_free(work);
        return;
    }
    work->commit.kind = COMMIT_CALL;
    work->commit.apply = enrol_apply;
    work->commit.done = enrol_committed;
    work->commit.drop = enrol_dropped;
    work->commit.arg = work;
    committer_put(work->enrol->indexer->committer, &work->commit);
}

bool enrol_request(struct enrol *enrol, struct ctl_request *request)
{
    if (strcmp(ctl_request_command(request), "volume_add") != 0)
        return false;
    const char *path = json_string_value(json_object_get(ctl_request_json(request), "path"));
    if (!ctl_request_privileged(request)) {
        ctl_fail(
            request, "forbidden", "command", "only root and the indexer's own user may do this");
        return true;
    }
    if (path == NULL || path[0] != '/' || strlen(path) >= PATH_MAX) {
        ctl_fail(request, "invalid", "path", "an absolute path is needed");
        return true;
    }
    const struct keeper *keeper;
    for (size_t i = 0; (keeper = storage_at(enrol->indexer->storage, i)) != NULL; i++) {
        if (strcmp(keeper->path, path) != 0 &&
            (enrol_is_below(path, keeper->path) || enrol_is_below(keeper->path, path))) {
            ctl_fail(request, "refused", "path", "%s and the volume %s lie in one another", path,
                keeper->path);
            return true;
        }
    }
    if (enrol->busy) {
        ctl_fail(request, "busy", NULL, "another directory is being looked at");
        return true;
    }
    struct enrol_work *work = xcalloc(1, sizeof(*work));
    work->job.run = enrol_run;
    work->job.done = enrol_done;
    work->enrol = enrol;
    work->request = request;
    work->path = xstrdup(path);
    work->cache = xstrdup(enrol->indexer->config->storage.cache);
    work->database = xstrdup(enrol->indexer->config->storage.database);
    enrol->busy = true;
    worker_submit(enrol->worker, &work->job);
    return true;
}
