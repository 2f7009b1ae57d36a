// Locks. See catalog_lock.h.
#include "lib/media/catalog_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

// --- Reading ---

void catalog_lock_fini(struct catalog_lock *lock)
{
    free(lock->reason);
    *lock = (struct catalog_lock){0};
}

void catalog_locks_free(struct catalog_lock *locks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        catalog_lock_fini(&locks[i]);
    free(locks);
}

#define LOCK_SELECT                                                                                \
    "SELECT id, camera, ifnull(stream, ''), start_us, end_us, reason, ifnull(expires_us, 0)"       \
    " FROM lock"

static void lock_read(sqlite3_stmt *row, struct catalog_lock *lock)
{
    *lock = (struct catalog_lock){
        .start_us = sqlite3_column_int64(row, 3),
        .end_us = sqlite3_column_int64(row, 4),
        .reason = catalog_text_column(row, 5),
        .expires_us = sqlite3_column_int64(row, 6),
    };
    catalog_uuid_column(row, 0, lock->id);
    snprintf(lock->camera, sizeof(lock->camera), "%s", sqlite3_column_text(row, 1));
    snprintf(lock->stream, sizeof(lock->stream), "%s", sqlite3_column_text(row, 2));
}

enum catalog_status catalog_locks(struct catalog *catalog, int64_t now_us,
    struct catalog_lock **locks, size_t *count, char **cause)
{
    *locks = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        LOCK_SELECT " WHERE expires_us IS NULL OR expires_us > ? ORDER BY start_us, id", "i",
        now_us);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*locks, *count, capacity);
        lock_read(row, &(*locks)[(*count)++]);
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_locks_free(*locks, *count);
    *locks = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_lock_get(
    struct catalog *catalog, const char *id, struct catalog_lock *lock, char **cause)
{
    uint8_t bytes[CATALOG_UUID_BYTES];
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, LOCK_SELECT " WHERE id = ?", "b", bytes, sizeof(bytes));
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    lock_read(row, lock);
    catalog_db_end(row);
    return CATALOG_OK;
}

bool catalog_lock_holds(const struct catalog_lock *lock, const char *camera, const char *stream,
    int64_t start_us, int64_t end_us)
{
    return strcmp(lock->camera, camera) == 0 &&
           (lock->stream[0] == '\0' || strcmp(lock->stream, stream) == 0) &&
           lock->start_us < end_us && start_us < lock->end_us;
}

// --- Writing ---

// What is there with the id of a lock: CATALOG_OK for nothing, CATALOG_NONE for the same as was
// added.
static enum catalog_status lock_compare(struct catalog *catalog, const struct catalog_lock *lock,
    const uint8_t id[CATALOG_UUID_BYTES], char **cause)
{
    int64_t same;
    enum catalog_status status = catalog_db_integer(&catalog->db, &same, cause,
        "SELECT camera = ?2 AND stream IS ?3 AND start_us = ?4 AND end_us = ?5 AND reason = ?6"
        " AND posted_expires_us IS nullif(?7, 0) FROM lock WHERE id = ?1",
        "bttiiti", id, (size_t)CATALOG_UUID_BYTES, lock->camera,
        lock->stream[0] ? lock->stream : NULL, lock->start_us, lock->end_us, lock->reason,
        lock->expires_us);
    if (status == CATALOG_OK)
        return same ? CATALOG_NONE : CATALOG_CONFLICT;
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_lock_add(
    struct catalog *catalog, const struct catalog_lock *lock, char **cause)
{
    *cause = NULL;
    uint8_t id[CATALOG_UUID_BYTES];
    if (!catalog_uuid_parse(lock->id, id) || !segment_name_valid(lock->camera) ||
        (lock->stream[0] && !segment_name_valid(lock->stream)) || lock->start_us < 0 ||
        lock->end_us <= lock->start_us) {
        *cause = xasprintf(
            "%s: a lock needs a UUID, a camera, and an end behind its start", catalog->db.path);
        return CATALOG_ERROR;
    }
    enum catalog_status status = lock_compare(catalog, lock, id, cause);
    if (status != CATALOG_OK)
        return status;
    return catalog_db_run(&catalog->db, cause,
        "INSERT INTO lock (id, camera, stream, start_us, end_us, reason, expires_us,"
        " posted_expires_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, nullif(?7, 0), nullif(?7, 0))",
        "bttiiti", id, sizeof(id), lock->camera, lock->stream[0] ? lock->stream : NULL,
        lock->start_us, lock->end_us, lock->reason, lock->expires_us);
}

enum catalog_status catalog_lock_renew(
    struct catalog *catalog, const char *id, int64_t expires_us, char **cause)
{
    *cause = NULL;
    uint8_t bytes[CATALOG_UUID_BYTES];
    int64_t one;
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    return catalog_db_integer(&catalog->db, &one, cause,
        "UPDATE lock SET expires_us = nullif(?, 0) WHERE id = ? RETURNING 1", "ib", expires_us,
        bytes, sizeof(bytes));
}

enum catalog_status catalog_lock_remove(struct catalog *catalog, const char *id, char **cause)
{
    *cause = NULL;
    uint8_t bytes[CATALOG_UUID_BYTES];
    int64_t one;
    if (!catalog_uuid_parse(id, bytes))
        return CATALOG_NONE;
    return catalog_db_integer(&catalog->db, &one, cause,
        "DELETE FROM lock WHERE id = ? RETURNING 1", "b", bytes, sizeof(bytes));
}

enum catalog_status catalog_locks_expire(struct catalog *catalog, int64_t now_us, char **cause)
{
    return catalog_db_run(
        &catalog->db, cause, "DELETE FROM lock WHERE expires_us <= ?", "i", now_us);
}
