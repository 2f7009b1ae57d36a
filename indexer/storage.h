// The volumes together: which one takes a new segment, and their figures.
//
// A segment goes to the first volume of the configuration that has room, so the first one is filled
// first; one that is away, does not answer or is full spills to the next. When none has room left,
// the one with the oldest footage takes it and `min_free` makes room there: together they hold one
// continuous past.
#pragma once

#include <jansson.h>

#include "indexer/keeper.h"

struct storage;

// For the start, with the catalog's writing handle: where the catalog knows no volume, every
// configured one is made and marked. Returns 0, or -1 with *cause set.
int storage_mark(struct catalog *catalog, const struct config *config, char **cause);

// Starts the volumes' threads; needs the catalog's reading handle.
struct storage *storage_new(struct indexer *indexer);

// Ends the threads and takes up what they have finished; then, after the committer has ended, the
// rest.
void storage_end(struct storage *storage);
void storage_free(struct storage *storage);

// For the loop's tick.
void storage_tick(struct storage *storage, int64_t now_us);

// The volume of that index, NULL behind the last one; of that id in the catalog, NULL when it is
// none of them.
struct keeper *storage_at(const struct storage *storage, size_t index);
struct keeper *storage_find(const struct storage *storage, int64_t id);

// The one that takes a new segment of `bytes`; NULL: none can now.
struct keeper *storage_choose(const struct storage *storage, uint64_t bytes, int64_t now_us);

// Jobs that wait or run on all of them.
size_t storage_pending(const struct storage *storage);

// For status: each volume's figures; and adds what is wrong to `alarms`.
json_t *storage_volumes_json(const struct storage *storage);
void storage_add_alarms(const struct storage *storage, json_t *alarms);
