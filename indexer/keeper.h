// Keeps the volume at hand: opens it when it carries its mark, looks every few seconds whether it
// still is what it was and how much room it has, and lets nobody write to it otherwise.
#pragma once

#include "indexer/indexer.h"

struct keeper;

// Finds the configured volume in the catalog, or makes and marks it where the catalog is empty; for
// the start, with the catalog's writing handle. Returns its id, or -1 with *cause set.
struct catalog;
int64_t keeper_register(struct catalog *catalog, const char *path, char **cause);

struct keeper *keeper_new(struct indexer *indexer, const char *path);

// After the worker has ended.
void keeper_free(struct keeper *keeper);

// For the loop's tick.
void keeper_tick(struct keeper *keeper, int64_t now_us);

// Why the volume can not be written to, or NULL.
const char *keeper_trouble(const struct keeper *keeper);
