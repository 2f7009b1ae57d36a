// The packed sample tables: frames-YYYY-MM-DD.db beside the catalog, one for each UTC day on which
// segments start. Rows are found by identity. A bounded number of days is open at a time.
#pragma once

#include "lib/media/catalog_db.h"

enum {
    FRAMES_DAYS_MAX = 8,
};

struct frames {
    char *database;
    bool writer;
    uint64_t clock; // counts uses, to find the day that was not used for longest
    struct frames_day {
        int64_t day; // since the epoch
        uint64_t used;
        bool writing; // has a transaction
        struct catalog_db db;
    } days[FRAMES_DAYS_MAX];
    size_t day_count;
};

void frames_init(struct frames *frames, const char *database, bool writer);

// What was put and not committed is lost.
void frames_fini(struct frames *frames);

// Stores bytes under an identity in the day of `start_us`, replacing what is there; durable with
// frames_commit().
enum catalog_status frames_put(struct frames *frames, const struct catalog_segment *segment,
    const void *packed, size_t packed_size, char **cause);

// Sets the hash of what was put.
enum catalog_status frames_put_hash(struct frames *frames, const struct catalog_segment *segment,
    const uint8_t hash[CATALOG_HASH_SIZE], char **cause);
enum catalog_status frames_commit(struct frames *frames, char **cause);
void frames_rollback(struct frames *frames);

// Appends the bytes to `packed`. CATALOG_NONE where the day has none.
enum catalog_status frames_get(struct frames *frames, int64_t day, int64_t stream_id, int64_t run,
    uint32_t number, struct buf *packed, char **cause);

// The hash, CATALOG_NONE where the day has none.
enum catalog_status frames_get_hash(struct frames *frames, int64_t day, int64_t stream_id,
    int64_t run, uint32_t number, uint8_t hash[CATALOG_HASH_SIZE], char **cause);

// The days that have a file, ascending. Returns 0, or -1 with *cause set; the array is the
// caller's.
int frames_list(const struct frames *frames, int64_t **days, size_t *count, char **cause);

// Closes a day and unlinks its files.
void frames_remove(struct frames *frames, int64_t day);
