// The catalog: round trips, searches by time, totals and rollup against a model of the test's own,
// versions.
#include "tests/unit/catalog.h"

#include <sys/wait.h>

#include "lib/media/catalog_schema.h"

static void assert_segment_equal(
    const struct catalog_segment *left, const struct catalog_segment *right)
{
    struct catalog_segment a = *left, b = *right;
    assert_string_equal(a.key, b.key);
    a.key = b.key = NULL;
    assert_memory_equal(
        &a.video.summary.counts, &b.video.summary.counts, sizeof(a.video.summary.counts));
    assert_int_equal(a.start_us, b.start_us);
    assert_int_equal(a.end_us, b.end_us);
    assert_int_equal(a.run, b.run);
    assert_int_equal(a.number, b.number);
    assert_int_equal(a.volume_id, b.volume_id);
    assert_int_equal(a.size_bytes, b.size_bytes);
    assert_int_equal(a.media_offset, b.media_offset);
    assert_int_equal(a.media_end, b.media_end);
    assert_int_equal(a.utc_offset_s, b.utc_offset_s);
    assert_int_equal(a.video.codec_id, b.video.codec_id);
    assert_int_equal(a.audio.codec_id, b.audio.codec_id);
    assert_int_equal(a.video.summary.kind, b.video.summary.kind);
    assert_int_equal(a.video.summary.timescale, b.video.summary.timescale);
    assert_int_equal(a.video.summary.start, b.video.summary.start);
    assert_int_equal(a.video.summary.first_presentation, b.video.summary.first_presentation);
    assert_int_equal(a.video.summary.least_composition, b.video.summary.least_composition);
    assert_int_equal(a.video.summary.greatest_composition, b.video.summary.greatest_composition);
    assert_int_equal(a.video.summary.last_duration, b.video.summary.last_duration);
}

static void every_field_of_a_segment_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_segment stored = test_segment(fixture, NOON_US, 60000000, 7), found;
    CHECK(segment_add(fixture, &stored));
    CHECK(catalog_segment_find(
        fixture->catalog, stored.stream_id, stored.run, stored.number, &found, &cause));
    assert_segment_equal(&stored, &found);
    assert_string_equal(found.key, "yard/main/2026-03-31/2026-03-31_14-00-00.000+0200.mp4");
    catalog_segment_fini(&found);

    // The same identity again writes nothing, a key of another form is kept as it is.
    assert_int_equal(segment_add(fixture, &stored), CATALOG_NONE);
    struct catalog_segment suffixed = test_segment(fixture, NOON_US + 60000000, 60000000, 8);
    suffixed.key = xstrdup("yard/main/2026-03-31/elsewhere.mp4");
    CHECK(segment_add(fixture, &suffixed));
    CHECK(catalog_segment_find(fixture->catalog, stored.stream_id, stored.run, 8, &found, &cause));
    assert_string_equal(found.key, suffixed.key);
    catalog_segment_fini(&found);
    catalog_segment_fini(&stored);
    catalog_segment_fini(&suffixed);
}

static void the_computed_key_takes_no_room(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_segment stored = test_segment(fixture, NOON_US, 60000000, 7);
    CHECK(segment_add(fixture, &stored));
    catalog_segment_fini(&stored);
    sqlite3 *handle;
    sqlite3_stmt *row;
    char *path = xasprintf("%s/catalog.db", fixture->directory);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_prepare_v2(handle, "SELECT count(*) FROM segment_key", -1, &row, NULL);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(row, 0), 0);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    free(path);
}

static void a_damaged_row_is_there_without_tracks_and_can_go(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 3; i++) {
        struct catalog_segment segment = test_segment(fixture, NOON_US + i * 1000000, 1000000, i);
        CHECK(segment_add(fixture, &segment));
        catalog_segment_fini(&segment);
    }
    execute(fixture, "UPDATE segment SET packed = x'ff' WHERE nth = 1");
    struct catalog_segments found;
    CHECK(catalog_segments_in(fixture->catalog, fixture->stream_id, NOON_US, NOON_US + 3000000,
        INT64_MIN, 0, &found, &cause));
    assert_int_equal(found.count, 3);
    assert_int_equal(found.rows[0].video.codec_id, fixture->codec_id);
    assert_int_equal(found.rows[1].video.codec_id, 0);
    assert_int_equal(found.rows[1].number, 1);
    assert_int_equal(found.rows[1].size_bytes, 5000001);
    assert_int_equal(found.rows[2].video.codec_id, fixture->codec_id);
    CHECK(catalog_segment_discard(fixture->catalog, &found.rows[1], "test", &cause));
    catalog_segments_fini(&found);
}

