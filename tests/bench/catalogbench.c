// A catalog of many cameras and days, and how long its answers take. Rows are written in the order
// in which an indexer would (all streams, minute by minute), since that decides how full SQLite's
// pages are; straight into the tables, since a commit each second would take as long as recording
// did. The first hour goes through catalog_segment_add(), and so does one more stream, which has
// footage of a whole year with about a thousand gaps; it comes after the size of a row is taken.
//
// usage: catalogbench DIRECTORY STREAMS DAYS
// prints one JSON object; times are milliseconds, medians of warm repetitions.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <sqlite3.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/catalog_impl.h"
#include "lib/media/catalog_storage.h"
#include "lib/media/catalog_timeline.h"
#include "lib/media/catalog_tracks.h"

#define START_US INT64_C(1767225600000000) // 2026-01-01 00:00 UTC
#define MINUTE_US (60 * US_PER_SECOND)
#define RUN_MINUTES 4321 // a recorder is restarted after three days

enum {
    REPETITIONS = 21,
    YEAR_MINUTES = 365 * 1440,
};

struct bench {
    struct catalog *catalog;
    char *path;
    int streams;
    int64_t minutes;
    int64_t *stretches; // of each stream, the newest
    int64_t *sizes;     // bytes of each stream
    int64_t year_rows;
};

static char *cause;

static void check(enum catalog_status status, const char *what)
{
    if (status == CATALOG_OK)
        return;
    fprintf(stderr, "catalogbench: %s: %s\n", what,
        status == CATALOG_ERROR ? cause : "not as it should be");
    exit(1);
}

static void ensure(bool right, const char *what)
{
    check(right ? CATALOG_OK : CATALOG_NONE, what);
}

// Always the same numbers: of a stream's minute.
static uint32_t noise(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c15) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 31;
    x *= 0x94d049bb133111ebu;
    return (uint32_t)(x >> 29);
}

// A minute of 25 jittered frames a second with AAC from a camera whose clock is some ppm off; every
// fourth camera reorders frames, every fifth has no sound.
static struct catalog_segment bench_row(int stream, int64_t minute)
{
    uint64_t minutes = (uint64_t)minute;
    int64_t number = minute % RUN_MINUTES, run_us = START_US + (minute - number) * MINUTE_US;
    uint32_t jitter = noise((uint64_t)stream, minutes), more = noise(minutes, (uint64_t)stream);
    int64_t ppm = (int64_t)(noise((uint64_t)stream, 1) % 200) - 100,
            start_us = run_us + 1400000 + stream * 2000 + number * (MINUTE_US + 60 * ppm);
    bool reorders = stream % 4 == 3, sound = stream % 5 != 4;
    uint32_t heads = 120 * 250 + jitter % 2000;
    struct catalog_segment row = {
        .stream_id = stream + 1,
        .start_us = start_us,
        .end_us = start_us + MINUTE_US + 60 * ppm,
        .run = run_us / 1000 + stream,
        .number = (uint32_t)number,
        .volume_id = 1,
        .media_offset = sound ? 1201 : 733,
        .utc_offset_s = 3600,
        .video = {.codec_id = 2 * stream + 1,
            .summary = {.kind = MEDIA_VIDEO,
                .timescale = 90000,
                .start = number * 5400000 + jitter % 3000,
                .first_presentation = reorders ? 3600 : 0,
                .greatest_composition = reorders ? 10800 : 0,
                .last_duration = 3500 + jitter % 200,
                .counts = {.samples = 1500,
                    .syncs = 30,
                    .chunks = 120 + jitter % 3,
                    .stts_entries = 1480 + jitter % 20,
                    .ctts_entries = reorders ? 1400 + more % 100 : 1,
                    .stsc_entries = 20 + more % 60,
                    .bytes = 7000000 + more % 1000000,
                    .duration = 5399900 + more % 200}}},
    };
    if (sound) {
        row.audio.codec_id = 2 * stream + 2;
        row.audio.summary = (struct track_summary){.kind = MEDIA_AUDIO,
            .timescale = 48000,
            .start = row.video.summary.start * 8 / 15 + more % 2000,
            .last_duration = 1024,
            .counts = {.samples = 2812 + jitter % 2,
                .syncs = 2812 + jitter % 2,
                .chunks = 119 + jitter % 3,
                .stts_entries = 2,
                .ctts_entries = 1,
                .stsc_entries = 60 + jitter % 30,
                .bytes = 460000 + jitter % 30000,
                .duration = (2812 + jitter % 2) * 1024ull}};
    }
    row.media_end =
        row.media_offset + row.video.summary.counts.bytes + row.audio.summary.counts.bytes + heads;
    row.size_bytes =
        row.media_end + 20000 + (sound ? 11000 : 0) + (reorders ? 11500 : 0) + more % 50;
    return row;
}

