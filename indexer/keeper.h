// Keeps one volume at hand, with the thread that does what blocks on it: opens it when it carries
// its mark, looks every few seconds whether it still is what it was and how much room it has, and
// lets nobody write to it otherwise. One that comes back is noticed; one that does not answer gives
// back the work that waits for it.
#pragma once

#include "indexer/credit.h"
#include "indexer/indexer.h"

struct purge;
struct quarantine;
struct volume;

struct keeper {
    struct indexer *indexer;
    size_t index;                  // of the volume in the configuration
    char *path;                    //
    int64_t id;                    // in the catalog; 0 while that is not known
    struct worker *worker;         // everything that blocks on the volume
    struct volume *volume;         // NULL while it can not be written to
    struct purge *purge;           // unlinks what is garbage on it
    struct retention_space space;  // of the last look
    struct quarantine *quarantine; // as it was when it was last read, NULL before
    struct credit credit;          //
    uint64_t coming_bytes;         // that were given to it since
    int64_t oldest_us;             // start of the oldest footage on it, 0 without any
    int64_t full_until_us;         // monotonic: it had no room for a file
    int64_t doubt_until_us;        // monotonic: it has failed
    bool left_behind;              // its thread has not ended: a disk that does not answer
    struct keeper_look *look;      // its own
};

struct keeper *keeper_new(struct indexer *indexer, size_t index, int64_t id);

// Ends the thread (one that does not answer is left behind) and takes up what it has finished; the
// volumes stay for those who name them.
void keeper_end(struct keeper *keeper);

// After the committer has ended too.
void keeper_free(struct keeper *keeper);

// For the loop's tick.
void keeper_tick(struct keeper *keeper, int64_t now_us);

// Looks again at once.
void keeper_hurry(struct keeper *keeper);

// Writing to the volume has failed, with that errno: for a while others are asked first.
void keeper_blame(struct keeper *keeper, int error, int64_t now_us);

// Room for a segment of `bytes` without touching `min_free`, with something to spare.
bool keeper_has_room(const struct keeper *keeper, uint64_t bytes, int64_t now_us);

// What is missing to `min_free` now.
struct retention_need keeper_need(const struct keeper *keeper);

// Why the volume can not be written to, or NULL.
const char *keeper_trouble(const struct keeper *keeper);
