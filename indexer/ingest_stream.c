// One stream as the ingest sees it. See ingest_stream.h.
#include "indexer/ingest_stream.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/log.h"
#include "lib/core/runfile.h"

struct ingest_stream *ingest_stream_new(
    struct indexer *indexer, const char *camera, const char *name)
{
    struct ingest_stream *stream = xcalloc(1, sizeof(*stream));
    stream->indexer = indexer;
    stream->newest_next = true;
    snprintf(stream->camera, sizeof(stream->camera), "%s", camera);
    snprintf(stream->name, sizeof(stream->name), "%s", name);
    return stream;
}

void ingest_stream_free(struct ingest_stream *stream)
{
    free(stream->files);
    free(stream->runs);
    free(stream);
}

// --- Files ---

static int ingest_file_compare(const void *left, const void *right)
{
    const struct segment_id *a = &((const struct ingest_file *)left)->file.id;
    const struct segment_id *b = &((const struct ingest_file *)right)->file.id;
    if (a->run != b->run)
        return a->run < b->run ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

struct ingest_file *ingest_stream_file(
    struct ingest_stream *stream, int64_t run, uint32_t number, uint64_t inode)
{
    const struct ingest_file key = {.file.id = {.run = run, .number = number}};
    struct ingest_file *file = stream->file_count == 0
                                   ? NULL
                                   : bsearch(&key, stream->files, stream->file_count,
                                         sizeof(*stream->files), ingest_file_compare);
    return file && (inode == 0 || file->file.inode == inode) ? file : NULL;
}

void ingest_stream_remove(struct ingest_stream *stream, struct ingest_file *file)
{
    size_t index = (size_t)(file - stream->files);
    memmove(file, file + 1, (--stream->file_count - index) * sizeof(*file));
}

int64_t ingest_stream_birth_us(struct ingest_stream *stream, int64_t run, uint32_t number)
{
    const struct ingest_file *file = ingest_stream_file(stream, run, number, 0);
    return file ? file->file.birth_us : 0;
}

// A new file of a run may be what its predecessors wait for.
static void ingest_stream_wake(struct ingest_stream *stream)
{
    for (size_t i = 0; i < stream->file_count; i++)
        stream->files[i].retry_us = 0;
}

static void ingest_stream_look_at_files(struct ingest_stream *stream)
{
    struct cache_listing listing;
    char *cause = NULL;
    const char *cache = stream->indexer->config->storage.cache;
    if (cache_list(cache, stream->camera, stream->name, &listing, &cause) < 0) {
        log_err("%s", cause);
        free(cause);
        return;
    }
    struct ingest_file *files = xcalloc(listing.count, sizeof(*files));
    bool more = false;
    for (size_t i = 0; i < listing.count; i++) {
        const struct cache_file *found = &listing.files[i];
        const struct ingest_file *known =
            ingest_stream_file(stream, found->id.run, found->id.number, found->inode);
        if (known != NULL)
            files[i] = *known;
        more |= known == NULL;
        // What sealing did to the file is not the recorder's doing.
        if (files[i].state == INGEST_NEW && !files[i].filing)
            files[i].file = *found;
    }
    free(stream->files);
    stream->files = files;
    stream->file_count = listing.count;
    cache_listing_fini(&listing);
    stream->names_unsynced |= more;
    if (more)
        ingest_stream_wake(stream);
}

// --- Runs ---

struct ingest_run *ingest_stream_run(struct ingest_stream *stream, int64_t run)
{
    for (size_t i = 0; i < stream->run_count; i++) {
        if (stream->runs[i].row.run == run)
            return &stream->runs[i];
    }
    return NULL;
}

bool ingest_stream_find_id(struct ingest_stream *stream, enum catalog_status *status, char **cause)
{
    struct catalog_stream found;
    *status = CATALOG_OK;
    if (stream->id == 0) {
        *status = catalog_stream_find(
            stream->indexer->catalog, stream->camera, stream->name, &found, cause);
        if (*status == CATALOG_OK)
            stream->id = found.id;
    }
    return *status == CATALOG_OK;
}

struct ingest_run *ingest_stream_load_run(struct ingest_stream *stream, int64_t run_number)
{
    struct ingest_run *run = ingest_stream_run(stream, run_number);
    if (run != NULL)
        return run;
    struct catalog_run row;
    enum catalog_status status;
    char *cause = NULL;
    if (ingest_stream_find_id(stream, &status, &cause))
        status = catalog_run_get(stream->indexer->catalog, stream->id, run_number, &row, &cause);
    if (status == CATALOG_NONE)
        row = (struct catalog_run){.run = run_number, .start_us = run_number * 1000};
    else if (status != CATALOG_OK) {
        log_err("the catalog can not be read: %s", cause ? cause : "locked");
        free(cause);
        return NULL;
    }
    ARRAY_RESERVE(stream->runs, stream->run_count, stream->run_capacity);
    run = &stream->runs[stream->run_count++];
    *run = (struct ingest_run){.row = row};
    return run;
}

void ingest_stream_forget_run(struct ingest_stream *stream, struct ingest_run *run)
{
    *run = stream->runs[--stream->run_count];
}

bool ingest_stream_has_run(const struct ingest_stream *stream, int64_t run)
{
    for (size_t i = 0; i < stream->file_count; i++) {
        if (stream->files[i].file.id.run == run)
            return true;
    }
    return false;
}

int64_t ingest_stream_newest_run(const struct ingest_stream *stream)
{
    int64_t newest =
        stream->file_count ? stream->files[stream->file_count - 1].file.id.run : INT64_MIN;
    for (size_t i = 0; i < stream->run_count; i++) {
        if (stream->runs[i].row.run > newest)
            newest = stream->runs[i].row.run;
    }
    return newest;
}

// Takes over what a run file says. Returns whether it was read.
static bool ingest_run_read(struct ingest_run *run, const char *path)
{
    struct runfile file;
    char *cause = NULL;
    if (runfile_load(&file, path, &cause) < 0) {
        if (!run->unread)
            log_warn("%s", cause);
        free(cause);
        return false;
    }
    struct catalog_run *row = &run->row;
    run->changed =
        row->start_us != file.start_us || row->end_us != file.end_us || run->file_inode == 0;
    row->start_us = file.start_us;
    row->end_us = file.end_us;
    snprintf(row->reason, sizeof(row->reason), "%s", file.reason ? file.reason : "");
    snprintf(row->detail, sizeof(row->detail), "%s", file.detail ? file.detail : "");
    runfile_fini(&file);
    return true;
}

static void ingest_stream_look_at_run(
    struct ingest_stream *stream, int64_t run_number, const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0 || !S_ISREG(info.st_mode))
        return;
    struct ingest_run *run = ingest_stream_load_run(stream, run_number);
    if (run == NULL)
        return;
    run->seen = true;
    // Each new version of the file is another inode, under its name by a rename.
    if (run->file_inode == info.st_ino && run->file_changed_ns == info.st_ctim.tv_nsec)
        return;
    // One that could not be read is read again with the next look.
    run->unread = !ingest_run_read(run, path);
    run->file_inode = info.st_ino;
    run->file_changed_ns = run->unread ? -1 : info.st_ctim.tv_nsec;
    ingest_stream_wake(stream);
}

