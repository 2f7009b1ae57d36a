// The catalog's segments: rows, searches by time, totals and rollup, garbage. See catalog.h.
#include "lib/media/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_impl.h"

#define US_PER_HOUR (INT64_C(3600) * US_PER_SECOND)

#define CATALOG_TRACK_COLUMNS(kind)                                                                \
    kind "_codec_id, " kind "_timescale, " kind "_start, " kind "_first_presentation, " kind       \
         "_least_composition, " kind "_greatest_composition, " kind "_last_duration, " kind        \
         "_samples, " kind "_syncs, " kind "_chunks, " kind "_stts_entries, " kind                 \
         "_ctts_entries, " kind "_stsc_entries, " kind "_bytes, " kind "_duration"

#define CATALOG_SEGMENT_COLUMNS                                                                    \
    "stream_id, start_us, end_us, run, number, volume_id, size_bytes, media_offset, media_end,"    \
    " utc_offset_s, key, " CATALOG_TRACK_COLUMNS("video") ", " CATALOG_TRACK_COLUMNS("audio")

#define CATALOG_SEGMENT_SELECT                                                                     \
    "SELECT " CATALOG_SEGMENT_COLUMNS ", camera, stream FROM segment"                              \
    " JOIN stream ON stream.id = segment.stream_id"

enum {
    COLUMN_KEY = 10,
    COLUMN_VIDEO = 11,
    COLUMN_TRACK_COUNT = 15,
    COLUMN_AUDIO = COLUMN_VIDEO + COLUMN_TRACK_COUNT,
    COLUMN_CAMERA = COLUMN_AUDIO + COLUMN_TRACK_COUNT,
    COLUMN_STREAM,
};

void catalog_segment_fini(struct catalog_segment *segment)
{
    free(segment->key);
    segment->key = NULL;
}

void catalog_segments_fini(struct catalog_segments *segments)
{
    for (size_t i = 0; i < segments->count; i++)
        catalog_segment_fini(&segments->rows[i]);
    free(segments->rows);
    *segments = (struct catalog_segments){0};
}

static char *catalog_computed_key(
    const struct catalog_segment *segment, const char *camera, const char *stream)
{
    struct segment_id id = {.run = segment->run, .number = segment->number};
    snprintf(id.camera, sizeof(id.camera), "%s", camera);
    snprintf(id.stream, sizeof(id.stream), "%s", stream);
    char key[SEGMENT_KEY_SIZE];
    segment_key_format(&id, segment->start_us, segment->utc_offset_s, key);
    return xstrdup(key);
}

static void catalog_track_read(
    sqlite3_stmt *row, int column, enum media_kind kind, struct catalog_track *track)
{
    int64_t value[COLUMN_TRACK_COUNT];
    for (int i = 0; i < COLUMN_TRACK_COUNT; i++)
        value[i] = sqlite3_column_int64(row, column + i);
    if (value[0] == 0)
        return;
    track->codec_id = value[0];
    track->summary = (struct track_summary){
        .kind = kind,
        .timescale = (uint32_t)value[1],
        .start = value[2],
        .first_presentation = (int32_t)value[3],
        .least_composition = (int32_t)value[4],
        .greatest_composition = (int32_t)value[5],
        .last_duration = (uint32_t)value[6],
        .counts =
            {
                .samples = (uint32_t)value[7],
                .syncs = (uint32_t)value[8],
                .chunks = (uint32_t)value[9],
                .stts_entries = (uint32_t)value[10],
                .ctts_entries = (uint32_t)value[11],
                .stsc_entries = (uint32_t)value[12],
                .bytes = (uint64_t)value[13],
                .duration = (uint64_t)value[14],
            },
    };
}

