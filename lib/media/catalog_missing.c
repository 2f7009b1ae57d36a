// Segments whose file is missing. See catalog_missing.h.
#include "lib/media/catalog_missing.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_impl.h"
#include "lib/media/catalog_outage.h"

enum {
    MISSING_JOIN_US = 2000000, // between two that are one gap
};

enum catalog_status catalog_missing(
    struct catalog *catalog, struct catalog_missing **missing, size_t *count, char **cause)
{
    *missing = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT stream_id, volume_id, count(*) FROM missing GROUP BY 1, 2", "");
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*missing, *count, capacity);
        (*missing)[(*count)++] = (struct catalog_missing){
            .stream_id = sqlite3_column_int64(row, 0),
            .volume_id = sqlite3_column_int64(row, 1),
            .segments = (uint64_t)sqlite3_column_int64(row, 2),
        };
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*missing);
    *missing = NULL;
    *count = 0;
    return status;
}

static void missing_join(struct catalog_outage *outage, sqlite3_stmt *row, int64_t stream_id)
{
    char found[TIME_TEXT_SIZE];
    *outage = (struct catalog_outage){
        .stream_id = stream_id,
        .start_us = sqlite3_column_int64(row, 0),
        .end_us = sqlite3_column_int64(row, 1),
        .reason = CATALOG_MISSING_REASON,
    };
    time_format_utc(sqlite3_column_int64(row, 2), found);
    snprintf(outage->detail, sizeof(outage->detail),
        "the file was gone from the volume when that was looked at, %s", found);
}

enum catalog_status catalog_missing_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, struct catalog_outage **outages, size_t *count, char **cause)
{
    size_t capacity = *count;
    struct catalog_outage *last = NULL;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT start_us, end_us, found_us FROM missing WHERE stream_id = ? AND start_us < ?"
        " AND start_us > ? AND end_us > ? ORDER BY start_us",
        "iiii", stream_id, end_us, start_us - CATALOG_DURATION_US_MAX, start_us);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        if (last != NULL && sqlite3_column_int64(row, 0) <= last->end_us + MISSING_JOIN_US) {
            if (sqlite3_column_int64(row, 1) > last->end_us)
                last->end_us = sqlite3_column_int64(row, 1);
            continue;
        }
        ARRAY_RESERVE(*outages, *count, capacity);
        last = &(*outages)[(*count)++];
        missing_join(last, row, stream_id);
    }
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_missing_put(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t now_us, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "INSERT OR REPLACE INTO missing (stream_id, run, number, start_us, end_us, volume_id, key,"
        " bytes, found_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiiiitii", segment->stream_id, segment->run, (int64_t)segment->number, segment->start_us,
        segment->end_us, segment->volume_id, segment->key, (int64_t)segment->size_bytes, now_us);
}

enum catalog_status catalog_missing_found(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "DELETE FROM missing WHERE stream_id = ? AND run = ? AND number = ?", "iii",
        segment->stream_id, segment->run, (int64_t)segment->number);
}

enum catalog_status catalog_missing_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "DELETE FROM missing WHERE stream_id = ?1 AND start_us < ?2 AND end_us < ?2", "ii",
        stream_id, before_us);
}

// --- Marks ---

enum catalog_status catalog_mark_get(
    struct catalog *catalog, const char *name, int64_t *value, char **cause)
{
    return catalog_db_integer(
        &catalog->db, value, cause, "SELECT value FROM mark WHERE name = ?", "t", name);
}

enum catalog_status catalog_mark_put(
    struct catalog *catalog, const char *name, int64_t value, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)", "ti", name, value);
}
