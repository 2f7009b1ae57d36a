// Segments whose file has gone from its volume without our doing: no longer footage, but
// remembered, so that the gap has its cause and a file that comes back is known. And what the
// indexer keeps about its own rounds over the volumes.
#pragma once

#include "lib/media/catalog.h"

// The reason of a gap whose files are missing.
#define CATALOG_MISSING_REASON "missing"

// How many there are of each volume and stream.
struct catalog_missing {
    int64_t stream_id;
    int64_t volume_id;
    uint64_t segments;
};

// The array is the caller's (free()).
enum catalog_status catalog_missing(
    struct catalog *catalog, struct catalog_missing **missing, size_t *count, char **cause);

// A number kept under a name. CATALOG_NONE: there is none.
enum catalog_status catalog_mark_get(
    struct catalog *catalog, const char *name, int64_t *value, char **cause);

// --- Writing (the indexer only) ---

// The segment's file is missing: its row goes, with totals and rollup, and is remembered here until
// the segment is added again. CATALOG_NONE: it has no row.
enum catalog_status catalog_missing_add(struct catalog *catalog, int64_t stream_id, int64_t run,
    uint32_t number, int64_t now_us, char **cause);

// Forgets those of a stream that ended before.
enum catalog_status catalog_missing_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause);

enum catalog_status catalog_mark_put(
    struct catalog *catalog, const char *name, int64_t value, char **cause);
