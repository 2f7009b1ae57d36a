// Opened sample tables. See tables.h.
#include "webui/tables.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/core/alloc.h"

enum {
    TABLES_COUNT = 4096,
    TABLES_BYTES_MAX = 16 * 1024 * 1024,
};

struct table {
    atomic_uint references;
    int64_t stream_id;
    int64_t run;
    uint32_t number;
    struct buf packed;
    struct sample_table samples;
};

// Each segment has one place, by its identity; a newcomer drives out whoever stands there.
struct tables {
    pthread_mutex_t mutex; // of what follows
    struct table *entries[TABLES_COUNT];
    size_t bytes;
    size_t hand; // the next one to go when there are too many bytes
};

const struct sample_table *table_samples(const struct table *table)
{
    return &table->samples;
}

void table_release(struct table *table)
{
    if (table == NULL || atomic_fetch_sub(&table->references, 1) != 1)
        return;
    buf_fini(&table->packed);
    free(table);
}

struct tables *tables_new(void)
{
    struct tables *tables = xcalloc(1, sizeof(*tables));
    pthread_mutex_init(&tables->mutex, NULL);
    return tables;
}

static void tables_drop(struct tables *tables, size_t place)
{
    struct table *table = tables->entries[place];
    if (table == NULL)
        return;
    tables->bytes -= table->packed.capacity;
    tables->entries[place] = NULL;
    table_release(table);
}

void tables_free(struct tables *tables)
{
    if (tables == NULL)
        return;
    for (size_t i = 0; i < TABLES_COUNT; i++)
        tables_drop(tables, i);
    pthread_mutex_destroy(&tables->mutex);
    free(tables);
}

static size_t tables_place(const struct catalog_segment *segment)
{
    uint64_t hash = (uint64_t)segment->run * UINT64_C(0x9e3779b97f4a7c15) +
                    (uint64_t)segment->stream_id * UINT64_C(0xc2b2ae3d27d4eb4f);
    return ((hash >> 32) + segment->number) % TABLES_COUNT;
}

static void tables_keep(struct tables *tables, size_t place, struct table *table)
{
    pthread_mutex_lock(&tables->mutex);
    tables_drop(tables, place);
    atomic_fetch_add(&table->references, 1);
    tables->entries[place] = table;
    tables->bytes += table->packed.capacity;
    for (size_t i = 0; i < TABLES_COUNT && tables->bytes > TABLES_BYTES_MAX; i++) {
        size_t victim = tables->hand++ % TABLES_COUNT;
        if (victim != place)
            tables_drop(tables, victim);
    }
    pthread_mutex_unlock(&tables->mutex);
}

enum catalog_status tables_put(struct tables *tables, const struct catalog_segment *segment,
    struct buf *packed, struct table **table, char **cause)
{
    struct table *entry = xcalloc(1, sizeof(*entry));
    atomic_init(&entry->references, 1);
    entry->stream_id = segment->stream_id;
    entry->run = segment->run;
    entry->number = segment->number;
    entry->packed = *packed;
    *packed = BUF_INIT;
    if (sample_table_open(&entry->samples, entry->packed.data, entry->packed.size, cause) < 0) {
        table_release(entry);
        return CATALOG_ERROR;
    }
    tables_keep(tables, tables_place(segment), entry);
    *table = entry;
    return CATALOG_OK;
}

static struct table *tables_find(struct tables *tables, const struct catalog_segment *segment)
{
    pthread_mutex_lock(&tables->mutex);
    struct table *table = tables->entries[tables_place(segment)];
    bool is_right = table != NULL && table->stream_id == segment->stream_id &&
                    table->run == segment->run && table->number == segment->number;
    if (is_right)
        atomic_fetch_add(&table->references, 1);
    pthread_mutex_unlock(&tables->mutex);
    return is_right ? table : NULL;
}

enum catalog_status tables_get(struct tables *tables, struct catalog *catalog,
    const struct catalog_segment *segment, struct table **table, char **cause)
{
    *table = tables_find(tables, segment);
    if (*table != NULL)
        return CATALOG_OK;
    struct buf packed = BUF_INIT;
    enum catalog_status status = catalog_frames(catalog, segment, &packed, cause);
    if (status != CATALOG_OK) {
        buf_fini(&packed);
        return status;
    }
    return tables_put(tables, segment, &packed, table, cause);
}
