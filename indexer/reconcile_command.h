// `keepframe-indexer reconcile`: has the running indexer hold catalog and volumes against each
// other.
#pragma once

#include <stdbool.h>

struct config;

// Asks for a round over everything, waits for its end and prints what it found. Returns the
// program's exit code: 1 when it could not be done or something keeps it from being finished.
int reconcile_command(const struct config *config, bool dry_run, bool force);