static void catalog_segment_read(sqlite3_stmt *row, struct catalog_segment *segment)
{
    *segment = (struct catalog_segment){
        .stream_id = sqlite3_column_int64(row, 0),
        .start_us = sqlite3_column_int64(row, 1),
        .end_us = sqlite3_column_int64(row, 2),
        .run = sqlite3_column_int64(row, 3),
        .number = (uint32_t)sqlite3_column_int64(row, 4),
        .volume_id = sqlite3_column_int64(row, 5),
        .size_bytes = (uint64_t)sqlite3_column_int64(row, 6),
        .media_offset = (uint64_t)sqlite3_column_int64(row, 7),
        .media_end = (uint64_t)sqlite3_column_int64(row, 8),
        .utc_offset_s = sqlite3_column_int(row, 9),
    };
    catalog_track_read(row, COLUMN_VIDEO, MEDIA_VIDEO, &segment->video);
    catalog_track_read(row, COLUMN_AUDIO, MEDIA_AUDIO, &segment->audio);
    const char *key = (const char *)sqlite3_column_text(row, COLUMN_KEY);
    segment->key =
        key ? xstrdup(key)
            : catalog_computed_key(segment, (const char *)sqlite3_column_text(row, COLUMN_CAMERA),
                  (const char *)sqlite3_column_text(row, COLUMN_STREAM));
}

// Reads the rows of a started statement to their end.
static enum catalog_status catalog_segments_read(struct catalog *catalog, sqlite3_stmt *row,
    struct catalog_segments *segments, size_t *capacity, char **cause)
{
    enum catalog_status status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(segments->rows, segments->count, *capacity);
        catalog_segment_read(row, &segments->rows[segments->count++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_segments_fini(segments);
    return status;
}

static int64_t catalog_limit(size_t limit)
{
    return limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit;
}

enum catalog_status catalog_segments_in(struct catalog *catalog, int64_t stream_id,
    int64_t start_us, int64_t end_us, int64_t after_us, size_t limit,
    struct catalog_segments *segments, char **cause)
{
    *segments = (struct catalog_segments){0};
    sqlite3_stmt *row;
    // Segments of different runs may overlap, so what reaches into the range may stand well before
    // its last neighbour; but no further than the longest segment is long.
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        CATALOG_SEGMENT_SELECT
        " WHERE stream_id = ?1 AND start_us < ?3 AND start_us > max(?4, ?2 - ifnull((SELECT"
        " longest_us FROM stream_total WHERE stream_total.stream_id = ?1), 0))"
        " AND end_us > ?2 ORDER BY start_us LIMIT ?5",
        "iiiii", stream_id, start_us, end_us, after_us, catalog_limit(limit));
    size_t capacity = 0;
    return status == CATALOG_OK ? catalog_segments_read(catalog, row, segments, &capacity, cause)
                                : status;
}

enum catalog_status catalog_segment_find(struct catalog *catalog, int64_t stream_id, int64_t run,
    uint32_t number, struct catalog_segment *segment, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        CATALOG_SEGMENT_SELECT " WHERE stream_id = ? AND run = ? AND number = ?", "iii", stream_id,
        run, (int64_t)number);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    catalog_segment_read(row, segment);
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_oldest_of_stream(struct catalog *catalog, int64_t stream_id,
    int64_t before_us, size_t limit, struct catalog_segments *segments, char **cause)
{
    *segments = (struct catalog_segments){0};
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        CATALOG_SEGMENT_SELECT " WHERE stream_id = ?1 AND start_us < ?2 AND end_us < ?2"
                               " ORDER BY start_us LIMIT ?3",
        "iii", stream_id, before_us, catalog_limit(limit));
    size_t capacity = 0;
    return status == CATALOG_OK ? catalog_segments_read(catalog, row, segments, &capacity, cause)
                                : status;
}

// --- The oldest of a volume: a merge over the streams, each asked for its next row ---

struct catalog_head {
    int64_t stream_id;
    struct catalog_segment next;
    bool some;
};

