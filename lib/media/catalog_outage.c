// Outages, as they follow from runs and segments. See catalog_outage.h.
#include "lib/media/catalog_outage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

// Reasons of an end after which nothing is tried until somebody wants it again.
#define OUTAGE_OFF "('removed', 'disabled')"

static bool outage_is_off(const char *reason)
{
    return strcmp(reason, "removed") == 0 || strcmp(reason, "disabled") == 0;
}

// --- Reading ---

#define OUTAGE_SELECT                                                                              \
    "SELECT run, start_us, ifnull(end_us, 0), reason, detail, attempts, last_reason, last_detail"  \
    " FROM outage"

static void outage_read(sqlite3_stmt *row, int64_t stream_id, struct catalog_outage *outage)
{
    *outage = (struct catalog_outage){
        .stream_id = stream_id,
        .run = sqlite3_column_int64(row, 0),
        .start_us = sqlite3_column_int64(row, 1),
        .end_us = sqlite3_column_int64(row, 2),
        .attempts = (uint64_t)sqlite3_column_int64(row, 5),
    };
    snprintf(outage->reason, sizeof(outage->reason), "%s", sqlite3_column_text(row, 3));
    snprintf(outage->detail, sizeof(outage->detail), "%s", sqlite3_column_text(row, 4));
    snprintf(outage->last_reason, sizeof(outage->last_reason), "%s", sqlite3_column_text(row, 6));
    snprintf(outage->last_detail, sizeof(outage->last_detail), "%s", sqlite3_column_text(row, 7));
}

enum catalog_status catalog_outages_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, size_t limit, struct catalog_outage **outages, size_t *count, char **cause)
{
    *outages = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    // Outages of a stream do not overlap, so that only the last one before the range reaches in.
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        OUTAGE_SELECT
        " WHERE stream_id = ?1 AND start_us < ?3 AND start_us >= ifnull((SELECT max(start_us)"
        " FROM outage WHERE stream_id = ?1 AND start_us <= ?2), ?2)"
        " AND (end_us IS NULL OR end_us > ?2) ORDER BY start_us LIMIT ?4",
        "iiii", stream_id, start_us, end_us, catalog_limit(limit));
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*outages, *count, capacity);
        outage_read(row, stream_id, &(*outages)[(*count)++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*outages);
    *outages = NULL;
    *count = 0;
    return status;
}

// The outage that began with the last run up to this one.
static enum catalog_status outage_last(struct catalog *catalog, int64_t stream_id, int64_t run,
    struct catalog_outage *outage, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        OUTAGE_SELECT " WHERE stream_id = ? AND run <= ? ORDER BY run DESC LIMIT 1", "ii",
        stream_id, run);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    outage_read(row, stream_id, outage);
    catalog_db_end(row);
    return CATALOG_OK;
}

// --- Writing ---

static enum catalog_status outage_remove(
    struct catalog *catalog, int64_t stream_id, int64_t run, char **cause)
{
    return catalog_db_run(&catalog->db, cause, "DELETE FROM outage WHERE stream_id = ? AND run = ?",
        "ii", stream_id, run);
}

enum catalog_status catalog_outage_put(
    struct catalog *catalog, const struct catalog_outage *outage, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "INSERT OR REPLACE INTO outage (stream_id, run, start_us, end_us, reason, detail, attempts,"
        " last_reason, last_detail) VALUES (?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?)",
        "iiiittitt", outage->stream_id, outage->run, outage->start_us, outage->end_us,
        outage->reason, outage->detail, (int64_t)outage->attempts, outage->last_reason,
        outage->last_detail);
}

enum catalog_status catalog_outages_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "DELETE FROM outage WHERE stream_id = ?1 AND start_us < ?2 AND end_us < ?2", "ii",
        stream_id, before_us);
}

// --- What follows from the runs ---