// Identities over several stretches, in any order, with neighbours that differ in what a stretch
// holds, and other runs in between.
static void segments_are_found_by_identity_wherever_they_lie(void **state)
{
    struct fixture *fixture = *state;
    enum {
        COUNT = 600,
    };
    uint32_t numbers[COUNT];
    srandom(11);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t j = (uint32_t)random() % (i + 1);
        numbers[i] = numbers[j];
        numbers[j] = i;
    }
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (uint32_t i = 0; i < COUNT; i++) {
        // In the second run the clock is set back in the middle of a stretch.
        uint32_t number = numbers[i] / 2, second = numbers[i] % 2;
        int64_t start_us = NOON_US + number * INT64_C(2000000) + second * 1000000 -
                           (second && number >= 100 ? 24 * HOUR_US : 0);
        struct catalog_segment segment = test_segment(fixture, start_us, 1000000, number);
        segment.run += second;
        segment.utc_offset_s = number % 100 < 50 ? 7200 : 3600;
        segment.video.summary.timescale = number % 7 == 0 ? 48000 : 90000;
        segment_set_key(&segment);
        CHECK(catalog_segment_add(fixture->catalog, &segment, &cause));
        catalog_segment_fini(&segment);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        struct catalog_segment found;
        uint32_t number = i / 2, second = i % 2;
        CHECK(catalog_segment_find(fixture->catalog, fixture->stream_id,
            INT64_C(1774950000000) + second, number, &found, &cause));
        assert_int_equal(found.number, number);
        assert_int_equal(found.run, INT64_C(1774950000000) + second);
        assert_int_equal(found.utc_offset_s, number % 100 < 50 ? 7200 : 3600);
        assert_int_equal(found.video.summary.timescale, number % 7 == 0 ? 48000 : 90000);
        assert_int_equal(found.size_bytes, 5000000 + number);
        catalog_segment_fini(&found);
        struct catalog_segment gone = {
            .stream_id = fixture->stream_id, .run = found.run, .number = number};
        if (i % 3 != 0)
            continue;
        CHECK(catalog_segment_discard(fixture->catalog, &gone, "test", &cause));
        assert_int_equal(catalog_segment_find(fixture->catalog, fixture->stream_id, found.run,
                             number, &found, &cause),
            CATALOG_NONE);
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
    struct catalog_segment other;
    assert_int_equal(catalog_segment_find(
                         fixture->catalog, fixture->stream_id, 1774950000002, 1, &other, &cause),
        CATALOG_NONE);
    assert_int_equal(count_in(fixture, 0, INT64_MAX), COUNT - COUNT / 3);
}

static void an_equal_start_moves_on_by_a_microsecond(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 3; i++) {
        struct catalog_segment segment = test_segment(fixture, NOON_US, 1000000, i);
        CHECK(segment_add(fixture, &segment));
        assert_int_equal(segment.start_us, NOON_US + i);
        assert_int_equal(segment.end_us, NOON_US + 1000000);
        catalog_segment_fini(&segment);
    }
}

