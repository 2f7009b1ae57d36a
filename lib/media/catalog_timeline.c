// Coverage over time. See catalog_timeline.h.
#include "lib/media/catalog_timeline.h"

#include <assert.h>

#include <sqlite3.h>

#include "lib/media/catalog_impl.h"

void catalog_timeline_bounds(int64_t start_us, int64_t end_us, size_t buckets, int64_t *bounds)
{
    int64_t span_us = end_us - start_us;
    bool whole = span_us / (int64_t)buckets >= 2 * CATALOG_HOUR_US;
    for (size_t i = 0; i <= buckets; i++) {
        bounds[i] = start_us + (int64_t)((__int128)span_us * (int64_t)i / (int64_t)buckets);
        if (whole && i > 0 && i < buckets)
            bounds[i] -= bounds[i] % CATALOG_HOUR_US;
    }
}

// --- Filling buckets ---

// Buckets being filled from left to right.
struct timeline_fill {
    const int64_t *bounds;
    size_t count; // of buckets
    int64_t *covered_us;
    size_t at; // no bucket before this is touched any more
};

static void timeline_cover(struct timeline_fill *fill, int64_t start_us, int64_t end_us)
{
    while (fill->at < fill->count && fill->bounds[fill->at + 1] <= start_us)
        fill->at++;
    for (size_t i = fill->at; i < fill->count && fill->bounds[i] < end_us; i++) {
        int64_t from_us = start_us > fill->bounds[i] ? start_us : fill->bounds[i];
        int64_t until_us = end_us < fill->bounds[i + 1] ? end_us : fill->bounds[i + 1];
        if (until_us > from_us)
            fill->covered_us[i] += until_us - from_us;
    }
}

// Whether one bucket holds the hour wholly; it gets the sum then.
static bool timeline_cover_hour(struct timeline_fill *fill, int64_t hour_us, int64_t covered_us)
{
    while (fill->at < fill->count && fill->bounds[fill->at + 1] <= hour_us)
        fill->at++;
    if (fill->at == fill->count || fill->bounds[fill->at] > hour_us ||
        fill->bounds[fill->at + 1] < hour_us + CATALOG_HOUR_US)
        return false;
    fill->covered_us[fill->at] += covered_us;
    return true;
}

// Goes over the segments of a time, a moment once.
static enum catalog_status timeline_cover_rows(struct catalog *catalog, int64_t stream_id,
    struct timeline_fill *fill, int64_t start_us, int64_t end_us, char **cause)
{
    sqlite3_stmt *row;
    int64_t at_us = start_us;
    enum catalog_status status =
        catalog_spans_start(catalog, &row, stream_id, start_us, end_us, cause);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        int64_t from_us = sqlite3_column_int64(row, 0);
        int64_t until_us = from_us + sqlite3_column_int64(row, 1);
        from_us = from_us > at_us ? from_us : at_us;
        until_us = until_us < end_us ? until_us : end_us;
        timeline_cover(fill, from_us, until_us);
        at_us = until_us > at_us ? until_us : at_us;
    }
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_hours_start(struct catalog *catalog, sqlite3_stmt **row,
    int64_t stream_id, int64_t start_us, int64_t end_us, char **cause)
{
    return catalog_db_start(&catalog->db, row, cause,
        "SELECT hour, covered_us FROM rollup WHERE stream_id = ? AND hour >= ? AND hour <= ?"
        " ORDER BY hour",
        "iii", stream_id, start_us / CATALOG_HOUR_US, (end_us - 1) / CATALOG_HOUR_US);
}

enum catalog_status catalog_coverage(struct catalog *catalog, int64_t stream_id,
    const int64_t *bounds, size_t bound_count, int64_t *covered_us, char **cause)
{
    assert(bound_count >= 2);
    struct timeline_fill fill = {
        .bounds = bounds, .count = bound_count - 1, .covered_us = covered_us};
    for (size_t i = 0; i < fill.count; i++)
        covered_us[i] = 0;
    sqlite3_stmt *row;
    enum catalog_status status =
        catalog_hours_start(catalog, &row, stream_id, bounds[0], bounds[bound_count - 1], cause);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        int64_t hour_us = sqlite3_column_int64(row, 0) * CATALOG_HOUR_US;
        int64_t covered = sqlite3_column_int64(row, 1);
        if (timeline_cover_hour(&fill, hour_us, covered))
            continue;
        if (covered == CATALOG_HOUR_US)
            timeline_cover(&fill, hour_us, hour_us + CATALOG_HOUR_US);
        else
            status = timeline_cover_rows(
                catalog, stream_id, &fill, hour_us, hour_us + CATALOG_HOUR_US, cause);
        if (status != CATALOG_OK) {
            catalog_db_end(row);
            return status;
        }
    }
    return status == CATALOG_NONE ? CATALOG_OK : status;
}