// The last run up to `run` that had footage, or after which nothing was tried, as the outage that
// its end began. CATALOG_NONE: there is no such run.
static enum catalog_status outage_after(struct catalog *catalog, int64_t stream_id, int64_t run,
    struct catalog_outage *outage, bool *lives, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT run, ifnull(footage_end_us, end_us), end_us IS NULL, reason, detail FROM run"
        " WHERE stream_id = ? AND run <= ? AND (footage_start_us IS NOT NULL"
        " OR (end_us IS NOT NULL AND reason IN " OUTAGE_OFF ")) ORDER BY run DESC LIMIT 1",
        "ii", stream_id, run);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    *outage = (struct catalog_outage){
        .stream_id = stream_id,
        .run = sqlite3_column_int64(row, 0),
        .start_us = sqlite3_column_int64(row, 1),
    };
    *lives = sqlite3_column_int(row, 2);
    snprintf(outage->reason, sizeof(outage->reason), "%s", sqlite3_column_text(row, 3));
    snprintf(outage->detail, sizeof(outage->detail), "%s", sqlite3_column_text(row, 4));
    catalog_db_end(row);
    return CATALOG_OK;
}

// Where nothing was tried for a while, the first attempt up to `run` after that begins an outage of
// its own, which takes *outage's place. CATALOG_NONE: there is no such attempt.
static enum catalog_status outage_tried_again(
    struct catalog *catalog, int64_t run, struct catalog_outage *outage, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT run, start_us, reason, detail FROM run WHERE stream_id = ? AND run > ?"
        " AND run <= ? AND end_us IS NOT NULL ORDER BY run LIMIT 1",
        "iii", outage->stream_id, outage->run, run);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    outage->run = sqlite3_column_int64(row, 0);
    outage->start_us = sqlite3_column_int64(row, 1);
    snprintf(outage->reason, sizeof(outage->reason), "%s", sqlite3_column_text(row, 2));
    snprintf(outage->detail, sizeof(outage->detail), "%s", sqlite3_column_text(row, 3));
    catalog_db_end(row);
    return CATALOG_OK;
}

// The next run with footage ends it, or the end of one after which nothing is tried; where nothing
// was tried, the next attempt does.
static enum catalog_status outage_find_end(
    struct catalog *catalog, struct catalog_outage *outage, int64_t *next_run, char **cause)
{
    sqlite3_stmt *row;
    *next_run = INT64_MAX;
    outage->end_us = 0;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT run, ifnull(footage_start_us, iif(reason IN " OUTAGE_OFF ", end_us, start_us))"
        " FROM run WHERE stream_id = ?1 AND run > ?2 AND (footage_start_us IS NOT NULL"
        " OR (end_us IS NOT NULL AND (?3 OR reason IN " OUTAGE_OFF "))) ORDER BY run LIMIT 1",
        "iii", outage->stream_id, outage->run, (int64_t)outage_is_off(outage->reason));
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status == CATALOG_NONE ? CATALOG_OK : status;
    *next_run = sqlite3_column_int64(row, 0);
    outage->end_us = sqlite3_column_int64(row, 1);
    catalog_db_end(row);
    return CATALOG_OK;
}

// Counts the attempts from its own run, where that delivered nothing, to the run that ended it.
static enum catalog_status outage_count(
    struct catalog *catalog, struct catalog_outage *outage, int64_t next_run, char **cause)
{
    int64_t attempts = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_integer(&catalog->db, &attempts, cause,
        "SELECT count(*) FROM run WHERE stream_id = ? AND run >= ? AND run < ?"
        " AND end_us IS NOT NULL AND footage_start_us IS NULL AND reason NOT IN " OUTAGE_OFF,
        "iii", outage->stream_id, outage->run, next_run);
    outage->attempts = (uint64_t)attempts;
    outage->last_reason[0] = outage->last_detail[0] = '\0';
    if (status != CATALOG_OK || attempts == 0)
        return status;
    status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT reason, detail FROM run WHERE stream_id = ? AND run >= ? AND run < ?"
        " AND end_us IS NOT NULL AND footage_start_us IS NULL AND reason NOT IN " OUTAGE_OFF
        " ORDER BY run DESC LIMIT 1",
        "iii", outage->stream_id, outage->run, next_run);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    snprintf(outage->last_reason, sizeof(outage->last_reason), "%s", sqlite3_column_text(row, 0));
    snprintf(outage->last_detail, sizeof(outage->last_detail), "%s", sqlite3_column_text(row, 1));
    catalog_db_end(row);
    return CATALOG_OK;
}

