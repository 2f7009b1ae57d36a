// SQLite as the catalog uses it. See catalog_db.h.
#include "lib/media/catalog_db.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"

enum {
    CATALOG_DB_BUSY_MS = 250,          // a reader gives up early: its caller asks again
    CATALOG_DB_WRITER_BUSY_MS = 10000, // only a reader's recovery can hold up the one writer
    CATALOG_DB_MODE = 0640,            // a reader may be another user of our group
};

// Asks for write-ahead logging, and whether it was granted.
static enum catalog_status catalog_db_log_ahead(struct catalog_db *db, char **cause)
{
    sqlite3_stmt *statement;
    enum catalog_status status =
        catalog_db_start(db, &statement, cause, "PRAGMA journal_mode = WAL", "");
    if (status == CATALOG_OK)
        status = catalog_db_step(db, statement, cause);
    if (status != CATALOG_OK)
        return status;
    const char *mode = (const char *)sqlite3_column_text(statement, 0);
    if (mode == NULL || strcmp(mode, "wal") != 0) {
        *cause = xasprintf("%s: its file system allows no write-ahead log; use a local one (ext4, "
                           "xfs, btrfs or tmpfs)",
            db->path);
        status = CATALOG_ERROR;
    }
    catalog_db_end(statement);
    return status;
}

static enum catalog_status catalog_db_set_up(
    struct catalog_db *db, int64_t wal_size_max, char **cause)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, db->writer ? CATALOG_DB_WRITER_BUSY_MS : CATALOG_DB_BUSY_MS);
    // The log and its index stay when the last handle closes: a reader that may not write the
    // directory could not make them.
    int persist = 1;
    sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    if (!db->writer)
        return CATALOG_OK;
    char *pragmas = xasprintf("PRAGMA auto_vacuum = NONE; PRAGMA synchronous = FULL;"
                              "PRAGMA journal_size_limit = %lld;",
        (long long)wal_size_max);
    enum catalog_status status = catalog_db_exec(db, pragmas, cause);
    free(pragmas);
    return status == CATALOG_OK ? catalog_db_log_ahead(db, cause) : status;
}

// Whether the file is there and may be read, without opening it.
static enum catalog_status catalog_db_look(const char *path, char **cause)
{
    *cause = NULL;
    if (access(path, R_OK) == 0)
        return CATALOG_OK;
    if (errno == ENOENT)
        return CATALOG_BUSY;
    *cause = xasprintf("%s: can not be read: %s", path, strerror(errno));
    return CATALOG_ERROR;
}

enum catalog_status catalog_db_open(
    struct catalog_db *db, const char *path, bool writer, int64_t wal_size_max, char **cause)
{
    *db = (struct catalog_db){0};
    enum catalog_status status = writer ? CATALOG_OK : catalog_db_look(path, cause);
    if (status != CATALOG_OK)
        return status;
    db->path = xstrdup(path);
    db->writer = writer;
    bool fresh = access(path, F_OK) < 0;
    int flags = writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        status = catalog_db_fail(db, cause);
    // SQLite gives the log and its index the mode of the database file.
    if (status == CATALOG_OK && fresh && chmod(path, CATALOG_DB_MODE) < 0) {
        *cause = xasprintf("%s: its mode can not be set: %s", path, strerror(errno));
        status = CATALOG_ERROR;
    }
    if (status == CATALOG_OK)
        status = catalog_db_set_up(db, wal_size_max, cause);
    if (status != CATALOG_OK)
        catalog_db_close(db);
    return status;
}

void catalog_db_close(struct catalog_db *db)
{
    for (size_t i = 0; i < db->statement_count; i++)
        sqlite3_finalize(db->statements[i].statement);
    sqlite3_close(db->handle);
    free(db->path);
    *db = (struct catalog_db){0};
}

// What a reader meets while no writer lives, starts, or has just died.
static bool catalog_db_transient(int code)
{
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_SCHEMA:
    case SQLITE_CANTOPEN:
        return true;
    default:
        return code == SQLITE_READONLY_CANTINIT || code == SQLITE_READONLY_RECOVERY ||
               code == SQLITE_READONLY_CANTLOCK || code == SQLITE_READONLY_DIRECTORY ||
               code == SQLITE_READONLY_ROLLBACK;
    }
}

