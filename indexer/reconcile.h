// Brings catalog and volumes together again: files without a row are indexed, rows without a file
// become missing (catalog_missing.h), unknown names are left alone and counted. After a start only
// for directories that were written since the last clean stop; all of it when asked to. It works in
// a thread of its own, at idle priority.
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"

struct ctl_request;
struct reconcile;

struct reconcile *reconcile_new(struct indexer *indexer);

// Begins the round of a start.
void reconcile_start(struct reconcile *reconcile);

// Ends the round in hand early; for a stop.
void reconcile_stop(struct reconcile *reconcile);

// Notes in the catalog that all is in order now: the last change of a clean stop, after which the
// committer ends.
void reconcile_note_stop(struct reconcile *reconcile);

// After reconcile_stop(), before the committer ends.
void reconcile_end(struct reconcile *reconcile);
void reconcile_free(struct reconcile *reconcile);

// Answers the command "reconcile" {"dry_run"?, "force"?}, which begins a round over all
// directories, or "reconcile_wait", which waits for it: both answer when it is over or after some
// seconds, with "running" and what was found so far. Returns false for any other command.
bool reconcile_request(struct reconcile *reconcile, struct ctl_request *request);

// For the loop's tick.
void reconcile_tick(struct reconcile *reconcile, int64_t now_us);

// The last round, as JSON.

json_t *reconcile_status(const struct reconcile *reconcile);