// Which outage `run` began or belongs to; its end is not known yet. CATALOG_NONE: there is none.
static enum catalog_status outage_find(struct catalog *catalog, int64_t stream_id, int64_t run,
    const struct catalog_run *attempt, struct catalog_outage *outage, char **cause)
{
    bool lives = false;
    enum catalog_status status = outage_after(catalog, stream_id, run, outage, &lives, cause);
    if (status == CATALOG_OK && lives)
        return CATALOG_NONE;
    if (status == CATALOG_OK && outage_is_off(outage->reason)) {
        status = outage_tried_again(catalog, run, outage, cause);
        return status == CATALOG_NONE ? CATALOG_OK : status;
    }
    if (status == CATALOG_NONE)
        status = outage_last(catalog, stream_id, run, outage, cause);
    if (status != CATALOG_NONE || attempt == NULL)
        return status;
    *outage =
        (struct catalog_outage){.stream_id = stream_id, .run = run, .start_us = attempt->start_us};
    snprintf(outage->reason, sizeof(outage->reason), "%s", attempt->reason);
    snprintf(outage->detail, sizeof(outage->detail), "%s", attempt->detail);
    return CATALOG_OK;
}

// Works out anew the outage that `run` began or belongs to. `attempt` begins one where nothing was
// ever recorded; without it there is none then. *next_run: what has ended it, INT64_MAX if nothing.
static enum catalog_status outage_renew(struct catalog *catalog, int64_t stream_id, int64_t run,
    const struct catalog_run *attempt, int64_t *next_run, char **cause)
{
    struct catalog_outage outage;
    *next_run = INT64_MAX;
    enum catalog_status status = outage_find(catalog, stream_id, run, attempt, &outage, cause);
    if (status != CATALOG_OK)
        return status == CATALOG_NONE ? CATALOG_OK : status;
    status = outage_find_end(catalog, &outage, next_run, cause);
    // What began with an attempt belongs to this one.
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "DELETE FROM outage WHERE stream_id = ? AND run > ? AND run < ?", "iii", stream_id,
            outage.run, *next_run);
    if (status == CATALOG_OK && outage.end_us != 0 && outage.end_us <= outage.start_us)
        return outage_remove(catalog, stream_id, outage.run, cause);
    if (status == CATALOG_OK)
        status = outage_count(catalog, &outage, *next_run, cause);
    return status == CATALOG_OK ? catalog_outage_put(catalog, &outage, cause) : status;
}

// The outage before a run, the one that it began or belongs to, and the one after it: where it is
// told late, the others may have been taken for one.
static enum catalog_status outage_renew_around(
    struct catalog *catalog, const struct catalog_run *run, char **cause)
{
    int64_t next_run;
    enum catalog_status status =
        outage_renew(catalog, run->stream_id, run->run - 1, NULL, &next_run, cause);
    if (status == CATALOG_OK)
        status = outage_renew(catalog, run->stream_id, run->run, run, &next_run, cause);
    if (status == CATALOG_OK && next_run != INT64_MAX)
        status = outage_renew(catalog, run->stream_id, next_run, NULL, &next_run, cause);
    return status;
}