enum catalog_status catalog_db_fail(const struct catalog_db *db, char **cause)
{
    *cause = NULL;
    if (!db->writer && catalog_db_transient(sqlite3_extended_errcode(db->handle)))
        return CATALOG_BUSY;
    *cause = xasprintf("%s: %s", db->path, sqlite3_errmsg(db->handle));
    return CATALOG_ERROR;
}

enum catalog_status catalog_db_exec(struct catalog_db *db, const char *sql, char **cause)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return catalog_db_fail(db, cause);
    return CATALOG_OK;
}

static enum catalog_status catalog_db_prepare(
    struct catalog_db *db, sqlite3_stmt **statement, const char *sql, char **cause)
{
    for (size_t i = 0; i < db->statement_count; i++) {
        if (db->statements[i].sql == sql) {
            *statement = db->statements[i].statement;
            return CATALOG_OK;
        }
    }
    assert(db->statement_count < CATALOG_STATEMENTS_MAX);
    if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) !=
        SQLITE_OK)
        return catalog_db_fail(db, cause);
    db->statements[db->statement_count].sql = sql;
    db->statements[db->statement_count++].statement = *statement;
    return CATALOG_OK;
}

static void catalog_db_bind(sqlite3_stmt *statement, const char *types, va_list args)
{
    assert((int)strlen(types) == sqlite3_bind_parameter_count(statement));
    for (int i = 1; types[i - 1] != '\0'; i++) {
        switch (types[i - 1]) {
        case 'i':
            sqlite3_bind_int64(statement, i, va_arg(args, int64_t));
            break;
        case 't':
            sqlite3_bind_text(statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
            break;
        case 'b': {
            const void *data = va_arg(args, const void *);
            sqlite3_bind_blob64(statement, i, data, va_arg(args, size_t), SQLITE_STATIC);
            break;
        }
        default:
            assert(!"an argument's type is not known");
        }
    }
}

static enum catalog_status catalog_db_vstart(struct catalog_db *db, sqlite3_stmt **statement,
    char **cause, const char *sql, const char *types, va_list args)
{
    enum catalog_status status = catalog_db_prepare(db, statement, sql, cause);
    if (status == CATALOG_OK && types != NULL)
        catalog_db_bind(*statement, types, args);
    return status;
}

enum catalog_status catalog_db_start(struct catalog_db *db, struct sqlite3_stmt **statement,
    char **cause, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    enum catalog_status status = catalog_db_vstart(db, statement, cause, sql, types, args);
    va_end(args);
    return status;
}

enum catalog_status catalog_db_step(
    struct catalog_db *db, struct sqlite3_stmt *statement, char **cause)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return CATALOG_OK;
    enum catalog_status status = CATALOG_NONE;
    if (code != SQLITE_DONE)
        status = catalog_db_fail(db, cause);
    catalog_db_end(statement);
    return status;
}

void catalog_db_end(struct sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

enum catalog_status catalog_db_run(
    struct catalog_db *db, char **cause, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, types);
    enum catalog_status status = catalog_db_vstart(db, &statement, cause, sql, types, args);
    va_end(args);
    if (status != CATALOG_OK)
        return status;
    status = catalog_db_step(db, statement, cause);
    if (status == CATALOG_OK)
        catalog_db_end(statement);
    return status == CATALOG_NONE ? CATALOG_OK : status;
}

enum catalog_status catalog_db_integer(
    struct catalog_db *db, int64_t *value, char **cause, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, types);
    enum catalog_status status = catalog_db_vstart(db, &statement, cause, sql, types, args);
    va_end(args);
    if (status == CATALOG_OK)
        status = catalog_db_step(db, statement, cause);
    if (status != CATALOG_OK)
        return status;
    *value = sqlite3_column_int64(statement, 0);
    catalog_db_end(statement);
    return CATALOG_OK;
}

int64_t catalog_db_inserted(const struct catalog_db *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}
