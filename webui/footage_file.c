// The bytes of a segment: its file and its sample table, wherever they are by now. See footage.h.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "webui/footage.h"
#include "webui/reply.h"
#include "webui/tables.h"

static const char *footage_volume_path(const struct footage *footage, int64_t volume_id)
{
    for (size_t i = 0; i < footage->volume_count; i++)
        if (footage->volumes[i].id == volume_id)
            return footage->volumes[i].path;
    return NULL;
}

// A catalog that is busy gives no cause. Returns the status.
static enum catalog_status footage_check(
    struct worker *worker, enum catalog_status status, char **cause)
{
    if (status == CATALOG_BUSY)
        *cause = xstrdup(REPLY_BUSY);
    return worker_check(worker, status);
}

static int footage_open_path(const char *path, char **cause)
{
    // O_NONBLOCK: a FIFO that somebody put there must not hold us up.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        *cause = xasprintf("%s: %s", path, strerror(errno));
    return fd;
}

// A file of another size than its row's is not the one that was filed: its bytes are not ours.
static int footage_check_size(const char *path, int fd, uint64_t size, char **cause)
{
    struct stat info;
    if (fstat(fd, &info) == 0 && info.st_size >= 0 && (uint64_t)info.st_size == size)
        return fd;
    close(fd);
    *cause = xasprintf("%s: is not the file that was filed there: its size is another", path);
    errno = EIO;
    return -1;
}

static int footage_open_volume(
    const struct footage *footage, int64_t volume_id, const char *key, uint64_t size, char **cause)
{
    const char *volume = footage_volume_path(footage, volume_id);
    if (volume == NULL) {
        *cause = xasprintf("%s: the catalog does not know its volume", key);
        return -1;
    }
    char *path = xasprintf("%s/%s", volume, key);
    int fd = footage_open_path(path, cause);
    if (fd >= 0)
        fd = footage_check_size(path, fd, size, cause);
    free(path);
    return fd;
}

static struct catalog_segment footage_row_key(
    const struct footage *footage, const struct footage_segment *segment)
{
    return (struct catalog_segment){.stream_id = footage->stream_id,
        .start_us = segment->start_us,
        .run = segment->run,
        .number = segment->number};
}

// The file has left the cache since it was listed: it stands where its row says by now.
static int footage_open_moved(struct worker *worker, const struct footage *footage,
    const struct footage_segment *segment, char **cause)
{
    struct catalog_stream stream = {0};
    struct catalog_segment row = {0};
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status == CATALOG_OK)
        status =
            catalog_stream_find(worker->catalog, footage->camera, footage->stream, &stream, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_find(
            worker->catalog, stream.id, segment->run, segment->number, &row, cause);
    if (status == CATALOG_NONE)
        *cause = xasprintf("the segment is gone");
    if (footage_check(worker, status, cause) != CATALOG_OK)
        return -1;
    struct catalog_volume *volumes = NULL;
    size_t count = 0;
    int fd = -1;
    status = catalog_volumes(worker->catalog, &volumes, &count, cause);
    if (footage_check(worker, status, cause) == CATALOG_OK) {
        const struct footage now = {.volumes = volumes, .volume_count = count};
        fd = footage_open_volume(&now, row.volume_id, row.key, row.size_bytes, cause);
        for (size_t i = 0; i < count; i++)
            free(volumes[i].path);
        free(volumes);
    }
    catalog_segment_fini(&row);
    return fd;
}

int footage_open(struct worker *worker, const struct footage *footage,
    const struct footage_segment *segment, char **cause)
{
    if (segment->state == FOOTAGE_SEALED)
        return footage_open_volume(
            footage, segment->volume_id, segment->key, segment->size_bytes, cause);
    char *path = cache_segment_path(footage->cache, &segment->recent->id), *reason = NULL;
    int fd = footage_open_path(path, &reason);
    bool gone = fd < 0 && access(path, F_OK) < 0 && errno == ENOENT;
    free(path);
    if (fd < 0 && !gone)
        *cause = reason;
    else
        free(reason);
    return gone ? footage_open_moved(worker, footage, segment, cause) : fd;
}

// The frames database of that day is lost: the file itself knows.
static enum catalog_status footage_table_from_file(struct worker *worker,
    const struct footage *footage, const struct footage_segment *segment,
    const struct sample_table **table, char **cause)
{
    struct buf packed = BUF_INIT;
    int fd = footage_open(worker, footage, segment, cause);
    if (fd < 0)
        return CATALOG_ERROR;
    int result = recent_read_table(fd, &packed, cause);
    close(fd);
    if (result < 0)
        return CATALOG_ERROR;
    log_debug("%s/%s/%" PRId64 "-%06" PRIu32 ": no frames in the catalog, read from its file",
        footage->camera, footage->stream, segment->run, segment->number);
    const struct catalog_segment row = footage_row_key(footage, segment);
    return tables_put(worker->tables, &row, &packed, table, cause);
}

const struct sample_table *footage_table(struct worker *worker, const struct footage *footage,
    const struct footage_segment *segment, char **cause)
{
    const struct sample_table *table = NULL;
    if (segment->state != FOOTAGE_SEALED) {
        const struct buf *packed = &segment->recent->packed;
        return sample_table_open(&worker->scratch, packed->data, packed->size, cause) == 0
                   ? &worker->scratch
                   : NULL;
    }
    const struct catalog_segment row = footage_row_key(footage, segment);
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status == CATALOG_OK)
        status = tables_get(worker->tables, worker->catalog, &row, &table, cause);
    if (footage_check(worker, status, cause) == CATALOG_NONE)
        status = footage_table_from_file(worker, footage, segment, &table, cause);
    return status == CATALOG_OK ? table : NULL;
}
