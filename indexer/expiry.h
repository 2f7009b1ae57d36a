// Deletes what retention no longer keeps: gathers what is needed, asks the plan (retention.c), and
// carries it out so that no crash leaves a row without its file: row → garbage in one commit,
// unlink (purge.c), directory synced, garbage gone.
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"

struct expiry;

struct expiry *expiry_new(struct indexer *indexer);

// After the workers and the committer have ended.
void expiry_free(struct expiry *expiry);

// For the loop's tick.
void expiry_tick(struct expiry *expiry, int64_t now_us);

// Files have gone: the next round comes at once when there is more than one round's worth.
void expiry_go_on(struct expiry *expiry);

// The time by which footage ages and locks expire (ageclock.h).
int64_t expiry_now_us(struct expiry *expiry);

// The limits may have changed.
void expiry_restart(struct expiry *expiry);

// A change of the expiry's that the committer gave up.
void expiry_drop(struct commit *commit);

// For status: what is locked; what is wrong; and what goes before its promised age, with the cause.
json_t *expiry_locked_json(const struct expiry *expiry);
void expiry_add_alarms(const struct expiry *expiry, json_t *alarms);
json_t *expiry_warnings_json(const struct expiry *expiry);