// --- Writing ---

static void bench_open(struct bench *bench, const char *directory)
{
    int64_t id;
    bench->path = xasprintf("%s/catalog.db", directory);
    bench->catalog = catalog_open_writer(directory, &cause);
    ensure(bench->catalog != NULL, "open");
    check(catalog_begin(bench->catalog, &cause), "begin");
    check(catalog_volume_add(
              bench->catalog, "00000000-0000-4000-8000-000000000001", "/srv/video", &id, &cause),
        "volume");
    for (int i = 0; i <= bench->streams; i++) {
        char camera[32];
        snprintf(camera, sizeof(camera), "camera-%04d", i);
        check(catalog_stream_add(bench->catalog, camera, "main", &id, &cause), "stream");
        ensure(id == i + 1, "stream id");
    }
    check(catalog_commit(bench->catalog, &cause), "commit");
}

static void bench_key(struct catalog_segment *row)
{
    struct segment_id id = {.run = row->run, .number = row->number};
    char key[SEGMENT_KEY_SIZE];
    snprintf(id.camera, sizeof(id.camera), "camera-%04d", (int)row->stream_id - 1);
    snprintf(id.stream, sizeof(id.stream), "main");
    segment_key_format(&id, row->start_us, row->utc_offset_s, key);
    row->key = xstrdup(key);
}

static void bench_run(struct bench *bench, const struct catalog_segment *row)
{
    struct catalog_run run = {
        .stream_id = row->stream_id, .run = row->run, .start_us = row->run * 1000};
    check(catalog_run_put(bench->catalog, &run, &cause), "run");
}

static void bench_add(struct bench *bench, struct catalog_segment *row)
{
    bench_key(row);
    check(catalog_segment_add(bench->catalog, row, &cause), "row");
    catalog_segment_fini(row);
}

static void bench_add_hour(struct bench *bench)
{
    check(catalog_begin(bench->catalog, &cause), "begin");
    for (int64_t minute = 0; minute < 60; minute++) {
        for (int stream = 0; stream < bench->streams; stream++) {
            struct catalog_segment row = bench_row(stream, minute);
            if (minute == 0)
                bench_run(bench, &row);
            bench->sizes[stream] += (int64_t)row.size_bytes;
            bench_add(bench, &row);
        }
    }
    check(catalog_commit(bench->catalog, &cause), "commit");
}

// As an indexer does it, but for the commits. Returns microseconds a row.
static double bench_add_year(struct bench *bench)
{
    int64_t since_us = time_monotonic_us();
    check(catalog_begin(bench->catalog, &cause), "begin");
    for (int64_t minute = 0; minute < YEAR_MINUTES; minute++) {
        struct catalog_segment row = bench_row(bench->streams, minute);
        if (row.number == 0)
            bench_run(bench, &row);
        if (noise((uint64_t)minute, 3) % 500 == 0)
            continue;
        bench_add(bench, &row);
        bench->year_rows++;
    }
    check(catalog_commit(bench->catalog, &cause), "commit");
    return (double)(time_monotonic_us() - since_us) / (double)bench->year_rows;
}

static void bench_insert(struct bench *bench, struct catalog_segment *row, struct buf *packed)
{
    struct catalog_db *db = &bench->catalog->db;
    int64_t *stretch = &bench->stretches[row->stream_id - 1];
    if (row->number == 0)
        bench_run(bench, row);
    if (row->number % CATALOG_STRETCH_NUMBERS == 0 || *stretch == 0)
        check(catalog_stretch_add(bench->catalog, row, stretch, &cause), "stretch");
    packed->size = 0;
    catalog_tracks_encode(row, packed);
    check(catalog_db_run(db, &cause,
              "INSERT INTO segment (stream_id, start_us, duration_us, stretch_id, nth, size_bytes,"
              " packed) VALUES (?, ?, ?, ?, ?, ?, ?)",
              "iiiiiib", row->stream_id, row->start_us, row->end_us - row->start_us, *stretch,
              (int64_t)(row->number % CATALOG_STRETCH_NUMBERS), (int64_t)row->size_bytes,
              packed->data, packed->size),
        "row");
    bench->sizes[row->stream_id - 1] += (int64_t)row->size_bytes;
}

