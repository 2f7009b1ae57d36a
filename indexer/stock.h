// What stands in the cache and is not wholly in the catalog: how much, how old, and what of it the
// next sync round has to make durable.
#pragma once

#include "indexer/ingest.h"

struct stock_figures {
    size_t streams;
    uint64_t files;
    uint64_t bytes;
    int64_t lag_us; // age of the oldest file that is closed and not committed
};

void stock_measure(const struct ingest *ingest, int64_t now_us, struct stock_figures *figures);

// The files that are not known to be closed, and the directories in which names have come since the
// last call. The paths and the array are the caller's.
char **stock_unsynced(const struct ingest *ingest, size_t *count);

// Such a path could not be made durable. Its bytes are written anew when the file is filed: of a
// second sync the system may say that all is well.
void stock_not_durable(const struct ingest *ingest, const char *path);
