// From the cache to the catalog. See ingest.h.
#include "indexer/ingest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "indexer/announce.h"
#include "indexer/committer.h"
#include "indexer/departure.h"
#include "indexer/filing.h"
#include "indexer/ingest_stream.h"
#include "indexer/storage.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

enum {
    INGEST_CLOSING_TRIES = 50,
    INGEST_READ_TRIES = 3,         // where others can be read meanwhile,
    INGEST_READ_TRIES_ALONE = 60,  // where nothing can: it may be the whole disk, for a while
    INGEST_UNCOMMITTED_MAX = 2000, // while the catalog can not be written, the cache is the queue
};

#define INGEST_CLOSING_US (US_PER_SECOND / 10) // between the event and the lease
#define INGEST_RETRY_US (10 * US_PER_SECOND)
#define INGEST_LOOK_US (30 * US_PER_SECOND)
#define INGEST_ORPHAN_US (10 * US_PER_SECOND)

struct ingest {
    struct indexer *indexer;
    struct ingest_stream **streams;
    size_t stream_count;
    size_t stream_capacity;
    int64_t look_us; // monotonic, when everything was looked through
    char *trouble;   // why a segment could not be filed, the last time
};

// A row on its way into the catalog.
struct ingest_commit {
    struct commit commit;
    struct ingest_stream *stream;
    int64_t run;
};

static void ingest_step(struct ingest_stream *stream);
static void ingest_settle_runs(struct ingest_stream *stream);

struct ingest *ingest_new(struct indexer *indexer)
{
    struct ingest *ingest = xcalloc(1, sizeof(*ingest));
    ingest->indexer = indexer;
    return ingest;
}

void ingest_free(struct ingest *ingest)
{
    if (ingest == NULL)
        return;
    for (size_t i = 0; i < ingest->stream_count; i++)
        ingest_stream_free(ingest->streams[i]);
    free(ingest->streams);
    free(ingest->trouble);
    free(ingest);
}

static struct ingest_stream *ingest_stream(
    struct ingest *ingest, const char *camera, const char *name)
{
    for (size_t i = 0; i < ingest->stream_count; i++) {
        struct ingest_stream *stream = ingest->streams[i];
        if (strcmp(stream->camera, camera) == 0 && strcmp(stream->name, name) == 0)
            return stream;
    }
    ARRAY_RESERVE(ingest->streams, ingest->stream_count, ingest->stream_capacity);
    struct ingest_stream *stream = ingest_stream_new(ingest->indexer, camera, name);
    ingest->streams[ingest->stream_count++] = stream;
    return stream;
}

// --- Runs ---

static void ingest_run_committed(struct commit *commit)
{
    struct ingest_commit *own = (struct ingest_commit *)commit;
    struct ingest_run *run = ingest_stream_run(own->stream, own->run);
    if (run != NULL)
        run->uncommitted--;
    ingest_settle_runs(own->stream);
    free(own);
}

static struct ingest_commit *ingest_commit_new(
    struct ingest_stream *stream, struct ingest_run *run, enum commit_kind kind)
{
    struct ingest_commit *own = xcalloc(1, sizeof(*own));
    own->commit.kind = kind;
    snprintf(own->commit.camera, sizeof(own->commit.camera), "%s", stream->camera);
    snprintf(own->commit.stream, sizeof(own->commit.stream), "%s", stream->name);
    own->commit.run = run->row;
    own->stream = stream;
    own->run = run->row.run;
    run->uncommitted++;
    return own;
}

void ingest_drop(struct commit *commit)
{
    filing_free(commit->filing);
    free(commit);
}

// Writes down what the run files say, and removes those whose run has ended and is wholly in the
// catalog.
static void ingest_settle_runs(struct ingest_stream *stream)
{
    struct indexer *indexer = stream->indexer;
    for (size_t i = stream->run_count; i-- > 0;) {
        struct ingest_run *run = &stream->runs[i];
        if (run->changed) {
            run->changed = false;
            struct ingest_commit *own = ingest_commit_new(stream, run, COMMIT_RUN);
            own->commit.done = ingest_run_committed;
            committer_put(indexer->committer, &own->commit);
        }
        if (run->uncommitted > 0 || ingest_stream_has_run(stream, run->row.run))
            continue;
        if (run->file_inode == 0)
            ingest_stream_forget_run(stream, run);
        else if (run->row.end_us != 0 && !run->leaving && !indexer->stopping)
            departure_of_run_file(stream, run, ingest_settle_runs);
    }
}

