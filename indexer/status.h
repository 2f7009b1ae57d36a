// The indexer's state as JSON: for the socket's `status` and for the log.
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"

// A new reference.
json_t *status_json(const struct indexer *indexer);
