// Events. See catalog_event.h.
#include "lib/media/catalog_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

// --- UUIDs ---

static int uuid_digit(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

bool catalog_uuid_parse(const char *text, uint8_t bytes[CATALOG_UUID_BYTES])
{
    size_t count = 0;
    if (text == NULL || strlen(text) != CATALOG_UUID_SIZE - 1)
        return false;
    for (size_t i = 0; i < CATALOG_UUID_SIZE - 1;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        int high = uuid_digit(text[i]), low = uuid_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[count++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return true;
}

bool catalog_uuid_valid(const char *text)
{
    uint8_t bytes[CATALOG_UUID_BYTES];
    return catalog_uuid_parse(text, bytes);
}

void catalog_uuid_column(sqlite3_stmt *row, int column, char *text)
{
    const uint8_t *bytes = sqlite3_column_blob(row, column);
    text[0] = '\0';
    if (sqlite3_column_bytes(row, column) != CATALOG_UUID_BYTES)
        return;
    for (size_t i = 0, at = 0; i < CATALOG_UUID_BYTES; i++) {
        if (at == 8 || at == 13 || at == 18 || at == 23)
            text[at++] = '-';
        at += (size_t)snprintf(text + at, 3, "%02x", bytes[i]);
    }
}

char *catalog_text_column(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text ? xstrdup(text) : NULL;
}

// --- Reading ---

void catalog_event_fini(struct catalog_event *event)
{
    free(event->label);
    free(event->data);
    *event = (struct catalog_event){0};
}

void catalog_events_free(struct catalog_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        catalog_event_fini(&events[i]);
    free(events);
}

#define EVENT_SELECT                                                                               \
    "SELECT id, camera, ifnull(stream, ''), start_us, ifnull(end_us, 0), label, data FROM event"

static void event_read(sqlite3_stmt *row, struct catalog_event *event)
{
    *event = (struct catalog_event){
        .start_us = sqlite3_column_int64(row, 3),
        .end_us = sqlite3_column_int64(row, 4),
        .label = catalog_text_column(row, 5),
        .data = catalog_text_column(row, 6),
    };
    catalog_uuid_column(row, 0, event->id);
    snprintf(event->camera, sizeof(event->camera), "%s", sqlite3_column_text(row, 1));
    snprintf(event->stream, sizeof(event->stream), "%s", sqlite3_column_text(row, 2));
}

// Those that have ended start no earlier before the range than the longest of them is long; those
// that go on have an index of their own. The arguments: ?1 start, ?2 end, ?3 and ?4 the cursor, ?5
// the stream or NULL, ?6 the limit, ?7 the camera.
#define EVENT_BEHIND " AND (start_us, id) > (?3, ?4) AND (?5 IS NULL OR ifnull(stream, ?5) = ?5)"

#define EVENT_ENDED " AND (end_us > ?1 OR start_us >= ?1) AND end_us IS NOT NULL" EVENT_BEHIND

#define EVENT_OPEN                                                                                 \
    EVENT_SELECT " INDEXED BY event_open WHERE end_us IS NULL AND start_us < ?2" EVENT_BEHIND

#define EVENT_ORDER " ORDER BY 4, 1 LIMIT ?6"

static const char event_of_all_sql[] = EVENT_SELECT
    " INDEXED BY event_time WHERE start_us < ?2 AND start_us >= max(?3, ?1 - ifnull((SELECT"
    " max(end_us - start_us) FROM event), 0))" EVENT_ENDED " AND ?7 IS NULL UNION ALL " EVENT_OPEN
    " AND ?7 IS NULL" EVENT_ORDER;

static const char event_of_camera_sql[] =
    EVENT_SELECT " INDEXED BY event_camera_time WHERE camera = ?7 AND start_us < ?2 AND start_us >="
                 " max(?3, ?1 - ifnull((SELECT max(end_us - start_us) FROM event WHERE camera = "
                 "?7), 0))" EVENT_ENDED " UNION ALL " EVENT_OPEN " AND camera = ?7" EVENT_ORDER;

enum catalog_status catalog_events_in(struct catalog *catalog,
    const struct catalog_event_query *query, struct catalog_event **events, size_t *count,
    char **cause)
{
    *events = NULL;
    *count = 0;
    uint8_t after[CATALOG_UUID_BYTES] = {0};
    bool behind = query->after_id != NULL && catalog_uuid_parse(query->after_id, after);
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        query->camera ? event_of_camera_sql : event_of_all_sql, "iiibtit", query->start_us,
        query->end_us, behind ? query->after_start_us : INT64_MIN, after,
        behind ? sizeof(after) : (size_t)0, query->stream, catalog_limit(query->limit),
        query->camera);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*events, *count, capacity);
        event_read(row, &(*events)[(*count)++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_events_free(*events, *count);
    *events = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_event_get(
    struct catalog *catalog, const char *id, struct catalog_event *event, char **cause)
{
    uint8_t bytes[CATALOG_UUID_BYTES];
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, EVENT_SELECT " WHERE id = ?", "b", bytes, sizeof(bytes));
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    event_read(row, event);
    catalog_db_end(row);
    return CATALOG_OK;
}

// --- Writing ---

// What is there with the id of an event: CATALOG_OK for nothing, CATALOG_NONE for the same as was
// added.
static enum catalog_status event_compare(struct catalog *catalog, const struct catalog_event *event,
    const uint8_t id[CATALOG_UUID_BYTES], char **cause)
{
    int64_t same;
    const char *stream = event->stream[0] ? event->stream : NULL;
    enum catalog_status status = catalog_db_integer(&catalog->db, &same, cause,
        "SELECT camera = ?2 AND stream IS ?3 AND start_us = ?4 AND posted_end_us IS nullif(?5, 0)"
        " AND label = ?6 AND data IS ?7 FROM event WHERE id = ?1",
        "bttiitt", id, (size_t)CATALOG_UUID_BYTES, event->camera, stream, event->start_us,
        event->end_us, event->label, event->data);
    if (status == CATALOG_OK)
        return same ? CATALOG_NONE : CATALOG_CONFLICT;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_event_add(
    struct catalog *catalog, const struct catalog_event *event, char **cause)
{
    *cause = NULL;
    uint8_t id[CATALOG_UUID_BYTES];
    if (!catalog_uuid_parse(event->id, id) || !segment_name_valid(event->camera) ||
        (event->stream[0] && !segment_name_valid(event->stream)) || event->start_us < 0 ||
        (event->end_us != 0 && event->end_us < event->start_us)) {
        *cause = xasprintf("%s: an event needs a UUID, a camera, and an end that is not before its "
                           "start",
            catalog->db.path);
        return CATALOG_ERROR;
    }
    enum catalog_status status = event_compare(catalog, event, id, cause);
    if (status != CATALOG_OK)
        return status;
    return catalog_db_run(&catalog->db, cause,
        "INSERT INTO event (id, camera, stream, start_us, end_us, posted_end_us, label, data)"
        " VALUES (?1, ?2, ?3, ?4, nullif(?5, 0), nullif(?5, 0), ?6, ?7)",
        "bttiitt", id, sizeof(id), event->camera, event->stream[0] ? event->stream : NULL,
        event->start_us, event->end_us, event->label, event->data);
}

enum catalog_status catalog_event_end(
    struct catalog *catalog, const char *id, int64_t end_us, char **cause)
{
    *cause = NULL;
    uint8_t bytes[CATALOG_UUID_BYTES];
    int64_t start_us;
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    enum catalog_status status = catalog_db_integer(&catalog->db, &start_us, cause,
        "SELECT start_us FROM event WHERE id = ?", "b", bytes, sizeof(bytes));
    if (status == CATALOG_OK && end_us < start_us)
        return CATALOG_CONFLICT;
    if (status == CATALOG_OK)
        status = catalog_db_run(&catalog->db, cause, "UPDATE event SET end_us = ? WHERE id = ?",
            "ib", end_us, bytes, sizeof(bytes));
    return status;
}

enum catalog_status catalog_event_remove(struct catalog *catalog, const char *id, char **cause)
{
    *cause = NULL;
    uint8_t bytes[CATALOG_UUID_BYTES];
    int64_t one;
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    return catalog_db_integer(&catalog->db, &one, cause,
        "DELETE FROM event WHERE id = ? RETURNING 1", "b", bytes, sizeof(bytes));
}

enum catalog_status catalog_events_expire(
    struct catalog *catalog, int64_t before_us, size_t limit, size_t *removed, char **cause)
{
    enum catalog_status status = catalog_db_run(&catalog->db, cause,
        "DELETE FROM event WHERE id IN (SELECT id FROM event INDEXED BY event_time"
        " WHERE start_us < ?1 AND end_us < ?1 ORDER BY start_us LIMIT ?2)",
        "ii", before_us, catalog_limit(limit));
    *removed = status == CATALOG_OK ? (size_t)sqlite3_changes64(catalog->db.handle) : 0;
    return status;
}