static void ranges_are_half_open_at_both_ends(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 10; i++) {
        struct catalog_segment segment = test_segment(fixture, NOON_US + i * 1000000, 1000000, i);
        CHECK(segment_add(fixture, &segment));
        catalog_segment_fini(&segment);
    }
    const struct {
        int64_t start_us, end_us;
        size_t count;
    } table[] = {
        {0, 10000000, 10}, {1000000, 2000000, 1},      // exactly one
        {1000001, 2000000, 1},                         // from inside
        {999999, 2000000, 2},                          // a microsecond of the one before
        {1000000, 2000001, 2},                         // a microsecond of the one behind
        {-5000000, 0, 0},                              // ends where the first starts
        {-5000000, 1, 1}, {10000000, 20000000, 0},     // starts where the last ends
        {9999999, 20000000, 1}, {3000000, 3000000, 0}, // nothing is nothing
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        assert_int_equal(count_in(fixture, NOON_US + table[i].start_us, NOON_US + table[i].end_us),
            table[i].count);

    struct catalog_segments found;
    CHECK(catalog_segments_in(fixture->catalog, fixture->stream_id, NOON_US, NOON_US + 10000000,
        NOON_US + 2000000, 3, &found, &cause));
    assert_int_equal(found.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(found.rows[i].number, 3 + i);
    catalog_segments_fini(&found);
}

// --- A random history against a model ---

enum {
    MODEL_MAX = 400,
};

struct model {
    struct {
        int64_t start_us, end_us;
        uint64_t bytes;
        uint32_t number;
    } rows[MODEL_MAX];
    size_t count;
};

static void assert_totals_equal(struct fixture *fixture, const struct model *model)
{
    int64_t first_us = INT64_MAX, last_us = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < model->count; i++) {
        bytes += model->rows[i].bytes;
        first_us = model->rows[i].start_us < first_us ? model->rows[i].start_us : first_us;
        last_us = model->rows[i].end_us > last_us ? model->rows[i].end_us : last_us;
    }
    struct catalog_stream stream;
    CHECK(catalog_stream_find(fixture->catalog, "yard", "main", &stream, &cause));
    assert_int_equal(stream.segments, model->count);
    assert_int_equal(stream.bytes, bytes);
    assert_int_equal(stream.first_us, model->count ? first_us : 0);
    assert_int_equal(stream.last_us, last_us);
}

static int64_t overlap(int64_t a_start, int64_t a_end, int64_t b_start, int64_t b_end)
{
    int64_t start = a_start > b_start ? a_start : b_start;
    int64_t end = a_end < b_end ? a_end : b_end;
    return end > start ? end - start : 0;
}

// How much of [start_us, end_us) the rows cover, a moment once: a walk over all bounds.
static int64_t model_covered(const struct model *model, int64_t start_us, int64_t end_us)
{
    int64_t covered_us = 0;
    for (int64_t at_us = start_us; at_us < end_us;) {
        int64_t next_us = end_us;
        bool covered = false;
        for (size_t i = 0; i < model->count; i++) {
            const int64_t bounds[] = {model->rows[i].start_us, model->rows[i].end_us};
            covered |= bounds[0] <= at_us && at_us < bounds[1];
            for (size_t j = 0; j < 2; j++)
                next_us = bounds[j] > at_us && bounds[j] < next_us ? bounds[j] : next_us;
        }
        covered_us += covered ? next_us - at_us : 0;
        at_us = next_us;
    }
    return covered_us;
}

static void assert_rollup_equal(struct fixture *fixture, const struct model *model)
{
    sqlite3 *handle;
    sqlite3_stmt *row;
    char *path = xasprintf("%s/catalog.db", fixture->directory);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    sqlite3_prepare_v2(handle, "SELECT hour, covered_us, bytes FROM rollup", -1, &row, NULL);
    uint64_t bytes = 0, bytes_model = 0;
    int64_t covered_us = 0;
    while (sqlite3_step(row) == SQLITE_ROW) {
        int64_t hour_us = sqlite3_column_int64(row, 0) * HOUR_US;
        int64_t expected_us = model_covered(model, hour_us, hour_us + HOUR_US);
        assert_int_equal(sqlite3_column_int64(row, 1), expected_us);
        assert_true(expected_us > 0);
        covered_us += sqlite3_column_int64(row, 1);
        bytes += (uint64_t)sqlite3_column_int64(row, 2);
    }
    for (size_t i = 0; i < model->count; i++)
        bytes_model += model->rows[i].bytes;
    assert_int_equal(covered_us, model_covered(model, NOON_US, NOON_US + 12 * HOUR_US));
    assert_int_equal(bytes, bytes_model);
    sqlite3_finalize(row);
    sqlite3_close(handle);
    free(path);
}