// Whether no further segment of the run will come.
static bool ingest_run_over(const struct ingest_stream *stream, const struct ingest_run *run,
    const struct ingest_file *file)
{
    if (run->row.end_us != 0 || ingest_stream_newest_run(stream) > run->row.run)
        return true;
    // Not even a run file: nobody records this.
    return run->file_inode == 0 && time_now_us() - file->file.written_us > INGEST_ORPHAN_US;
}

// Whether the file that would come next is lost, since later ones are there.
static bool ingest_successor_lost(
    const struct ingest_stream *stream, const struct ingest_file *file)
{
    const struct ingest_file *next = file + 1;
    return next < stream->files + stream->file_count && next->file.id.run == file->file.id.run &&
           next->file.id.number != file->file.id.number + 1;
}

// --- One file's way ---

static void ingest_segment_committed(struct commit *commit)
{
    struct ingest_commit *own = (struct ingest_commit *)commit;
    struct ingest_stream *stream = own->stream;
    struct filing *filing = commit->filing;
    struct figures *figures = &stream->indexer->figures;
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(&filing->file.id, identity);
    if (commit->known) {
        log_warn("%s was in the catalog, its file was not in the volume: filed again as %s",
            identity, filing->row.key);
    } else {
        figures->committed++;
        figures->committed_bytes += filing->row.size_bytes;
        announce_filed(stream->indexer, filing);
        log_debug("%s: committed as %s", identity, filing->row.key);
    }
    struct ingest_file *file =
        ingest_stream_file(stream, filing->file.id.run, filing->file.id.number, filing->file.inode);
    if (file != NULL)
        departure_of_segment(stream, file, ingest_settle_runs);
    filing_free(filing);
    commit->filing = NULL;
    ingest_run_committed(commit);
}

static void ingest_put_segment(
    struct ingest_stream *stream, struct ingest_run *run, struct filing *filing)
{
    struct indexer *indexer = stream->indexer;
    run->row.time = filing->time;
    run->row.mend = filing->mend;
    struct ingest_commit *own = ingest_commit_new(stream, run, COMMIT_SEGMENT);
    own->commit.filing = filing;
    own->commit.volume_id = filing->volume_id;
    own->commit.done = ingest_segment_committed;
    committer_put(indexer->committer, &own->commit);
}

// Says that the run's place in UTC has moved.
static void ingest_tell_step(const struct filing *filing, const char *identity)
{
    static const char *const causes[SEGTIME_STEP_COUNT] = {
        [SEGTIME_CLOCK_STEP] = "the computer's clock was set",
        [SEGTIME_CAMERA_JUMP] = "the camera's clock has jumped",
        [SEGTIME_DELAY] = "frames come later than before",
    };
    if (filing->time.step != SEGTIME_NONE)
        log_warn("%s: %s; from here on the run's times are moved by %.3f s", identity,
            causes[filing->time.step], (double)filing->time.step_us / US_PER_SECOND);
}

static void ingest_tell_mending(
    struct indexer *indexer, const struct filing *filing, const char *identity)
{
    indexer->figures.mended += filing->mended;
    indexer->figures.disordered_frames += filing->lost;
    if (filing->mended)
        log_info("%s: its %s was put in step with the other track", identity,
            filing->mend.kind == MEDIA_VIDEO ? "video" : "audio");
    if (filing->lost > 0)
        log_warn("%s: %" PRIu32 " frames are shown in the order in which they are decoded, their "
                 "own was lost when the camera's first sender report came",
            identity, filing->lost);
}

