// What stands in the cache directory. See cache.h.
#include "lib/media/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"

static int64_t cache_statx_us(const struct statx_timestamp *time)
{
    return time->tv_sec * US_PER_SECOND + time->tv_nsec / 1000;
}

// Fills in what the file system says. Returns false when the file is gone or not a regular file.
static bool cache_file_stat(int dir_fd, const char *name, struct cache_file *file)
{
    struct statx info;
    if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &info) < 0 ||
        !S_ISREG(info.stx_mode))
        return false;
    file->size = info.stx_size;
    file->inode = info.stx_ino;
    file->birth_us = info.stx_mask & STATX_BTIME ? cache_statx_us(&info.stx_btime) : 0;
    file->written_us = cache_statx_us(&info.stx_mtime);
    return true;
}

static int cache_file_compare(const void *left, const void *right)
{
    const struct segment_id *a = &((const struct cache_file *)left)->id;
    const struct segment_id *b = &((const struct cache_file *)right)->id;
    if (a->run != b->run)
        return a->run < b->run ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

int cache_list(const char *cache, const char *camera, const char *stream,
    struct cache_listing *listing, char **cause)
{
    *listing = (struct cache_listing){0};
    char *path = xasprintf("%s/%s/%s", cache, camera, stream);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        int result = errno == ENOENT ? 0 : -1;
        if (result < 0)
            *cause = xasprintf("%s: can not be listed: %s", path, strerror(errno));
        free(path);
        return result;
    }
    size_t capacity = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct cache_file file = {0};
        if (!segment_file_parse(entry->d_name, &file.id.run, &file.id.number) ||
            !cache_file_stat(dirfd(dir), entry->d_name, &file))
            continue;
        snprintf(file.id.camera, sizeof(file.id.camera), "%s", camera);
        snprintf(file.id.stream, sizeof(file.id.stream), "%s", stream);
        ARRAY_RESERVE(listing->files, listing->count, capacity);
        listing->files[listing->count++] = file;
    }
    closedir(dir);
    free(path);
    if (listing->count > 1)
        qsort(listing->files, listing->count, sizeof(listing->files[0]), cache_file_compare);
    return 0;
}

void cache_listing_fini(struct cache_listing *listing)
{
    free(listing->files);
    *listing = (struct cache_listing){0};
}

int64_t cache_listing_birth_us(const struct cache_listing *listing, int64_t run, uint32_t number)
{
    const struct cache_file key = {.id = {.run = run, .number = number}};
    const struct cache_file *found =
        listing->count == 0
            ? NULL
            : bsearch(&key, listing->files, listing->count, sizeof(key), cache_file_compare);
    return found ? found->birth_us : 0;
}

char *cache_segment_path(const char *cache, const struct segment_id *id)
{
    return xasprintf("%s/%s/%s/%" PRId64 "-%06" PRIu32 ".mp4", cache, id->camera, id->stream,
        id->run, id->number);
}

char *cache_run_path(const char *cache, const char *camera, const char *stream, int64_t run)
{
    return xasprintf("%s/%s/%s/%" PRId64 ".json", cache, camera, stream, run);
}

void cache_reader_init(struct cache_reader *reader, int fd)
{
    reader->fd = fd;
    reader->error = 0;
}

// Reads until `size` bytes are there or the file ends; returns how many are, or -1.
static ssize_t cache_pread(struct cache_reader *reader, uint8_t *data, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(reader->fd, data + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            reader->error = errno;
            return -1;
        }
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

static int cache_reader_read(void *arg, uint64_t offset, void *data, size_t size)
{
    struct cache_reader *reader = arg;
    return cache_pread(reader, data, size, offset) == (ssize_t)size ? 0 : -1;
}

struct mp4_source cache_reader_source(struct cache_reader *reader, uint64_t file_size)
{
    return (struct mp4_source){.read = cache_reader_read, .arg = reader, .size = file_size};
}
