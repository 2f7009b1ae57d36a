// Where there is no footage, and why. See catalog_timeline.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"
#include "lib/media/catalog_outage.h"
#include "lib/media/catalog_timeline.h"

struct gap_walk {
    struct catalog *catalog;
    int64_t stream_id;
    int64_t at_us;  // all before it is settled
    int64_t end_us; // of the range
    int64_t least_us;
    size_t limit;
    struct catalog_gap *gaps;
    size_t count;
    size_t capacity;
};

static bool gap_walk_full(const struct gap_walk *walk)
{
    return walk->limit > 0 && walk->count == walk->limit;
}

// Footage from start to end is met: what lies before it is a gap. Returns false when there is room
// for no further one.
static bool gap_walk_meet(struct gap_walk *walk, int64_t start_us, int64_t end_us)
{
    if (start_us > walk->end_us)
        start_us = walk->end_us;
    if (start_us - walk->at_us >= walk->least_us && start_us > walk->at_us) {
        if (gap_walk_full(walk))
            return false;
        ARRAY_RESERVE(walk->gaps, walk->count, walk->capacity);
        walk->gaps[walk->count++] =
            (struct catalog_gap){.start_us = walk->at_us, .end_us = start_us};
    }
    if (end_us > walk->at_us)
        walk->at_us = end_us;
    return true;
}

// Goes over the segments of an hour of which so much is missing, until all of that is found.
// Returns CATALOG_NONE when there is no more room.
static enum catalog_status gap_walk_rows(
    struct gap_walk *walk, int64_t hour_us, int64_t missing_us, char **cause)
{
    sqlite3_stmt *row;
    int64_t end_us = hour_us + CATALOG_HOUR_US, covered_to_us = hour_us;
    enum catalog_status status =
        catalog_spans_start(walk->catalog, &row, walk->stream_id, hour_us, end_us, cause);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&walk->catalog->db, row, cause)) == CATALOG_OK) {
        int64_t from_us = sqlite3_column_int64(row, 0);
        int64_t until_us = from_us + sqlite3_column_int64(row, 1);
        bool room = gap_walk_meet(walk, from_us, until_us);
        if (from_us > covered_to_us)
            missing_us -= from_us - covered_to_us;
        if (until_us > covered_to_us)
            covered_to_us = until_us;
        if (room && missing_us > 0)
            continue;
        catalog_db_end(row);
        return room && gap_walk_meet(walk, covered_to_us, end_us) ? CATALOG_OK : CATALOG_NONE;
    }
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

// One hour of the rollup.
struct gap_hour {
    int64_t start_us;
    int64_t covered_us;
};

// Whether there is footage in the hour before or behind another one, and so a moment of both that
// bounds every gap between.
static bool gap_hour_follows(const struct gap_hour *hour, const struct gap_hour *next)
{
    return hour->covered_us > 0 && next->covered_us > 0 &&
           hour->start_us + CATALOG_HOUR_US == next->start_us;
}

// Meets an hour. Its segments are looked at only where that matters: not where all is covered, and
// not where only gaps are wanted that are longer than it could be part of, between two neighbours
// with footage. Returns CATALOG_NONE when there is no more room.
static enum catalog_status gap_walk_hour(
    struct gap_walk *walk, const struct gap_hour *hour, bool is_inner, char **cause)
{
    int64_t missing_us = CATALOG_HOUR_US - hour->covered_us;
    bool is_short = is_inner && walk->least_us >= 2 * CATALOG_HOUR_US;
    if (missing_us > 0 && !is_short)
        return gap_walk_rows(walk, hour->start_us, missing_us, cause);
    return gap_walk_meet(walk, hour->start_us, hour->start_us + CATALOG_HOUR_US) ? CATALOG_OK
                                                                                 : CATALOG_NONE;
}

// Hour by hour, one behind the query, so that each one's neighbours are known. Returns
// CATALOG_NONE when there is no more room.
static enum catalog_status gap_walk_hours(struct gap_walk *walk, char **cause)
{
    sqlite3_stmt *row;
    struct gap_hour before = {0}, hour = {0}, next;
    bool is_first = true;
    enum catalog_status status =
        catalog_hours_start(walk->catalog, &row, walk->stream_id, walk->at_us, walk->end_us, cause);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&walk->catalog->db, row, cause)) == CATALOG_OK) {
        next.start_us = sqlite3_column_int64(row, 0) * CATALOG_HOUR_US;
        next.covered_us = sqlite3_column_int64(row, 1);
        if (!is_first)
            status = gap_walk_hour(walk, &hour,
                gap_hour_follows(&before, &hour) && gap_hour_follows(&hour, &next), cause);
        if (status != CATALOG_OK) {
            catalog_db_end(row);
            return status;
        }
        before = hour;
        hour = next;
        is_first = false;
    }
    if (status == CATALOG_NONE)
        status = is_first ? CATALOG_OK : gap_walk_hour(walk, &hour, false, cause);
    return status;
}

// --- Causes ---

