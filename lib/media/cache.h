// What stands in the cache directory: CACHE/CAMERA/STREAM/RUN-NNNNNN.mp4 and RUN.json, listed in
// order, and the read access to a segment file that the container reader asks for.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/media/mp4_read.h"
#include "lib/media/segment_id.h"

struct cache_file {
    struct segment_id id;
    uint64_t size;
    uint64_t inode;
    int64_t birth_us;   // 0 when not known
    int64_t written_us; // last write
};

struct cache_listing {
    struct cache_file *files; // ascending by run and number
    size_t count;
};

// Lists the segment files of one stream. A directory that is not there is an empty listing. Returns
// 0, or -1 with *cause set. Release with cache_listing_fini().
int cache_list(const char *cache, const char *camera, const char *stream,
    struct cache_listing *listing, char **cause);
void cache_listing_fini(struct cache_listing *listing);

// Whether the listing has the segment of that number in that run; its birth time, or 0.
int64_t cache_listing_birth_us(const struct cache_listing *listing, int64_t run, uint32_t number);

// "CACHE/CAMERA/STREAM/RUN-NNNNNN.mp4" and "CACHE/CAMERA/STREAM/RUN.json". New strings, the
// caller's.
char *cache_segment_path(const char *cache, const struct segment_id *id);
char *cache_run_path(const char *cache, const char *camera, const char *stream, int64_t run);

// Reading an open descriptor through mp4_read(), which reads ahead by itself. The descriptor stays
// the caller's.
struct cache_reader {
    int fd;
    int error; // errno of a read that failed, else 0: what was read is then no end of the file
};

void cache_reader_init(struct cache_reader *reader, int fd);
struct mp4_source cache_reader_source(struct cache_reader *reader, uint64_t file_size);
