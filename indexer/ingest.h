// From the cache to the catalog: for each stream what stands in its cache directory, which file is
// next, and what has become of it. Segments of a run are taken strictly in order of their numbers;
// runs do not wait for each other. What blocks happens in filing.c, rows are written by the
// committer; this file keeps the order between them:
//
//   filed, durably → row committed → cache name unlinked
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"

struct ingest;
struct ingest_stream;

struct ingest *ingest_new(struct indexer *indexer);

// After the worker and the committer have ended.
void ingest_free(struct ingest *ingest);

// A stream's directory has changed; `closed` names a file that a writer has closed, or is NULL
// (watch_fn; `arg` is the ingest).
void ingest_changed(const char *camera, const char *name, const char *closed, void *arg);

// For the loop's tick: takes up what had to wait.
void ingest_tick(struct ingest *ingest, int64_t now_us);

// A change of the ingest's that the committer gave up.
void ingest_drop(struct commit *commit);

// The stream of that index, NULL behind the last one.
struct ingest_stream *ingest_stream_at(const struct ingest *ingest, size_t index);

// Says whether finished segments can not be filed, and why.
void ingest_add_alarms(const struct ingest *ingest, json_t *alarms);
