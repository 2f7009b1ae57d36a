// Epochs. See catalog_epoch.h.
#include "lib/media/catalog_epoch.h"

#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

enum catalog_status catalog_epochs_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, size_t limit, struct catalog_epoch **epochs, size_t *count, char **cause)
{
    *epochs = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT run, first_number, start_us, cause, moved_us FROM epoch"
        " WHERE stream_id = ? AND start_us >= ? AND start_us < ? ORDER BY start_us, run LIMIT ?",
        "iiii", stream_id, start_us, end_us, catalog_limit(limit));
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*epochs, *count, capacity);
        struct catalog_epoch *epoch = &(*epochs)[(*count)++];
        *epoch = (struct catalog_epoch){
            .stream_id = stream_id,
            .run = sqlite3_column_int64(row, 0),
            .first_number = (uint32_t)sqlite3_column_int64(row, 1),
            .start_us = sqlite3_column_int64(row, 2),
            .moved_us = sqlite3_column_int64(row, 4),
        };
        snprintf(epoch->cause, sizeof(epoch->cause), "%s", sqlite3_column_text(row, 3));
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*epochs);
    *epochs = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_epoch_add(
    struct catalog *catalog, const struct catalog_epoch *epoch, char **cause)
{
    return catalog_db_run(&catalog->db, cause,
        "INSERT OR IGNORE INTO epoch (stream_id, run, first_number, start_us, cause, moved_us)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        "iiiiti", epoch->stream_id, epoch->run, (int64_t)epoch->first_number, epoch->start_us,
        epoch->cause, epoch->moved_us);
}
