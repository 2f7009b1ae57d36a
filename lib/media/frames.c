// The packed sample tables by day. See frames.h.
#include "lib/media/frames.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/core/timeutil.h"

enum {
    FRAMES_VERSION = 1,
    FRAMES_WAL_SIZE_MAX = 4 * 1024 * 1024,
};

// Large values belong into a table with row numbers: in a clustered one they would sit in every
// page that a search passes.
static const char frames_schema[] = "BEGIN IMMEDIATE;"
                                    "CREATE TABLE frames ("
                                    "    id        INTEGER PRIMARY KEY,"
                                    "    stream_id INTEGER NOT NULL,"
                                    "    run       INTEGER NOT NULL,"
                                    "    number    INTEGER NOT NULL,"
                                    "    hash      BLOB," // SHA-256 of the file, where asked for
                                    "    packed    BLOB NOT NULL,"
                                    "    UNIQUE (stream_id, run, number)"
                                    ") STRICT;"
                                    "PRAGMA user_version = 1;"
                                    "COMMIT;";

static const char frames_suffix_table[][5] = {"", "-wal", "-shm"};

void frames_init(struct frames *frames, const char *database, bool writer)
{
    *frames = (struct frames){.database = xstrdup(database), .writer = writer};
}

static void frames_close_day(struct frames *frames, struct frames_day *day)
{
    catalog_db_close(&day->db);
    *day = frames->days[--frames->day_count];
}

void frames_fini(struct frames *frames)
{
    frames_rollback(frames);
    while (frames->day_count > 0)
        frames_close_day(frames, &frames->days[0]);
    free(frames->database);
}

static char *frames_path(const struct frames *frames, int64_t day)
{
    char text[TIME_TEXT_SIZE];
    time_format_day(day * US_PER_DAY, text);
    return xasprintf("%s/frames-%s.db", frames->database, text);
}

static enum catalog_status frames_commit_day(struct frames_day *day, char **cause)
{
    enum catalog_status status =
        day->writing ? catalog_db_exec(&day->db, "COMMIT", cause) : CATALOG_OK;
    if (status == CATALOG_OK)
        day->writing = false;
    return status;
}

// Checks the version; a writer makes the table in a fresh file.
static enum catalog_status frames_check(struct catalog_db *db, char **cause)
{
    int64_t version;
    enum catalog_status status = catalog_db_integer(db, &version, cause, "PRAGMA user_version", "");
    if (status != CATALOG_OK || version == FRAMES_VERSION)
        return status;
    if (version != 0) {
        *cause = xasprintf("%s is of version %lld, this program knows %d", db->path,
            (long long)version, FRAMES_VERSION);
        return CATALOG_ERROR;
    }
    return db->writer ? catalog_db_exec(db, frames_schema, cause) : CATALOG_BUSY;
}

// Makes room for one more day by closing the one that was not used for longest.
static enum catalog_status frames_make_room(struct frames *frames, char **cause)
{
    if (frames->day_count < FRAMES_DAYS_MAX)
        return CATALOG_OK;
    struct frames_day *oldest = &frames->days[0];
    for (size_t i = 1; i < frames->day_count; i++) {
        if (frames->days[i].used < oldest->used)
            oldest = &frames->days[i];
    }
    enum catalog_status status = frames_commit_day(oldest, cause);
    if (status == CATALOG_OK)
        frames_close_day(frames, oldest);
    return status;
}

static enum catalog_status frames_open(
    struct frames *frames, int64_t day, struct frames_day **opened, char **cause)
{
    for (size_t i = 0; i < frames->day_count; i++) {
        if (frames->days[i].day == day) {
            *opened = &frames->days[i];
            (*opened)->used = ++frames->clock;
            return CATALOG_OK;
        }
    }
    enum catalog_status status = frames_make_room(frames, cause);
    if (status != CATALOG_OK)
        return status;
    struct frames_day *slot = &frames->days[frames->day_count];
    *slot = (struct frames_day){.day = day, .used = ++frames->clock};
    char *path = frames_path(frames, day);
    status = catalog_db_open(&slot->db, path, frames->writer, FRAMES_WAL_SIZE_MAX, cause);
    free(path);
    if (status != CATALOG_OK)
        return status;
    status = frames_check(&slot->db, cause);
    if (status != CATALOG_OK) {
        catalog_db_close(&slot->db);
        return status;
    }
    frames->day_count++;
    *opened = slot;
    return CATALOG_OK;
}

enum catalog_status frames_put(struct frames *frames, const struct catalog_segment *segment,
    const void *packed, size_t packed_size, char **cause)
{
    struct frames_day *day;
    enum catalog_status status =
        frames_open(frames, time_day_number(segment->start_us), &day, cause);
    if (status != CATALOG_OK)
        return status;
    if (!day->writing)
        status = catalog_db_exec(&day->db, "BEGIN IMMEDIATE", cause);
    if (status != CATALOG_OK)
        return status;
    day->writing = true;
    return catalog_db_run(&day->db, cause,
        "INSERT INTO frames (stream_id, run, number, packed) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET packed = excluded.packed, hash = NULL",
        "iiib", segment->stream_id, segment->run, (int64_t)segment->number, packed, packed_size);
}

