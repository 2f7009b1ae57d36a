// The volumes' ledgers. See ledger.h.
#include "indexer/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "indexer/storage.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_ledger.h"

enum {
    LEDGER_MODE = 0640,
    LEDGER_APPENDED_MAX = 10000, // lines, before it is written anew
    LEDGER_VOLUMES_MAX = 64,
    LEDGER_PIECE_SIZE = 64 * 1024, // that is written at once
};

#define LEDGER_TEMPORARY ".keepframe-ledger.tmp"
#define LEDGER_RETRY_US (30 * US_PER_SECOND)

// One volume's.
struct ledger_site {
    struct ledger *ledger;
    bool current;     // it has all that was committed, or is about to
    bool rewriting;   //
    int64_t retry_us; // monotonic
    uint64_t whole;   // bytes when it was written anew
    uint64_t appended;
};

struct ledger {
    struct indexer *indexer;
    char *database;
    struct ledger_site sites[LEDGER_VOLUMES_MAX];
};

struct ledger_job {
    struct worker_job job;
    struct ledger_site *site;
    const struct volume *volume;
    struct buf lines;
    uint64_t size; // of what was written
    char *cause;
};

// --- In the volume's thread ---

static int ledger_write(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t count = write(fd, (const char *)data + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -1;
        done += (size_t)count;
    }
    return 0;
}

static void ledger_fail(struct ledger_job *job)
{
    job->cause = xasprintf("%s/" LEDGER_NAME ": %s", job->volume->path, strerror(errno));
}

// Never makes the file: one that lacks what came before would be taken for whole.
static void ledger_append_run(struct worker_job *worker_job)
{
    struct ledger_job *job = (struct ledger_job *)worker_job;
    int fd = openat(job->volume->root, LEDGER_NAME, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || ledger_write(fd, job->lines.data, job->lines.size) < 0 || fdatasync(fd) < 0)
        ledger_fail(job);
    if (fd >= 0)
        close(fd);
}

// A ledger that is written anew, a piece at a time.
struct ledger_sheet {
    int fd;
    struct buf piece;
    uint64_t size; // of all of it
    int error;     // errno of a piece that could not be written
};

static int ledger_flush(struct ledger_sheet *sheet)
{
    if (sheet->error == 0 && ledger_write(sheet->fd, sheet->piece.data, sheet->piece.size) < 0)
        sheet->error = errno;
    sheet->piece.size = 0;
    errno = sheet->error;
    return sheet->error == 0 ? 0 : -1;
}

static int ledger_put_line(const char *line, size_t size, void *arg)
{
    struct ledger_sheet *sheet = arg;
    sheet->size += size;
    buf_put(&sheet->piece, line, size);
    return sheet->piece.size < LEDGER_PIECE_SIZE ? 0 : ledger_flush(sheet);
}

// Writes all of it under the temporary name, durably.
static void ledger_write_all(struct ledger_job *job, int fd)
{
    struct catalog *catalog;
    struct ledger_sheet sheet = {.fd = fd};
    char *cause = NULL;
    enum catalog_status status = catalog_open_reader(job->site->ledger->database, &catalog, &cause);
    if (status == CATALOG_OK) {
        status = catalog_ledger_all(catalog, ledger_put_line, &sheet, &cause);
        catalog_close(catalog);
    }
    if (status != CATALOG_OK)
        job->cause = cause ? cause : xstrdup("the catalog is locked");
    else if (ledger_flush(&sheet) < 0 || fsync(fd) < 0)
        ledger_fail(job);
    job->size = sheet.size;
    buf_fini(&sheet.piece);
    close(fd);
}

static void ledger_rewrite_run(struct worker_job *worker_job)
{
    struct ledger_job *job = (struct ledger_job *)worker_job;
    int root = job->volume->root;
    int fd = openat(
        root, LEDGER_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, LEDGER_MODE);
    if (fd < 0) {
        ledger_fail(job);
        return;
    }
    ledger_write_all(job, fd);
    if (job->cause == NULL &&
        (renameat(root, LEDGER_TEMPORARY, root, LEDGER_NAME) < 0 || fsync(root) < 0))
        ledger_fail(job);
    if (job->cause != NULL)
        unlinkat(root, LEDGER_TEMPORARY, 0);
}

// --- In the loop ---

