// What stands in the cache. See stock.h.
#include "indexer/stock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "indexer/ingest_stream.h"
#include "lib/core/alloc.h"
#include "lib/core/config.h"

// The size of a file: a new one may have grown since the last look.
static uint64_t stock_size(const struct ingest_stream *stream, const struct ingest_file *file)
{
    struct stat info;
    if (file->state != INGEST_NEW)
        return file->file.size;
    char *path = cache_segment_path(stream->indexer->config->storage.cache, &file->file.id);
    uint64_t size = stat(path, &info) == 0 ? (uint64_t)info.st_size : file->file.size;
    free(path);
    return size;
}

void stock_measure(const struct ingest *ingest, int64_t now_us, struct stock_figures *figures)
{
    const struct ingest_stream *stream;
    *figures = (struct stock_figures){0};
    for (; (stream = ingest_stream_at(ingest, figures->streams)) != NULL; figures->streams++) {
        for (size_t j = 0; j < stream->file_count; j++) {
            const struct ingest_file *file = &stream->files[j];
            figures->files++;
            figures->bytes += stock_size(stream, file);
            bool closed = file->closed || file->state == INGEST_FILED;
            int64_t age_us = now_us - file->file.written_us;
            if (closed && file->state != INGEST_LEAVING && age_us > figures->lag_us)
                figures->lag_us = age_us;
        }
    }
}

char **stock_unsynced(const struct ingest *ingest, size_t *count)
{
    struct ingest_stream *stream;
    char **paths = NULL;
    size_t capacity = 0;
    *count = 0;
    for (size_t i = 0; (stream = ingest_stream_at(ingest, i)) != NULL; i++) {
        const char *cache = stream->indexer->config->storage.cache;
        for (size_t j = 0; j < stream->file_count; j++) {
            // The worker syncs what it has in hand itself.
            if (stream->files[j].state != INGEST_NEW || stream->files[j].filing)
                continue;
            ARRAY_RESERVE(paths, *count, capacity);
            paths[(*count)++] = cache_segment_path(cache, &stream->files[j].file.id);
        }
        if (stream->names_unsynced) {
            stream->names_unsynced = false;
            ARRAY_RESERVE(paths, *count, capacity);
            paths[(*count)++] = xasprintf("%s/%s/%s", cache, stream->camera, stream->name);
        }
    }
    return paths;
}

void stock_not_durable(const struct ingest *ingest, const char *path)
{
    struct ingest_stream *stream;
    for (size_t i = 0; (stream = ingest_stream_at(ingest, i)) != NULL; i++) {
        const char *cache = stream->indexer->config->storage.cache;
        char *directory = xasprintf("%s/%s/%s", cache, stream->camera, stream->name);
        stream->names_unsynced |= strcmp(path, directory) == 0;
        free(directory);
        for (size_t j = 0; j < stream->file_count; j++) {
            char *other = cache_segment_path(cache, &stream->files[j].file.id);
            stream->files[j].lossy |= strcmp(path, other) == 0;
            free(other);
        }
    }
}
