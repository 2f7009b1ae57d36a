// SQLite as the catalog uses it: one open database file with its prepared statements. It knows how
// a file must be opened and how SQLite's answers map to ours, not what is in it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/media/catalog.h"

struct sqlite3;
struct sqlite3_stmt;

enum {
    CATALOG_STATEMENTS_MAX = 128,
};

struct catalog_db {
    struct sqlite3 *handle;
    char *path;
    bool writer;
    struct {
        const char *sql;
        struct sqlite3_stmt *statement;
    } statements[CATALOG_STATEMENTS_MAX];
    size_t statement_count;
};

// Opens `path` (a writer makes it). `wal_size_max` bounds the write-ahead log that stays behind.
// On any status but CATALOG_OK nothing is open.
enum catalog_status catalog_db_open(
    struct catalog_db *db, const char *path, bool writer, int64_t wal_size_max, char **cause);
void catalog_db_close(struct catalog_db *db);

// Turns SQLite's last error into a status and a cause.
enum catalog_status catalog_db_fail(const struct catalog_db *db, char **cause);

// Runs SQL text of one or more statements without arguments or results.
enum catalog_status catalog_db_exec(struct catalog_db *db, const char *sql, char **cause);

// Starts a statement with its arguments, one letter each in `types`: 'i' an int64_t, 't' a string
// (NULL: SQL's NULL), 'b' bytes (const void *, size_t); with NULL types the caller
// binds. It is prepared once and kept: `sql` must be
// a constant. Text and bytes must stay until the statement ends.
enum catalog_status catalog_db_start(struct catalog_db *db, struct sqlite3_stmt **statement,
    char **cause, const char *sql, const char *types, ...);

// CATALOG_OK: there is a row. CATALOG_NONE: there is no further one; the statement has ended, as
// after an error.
enum catalog_status catalog_db_step(
    struct catalog_db *db, struct sqlite3_stmt *statement, char **cause);

// Ends a statement before its last row.
void catalog_db_end(struct sqlite3_stmt *statement);

// Starts and ends a statement that has no rows to give.
enum catalog_status catalog_db_run(
    struct catalog_db *db, char **cause, const char *sql, const char *types, ...);

// The first column of the first row, an integer: CATALOG_NONE without a row.
enum catalog_status catalog_db_integer(
    struct catalog_db *db, int64_t *value, char **cause, const char *sql, const char *types, ...);

// The row number that the last insert got.
int64_t catalog_db_inserted(const struct catalog_db *db);
