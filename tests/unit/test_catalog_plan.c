// How SQLite answers: every statement of the catalog is asked for its plan. None goes over all
// segments, or over all of another table that grows, and none sorts segments.
#include "tests/unit/catalog.h"

#include "lib/media/catalog_event.h"
#include "lib/media/catalog_impl.h"
#include "lib/media/catalog_lock.h"
#include "lib/media/catalog_missing.h"
#include "lib/media/catalog_outage.h"
#include "lib/media/catalog_storage.h"
#include "lib/media/catalog_timeline.h"

static const char uuid[] = "0192f0c4-7e1a-7b3c-8d4e-5f60718293a4";

static void call_writing(struct fixture *fixture)
{
    struct catalog *catalog = fixture->catalog;
    struct catalog_segment segment = test_segment(fixture, NOON_US, 60000000, 1);
    struct catalog_run run = {.stream_id = fixture->stream_id,
        .run = segment.run,
        .start_us = NOON_US,
        .end_us = NOON_US};
    CHECK(catalog_begin(catalog, &cause));
    segment.key = xstrdup("elsewhere.mp4");
    CHECK(catalog_run_put(catalog, &run, &cause));
    run.run++;
    CHECK(catalog_run_put(catalog, &run, &cause)); // an attempt
    CHECK(catalog_segment_add(catalog, &segment, &cause));
    CHECK(catalog_segment_discard(catalog, &segment, "test", &cause));
    segment.number++;
    CHECK(catalog_segment_add(catalog, &segment, &cause));
    run.run = segment.run + 1;
    segment.run = run.run; // its footage comes after its end
    segment.start_us -= 1000000000;
    segment.end_us -= 1000000000;
    CHECK(catalog_segment_add(catalog, &segment, &cause));
    enum catalog_status garbage =
        catalog_garbage_find(catalog, segment.volume_id, "elsewhere.mp4", &cause);
    assert_int_equal(garbage, CATALOG_OK);
    CHECK(catalog_garbage_done(catalog, 1, &cause));
    garbage = catalog_garbage_find(catalog, segment.volume_id, "elsewhere.mp4", &cause);
    assert_int_equal(garbage, CATALOG_NONE);
    struct catalog_stream *failing;
    size_t count;
    CHECK(catalog_outages_failing(catalog, &failing, &count, &cause));
    assert_int_equal(count, 1);
    free(failing);
    CHECK(catalog_outage_off(catalog, fixture->stream_id, "removed", NOON_US, &cause));
    run.run = NOON_US; // an attempt after that
    CHECK(catalog_run_put(catalog, &run, &cause));
    CHECK(catalog_runs_expire(catalog, fixture->stream_id, NOON_US, &cause));
    CHECK(catalog_outages_expire(catalog, fixture->stream_id, NOON_US, &cause));
    CHECK(catalog_frames_put(catalog, &segment, "x", 1, &cause));
    CHECK(catalog_missing_add(
        catalog, segment.stream_id, segment.run, segment.number, NOON_US, &cause));
    CHECK(catalog_missing_expire(catalog, fixture->stream_id, NOON_US, &cause));
    CHECK(catalog_mark_put(catalog, "mark", 1, &cause));
    CHECK(catalog_commit(catalog, &cause));
    CHECK(catalog_frames_expire(catalog, &cause));
    catalog_segment_fini(&segment);
}

