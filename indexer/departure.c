// Names that go from the cache. See departure.h.
#include "indexer/departure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"

struct departure {
    struct worker_job job;
    struct ingest_stream *stream;
    departure_fn done;
    char *path;
    int64_t run;
    uint32_t number;
    uint64_t inode; // of a segment; 0: it is the run file
    char *cause;
};

static void departure_run(struct worker_job *job)
{
    struct departure *work = (struct departure *)job;
    struct stat info;
    if (work->inode != 0 && lstat(work->path, &info) == 0 && info.st_ino != work->inode)
        work->cause = xasprintf("%s: another file has its name now, it stays", work->path);
    else if (unlink(work->path) < 0 && errno != ENOENT)
        work->cause = xasprintf("%s: can not be removed: %s", work->path, strerror(errno));
}

static void departure_done(struct worker_job *job)
{
    struct departure *work = (struct departure *)job;
    struct ingest_stream *stream = work->stream;
    if (work->cause != NULL)
        log_err("%s", work->cause);
    if (job->ran && work->inode == 0) {
        struct ingest_run *run = ingest_stream_run(stream, work->run);
        if (run != NULL)
            run->file_inode = 0;
    } else if (job->ran) {
        struct ingest_file *file = ingest_stream_file(stream, work->run, work->number, work->inode);
        if (file != NULL)
            ingest_stream_remove(stream, file);
    }
    work->done(stream);
    free(work->cause);
    free(work->path);
    free(work);
}

static void departure_submit(
    struct ingest_stream *stream, struct departure *work, departure_fn done)
{
    work->job.run = departure_run;
    work->job.done = departure_done;
    work->stream = stream;
    work->done = done;
    if (stream->indexer->cache_worker != NULL) {
        worker_submit(stream->indexer->cache_worker, &work->job);
        return;
    }
    // The thread has ended, so that this can as well happen here.
    work->job.run(&work->job);
    work->job.ran = true;
    work->job.done(&work->job);
}

void departure_of_segment(struct ingest_stream *stream, struct ingest_file *file, departure_fn done)
{
    struct departure *work = xcalloc(1, sizeof(*work));
    file->state = INGEST_LEAVING;
    work->path = cache_segment_path(stream->indexer->config->storage.cache, &file->file.id);
    work->run = file->file.id.run;
    work->number = file->file.id.number;
    work->inode = file->file.inode;
    departure_submit(stream, work, done);
}

void departure_of_run_file(struct ingest_stream *stream, struct ingest_run *run, departure_fn done)
{
    struct departure *work = xcalloc(1, sizeof(*work));
    run->leaving = true;
    work->path = cache_run_path(
        stream->indexer->config->storage.cache, stream->camera, stream->name, run->row.run);
    work->run = run->row.run;
    departure_submit(stream, work, done);
}