static void assert_ranges_equal(struct fixture *fixture, const struct model *model)
{
    for (int i = 0; i < 20; i++) {
        int64_t start_us = NOON_US + random() % (6 * HOUR_US);
        int64_t end_us = start_us + random() % HOUR_US;
        size_t expected = 0;
        for (size_t j = 0; j < model->count; j++)
            expected +=
                overlap(model->rows[j].start_us, model->rows[j].end_us, start_us, end_us) > 0;
        assert_int_equal(count_in(fixture, start_us, end_us), expected);
    }
}

static void model_add(struct fixture *fixture, struct model *model, uint32_t number)
{
    // A few are long and reach over hours, so that the last end is not the last start's.
    int64_t duration_us = number % 9 == 0 ? 1 + random() % (2 * HOUR_US) : 1 + random() % 60000000;
    struct catalog_segment segment =
        test_segment(fixture, NOON_US + random() % (5 * HOUR_US), duration_us, number);
    segment.size_bytes = 1000 + (uint64_t)random() % 100000;
    segment.media_offset = 900;
    segment.media_end = 950;
    CHECK(segment_add(fixture, &segment));
    model->rows[model->count].start_us = segment.start_us;
    model->rows[model->count].end_us = segment.end_us;
    model->rows[model->count].bytes = segment.size_bytes;
    model->rows[model->count++].number = number;
    catalog_segment_fini(&segment);
}

static void model_discard(struct fixture *fixture, struct model *model)
{
    size_t index = (size_t)random() % model->count;
    struct catalog_segment segment = test_segment(fixture, 0, 0, model->rows[index].number);
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_segment_discard(fixture->catalog, &segment, "test", &cause));
    CHECK(catalog_commit(fixture->catalog, &cause));
    model->rows[index] = model->rows[--model->count];
}

static void totals_and_rollup_follow_a_random_history(void **state)
{
    struct fixture *fixture = *state;
    struct model model = {0};
    srandom(3);
    for (uint32_t number = 0; number < 300; number++) {
        model_add(fixture, &model, number);
        if (number % 3 == 2)
            model_discard(fixture, &model);
        if (number % 25 == 0) {
            assert_totals_equal(fixture, &model);
            assert_rollup_equal(fixture, &model);
            assert_ranges_equal(fixture, &model);
        }
    }
    catalog_close(fixture->catalog);
    fixture_open(fixture);
    assert_totals_equal(fixture, &model);
    while (model.count > 0)
        model_discard(fixture, &model);
    assert_totals_equal(fixture, &model);
    assert_rollup_equal(fixture, &model);
}

static void a_discarded_row_is_garbage_until_it_is_done(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_segment segment = test_segment(fixture, NOON_US, 1000000, 4);
    CHECK(segment_add(fixture, &segment));
    CHECK(catalog_segment_discard(fixture->catalog, &segment, "continuous", &cause));
    assert_int_equal(
        catalog_segment_discard(fixture->catalog, &segment, "continuous", &cause), CATALOG_NONE);
    struct catalog_garbage *garbage;
    size_t count;
    CHECK(catalog_garbage_list(fixture->catalog, &garbage, &count, &cause));
    assert_int_equal(count, 1);
    assert_string_equal(garbage[0].key, segment.key);
    assert_int_equal(garbage[0].bytes, segment.size_bytes);
    assert_int_equal(garbage[0].volume_id, segment.volume_id);
    CHECK(catalog_garbage_done(fixture->catalog, garbage[0].id, &cause));
    catalog_garbage_free(garbage, count);
    CHECK(catalog_garbage_list(fixture->catalog, &garbage, &count, &cause));
    assert_int_equal(count, 0);
    catalog_segment_fini(&segment);
}

