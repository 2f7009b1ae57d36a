// The catalog's versions. See catalog_schema.h.
#include "lib/media/catalog_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"

static const char *const catalog_schema_table[] = {
    catalog_schema_sql,
};

const struct catalog_steps catalog_schema_steps = {
    .sql = catalog_schema_table,
    .count = ARRAY_LENGTH(catalog_schema_table),
};

static enum catalog_status catalog_schema_version(
    struct catalog_db *db, const struct catalog_steps *steps, int64_t *version, char **cause)
{
    enum catalog_status status = catalog_db_integer(db, version, cause, "PRAGMA user_version", "");
    if (status == CATALOG_OK && *version > (int64_t)steps->count) {
        *cause = xasprintf("%s is of version %" PRId64 ", this program knows up to %zu: start the "
                           "newer Keepframe that wrote it, or restore the copy it made before",
            db->path, *version, steps->count);
        return CATALOG_ERROR;
    }
    return status;
}

static enum catalog_status catalog_schema_copy(
    struct catalog_db *db, const char *path, char **cause)
{
    sqlite3 *copy = NULL;
    sqlite3_backup *backup = NULL;
    int code = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code == SQLITE_OK)
        backup = sqlite3_backup_init(copy, "main", db->handle, "main");
    if (backup != NULL) {
        sqlite3_backup_step(backup, -1);
        code = sqlite3_backup_finish(backup);
    } else {
        code = sqlite3_errcode(copy);
    }
    if (code != SQLITE_OK)
        *cause = xasprintf(
            "%s: the copy before a migration can not be made: %s", path, sqlite3_errmsg(copy));
    sqlite3_close(copy);
    return code == SQLITE_OK ? CATALOG_OK : CATALOG_ERROR;
}

static enum catalog_status catalog_schema_backup(
    struct catalog_db *db, int64_t version, char **cause)
{
    char *path = xasprintf("%s.v%" PRId64, db->path, version);
    char *temporary = xasprintf("%s.tmp", path);
    unlink(temporary);
    enum catalog_status status = catalog_schema_copy(db, temporary, cause);
    if (status == CATALOG_OK && rename(temporary, path) < 0) {
        *cause = xasprintf("%s: the copy before a migration can not be named: %m", path);
        status = CATALOG_ERROR;
    }
    if (status == CATALOG_OK)
        log_info("%s was copied to %s before its migration", db->path, path);
    free(temporary);
    free(path);
    return status;
}

static enum catalog_status catalog_schema_step(
    struct catalog_db *db, const struct catalog_steps *steps, int64_t version, char **cause)
{
    char *sql = xasprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA user_version = %" PRId64 ";\nCOMMIT;",
        steps->sql[version], version + 1);
    enum catalog_status status = catalog_db_exec(db, sql, cause);
    if (status != CATALOG_OK && !sqlite3_get_autocommit(db->handle))
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    free(sql);
    return status;
}

enum catalog_status catalog_schema_migrate(
    struct catalog_db *db, const struct catalog_steps *steps, char **cause)
{
    int64_t version;
    enum catalog_status status = catalog_schema_version(db, steps, &version, cause);
    if (status == CATALOG_OK && version > 0 && version < (int64_t)steps->count)
        status = catalog_schema_backup(db, version, cause);
    for (; status == CATALOG_OK && version < (int64_t)steps->count; version++)
        status = catalog_schema_step(db, steps, version, cause);
    return status;
}

enum catalog_status catalog_schema_check(
    struct catalog_db *db, const struct catalog_steps *steps, char **cause)
{
    int64_t version;
    enum catalog_status status = catalog_schema_version(db, steps, &version, cause);
    if (status == CATALOG_OK && version < (int64_t)steps->count) {
        *cause = NULL;
        return CATALOG_BUSY;
    }
    return status;
}
