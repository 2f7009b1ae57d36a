// Figures of storage. See catalog_storage.h.
#include "lib/media/catalog_storage.h"

#include <stdlib.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/media/catalog_impl.h"

enum catalog_status catalog_storage(
    struct catalog *catalog, struct catalog_storage **volumes, size_t *count, char **cause)
{
    *volumes = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT volume.id, ifnull(used.segments, 0), ifnull(used.bytes, 0),"
        " ifnull(used.first_us, 0), ifnull(gone.files, 0), ifnull(gone.bytes, 0) FROM volume"
        " LEFT JOIN (SELECT volume_id, sum(segments) AS segments, sum(bytes) AS bytes,"
        "  min(first_us) AS first_us FROM volume_total GROUP BY volume_id) AS used"
        "  ON used.volume_id = volume.id"
        " LEFT JOIN (SELECT volume_id, count(*) AS files, sum(bytes) AS bytes FROM garbage"
        "  GROUP BY volume_id) AS gone ON gone.volume_id = volume.id"
        " ORDER BY volume.id",
        "");
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*volumes, *count, capacity);
        (*volumes)[(*count)++] = (struct catalog_storage){
            .volume_id = sqlite3_column_int64(row, 0),
            .segments = (uint64_t)sqlite3_column_int64(row, 1),
            .bytes = (uint64_t)sqlite3_column_int64(row, 2),
            .first_us = sqlite3_column_int64(row, 3),
            .garbage_files = (uint64_t)sqlite3_column_int64(row, 4),
            .garbage_bytes = (uint64_t)sqlite3_column_int64(row, 5),
        };
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*volumes);
    *volumes = NULL;
    *count = 0;
    return status;
}

enum catalog_status catalog_footage_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, uint64_t *segments, uint64_t *bytes, char **cause)
{
    *segments = *bytes = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT count(*), ifnull(sum(size_bytes), 0) FROM segment WHERE stream_id = ?1"
        " AND start_us < ?3 AND start_us > ?2 - ifnull((SELECT longest_us FROM stream_total"
        "  WHERE stream_total.stream_id = ?1), 0) AND start_us + duration_us > ?2",
        "iii", stream_id, start_us, end_us);
    if (status == CATALOG_OK)
        status = catalog_db_step(&catalog->db, row, cause);
    if (status != CATALOG_OK)
        return status;
    *segments = (uint64_t)sqlite3_column_int64(row, 0);
    *bytes = (uint64_t)sqlite3_column_int64(row, 1);
    catalog_db_end(row);
    return CATALOG_OK;
}

enum catalog_status catalog_rates(struct catalog *catalog, int64_t start_us, int64_t end_us,
    struct catalog_rate **rates, size_t *count, char **cause)
{
    *rates = NULL;
    *count = 0;
    size_t capacity = 0;
    sqlite3_stmt *row;
    enum catalog_status status = catalog_db_start(&catalog->db, &row, cause,
        "SELECT stream_total.stream_id, sum(rollup.bytes), sum(covered_us) FROM stream_total"
        " CROSS JOIN rollup ON rollup.stream_id = stream_total.stream_id"
        " WHERE hour >= ? AND hour < ? GROUP BY stream_total.stream_id",
        "ii", start_us / CATALOG_HOUR_US, end_us / CATALOG_HOUR_US);
    if (status != CATALOG_OK)
        return status;
    while ((status = catalog_db_step(&catalog->db, row, cause)) == CATALOG_OK) {
        ARRAY_RESERVE(*rates, *count, capacity);
        (*rates)[(*count)++] = (struct catalog_rate){
            .stream_id = sqlite3_column_int64(row, 0),
            .bytes = (uint64_t)sqlite3_column_int64(row, 1),
            .covered_us = sqlite3_column_int64(row, 2),
        };
    }
    if (status == CATALOG_NONE)
        return CATALOG_OK;
    free(*rates);
    *rates = NULL;
    *count = 0;
    return status;
}
