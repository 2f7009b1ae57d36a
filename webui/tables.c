// Opened sample tables. See tables.h.
#include "webui/tables.h"

#include <stdlib.h>

#include "lib/core/alloc.h"

enum {
    TABLES_COUNT = 4096,
    TABLES_BYTES_MAX = 16 * 1024 * 1024,
};

// Each segment has one place, by its identity; a newcomer drives out whoever stands there.
struct tables_entry {
    int64_t stream_id;
    int64_t run;
    uint32_t number;
    struct buf packed;
    struct sample_table table;
};

struct tables {
    struct tables_entry entries[TABLES_COUNT];
    size_t bytes;
    size_t hand; // the next one to go when there are too many bytes
};

struct tables *tables_new(void)
{
    return xcalloc(1, sizeof(struct tables));
}

static void tables_drop(struct tables *tables, struct tables_entry *entry)
{
    tables->bytes -= entry->packed.capacity;
    buf_fini(&entry->packed);
    *entry = (struct tables_entry){0};
}

void tables_free(struct tables *tables)
{
    if (tables == NULL)
        return;
    for (size_t i = 0; i < TABLES_COUNT; i++)
        tables_drop(tables, &tables->entries[i]);
    free(tables);
}

static struct tables_entry *tables_place(
    struct tables *tables, const struct catalog_segment *segment)
{
    uint64_t hash = (uint64_t)segment->run * UINT64_C(0x9e3779b97f4a7c15) +
                    (uint64_t)segment->stream_id * UINT64_C(0xc2b2ae3d27d4eb4f);
    return &tables->entries[((hash >> 32) + segment->number) % TABLES_COUNT];
}

enum catalog_status tables_put(struct tables *tables, const struct catalog_segment *segment,
    struct buf *packed, const struct sample_table **table, char **cause)
{
    struct tables_entry *entry = tables_place(tables, segment);
    tables_drop(tables, entry);
    if (sample_table_open(&entry->table, packed->data, packed->size, cause) < 0) {
        buf_fini(packed);
        *entry = (struct tables_entry){0};
        return CATALOG_ERROR;
    }
    entry->stream_id = segment->stream_id;
    entry->run = segment->run;
    entry->number = segment->number;
    entry->packed = *packed;
    *packed = BUF_INIT;
    tables->bytes += entry->packed.capacity;
    for (size_t i = 0; i < TABLES_COUNT && tables->bytes > TABLES_BYTES_MAX; i++) {
        struct tables_entry *victim = &tables->entries[tables->hand++ % TABLES_COUNT];
        if (victim != entry)
            tables_drop(tables, victim);
    }
    *table = &entry->table;
    return CATALOG_OK;
}

enum catalog_status tables_get(struct tables *tables, struct catalog *catalog,
    const struct catalog_segment *segment, const struct sample_table **table, char **cause)
{
    struct tables_entry *entry = tables_place(tables, segment);
    if (entry->packed.data != NULL && entry->stream_id == segment->stream_id &&
        entry->run == segment->run && entry->number == segment->number) {
        *table = &entry->table;
        return CATALOG_OK;
    }
    struct buf packed = BUF_INIT;
    enum catalog_status status = catalog_frames(catalog, segment, &packed, cause);
    if (status != CATALOG_OK) {
        buf_fini(&packed);
        return status;
    }
    return tables_put(tables, segment, &packed, table, cause);
}