static enum catalog_status catalog_head_advance(struct catalog *catalog, int64_t volume_id,
    struct catalog_head *head, int64_t after_us, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        CATALOG_SEGMENT_SELECT " WHERE stream_id = ? AND start_us > ? AND volume_id = ?"
                               " ORDER BY start_us LIMIT 1",
        "iii", head->stream_id, after_us, volume_id);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    head->some = status == CATALOG_OK;
    if (status != CATALOG_OK)
        return status == CATALOG_NONE ? CATALOG_OK : status;
    catalog_segment_read(row, &head->next);
    catalog_db_end(row);
    return CATALOG_OK;
}

static struct catalog_head *catalog_heads_oldest(struct catalog_head *heads, size_t count)
{
    struct catalog_head *oldest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (heads[i].some && (oldest == NULL || heads[i].next.start_us < oldest->next.start_us))
            oldest = &heads[i];
    }
    return oldest;
}

enum catalog_status catalog_oldest_on_volume(struct catalog *catalog, int64_t volume_id,
    size_t limit, struct catalog_segments *segments, char **cause)
{
    *segments = (struct catalog_segments){0};
    struct catalog_stream *streams;
    size_t count, capacity = 0;
    enum catalog_status status = catalog_streams(catalog, &streams, &count, cause);
    if (status != CATALOG_OK)
        return status;
    struct catalog_head *heads = xcalloc(count, sizeof(*heads));
    for (size_t i = 0; i < count && status == CATALOG_OK; i++) {
        heads[i].stream_id = streams[i].id;
        status = catalog_head_advance(catalog, volume_id, &heads[i], INT64_MIN, cause);
    }
    struct catalog_head *oldest = NULL;
    while (status == CATALOG_OK && (limit == 0 || segments->count < limit) &&
           (oldest = catalog_heads_oldest(heads, count)) != NULL) {
        ARRAY_RESERVE(segments->rows, segments->count, capacity);
        segments->rows[segments->count++] = oldest->next;
        oldest->some = false;
        int64_t after_us = oldest->next.start_us;
        status = catalog_head_advance(catalog, volume_id, oldest, after_us, cause);
    }
    for (size_t i = 0; i < count; i++) {
        if (heads[i].some)
            catalog_segment_fini(&heads[i].next);
    }
    free(heads);
    free(streams);
    if (status != CATALOG_OK)
        catalog_segments_fini(segments);
    return status;
}

// --- Totals and rollup ---

// Adds (sign 1) or takes away (sign -1) a segment's share of each hour that it touches. The bytes
// are shared by time, the last hour gets what rounding leaves: computed from the row alone, so that
// taking away is exact.
static enum catalog_status catalog_rollup(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t sign, char **cause)
{
    int64_t duration_us = segment->end_us - segment->start_us;
    int64_t bytes_left = (int64_t)segment->size_bytes;
    enum catalog_status status = CATALOG_OK;
    for (int64_t at_us = segment->start_us; at_us < segment->end_us && status == CATALOG_OK;) {
        int64_t hour = at_us / US_PER_HOUR;
        int64_t until_us = (hour + 1) * US_PER_HOUR;
        if (until_us > segment->end_us)
            until_us = segment->end_us;
        int64_t bytes = until_us == segment->end_us ? bytes_left
                                                    : time_muldiv((int64_t)segment->size_bytes,
                                                          until_us - at_us, duration_us);
        bytes_left -= bytes;
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO rollup (stream_id, hour, covered_us, bytes) VALUES (?1, ?2, ?3, ?4)"
            " ON CONFLICT DO UPDATE SET covered_us = covered_us + ?3, bytes = bytes + ?4",
            "iiii", segment->stream_id, hour, sign * (until_us - at_us), sign * bytes);
        if (status == CATALOG_OK && sign < 0)
            status = catalog_db_run(&catalog->db, cause,
                "DELETE FROM rollup WHERE stream_id = ? AND hour = ? AND covered_us <= 0", "ii",
                segment->stream_id, hour);
        at_us = until_us;
    }
    return status;
}