static void ledger_done(struct worker_job *worker_job)
{
    struct ledger_job *job = (struct ledger_job *)worker_job;
    struct ledger_site *site = job->site;
    bool is_rewrite = worker_job->run == ledger_rewrite_run;
    if (is_rewrite)
        site->rewriting = false;
    if (job->cause != NULL)
        log_err("the ledger is written anew later: %s", job->cause);
    if (!worker_job->ran || job->cause != NULL) {
        site->current = false;
        site->retry_us = time_monotonic_us() + LEDGER_RETRY_US;
    } else if (is_rewrite) {
        site->whole = job->size;
        site->appended = 0;
    } else {
        site->appended += job->lines.size;
    }
    buf_fini(&job->lines);
    free(job->cause);
    free(job);
}

static void ledger_submit(struct ledger_site *site, const struct keeper *keeper,
    void (*run)(struct worker_job *), const struct buf *lines)
{
    struct ledger_job *job = xcalloc(1, sizeof(*job));
    job->job.run = run;
    job->job.done = ledger_done;
    job->site = site;
    job->volume = keeper->volume;
    if (lines != NULL)
        buf_put(&job->lines, lines->data, lines->size);
    if (keeper->worker != NULL) {
        worker_submit(keeper->worker, &job->job);
        return;
    }
    // The thread has ended, so that this can as well happen here.
    run(&job->job);
    job->job.ran = true;
    ledger_done(&job->job);
}

void ledger_append(const struct buf *lines, void *arg)
{
    struct ledger *ledger = arg;
    const struct keeper *keeper;
    for (size_t i = 0;
         i < LEDGER_VOLUMES_MAX && (keeper = storage_at(ledger->indexer->storage, i)) != NULL;
         i++) {
        struct ledger_site *site = &ledger->sites[i];
        if (keeper->volume == NULL)
            site->current = false;
        else if (site->current)
            ledger_submit(site, keeper, ledger_append_run, lines);
    }
}

void ledger_tick(struct ledger *ledger, int64_t now_us)
{
    const struct keeper *keeper;
    for (size_t i = 0;
         i < LEDGER_VOLUMES_MAX && (keeper = storage_at(ledger->indexer->storage, i)) != NULL;
         i++) {
        struct ledger_site *site = &ledger->sites[i];
        bool long_enough = site->appended > site->whole + LEDGER_APPENDED_MAX * UINT64_C(100);
        if (keeper->volume == NULL || site->rewriting || now_us < site->retry_us ||
            (site->current && !long_enough))
            continue;
        // What is appended from now on stands behind it in the volume's queue.
        site->current = site->rewriting = true;
        ledger_submit(site, keeper, ledger_rewrite_run, NULL);
    }
}

struct ledger *ledger_new(struct indexer *indexer)
{
    struct ledger *ledger = xcalloc(1, sizeof(*ledger));
    ledger->indexer = indexer;
    ledger->database = xstrdup(indexer->config->storage.database);
    for (size_t i = 0; i < LEDGER_VOLUMES_MAX; i++)
        ledger->sites[i].ledger = ledger;
    return ledger;
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    free(ledger->database);
    free(ledger);
}

// --- A new catalog ---

static void ledger_restore_file(struct catalog *catalog, const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    char *line = NULL, *cause = NULL;
    size_t capacity = 0;
    uint64_t lines = 0, strange = 0;
    for (ssize_t size; (size = getline(&line, &capacity, file)) > 0;) {
        enum catalog_status status = catalog_ledger_restore(catalog, line, (size_t)size, &cause);
        lines += status == CATALOG_OK;
        if (status == CATALOG_OK)
            continue;
        // One line that is torn, or that the catalog refuses, holds up no other.
        strange++;
        free(cause);
        cause = NULL;
    }
    free(line);
    fclose(file);
    log_info("%s: %" PRIu64 " lines were taken in, %" PRIu64 " could not be", path, lines, strange);
}

int ledger_restore(struct catalog *catalog, const struct config *config, char **cause)
{
    struct catalog_stream *streams;
    size_t count;
    if (catalog_streams(catalog, &streams, &count, cause) != CATALOG_OK)
        return -1;
    free(streams);
    for (size_t i = 0; i < config->storage.volume_count && count == 0; i++) {
        char *path = xasprintf("%s/" LEDGER_NAME, config->storage.volumes[i].path);
        ledger_restore_file(catalog, path);
        free(path);
    }
    return 0;
}
