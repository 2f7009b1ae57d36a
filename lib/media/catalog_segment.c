// The catalog's segments: rows, searches by time and by identity. See catalog.h.
#include "lib/media/catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_impl.h"
#include "lib/media/catalog_missing.h"
#include "lib/media/catalog_tracks.h"

// The joins are crossed so that the rows of `segment` are found by the search alone.
#define SEGMENT_COLUMNS                                                                            \
    "SELECT segment.stream_id, segment.start_us, duration_us, run, first_number + nth, volume_id," \
    " size_bytes, media_offset, utc_offset_s, video_codec_id, video_timescale, audio_codec_id,"    \
    " audio_timescale, packed, key, camera, stream"

#define SEGMENT_NAMES                                                                              \
    " CROSS JOIN stream ON stream.id = segment.stream_id LEFT JOIN segment_key"                    \
    " ON segment_key.stream_id = segment.stream_id AND segment_key.start_us = segment.start_us"

#define SEGMENT_SELECT                                                                             \
    SEGMENT_COLUMNS " FROM segment CROSS JOIN stretch ON stretch.id = stretch_id" SEGMENT_NAMES

enum {
    COLUMN_VIDEO = 9,
    COLUMN_AUDIO = 11,
    COLUMN_PACKED = 13,
    COLUMN_KEY,
    COLUMN_CAMERA,
    COLUMN_STREAM,

