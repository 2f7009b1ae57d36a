// Events: what others say has happened at a camera, and when. An event has a UUID that its sender
// may choose, so that it can be sent again without being there twice. It may go on (no end yet),
// and its camera need not have any footage.
#pragma once

#include "lib/media/catalog.h"

enum {
    CATALOG_UUID_SIZE = 37, // as text, its NUL included
};

struct catalog_event {
    char id[CATALOG_UUID_SIZE];
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX]; // empty: all of the camera's
    int64_t start_us;
    int64_t end_us; // 0 while it goes on
    char *label;
    char *data; // JSON, NULL without any
};

void catalog_event_fini(struct catalog_event *event);
void catalog_events_free(struct catalog_event *events, size_t count);

// Whether the text is a UUID: 8-4-4-4-12 hexadecimal digits. Letters may be large or small; what is
// given back is small.
bool catalog_uuid_valid(const char *text);

// What is asked for. `camera` NULL: all; `stream` NULL: all, else those of the stream and those of
// the whole camera.
struct catalog_event_query {
    const char *camera;
    const char *stream;
    int64_t start_us;
    int64_t end_us;
    int64_t after_start_us; // a cursor: only those behind the event with this start
    const char *after_id;   // and id; NULL: from the first on
    size_t limit;           // 0: all
};

// The events that intersect [start_us, end_us), one that goes on with all time to come, one without
// duration where it stands; ascending by start, then id. Release with catalog_events_free().
enum catalog_status catalog_events_in(struct catalog *catalog,
    const struct catalog_event_query *query, struct catalog_event **events, size_t *count,
    char **cause);
enum catalog_status catalog_event_get(
    struct catalog *catalog, const char *id, struct catalog_event *event, char **cause);

// --- Writing (the indexer only) ---

// Adds an event. CATALOG_NONE: it is there already, as it was given now (though it may have been
// ended since); CATALOG_CONFLICT: its id is there with another content.
enum catalog_status catalog_event_add(
    struct catalog *catalog, const struct catalog_event *event, char **cause);

// Ends an event, or moves its end. CATALOG_NONE: there is no such event; CATALOG_CONFLICT: it would
// end before it starts.
enum catalog_status catalog_event_end(
    struct catalog *catalog, const char *id, int64_t end_us, char **cause);
enum catalog_status catalog_event_remove(struct catalog *catalog, const char *id, char **cause);

// Forgets the events that ended before, `limit` at most. *removed counts them.
enum catalog_status catalog_events_expire(
    struct catalog *catalog, int64_t before_us, size_t limit, size_t *removed, char **cause);
