// Keeps a little room on the cache's file system, so that recording goes on when nothing can be
// filed: no volume is there, or all are full, or footage comes faster than it can be filed. As the
// last resort the oldest finished footage in the cache is given up, by name and counted.
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"
#include "indexer/retention.h"

struct cacheroom;

struct cacheroom *cacheroom_new(struct indexer *indexer);

// After the cache's worker has ended.
void cacheroom_free(struct cacheroom *room);

// For the loop's tick.
void cacheroom_tick(struct cacheroom *room, int64_t now_us);

// For status.
void cacheroom_add_alarms(const struct cacheroom *room, json_t *alarms);

// What is to be kept free of a file system of that size, and how much has to be given up of the
// cache now: nothing while `filing` goes on, unless half of that room is gone too. Pure.
uint64_t cacheroom_reserve(uint64_t total_bytes);
uint64_t cacheroom_need(const struct retention_space *space, bool filing);