    SEGMENT_DAMAGED_TOLD = 20,
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

int64_t catalog_limit(size_t limit)
{
    return limit == 0 || limit > INT64_MAX ? -1 : (int64_t)limit;
}

// --- Reading a row ---

static char *segment_computed_key(
    const struct catalog_segment *segment, const char *camera, const char *stream)
{
    struct segment_id id = {.run = segment->run, .number = segment->number};
    snprintf(id.camera, sizeof(id.camera), "%s", camera);
    snprintf(id.stream, sizeof(id.stream), "%s", stream);
    char key[SEGMENT_KEY_SIZE];
    segment_key_format(&id, segment->start_us, segment->utc_offset_s, key);
    return xstrdup(key);
}

// Told of the first ones that a handle meets: a page that is looked at would tell them all the
// time.
static void segment_damaged(
    struct catalog *catalog, sqlite3_stmt *row, const struct catalog_segment *segment)
{
    if (catalog->damaged++ < SEGMENT_DAMAGED_TOLD)
        log_err("the catalog's row of %s/%s/%" PRId64 "-%06" PRIu32
                " is damaged: its file stays, but can not be played",
            sqlite3_column_text(row, COLUMN_CAMERA), sqlite3_column_text(row, COLUMN_STREAM),
            segment->run, segment->number);
    else if (catalog->damaged == SEGMENT_DAMAGED_TOLD + 1)
        log_err("%s: more rows are damaged, which are not told any more", catalog->db.path);
}

static void segment_read_tracks(sqlite3_stmt *row, struct catalog_segment *segment, bool *damaged)
{
    segment->video.codec_id = sqlite3_column_int64(row, COLUMN_VIDEO);
    segment->video.summary.timescale = (uint32_t)sqlite3_column_int64(row, COLUMN_VIDEO + 1);
    segment->audio.codec_id = sqlite3_column_int64(row, COLUMN_AUDIO);
    segment->audio.summary.timescale = (uint32_t)sqlite3_column_int64(row, COLUMN_AUDIO + 1);
    const void *packed = sqlite3_column_blob(row, COLUMN_PACKED);
    size_t size = (size_t)sqlite3_column_bytes(row, COLUMN_PACKED);
    *damaged = catalog_tracks_decode(segment, packed, size) < 0;
}

static void segment_read(
    struct catalog *catalog, sqlite3_stmt *row, struct catalog_segment *segment)
{
    bool damaged;
    int64_t start_us = sqlite3_column_int64(row, 1);
    *segment = (struct catalog_segment){
        .stream_id = sqlite3_column_int64(row, 0),
        .start_us = start_us,
        .end_us = (int64_t)((uint64_t)start_us + (uint64_t)sqlite3_column_int64(row, 2)),
        .run = sqlite3_column_int64(row, 3),
        .number = (uint32_t)sqlite3_column_int64(row, 4),
        .volume_id = sqlite3_column_int64(row, 5),
        .size_bytes = (uint64_t)sqlite3_column_int64(row, 6),
        .media_offset = (uint64_t)sqlite3_column_int64(row, 7),
        .utc_offset_s = sqlite3_column_int(row, 8),
    };
    segment_read_tracks(row, segment, &damaged);
    if (damaged)
        segment_damaged(catalog, row, segment);
    const char *key = (const char *)sqlite3_column_text(row, COLUMN_KEY);
    segment->key =
        key ? xstrdup(key)
            : segment_computed_key(segment, (const char *)sqlite3_column_text(row, COLUMN_CAMERA),
                  (const char *)sqlite3_column_text(row, COLUMN_STREAM));
}

// Reads the rows of a started statement to their end.
static enum catalog_status segments_read(
    struct catalog *catalog, sqlite3_stmt *row, struct catalog_segments *segments, char **cause)
{
    size_t capacity = 0;
    enum catalog_status status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(segments->rows, segments->count, capacity);
        segment_read(catalog, row, &segments->rows[segments->count++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_segments_fini(segments);
    return status;
}

// --- Searches ---

// Segments of different runs may overlap, so what reaches into a range may stand well before its
// last neighbour; but no further than the longest segment is long.
#define SEGMENT_LONGEST                                                                            \
    "ifnull((SELECT longest_us FROM stream_total WHERE stream_total.stream_id = ?1), 0)"

enum catalog_status catalog_segments_in(struct catalog *catalog, int64_t stream_id,
    int64_t start_us, int64_t end_us, int64_t after_us, size_t limit,
    struct catalog_segments *segments, char **cause)
{
    *segments = (struct catalog_segments){0};
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        SEGMENT_SELECT " WHERE segment.stream_id = ?1 AND segment.start_us < ?3"
                       " AND segment.start_us > max(?4, ?2 - " SEGMENT_LONGEST ")"
                       " AND segment.start_us + duration_us > ?2 ORDER BY segment.start_us"
                       " LIMIT ?5",
        "iiiii", stream_id, start_us, end_us, after_us, catalog_limit(limit));
    return status == CATALOG_OK ? segments_read(catalog, row, segments, cause) : status;
}

enum catalog_status catalog_spans_start(struct catalog *catalog, sqlite3_stmt **row,
    int64_t stream_id, int64_t start_us, int64_t end_us, char **cause)
{
    return catalog_db_start(&catalog->db, row, cause,
        "SELECT start_us, duration_us FROM segment WHERE stream_id = ?1 AND start_us < ?3"
        " AND start_us > ?2 - " SEGMENT_LONGEST " AND start_us + duration_us > ?2"
        " ORDER BY start_us",
        "iii", stream_id, start_us, end_us);
}

enum catalog_status catalog_segment_find(struct catalog *catalog, int64_t stream_id, int64_t run,
    uint32_t number, struct catalog_segment *segment, char **cause)
{
    sqlite3_stmt *row;
    int64_t nth = number % CATALOG_STRETCH_NUMBERS;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        SEGMENT_COLUMNS " FROM stretch CROSS JOIN segment ON segment.stream_id = stretch.stream_id"
                        " AND segment.start_us BETWEEN first_us AND last_us"
                        " AND stretch_id = stretch.id" SEGMENT_NAMES
                        " WHERE stretch.stream_id = ?1 AND run = ?2 AND first_number = ?3"
                        " AND present >> ?4 & 1 AND nth = ?4",
        "iiii", stream_id, run, number - nth, nth);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    segment_read(catalog, row, segment);
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_segment_known(
    struct catalog *catalog, int64_t stream_id, int64_t run, uint32_t number, char **cause)
{
    return catalog_stretch_has(catalog, stream_id, run, number, cause);
}

enum catalog_status catalog_oldest_of_stream(struct catalog *catalog, int64_t stream_id,
    int64_t before_us, int64_t after_us, size_t limit, struct catalog_segments *segments,
    char **cause)
{
    *segments = (struct catalog_segments){0};
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        SEGMENT_SELECT " WHERE segment.stream_id = ?1 AND segment.start_us < ?2"
                       " AND segment.start_us > ?3 AND segment.start_us + duration_us < ?2"
                       " ORDER BY segment.start_us LIMIT ?4",
        "iiii", stream_id, before_us, after_us, catalog_limit(limit));
    return status == CATALOG_OK ? segments_read(catalog, row, segments, cause) : status;
}

// --- The oldest of a volume: a merge over the streams, each asked for its next row ---

struct segment_head {
    int64_t stream_id;
    struct catalog_segment next;
    bool some;
};

static enum catalog_status segment_head_advance(struct catalog *catalog, int64_t volume_id,
    struct segment_head *head, int64_t from_us, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        SEGMENT_SELECT " WHERE segment.stream_id = ? AND segment.start_us >= ? AND volume_id = ?"
                       " ORDER BY segment.start_us LIMIT 1",
        "iii", head->stream_id, from_us, volume_id);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    head->some = status == CATALOG_OK;
    if (status != CATALOG_OK)
        return status == CATALOG_NONE ? CATALOG_OK : status;
    segment_read(catalog, row, &head->next);
    catalog_db_end(row);
    return CATALOG_OK;
}

