// The difference between two configurations, as what to do with each stream. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/core/config.h"
#include "supervisor/disabled.h"

enum reload_action {
    RELOAD_KEEP,
    RELOAD_START,
    RELOAD_STOP,    // it is gone, or no longer enabled
    RELOAD_RESTART, // its command changed
};

struct reload_item {
    enum reload_action action;
    const struct config_stream *before; // NULL when it is new
    const struct config_stream *after;  // NULL when it is gone
};

struct reload_plan {
    struct reload_item *items; // ascending by camera, then by stream
    size_t count;
    size_t started, stopped, restarted, kept; // a disabled stream that stays so counts as kept
};

// Both configurations must outlive the plan. A stream that a command has disabled counts as not
// enabled. Streams of an unchanged effective configuration are
// kept: what their ffmpegs need not know (retention, latency, hooks) restarts nothing.
void reload_plan_init(struct reload_plan *plan, const struct config *before,
    const struct config *after, const struct disabled *disabled);
void reload_plan_fini(struct reload_plan *plan);

// The key whose change needs a restart of the whole program, or NULL when there is none.
const char *reload_needs_restart(const struct config *before, const struct config *after);
