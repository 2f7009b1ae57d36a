// Keeps a little room on the cache's file system. See cacheroom.h.
#include "indexer/cacheroom.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "indexer/ingest.h"
#include "indexer/ingest_stream.h"
#include "indexer/storage.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

#define CACHEROOM_PERIOD_US US_PER_SECOND
#define CACHEROOM_ALARM_US (600 * US_PER_SECOND)
#define CACHEROOM_LEAST (UINT64_C(8) << 20)
#define CACHEROOM_MOST (UINT64_C(512) << 20)

// A file that is given up.
struct cacheroom_file {
    struct ingest_stream *stream;
    struct segment_id id;
    uint64_t inode;
    uint64_t bytes;
    int64_t written_us;
    bool gone;
};

struct cacheroom {
    struct worker_job job;
    struct indexer *indexer;
    bool busy;
    int64_t next_us;
    int64_t given_up_us; // monotonic, the last time
    uint64_t given_up;   // files

    // The job's.
    struct cacheroom_file *files;
    size_t count;
    struct retention_space space;
    bool known;
};

// --- How much ---

uint64_t cacheroom_reserve(uint64_t total_bytes)
{
    uint64_t reserve = total_bytes / 50;
    if (reserve < CACHEROOM_LEAST)
        reserve = CACHEROOM_LEAST;
    if (reserve > CACHEROOM_MOST)
        reserve = CACHEROOM_MOST;
    return reserve < total_bytes / 10 ? reserve : total_bytes / 10;
}

uint64_t cacheroom_need(const struct retention_space *space, bool filing)
{
    uint64_t reserve = cacheroom_reserve(space->total_bytes);
    if (filing)
        reserve /= 2;
    return reserve > space->available_bytes ? reserve - space->available_bytes : 0;
}

// --- In the worker ---

// Removes the file unless somebody writes to it, or another one has its name.
static bool cacheroom_remove(const char *path, uint64_t inode)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool ours = fd >= 0 && fstat(fd, &info) == 0 && info.st_ino == inode &&
                fs_lease_probe(fd) == FS_LEASE_CLOSED;
    if (fd >= 0)
        close(fd);
    return ours && unlink(path) == 0;
}

static void cacheroom_run(struct worker_job *job)
{
    struct cacheroom *room = (struct cacheroom *)job;
    const char *cache = room->indexer->config->storage.cache;
    struct statvfs info;
    for (size_t i = 0; i < room->count; i++) {
        char *path = cache_segment_path(cache, &room->files[i].id);
        room->files[i].gone = cacheroom_remove(path, room->files[i].inode);
        free(path);
    }
    room->known = statvfs(cache, &info) == 0;
    if (room->known)
        room->space = (struct retention_space){
            .total_bytes = (uint64_t)info.f_blocks * info.f_frsize,
            .available_bytes = (uint64_t)info.f_bavail * info.f_frsize,
        };
}

// --- In the loop ---

static int cacheroom_compare(const void *left, const void *right)
{
    const struct cacheroom_file *a = left, *b = right;
    return a->written_us < b->written_us ? -1 : a->written_us > b->written_us;
}

// Whether the file is complete as far as names tell: another one of its stream comes behind it, or
// its writer was seen to close it.
static bool cacheroom_finished(const struct ingest_stream *stream, size_t index)
{
    return stream->files[index].closed || index + 1 < stream->file_count;
}

// All files that might be given up, the oldest first.
static void cacheroom_gather(struct cacheroom *room)
{
    struct ingest_stream *stream;
    size_t capacity = 0;
    for (size_t i = 0; (stream = ingest_stream_at(room->indexer->ingest, i)) != NULL; i++) {
        for (size_t j = 0; j < stream->file_count; j++) {
            const struct ingest_file *file = &stream->files[j];
            if (file->state != INGEST_NEW || file->filing || !cacheroom_finished(stream, j))
                continue;
            ARRAY_RESERVE(room->files, room->count, capacity);
            room->files[room->count++] = (struct cacheroom_file){
                .stream = stream,
                .id = file->file.id,
                .inode = file->file.inode,
                .bytes = file->file.size,
                .written_us = file->file.written_us,
            };
        }
    }
    if (room->count > 1)
        qsort(room->files, room->count, sizeof(*room->files), cacheroom_compare);
}

