// The catalog: opening, transactions, and everything but segments: streams, volumes, codecs, runs.
// See catalog.h.
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
#include "lib/media/catalog_schema.h"

enum {
    CATALOG_WAL_SIZE_MAX = 16 * 1024 * 1024,
    CATALOG_MOVED_US_MAX = 1000, // how far an equal start is moved on, at most, by all means
};

static enum catalog_status catalog_open(
    const char *database, bool writer, struct catalog **opened, char **cause)
{
    struct catalog *catalog = xcalloc(1, sizeof(*catalog));
    frames_init(&catalog->frames, database, writer);
    char *path = xasprintf("%s/catalog.db", database);
    enum catalog_status status =
        catalog_db_open(&catalog->db, path, writer, CATALOG_WAL_SIZE_MAX, cause);
    free(path);
    if (status == CATALOG_OK)
        status = writer ? catalog_schema_migrate(&catalog->db, &catalog_schema_steps, cause)
                        : catalog_schema_check(&catalog->db, &catalog_schema_steps, cause);
    if (status != CATALOG_OK) {
        catalog_close(catalog);
        return status;
    }
    *opened = catalog;
    return CATALOG_OK;
}

struct catalog *catalog_open_writer(const char *database, char **cause)
{
    struct catalog *catalog;
    return catalog_open(database, true, &catalog, cause) == CATALOG_OK ? catalog : NULL;
}

enum catalog_status catalog_open_reader(
    const char *database, struct catalog **catalog, char **cause)
{
    return catalog_open(database, false, catalog, cause);
}

void catalog_close(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    frames_fini(&catalog->frames);
    catalog_db_close(&catalog->db);
    free(catalog);
}

bool catalog_replaced(struct catalog *catalog)
{
    int moved = 0;
    sqlite3_file_control(catalog->db.handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

enum catalog_status catalog_begin(struct catalog *catalog, char **cause)
{
    return catalog_db_exec(&catalog->db, "BEGIN IMMEDIATE", cause);
}

enum catalog_status catalog_commit(struct catalog *catalog, char **cause)
{
    // A row never points at frames that are not durable.
    enum catalog_status status = frames_commit(&catalog->frames, cause);
    return status == CATALOG_OK ? catalog_db_exec(&catalog->db, "COMMIT", cause) : status;
}

void catalog_rollback(struct catalog *catalog)
{
    frames_rollback(&catalog->frames);
    if (!sqlite3_get_autocommit(catalog->db.handle))
        sqlite3_exec(catalog->db.handle, "ROLLBACK", NULL, NULL, NULL);
}

// --- Streams ---

#define CATALOG_STREAM_SELECT                                                                      \
    "SELECT stream.id, camera, stream, ifnull(first_us, 0), ifnull(last_us, 0), bytes, segments"   \
    " FROM stream JOIN stream_total ON stream_total.stream_id = stream.id"

static void catalog_stream_read(sqlite3_stmt *row, struct catalog_stream *stream)
{
    *stream = (struct catalog_stream){
        .id = sqlite3_column_int64(row, 0),
        .first_us = sqlite3_column_int64(row, 3),
        .last_us = sqlite3_column_int64(row, 4),
        .bytes = (uint64_t)sqlite3_column_int64(row, 5),
        .segments = (uint64_t)sqlite3_column_int64(row, 6),
    };
    snprintf(stream->camera, sizeof(stream->camera), "%s", sqlite3_column_text(row, 1));
    snprintf(stream->stream, sizeof(stream->stream), "%s", sqlite3_column_text(row, 2));
}

enum catalog_status catalog_streams(
    struct catalog *catalog, struct catalog_stream **streams, size_t *count, char **cause)
{
    *streams = NULL;
    *count = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, CATALOG_STREAM_SELECT " ORDER BY camera, stream", "");
    if (status != CATALOG_OK)
        return status;
    size_t capacity = 0;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*streams, *count, capacity);
        catalog_stream_read(row, &(*streams)[(*count)++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*streams);
    *streams = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_stream_find(struct catalog *catalog, const char *camera,
    const char *stream, struct catalog_stream *found, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        CATALOG_STREAM_SELECT " WHERE camera = ? AND stream = ?", "tt", camera, stream);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    catalog_stream_read(row, found);
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_stream_add(
    struct catalog *catalog, const char *camera, const char *stream, int64_t *id, char **cause)
{
    enum catalog_status status = catalog_db_integer(&catalog->db, id, cause,
        "SELECT id FROM stream WHERE camera = ? AND stream = ?", "tt", camera, stream);
    if (status != CATALOG_NONE)
        return status;
    status = catalog_db_run(&catalog->db, cause,
        "INSERT INTO stream (camera, stream) VALUES (?, ?)", "tt", camera, stream);
    if (status != CATALOG_OK)
        return status;
    *id = catalog_db_inserted(&catalog->db);
    return catalog_db_run(&catalog->db, cause,
        "INSERT INTO stream_total (stream_id, segments, bytes, longest_us) VALUES (?, 0, 0, 0)",
        "i", *id);
}

// --- Volumes ---

enum catalog_status catalog_volumes(
    struct catalog *catalog, struct catalog_volume **volumes, size_t *count, char **cause)
{
    *volumes = NULL;
    *count = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, "SELECT id, uuid, path FROM volume ORDER BY id", "");
    if (status != CATALOG_OK)
        return status;
    size_t capacity = 0;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*volumes, *count, capacity);
        struct catalog_volume *volume = &(*volumes)[(*count)++];
        volume->id = sqlite3_column_int64(row, 0);
        snprintf(volume->uuid, sizeof(volume->uuid), "%s", sqlite3_column_text(row, 1));
        volume->path = xstrdup((const char *)sqlite3_column_text(row, 2));
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    while (*count > 0)
        free((*volumes)[--*count].path);
    free(*volumes);
    *volumes = NULL;
    return status;
}