// What the rows leave to be summed up.
static const char bench_sums_sql[] =
    "UPDATE stretch SET last_us = (SELECT max(start_us) FROM segment WHERE segment.stream_id ="
    "  stretch.stream_id AND start_us >= first_us AND start_us < first_us + 64 * 60100000"
    "  AND stretch_id = stretch.id),"
    " present = (SELECT sum(1 << nth) FROM segment WHERE segment.stream_id = stretch.stream_id"
    "  AND start_us >= first_us AND start_us < first_us + 64 * 60100000 AND stretch_id = "
    "stretch.id);"
    "DELETE FROM rollup;"
    "INSERT INTO rollup SELECT stream_id, start_us / 3600000000, 3600000000, sum(size_bytes)"
    " FROM segment GROUP BY 1, 2;"
    "UPDATE rollup SET covered_us = covered_us - 90000000 WHERE (stream_id + hour) % 24 = 0;"
    "UPDATE stream_total SET (segments, bytes, first_us, last_us, longest_us) = (SELECT count(*),"
    " sum(size_bytes), min(start_us), max(start_us + duration_us), max(duration_us) FROM segment"
    " WHERE segment.stream_id = stream_total.stream_id)"
    " WHERE stream_id <= (SELECT max(stream_id) FROM segment);"
    "DELETE FROM volume_total;"
    "INSERT INTO volume_total SELECT stream_id, 1, segments, bytes, first_us FROM stream_total "
    "WHERE segments > 0;";

static void bench_fill(struct bench *bench)
{
    struct buf packed = BUF_INIT;
    check(catalog_db_exec(&bench->catalog->db,
              "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000;", &cause),
        "pragmas");
    for (int64_t minute = 60; minute < bench->minutes; minute++) {
        if (minute % 60 == 0)
            check(catalog_begin(bench->catalog, &cause), "begin");
        for (int stream = 0; stream < bench->streams; stream++) {
            struct catalog_segment row = bench_row(stream, minute);
            bench_insert(bench, &row, &packed);
        }
        if (minute % 60 == 59)
            check(catalog_commit(bench->catalog, &cause), "commit");
    }
    check(catalog_begin(bench->catalog, &cause), "begin");
    check(catalog_db_exec(&bench->catalog->db, bench_sums_sql, &cause), "sums");
    check(catalog_commit(bench->catalog, &cause), "commit");
    check(catalog_db_exec(&bench->catalog->db, "PRAGMA wal_checkpoint(TRUNCATE)", &cause),
        "checkpoint");
    buf_fini(&packed);
}

// --- Asking ---

// What was written comes back, found by identity.
static void bench_compare(struct bench *bench)
{
    for (uint32_t i = 0; i < 2000; i++) {
        int stream = (int)(noise(i, 7) % (uint32_t)bench->streams);
        int64_t minute = noise(i, 8) % bench->minutes;
        struct catalog_segment row = bench_row(stream, minute), found;
        check(catalog_segment_find(
                  bench->catalog, row.stream_id, row.run, row.number, &found, &cause),
            "a row");
        catalog_segment_fini(&found);
        ensure(found.start_us == row.start_us && found.end_us == row.end_us &&
                   found.media_end == row.media_end &&
                   memcmp(&found.video.summary.counts, &row.video.summary.counts,
                       sizeof(row.video.summary.counts)) == 0 &&
                   memcmp(&found.audio.summary.counts, &row.audio.summary.counts,
                       sizeof(row.audio.summary.counts)) == 0,
            "a row's figures");
    }
}

static void ask_day(struct bench *bench)
{
    struct catalog_segments found;
    int64_t day_us = START_US + bench->minutes / 2880 * US_PER_DAY;
    check(catalog_segments_in(bench->catalog, bench->streams / 2 + 1, day_us, day_us + US_PER_DAY,
              INT64_MIN, 0, &found, &cause),
        "day");
    ensure(found.count >= 1438 && found.count <= 1442, "a day's segments");
    catalog_segments_fini(&found);
}

static void ask_coverage(
    struct bench *bench, int64_t stream_id, int64_t start_us, int64_t span_us, size_t buckets)
{
    int64_t bounds[501], covered_us[500];
    catalog_timeline_bounds(start_us, start_us + span_us, buckets, bounds);
    check(catalog_coverage(bench->catalog, stream_id, bounds, buckets + 1, covered_us, &cause),
        "coverage");
}

static void ask_year_of_one(struct bench *bench)
{
    ask_coverage(bench, bench->streams + 1, START_US, 365 * US_PER_DAY, 500);
}

static void ask_calendar(struct bench *bench)
{
    ask_coverage(bench, bench->streams + 1, START_US - 20 * MINUTE_US, 365 * US_PER_DAY, 365);
}

static void ask_day_of_one(struct bench *bench)
{
    ask_coverage(bench, bench->streams + 1, START_US + 100 * US_PER_DAY, US_PER_DAY, 500);
}

static void ask_day_of_all(struct bench *bench)
{
    int64_t day_us = START_US + bench->minutes / 2880 * US_PER_DAY;
    for (int i = 0; i < bench->streams; i++)
        ask_coverage(bench, i + 1, day_us, US_PER_DAY, 24);
}

