// What of the catalog does not follow from the footage, as lines. See catalog_ledger.h.
#include "lib/media/catalog_ledger.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

// --- What is noted while it changes: only of this connection, and gone with it ---

#define LEDGER_NOTE(kind, row, run, number, id)                                                    \
    "BEGIN INSERT INTO ledger_change (kind, stream_id, run, number, id) VALUES ('" kind "', " row  \
    ", " run ", " number ", " id "); END;"

#define LEDGER_TRIGGERS(kind, what, when, row, run, number, id)                                    \
    "CREATE TEMP TRIGGER ledger_" kind "_new AFTER INSERT ON main." kind                           \
    " " LEDGER_NOTE(kind, "NEW." row, "NEW." run, "NEW." number,                                   \
        "NEW." id) "CREATE TEMP TRIGGER ledger_" kind "_set AFTER UPDATE OF " what                 \
                   " ON main." kind " " when                                                       \
                   LEDGER_NOTE(kind, "NEW." row, "NEW." run, "NEW." number,                        \
                       "NEW." id) "CREATE TEMP TRIGGER ledger_" kind                               \
                                  "_gone AFTER DELETE ON main." kind " " LEDGER_NOTE(              \
                                      kind, "OLD." row, "OLD." run, "OLD." number, "OLD." id)

// Columns that a table lacks are filled with one that it has.
static const char ledger_watch_sql[] =
    "CREATE TEMP TABLE ledger_change (seq INTEGER PRIMARY KEY, kind TEXT, stream_id, run, number,"
    " id);" LEDGER_TRIGGERS("run", "end_us, reason, detail, footage_start_us",
        "WHEN OLD.end_us IS NOT NEW.end_us OR OLD.reason <> NEW.reason"
        " OR OLD.footage_start_us IS NOT NEW.footage_start_us ",
        "stream_id", "run", "run", "run") LEDGER_TRIGGERS("outage",
        "start_us, end_us, reason, detail, attempts, last_reason, last_detail", "", "stream_id",
        "run", "run", "run")
        LEDGER_TRIGGERS("epoch", "start_us", "", "stream_id", "run", "first_number", "run")
            LEDGER_TRIGGERS("event", "end_us", "", "start_us", "start_us", "start_us", "id")
                LEDGER_TRIGGERS("lock", "expires_us", "", "start_us", "start_us", "start_us", "id");

enum catalog_status catalog_ledger_watch(struct catalog *catalog, char **cause)
{
    return catalog_db_exec(&catalog->db, ledger_watch_sql, cause);
}

// --- Lines ---

#define LEDGER_UUID                                                                                \
    "substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4)"       \
    " || '-' || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)"

#define LEDGER_OF_STREAM(table) " FROM " table " JOIN stream ON stream.id = stream_id"

#define LEDGER_RUN                                                                                 \
    "SELECT json_object('kind', 'run', 'camera', camera, 'stream', stream, 'run', run, "           \
    "'start_us',"                                                                                  \
    " start_us, 'end_us', end_us, 'reason', reason, 'detail', detail, 'footage_start_us',"         \
    " footage_start_us, 'footage_end_us', footage_end_us)" LEDGER_OF_STREAM("run")

#define LEDGER_OUTAGE                                                                              \
    "SELECT json_object('kind', 'outage', 'camera', camera, 'stream', stream, 'run', run,"         \
    " 'start_us', start_us, 'end_us', end_us, 'reason', reason, 'detail', detail, 'attempts',"     \
    " attempts, 'last_reason', last_reason, 'last_detail', last_detail)" LEDGER_OF_STREAM(         \
        "outage")

#define LEDGER_EPOCH                                                                               \
    "SELECT json_object('kind', 'epoch', 'camera', camera, 'stream', stream, 'run', run,"          \
    " 'first_number', first_number, 'start_us', start_us, 'cause', cause, 'moved_us', "            \
    "moved_us)" LEDGER_OF_STREAM("epoch")

#define LEDGER_EVENT                                                                               \
    "SELECT json_object('kind', 'event', 'id', " LEDGER_UUID ", 'camera', camera, 'stream',"       \
    " stream, 'start_us', start_us, 'end_us', end_us, 'posted_end_us', posted_end_us, 'label',"    \
    " label, 'data', data) FROM event"

#define LEDGER_LOCK                                                                                \
    "SELECT json_object('kind', 'lock', 'id', " LEDGER_UUID                                        \
    ", 'camera', camera, 'stream', stream,"                                                        \
    " 'start_us', start_us, 'end_us', end_us, 'reason', reason, 'expires_us', expires_us,"         \
    " 'posted_expires_us', posted_expires_us) FROM lock"

#define LEDGER_BY_RUN " WHERE stream_id = ?1 AND run = ?2 AND ?3 = ?3 AND ?4 = ?4"
#define LEDGER_BY_NUMBER " WHERE stream_id = ?1 AND run = ?2 AND first_number = ?3 AND ?4 = ?4"
#define LEDGER_BY_ID " WHERE id = ?4 AND ?1 = ?1 AND ?2 = ?2 AND ?3 = ?3"

