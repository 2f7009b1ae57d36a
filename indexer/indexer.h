// What the parts of the indexer's loop share: its threads' handles, the volume, the figures.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "indexer/tally.h"

struct announce;
struct cacheroom;
struct cachesync;
struct catalog;
struct commit;
struct committer;
struct config;
struct ev_loop;
struct expiry;
struct ingest;
struct ledger;
struct marks;
struct outlook;
struct reconcile;
struct roster;
struct storage;
struct worker;

struct figures {
    uint64_t committed;
    uint64_t committed_bytes;
    struct tally quarantined;
    struct tally deleted;
    uint64_t skipped_fragments;
    uint64_t mended;            // segments whose times are not those of their fragments
    uint64_t disordered_frames; // whose order of presentation is lost
    int64_t filing_us_max;      // the longest that one segment took in the worker
    int64_t sync_us;            // the last round over the cache
    int64_t sync_us_max;        // the longest one
    int64_t loop_delay_us_max;  // the longest that the loop was away from its events
};

struct indexer {
    struct ev_loop *loop;
    const struct config *config;
    struct catalog *catalog; // for reading, the loop's
    struct committer *committer;
    struct worker *cache_worker; // what blocks on the cache: syncs, names that go
    struct cacheroom *cacheroom; // that it never fills
    struct cachesync *cachesync; // that it is durable
    struct storage *storage;     // the volumes
    struct outlook *outlook;     // how long they will do
    struct roster *roster;       // which streams are to be recorded
    struct ingest *ingest;
    struct expiry *expiry;
    struct marks *marks; // events and locks
    struct announce *announce;
    struct reconcile *reconcile;
    struct ledger *ledger;
    struct figures figures;
    bool stopping; // nothing new is begun
};