enum catalog_status catalog_volume_add(
    struct catalog *catalog, const char *uuid, const char *path, int64_t *id, char **cause)
{
    return catalog_db_integer(&catalog->db, id, cause,
        "INSERT INTO volume (uuid, path) VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET path = excluded.path RETURNING id",
        "tt", uuid, path);
}

// --- Codecs ---

void catalog_codec_fini(struct catalog_codec *codec)
{
    free(codec->entry);
    *codec = (struct catalog_codec){0};
}

enum catalog_status catalog_codec_get(
    struct catalog *catalog, int64_t codec_id, struct catalog_codec *codec, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT kind, width, height, channels, sample_rate, family, name, entry FROM codec"
        " WHERE id = ?",
        "i", codec_id);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    *codec = (struct catalog_codec){
        .id = codec_id,
        .entry_size = (size_t)sqlite3_column_bytes(row, 7),
        .info =
            {
                .kind = (enum media_kind)sqlite3_column_int(row, 0),
                .width = (uint32_t)sqlite3_column_int64(row, 1),
                .height = (uint32_t)sqlite3_column_int64(row, 2),
                .channels = (uint32_t)sqlite3_column_int64(row, 3),
                .sample_rate = (uint32_t)sqlite3_column_int64(row, 4),
            },
    };
    struct codec_info *info = &codec->info;
    snprintf(info->family, sizeof(info->family), "%s", sqlite3_column_text(row, 5));
    snprintf(info->name, sizeof(info->name), "%s", sqlite3_column_text(row, 6));
    codec->entry = xmalloc(codec->entry_size);
    if (codec->entry_size > 0)
        memcpy(codec->entry, sqlite3_column_blob(row, 7), codec->entry_size);
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_codec_add(
    struct catalog *catalog, const uint8_t *entry, size_t entry_size, int64_t *id, char **cause)
{
    enum catalog_status status = catalog_db_integer(
        &catalog->db, id, cause, "SELECT id FROM codec WHERE entry = ?", "b", entry, entry_size);
    if (status != CATALOG_NONE)
        return status;
    struct codec_info info;
    if (codec_describe(entry, entry_size, &info, cause) < 0)
        return CATALOG_ERROR;
    status = catalog_db_run(&catalog->db, cause,
        "INSERT INTO codec (kind, width, height, channels, sample_rate, family, name, entry)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiiittb", (int64_t)info.kind, (int64_t)info.width, (int64_t)info.height,
        (int64_t)info.channels, (int64_t)info.sample_rate, info.family, info.name, entry,
        entry_size);
    if (status == CATALOG_OK)
        *id = catalog_db_inserted(&catalog->db);
    return status;
}

// --- Runs ---

// The columns of a run's place in UTC, from `column` on.
#define CATALOG_TIME_COLUMNS                                                                       \
    "anchor_us, observations, late, late_us, last_start_us, next_start_us, next_media_us,"         \
    " jump_us, next_step, step_us"