// Streams come first, by the runs that name them.
static const struct ledger_kind {
    const char *name;
    const char *all;
    const char *one; // ?1 stream, ?2 run, ?3 number, ?4 id
    const char *gone;
    const char *restore; // ?1 the line, ?2 stream, ?3 id
} ledger_kinds[] = {
    {"run", LEDGER_RUN, LEDGER_RUN LEDGER_BY_RUN,
        "DELETE FROM run WHERE stream_id = ?2 AND run = ?1 ->> 'run' AND ?3 IS ?3",
        "INSERT OR REPLACE INTO run (stream_id, run, start_us, end_us, reason, detail,"
        " observations, late, late_us, jump_us, step_us, mend, footage_start_us, footage_end_us)"
        " SELECT ?2, ?1 ->> 'run', ?1 ->> 'start_us', ?1 ->> 'end_us', ?1 ->> 'reason',"
        " ?1 ->> 'detail', 0, 0, 0, 0, 0, '', ?1 ->> 'footage_start_us', ?1 ->> 'footage_end_us'"
        " WHERE ?3 IS ?3"},
    {"outage", LEDGER_OUTAGE, LEDGER_OUTAGE LEDGER_BY_RUN,
        "DELETE FROM outage WHERE stream_id = ?2 AND run = ?1 ->> 'run' AND ?3 IS ?3",
        "INSERT OR REPLACE INTO outage (stream_id, run, start_us, end_us, reason, detail, attempts,"
        " last_reason, last_detail) SELECT ?2, ?1 ->> 'run', ?1 ->> 'start_us', ?1 ->> 'end_us',"
        " ?1 ->> 'reason', ?1 ->> 'detail', ?1 ->> 'attempts', ?1 ->> 'last_reason',"
        " ?1 ->> 'last_detail' WHERE ?3 IS ?3"},
    {"epoch", LEDGER_EPOCH, LEDGER_EPOCH LEDGER_BY_NUMBER,
        "DELETE FROM epoch WHERE stream_id = ?2 AND run = ?1 ->> 'run'"
        " AND first_number = ?1 ->> 'first_number' AND ?3 IS ?3",
        "INSERT OR REPLACE INTO epoch (stream_id, run, first_number, start_us, cause, moved_us)"
        " SELECT ?2, ?1 ->> 'run', ?1 ->> 'first_number', ?1 ->> 'start_us', ?1 ->> 'cause',"
        " ?1 ->> 'moved_us' WHERE ?3 IS ?3"},
    {"event", LEDGER_EVENT, LEDGER_EVENT LEDGER_BY_ID,
        "DELETE FROM event WHERE id = ?3 AND ?1 IS ?1 AND ?2 IS ?2",
        "INSERT OR REPLACE INTO event (id, camera, stream, start_us, end_us, posted_end_us, label,"
        " data) SELECT ?3, ?1 ->> 'camera', ?1 ->> 'stream', ?1 ->> 'start_us', ?1 ->> 'end_us',"
        " ?1 ->> 'posted_end_us', ?1 ->> 'label', ?1 ->> 'data' WHERE ?2 IS ?2"},
    {"lock", LEDGER_LOCK, LEDGER_LOCK LEDGER_BY_ID,
        "DELETE FROM lock WHERE id = ?3 AND ?1 IS ?1 AND ?2 IS ?2",
        "INSERT OR REPLACE INTO lock (id, camera, stream, start_us, end_us, reason, expires_us,"
        " posted_expires_us) SELECT ?3, ?1 ->> 'camera', ?1 ->> 'stream', ?1 ->> 'start_us',"
        " ?1 ->> 'end_us', ?1 ->> 'reason', ?1 ->> 'expires_us', ?1 ->> 'posted_expires_us'"
        " WHERE ?2 IS ?2"},
};

static const struct ledger_kind *ledger_kind(const char *name)
{
    for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(ledger_kinds); i++) {
        if (strcmp(ledger_kinds[i].name, name) == 0)
            return &ledger_kinds[i];
    }
    return NULL;
}

// --- Giving lines ---

