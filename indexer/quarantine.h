// VOLUME/.quarantine: files that can not be parsed, each with its reason beside it. Bounded: the
// oldest go first. What lies there is read anew only when it has changed.
#pragma once

#include <jansson.h>
#include <sys/stat.h>

#include "indexer/volume.h"

enum {
    QUARANTINE_FILES_MAX = 200,
    QUARANTINE_SHOWN_MAX = 20, // named in a status
};

#define QUARANTINE_BYTES_MAX (UINT64_C(1) << 30)

// Moves the cache file `path` (open as `fd`, `size` bytes) there, because of `reason` (a name), in
// words `detail`. Returns 0, or -1 with *cause set; the file is then still in the cache.
int quarantine_put(const struct volume *volume, const char *path, int fd, uint64_t size,
    const struct segment_id *id, const char *reason, const char *detail, char **cause);

struct quarantine_entry {
    char *name;
    char *reason;  // by name, "unknown" where nothing says it
    char *detail;  // in words, or NULL
    uint64_t size; // bytes
    int64_t since_us;
};

// What lies there, the oldest first. Of more than QUARANTINE_FILES_MAX, put there by others, only
// the newest have a reason.
struct quarantine {
    struct quarantine_entry *entries;
    size_t count;
};

// Reads it, unless the directory is as it was when *seen was last set here (which begins as
// zeroes). Returns NULL then. Blocks.
struct quarantine *quarantine_look(const struct volume *volume, struct stat *seen);
void quarantine_free(struct quarantine *quarantine);

// Its counts, and the newest by name; null for NULL.
json_t *quarantine_json(const struct quarantine *quarantine);
