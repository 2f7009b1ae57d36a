// What of the configuration is handed over to the supervisor that takes our place: what a reload
// compares, so that it restarts what has changed meanwhile, and leaves alone what has not.
#pragma once

#include <jansson.h>

#include "lib/core/config.h"
#include "supervisor/handover.h"

json_t *reload_hand_over(const struct config *config);

// Of use for reload_plan_init() and reload_needs_restart() alone. Never NULL; see config_free().
struct config *reload_take_over(struct handover_reader *reader, json_t *object);