static enum catalog_status catalog_total_add(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "UPDATE stream_total SET segments = segments + 1, bytes = bytes + ?2,"
        " first_us = min(ifnull(first_us, ?3), ?3), last_us = max(ifnull(last_us, ?4), ?4),"
        " longest_us = max(longest_us, ?4 - ?3) WHERE stream_id = ?1",
        "iiii", segment->stream_id, (int64_t)segment->size_bytes, segment->start_us,
        segment->end_us);
}

// The row is gone already. The last end lies on a row that starts within the longest duration of
// the last start.
static enum catalog_status catalog_total_remove(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "UPDATE stream_total SET segments = segments - 1, bytes = bytes - ?2,"
        " first_us = (SELECT min(start_us) FROM segment WHERE stream_id = ?1),"
        " last_us = (SELECT max(end_us) FROM segment WHERE stream_id = ?1 AND start_us >="
        "  (SELECT max(start_us) FROM segment WHERE stream_id = ?1) - stream_total.longest_us)"
        " WHERE stream_id = ?1",
        "ii", segment->stream_id, (int64_t)segment->size_bytes);
}

// --- Writing ---

static void catalog_track_bind(sqlite3_stmt *row, int column, const struct catalog_track *track)
{
    if (track->codec_id == 0)
        return;
    const struct track_summary *summary = &track->summary;
    const struct track_counts *counts = &summary->counts;
    const int64_t value[COLUMN_TRACK_COUNT] = {track->codec_id, summary->timescale, summary->start,
        summary->first_presentation, summary->least_composition, summary->greatest_composition,
        summary->last_duration, counts->samples, counts->syncs, counts->chunks,
        counts->stts_entries, counts->ctts_entries, counts->stsc_entries, (int64_t)counts->bytes,
        (int64_t)counts->duration};
    for (int i = 0; i < COLUMN_TRACK_COUNT; i++)
        sqlite3_bind_int64(row, column + i + 1, value[i]);
}

static enum catalog_status catalog_segment_insert(
    struct catalog *catalog, const struct catalog_segment *segment, const char *key, char **cause)
{
    static const char sql[] =
        "INSERT INTO segment (" CATALOG_SEGMENT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " ?)";
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause, sql, NULL);
    if (status != CATALOG_OK)
        return status;
    const int64_t value[COLUMN_KEY] = {segment->stream_id, segment->start_us, segment->end_us,
        segment->run, segment->number, segment->volume_id, (int64_t)segment->size_bytes,
        (int64_t)segment->media_offset, (int64_t)segment->media_end, segment->utc_offset_s};
    for (int i = 0; i < COLUMN_KEY; i++)
        sqlite3_bind_int64(row, i + 1, value[i]);
    if (key != NULL)
        sqlite3_bind_text(row, COLUMN_KEY + 1, key, -1, SQLITE_STATIC);
    catalog_track_bind(row, COLUMN_VIDEO, &segment->video);
    catalog_track_bind(row, COLUMN_AUDIO, &segment->audio);
    status = catalog_db_step(&catalog->db, row, cause);
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

