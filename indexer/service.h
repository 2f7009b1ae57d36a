// The indexer as a running program: its event loop, signals, socket, and the order in which its
// parts start and end.
#pragma once

#include "lib/core/config.h"

struct service;

// Takes the catalog's lock, opens or makes catalog and volume, starts the threads. Owns the
// configuration from then on, on failure too; `source` must outlive it (a reload reads it again).
// Returns NULL with *cause set on failure.
struct service *service_new(
    const struct config_source *source, struct config *config, char **cause);

// Runs until SIGTERM or SIGINT.
void service_run(struct service *service);

// Finishes what is in hand, commits, closes.
void service_free(struct service *service);