static struct segment_head *segment_heads_oldest(struct segment_head *heads, size_t count)
{
    struct segment_head *oldest = NULL;
    for (size_t i = 0; i < count; i++) {
        if (heads[i].some && (oldest == NULL || heads[i].next.start_us < oldest->next.start_us))
            oldest = &heads[i];
    }
    return oldest;
}

// One head for each stream that has segments on the volume.
static enum catalog_status segment_heads_load(struct catalog *catalog, int64_t volume_id,
    int64_t after_us, struct segment_head **heads, size_t *count, char **cause)
{
    *heads = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT stream_id, first_us FROM stream CROSS JOIN volume_total"
        " ON stream_id = stream.id AND volume_id = ?",
        "i", volume_id);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*heads, *count, capacity);
        (*heads)[*count] = (struct segment_head){.stream_id = sqlite3_column_int64(row, 0)};
        (*heads)[(*count)++].next.start_us = sqlite3_column_int64(row, 1);
    }
    if (status == CATALOG_NONE)
        status = CATALOG_OK;
    for (size_t i = 0; i < *count && status == CATALOG_OK; i++)
        status = segment_head_advance(catalog, volume_id, &(*heads)[i],
            (*heads)[i].next.start_us > after_us ? (*heads)[i].next.start_us : after_us + 1, cause);
    return status;
}

enum catalog_status catalog_oldest_on_volume(struct catalog *catalog, int64_t volume_id,
    int64_t after_us, size_t limit, struct catalog_segments *segments, char **cause)
{
    *segments = (struct catalog_segments){0};
    struct segment_head *heads, *oldest;
    size_t count, capacity = 0;
    enum catalog_status status =
        segment_heads_load(catalog, volume_id, after_us, &heads, &count, cause);
    while (status == CATALOG_OK && (limit == 0 || segments->count < limit) &&
           (oldest = segment_heads_oldest(heads, count)) != NULL) {
        ARRAY_RESERVE(segments->rows, segments->count, capacity);
        segments->rows[segments->count++] = oldest->next;
        oldest->some = false;
        status = segment_head_advance(catalog, volume_id, oldest, oldest->next.start_us + 1, cause);
    }
    for (size_t i = 0; i < count; i++) {
        if (heads[i].some)
            catalog_segment_fini(&heads[i].next);
    }
    free(heads);
    if (status != CATALOG_OK)
        catalog_segments_fini(segments);
    return status;
}

// --- Writing ---

