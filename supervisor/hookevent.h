// What a hook is told: one JSON object, from which the body of a webhook, the standard input of a
// command and its environment are made.
#pragma once

#include <stdint.h>

#include <jansson.h>

#include "supervisor/hookqueue.h"

// {"event", "node", "camera", "stream", "time"} to which the event's own fields are added.
json_t *hookevent_new(
    enum hook_kind kind, const char *node, const char *camera, const char *stream, int64_t now_us);

// Adds a moment in UTC microseconds as RFC 3339.
void hookevent_set_time(json_t *event, const char *key, int64_t time_us);

// A copy of `base` with a variable KEEPFRAME_KEY for each field that is not null. The caller owns
// it, see environment_free().
char **hookevent_environment(const json_t *event, char *const *base);
