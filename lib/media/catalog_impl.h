// What the files of the catalog share behind catalog.h.
#pragma once

#include "lib/media/catalog_db.h"
#include "lib/media/frames.h"

#define CATALOG_HOUR_US (INT64_C(3600) * 1000000)

struct catalog {
    struct catalog_db db;
    struct frames frames;
    uint64_t damaged; // rows met whose tracks can not be read
};

// A LIMIT: 0 is none.
int64_t catalog_limit(size_t limit);

// --- catalog_event.c: UUIDs as they are stored ---

enum {
    CATALOG_UUID_BYTES = 16,
};

// The bytes of a UUID's text. Returns false for any other text.
bool catalog_uuid_parse(const char *text, uint8_t bytes[CATALOG_UUID_BYTES]);

// A column's bytes as text; empty for anything but a UUID.
void catalog_uuid_column(struct sqlite3_stmt *row, int column, char *text);

// A name or text out of a column; NULL for SQL's NULL.
char *catalog_text_column(struct sqlite3_stmt *row, int column);

// --- catalog_stretch.c: what a segment has in common with its neighbours ---

// CATALOG_OK where the segment of that identity has a row, CATALOG_NONE where it has none.
enum catalog_status catalog_stretch_has(
    struct catalog *catalog, int64_t stream_id, int64_t run, uint32_t number, char **cause);

// Notes the segment in the stretch that it belongs to, which is made where there is none.
enum catalog_status catalog_stretch_add(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t *id, char **cause);
enum catalog_status catalog_stretch_remove(
    struct catalog *catalog, int64_t id, uint32_t number, char **cause);

// The numbers of a stretch start at a multiple of this.
enum {
    CATALOG_STRETCH_NUMBERS = 64,
};

// --- catalog_total.c: sums, kept with each row. Adding comes before the row, removing after it.
// ---

enum catalog_status catalog_total_add(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause);
enum catalog_status catalog_total_remove(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause);

// --- catalog_outage.c ---

// A run has ended; called once, after its row was written.
enum catalog_status catalog_outage_run_ended(
    struct catalog *catalog, const struct catalog_run *run, char **cause);

// Footage of a run has come.
enum catalog_status catalog_outage_footage(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause);

// --- catalog_missing.c ---

// Remembers a segment whose row goes; forgets one whose row comes.
enum catalog_status catalog_missing_put(
    struct catalog *catalog, const struct catalog_segment *segment, int64_t now_us, char **cause);
enum catalog_status catalog_missing_found(
    struct catalog *catalog, const struct catalog_segment *segment, char **cause);

// Appends what is missing of a stream in [start_us, end_us) to an array of outages, neighbours as
// one, ascending.
struct catalog_outage;
enum catalog_status catalog_missing_in(struct catalog *catalog, int64_t stream_id, int64_t start_us,
    int64_t end_us, struct catalog_outage **outages, size_t *count, char **cause);

// --- catalog_segment.c ---

// Starts the search for the spans (start, duration) of a stream's segments that intersect
// [start_us, end_us), ascending.
enum catalog_status catalog_spans_start(struct catalog *catalog, struct sqlite3_stmt **row,
    int64_t stream_id, int64_t start_us, int64_t end_us, char **cause);

// --- catalog_timeline.c ---

// Starts the search for the hours (number since the epoch, covered time) of a stream that
// [start_us, end_us) touches, ascending. Hours without footage are missing.
enum catalog_status catalog_hours_start(struct catalog *catalog, struct sqlite3_stmt **row,
    int64_t stream_id, int64_t start_us, int64_t end_us, char **cause);
