// VOLUME/.quarantine. See quarantine.h.
#include "indexer/quarantine.h"

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
#include "lib/core/fsutil.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

#define QUARANTINE_REASON ".reason"

struct quarantine_entry {
    char *name;
    uint64_t size;
    struct timespec since; // of its last change, which is when it came
};

static void quarantine_write_reason(
    const struct volume *volume, const char *key, const struct segment_id *id, const char *reason)
{
    char identity[SEGMENT_TEXT_SIZE], now[TIME_TEXT_SIZE];
    segment_id_format(id, identity);
    time_format_utc(time_now_us(), now);
    char *path = xasprintf("%s/%s" QUARANTINE_REASON, volume->path, key);
    char *text = xasprintf("segment: %s\nquarantined: %s\nreason: %s\n", identity, now, reason);
    char *cause = NULL;
    if (fs_write_file(path, text, strlen(text), 0640, &cause) < 0) {
        log_warn("%s", cause);
        free(cause);
    }
    free(text);
    free(path);
}

static bool quarantine_is_reason(const char *name)
{
    size_t length = strlen(name), suffix = strlen(QUARANTINE_REASON);
    return length > suffix && strcmp(name + length - suffix, QUARANTINE_REASON) == 0;
}

static int quarantine_compare(const void *left, const void *right)
{
    const struct timespec *a = &((const struct quarantine_entry *)left)->since;
    const struct timespec *b = &((const struct quarantine_entry *)right)->since;
    if (a->tv_sec != b->tv_sec)
        return a->tv_sec < b->tv_sec ? -1 : 1;
    return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

static struct quarantine_entry *quarantine_list(int dir_fd, size_t *count)
{
    struct quarantine_entry *entries = NULL;
    size_t capacity = 0;
    *count = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return NULL;
    struct stat info;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (quarantine_is_reason(entry->d_name) ||
            fstatat(dir_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        ARRAY_RESERVE(entries, *count, capacity);
        entries[(*count)++] = (struct quarantine_entry){
            .name = xstrdup(entry->d_name), .size = (uint64_t)info.st_size, .since = info.st_ctim};
    }
    closedir(dir);
    if (*count > 1)
        qsort(entries, *count, sizeof(*entries), quarantine_compare);
    return entries;
}

static void quarantine_drop(const struct volume *volume, int dir_fd, const char *name)
{
    char *reason = xasprintf("%s" QUARANTINE_REASON, name);
    unlinkat(dir_fd, name, 0);
    unlinkat(dir_fd, reason, 0);
    free(reason);
    log_warn("%s/" VOLUME_QUARANTINE "/%s was deleted: at most %d files and %d MiB are kept there",
        volume->path, name, QUARANTINE_FILES_MAX, (int)(QUARANTINE_BYTES_MAX >> 20));
}

// Keeps the newest that fit the bounds, one at least.
static void quarantine_bound(const struct volume *volume)
{
    int dir_fd =
        openat(volume->root, VOLUME_QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return;
    size_t count;
    struct quarantine_entry *entries = quarantine_list(dir_fd, &count);
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += entries[i].size;
    for (size_t i = 0; i < count; i++) {
        size_t left = count - i;
        if (left > 1 && (left > QUARANTINE_FILES_MAX || bytes > QUARANTINE_BYTES_MAX)) {
            quarantine_drop(volume, dir_fd, entries[i].name);
            bytes -= entries[i].size;
        }
        free(entries[i].name);
    }
    free(entries);
    close(dir_fd);
}

int quarantine_put(const struct volume *volume, const char *path, int fd, uint64_t size,
    const struct segment_id *id, const char *reason, char **cause)
{
    char key[SEGMENT_KEY_SIZE];
    snprintf(key, sizeof(key), VOLUME_QUARANTINE "/%s.%s.%" PRId64 "-%06" PRIu32 ".mp4", id->camera,
        id->stream, id->run, id->number);
    int result = volume->links ? volume_link(volume, path, key, cause)
                               : volume_copy_plain(volume, fd, size, key, cause);
    if (result < 0)
        return -1;
    quarantine_write_reason(volume, key, id, reason);
    if (unlink(path) < 0 && errno != ENOENT) {
        *cause = xasprintf("%s: can not be moved away: %s", path, strerror(errno));
        return -1;
    }
    quarantine_bound(volume);
    return 0;
}