static void the_oldest_of_a_volume_come_from_all_streams_in_order(void **state)
{
    struct fixture *fixture = *state;
    int64_t streams[3];
    const char *const names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++)
        CHECK(catalog_stream_add(fixture->catalog, "gate", names[i], &streams[i], &cause));
    for (uint32_t i = 0; i < 30; i++) {
        // Starts fall in a different order than they are added; every seventh is on another volume.
        struct catalog_segment segment =
            test_segment(fixture, NOON_US + (i * 7 % 30) * 1000000, 500000, i);
        segment.stream_id = streams[i % 3];
        if (i % 7 == 3)
            CHECK(catalog_volume_add(fixture->catalog, "00000000-0000-4000-8000-000000000002",
                "/srv/other", &segment.volume_id, &cause));
        CHECK(segment_add(fixture, &segment));
        catalog_segment_fini(&segment);
    }
    struct catalog_segments found;
    CHECK(catalog_oldest_on_volume(
        fixture->catalog, fixture->volume_id, INT64_MIN, 0, &found, &cause));
    assert_int_equal(found.count, 30 - 4);
    for (size_t i = 1; i < found.count; i++)
        assert_true(found.rows[i - 1].start_us < found.rows[i].start_us);
    int64_t third_us = found.rows[2].start_us;
    catalog_segments_fini(&found);
    CHECK(catalog_oldest_on_volume(
        fixture->catalog, fixture->volume_id, INT64_MIN, 3, &found, &cause));
    assert_int_equal(found.count, 3);
    assert_int_equal(found.rows[2].start_us, third_us);
    catalog_segments_fini(&found);

    // Of one stream: those that end before the moment.
    CHECK(catalog_oldest_of_stream(
        fixture->catalog, streams[0], NOON_US + 10500001, INT64_MIN, 0, &found, &cause));
    for (size_t i = 0; i < found.count; i++)
        assert_true(found.rows[i].end_us <= NOON_US + 10500000);
    size_t expected = 0;
    for (uint32_t i = 0; i < 30; i += 3)
        expected += i * 7 % 30 <= 10;
    assert_int_equal(found.count, expected);
    assert_true(expected > 2);
    int64_t second_us = found.rows[1].start_us;
    catalog_segments_fini(&found);
    // Behind a cursor.
    CHECK(catalog_oldest_of_stream(
        fixture->catalog, streams[0], NOON_US + 10500001, second_us, 0, &found, &cause));
    assert_int_equal(found.count, expected - 2);
    assert_true(found.rows[0].start_us > second_us);
    catalog_segments_fini(&found);
    CHECK(catalog_oldest_on_volume(
        fixture->catalog, fixture->volume_id, third_us, 0, &found, &cause));
    assert_int_equal(found.count, 30 - 4 - 3);
    assert_true(found.rows[0].start_us > third_us);
    catalog_segments_fini(&found);
}

static void runs_and_their_clocks_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_run stored = {.stream_id = fixture->stream_id,
        .run = 1774950000000,
        .start_us = 1774950000000000,
        .end_us = 1774950060000000,
        .reason = "exited",
        .detail = "Connection timed out",
        .time = {.anchored = true,
            .anchor_us = 11,
            .observations = 2,
            .late = 1,
            .late_us = 44,
            .placed = true,
            .start_us = 55,
            .next_start_us = 22,
            .next_media_us = 33,
            .jump_us = -66,
            .next_seen = true,
            .next_step = SEGTIME_CAMERA_JUMP,
            .step_us = 77}};
    struct catalog_run found = {.start_us = 1}, fresh = {.stream_id = fixture->stream_id, .run = 5};
    CHECK(catalog_run_put(fixture->catalog, &stored, &cause));
    CHECK(catalog_run_get(fixture->catalog, stored.stream_id, stored.run, &found, &cause));
    assert_int_equal(found.start_us, stored.start_us);
    assert_int_equal(found.end_us, stored.end_us);
    assert_string_equal(found.reason, stored.reason);
    assert_string_equal(found.detail, stored.detail);
    assert_true(found.time.anchored);
    assert_int_equal(found.time.anchor_us, 11);
    assert_int_equal(found.time.observations, 2);
    assert_int_equal(found.time.late, 1);
    assert_int_equal(found.time.late_us, 44);
    assert_true(found.time.placed);
    assert_int_equal(found.time.start_us, 55);
    assert_int_equal(found.time.next_start_us, 22);
    assert_int_equal(found.time.next_media_us, 33);
    assert_int_equal(found.time.jump_us, -66);
    assert_true(found.time.next_seen);
    assert_int_equal(found.time.next_step, SEGTIME_CAMERA_JUMP);
    assert_int_equal(found.time.step_us, 77);

    CHECK(catalog_run_put(fixture->catalog, &fresh, &cause));
    CHECK(catalog_run_get(fixture->catalog, fresh.stream_id, 5, &found, &cause));
    assert_int_equal(found.end_us, 0);
    assert_false(found.time.anchored);
    assert_false(found.time.placed);
    assert_int_equal(
        catalog_run_get(fixture->catalog, fresh.stream_id, 6, &found, &cause), CATALOG_NONE);

    // A run that lives, and one that has a segment, are not forgotten.
    struct catalog_segment segment = test_segment(fixture, NOON_US, 1000000, 0);
    CHECK(segment_add(fixture, &segment));
    catalog_segment_fini(&segment);
    stored.run = 1774940000000;
    CHECK(catalog_run_put(fixture->catalog, &stored, &cause));
    CHECK(catalog_runs_expire(fixture->catalog, fixture->stream_id, NOON_US + HOUR_US, &cause));
    CHECK(catalog_run_get(fixture->catalog, fixture->stream_id, 5, &found, &cause));
    CHECK(catalog_run_get(fixture->catalog, fixture->stream_id, 1774950000000, &found, &cause));
    assert_int_equal(
        catalog_run_get(fixture->catalog, fixture->stream_id, 1774940000000, &found, &cause),
        CATALOG_NONE);
}

