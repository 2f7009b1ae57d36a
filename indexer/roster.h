// Which streams are to be recorded: an outage of one that has left the configuration, or was
// disabled in it, ends there. A recorder that is running then tells its end itself; a camera that
// fails has none.
#pragma once

#include "indexer/indexer.h"

struct roster;

struct roster *roster_new(struct indexer *indexer);
void roster_free(struct roster *roster);

// Another configuration is used from now on.
void roster_restart(struct roster *roster);

// For the loop's tick.
void roster_tick(struct roster *roster, int64_t now_us);
