// How fast the footage grows, when the volumes are full and how much of the past they hold then:
// reads the figures for the forecast, now and then, from sums and hours alone.
#pragma once

#include <jansson.h>

#include "indexer/indexer.h"

struct outlook;

struct outlook *outlook_new(struct indexer *indexer);
void outlook_free(struct outlook *outlook);

// For the loop's tick.
void outlook_tick(struct outlook *outlook, int64_t now_us);

// {"bytes_per_day", "room_bytes", "full_days" (null: never), "history_days" (null: nothing is
// recorded), "hours" (that the rate was measured over at most; 0: it is not known yet)}.
json_t *outlook_json(const struct outlook *outlook);