static int64_t gap_overlap_us(const struct catalog_gap *gap, const struct catalog_outage *outage)
{
    int64_t start_us = outage->start_us > gap->start_us ? outage->start_us : gap->start_us;
    int64_t end_us =
        outage->end_us != 0 && outage->end_us < gap->end_us ? outage->end_us : gap->end_us;
    return end_us - start_us;
}

// Both ascend; one that ends before a gap explains no later one.
static void gaps_explain(struct catalog_gap *gaps, size_t count,
    const struct catalog_outage *outages, size_t outage_count)
{
    size_t first = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t most_us = 0;
        while (first < outage_count && outages[first].end_us != 0 &&
               outages[first].end_us <= gaps[i].start_us)
            first++;
        for (size_t j = first; j < outage_count && outages[j].start_us < gaps[i].end_us; j++) {
            int64_t overlap_us = gap_overlap_us(&gaps[i], &outages[j]);
            if (overlap_us <= most_us)
                continue;
            most_us = overlap_us;
            memcpy(gaps[i].reason, outages[j].reason, sizeof(gaps[i].reason));
            memcpy(gaps[i].detail, outages[j].detail, sizeof(gaps[i].detail));
        }
    }
}

// What explains the gaps: outages, and files that are missing. Ascending by start.
static int gap_compare_outages(const void *left, const void *right)
{
    int64_t a = ((const struct catalog_outage *)left)->start_us;
    int64_t b = ((const struct catalog_outage *)right)->start_us;
    return a < b ? -1 : a > b;
}

static enum catalog_status gap_causes(
    const struct gap_walk *walk, struct catalog_outage **outages, size_t *count, char **cause)
{
    int64_t start_us = walk->gaps[0].start_us, end_us = walk->gaps[walk->count - 1].end_us;
    enum catalog_status status = catalog_outages_in(
        walk->catalog, walk->stream_id, start_us, end_us, 0, outages, count, cause);
    size_t before = *count;
    if (status == CATALOG_OK)
        status = catalog_missing_in(
            walk->catalog, walk->stream_id, start_us, end_us, outages, count, cause);
    if (*count > before && before > 0)
        qsort(*outages, *count, sizeof(**outages), gap_compare_outages);
    return status;
}

// The stream's first and last moment; *goes_on: an outage has begun since.
static enum catalog_status gap_limits(struct catalog *catalog, int64_t stream_id, int64_t *first_us,
    int64_t *last_us, bool *goes_on, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT ifnull(first_us, (SELECT min(start_us) FROM outage WHERE stream_id = ?1)),"
        " ifnull(last_us, 0), (SELECT end_us IS NULL FROM outage WHERE stream_id = ?1"
        "  ORDER BY start_us DESC LIMIT 1)"
        " FROM stream_total WHERE stream_id = ?1",
        "i", stream_id);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    *first_us =
        sqlite3_column_type(row, 0) == SQLITE_NULL ? INT64_MAX : sqlite3_column_int64(row, 0);
    *last_us = sqlite3_column_int64(row, 1);
    *goes_on = sqlite3_column_int(row, 2);
    catalog_db_end(row);
    return CATALOG_OK;
}

static enum catalog_status gap_walk_all(struct gap_walk *walk, int64_t *next_us, char **cause)
{
    int64_t first_us, last_us;
    bool goes_on;
    enum catalog_status status =
        gap_limits(walk->catalog, walk->stream_id, &first_us, &last_us, &goes_on, cause);
    if (status != CATALOG_OK)
        return status;
    if (walk->at_us < first_us)
        walk->at_us = first_us;
    if (!goes_on && walk->end_us > last_us)
        walk->end_us = last_us;
    if (walk->at_us < walk->end_us)
        status = gap_walk_hours(walk, cause);
    if (status == CATALOG_OK && !gap_walk_meet(walk, walk->end_us, walk->end_us))
        status = CATALOG_NONE;
    if (status == CATALOG_NONE)
        *next_us = walk->at_us;
    return status;
}

enum catalog_status catalog_gaps(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, int64_t least_us, size_t limit, struct catalog_gap **gaps, size_t *count,
    int64_t *next_us, char **cause)
{
    struct gap_walk walk = {catalog, stream_id, start_us, end_us, least_us, limit, NULL, 0, 0};
    *gaps = NULL;
    *count = 0;
    *next_us = 0;
    enum catalog_status status = gap_walk_all(&walk, next_us, cause);
    struct catalog_outage *outages = NULL;
    size_t outage_count = 0;
    if (status == CATALOG_NONE)
        status = CATALOG_OK;
    if (status == CATALOG_OK && walk.count > 0)
        status = gap_causes(&walk, &outages, &outage_count, cause);
    if (status != CATALOG_OK) {
        free(outages);
        free(walk.gaps);
        return status;
    }
    gaps_explain(walk.gaps, walk.count, outages, outage_count);
    free(outages);
    *gaps = walk.gaps;
    *count = walk.count;
    return CATALOG_OK;
}