// Counts one more attempt in the outage that goes on, without counting them all. CATALOG_NONE: that
// is not what has happened.
static enum catalog_status outage_attempt(
    struct catalog *catalog, const struct catalog_run *run, char **cause)
{
    struct catalog_outage last;
    int64_t found;
    if (outage_is_off(run->reason))
        return CATALOG_NONE;
    enum catalog_status status = catalog_db_integer(&catalog->db, &found, cause,
        "SELECT 1 FROM run WHERE stream_id = ?1 AND run >= ?2 AND footage_start_us IS NOT NULL"
        " UNION ALL SELECT 1 FROM run WHERE stream_id = ?1 AND run > ?2",
        "ii", run->stream_id, run->run);
    if (status != CATALOG_NONE)
        return status == CATALOG_OK ? CATALOG_NONE : status;
    status = outage_last(catalog, run->stream_id, run->run - 1, &last, cause);
    if (status != CATALOG_OK || last.end_us != 0 || outage_is_off(last.reason))
        return status == CATALOG_OK ? CATALOG_NONE : status;
    last.attempts++;
    snprintf(last.last_reason, sizeof(last.last_reason), "%s", run->reason);
    snprintf(last.last_detail, sizeof(last.last_detail), "%s", run->detail);
    return catalog_outage_put(catalog, &last, cause);
}

enum catalog_status catalog_outage_run_ended(
    struct catalog *catalog, const struct catalog_run *run, char **cause)
{
    enum catalog_status status = outage_attempt(catalog, run, cause);
    return status == CATALOG_NONE ? outage_renew_around(catalog, run, cause) : status;
}

enum catalog_status catalog_outage_footage(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "UPDATE run SET footage_start_us = min(ifnull(footage_start_us, ?3), ?3),"
        " footage_end_us = max(ifnull(footage_end_us, ?4), ?4), end_us = iif(end_us IS NULL, NULL,"
        " max(end_us, ?4)) WHERE stream_id = ?1 AND run = ?2"
        " RETURNING footage_start_us = ?3, end_us IS NOT NULL",
        "iiii", segment->stream_id, segment->run, segment->start_us, segment->end_us);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status == CATALOG_NONE ? CATALOG_OK : status;
    bool first = sqlite3_column_int(row, 0), over = sqlite3_column_int(row, 1);
    int64_t next_run;
    catalog_db_end(row);
    // Footage of a run ends the outage before it, and moves the start of the one after it.
    if (first)
        status =
            outage_renew(catalog, segment->stream_id, segment->run - 1, NULL, &next_run, cause);
    if (status == CATALOG_OK && over)
        status = outage_renew(catalog, segment->stream_id, segment->run, NULL, &next_run, cause);
    return status;
}

// --- Streams that are not to be recorded ---

enum catalog_status catalog_outages_failing(
    struct catalog *catalog, struct catalog_stream **streams, size_t *count, char **cause)
{
    *streams = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT id, camera, stream FROM stream WHERE (SELECT end_us IS NULL AND reason NOT "
        "IN " OUTAGE_OFF " FROM outage WHERE stream_id = stream.id ORDER BY start_us DESC LIMIT 1)",
        "");
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*streams, *count, capacity);
        struct catalog_stream *stream = &(*streams)[(*count)++];
        *stream = (struct catalog_stream){.id = sqlite3_column_int64(row, 0)};
        snprintf(stream->camera, sizeof(stream->camera), "%s", sqlite3_column_text(row, 1));
        snprintf(stream->stream, sizeof(stream->stream), "%s", sqlite3_column_text(row, 2));
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*streams);
    *streams = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_outage_off(
    struct catalog *catalog, int64_t stream_id, const char *reason, int64_t now_us, char **cause)
{
    struct catalog_outage last;
    enum catalog_status status = outage_last(catalog, stream_id, INT64_MAX, &last, cause);
    if (status != CATALOG_OK || last.end_us != 0 || outage_is_off(last.reason))
        return status == CATALOG_NONE ? CATALOG_OK : status;
    // A run of no length, so that the boundary stands wherever outages are worked out from runs.
    struct catalog_run off = {.stream_id = stream_id, .start_us = now_us, .end_us = now_us};
    snprintf(off.reason, sizeof(off.reason), "%s", reason);
    status = catalog_db_integer(&catalog->db, &off.run, cause,
        "SELECT max(?2, ifnull((SELECT max(run) FROM run WHERE stream_id = ?1), 0) + 1)", "ii",
        stream_id, now_us / 1000);
    return status == CATALOG_OK ? catalog_run_put(catalog, &off, cause) : status;
}