static void codecs_are_stored_once(void **state)
{
    struct fixture *fixture = *state;
    int64_t again;
    CHECK(catalog_codec_add(fixture->catalog, test_entry, sizeof(test_entry), &again, &cause));
    assert_int_equal(again, fixture->codec_id);
    struct catalog_codec codec;
    CHECK(catalog_codec_get(fixture->catalog, again, &codec, &cause));
    assert_int_equal(codec.entry_size, sizeof(test_entry));
    assert_memory_equal(codec.entry, test_entry, sizeof(test_entry));
    assert_string_equal(codec.info.name, "avc1.64001f");
    assert_string_equal(codec.info.family, "h264");
    assert_int_equal(codec.info.kind, MEDIA_VIDEO);
    assert_int_equal(codec.info.width, 640);
    assert_int_equal(codec.info.height, 360);
    catalog_codec_fini(&codec);
}

// --- Frames ---

static size_t frames_files(const struct fixture *fixture)
{
    size_t count = 0;
    DIR *dir = opendir(fixture->directory);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strncmp(entry->d_name, "frames-", 7) == 0;
    closedir(dir);
    return count;
}

static void frames_are_kept_by_day_and_go_with_their_last_row(void **state)
{
    struct fixture *fixture = *state;
    enum {
        DAYS = 20,
    };
    for (uint32_t i = 0; i < DAYS; i++) {
        struct catalog_segment segment =
            test_segment(fixture, NOON_US + i * US_PER_DAY, 1000000, i);
        char packed[32];
        int size = snprintf(packed, sizeof(packed), "frames of day %u", i);
        CHECK(catalog_begin(fixture->catalog, &cause));
        CHECK(catalog_frames_put(fixture->catalog, &segment, packed, (size_t)size, &cause));
        segment_set_key(&segment);
        CHECK(catalog_segment_add(fixture->catalog, &segment, &cause));
        CHECK(catalog_commit(fixture->catalog, &cause));
        catalog_segment_fini(&segment);
    }
    struct catalog *reader;
    CHECK(catalog_open_reader(fixture->directory, &reader, &cause));
    for (uint32_t i = 0; i < 3 * DAYS; i++) {
        struct catalog_segment segment =
            test_segment(fixture, NOON_US + (i * 7 % DAYS) * US_PER_DAY, 1, i * 7 % DAYS);
        struct buf packed = BUF_INIT;
        char expected[32];
        snprintf(expected, sizeof(expected), "frames of day %u", i * 7 % DAYS);
        CHECK(catalog_frames(reader, &segment, &packed, &cause));
        assert_string_equal(buf_string(&packed), expected);
        buf_fini(&packed);
    }
    struct catalog_segment other = test_segment(fixture, NOON_US, 1, 99);
    struct buf packed = BUF_INIT;
    assert_int_equal(catalog_frames(reader, &other, &packed, &cause), CATALOG_NONE);
    catalog_close(reader);

    for (uint32_t i = 0; i < DAYS - 1; i++) {
        struct catalog_segment segment = test_segment(fixture, 0, 0, i);
        CHECK(catalog_segment_discard(fixture->catalog, &segment, "test", &cause));
    }
    CHECK(catalog_frames_expire(fixture->catalog, &cause));
    assert_int_equal(frames_files(fixture), 3); // one day: database, log, index
}