static void ingest_filed(struct ingest_stream *stream, struct ingest_file *file,
    struct filing *filing, const char *identity)
{
    struct figures *figures = &stream->indexer->figures;
    file->state = INGEST_FILED;
    file->file.size = filing->row.size_bytes;
    if (filing->busy_us > figures->filing_us_max)
        figures->filing_us_max = filing->busy_us;
    figures->skipped_fragments += filing->skipped;
    skew_add(&stream->skew, filing->has_skew, filing->skew_us, time_monotonic_us());
    ingest_tell_step(filing, identity);
    ingest_tell_mending(stream->indexer, filing, identity);
    if (filing->skipped > 0)
        log_warn("%s: %" PRIu32 " damaged fragments were left out", identity, filing->skipped);
    ingest_put_segment(stream, ingest_stream_run(stream, file->file.id.run), filing);
}

static void ingest_removed(struct ingest_stream *stream, struct ingest_file *file,
    const struct filing *filing, const char *identity)
{
    struct figures *figures = &stream->indexer->figures;
    if (filing->result == FILING_EMPTY) {
        tally_add(&figures->deleted, "empty", 1);
        log_info("%s: had no byte of media and was removed", identity);
    } else if (filing->result == FILING_QUARANTINED) {
        tally_add(&figures->quarantined, filing->reason, 1);
        log_warn("%s: can not be used and was moved to %s/" VOLUME_QUARANTINE ": %s", identity,
            filing->volume->path, filing->cause);
    }
    ingest_stream_remove(stream, file);
}

static void ingest_note(struct ingest *ingest, const char *cause)
{
    free(ingest->trouble);
    ingest->trouble = xstrdup(cause);
}

static void ingest_postpone(struct indexer *indexer, struct ingest_file *file,
    const struct filing *filing, const char *identity)
{
    int64_t delay_us = INGEST_RETRY_US;
    // The event of a close comes a moment before the lease can be had.
    if (filing->result == FILING_OPEN && file->closed && file->tries++ < INGEST_CLOSING_TRIES)
        delay_us = INGEST_CLOSING_US;
    bool failed = filing->result == FILING_FAILED || filing->result == FILING_UNREADABLE;
    if (filing->result == FILING_UNREADABLE && file->unread++ == 0)
        file->unread_since = indexer->figures.committed;
    file->lossy |= filing->unsynced;
    if (failed)
        ingest_note(indexer->ingest, filing->cause);
    if (failed && !file->complained) {
        file->complained = true;
        log_err("%s: can not be filed now and stays in the cache: %s", identity, filing->cause);
    }
    struct keeper *keeper = storage_find(indexer->storage, filing->volume_id);
    int64_t now_us = time_monotonic_us();
    if (filing->result == FILING_FAILED && filing->error != 0 && keeper != NULL) {
        keeper_blame(keeper, filing->error, now_us);
        // Another volume may take it at once.
        struct keeper *other = storage_choose(indexer->storage, file->file.size, now_us);
        if (other != NULL && other != keeper)
            delay_us = 0;
    }
    file->retry_us = now_us + delay_us;
}

static void ingest_filing_done(struct worker_job *job)
{
    struct filing *filing = (struct filing *)job;
    struct ingest_stream *stream = filing->owner;
    stream->filing = false;
    struct ingest_file *file =
        ingest_stream_file(stream, filing->file.id.run, filing->file.id.number, filing->file.inode);
    if (file != NULL)
        file->filing = false;
    if (!job->ran || file == NULL) {
        filing_free(filing);
        return;
    }
    char identity[SEGMENT_TEXT_SIZE];
    segment_id_format(&filing->file.id, identity);
    switch (filing->result) {
    case FILING_DONE:
        ingest_filed(stream, file, filing, identity);
        filing = NULL; // the commit's
        break;
    case FILING_SETTLED:
        departure_of_segment(stream, file, ingest_settle_runs);
        break;
    case FILING_OPEN:
    case FILING_WAITS:
    case FILING_UNREADABLE:
    case FILING_FAILED:
        ingest_postpone(stream->indexer, file, filing, identity);
        break;
    case FILING_GONE:
    case FILING_EMPTY:
    case FILING_QUARANTINED:
        ingest_removed(stream, file, filing, identity);
        break;
    }
    filing_free(filing);
    ingest_settle_runs(stream);
    ingest_step(stream);
}

