// Sample tables of committed segments, opened and kept for a while: a moov asks for the same table
// a dozen times. Only the I/O thread touches it.
#pragma once

#include "lib/media/catalog.h"
#include "lib/media/samples.h"

struct tables;

struct tables *tables_new(void);
void tables_free(struct tables *tables);

// The table of a segment; of the row only stream_id, start_us, run and number are looked at. Valid
// until the next call. CATALOG_NONE: the catalog has lost it.
enum catalog_status tables_get(struct tables *tables, struct catalog *catalog,
    const struct catalog_segment *segment, const struct sample_table **table, char **cause);

// Keeps a table that was made from the file itself; takes the bytes of `packed`.
enum catalog_status tables_put(struct tables *tables, const struct catalog_segment *segment,
    struct buf *packed, const struct sample_table **table, char **cause);
