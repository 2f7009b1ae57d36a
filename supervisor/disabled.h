// Which streams a command has disabled. It outlives reloads, and a stream that leaves the
// configuration and comes back; only `enable` and a restart of the daemon end it. Plain data.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "supervisor/handover.h"

// Zero to begin with.
struct disabled {
    char **names; // "CAMERA/STREAM", ascending
    size_t count, capacity;
};

bool disabled_has(const struct disabled *disabled, const char *camera, const char *stream);

// Puts the stream in or takes it out. Returns whether that changed anything.
bool disabled_set(
    struct disabled *disabled, const char *camera, const char *stream, bool is_disabled);

void disabled_fini(struct disabled *disabled);

// Goes on after an exec of ours.
json_t *disabled_hand_over(const struct disabled *disabled);
void disabled_take_over(struct handover_reader *reader, json_t *list, struct disabled *disabled);