static void call_events(struct fixture *fixture)
{
    struct catalog *catalog = fixture->catalog;
    struct catalog_event event = {.camera = "yard", .start_us = NOON_US, .label = xstrdup("x")};
    struct catalog_lock lock = {
        .camera = "yard", .start_us = NOON_US, .end_us = NOON_US + 1, .reason = xstrdup("x")};
    memcpy(event.id, uuid, sizeof(uuid));
    memcpy(lock.id, uuid, sizeof(uuid));
    size_t count;
    CHECK(catalog_event_add(catalog, &event, &cause));
    CHECK(catalog_event_end(catalog, uuid, NOON_US + 1, &cause));
    CHECK(catalog_lock_add(catalog, &lock, &cause));
    CHECK(catalog_lock_renew(catalog, uuid, NOON_US, &cause));
    catalog_event_fini(&event);
    catalog_lock_fini(&lock);
    CHECK(catalog_event_get(catalog, uuid, &event, &cause));
    CHECK(catalog_lock_get(catalog, uuid, &lock, &cause));
    catalog_event_fini(&event);
    catalog_lock_fini(&lock);
    struct catalog_event *events;
    struct catalog_lock *locks;
    for (int i = 0; i < 2; i++) {
        const struct catalog_event_query query = {
            .camera = i ? "yard" : NULL, .end_us = INT64_MAX, .limit = 1};
        CHECK(catalog_events_in(catalog, &query, &events, &count, &cause));
        catalog_events_free(events, count);
    }
    CHECK(catalog_locks(catalog, 0, &locks, &count, &cause));
    catalog_locks_free(locks, count);
    CHECK(catalog_event_remove(catalog, uuid, &cause));
    CHECK(catalog_lock_remove(catalog, uuid, &cause));
    CHECK(catalog_events_expire(catalog, 0, 1, &count, &cause));
    CHECK(catalog_locks_expire(catalog, 0, &cause));
}

static void call_reading(struct fixture *fixture)
{
    struct catalog *catalog = fixture->catalog;
    struct catalog_segments segments;
    struct catalog_stream *streams, stream;
    struct catalog_volume *volumes;
    struct catalog_codec codec;
    struct catalog_garbage *garbage;
    struct catalog_run run;
    size_t count;
    CHECK(catalog_streams(catalog, &streams, &count, &cause));
    free(streams);
    CHECK(catalog_stream_find(catalog, "yard", "main", &stream, &cause));
    CHECK(catalog_segments_in(
        catalog, fixture->stream_id, 0, INT64_MAX, INT64_MIN, 1, &segments, &cause));
    catalog_segments_fini(&segments);
    CHECK(catalog_oldest_on_volume(catalog, fixture->volume_id, INT64_MIN, 1, &segments, &cause));
    catalog_segments_fini(&segments);
    CHECK(catalog_oldest_of_stream(
        catalog, fixture->stream_id, INT64_MAX, INT64_MIN, 1, &segments, &cause));
    catalog_segments_fini(&segments);
    CHECK(catalog_codec_get(catalog, fixture->codec_id, &codec, &cause));
    catalog_codec_fini(&codec);
    CHECK(catalog_run_get(catalog, fixture->stream_id, 1774950000000, &run, &cause));
    struct catalog_open_run *runs;
    struct catalog_missing *missing;
    int64_t mark;
    CHECK(catalog_missing(catalog, &missing, &count, &cause));
    free(missing);
    CHECK(catalog_mark_get(catalog, "mark", &mark, &cause));
    CHECK(catalog_runs_open(catalog, &runs, &count, &cause));
    free(runs);
    CHECK(catalog_volumes(catalog, &volumes, &count, &cause));
    free(volumes[0].path);
    free(volumes);
    CHECK(catalog_garbage_list(catalog, &garbage, &count, &cause));
    catalog_garbage_free(garbage, count);
}

static void call_figures(struct fixture *fixture)
{
    struct catalog *catalog = fixture->catalog;
    const int64_t bounds[] = {NOON_US - 1, NOON_US + 1};
    int64_t covered_us, next_us;
    struct catalog_gap *gaps;
    struct catalog_storage *volumes;
    struct catalog_rate *rates;
    size_t count;
    CHECK(catalog_coverage(catalog, fixture->stream_id, bounds, 2, &covered_us, &cause));
    CHECK(catalog_gaps(
        catalog, fixture->stream_id, 0, INT64_MAX, 1, 0, &gaps, &count, &next_us, &cause));
    free(gaps);
    uint64_t segments, bytes;
    CHECK(catalog_footage_in(catalog, fixture->stream_id, 0, INT64_MAX, &segments, &bytes, &cause));
    CHECK(catalog_storage(catalog, &volumes, &count, &cause));
    free(volumes);
    CHECK(catalog_rates(catalog, 0, INT64_MAX, &rates, &count, &cause));
    free(rates);
}

