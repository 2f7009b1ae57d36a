// What the parts of the indexer's loop share: its threads' handles, the volume, the figures.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "indexer/retention.h"
#include "indexer/tally.h"

struct announce;
struct catalog;
struct commit;
struct committer;
struct config;
struct ev_loop;
struct expiry;
struct ingest;
struct keeper;
struct marks;
struct volume;
struct worker;

struct figures {
    uint64_t committed;
    uint64_t committed_bytes;
    struct tally quarantined;
    struct tally deleted;
    uint64_t skipped_fragments;
    int64_t filing_us_max;     // the longest that one segment took in the worker
    int64_t sync_us;           // the last round over the cache
    int64_t sync_us_max;       // the longest one
    int64_t loop_delay_us_max; // the longest that the loop was away from its events
    struct retention_space space;
};

struct indexer {
    struct ev_loop *loop;
    const struct config *config;
    struct catalog *catalog; // for reading, the loop's
    struct committer *committer;
    struct worker *worker; // the volume's: everything that blocks
    struct volume *volume; // NULL while it can not be written to
    int64_t volume_id;     // in the catalog
    struct ingest *ingest;
    struct expiry *expiry;
    struct keeper *keeper;
    struct marks *marks; // events and locks
    struct announce *announce;
    struct figures figures;
    bool stopping; // nothing new is begun
};