static enum catalog_status segment_insert(
    struct catalog *catalog, const struct catalog_segment *segment, const char *key, char **cause)
{
    int64_t stretch_id;
    enum catalog_status status = catalog_stretch_add(catalog, segment, &stretch_id, cause);
    struct buf packed = BUF_INIT;
    catalog_tracks_encode(segment, &packed);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO segment (stream_id, start_us, duration_us, stretch_id, nth, size_bytes,"
            " packed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            "iiiiiib", segment->stream_id, segment->start_us, segment->end_us - segment->start_us,
            stretch_id, (int64_t)(segment->number % CATALOG_STRETCH_NUMBERS),
            (int64_t)segment->size_bytes, packed.data, packed.size);
    buf_fini(&packed);
    if (status == CATALOG_OK && key != NULL)
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO segment_key (stream_id, start_us, key) VALUES (?, ?, ?)", "iit",
            segment->stream_id, segment->start_us, key);
    return status;
}

// Moves the start on until it is free.
static enum catalog_status segment_fit(
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
static enum catalog_status segment_key(
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
    char *computed = segment_computed_key(segment, (const char *)sqlite3_column_text(row, 0),
        (const char *)sqlite3_column_text(row, 1));
    catalog_db_end(row);
    *key = strcmp(computed, segment->key) == 0 ? NULL : segment->key;
    free(computed);
    return CATALOG_OK;
}

// CATALOG_OK: it can be added.
static enum catalog_status segment_check(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    if (segment->end_us - segment->start_us > CATALOG_DURATION_US_MAX || segment->start_us < 0 ||
        segment->end_us < segment->start_us || !catalog_tracks_valid(segment)) {
        *cause = xasprintf("%s: a segment from %" PRId64 " to %" PRId64 " of %" PRIu64
                           " bytes can not be right",
            catalog->db.path, segment->start_us, segment->end_us, segment->size_bytes);
        return CATALOG_ERROR;
    }
    enum catalog_status status =
        catalog_stretch_has(catalog, segment->stream_id, segment->run, segment->number, cause);
    return status == CATALOG_OK ? CATALOG_NONE : status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_segment_add(
    struct catalog *catalog, struct catalog_segment *segment, char **cause)
{
    *cause = NULL;
    const char *key = NULL;
    enum catalog_status status = segment_check(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = segment_fit(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = segment_key(catalog, segment, &key, cause);
    if (status == CATALOG_OK)
        status = catalog_total_add(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = segment_insert(catalog, segment, key, cause);
    if (status == CATALOG_OK)
        status = catalog_outage_footage(catalog, segment, cause);
    if (status == CATALOG_OK)
        status = catalog_missing_found(catalog, segment, cause);
    return status;
}

static enum catalog_status segment_delete(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause)
{
    int64_t stretch_id;
    enum catalog_status status = catalog_db_integer(&catalog->db, &stretch_id, cause,
        "DELETE FROM segment WHERE stream_id = ? AND start_us = ? RETURNING stretch_id", "ii",
        segment->stream_id, segment->start_us);
    if (status == CATALOG_OK)
        status = catalog_stretch_remove(catalog, stretch_id, segment->number, cause);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "DELETE FROM segment_key WHERE stream_id = ? AND start_us = ?", "ii",
            segment->stream_id, segment->start_us);
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
    status = segment_delete(catalog, &row, cause);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO garbage (volume_id, key, bytes, reason) VALUES (?, ?, ?, ?)", "itit",
            row.volume_id, row.key, (int64_t)row.size_bytes, reason);
    if (status == CATALOG_OK)
        status = catalog_total_remove(catalog, &row, cause);
    catalog_segment_fini(&row);
    return status;
}

enum catalog_status catalog_missing_add(struct catalog *catalog, int64_t stream_id, int64_t run,
    uint32_t number, int64_t now_us, char **cause)
{
    *cause = NULL;
    struct catalog_segment row;
    enum catalog_status status = catalog_segment_find(catalog, stream_id, run, number, &row, cause);
    if (status != CATALOG_OK)
        return status;
    status = segment_delete(catalog, &row, cause);
    if (status == CATALOG_OK)
        status = catalog_missing_put(catalog, &row, now_us, cause);
    if (status == CATALOG_OK)
        status = catalog_total_remove(catalog, &row, cause);
    catalog_segment_fini(&row);
    return status;
}
