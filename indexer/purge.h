// Unlinks what is garbage on a volume: files whose row has gone. A file that can not be deleted
// now holds up no other and is tried again; one on a volume that is away goes when it is back.
#pragma once

#include "indexer/keeper.h"

struct purge *purge_new(struct keeper *keeper);

// After the volume's worker and the committer have ended.
void purge_free(struct purge *purge);

// Starts when there is something to do and nothing is under way.
void purge_look(struct purge *purge);

// How many files could not be deleted the last time.
size_t purge_stuck(const struct purge *purge);

// Whether files are on their way out.
bool purge_busy(const struct purge *purge);

// A change of a purge's that the committer gave up.
void purge_drop(struct commit *commit);
