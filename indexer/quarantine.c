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
#include "lib/core/text.h"
#include "lib/core/timeutil.h"

#define QUARANTINE_REASON ".reason"

enum {
    QUARANTINE_REASON_MAX = 4096, // bytes of such a file that are read
};

#define QUARANTINE_SETTLED_US US_PER_SECOND // then a directory's time tells of every later change

static void quarantine_write_reason(const struct volume *volume, const char *key,
    const struct segment_id *id, const char *reason, const char *detail)
{
    char identity[SEGMENT_TEXT_SIZE], now[TIME_TEXT_SIZE];
    segment_id_format(id, identity);
    time_format_utc(time_now_us(), now);
    char *path = xasprintf("%s/%s" QUARANTINE_REASON, volume->path, key);
    char *text = xasprintf(
        "segment: %s\nquarantined: %s\nreason: %s\ndetail: %s\n", identity, now, reason, detail);
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
    const struct quarantine_entry *a = left, *b = right;
    return a->since_us == b->since_us ? strcmp(a->name, b->name)
                                      : (a->since_us < b->since_us ? -1 : 1);
}

static int64_t quarantine_time_us(const struct timespec *time)
{
    return (int64_t)time->tv_sec * US_PER_SECOND + time->tv_nsec / 1000;
}

// The names and sizes, without reasons. A file's last change is when it came.
static struct quarantine *quarantine_list(int dir_fd)
{
    struct quarantine *list = xcalloc(1, sizeof(*list));
    size_t capacity = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL)
        return list;
    struct stat info;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (quarantine_is_reason(entry->d_name) ||
            fstatat(dir_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        ARRAY_RESERVE(list->entries, list->count, capacity);
        list->entries[list->count++] = (struct quarantine_entry){.name = xstrdup(entry->d_name),
            .size = (uint64_t)info.st_size,
            .since_us = quarantine_time_us(&info.st_ctim)};
    }
    closedir(dir);
    if (list->count > 1)
        qsort(list->entries, list->count, sizeof(*list->entries), quarantine_compare);
    return list;
}

void quarantine_free(struct quarantine *quarantine)
{
    if (quarantine == NULL)
        return;
    for (size_t i = 0; i < quarantine->count; i++) {
        free(quarantine->entries[i].name);
        free(quarantine->entries[i].reason);
        free(quarantine->entries[i].detail);
    }
    free(quarantine->entries);
    free(quarantine);
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

static int quarantine_open(const struct volume *volume)
{
    return openat(volume->root, VOLUME_QUARANTINE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Keeps the newest that fit the bounds, one at least.
static void quarantine_bound(const struct volume *volume)
{
    int dir_fd = quarantine_open(volume);
    if (dir_fd < 0)
        return;
    struct quarantine *list = quarantine_list(dir_fd);
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++)
        bytes += list->entries[i].size;
    for (size_t i = 0; i < list->count; i++) {
        size_t left = list->count - i;
        if (left > 1 && (left > QUARANTINE_FILES_MAX || bytes > QUARANTINE_BYTES_MAX)) {
            quarantine_drop(volume, dir_fd, list->entries[i].name);
            bytes -= list->entries[i].size;
        }
    }
    quarantine_free(list);
    close(dir_fd);
}

int quarantine_put(const struct volume *volume, const char *path, int fd, uint64_t size,
    const struct segment_id *id, const char *reason, const char *detail, char **cause)
{
    char key[SEGMENT_KEY_SIZE];
    snprintf(key, sizeof(key), VOLUME_QUARANTINE "/%s.%s.%" PRId64 "-%06" PRIu32 ".mp4", id->camera,
        id->stream, id->run, id->number);
    int result = volume->links ? volume_link(volume, path, key, cause)
                               : volume_copy_plain(volume, fd, size, key, cause);
    if (result < 0)
        return -1;
    quarantine_write_reason(volume, key, id, reason, detail);
    if (unlink(path) < 0 && errno != ENOENT) {
        *cause = xasprintf("%s: can not be moved away: %s", path, strerror(errno));
        return -1;
    }
    quarantine_bound(volume);
    return 0;
}

// --- What lies there ---

// The rest of the line that begins with "NAME: ", or NULL; the caller's.
static char *quarantine_field(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && *line != '\0';) {
        if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0) {
            char *value = xstrndup(line + length + 2, strcspn(line + length + 2, "\n"));
            text_make_plain(value);
            return value;
        }
        line = strchr(line, '\n');
        if (line != NULL)
            line++;
    }
    return NULL;
}

