// Outages: why there is no footage of a stream. One goes from the end of a run's footage to the
// start of the next footage; runs that were tried meanwhile and delivered nothing belong to it.
// While a stream is not to be recorded (its run ended as `removed` or `disabled`) nothing is tried:
// that is an outage of its own, between those before and after it.
// They follow from the runs and segments that are put into the catalog, in whatever order these
// come.
#pragma once

#include "lib/media/catalog.h"

struct catalog_outage {
    int64_t stream_id;
    int64_t run; // that ended, or the first that was tried: with the stream the outage's identity
    int64_t start_us;
    int64_t end_us;   // 0 while it goes on
    char reason[32];  // of the run's end
    char detail[256]; // its last words
    uint64_t attempts;
    char last_reason[32]; // of the last attempt, empty without any
    char last_detail[256];
};

// The outages of a stream that intersect [start_us, end_us), ascending by start, `limit` at most
// (0: all). One that goes on reaches into all time to come. The array is the caller's (free()).
enum catalog_status catalog_outages_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, size_t limit, struct catalog_outage **outages, size_t *count, char **cause);

// The streams whose last outage goes on although they are to be recorded, as far as the catalog
// knows: with their ids and names only. The array is the caller's (free()).
enum catalog_status catalog_outages_failing(
    struct catalog *catalog, struct catalog_stream **streams, size_t *count, char **cause);

// --- Writing (the indexer only) ---

// From now on the stream is not to be recorded, for that reason (`removed`, `disabled`): an outage
// of another reason that goes on ends, and one of this reason begins. Without such an outage
// nothing changes.
enum catalog_status catalog_outage_off(
    struct catalog *catalog, int64_t stream_id, const char *reason, int64_t now_us, char **cause);

// Stores an outage as it is, replacing what its identity has: for a catalog that is rebuilt.
enum catalog_status catalog_outage_put(
    struct catalog *catalog, const struct catalog_outage *outage, char **cause);

// Forgets the outages of a stream that ended before.
enum catalog_status catalog_outages_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause);
