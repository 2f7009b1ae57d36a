// Files that no row points at any more and that are still to be unlinked. See catalog.h.
#include "lib/media/catalog.h"

#include <stdlib.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

void catalog_garbage_free(struct catalog_garbage *garbage, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(garbage[i].key);
    free(garbage);
}

enum catalog_status catalog_garbage_list(
    struct catalog *catalog, struct catalog_garbage **garbage, size_t *count, char **cause)
{
    *garbage = NULL;
    *count = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(
        &catalog->db, &row, cause, "SELECT id, volume_id, key, bytes FROM garbage ORDER BY id", "");
    if (status != CATALOG_OK)
        return status;
    size_t capacity = 0;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*garbage, *count, capacity);
        (*garbage)[(*count)++] = (struct catalog_garbage){
            .id = sqlite3_column_int64(row, 0),
            .volume_id = sqlite3_column_int64(row, 1),
            .key = xstrdup((const char *)sqlite3_column_text(row, 2)),
            .bytes = (uint64_t)sqlite3_column_int64(row, 3),
        };
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    catalog_garbage_free(*garbage, *count);
    *garbage = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_garbage_find(
    struct catalog *catalog, int64_t volume_id, const char *key, char **cause)
{
    int64_t found;
    return catalog_db_integer(&catalog->db, &found, cause,
        "SELECT 1 FROM garbage WHERE volume_id = ? AND key = ?", "it", volume_id, key);
}

enum catalog_status catalog_garbage_done(struct catalog *catalog, int64_t id, char **cause)
{
    return catalog_db_run(&catalog->db, cause, "DELETE FROM garbage WHERE id = ?", "i", id);
}