static void quarantine_read_reason(int dir_fd, struct quarantine_entry *entry)
{
    char text[QUARANTINE_REASON_MAX + 1];
    char *name = xasprintf("%s" QUARANTINE_REASON, entry->name);
    int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, QUARANTINE_REASON_MAX);
    text[size < 0 ? 0 : size] = '\0';
    if (fd >= 0)
        close(fd);
    free(name);
    entry->detail = quarantine_field(text, "detail");
    if (entry->detail != NULL)
        entry->reason = quarantine_field(text, "reason");
    else
        entry->detail = quarantine_field(text, "reason"); // as earlier versions wrote it
    char *time = quarantine_field(text, "quarantined");
    int64_t since_us;
    if (time != NULL && time_parse(time, &since_us))
        entry->since_us = since_us;
    free(time);
}

struct quarantine *quarantine_look(const struct volume *volume, struct stat *seen)
{
    struct stat info = {0};
    int dir_fd = quarantine_open(volume);
    if (dir_fd >= 0 && fstat(dir_fd, &info) < 0)
        info = (struct stat){0};
    int64_t changed_us = quarantine_time_us(&info.st_mtim);
    bool known = seen->st_nlink != 0 && seen->st_dev == info.st_dev &&
                 seen->st_ino == info.st_ino && quarantine_time_us(&seen->st_mtim) == changed_us;
    struct quarantine *list = NULL;
    if (!known && dir_fd >= 0) {
        list = quarantine_list(dir_fd);
        size_t last = list->count,
               first = last > QUARANTINE_FILES_MAX ? last - QUARANTINE_FILES_MAX : 0;
        for (size_t i = first; i < last; i++)
            quarantine_read_reason(dir_fd, &list->entries[i]);
    } else if (dir_fd < 0) {
        list = xcalloc(1, sizeof(*list));
    }
    bool settled = time_now_us() - changed_us > QUARANTINE_SETTLED_US;
    *seen = settled && dir_fd >= 0 ? info : (struct stat){0};
    if (dir_fd >= 0)
        close(dir_fd);
    return list;
}

static void quarantine_count(json_t *reasons, const char *reason)
{
    json_int_t count = json_integer_value(json_object_get(reasons, reason));
    json_object_set_new(reasons, reason, json_integer(count + 1));
}

json_t *quarantine_json(const struct quarantine *quarantine)
{
    if (quarantine == NULL)
        return json_null();
    json_t *newest = json_array(), *reasons = json_object();
    uint64_t bytes = 0;
    for (size_t i = quarantine->count; i-- > 0;) {
        const struct quarantine_entry *entry = &quarantine->entries[i];
        const char *reason = entry->reason ? entry->reason : "unknown";
        bytes += entry->size;
        quarantine_count(reasons, reason);
        if (json_array_size(newest) >= QUARANTINE_SHOWN_MAX)
            continue;
        char since[TIME_TEXT_SIZE], *name = xstrdup(entry->name);
        time_format_utc(entry->since_us, since);
        text_make_plain(name);
        json_array_append_new(
            newest, json_pack("{s:s, s:s, s:s?, s:s, s:I}", "name", name, "reason", reason,
                        "detail", entry->detail, "time", since, "bytes", (json_int_t)entry->size));
        free(name);
    }
    return json_pack("{s:I, s:I, s:o, s:o}", "files", (json_int_t)quarantine->count, "bytes",
        (json_int_t)bytes, "reasons", reasons, "newest", newest);
}