// What the catalog knows of the file: whether it has its row. Returns 0, or -1 when it can not be
// asked now.
static int ingest_ask_catalog(struct ingest_stream *stream, struct filing *filing)
{
    char *cause = NULL;
    struct catalog_segment row = {0};
    enum catalog_status status = CATALOG_NONE;
    if (ingest_stream_find_id(stream, &status, &cause))
        status = catalog_segment_find(stream->indexer->catalog, stream->id, filing->file.id.run,
            filing->file.id.number, &row, &cause);
    if (status == CATALOG_OK) {
        filing->committed_key = row.key;
        filing->row.size_bytes = row.size_bytes;
        filing->volume_id = row.volume_id;
    } else if (status != CATALOG_NONE) {
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
        free(cause);
        return -1;
    }
    return 0;
}

static int64_t ingest_latency_us(const struct ingest_stream *stream)
{
    const struct config_stream *config =
        config_stream_find(stream->indexer->config, stream->camera, stream->name);
    return config ? config->recording.latency_us : 0;
}

// The volume for a file: the one that has it already, if the catalog says so; NULL: none can take
// it now.
static struct keeper *ingest_choose(struct indexer *indexer, const struct filing *filing)
{
    if (filing->committed_key == NULL)
        return storage_choose(indexer->storage, filing->file.size, time_monotonic_us());
    struct keeper *keeper = storage_find(indexer->storage, filing->volume_id);
    return keeper != NULL && keeper->volume != NULL ? keeper : NULL;
}

// Names the files that come after a run's first one: its beginning is looked at as a whole.
static void ingest_name_following(
    const struct ingest_stream *stream, const struct ingest_file *file, struct filing *filing)
{
    const struct ingest_file *end = stream->files + stream->file_count;
    for (const struct ingest_file *next = file + 1;
         next < end && filing->following_count < BEGINNING_FILES_MAX &&
         next->file.id.run == file->file.id.run;
         next++)
        filing->following[filing->following_count++] =
            cache_segment_path(stream->indexer->config->storage.cache, &next->file.id);
}

// Whether a file that can not be read is to hold up those behind it no longer.
static bool ingest_read_long_enough(const struct indexer *indexer, const struct ingest_file *file)
{
    return file->unread >= INGEST_READ_TRIES_ALONE ||
           (file->unread >= INGEST_READ_TRIES && indexer->figures.committed > file->unread_since);
}

static void ingest_submit(struct ingest_stream *stream, struct ingest_file *file)
{
    struct indexer *indexer = stream->indexer;
    struct ingest_run *run = ingest_stream_load_run(stream, file->file.id.run);
    struct filing *filing = xcalloc(1, sizeof(*filing));
    filing->file = file->file;
    struct keeper *keeper = NULL;
    if (run != NULL && ingest_ask_catalog(stream, filing) == 0)
        keeper = ingest_choose(indexer, filing);
    if (keeper == NULL) {
        file->retry_us = time_monotonic_us() + INGEST_RETRY_US;
        filing_free(filing);
        return;
    }
    filing->job.run = filing_run;
    filing->job.done = ingest_filing_done;
    filing->owner = stream;
    filing->volume = keeper->volume;
    filing->volume_id = keeper->id;
    filing->path = cache_segment_path(indexer->config->storage.cache, &file->file.id);
    filing->node = xstrdup(indexer->config->node);
    filing->time = run->row.time;
    filing->next_birth_us =
        ingest_stream_birth_us(stream, file->file.id.run, file->file.id.number + 1);
    filing->hash = indexer->config->recording.hash == CONFIG_HASH_SHA256;
    filing->lossy = file->lossy;
    filing->last_try = ingest_read_long_enough(indexer, file);
    filing->latency_us = ingest_latency_us(stream);
    filing->alone = ingest_run_over(stream, run, file) || ingest_successor_lost(stream, file);
    filing->mend = run->row.mend;
    if (file->file.id.number == 0)
        ingest_name_following(stream, file, filing);
    file->filing = true;
    stream->filing = true;
    keeper->coming_bytes += file->file.size;
    worker_submit(keeper->worker, &filing->job);
}

