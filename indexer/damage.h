// What is wrong with one file of the archive, and which moments of the footage that concerns: the
// file is read whole and held against its row and packed table.
#pragma once

#include "lib/media/catalog.h"

// One piece of damage: what was found, and the span of footage (UTC) that it concerns.
struct damage {
    int64_t start_us;
    int64_t end_us;
    enum media_kind kind; // of the samples; 0: the file as a whole
    size_t samples;
    char *what;
};

struct damages {
    struct damage *items;
    size_t count;
    size_t capacity;
};

void damages_fini(struct damages *damages);

// What the catalog says of the file.
struct damage_file {
    struct segment_id id;
    const struct catalog_segment *row;
    const struct buf *packed; // NULL: the catalog has no table of it
    const struct buf *entry;  // the video track's sample entry, may be empty
    const uint8_t *hash;      // SHA-256, NULL: none is stored
};

// Reads the open file of `size` bytes and adds what is wrong with it.
void damage_look(const struct damage_file *file, int fd, uint64_t size, struct damages *found);
