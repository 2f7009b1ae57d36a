// Sums over segments, kept in each segment's own transaction, so that no question ever has to go
// over the segments of a stream: totals of the stream, by volume, and what there is of each hour.
#include "lib/media/catalog_impl.h"

#include <sqlite3.h>

#include "lib/core/timeutil.h"

enum {
    // Hours that a segment may touch.
    TOTAL_HOURS_MAX = CATALOG_DURATION_US_MAX / CATALOG_HOUR_US + 2,
};

// --- The stream and its volumes ---

static enum catalog_status total_add_sums(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    int64_t bytes = (int64_t)segment->size_bytes;
    enum catalog_status status = catalog_db_run(&catalog->db, cause,
        "UPDATE stream_total SET segments = segments + 1, bytes = bytes + ?2,"
        " first_us = min(ifnull(first_us, ?3), ?3), last_us = max(ifnull(last_us, ?4), ?4),"
        " longest_us = max(longest_us, ?4 - ?3) WHERE stream_id = ?1",
        "iiii", segment->stream_id, bytes, segment->start_us, segment->end_us);
    if (status != CATALOG_OK)
        return status;
    return catalog_db_run(&catalog->db, cause,
        "INSERT INTO volume_total (stream_id, volume_id, segments, bytes, first_us)"
        " VALUES (?1, ?2, 1, ?3, ?4) ON CONFLICT DO UPDATE SET segments = segments + 1,"
        " bytes = bytes + ?3, first_us = min(first_us, ?4)",
        "iiii", segment->stream_id, segment->volume_id, bytes, segment->start_us);
}

// The last end lies on a row that starts within the longest duration of the last start.
static enum catalog_status total_remove_sums(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    int64_t bytes = (int64_t)segment->size_bytes;
    enum catalog_status status = catalog_db_run(&catalog->db, cause,
        "UPDATE stream_total SET segments = segments - 1, bytes = bytes - ?2,"
        " first_us = (SELECT min(start_us) FROM segment WHERE stream_id = ?1),"
        " last_us = (SELECT max(start_us + duration_us) FROM segment WHERE stream_id = ?1"
        "  AND start_us >= (SELECT max(start_us) FROM segment WHERE stream_id = ?1)"
        "  - stream_total.longest_us)"
        " WHERE stream_id = ?1",
        "ii", segment->stream_id, bytes);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "DELETE FROM volume_total WHERE stream_id = ? AND volume_id = ? AND segments = 1", "ii",
            segment->stream_id, segment->volume_id);
    // No row lies before first_us, so that the search for the next one starts there.
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "UPDATE volume_total SET segments = segments - 1, bytes = bytes - ?3,"
            " first_us = iif(first_us < ?4, first_us, ifnull((SELECT start_us FROM segment"
            "  CROSS JOIN stretch ON stretch.id = stretch_id WHERE segment.stream_id = ?1"
            "  AND start_us > ?4 AND stretch.volume_id = ?2 ORDER BY start_us LIMIT 1), first_us))"
            " WHERE stream_id = ?1 AND volume_id = ?2",
            "iiii", segment->stream_id, segment->volume_id, bytes, segment->start_us);
    return status;
}

// --- Hours ---

struct total_hours {
    int64_t first; // since the epoch
    int64_t covered_us[TOTAL_HOURS_MAX];
};

static void total_cover(struct total_hours *hours, int64_t start_us, int64_t end_us)
{
    while (start_us < end_us) {
        int64_t hour = start_us / CATALOG_HOUR_US;
        int64_t until_us = (hour + 1) * CATALOG_HOUR_US;
        if (until_us > end_us)
            until_us = end_us;
        hours->covered_us[hour - hours->first] += until_us - start_us;
        start_us = until_us;
    }
}

// What the segment covers and no other segment of its stream does. Its own row is not there.
static enum catalog_status total_measure(struct catalog *catalog,
    const struct catalog_segment *segment, struct total_hours *hours, char **cause)
{
    *hours = (struct total_hours){.first = segment->start_us / CATALOG_HOUR_US};
    int64_t at_us = segment->start_us;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_spans_start(
        catalog, &row, segment->stream_id, segment->start_us, segment->end_us, cause);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        int64_t start_us = sqlite3_column_int64(row, 0);
        int64_t end_us = start_us + sqlite3_column_int64(row, 1);
        total_cover(hours, at_us, start_us < segment->end_us ? start_us : segment->end_us);
        at_us = end_us > at_us ? end_us : at_us;
    }
    total_cover(hours, at_us, segment->end_us);
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

// Adds (sign 1) or takes away (sign -1) a segment's share of each hour that it touches. The bytes
// are shared by time, the last hour gets what rounding leaves: computed from the row alone, so that
// taking away is exact.
static enum catalog_status total_rollup(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t sign, char **cause)
{
    struct total_hours hours;
    enum catalog_status status = total_measure(catalog, segment, &hours, cause);
    int64_t duration_us = segment->end_us - segment->start_us;
    int64_t bytes_left = (int64_t)segment->size_bytes;
    for (int64_t at_us = segment->start_us; at_us < segment->end_us && status == CATALOG_OK;) {
        int64_t hour = at_us / CATALOG_HOUR_US;
        int64_t until_us = (hour + 1) * CATALOG_HOUR_US;
        if (until_us > segment->end_us)
            until_us = segment->end_us;
        int64_t bytes = until_us == segment->end_us ? bytes_left
                                                    : time_muldiv((int64_t)segment->size_bytes,
                                                          until_us - at_us, duration_us);
        bytes_left -= bytes;
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO rollup (stream_id, hour, covered_us, bytes) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET covered_us = covered_us + ?3, bytes = bytes + ?4",
            "iiii", segment->stream_id, hour, sign * hours.covered_us[hour - hours.first],
            sign * bytes);
        if (status == CATALOG_OK && sign < 0)
            status = catalog_db_run(&catalog->db, cause,
                "DELETE FROM rollup WHERE stream_id = ? AND hour = ? AND covered_us <= 0", "ii",
                segment->stream_id, hour);
        at_us = until_us;
    }
    return status;
}

enum catalog_status catalog_total_add(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    enum catalog_status status = total_rollup(catalog, segment, 1, cause);
    return status == CATALOG_OK ? total_add_sums(catalog, segment, cause) : status;
}

enum catalog_status catalog_total_remove(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    enum catalog_status status = total_rollup(catalog, segment, -1, cause);
    return status == CATALOG_OK ? total_remove_sums(catalog, segment, cause) : status;
}