// Reads "RUN.json"; returns false for any other name.
static bool ingest_parse_run_name(const char *name, int64_t *run)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || digits > 15 || strcmp(name + digits, ".json") != 0)
        return false;
    *run = strtoll(name, NULL, 10);
    return true;
}

static void ingest_stream_look_at_runs(struct ingest_stream *stream)
{
    const char *cache = stream->indexer->config->storage.cache;
    char *directory = xasprintf("%s/%s/%s", cache, stream->camera, stream->name);
    DIR *dir = opendir(directory);
    for (size_t i = 0; i < stream->run_count; i++)
        stream->runs[i].seen = false;
    int64_t run;
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        if (!ingest_parse_run_name(entry->d_name, &run))
            continue;
        char *path = xasprintf("%s/%s", directory, entry->d_name);
        ingest_stream_look_at_run(stream, run, path);
        free(path);
    }
    if (dir != NULL)
        closedir(dir);
    for (size_t i = 0; i < stream->run_count; i++) {
        if (!stream->runs[i].seen)
            stream->runs[i].file_inode = 0;
    }
    free(directory);
}

void ingest_stream_look(struct ingest_stream *stream)
{
    // Run files first: one that says the run has ended comes after the run's last segment file.
    ingest_stream_look_at_runs(stream);
    ingest_stream_look_at_files(stream);
}
