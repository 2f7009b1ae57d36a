// migrate: opens DIRECTORY/catalog.db as its writer does and brings it from its version to the next
// one, which no Keepframe has: a table and a column more, every segment's row written anew. For the
// campaign of crashes, since there is only one version yet.
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"
#include "lib/media/catalog_db.h"
#include "lib/media/catalog_schema.h"

static const char *const steps[] = {
    "",
    "CREATE TABLE later (stream_id INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;"
    "ALTER TABLE segment ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;"
    "UPDATE segment SET rank = size_bytes / 7;"
    "INSERT INTO later SELECT stream_id, sum(size_bytes) FROM segment GROUP BY stream_id;",
};

int main(int argc, char **argv)
{
    struct catalog_db db;
    char *cause = NULL;

    if (argc != 2) {
        fputs("usage: migrate DIRECTORY\n", stderr);
        return 64;
    }
    log_open("migrate", false);
    char *path = xasprintf("%s/catalog.db", argv[1]);
    enum catalog_status status = catalog_db_open(&db, path, true, 1 << 20, &cause);
    if (status == CATALOG_OK) {
        const struct catalog_steps table = {steps, ARRAY_LENGTH(steps)};
        status = catalog_schema_migrate(&db, &table, &cause);
        catalog_db_close(&db);
    }
    if (status != CATALOG_OK)
        log_err("%s", cause ? cause : "the catalog is locked");
    free(cause);
    free(path);
    return status == CATALOG_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
