// Sample tables of committed segments, opened and kept for a while: a moov asks for the same table
// a dozen times. Any thread may ask.
#pragma once

#include "lib/media/catalog.h"
#include "lib/media/samples.h"

struct tables;

// An opened table, never changed, and there as long as somebody has a reference.
struct table;

const struct sample_table *table_samples(const struct table *table);
void table_release(struct table *table); // NULL is legal

struct tables *tables_new(void);
void tables_free(struct tables *tables);

// The table of a segment, a reference for the caller; of the row only stream_id, start_us, run and
// number are looked at. CATALOG_NONE: the catalog has lost it.
enum catalog_status tables_get(struct tables *tables, struct catalog *catalog,
    const struct catalog_segment *segment, struct table **table, char **cause);

// Keeps a table that was made from the file itself; takes the bytes of `packed`, and gives the
// caller a reference.
enum catalog_status tables_put(struct tables *tables, const struct catalog_segment *segment,
    struct buf *packed, struct table **table, char **cause);