// The line that says that a thing is gone.
static enum catalog_status ledger_put_gone(
    struct catalog *catalog, sqlite3_stmt *change, struct buf *lines, char **cause)
{
    sqlite3_stmt *row;
    const char *kind = (const char *)sqlite3_column_text(change, 0);
    const void *id = sqlite3_column_blob(change, 4);
    bool by_id = strcmp(kind, "event") == 0 || strcmp(kind, "lock") == 0;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT iif(?1 IN ('event', 'lock'), json_object('kind', ?1, 'id', (SELECT " LEDGER_UUID
        " FROM (SELECT ?5 AS id)), 'gone', json('true')), json_object('kind', ?1, 'camera',"
        " (SELECT camera FROM stream WHERE id = ?2), 'stream', (SELECT stream FROM stream"
        " WHERE id = ?2), 'run', ?3, 'first_number', ?4, 'gone', json('true')))",
        "tiiib", kind, sqlite3_column_int64(change, 1), sqlite3_column_int64(change, 2),
        sqlite3_column_int64(change, 3), by_id ? id : "",
        by_id ? (size_t)sqlite3_column_bytes(change, 4) : (size_t)0);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    buf_printf(lines, "%s\n", sqlite3_column_text(row, 0));
    catalog_db_end(row);
    return CATALOG_OK;
}

static enum catalog_status ledger_put_change(
    struct catalog *catalog, sqlite3_stmt *change, struct buf *lines, char **cause)
{
    const struct ledger_kind *kind = ledger_kind((const char *)sqlite3_column_text(change, 0));
    const void *id = sqlite3_column_blob(change, 4);
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause, kind->one, "iiib",
        sqlite3_column_int64(change, 1), sqlite3_column_int64(change, 2),
        sqlite3_column_int64(change, 3), id, (size_t)sqlite3_column_bytes(change, 4));
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status == CATALOG_NONE)
        return ledger_put_gone(catalog, change, lines, cause);
    if (status != CATALOG_OK)
        return status;
    buf_printf(lines, "%s\n", sqlite3_column_text(row, 0));
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_ledger_take(struct catalog *catalog, struct buf *lines, char **cause)
{
    sqlite3_stmt *change;
    enum catalog_status status = catalog_db_start(&catalog->db, &change, cause,
        "SELECT kind, stream_id, run, number, id FROM ledger_change GROUP BY 1, 2, 3, 4, 5"
        " ORDER BY min(seq)",
        "");
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, change, cause)) == CATALOG_OK) {
        status = ledger_put_change(catalog, change, lines, cause);
        if (status != CATALOG_OK) {
            catalog_db_end(change);
            return status == CATALOG_NONE ? CATALOG_ERROR : status;
        }
    }
    return status == CATALOG_NONE
               ? catalog_db_run(&catalog->db, cause, "DELETE FROM ledger_change", "")
               : status;
}

enum catalog_status catalog_ledger_all(
    struct catalog *catalog, catalog_ledger_fn fn, void *arg, char **cause)
{
    enum catalog_status status = CATALOG_OK;
    struct buf line = BUF_INIT;
    int result = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(ledger_kinds) && status == CATALOG_OK; i++) {
        sqlite3_stmt *row;
        status = catalog_db_start(&catalog->db, &row, cause, ledger_kinds[i].all, "");
        while (status == CATALOG_OK && result == 0 &&
               (status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
            line.size = 0;
            buf_printf(&line, "%s\n", sqlite3_column_text(row, 0));
            result = fn((const char *)line.data, line.size, arg);
        }
        if (result != 0) {
            catalog_db_end(row);
            break;
        }
        status = status == CATALOG_NONE ? CATALOG_OK : status;
    }
    buf_fini(&line);
    return status;
}

// --- Taking lines ---

// Whether the numbers of a line can be those of a row.
static bool ledger_times_valid(const json_t *root)
{
    const json_t *end = json_object_get(root, "end_us");
    json_int_t start_us = json_integer_value(json_object_get(root, "start_us"));
    return start_us >= 0 && (!json_is_integer(end) || json_integer_value(end) >= start_us);
}

static enum catalog_status ledger_restore(
    struct catalog *catalog, const json_t *root, const char *text, char **cause)
{
    uint8_t id[CATALOG_UUID_BYTES] = {0};
    int64_t stream_id = 0;
    const struct ledger_kind *kind = ledger_kind(json_string_value(json_object_get(root, "kind")));
    const char *camera = json_string_value(json_object_get(root, "camera"));
    const char *stream = json_string_value(json_object_get(root, "stream"));
    bool gone = json_is_true(json_object_get(root, "gone"));
    bool by_id = kind != NULL &&
                 strcmp(kind->one + strlen(kind->one) - strlen(LEDGER_BY_ID), LEDGER_BY_ID) == 0;
    if (kind == NULL || !ledger_times_valid(root) ||
        (by_id && !catalog_uuid_parse(json_string_value(json_object_get(root, "id")), id)) ||
        (!(by_id && gone) && (camera == NULL || !segment_name_valid(camera))) ||
        (stream != NULL && !segment_name_valid(stream)) || (!by_id && stream == NULL))
        return CATALOG_NONE;
    enum catalog_status status = CATALOG_OK;
    if (!by_id)
        status = catalog_stream_add(catalog, camera, stream, &stream_id, cause);
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause, gone ? kind->gone : kind->restore, "tib", text,
            stream_id, id, sizeof(id));
    return status;
}

enum catalog_status catalog_ledger_restore(
    struct catalog *catalog, const char *line, size_t size, char **cause)
{
    *cause = NULL;
    json_error_t error;
    json_t *root = json_loadb(line, size, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(root)) {
        json_decref(root);
        return CATALOG_NONE;
    }
    // Bound as text, so that it needs its end.
    char *text = xasprintf("%.*s", (int)size, line);
    enum catalog_status status = ledger_restore(catalog, root, text, cause);
    free(text);
    json_decref(root);
    return status;
}