static void frames_that_are_rolled_back_are_not_there(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_segment segment = test_segment(fixture, NOON_US, 1000000, 0);
    struct buf packed = BUF_INIT;
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_frames_put(fixture->catalog, &segment, "x", 1, &cause));
    catalog_rollback(fixture->catalog);
    assert_int_equal(catalog_frames(fixture->catalog, &segment, &packed, &cause), CATALOG_NONE);
    // Put again replaces.
    CHECK(catalog_begin(fixture->catalog, &cause));
    CHECK(catalog_frames_put(fixture->catalog, &segment, "first", 5, &cause));
    CHECK(catalog_frames_put(fixture->catalog, &segment, "second", 6, &cause));
    CHECK(catalog_commit(fixture->catalog, &cause));
    CHECK(catalog_frames(fixture->catalog, &segment, &packed, &cause));
    assert_string_equal(buf_string(&packed), "second");
    buf_fini(&packed);
}

static void frames_are_found_when_the_start_moved_past_midnight(void **state)
{
    struct fixture *fixture = *state;
    int64_t midnight_us = NOON_US + US_PER_DAY / 2;
    for (uint32_t i = 0; i < 2; i++) {
        struct catalog_segment segment = test_segment(fixture, midnight_us - 1, 1000000, i);
        segment_set_key(&segment);
        CHECK(catalog_begin(fixture->catalog, &cause));
        CHECK(catalog_frames_put(fixture->catalog, &segment, "x", 1, &cause));
        CHECK(catalog_segment_add(fixture->catalog, &segment, &cause));
        CHECK(catalog_commit(fixture->catalog, &cause));
        assert_int_equal(segment.start_us, midnight_us - 1 + i);
        struct buf packed = BUF_INIT;
        CHECK(catalog_frames(fixture->catalog, &segment, &packed, &cause));
        buf_fini(&packed);
        catalog_segment_fini(&segment);
    }
}

// --- Readers (of other processes: test_catalog_processes) ---

static void a_reader_before_the_first_writer_is_told_to_come_again(void **state)
{
    (void)state;
    char directory[] = "/tmp/test_catalog.XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct catalog *reader;
    cause = directory; // is to be set
    assert_int_equal(catalog_open_reader(directory, &reader, &cause), CATALOG_BUSY);
    assert_null(cause);
    directory_remove(directory);
}

static void a_reader_that_stays_sees_what_is_committed_later(void **state)
{
    struct fixture *fixture = *state;
    struct catalog *reader;
    CHECK(catalog_open_reader(fixture->directory, &reader, &cause));
    for (uint32_t i = 0; i < 5; i++) {
        struct catalog_segment segment = test_segment(fixture, NOON_US, 1000000, i);
        CHECK(segment_add(fixture, &segment));
        catalog_segment_fini(&segment);
        struct catalog_stream *streams;
        size_t count;
        CHECK(catalog_streams(reader, &streams, &count, &cause));
        assert_int_equal(count, 1);
        assert_int_equal(streams[0].segments, i + 1);
        free(streams);
    }
    catalog_close(reader);
}

// --- Versions ---

static void set_version(const struct fixture *fixture, int version)
{
    char *sql = xasprintf("PRAGMA user_version = %d", version);
    execute(fixture, sql);
    free(sql);
}

static void a_newer_catalog_is_refused(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture->catalog);
    fixture->catalog = NULL;
    set_version(fixture, 99);
    assert_null(catalog_open_writer(fixture->directory, &cause));
    assert_non_null(strstr(cause, "version 99"));
    free(cause);
    struct catalog *reader;
    assert_int_equal(catalog_open_reader(fixture->directory, &reader, &cause), CATALOG_ERROR);
    free(cause);
    // Not yet made by its writer.
    set_version(fixture, 0);
    assert_int_equal(catalog_open_reader(fixture->directory, &reader, &cause), CATALOG_BUSY);
}

