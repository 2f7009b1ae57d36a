// The way of one segment from the cache into a volume: is it closed, what does it hold, where does
// it stand in time, seal it, link it. One blocking piece of work that needs nothing but what it is
// given, for the volume's worker. The catalog is not its business: the caller commits the row.
#pragma once

#include "indexer/beginning.h"
#include "indexer/volume.h"
#include "indexer/worker.h"
#include "lib/core/buf.h"
#include "lib/media/cache.h"
#include "lib/media/catalog.h"
#include "lib/media/segtime.h"

enum filing_result {
    FILING_DONE,        // it lies in the volume, durably; the row can be committed
    FILING_SETTLED,     // the catalog has its row and the volume its file: the cache name can go
    FILING_OPEN,        // a writer has it open
    FILING_WAITS,       // its start can not be told before its successor comes or the run ends
    FILING_GONE,        // it is not in the cache any more
    FILING_EMPTY,       // it had no byte of media and was removed
    FILING_QUARANTINED, // it can not be used; `reason` and *cause say why
    FILING_UNREADABLE,  // the disk does not give its bytes back; *cause says why
    FILING_FAILED,      // it can not be done now; *cause says why
};

struct filing {
    struct worker_job job;

    // What is given.
    const struct volume *volume;
    struct cache_file file;
    char *path;
    char *node;
    struct segtime time;   // of the run, after the segment before
    int64_t next_birth_us; // of the successor's file, 0 when there is none
    int64_t latency_us;
    bool alone;                           // no successor will come
    bool hash;                            // compute the file's hash
    bool lossy;                           // a sync of it has failed: it is copied, never linked
    bool last_try;                        // what can not be read goes into the quarantine
    struct mend mend;                     // of the run, decided with its first file
    char *following[BEGINNING_FILES_MAX]; // of a run's first file: those after it, in order
    size_t following_count;
    char *committed_key; // where the catalog has this segment already, else NULL

    // What comes of it.
    enum filing_result result;
    const char *reason; // a word for the counters
    char *cause;
    int error;                  // errno of a failure that is the volume's, else 0
    bool unsynced;              // a sync of it has failed here
    struct catalog_segment row; // without the catalog's ids
    bool has_skew;
    int64_t skew_us;            // the camera's clock minus ours, where the segment tells it
    struct media_segment media; // the tracks with their sample entries, without their samples
    struct buf packed;
    bool has_hash;
    uint8_t sha256[CATALOG_HASH_SIZE]; // of the file in the volume
    uint32_t skipped;                  // fragments that were not believed
    bool mended;                       // its times are not those of its fragments,
    uint32_t lost;                     // and of so many frames the order is lost
    int64_t busy_us;                   // how long it took

    void *owner;       // the caller's
    int64_t volume_id; // the caller's
};

// The worker's side; the job is the struct's own. `time` and `mend` change with FILING_DONE only.
void filing_run(struct worker_job *job);
void filing_free(struct filing *filing);
