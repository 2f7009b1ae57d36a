// How much room the footage takes, where, and how fast it grows: the figures of the storage page
// and of the forecast. From sums alone.
#pragma once

#include "lib/media/catalog.h"

struct catalog_storage {
    int64_t volume_id;
    uint64_t segments;
    uint64_t bytes;
    int64_t first_us;       // start of the oldest segment, 0 without any
    uint64_t garbage_files; // that are still to be unlinked, and in no other figure
    uint64_t garbage_bytes;
};

// Every volume's figures, ascending by id. The array is the caller's (free()).
enum catalog_status catalog_storage(
    struct catalog *catalog, struct catalog_storage **volumes, size_t *count, char **cause);

// What of a stream lies in [start_us, end_us), segments that reach into it whole. Reads them all.
enum catalog_status catalog_footage_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, uint64_t *segments, uint64_t *bytes, char **cause);

struct catalog_rate {
    int64_t stream_id;
    uint64_t bytes;
    int64_t covered_us;
};

// What each stream has recorded in the whole hours from `start_us` to `end_us` (both are rounded
// down to an hour), ascending by id; streams without footage then are left out. The array is the
// caller's (free()).
enum catalog_status catalog_rates(struct catalog *catalog, int64_t start_us, int64_t end_us,
    struct catalog_rate **rates, size_t *count, char **cause);