// Leaves an unfinished transaction of the file's first life, before it has a write-ahead log, as a
// process that dies does.
static void die_in_a_first_transaction(const char *path)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *db;
        sqlite3_open(path, &db);
        sqlite3_exec(db,
            "PRAGMA journal_mode = DELETE; CREATE TABLE t (x); PRAGMA cache_size = 1; BEGIN;"
            "INSERT INTO t WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 200) SELECT randomblob(4000) FROM n",
            NULL, NULL, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_reader_waits_for_the_writer_to_roll_back(void **state)
{
    struct fixture *fixture = *state;
    char *directory = xasprintf("%s/young", fixture->directory);
    char *path = xasprintf("%s/catalog.db", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    die_in_a_first_transaction(path);
    struct catalog *catalog;
    assert_int_equal(catalog_open_reader(directory, &catalog, &cause), CATALOG_BUSY);
    catalog = catalog_open_writer(directory, &cause);
    assert_non_null(catalog);
    catalog_close(catalog);
    CHECK(catalog_open_reader(directory, &catalog, &cause));
    catalog_close(catalog);
    char *names[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char *file = xasprintf("%s/%s", directory, names[i]);
        unlink(file);
        free(file);
    }
    rmdir(directory);
    free(path);
    free(directory);
}

static void a_migration_is_whole_or_not_and_leaves_a_copy(void **state)
{
    struct fixture *fixture = *state;
    catalog_close(fixture->catalog);
    fixture->catalog = NULL;
    char *path = xasprintf("%s/catalog.db", fixture->directory);
    char *copy = xasprintf("%s.v1", path);
    const char *const broken[] = {"", "CREATE TABLE added (x); INSERT INTO missing VALUES (1);"};
    const char *const right[] = {"", "CREATE TABLE added (x); INSERT INTO added VALUES (1);"};
    struct catalog_db db;
    CHECK(catalog_db_open(&db, path, true, 0, &cause));
    assert_int_equal(
        catalog_schema_migrate(&db, &(struct catalog_steps){broken, 2}, &cause), CATALOG_ERROR);
    free(cause);
    assert_int_equal(integer_in_file(path, "PRAGMA user_version"), 1);
    assert_int_equal(
        integer_in_file(path, "SELECT count(*) FROM sqlite_schema WHERE name = 'added'"), 0);
    CHECK(catalog_schema_migrate(&db, &(struct catalog_steps){right, 2}, &cause));
    catalog_db_close(&db);
    assert_int_equal(integer_in_file(path, "PRAGMA user_version"), 2);
    assert_int_equal(integer_in_file(path, "SELECT x FROM added"), 1);
    assert_int_equal(integer_in_file(copy, "PRAGMA user_version"), 1);
    assert_int_equal(integer_in_file(copy, "SELECT count(*) FROM stream"), 1);
    free(copy);
    free(path);
}

int main(void)
{
#define CATALOG_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        CATALOG_TEST(every_field_of_a_segment_comes_back),
        CATALOG_TEST(the_computed_key_takes_no_room),
        CATALOG_TEST(a_damaged_row_is_there_without_tracks_and_can_go),
        CATALOG_TEST(segments_are_found_by_identity_wherever_they_lie),
        CATALOG_TEST(an_equal_start_moves_on_by_a_microsecond),
        CATALOG_TEST(ranges_are_half_open_at_both_ends),
        CATALOG_TEST(totals_and_rollup_follow_a_random_history),
        CATALOG_TEST(a_discarded_row_is_garbage_until_it_is_done),
        CATALOG_TEST(the_oldest_of_a_volume_come_from_all_streams_in_order),
        CATALOG_TEST(runs_and_their_clocks_come_back),
        CATALOG_TEST(codecs_are_stored_once),
        CATALOG_TEST(frames_are_kept_by_day_and_go_with_their_last_row),
        CATALOG_TEST(frames_that_are_rolled_back_are_not_there),
        CATALOG_TEST(frames_are_found_when_the_start_moved_past_midnight),
        cmocka_unit_test(a_reader_before_the_first_writer_is_told_to_come_again),
        CATALOG_TEST(a_reader_that_stays_sees_what_is_committed_later),
        CATALOG_TEST(a_newer_catalog_is_refused),
        CATALOG_TEST(a_reader_waits_for_the_writer_to_roll_back),
        CATALOG_TEST(a_migration_is_whole_or_not_and_leaves_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
