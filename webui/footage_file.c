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
#include "webui/disks.h"
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

static int footage_open_path(const char *path, struct stat *info, char **cause)
{
    // O_NONBLOCK: a FIFO that somebody put there must not hold us up.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && fstat(fd, info) == 0)
        return fd;
    *cause = xasprintf("%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

// A file of another size than its row's is not the one that was filed: its bytes are not ours.
static int footage_check_size(
    const char *path, const struct stat *info, uint64_t size, char **cause)
{
    if (S_ISREG(info->st_mode) && info->st_size >= 0 && (uint64_t)info->st_size == size)
        return 0;
    *cause = xasprintf("%s: is not the file that was filed there: its size is another", path);
    return -1;
}

// Nobody writes to a filed segment: another inode or a later write is somebody else's doing.
static int footage_check_stamp(
    const char *path, const struct stat *info, _Atomic uint64_t *stamp, char **cause)
{
    const int64_t marks[] = {
        (int64_t)info->st_dev, (int64_t)info->st_ino, info->st_mtim.tv_sec, info->st_mtim.tv_nsec};
    uint64_t now = 1, before = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++)
        now = (now ^ (uint64_t)marks[i]) * UINT64_C(0x9e3779b97f4a7c15);
    now |= 1; // never 0
    if (atomic_compare_exchange_strong(stamp, &before, now) || before == now)
        return 0;
    *cause = xasprintf("%s: has been altered since it was opened first", path);
    return -1;
}

// Opens a filed segment.
static int footage_open_volume(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, char **cause)
{
    const char *volume = footage_volume_path(footage, segment->volume_id);
    if (volume == NULL) {
        *cause = xasprintf("%s: the catalog does not know its volume", segment->key);
        return -1;
    }
    char *path = xasprintf("%s/%s", volume, segment->key);
    struct stat info = {0};
    int fd = footage_open_path(path, &info, cause);
    if (fd >= 0) {
        disks_note(worker->shared->disks, segment->volume_id, info.st_dev);
        if (footage_check_size(path, &info, segment->size_bytes, cause) < 0 ||
            footage_check_stamp(path, &info, &segment->stamp, cause) < 0) {
            close(fd);
            fd = -1;
        }
    }
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
        struct footage_segment filed = {
            .volume_id = row.volume_id, .key = row.key, .size_bytes = row.size_bytes};
        fd = footage_open_volume(worker, &now, &filed, cause);
        for (size_t i = 0; i < count; i++)
            free(volumes[i].path);
        free(volumes);
    }
    catalog_segment_fini(&row);
    return fd;
}

int footage_open(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, char **cause)
{
    if (segment->state == FOOTAGE_SEALED)
        return footage_open_volume(worker, footage, segment, cause);
    char *path = cache_segment_path(footage->cache, &segment->recent->id), *reason = NULL;
    struct stat info = {0};
    int fd = footage_open_path(path, &info, &reason);
    bool gone = fd < 0 && access(path, F_OK) < 0 && errno == ENOENT;
    free(path);
    if (fd >= 0)
        disks_note(worker->shared->disks, segment->volume_id, info.st_dev);
    else if (!gone)
        *cause = reason;
    else
        free(reason);
    return gone ? footage_open_moved(worker, footage, segment, cause) : fd;
}

// The frames database of that day is lost: the file itself knows.
static enum catalog_status footage_table_from_file(struct worker *worker,
    const struct footage *footage, struct footage_segment *segment, char **cause)
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
    return tables_put(worker->shared->tables, &row, &packed, &worker->table, cause);
}

const struct sample_table *footage_table(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, char **cause)
{
    if (segment->state != FOOTAGE_SEALED) {
        const struct buf *packed = &segment->recent->packed;
        return sample_table_open(&worker->scratch, packed->data, packed->size, cause) == 0
                   ? &worker->scratch
                   : NULL;
    }
    table_release(worker->table);
    worker->table = NULL;
    const struct catalog_segment row = footage_row_key(footage, segment);
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status == CATALOG_OK)
        status = tables_get(worker->shared->tables, worker->catalog, &row, &worker->table, cause);
    if (footage_check(worker, status, cause) == CATALOG_NONE)
        status = footage_table_from_file(worker, footage, segment, cause);
    return status == CATALOG_OK ? table_samples(worker->table) : NULL;
}

static int footage_look_at(
    const struct sample_table *table, footage_look_fn look, void *arg, char **cause)
{
    const struct sample_table_track *video = sample_table_track(table, MEDIA_VIDEO);
    if (video == NULL || look(arg, video))
        return 0;
    *cause = xasprintf("a sample table contradicts itself");
    return -1;
}

static int footage_peek(const struct buf *packed, footage_look_fn look, void *arg, char **cause)
{
    struct sample_table table;
    if (sample_table_peek(&table, packed->data, packed->size, cause) < 0)
        return -1;
    return footage_look_at(&table, look, arg, cause);
}

int footage_look(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, footage_look_fn look, void *arg, char **cause)
{
    if (segment->state != FOOTAGE_SEALED)
        return footage_peek(&segment->recent->packed, look, arg, cause);
    const struct catalog_segment row = footage_row_key(footage, segment);
    struct buf packed = BUF_INIT;
    int result = -1;
    enum catalog_status status = worker_open_catalog(worker, cause);
    if (status == CATALOG_OK)
        status = catalog_frames(worker->catalog, &row, &packed, cause);
    status = footage_check(worker, status, cause);
    if (status == CATALOG_OK) {
        result = footage_peek(&packed, look, arg, cause);
    } else if (status == CATALOG_NONE) {
        const struct sample_table *table = footage_table(worker, footage, segment, cause);
        result = table == NULL ? -1 : footage_look_at(table, look, arg, cause);
    }
    buf_fini(&packed);
    return result;
}

struct footage_division {
    struct portions *portions;
    uint32_t timescale;
};

static bool footage_divide(void *arg, const struct sample_table_track *video)
{
    const struct footage_division *division = arg;
    return portions_find(division->portions, video, division->timescale);
}

int footage_portions(struct worker *worker, const struct footage *footage,
    struct footage_segment *segment, struct portions *portions, char **cause)
{
    struct footage_division division = {portions, segment->tracks[VFILE_VIDEO].timescale};
    portions->count = 0;
    return footage_look(worker, footage, segment, footage_divide, &division, cause);
}
