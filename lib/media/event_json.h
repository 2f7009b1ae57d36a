// Events and locks as JSON, both ways, as the HTTP API, indexer.sock and the ledger have them:
//
//   {"id", "camera", "stream": null, "start", "end": null, "label", "data"}
//   {"id", "camera", "stream": null, "start", "end", "reason", "expires": null}
//
// Times are written as RFC 3339 in UTC with six decimals; any offset is read, and epoch seconds as
// a number or text. What is read is checked: names, order of times, sizes. Pure.
#pragma once

#include <jansson.h>

#include "lib/media/catalog_lock.h"

enum {
    EVENT_LABEL_SIZE_MAX = 256,     // bytes of UTF-8
    EVENT_REASON_SIZE_MAX = 1024,   // of a lock
    EVENT_DATA_SIZE_MAX = 8 * 1024, // as compact JSON
};

// What is wrong with an object.
struct event_json_error {
    const char *code; // "missing_parameter", "unknown_parameter" or "bad_parameter"
    char field[64];   // the member at fault
    char message[192];
};

json_t *event_to_json(const struct catalog_event *event);
json_t *lock_to_json(const struct catalog_lock *lock);

// Reads an object that may have those members and "command" alone; without an id (or with null) it
// gets none. Returns false with `error` filled, and nothing to release.
bool event_from_json(
    const json_t *object, struct catalog_event *event, struct event_json_error *error);
bool lock_from_json(
    const json_t *object, struct catalog_lock *lock, struct event_json_error *error);

// Reads the id of an object that must have one; event_json_only_id() when it may have nothing else.
bool event_json_id(
    const json_t *object, char id[CATALOG_UUID_SIZE], struct event_json_error *error);
bool event_json_only_id(const json_t *object, struct event_json_error *error);

// Reads an object that may have "id", "command" and one member more, a time. `none` is what null
// stands for; -1 when it stands for nothing.
bool event_json_time(const json_t *object, const char *key, int64_t none, int64_t *time_us,
    struct event_json_error *error);

// RFC 3339 in UTC with six decimals; null for 0.
json_t *event_json_from_time(int64_t time_us);