enum catalog_status frames_put_hash(struct frames *frames, const struct catalog_segment *segment,
    const uint8_t hash[CATALOG_HASH_SIZE], char **cause)
{
    struct frames_day *day;
    enum catalog_status status =
        frames_open(frames, time_day_number(segment->start_us), &day, cause);
    return status == CATALOG_OK
               ? catalog_db_run(&day->db, cause,
                     "UPDATE frames SET hash = ? WHERE stream_id = ? AND run = ? AND number = ?",
                     "biii", hash, (size_t)CATALOG_HASH_SIZE, segment->stream_id, segment->run,
                     (int64_t)segment->number)
               : status;
}

enum catalog_status frames_commit(struct frames *frames, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    for (size_t i = 0; i < frames->day_count && status == CATALOG_OK; i++)
        status = frames_commit_day(&frames->days[i], cause);
    return status;
}

void frames_rollback(struct frames *frames)
{
    for (size_t i = 0; i < frames->day_count; i++) {
        struct frames_day *day = &frames->days[i];
        if (day->writing && !sqlite3_get_autocommit(day->db.handle))
            sqlite3_exec(day->db.handle, "ROLLBACK", NULL, NULL, NULL);
        day->writing = false;
    }
}

// Finds a segment's row by `sql`, which asks for stream, run and number. After CATALOG_OK, *row
// stands on it until catalog_db_end().
static enum catalog_status frames_select(struct frames *frames, int64_t day_number,
    int64_t stream_id, int64_t run, uint32_t number, const char *sql, sqlite3_stmt **row,
    char **cause)
{
    // Opening would make the file for a writer.
    char *path = frames_path(frames, day_number);
    bool there = access(path, F_OK) == 0;
    free(path);
    *cause = NULL;
    if (!there)
        return CATALOG_NONE;
    struct frames_day *day;
    enum catalog_status status = frames_open(frames, day_number, &day, cause);
    if (status == CATALOG_OK)
        status =
            catalog_db_start(&day->db, row, cause, sql, "iii", stream_id, run, (int64_t)number);
    return status == CATALOG_OK ? catalog_db_step(&day->db, *row, cause) : status;
}

enum catalog_status frames_get(struct frames *frames, int64_t day_number, int64_t stream_id,
    int64_t run, uint32_t number, struct buf *packed, char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = frames_select(frames, day_number, stream_id, run, number,
        "SELECT packed FROM frames WHERE stream_id = ? AND run = ? AND number = ?", &row, cause);
    if (status != CATALOG_OK)
        return status;
    const void *data = sqlite3_column_blob(row, 0);
    buf_put(packed, data, (size_t)sqlite3_column_bytes(row, 0));
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status frames_get_hash(struct frames *frames, int64_t day_number, int64_t stream_id,
    int64_t run, uint32_t number, uint8_t hash[CATALOG_HASH_SIZE], char **cause)
{
    sqlite3_stmt *row;
    enum catalog_status status = frames_select(frames, day_number, stream_id, run, number,
        "SELECT hash FROM frames WHERE stream_id = ? AND run = ? AND number = ?"
        " AND length(hash) = 32",
        &row, cause);
    if (status != CATALOG_OK)
        return status;
    memcpy(hash, sqlite3_column_blob(row, 0), CATALOG_HASH_SIZE);
    catalog_db_end(row);
    return CATALOG_OK;
}

// Reads "frames-YYYY-MM-DD.db"; returns false for any other name.
static bool frames_parse_name(const char *name, int64_t *day)
{
    char text[TIME_TEXT_SIZE];
    int64_t time_us;
    if (strlen(name) != strlen("frames-YYYY-MM-DD.db") || strncmp(name, "frames-", 7) != 0 ||
        strcmp(name + 17, ".db") != 0)
        return false;
    char *moment = xasprintf("%.10sT00:00:00Z", name + 7);
    bool valid = time_parse(moment, &time_us);
    free(moment);
    if (!valid)
        return false;
    time_format_day(time_us, text);
    *day = time_day_number(time_us);
    return strncmp(text, name + 7, 10) == 0;
}

static int frames_compare_days(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return a < b ? -1 : a > b;
}

int frames_list(const struct frames *frames, int64_t **days, size_t *count, char **cause)
{
    *days = NULL;
    *count = 0;
    DIR *dir = opendir(frames->database);
    if (dir == NULL) {
        *cause = xasprintf("%s: can not be listed: %s", frames->database, strerror(errno));
        return -1;
    }
    size_t capacity = 0;
    int64_t day;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (!frames_parse_name(entry->d_name, &day))
            continue;
        ARRAY_RESERVE(*days, *count, capacity);
        (*days)[(*count)++] = day;
    }
    closedir(dir);
    if (*count > 1)
        qsort(*days, *count, sizeof(**days), frames_compare_days);
    return 0;
}

void frames_remove(struct frames *frames, int64_t day_number)
{
    for (size_t i = 0; i < frames->day_count; i++) {
        if (frames->days[i].day == day_number) {
            frames_close_day(frames, &frames->days[i]);
            break;
        }
    }
    char *path = frames_path(frames, day_number);
    for (size_t i = 0; i < ARRAY_LENGTH(frames_suffix_table); i++) {
        char *file = xasprintf("%s%s", path, frames_suffix_table[i]);
        if (unlink(file) < 0 && errno != ENOENT)
            log_warn("%s: can not be unlinked: %s", file, strerror(errno));
        free(file);
    }
    free(path);
}
