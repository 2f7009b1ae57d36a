// links: kf-indexer
// Retention over a real catalog, piece by piece: after enough rounds exactly that is left which the
// rules keep, though no round reads everything; and what was kept goes when its lock or event does.
#include "tests/unit/catalog.h"

#include <time.h>

#include "indexer/gathering.h"
#include "lib/core/config.h"

#define MINUTE_US INT64_C(60000000)
#define KEEP_US (120 * MINUTE_US)   // continuous
#define EVENTS_US (300 * MINUTE_US) // events

enum {
    SEGMENTS = 400, // a minute each
    ROUNDS = 400,
    MARKS = 6,
};

struct mark {
    char id[CATALOG_UUID_SIZE];
    struct retention_span span;
    bool there;
};

struct archive {
    struct fixture *fixture;
    struct config config;
    struct config_stream stream;
    struct indexer indexer;
    struct gathering gathering;
    struct mark locks[MARKS], events[MARKS];
    int64_t monotonic_us;
    uint64_t read; // rows, over all rounds
};

static void archive_fill(struct archive *archive)
{
    CHECK(catalog_begin(archive->fixture->catalog, &cause));
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct catalog_segment segment =
            test_segment(archive->fixture, NOON_US + i * MINUTE_US, MINUTE_US, i);
        segment_set_key(&segment);
        CHECK(catalog_segment_add(archive->fixture->catalog, &segment, &cause));
        catalog_segment_fini(&segment);
    }
    CHECK(catalog_commit(archive->fixture->catalog, &cause));
}

static void archive_init(struct archive *archive, struct fixture *fixture, enum config_mode mode)
{
    *archive = (struct archive){.fixture = fixture, .monotonic_us = MINUTE_US};
    archive->stream = (struct config_stream){.camera = "yard", .name = "main"};
    archive->stream.recording.retain.mode = mode;
    archive->stream.recording.retain.continuous_us = KEEP_US;
    archive->stream.recording.retain.events_us = EVENTS_US;
    archive->config.streams = &archive->stream;
    archive->config.stream_count = 1;
    archive->indexer.config = &archive->config;
    archive->indexer.catalog = fixture->catalog;
    gathering_init(&archive->gathering, &archive->indexer);
    archive_fill(archive);
}

static void archive_round(struct archive *archive, int64_t now_us)
{
    struct gathering *gathering = &archive->gathering;
    CHECK(gathering_read(gathering, now_us, archive->monotonic_us, &cause));
    const struct retention_input input = {.now_us = now_us, .streams = gathering->rules};
    size_t going = retention_plan(&input, gathering->candidates, gathering->count);
    gathering_follow(gathering);
    if (going > 0)
        CHECK(catalog_begin(archive->fixture->catalog, &cause));
    for (size_t i = 0; i < gathering->count; i++) {
        if (gathering->candidates[i].reason != RETENTION_KEEP)
            CHECK(catalog_segment_discard(
                archive->fixture->catalog, &gathering->rows[i], "test", &cause));
    }
    if (going > 0)
        CHECK(catalog_commit(archive->fixture->catalog, &cause));
    archive->read += gathering->count;
    gathering_clear(gathering);
    archive->monotonic_us += 10 * US_PER_SECOND;
}

static bool marks_touch(const struct mark *marks, int64_t start_us, int64_t end_us)
{
    for (size_t i = 0; i < MARKS; i++) {
        if (marks[i].there && marks[i].span.start_us < end_us && marks[i].span.end_us > start_us)
            return true;
    }
    return false;
}

// What the manual says of the segment, with the mode's own age for what no event touches.
static bool archive_keeps(const struct archive *archive, uint32_t number, int64_t now_us)
{
    int64_t start_us = NOON_US + number * MINUTE_US, end_us = start_us + MINUTE_US;
    int64_t age_us = now_us - end_us;
    bool events_only = archive->stream.recording.retain.mode == CONFIG_MODE_EVENTS;
    if (marks_touch(archive->locks, start_us, end_us))
        return true;
    return marks_touch(archive->events, start_us, end_us)
               ? age_us <= EVENTS_US
               : age_us <= (events_only ? 10 * MINUTE_US : KEEP_US);
}

static void archive_settle(struct archive *archive, int64_t now_us, bool *alive)
{
    for (int i = 0; i < ROUNDS; i++)
        archive_round(archive, now_us);
    bool there[SEGMENTS] = {false};
    struct catalog_segments left;
    CHECK(catalog_segments_in(archive->fixture->catalog, archive->fixture->stream_id, 0, INT64_MAX,
        INT64_MIN, 0, &left, &cause));
    for (size_t i = 0; i < left.count; i++)
        there[left.rows[i].number] = true;
    catalog_segments_fini(&left);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        alive[i] = alive[i] && archive_keeps(archive, i, now_us);
        if (there[i] != alive[i])
            fail_msg("minute %u is %s", i, there[i] ? "still there" : "gone");
    }
}

static void archive_mark(struct archive *archive, struct mark *mark, size_t index, bool lock)
{
    int64_t start_us = NOON_US + rand() % SEGMENTS * MINUTE_US + rand() % MINUTE_US;
    snprintf(mark->id, sizeof(mark->id), "00000000-0000-4000-8000-%06d%06zu", lock, index);
    mark->span = (struct retention_span){start_us, start_us + 1 + rand() % (40 * MINUTE_US)};
    mark->there = true;
    CHECK(catalog_begin(archive->fixture->catalog, &cause));
    if (lock) {
        struct catalog_lock row = {.camera = "yard",
            .start_us = mark->span.start_us,
            .end_us = mark->span.end_us,
            .reason = "test"};
        memcpy(row.id, mark->id, sizeof(row.id));
        CHECK(catalog_lock_add(archive->fixture->catalog, &row, &cause));
    } else {
        struct catalog_event row = {.camera = "yard",
            .start_us = mark->span.start_us,
            .end_us = mark->span.end_us,
            .label = "test"};
        memcpy(row.id, mark->id, sizeof(row.id));
        CHECK(catalog_event_add(archive->fixture->catalog, &row, &cause));
    }
    CHECK(catalog_commit(archive->fixture->catalog, &cause));
}

