// Watches the cache directory. See watch.h.
#include "indexer/watch.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/media/segment_id.h"

enum {
    WATCH_DIRECTORY = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK,
    WATCH_STREAM = WATCH_DIRECTORY | IN_CLOSE_WRITE,
};

// A watched directory: the cache (no camera), a camera's (no stream), a stream's.
struct watch_place {
    bool used;
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX];
};

struct watch {
    char *cache;
    watch_fn fn;
    void *arg;
    int fd;
    struct watch_place *places; // by watch descriptor
    size_t place_count;
    bool full; // the kernel's limit was reached and told of
};

static char *watch_path(const struct watch *watch, const char *camera, const char *stream)
{
    return *stream   ? xasprintf("%s/%s/%s", watch->cache, camera, stream)
           : *camera ? xasprintf("%s/%s", watch->cache, camera)
                     : xstrdup(watch->cache);
}

static void watch_refused(struct watch *watch, const char *path)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return;
    if (errno != ENOSPC || !watch->full)
        log_err("%s can not be watched: %s%s", path, strerror(errno),
            errno == ENOSPC ? "; raise fs.inotify.max_user_watches (sysctl). Its files are found "
                              "by looking now and then"
                            : "");
    watch->full |= errno == ENOSPC;
}

// Returns whether the directory is watched now.
static bool watch_add(struct watch *watch, const char *camera, const char *stream)
{
    char *path = watch_path(watch, camera, stream);
    int place = inotify_add_watch(watch->fd, path, *stream ? WATCH_STREAM : WATCH_DIRECTORY);
    if (place < 0)
        watch_refused(watch, path);
    free(path);
    if (place < 0)
        return false;
    if ((size_t)place >= watch->place_count) {
        size_t count = (size_t)place * 2 + 16;
        watch->places = xreallocarray(watch->places, count, sizeof(*watch->places));
        memset(&watch->places[watch->place_count], 0,
            (count - watch->place_count) * sizeof(*watch->places));
        watch->place_count = count;
    }
    struct watch_place *added = &watch->places[place];
    added->used = true;
    snprintf(added->camera, sizeof(added->camera), "%s", camera);
    snprintf(added->stream, sizeof(added->stream), "%s", stream);
    return true;
}

struct watch *watch_new(const char *cache, watch_fn fn, void *arg, char **cause)
{
    struct watch *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct watch){.cache = xstrdup(cache), .fn = fn, .arg = arg};
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        *cause = xasprintf("inotify can not be used: %s%s", strerror(errno),
            errno == EMFILE ? "; raise fs.inotify.max_user_instances (sysctl)" : "");
    else if (!watch_add(watch, "", ""))
        *cause = xasprintf("%s: can not be watched: %s", cache, strerror(errno));
    else
        return watch;
    watch_free(watch);
    return NULL;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->fd >= 0)
        close(watch->fd);
    free(watch->places);
    free(watch->cache);
    free(watch);
}

int watch_fd(const struct watch *watch)
{
    return watch->fd;
}

// Watches first, looks then: what comes in between is seen twice rather than never.
static void watch_scan_below(struct watch *watch, const char *camera)
{
    char *path = watch_path(watch, camera, "");
    DIR *dir = opendir(path);
    free(path);
    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
            continue;
        if (!segment_name_valid(entry->d_name))
            continue;
        if (*camera == '\0') {
            if (watch_add(watch, entry->d_name, "") || watch->full)
                watch_scan_below(watch, entry->d_name);
        } else if (watch_add(watch, camera, entry->d_name) || watch->full) {
            watch->fn(camera, entry->d_name, NULL, watch->arg);
        }
    }
    closedir(dir);
}

void watch_scan(struct watch *watch)
{
    watch_scan_below(watch, "");
}

static void watch_directory_made(
    struct watch *watch, const struct watch_place *place, const char *name)
{
    struct watch_place parent = *place; // the table may move
    if (!segment_name_valid(name))
        return;
    if (*parent.camera == '\0') {
        if (watch_add(watch, name, ""))
            watch_scan_below(watch, name);
    } else if (*parent.stream == '\0') {
        if (watch_add(watch, parent.camera, name))
            watch->fn(parent.camera, name, NULL, watch->arg);
    }
}

static void watch_take(struct watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        log_warn("events of the cache directory were lost: looking through all of it");
        watch_scan(watch);
        return;
    }
    if (event->wd < 0 || (size_t)event->wd >= watch->place_count)
        return;
    struct watch_place *place = &watch->places[event->wd];
    if (event->mask & IN_IGNORED) {
        place->used = false;
    } else if (!place->used || event->len == 0) {
        return;
    } else if (event->mask & IN_ISDIR) {
        watch_directory_made(watch, place, event->name);
    } else if (*place->stream != '\0') {
        bool closed = event->mask & IN_CLOSE_WRITE;
        watch->fn(place->camera, place->stream, closed ? event->name : NULL, watch->arg);
    }
}

void watch_dispatch(struct watch *watch)
{
    char events[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t size = read(watch->fd, events, sizeof(events));
    for (ssize_t at = 0; at < size;) {
        const struct inotify_event *event = (const struct inotify_event *)(events + at);
        watch_take(watch, event);
        at += (ssize_t)(sizeof(*event) + event->len);
    }
}
