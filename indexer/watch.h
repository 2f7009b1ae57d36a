// Watches the cache directory: which streams have something new, and which files were closed. New
// cameras and streams are picked up. It knows inotify and directory levels, not what files mean.
#pragma once

struct watch;

// Something changed in a stream's directory: a file came or, where `closed` names one, was closed
// by a writer. Called for every stream once at the start and again when events were lost.
typedef void (*watch_fn)(const char *camera, const char *stream, const char *closed, void *arg);

// Starts watching CACHE. Returns NULL with *cause set on failure. Nothing is called before
// watch_scan().
struct watch *watch_new(const char *cache, watch_fn fn, void *arg, char **cause);
void watch_free(struct watch *watch);

// Looks through the whole tree: takes up directories that are not watched yet and calls the
// function for every stream.
void watch_scan(struct watch *watch);

// Readable when there is something for watch_dispatch().
int watch_fd(const struct watch *watch);
void watch_dispatch(struct watch *watch);
