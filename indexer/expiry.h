// Deletes what retention no longer keeps: asks the plan (retention.c), and carries it out so that
// no crash leaves a row without its file: row → garbage in one commit, unlink, directory synced,
// garbage gone.
#pragma once

#include "indexer/indexer.h"

struct expiry;

struct expiry *expiry_new(struct indexer *indexer);

// After the worker and the committer have ended.
void expiry_free(struct expiry *expiry);

// The volume is there and its figures are fresh: starts a round, unless one goes on.
void expiry_look(struct expiry *expiry);

// A change of the expiry's that the committer gave up.
void expiry_drop(struct commit *commit);