static struct segtime catalog_time_read(sqlite3_stmt *row, int column)
{
    return (struct segtime){
        .anchored = sqlite3_column_type(row, column) != SQLITE_NULL,
        .anchor_us = sqlite3_column_int64(row, column),
        .observations = (uint32_t)sqlite3_column_int64(row, column + 1),
        .late = (uint32_t)sqlite3_column_int64(row, column + 2),
        .late_us = sqlite3_column_int64(row, column + 3),
        .placed = sqlite3_column_type(row, column + 4) != SQLITE_NULL,
        .start_us = sqlite3_column_int64(row, column + 4),
        .next_start_us = sqlite3_column_int64(row, column + 5),
        .next_media_us = sqlite3_column_int64(row, column + 6),
        .jump_us = sqlite3_column_int64(row, column + 7),
        .next_seen = sqlite3_column_type(row, column + 8) != SQLITE_NULL,
        .next_step = (enum segtime_step)sqlite3_column_int(row, column + 8),
        .step_us = sqlite3_column_int64(row, column + 9),
    };
}

enum catalog_status catalog_run_get(struct catalog *catalog, int64_t stream_id, int64_t run,
    struct catalog_run *found, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT start_us, ifnull(end_us, 0), reason, detail, mend, " CATALOG_TIME_COLUMNS
        " FROM run WHERE stream_id = ? AND run = ?",
        "ii", stream_id, run);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    *found = (struct catalog_run){
        .stream_id = stream_id,
        .run = run,
        .start_us = sqlite3_column_int64(row, 0),
        .end_us = sqlite3_column_int64(row, 1),
        .time = catalog_time_read(row, 5),
    };
    snprintf(found->reason, sizeof(found->reason), "%s", sqlite3_column_text(row, 2));
    snprintf(found->detail, sizeof(found->detail), "%s", sqlite3_column_text(row, 3));
    if (!mend_parse((const char *)sqlite3_column_text(row, 4), &found->mend))
        log_warn("the mending of run %" PRId64 " can not be read, it is left out", run);
    catalog_db_end(row);
    return CATALOG_OK;
}

// Whether the catalog knows already that the run has ended.
static enum catalog_status catalog_run_over(
    struct catalog *catalog, const struct catalog_run *run, bool *over, char **cause)
{
    int64_t found;
    enum catalog_status status = catalog_db_integer(&catalog->db, &found, cause,
        "SELECT 1 FROM run WHERE stream_id = ? AND run = ? AND end_us IS NOT NULL", "ii",
        run->stream_id, run->run);
    *over = status == CATALOG_OK;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_run_put(
    struct catalog *catalog, const struct catalog_run *run, char **cause)
{
    const struct segtime *time = &run->time;
    char mend[MEND_TEXT_SIZE];
    bool over = true;
    enum catalog_status status = CATALOG_OK;
    mend_format(&run->mend, mend);
    if (run->end_us != 0)
        status = catalog_run_over(catalog, run, &over, cause);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "INSERT INTO run (stream_id, run, start_us, end_us, reason, detail,"
            " " CATALOG_TIME_COLUMNS ", mend)"
            " VALUES (?1, ?2, ?3, nullif(?4, 0), ?5, ?6, iif(?7, ?8, NULL), ?9, ?10, ?11,"
            " iif(?12, ?13, NULL), iif(?12, ?14, NULL), iif(?12, ?15, NULL), ?16,"
            " iif(?17, ?18, NULL), ?19, ?20) ON CONFLICT DO UPDATE SET start_us = "
            "excluded.start_us,"
            " end_us = iif(excluded.end_us IS NULL, NULL, max(excluded.end_us,"
            " ifnull(footage_end_us, 0))), reason = excluded.reason, detail = excluded.detail,"
            " anchor_us = excluded.anchor_us, observations = excluded.observations,"
            " late = excluded.late, late_us = excluded.late_us,"
            " last_start_us = excluded.last_start_us, next_start_us = excluded.next_start_us,"
            " next_media_us = excluded.next_media_us, jump_us = excluded.jump_us,"
            " next_step = excluded.next_step, step_us = excluded.step_us, mend = excluded.mend",
            "iiiittiiiiiiiiiiiiit", run->stream_id, run->run, run->start_us, run->end_us,
            run->reason, run->detail, (int64_t)time->anchored, time->anchor_us,
            (int64_t)time->observations, (int64_t)time->late, time->late_us, (int64_t)time->placed,
            time->start_us, time->next_start_us, time->next_media_us, time->jump_us,
            (int64_t)time->next_seen, (int64_t)time->next_step, time->step_us, mend);
    if (status == CATALOG_OK && !over)
        status = catalog_outage_run_ended(catalog, run, cause);
    return status;
}