// Tables that stay small, or all of which is asked for.
static const char *const small_tables[] = {"stream", "volume", "stream_total", "volume_total",
    "lock", "garbage", "missing", "gone", "used", "CONSTANT ROW"};

static bool is_small(const char *table)
{
    for (size_t i = 0; i < ARRAY_LENGTH(small_tables); i++) {
        size_t size = strlen(small_tables[i]);
        if (strncmp(table, small_tables[i], size) == 0 &&
            (table[size] == '\0' || table[size] == ' '))
            return true;
    }
    return false;
}

static void judge(const char *sql, const char *detail)
{
    if (strncmp(detail, "SCAN ", 5) == 0 && !is_small(detail + 5))
        fail_msg("%s: %s", detail, sql);
    // By its stream and a bound of time; the first and the last of a stream need none.
    if (strncmp(detail, "SEARCH segment ", 15) == 0 &&
        strstr(detail, "(stream_id=? AND start_us") == NULL &&
        strstr(sql, "(SELECT min(start_us) FROM segment WHERE stream_id = ?1)") == NULL)
        fail_msg("%s: %s", detail, sql);
    if (strstr(detail, "TEMP B-TREE") != NULL && strstr(sql, "FROM segment") != NULL)
        fail_msg("%s: %s", detail, sql);
    if (strstr(detail, "AUTOMATIC") != NULL && strstr(detail, "used") == NULL &&
        strstr(detail, "gone") == NULL)
        fail_msg("%s: %s", detail, sql);
}

static void explain(struct fixture *fixture, const char *sql)
{
    sqlite3_stmt *plan;
    char *explained = xasprintf("EXPLAIN QUERY PLAN %s", sql);
    if (sqlite3_prepare_v2(fixture->catalog->db.handle, explained, -1, &plan, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sqlite3_errmsg(fixture->catalog->db.handle), sql);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(plan, 3);
        if (getenv("CATALOG_PLANS") != NULL)
            print_message("%-70s %.90s\n", detail, sql);
        judge(sql, detail);
    }
    sqlite3_finalize(plan);
    free(explained);
}

// Calls in a source that are given SQL.
static size_t statements_in(const char *name)
{
    static const char *const calls[] = {
        "catalog_db_start(", "catalog_db_run(", "catalog_db_integer("};
    char *path = xasprintf("%s/lib/media/%s", SOURCE_DIR, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t count = 0;
    char line[512];
    while (fgets(line, sizeof(line), file) != NULL)
        for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
            count += strstr(line, calls[i]) != NULL;
    fclose(file);
    free(path);
    return count;
}

static void no_statement_goes_over_all_segments(void **state)
{
    struct fixture *fixture = *state;
    call_writing(fixture);
    call_events(fixture);
    call_reading(fixture);
    call_figures(fixture);
    const struct catalog_db *db = &fixture->catalog->db;
    for (size_t i = 0; i < db->statement_count; i++)
        explain(fixture, db->statements[i].sql);

    // All statements that there are were seen; beside those of these sources, what opening asks for
    // (PRAGMA journal_mode and user_version) and the second of the two that events are searched by.
    static const char *const sources[] = {"catalog.c", "catalog_stretch.c", "catalog_segment.c",
        "catalog_total.c", "catalog_garbage.c", "catalog_outage.c", "catalog_timeline.c",
        "catalog_gap.c", "catalog_storage.c", "catalog_event.c", "catalog_lock.c",
        "catalog_missing.c"};
    size_t expected = 1 + 2;
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++)
        expected += statements_in(sources[i]);
    assert_int_equal(db->statement_count, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            no_statement_goes_over_all_segments, fixture_make, fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
