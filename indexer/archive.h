// What stands in a volume: VOLUME/CAMERA/STREAM/YYYY-MM-DD/NAME.mp4, in order. Everything else is
// left alone and counted.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct archive_names {
    char **names;
    size_t count;
};

void archive_names_fini(struct archive_names *names);

// The entries of the directory `path` below the open directory `root`, ascending: directories with
// the name of a camera or stream, days, or segment files. Hidden names are passed over; others are
// added to *unknown. A directory that is not there is empty. Return 0, or -1 with *cause set.
int archive_list_names(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause);
int archive_list_days(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause);
int archive_list_files(
    int root, const char *path, struct archive_names *names, uint64_t *unknown, char **cause);

// Calls `fn` for each CAMERA/STREAM/DAY, ascending. It returns 0, or -1 to end the walk. One
// directory that can not be read is told in the log and passed over. Returns 0, or -1 where `fn`
// ended it, or with *cause set where the root can not be read.
typedef int (*archive_day_fn)(const char *camera, const char *stream, const char *day, void *arg);
int archive_walk(int root, archive_day_fn fn, void *arg, uint64_t *unknown, char **cause);