enum catalog_status catalog_runs_open(
    struct catalog *catalog, struct catalog_open_run **runs, size_t *count, char **cause)
{
    *runs = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT stream_id, camera, stream, run, ifnull(footage_end_us, start_us) FROM stream"
        " CROSS JOIN run ON stream_id = stream.id WHERE end_us IS NULL ORDER BY stream.id, run",
        "");
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*runs, *count, capacity);
        struct catalog_open_run *open = &(*runs)[(*count)++];
        open->stream_id = sqlite3_column_int64(row, 0);
        snprintf(open->camera, sizeof(open->camera), "%s", sqlite3_column_text(row, 1));
        snprintf(open->stream, sizeof(open->stream), "%s", sqlite3_column_text(row, 2));
        open->run = sqlite3_column_int64(row, 3);
        open->last_us = sqlite3_column_int64(row, 4);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*runs);
    *runs = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_runs_expire(
    struct catalog *catalog, int64_t stream_id, int64_t before_us, char **cause)
{
    enum catalog_status status = catalog_db_run(&catalog->db, cause,
        "DELETE FROM run WHERE stream_id = ?1 AND run < ?2 / 1000 AND end_us < ?2"
        " AND NOT EXISTS (SELECT 1 FROM stretch WHERE stretch.stream_id = run.stream_id"
        " AND stretch.run = run.run)"
        " AND NOT EXISTS (SELECT 1 FROM outage WHERE outage.stream_id = run.stream_id"
        " AND outage.run = run.run AND outage.end_us IS NULL)",
        "ii", stream_id, before_us);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause,
            "DELETE FROM epoch WHERE stream_id = ?1 AND run < ?2 / 1000 AND NOT EXISTS"
            " (SELECT 1 FROM run WHERE run.stream_id = epoch.stream_id AND run.run = epoch.run)",
            "ii", stream_id, before_us);
    return status;
}

// --- Frames ---

enum catalog_status catalog_frames_put(struct catalog *catalog,
    const struct catalog_segment *segment, const void *packed, size_t packed_size, char **cause)
{
    return frames_put(&catalog->frames, segment, packed, packed_size, cause);
}

enum catalog_status catalog_frames(struct catalog *catalog, const struct catalog_segment *segment,
    struct buf *packed, char **cause)
{
    int64_t day = time_day_number(segment->start_us);
    enum catalog_status status = frames_get(
        &catalog->frames, day, segment->stream_id, segment->run, segment->number, packed, cause);
    // A start that was moved on past midnight left its frames in the day before.
    int64_t before = time_day_number(segment->start_us - CATALOG_MOVED_US_MAX);
    if (status == CATALOG_NONE && before != day)
        status = frames_get(&catalog->frames, before, segment->stream_id, segment->run,
            segment->number, packed, cause);
    return status;
}

enum catalog_status catalog_hash_put(struct catalog *catalog, const struct catalog_segment *segment,
    const uint8_t hash[CATALOG_HASH_SIZE], char **cause)
{
    return frames_put_hash(&catalog->frames, segment, hash, cause);
}

enum catalog_status catalog_hash(struct catalog *catalog, const struct catalog_segment *segment,
    uint8_t hash[CATALOG_HASH_SIZE], char **cause)
{
    int64_t day = time_day_number(segment->start_us);
    enum catalog_status status = frames_get_hash(
        &catalog->frames, day, segment->stream_id, segment->run, segment->number, hash, cause);
    int64_t before = time_day_number(segment->start_us - CATALOG_MOVED_US_MAX);
    if (status == CATALOG_NONE && before != day)
        status = frames_get_hash(&catalog->frames, before, segment->stream_id, segment->run,
            segment->number, hash, cause);
    return status;
}

enum catalog_status catalog_frames_expire(struct catalog *catalog, char **cause)
{
    int64_t *days;
    size_t count;
    if (frames_list(&catalog->frames, &days, &count, cause) < 0)
        return CATALOG_ERROR;
    enum catalog_status status = CATALOG_OK;
    for (size_t i = 0; i < count && status == CATALOG_OK; i++) {
        int64_t start_us = days[i] * US_PER_DAY, found;
        status = catalog_db_integer(&catalog->db, &found, cause,
            "SELECT 1 FROM stream_total WHERE EXISTS (SELECT 1 FROM segment"
            " WHERE segment.stream_id = stream_total.stream_id"
            " AND segment.start_us >= ?1 AND segment.start_us < ?2) LIMIT 1",
            "ii", start_us, start_us + US_PER_DAY + CATALOG_MOVED_US_MAX);
        if (status == CATALOG_NONE) {
            frames_remove(&catalog->frames, days[i]);
            status = CATALOG_OK;
        }
    }
    free(days);
    return status;
}
