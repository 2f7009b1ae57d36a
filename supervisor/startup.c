// What must be true before the daemon starts. See startup.h.
#include "supervisor/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "supervisor/child.h"
#include "supervisor/ffmpeg.h"

enum {
    STARTUP_FFMPEG_TIMEOUT_MS = 20000,
};

static int startup_make(const char *path, const char *key, char **cause)
{
    char *reason = NULL;
    if (fs_make_dirs(path, 0750, &reason) == 0)
        return 0;
    *cause = xasprintf("%s: %s", key, reason);
    free(reason);
    return -1;
}

int startup_check_directories(const struct config *config, char **cause)
{
    if (startup_make(config->runtime, "runtime", cause) < 0 ||
        startup_make(config->storage.database, "storage.database", cause) < 0 ||
        startup_make(config->storage.cache, "storage.cache", cause) < 0)
        return -1;
    if (access(config->runtime, W_OK | X_OK) < 0) {
        *cause = xasprintf("runtime: %s is not writable: %s", config->runtime, strerror(errno));
        return -1;
    }
    if (fs_check_local_dir(config->storage.cache, "storage.cache", true, cause) < 0)
        return -1;
    return fs_check_local_dir(config->storage.database, "storage.database", false, cause);
}

int startup_check_ffmpeg(const struct config *config, char **cause)
{
    char *argv[] = {config->ffmpeg.path, "-version", NULL};
    char *reason = NULL;
    char *output = child_capture(argv, STARTUP_FFMPEG_TIMEOUT_MS, &reason);
    int result = output ? ffmpeg_version_check(output, &reason) : -1;
    if (result < 0)
        *cause = xasprintf("ffmpeg.path: %s: %s; install ffmpeg 5.1 or later, or set ffmpeg.path",
            config->ffmpeg.path, reason);
    free(reason);
    free(output);
    return result;
}

static void startup_fail_lock(const char *what, int fd, char **cause)
{
    char pid[16] = "";
    if (errno != EWOULDBLOCK) {
        *cause = xasprintf("%s: can not be locked: %s", what, strerror(errno));
        return;
    }
    ssize_t length = fd >= 0 ? pread(fd, pid, sizeof(pid) - 1, 0) : 0;
    pid[length > 0 ? strcspn(pid, "\n") : 0] = '\0';
    *cause = xasprintf("%s: another keepframe is at work here%s%s; stop it, or give this one "
                       "directories of its own",
        what, *pid ? " as process " : "", pid);
}

int startup_lock(const struct config *config, int fds[2], char **cause)
{
    char *path = xasprintf("%s/keepframe.pid", config->runtime);
    int result = -1;
    fds[0] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    fds[1] = open(config->storage.cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fds[0] < 0 || flock(fds[0], LOCK_EX | LOCK_NB) < 0) {
        startup_fail_lock(path, fds[0], cause);
    } else if (fds[1] < 0 || flock(fds[1], LOCK_EX | LOCK_NB) < 0) {
        startup_fail_lock(config->storage.cache, -1, cause);
    } else if (ftruncate(fds[0], 0) < 0 || dprintf(fds[0], "%d\n", (int)getpid()) < 0) {
        *cause = xasprintf("%s: can not be written: %s", path, strerror(errno));
    } else {
        result = 0;
    }
    free(path);
    return result;
}
