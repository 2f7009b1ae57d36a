// Runs on disk. See run.h.
#include "supervisor/run.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "supervisor/reason.h"

// The end of the year 9999. A greater number is none of ours, and what follows it would be none
// that the others read.
#define RUN_MAX INT64_C(253402300799999)

enum run_name {
    RUN_NAME_OTHER,
    RUN_NAME_FILE,
    RUN_NAME_SEGMENT,
    RUN_NAME_TEMPORARY,
};

// What a name in the directory of a stream stands for, and the run's number.
static enum run_name run_name_parse(const char *name, int64_t *run)
{
    char *end;
    if (!isdigit((unsigned char)*name))
        return RUN_NAME_OTHER;
    errno = 0;
    *run = strtoll(name, &end, 10);
    if (errno != 0 || *run > RUN_MAX)
        return RUN_NAME_OTHER;
    if (strcmp(end, ".json") == 0)
        return RUN_NAME_FILE;
    if (*end == '-') {
        size_t digits = strspn(end + 1, "0123456789");
        return digits >= 6 && strcmp(end + 1 + digits, ".mp4") == 0 ? RUN_NAME_SEGMENT
                                                                    : RUN_NAME_OTHER;
    }
    size_t length = strlen(end);
    bool is_temporary =
        length > 4 && strncmp(end, ".json.", 6) == 0 && strcmp(end + length - 4, ".tmp") == 0;
    return is_temporary ? RUN_NAME_TEMPORARY : RUN_NAME_OTHER;
}

char *run_file_path(const char *directory, int64_t run)
{
    return xasprintf("%s/%" PRId64 ".json", directory, run);
}

char *run_segment_path(const char *directory, int64_t run, int64_t number)
{
    return xasprintf("%s/%" PRId64 "-%06" PRId64 ".mp4", directory, run, number);
}

// The greatest number among the directory's files; 0 for none, -1 with *cause set on failure.
static int64_t run_greatest(const char *directory, char **cause)
{
    DIR *entries = opendir(directory);
    if (entries == NULL) {
        *cause = xasprintf("%s: can not be read: %s", directory, strerror(errno));
        return -1;
    }
    int64_t greatest = 0, run;
    for (const struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (run_name_parse(entry->d_name, &run) != RUN_NAME_OTHER && run > greatest)
            greatest = run;
    }
    closedir(entries);
    return greatest;
}

// The record of the last number is a symbolic link with the number as its target. A link lives in
// the directory itself, so that a power cut leaves the old one or the new one, never an empty file,
// without a sync that would hold up all other streams.
static int64_t run_last_read(const char *path)
{
    char text[32];
    ssize_t length = readlink(path, text, sizeof(text) - 1);
    if (length < 0)
        return 0;
    text[length] = '\0';
    int64_t run = strtoll(text, NULL, 10);
    return run <= RUN_MAX ? run : 0;
}

static int run_last_write(const char *path, int64_t run, char **cause)
{
    char *target = xasprintf("%" PRId64, run);
    char *temporary = xasprintf("%s.tmp", path);
    unlink(temporary);
    int result = symlink(target, temporary) == 0 && rename(temporary, path) == 0 ? 0 : -1;
    if (result < 0)
        *cause = xasprintf("%s: can not be written: %s", path, strerror(errno));
    free(temporary);
    free(target);
    return result;
}

int64_t run_reserve(const char *directory, int64_t now_ms, char **cause)
{
    int64_t greatest = run_greatest(directory, cause);
    if (greatest < 0)
        return 0;
    char *path = xasprintf("%s/.last-run", directory);
    int64_t last = run_last_read(path);
    if (last > greatest)
        greatest = last;
    int64_t run = now_ms > greatest ? now_ms : greatest + 1;
    if (run_last_write(path, run, cause) < 0)
        run = 0;
    free(path);
    return run;
}

// The last write to one of a run's segments, or 0 when there are none.
static int64_t run_last_write_us(const char *directory, int64_t run)
{
    DIR *entries = opendir(directory);
    int64_t newest_us = 0, other;
    for (const struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        struct stat info;
        if (run_name_parse(entry->d_name, &other) != RUN_NAME_SEGMENT || other != run ||
            fstatat(dirfd(entries), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int64_t written_us = info.st_mtim.tv_sec * US_PER_SECOND + info.st_mtim.tv_nsec / 1000;
        if (written_us > newest_us)
            newest_us = written_us;
    }
    if (entries != NULL)
        closedir(entries);
    return newest_us;
}

// Whether the file holds nothing, or zeros: it was made shortly before the power was cut.
static bool run_file_is_blank(const char *path)
{
    char byte = '\0';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t got = fd < 0 ? -1 : read(fd, &byte, 1);
    if (fd >= 0)
        close(fd);
    return got == 0 || (got == 1 && byte == '\0');
}

struct runfile run_named(const char *directory, int64_t run, const char *node)
{
    const char *stream = strrchr(directory, '/');
    const char *camera = memrchr(directory, '/', (size_t)(stream - directory));
    return (struct runfile){
        .camera = xstrndup(camera + 1, (size_t)(stream - camera - 1)),
        .stream = xstrdup(stream + 1),
        .run = run,
        .node = xstrdup(node),
        .start_us = run * 1000,
    };
}

static bool run_end_one(const char *directory, const char *path, int64_t run, const char *node)
{
    struct runfile file;
    char *cause = NULL;
    if (run_file_is_blank(path)) {
        file = run_named(directory, run, node);
    } else if (runfile_load(&file, path, &cause) < 0) {
        log_warn("%s", cause);
        free(cause);
        return false;
    }
    bool is_open = file.end_us == 0;
    if (is_open) {
        int64_t written_us = run_last_write_us(directory, run);
        file.end_us = written_us > file.start_us ? written_us : file.start_us;
        file.reason = xstrdup(reason_name(REASON_SUPERVISOR_DIED));
        if (runfile_store(&file, path, &cause) < 0) {
            log_err("%s", cause);
            free(cause);
            is_open = false;
        }
    }
    runfile_fini(&file);
    return is_open;
}

static int run_end_stale_in(const char *directory, const char *node)
{
    DIR *entries = opendir(directory);
    int count = 0;
    int64_t run;
    for (const struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        enum run_name name = run_name_parse(entry->d_name, &run);
        char *path = xasprintf("%s/%s", directory, entry->d_name);
        if (name == RUN_NAME_TEMPORARY)
            unlink(path);
        else if (name == RUN_NAME_FILE)
            count += run_end_one(directory, path, run, node);
        free(path);
    }
    if (entries != NULL)
        closedir(entries);
    return count;
}

// Visits the directories `depth` levels below.
static int run_end_stale_below(const char *directory, const char *node, int depth)
{
    if (depth == 0)
        return run_end_stale_in(directory, node);
    DIR *entries = opendir(directory);
    int count = 0;
    for (const struct dirent *entry; entries && (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
            continue;
        char *path = xasprintf("%s/%s", directory, entry->d_name);
        count += run_end_stale_below(path, node, depth - 1);
        free(path);
    }
    if (entries != NULL)
        closedir(entries);
    return count;
}

int run_end_stale(const char *cache, const char *node)
{
    return run_end_stale_below(cache, node, 2);
}
