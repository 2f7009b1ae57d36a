// The catalog's versions: numbered steps, each in a transaction of its own, with a backup before
// the first of them. The version is SQLite's user_version.
#pragma once

#include <stddef.h>

#include "lib/media/catalog_db.h"

// schema.sql, made a C string by the build.
extern const char catalog_schema_sql[];

// Step i leads from version i to version i + 1; the first one is schema.sql.
struct catalog_steps {
    const char *const *sql;
    size_t count;
};

extern const struct catalog_steps catalog_schema_steps;

// Brings a database to the newest version. A newer one is refused. Before an older one is changed
// it is copied to "PATH.vN", N being its version.
enum catalog_status catalog_schema_migrate(
    struct catalog_db *db, const struct catalog_steps *steps, char **cause);

// CATALOG_OK where a reader understands the database, CATALOG_BUSY where its writer has still to
// migrate it, CATALOG_ERROR where it is newer.
enum catalog_status catalog_schema_check(
    struct catalog_db *db, const struct catalog_steps *steps, char **cause);