static void ask_gaps(struct bench *bench)
{
    struct catalog_gap *gaps;
    size_t count;
    int64_t next_us;
    check(catalog_gaps(bench->catalog, bench->streams + 1, START_US, START_US + 365 * US_PER_DAY, 1,
              1000, &gaps, &count, &next_us, &cause),
        "gaps");
    ensure(count == 1000, "a thousand gaps");
    free(gaps);
}

static void ask_storage(struct bench *bench)
{
    struct catalog_storage *volumes;
    struct catalog_rate *rates;
    struct catalog_stream *streams;
    size_t count;
    int64_t end_us = START_US + bench->minutes * MINUTE_US;
    check(catalog_storage(bench->catalog, &volumes, &count, &cause), "storage");
    ensure(volumes[0].segments == (uint64_t)(bench->minutes * bench->streams + bench->year_rows),
        "segments");
    free(volumes);
    check(catalog_streams(bench->catalog, &streams, &count, &cause), "streams");
    ensure(streams[0].bytes == (uint64_t)bench->sizes[0], "bytes");
    free(streams);
    check(catalog_rates(bench->catalog, end_us - US_PER_DAY, end_us, &rates, &count, &cause),
        "rates");
    free(rates);
}

static void ask_identity(struct bench *bench)
{
    struct catalog_segment row = bench_row(bench->streams / 2, bench->minutes / 2), found;
    check(catalog_segment_find(bench->catalog, row.stream_id, row.run, row.number, &found, &cause),
        "identity");
    catalog_segment_fini(&found);
}

static void ask_oldest(struct bench *bench)
{
    struct catalog_segments found;
    check(catalog_oldest_on_volume(bench->catalog, 1, INT64_MIN, 500, &found, &cause), "oldest");
    ensure(found.count == 500, "the oldest");
    catalog_segments_fini(&found);
}

static const struct {
    const char *name;
    void (*ask)(struct bench *bench);
} bench_questions[] = {
    {"day_listing", ask_day},
    {"identity", ask_identity},
    {"year_of_one", ask_year_of_one},
    {"day_of_one", ask_day_of_one},
    {"calendar", ask_calendar},
    {"day_of_all", ask_day_of_all},
    {"gaps_of_year", ask_gaps},
    {"storage", ask_storage},
    {"oldest", ask_oldest},
};

static int compare_times(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static double median_ms(struct bench *bench, void (*ask)(struct bench *bench))
{
    double times[REPETITIONS];
    ask(bench);
    for (int i = 0; i < REPETITIONS; i++) {
        int64_t since_us = time_monotonic_us();
        ask(bench);
        times[i] = (double)(time_monotonic_us() - since_us) / 1e3;
    }
    qsort(times, REPETITIONS, sizeof(*times), compare_times);
    return times[REPETITIONS / 2];
}

static double bench_file_size(const struct bench *bench)
{
    struct stat info;
    ensure(stat(bench->path, &info) == 0, bench->path);
    return (double)info.st_size;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: catalogbench DIRECTORY STREAMS DAYS\n");
        return 64;
    }
    struct bench bench = {
        .streams = (int)strtol(argv[2], NULL, 10), .minutes = strtol(argv[3], NULL, 10) * 1440};
    ensure(bench.streams > 0 && bench.minutes > 0, "arguments");
    bench.stretches = xcalloc((size_t)bench.streams, sizeof(*bench.stretches));
    bench.sizes = xcalloc((size_t)bench.streams, sizeof(*bench.sizes));
    bench_open(&bench, argv[1]);
    bench_add_hour(&bench);
    int64_t since_us = time_monotonic_us();
    bench_fill(&bench);
    double fill_s = (double)(time_monotonic_us() - since_us) / 1e6;
    double rows = (double)bench.streams * (double)bench.minutes, bytes = bench_file_size(&bench);
    double add_us = bench_add_year(&bench);
    catalog_close(bench.catalog);
    check(catalog_open_reader(argv[1], &bench.catalog, &cause), "reader");
    bench_compare(&bench);
    printf("{\"rows\": %.0f, \"bytes\": %.0f, \"bytes_per_row\": %.2f, \"add_us\": %.1f,"
           " \"fill_s\": %.1f",
        rows, bytes, bytes / rows, add_us, fill_s);
    for (size_t i = 0; i < ARRAY_LENGTH(bench_questions); i++)
        printf(", \"%s_ms\": %.3f", bench_questions[i].name,
            median_ms(&bench, bench_questions[i].ask));
    printf("}\n");
    catalog_close(bench.catalog);
    free(bench.stretches);
    free(bench.sizes);
    free(bench.path);
    return 0;
}