// Hands the first file of files[first] to files[end - 1], which are of one run, to a worker, if it
// may go.
static void ingest_step_run(struct ingest_stream *stream, size_t first, size_t end, int64_t now_us)
{
    while (first < end && stream->files[first].state != INGEST_NEW)
        first++;
    if (first < end && stream->files[first].retry_us <= now_us)
        ingest_submit(stream, &stream->files[first]);
}

// Hands the next file to a worker. Of several runs the newest comes first, and every other time the
// oldest, so that what piles up does not wait for ever.
static void ingest_step(struct ingest_stream *stream)
{
    struct indexer *indexer = stream->indexer;
    int64_t now_us = time_monotonic_us();
    if (stream->filing || indexer->stopping || stream->file_count == 0 ||
        storage_choose(indexer->storage, 0, now_us) == NULL ||
        committer_pending(indexer->committer) >= INGEST_UNCOMMITTED_MAX)
        return;
    bool newest = stream->newest_next;
    size_t low = 0, high = stream->file_count;
    while (low < high && !stream->filing) {
        size_t first = newest ? high - 1 : low, end = first + 1;
        int64_t run = stream->files[first].file.id.run;
        while (newest && first > low && stream->files[first - 1].file.id.run == run)
            first--;
        while (!newest && end < high && stream->files[end].file.id.run == run)
            end++;
        ingest_step_run(stream, first, end, now_us);
        if (newest)
            high = first;
        else
            low = end;
    }
    if (stream->filing)
        stream->newest_next = !newest;
}

// --- What happens ---

void ingest_changed(const char *camera, const char *name, const char *closed, void *arg)
{
    struct ingest *ingest = arg;
    struct ingest_stream *stream = ingest_stream(ingest, camera, name);
    int64_t run;
    uint32_t number;
    if (closed != NULL && segment_file_parse(closed, &run, &number)) {
        struct ingest_file *file = ingest_stream_file(stream, run, number, 0);
        // Our own closing of a file that is being sealed, or was, says nothing.
        if (file != NULL && (file->state != INGEST_NEW || file->filing)) {
            file->closed = true;
            return;
        }
    }
    ingest_stream_look(stream);
    struct ingest_file *file = closed && segment_file_parse(closed, &run, &number)
                                   ? ingest_stream_file(stream, run, number, 0)
                                   : NULL;
    if (file != NULL) {
        file->closed = true;
        file->retry_us = 0;
    }
    ingest_settle_runs(stream);
    ingest_step(stream);
}

void ingest_tick(struct ingest *ingest, int64_t now_us)
{
    bool look = now_us - ingest->look_us >= INGEST_LOOK_US;
    if (look)
        ingest->look_us = now_us;
    for (size_t i = 0; i < ingest->stream_count; i++) {
        struct ingest_stream *stream = ingest->streams[i];
        if (look)
            ingest_stream_look(stream);
        if (look)
            ingest_settle_runs(stream);
        ingest_step(stream);
    }
}

struct ingest_stream *ingest_stream_at(const struct ingest *ingest, size_t index)
{
    return index < ingest->stream_count ? ingest->streams[index] : NULL;
}

void ingest_add_alarms(const struct ingest *ingest, json_t *alarms)
{
    size_t waiting = 0;
    for (size_t i = 0; i < ingest->stream_count; i++) {
        const struct ingest_stream *stream = ingest->streams[i];
        for (size_t j = 0; j < stream->file_count; j++)
            waiting += stream->files[j].state == INGEST_NEW && stream->files[j].complained;
    }
    if (waiting > 0)
        json_array_append_new(alarms,
            json_sprintf("%zu finished segments wait in the cache, because they can not be filed: "
                         "%s",
                waiting, ingest->trouble));
}
