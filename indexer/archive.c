// What stands in a volume. See archive.h.
#include "indexer/archive.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/media/segment_id.h"

void archive_names_fini(struct archive_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct archive_names){0};
}

static bool archive_is_day(const char *name)
{
    static const char form[] = "dddd-dd-dd";
    for (size_t i = 0; i < sizeof(form); i++) {
        if (form[i] == 'd' ? !isdigit((unsigned char)name[i]) : name[i] != form[i])
            return false;
    }
    return true;
}

static bool archive_is_segment(const char *name)
{
    size_t length = strlen(name);
    return length > strlen(".mp4") && strcmp(name + length - strlen(".mp4"), ".mp4") == 0;
}

// Whether the entry is of that type; file systems that do not say it are asked.
static bool archive_has_type(int directory, const struct dirent *entry, unsigned char type)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == type;
    return fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           (type == DT_DIR ? S_ISDIR(info.st_mode) : S_ISREG(info.st_mode));
}

static int archive_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void archive_read(DIR *dir, unsigned char type, bool (*wanted)(const char *),
    struct archive_names *names, uint64_t *unknown)
{
    size_t capacity = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        if (!wanted(entry->d_name) || !archive_has_type(dirfd(dir), entry, type)) {
            ++*unknown;
            continue;
        }
        ARRAY_RESERVE(names->names, names->count, capacity);
        names->names[names->count++] = xstrdup(entry->d_name);
    }
    if (names->count > 1)
        qsort(names->names, names->count, sizeof(*names->names), archive_compare);
}

static int archive_list(int root, const char *path, unsigned char type,
    bool (*wanted)(const char *), struct archive_names *names, uint64_t *unknown, char **cause)
{
    *names = (struct archive_names){0};
    int fd = openat(root, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        *cause = xasprintf("%s: can not be listed: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    errno = 0;
    archive_read(dir, type, wanted, names, unknown);
    closedir(dir);
    return 0;
}

int archive_list_names(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause)
{
    return archive_list(root, path, DT_DIR, segment_name_valid, names, unknown, cause);
}

int archive_list_days(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause)
{
    return archive_list(root, path, DT_DIR, archive_is_day, names, unknown, cause);
}

int archive_list_files(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause)
{
    return archive_list(root, path, DT_REG, archive_is_segment, names, unknown, cause);
}

// --- The walk ---

struct archive_walk {
    int root;
    archive_day_fn fn;
    void *arg;
    uint64_t *unknown;
};

static void archive_pass_over(char *cause)
{
    log_err("%s; it is passed over", cause);
    free(cause);
}

static int archive_walk_stream(
    const struct archive_walk *walk, const char *camera, const char *stream)
{
    struct archive_names days;
    char *cause = NULL, *path = xasprintf("%s/%s", camera, stream);
    int result = 0;
    if (archive_list_days(walk->root, path, &days, walk->unknown, &cause) < 0)
        archive_pass_over(cause);
    for (size_t i = 0; i < days.count && result == 0; i++)
        result = walk->fn(camera, stream, days.names[i], walk->arg);
    archive_names_fini(&days);
    free(path);
    return result;
}

static int archive_walk_camera(const struct archive_walk *walk, const char *camera)
{
    struct archive_names streams;
    char *cause = NULL;
    int result = 0;
    if (archive_list_names(walk->root, camera, &streams, walk->unknown, &cause) < 0)
        archive_pass_over(cause);
    for (size_t i = 0; i < streams.count && result == 0; i++)
        result = archive_walk_stream(walk, camera, streams.names[i]);
    archive_names_fini(&streams);
    return result;
}

int archive_walk(int root, archive_day_fn fn, void *arg, uint64_t *unknown, char **cause)
{
    const struct archive_walk walk = {root, fn, arg, unknown};
    struct archive_names cameras;
    *cause = NULL;
    if (archive_list_names(root, "", &cameras, unknown, cause) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; i < cameras.count && result == 0; i++)
        result = archive_walk_camera(&walk, cameras.names[i]);
    archive_names_fini(&cameras);
    return result;
}