static void archive_unmark(struct archive *archive, struct mark *mark, bool lock)
{
    mark->there = false;
    CHECK(catalog_begin(archive->fixture->catalog, &cause));
    if (lock)
        CHECK(catalog_lock_remove(archive->fixture->catalog, mark->id, &cause));
    else
        CHECK(catalog_event_remove(archive->fixture->catalog, mark->id, &cause));
    CHECK(catalog_commit(archive->fixture->catalog, &cause));
}

static void play(struct fixture *fixture, enum config_mode mode)
{
    const char *given = getenv("SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("SEED=%u\n", seed);
    srand(seed);
    struct archive archive;
    archive_init(&archive, fixture, mode);
    bool alive[SEGMENTS];
    memset(alive, true, sizeof(alive));
    for (size_t i = 0; i < MARKS; i++) {
        archive_mark(&archive, &archive.locks[i], i, true);
        archive_mark(&archive, &archive.events[i], i, false);
    }
    int64_t now_us = NOON_US + SEGMENTS * MINUTE_US;
    archive_settle(&archive, now_us, alive);
    for (size_t i = 0; i < MARKS; i++) {
        archive_unmark(&archive, &archive.locks[i], true);
        now_us += 7 * MINUTE_US;
        archive_settle(&archive, now_us, alive);
    }
    // Nobody says that an event was taken away: the second look finds out.
    for (size_t i = 0; i < MARKS; i += 2)
        archive_unmark(&archive, &archive.events[i], false);
    archive_settle(&archive, now_us, alive);
    // It got there without reading everything in every round.
    assert_true(archive.read < (uint64_t)ROUNDS * (MARKS + 2) * SEGMENTS / 4);
    gathering_fini(&archive.gathering);
}

static void what_the_rules_keep_is_left(void **state)
{
    play(*state, CONFIG_MODE_CONTINUOUS);
}

static void in_events_mode_too(void **state)
{
    play(*state, CONFIG_MODE_EVENTS);
}

static void a_stream_within_its_bytes_counts_locked_ones_apart(void **state)
{
    struct archive archive;
    archive_init(&archive, *state, CONFIG_MODE_CONTINUOUS);
    archive.stream.recording.retain.continuous_us = 36500 * US_PER_DAY;
    archive.stream.recording.retain.max_bytes = INT64_C(5000000) * 100;
    // A lock of the first ten minutes, and one in the middle.
    srand(1);
    for (size_t i = 0; i < 2; i++) {
        archive_mark(&archive, &archive.locks[i], i, true);
        archive_unmark(&archive, &archive.locks[i], true);
        archive.locks[i].span = (struct retention_span){
            NOON_US + (int64_t)i * 200 * MINUTE_US, NOON_US + ((int64_t)i * 200 + 10) * MINUTE_US};
        struct catalog_lock row = {.camera = "yard",
            .stream = "main",
            .start_us = archive.locks[i].span.start_us,
            .end_us = archive.locks[i].span.end_us,
            .reason = "test"};
        memcpy(row.id, archive.locks[i].id, sizeof(row.id));
        CHECK(catalog_begin(archive.fixture->catalog, &cause));
        CHECK(catalog_lock_add(archive.fixture->catalog, &row, &cause));
        CHECK(catalog_commit(archive.fixture->catalog, &cause));
    }
    for (int i = 0; i < 60; i++)
        archive_round(&archive, NOON_US + SEGMENTS * MINUTE_US);
    assert_int_equal(archive.gathering.cursors[0].locked_segments, 20);
    struct catalog_stream stream;
    CHECK(catalog_stream_find(archive.fixture->catalog, "yard", "main", &stream, &cause));
    assert_int_equal(stream.segments, 20 + 99); // each has a little more than 5,000,000 bytes
    assert_int_equal(stream.first_us, NOON_US);
    gathering_fini(&archive.gathering);
}

static void a_stream_that_is_not_configured_any_more_has_the_defaults(void **state)
{
    struct archive archive;
    archive_init(&archive, *state, CONFIG_MODE_CONTINUOUS);
    archive.config.defaults.retain.continuous_us = 50 * MINUTE_US;
    bool alive[SEGMENTS];
    memset(alive, true, sizeof(alive));
    int64_t now_us = NOON_US + SEGMENTS * MINUTE_US;
    archive_settle(&archive, now_us, alive);
    archive.config.stream_count = 0;
    for (int i = 0; i < ROUNDS; i++)
        archive_round(&archive, now_us);
    struct catalog_stream stream;
    CHECK(catalog_stream_find(archive.fixture->catalog, "yard", "main", &stream, &cause));
    assert_int_equal(stream.segments, 51); // one is as old as may be
    assert_int_equal(stream.first_us, now_us - 51 * MINUTE_US);
    gathering_fini(&archive.gathering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_rules_keep_is_left, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(in_events_mode_too, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(
            a_stream_within_its_bytes_counts_locked_ones_apart, fixture_make, fixture_free),
        cmocka_unit_test_setup_teardown(
            a_stream_that_is_not_configured_any_more_has_the_defaults, fixture_make, fixture_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