// Moves the start on until it is free.
static enum catalog_status catalog_segment_fit(
    struct catalog *catalog, struct catalog_segment *segment, char **cause)
{
    enum catalog_status status;
    int64_t found;
    while ((status = catalog_db_integer(&catalog->db, &found, cause,
                "SELECT 1 FROM segment WHERE stream_id = ? AND start_us = ?", "ii",
                segment->stream_id, segment->start_us)) == CATALOG_OK)
        segment->start_us++;
    if (segment->end_us <= segment->start_us)
        segment->end_us = segment->start_us + 1;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

// The key to store: NULL where the computed one is right.
static enum catalog_status catalog_segment_key(
    struct catalog *catalog, const struct catalog_segment *segment, const char **key, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT camera, stream FROM stream WHERE id = ?", "i", segment->stream_id);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status == CATALOG_NONE)
        *cause = xasprintf("%s: there is no stream %" PRId64, catalog->db.path, segment->stream_id);
    if (status != CATALOG_OK)
        return CATALOG_ERROR;
    char *computed = catalog_computed_key(segment, (const char *)sqlite3_column_text(row, 0),
        (const char *)sqlite3_column_text(row, 1));
    catalog_db_end(row);
    *key = strcmp(computed, segment->key) == 0 ? NULL : segment->key;
    free(computed);
    return CATALOG_OK;
}

static enum catalog_status catalog_segment_check(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    if (segment->end_us - segment->start_us > CATALOG_DURATION_US_MAX || segment->start_us < 0 ||
        segment->end_us < segment->start_us || segment->size_bytes > INT64_MAX) {
        *cause = xasprintf("%s: a segment from %" PRId64 " to %" PRId64 " of %" PRIu64
                           " bytes can not be right",
            catalog->db.path, segment->start_us, segment->end_us, segment->size_bytes);
        return CATALOG_ERROR;
    }
    int64_t found;
    enum catalog_status status = catalog_db_integer(&catalog->db, &found, cause,
        "SELECT 1 FROM segment WHERE stream_id = ? AND run = ? AND number = ?", "iii",
        segment->stream_id, segment->run, (int64_t)segment->number);
    return status == CATALOG_OK ? CATALOG_NONE : status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_segment_add(
    struct catalog *catalog, struct catalog_segment *segment, char **cause)
{
    *cause = NULL;
    const char *key = NULL;
    enum catalog_status status = catalog_segment_check(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_fit(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_key(catalog, segment, &key, cause);
    if (status == CATALOG_OK)
        status = catalog_segment_insert(catalog, segment, key, cause);
    if (status == CATALOG_OK)
        status = catalog_total_add(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = catalog_rollup(catalog, segment, 1, cause);
    return status;
}

enum catalog_status catalog_segment_discard(struct catalog *catalog,
    const struct catalog_segment *segment, const char *reason, char **cause)
{
    *cause = NULL;
    // The row as it stands counts, not the caller's copy.
    struct catalog_segment row;
    enum catalog_status status = catalog_segment_find(
        catalog, segment->stream_id, segment->run, segment->number, &row, cause);
    if (status != CATALOG_OK)
        return status;
    status = catalog_db_run(&catalog->db, cause,
        "DELETE FROM segment WHERE stream_id = ? AND start_us = ?", "ii", row.stream_id,
        row.start_us);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO garbage (volume_id, key, bytes, reason) VALUES (?, ?, ?, ?)", "itit",
            row.volume_id, row.key, (int64_t)row.size_bytes, reason);
    if (status == CATALOG_OK)
        status = catalog_total_remove(catalog, &row, cause);
    if (status == CATALOG_OK)
        status = catalog_rollup(catalog, &row, -1, cause);
    catalog_segment_fini(&row);
    return status;
}

// --- Garbage ---

void catalog_garbage_free(struct catalog_garbage *garbage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(garbage[i].key);
    free(garbage);
}

enum catalog_status catalog_garbage_list(
    struct catalog *catalog, struct catalog_garbage **garbage, size_t *count, char **cause)
{
    *garbage = NULL;
    *count = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, "SELECT id, volume_id, key, bytes FROM garbage ORDER BY id", "");
    if (status != CATALOG_OK)
        return status;
    size_t capacity = 0;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*garbage, *count, capacity);
        (*garbage)[(*count)++] = (struct catalog_garbage){
            .id = sqlite3_column_int64(row, 0),
            .volume_id = sqlite3_column_int64(row, 1),
            .key = xstrdup((const char *)sqlite3_column_text(row, 2)),
            .bytes = (uint64_t)sqlite3_column_int64(row, 3),
        };
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_garbage_free(*garbage, *count);
    *garbage = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_garbage_done(struct catalog *catalog, int64_t id, char **cause)
{
    return catalog_db_run(&catalog->db, cause, "DELETE FROM garbage WHERE id = ?", "i", id);
}
