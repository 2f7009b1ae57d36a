// Hints on settings of the system: how they are asked for. See hints.h.
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "lib/core/alloc.h"
#include "lib/core/config.h"
#include "lib/core/fsutil.h"
#include "supervisor/hints.h"

enum {
    HINTS_FILE_SIZE_MAX = 64 * 1024,
};

#define HINTS_SERVICE_HOME "/var/lib/keepframe"
#define HINTS_DROP_INS "/etc/systemd/system/keepframe.service.d/*.conf"

static char *hints_file(const char *path)
{
    char *cause = NULL;
    size_t size;
    char *text = fs_read_file(path, HINTS_FILE_SIZE_MAX, &size, &cause);
    free(cause);
    return text;
}

// The number that a file holds; 0 when there is none ("max", say).
static int64_t hints_number(const char *path)
{
    char *text = hints_file(path);
    int64_t number = text ? strtoll(text, NULL, 10) : 0;
    free(text);
    return number > 0 ? number : 0;
}

// A line of /proc/meminfo, in bytes.
static int64_t hints_meminfo(const char *name)
{
    char *text = hints_file("/proc/meminfo");
    const char *line = text ? strstr(text, name) : NULL;
    int64_t bytes = line ? strtoll(line + strlen(name), NULL, 10) * 1024 : 0;
    free(text);
    return bytes;
}

// The kernel's limit: an absolute one, else a share of the memory that is to be had.
static int64_t hints_dirty_limit(const char *bytes_path, const char *ratio_path)
{
    int64_t bytes = hints_number(bytes_path);
    return bytes > 0 ? bytes : hints_meminfo("MemAvailable:") / 100 * hints_number(ratio_path);
}

static int64_t hints_least(int64_t one, int64_t other)
{
    return one == 0 || (other > 0 && other < one) ? other : one;
}

static int64_t hints_rlimit(__rlimit_resource_t resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
        return 0;
    return (int64_t)limit.rlim_max;
}

// What our control group may have (pids.max of cgroup 2).
static int64_t hints_group_processes(void)
{
    char *text = hints_file("/proc/self/cgroup");
    char *line = text ? strstr(text, "0::/") : NULL;
    int64_t number = 0;
    if (line != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *path = xasprintf("/sys/fs/cgroup%s/pids.max", line + strlen("0::"));
        number = hints_number(path);
        free(path);
    }
    free(text);
    return number;
}

// The folder, or the nearest one above it that is there already.
static char *hints_existing(const char *path)
{
    char *folder = xstrdup(path);
    while (access(folder, F_OK) < 0 && strchr(folder, '/') != strrchr(folder, '/'))
        *strrchr(folder, '/') = '\0';
    return folder;
}

// Whether the block device under a folder turns. A partition has its queue in its disk's folder.
static bool hints_is_rotating(const char *folder)
{
    struct stat info;
    if (stat(folder, &info) < 0)
        return false;
    char *disk =
        xasprintf("/sys/dev/block/%u:%u/queue/rotational", major(info.st_dev), minor(info.st_dev));
    char *partition = xasprintf(
        "/sys/dev/block/%u:%u/../queue/rotational", major(info.st_dev), minor(info.st_dev));
    bool is_rotating = hints_number(disk) == 1 || hints_number(partition) == 1;
    free(partition);
    free(disk);
    return is_rotating;
}

static bool hints_is_strict_atime(const char *folder)
{
    struct statvfs info;
    if (statvfs(folder, &info) < 0)
        return false;
    return (info.f_flag & (ST_NOATIME | ST_RELATIME | ST_RDONLY)) == 0;
}

static void hints_read_disks(const struct config *config, struct hints_facts *facts)
{
    struct statfs info;
    char *cache = hints_existing(config->storage.cache);
    if (statfs(cache, &info) == 0 && (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC))
        facts->memory_cache = config->storage.cache;
    if (hints_is_rotating(cache))
        facts->rotating_cache = config->storage.cache;
    facts->has_rotating_disk = facts->rotating_cache != NULL;
    free(cache);
    for (size_t i = 0; i < config->storage.volume_count; i++) {
        char *volume = hints_existing(config->storage.volumes[i].path);
        if (hints_is_strict_atime(volume))
            facts->strict_atime_volume = config->storage.volumes[i].path;
        facts->has_rotating_disk |= hints_is_rotating(volume);
        free(volume);
    }
}

// Whether a drop-in of the service names the path.
static bool hints_is_in_drop_in(const char *path)
{
    glob_t found;
    bool is_named = false;
    if (glob(HINTS_DROP_INS, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && !is_named; i++) {
            char *text = hints_file(found.gl_pathv[i]);
            is_named = text != NULL && strstr(text, path) != NULL;
            free(text);
        }
        globfree(&found);
    }
    return is_named;
}

// Whether the service may not write a path: seen where we are the service, else told from its
// unit's place and the drop-ins.
static bool hints_is_forbidden(const struct config *config, const char *path)
{
    if (getenv("INVOCATION_ID") != NULL) {
        char *folder = hints_existing(path);
        bool is_forbidden = access(folder, W_OK) < 0 && errno == EROFS;
        free(folder);
        return is_forbidden;
    }
    size_t home = strlen(HINTS_SERVICE_HOME);
    bool is_at_home =
        strncmp(path, HINTS_SERVICE_HOME, home) == 0 && (path[home] == '\0' || path[home] == '/');
    return !is_at_home && strcmp(config->file, "/etc/keepframe/keepframe.yaml") == 0 &&
           access("/run/systemd/system", F_OK) == 0 && !hints_is_in_drop_in(path);
}

static void hints_read_permissions(const struct config *config, struct hints_facts *facts)
{
    for (size_t i = 0; i < config->storage.volume_count; i++) {
        if (hints_is_forbidden(config, config->storage.volumes[i].path))
            facts->forbidden_path = config->storage.volumes[i].path;
    }
    if (hints_is_forbidden(config, config->storage.cache))
        facts->forbidden_path = config->storage.cache;
    if (hints_is_forbidden(config, config->storage.database))
        facts->forbidden_path = config->storage.database;
}

bool hints_is_clock_loose(void)
{
    struct timex state = {0};
    int result = adjtimex(&state);
    return result >= 0 && (result == TIME_ERROR || (state.status & STA_UNSYNC) != 0);
}

void hints_read(const struct config *config, struct hints_facts *facts)
{
    *facts = (struct hints_facts){
        .sync_us = config->recording.sync_us,
        .memory_bytes = hints_meminfo("MemTotal:"),
        .dirty_limit_bytes =
            hints_dirty_limit("/proc/sys/vm/dirty_bytes", "/proc/sys/vm/dirty_ratio"),
        .dirty_background_bytes = hints_dirty_limit(
            "/proc/sys/vm/dirty_background_bytes", "/proc/sys/vm/dirty_background_ratio"),
        .open_files = hints_rlimit(RLIMIT_NOFILE),
        .inotify_watches = hints_number("/proc/sys/fs/inotify/max_user_watches"),
        .inotify_instances = hints_number("/proc/sys/fs/inotify/max_user_instances"),
        .is_clock_loose = hints_is_clock_loose(),
    };
    for (size_t i = 0; i < config->stream_count; i++)
        facts->stream_count += config->streams[i].recording.enabled;
    facts->processes = hints_number("/proc/sys/kernel/pid_max");
    facts->processes = hints_least(facts->processes, hints_rlimit(RLIMIT_NPROC));
    facts->processes = hints_least(facts->processes, hints_group_processes());
    hints_read_disks(config, facts);
    hints_read_permissions(config, facts);
}
