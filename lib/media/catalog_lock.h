// Locks: footage that no rule may delete, until the lock is taken away or expires. Identified as
// events are.
#pragma once

#include "lib/media/catalog_event.h"

struct catalog_lock {
    char id[CATALOG_UUID_SIZE];
    char camera[SEGMENT_NAME_MAX];
    char stream[SEGMENT_NAME_MAX]; // empty: all of the camera's
    int64_t start_us;
    int64_t end_us;
    char *reason;
    int64_t expires_us; // 0: never
};

void catalog_lock_fini(struct catalog_lock *lock);
void catalog_locks_free(struct catalog_lock *locks, size_t count);

// The locks that have not expired at `now_us`, ascending by start, then id.
enum catalog_status catalog_locks(struct catalog *catalog, int64_t now_us,
    struct catalog_lock **locks, size_t *count, char **cause);

// An expired one too, until it is removed.
enum catalog_status catalog_lock_get(
    struct catalog *catalog, const char *id, struct catalog_lock *lock, char **cause);

// Whether a lock holds a segment of that stream and time. It must not have expired.
bool catalog_lock_holds(const struct catalog_lock *lock, const char *camera, const char *stream,
    int64_t start_us, int64_t end_us);

// --- Writing (the indexer only) ---

// Adds a lock. CATALOG_NONE: it is there already, as it was given now (though its expiry may have
// been moved since); CATALOG_CONFLICT: its id is there with another content.
enum catalog_status catalog_lock_add(
    struct catalog *catalog, const struct catalog_lock *lock, char **cause);

// Lets it expire at another time (0: never). CATALOG_NONE: there is no such lock.
enum catalog_status catalog_lock_renew(
    struct catalog *catalog, const char *id, int64_t expires_us, char **cause);
enum catalog_status catalog_lock_remove(struct catalog *catalog, const char *id, char **cause);

// Removes those that have expired.
enum catalog_status catalog_locks_expire(struct catalog *catalog, int64_t now_us, char **cause);
