// Epochs: where a run's place in UTC has moved, because a clock was set or has jumped (segtime.h).
// A run's first epoch, which every run has, is not told.
#pragma once

#include "lib/media/catalog.h"

struct catalog_epoch {
    int64_t stream_id;
    int64_t run;
    uint32_t first_number; // with the run, the identity of the segment that begins it
    int64_t start_us;      // of that segment
    char cause[16];        // segtime_step_name()
    int64_t moved_us;      // by how much UTC stands later than it would have
};

// The epochs of a stream that begin in [start_us, end_us), ascending by start, `limit` at most (0:
// all). The array is the caller's (free()).
enum catalog_status catalog_epochs_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, size_t limit, struct catalog_epoch **epochs, size_t *count, char **cause);

// --- Writing (the indexer only) ---

// Notes an epoch; one that is there already stays as it is. It goes with its run's row.
enum catalog_status catalog_epoch_add(
    struct catalog *catalog, const struct catalog_epoch *epoch, char **cause);