static struct ingest_file *cacheroom_file(const struct cacheroom_file *file)
{
    return ingest_stream_file(file->stream, file->id.run, file->id.number, file->inode);
}

// Chooses the oldest until there is room enough.
static void cacheroom_choose(struct cacheroom *room, uint64_t need)
{
    cacheroom_gather(room);
    size_t chosen = 0;
    for (; chosen < room->count && need > 0; chosen++) {
        uint64_t bytes = room->files[chosen].bytes;
        need = need > bytes ? need - bytes : 0;
        cacheroom_file(&room->files[chosen])->state = INGEST_LEAVING;
    }
    room->count = chosen;
}

// Tells what has become of the files of the last round.
static void cacheroom_settle(struct cacheroom *room, bool ran)
{
    for (size_t i = 0; i < room->count; i++) {
        const struct cacheroom_file *given = &room->files[i];
        struct ingest_file *file = cacheroom_file(given);
        if (file != NULL && !(ran && given->gone))
            file->state = INGEST_NEW;
        if (!ran || !given->gone)
            continue;
        char identity[SEGMENT_TEXT_SIZE];
        segment_id_format(&given->id, identity);
        log_err("%s is given up, %" PRIu64 " bytes: the cache's file system is full, and nothing "
                "takes it in time",
            identity, given->bytes);
        tally_add(&room->indexer->figures.deleted, "cache_full", 1);
        room->given_up++;
        room->given_up_us = time_monotonic_us();
        if (file != NULL)
            ingest_stream_remove(given->stream, file);
    }
    free(room->files);
    room->files = NULL;
    room->count = 0;
}

static void cacheroom_submit(struct cacheroom *room)
{
    room->busy = true;
    worker_submit_first(room->indexer->cache_worker, &room->job);
}

static void cacheroom_done(struct worker_job *job)
{
    struct cacheroom *room = (struct cacheroom *)job;
    struct indexer *indexer = room->indexer;
    bool tried = room->count > 0;
    room->busy = false;
    cacheroom_settle(room, job->ran);
    if (!job->ran || !room->known || indexer->stopping || tried)
        return;
    bool filing = storage_choose(indexer->storage, 0, time_monotonic_us()) != NULL;
    uint64_t need = cacheroom_need(&room->space, filing);
    if (need == 0)
        return;
    cacheroom_choose(room, need);
    if (room->count > 0)
        cacheroom_submit(room);
    else
        cacheroom_settle(room, false);
}

struct cacheroom *cacheroom_new(struct indexer *indexer)
{
    struct cacheroom *room = xcalloc(1, sizeof(*room));
    room->job.run = cacheroom_run;
    room->job.done = cacheroom_done;
    room->indexer = indexer;
    return room;
}

void cacheroom_free(struct cacheroom *room)
{
    free(room);
}

void cacheroom_tick(struct cacheroom *room, int64_t now_us)
{
    if (room->busy || now_us < room->next_us)
        return;
    room->next_us = now_us + CACHEROOM_PERIOD_US;
    cacheroom_submit(room);
}

void cacheroom_add_alarms(const struct cacheroom *room, json_t *alarms)
{
    if (room->given_up_us == 0 || time_monotonic_us() - room->given_up_us >= CACHEROOM_ALARM_US)
        return;
    json_array_append_new(alarms,
        json_sprintf("the cache's file system is full: footage was given up that had not been "
                     "filed (%llu files since the start)",
            (unsigned long long)room->given_up));
}
