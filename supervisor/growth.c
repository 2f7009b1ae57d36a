// How the files of a run grow. See growth.h.
#include "supervisor/growth.h"

#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/run.h"

enum {
    GROWTH_LOOK_AHEAD = 4, // files that may have been opened and filed away between two looks
    GROWTH_FILES_MAX = 64, // in one look
};

void growth_begin(struct growth *growth)
{
    *growth = (struct growth){.fd = -1};
}

static int growth_open(const char *directory, int64_t run, int64_t number)
{
    char *path = run_segment_path(directory, run, number);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    free(path);
    return fd;
}

// Opens the first file of `count` from `number` on. Returns it, or -1 with no file there.
static int growth_find(const char *directory, int64_t run, int64_t *number, int count)
{
    for (int i = 0; i < count; i++) {
        int fd = growth_open(directory, run, *number + i);
        if (fd < 0)
            continue;
        *number += i;
        return fd;
    }
    return -1;
}

// How much of a closed file of `size` bytes ffmpeg has written: a sealed file (its second box is a
// 64-bit mdat over all that ffmpeg wrote) has an index of the indexer's behind that.
static int64_t growth_written(int fd, int64_t size)
{
    uint32_t head[2], data[2];
    uint64_t length;
    if (pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head))
        return size;
    int64_t offset = be32toh(head[0]);
    if (pread(fd, data, sizeof(data), offset) != (ssize_t)sizeof(data) ||
        pread(fd, &length, sizeof(length), offset + (int64_t)sizeof(data)) !=
            (ssize_t)sizeof(length))
        return size;
    bool is_sealed = memcmp(&data[1], "mdat", 4) == 0 && be32toh(data[0]) == 1;
    uint64_t rest = (uint64_t)size - (uint64_t)offset;
    return is_sealed && offset < size && be64toh(length) <= rest ? offset + (int64_t)be64toh(length)
                                                                 : size;
}

// Takes the newest file's size; `is_closed`: for the last time. Returns by how much it grew.
static int64_t growth_measure(struct growth *growth, bool is_closed)
{
    struct stat info;
    if (growth->fd < 0 || fstat(growth->fd, &info) < 0 || info.st_size <= growth->size)
        return 0;
    int64_t size = is_closed ? growth_written(growth->fd, info.st_size) : info.st_size;
    int64_t grown = size > growth->size ? size - growth->size : 0;
    growth->size += grown;
    return grown;
}

// Goes on to the next file, if there is one. Adds what the one before has grown by to *grown.
static bool growth_advance(
    struct growth *growth, const char *directory, int64_t run, int look_ahead, int64_t *grown)
{
    int64_t number = growth->fd < 0 ? growth->number : growth->number + 1;
    int fd = growth_find(directory, run, &number, look_ahead);
    if (fd < 0)
        return false;
    *grown += growth_measure(growth, true);
    if (growth->fd >= 0)
        close(growth->fd);
    *growth = (struct growth){.fd = fd, .number = number};
    return true;
}

int64_t growth_look(struct growth *growth, const char *directory, int64_t run)
{
    int64_t grown = 0;
    for (int i = 0; i < GROWTH_FILES_MAX; i++) {
        if (!growth_advance(growth, directory, run, 1, &grown))
            break;
    }
    grown += growth_measure(growth, false);
    if (grown == 0 && growth_advance(growth, directory, run, GROWTH_LOOK_AHEAD, &grown))
        grown += growth_look(growth, directory, run);
    return grown;
}

int64_t growth_end(struct growth *growth, const char *directory, int64_t run)
{
    int64_t grown = growth_look(growth, directory, run);
    grown += growth_measure(growth, true);
    if (growth->fd >= 0)
        close(growth->fd);
    growth->fd = -1;
    return grown;
}
