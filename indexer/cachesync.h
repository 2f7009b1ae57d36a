// Rounds over the files that are being written: every `recording.sync` they are made durable, so
// that a power cut costs no more than that and one fragment.
#pragma once

#include "indexer/indexer.h"

struct cachesync;

struct cachesync *cachesync_new(struct indexer *indexer);

// After the worker has ended.
void cachesync_free(struct cachesync *sync);

// Why something could not be synced in the last round, or NULL.
const char *cachesync_trouble(const struct cachesync *sync);

// For the loop's tick.
void cachesync_tick(struct cachesync *sync, int64_t now_us);
