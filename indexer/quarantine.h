// VOLUME/.quarantine: files that can not be parsed, each with its reason beside it. Bounded: the
// oldest go first.
#pragma once

#include "indexer/volume.h"

enum {
    QUARANTINE_FILES_MAX = 200,
};

#define QUARANTINE_BYTES_MAX (UINT64_C(1) << 30)

// Moves the cache file `path` (open as `fd`, `size` bytes) there. Returns 0, or -1 with *cause set;
// the file is then still in the cache.
int quarantine_put(const struct volume *volume, const char *path, int fd, uint64_t size,
    const struct segment_id *id, const char *reason, char **cause);
