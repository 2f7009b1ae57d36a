// Outages follow from runs and segments, in whatever order the catalog hears of them: a story of
// runs is told in many orders, and the outages are the same as those that are read off the story.
#include "tests/unit/catalog.h"

#include "lib/media/catalog_outage.h"

enum {
    RUNS_MAX = 12,
    NEWS_MAX = 64,
};

// One run of the story: in seconds after noon, its footage from start to end in pieces of 10 s.
struct story_run {
    int64_t start_s, end_s; // of the run; end 0: it lives
    int64_t footage_s[2];   // equal: none
    const char *reason;
};

static struct catalog_run story_row(
    const struct fixture *fixture, const struct story_run *run, bool over)
{
    struct catalog_run row = {
        .stream_id = fixture->stream_id,
        .run = NOON_US / 1000 + run->start_s * 1000,
        .start_us = NOON_US + run->start_s * US_PER_SECOND,
        .end_us = over ? NOON_US + run->end_s * US_PER_SECOND : 0,
    };
    if (over) {
        snprintf(row.reason, sizeof(row.reason), "%s", run->reason);
        snprintf(row.detail, sizeof(row.detail), "words of %s", run->reason);
    }
    return row;
}

static void tell_run(struct fixture *fixture, const struct story_run *run, bool over)
{
    struct catalog_run row = story_row(fixture, run, over);
    CHECK(catalog_run_put(fixture->catalog, &row, &cause));
}

static void tell_segment(
    struct fixture *fixture, const struct story_run *run, int64_t at_s, bool over)
{
    struct catalog_segment segment = test_segment(fixture, NOON_US + at_s * US_PER_SECOND,
        10 * US_PER_SECOND, (uint32_t)(at_s - run->footage_s[0]) / 10);
    tell_run(fixture, run, over); // as the indexer does with every segment
    segment.run = NOON_US / 1000 + run->start_s * 1000;
    segment_set_key(&segment);
    CHECK(catalog_segment_add(fixture->catalog, &segment, &cause));
    catalog_segment_fini(&segment);
}

// What is told: the end of a run, or a segment of it.
struct news {
    size_t run;
    int64_t at_s; // INT64_MAX: it has ended
};

// Tells all news in the given order.
static void tell(
    struct fixture *fixture, const struct story_run *story, const struct news *news, size_t count)
{
    bool over[RUNS_MAX] = {false};
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (size_t i = 0; i < count; i++) {
        const struct story_run *run = &story[news[i].run];
        if (news[i].at_s == INT64_MAX)
            tell_run(fixture, run, over[news[i].run] = true);
        else
            tell_segment(fixture, run, news[i].at_s, over[news[i].run]);
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
}

static size_t story_news(const struct story_run *story, size_t count, struct news *news)
{
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        for (int64_t at_s = story[i].footage_s[0]; at_s < story[i].footage_s[1]; at_s += 10)
            news[told++] = (struct news){i, at_s};
        if (story[i].end_s != 0)
            news[told++] = (struct news){i, INT64_MAX};
    }
    return told;
}

static bool story_off(const struct story_run *run)
{
    return run->end_s != 0 &&
           (strcmp(run->reason, "removed") == 0 || strcmp(run->reason, "disabled") == 0);
}

static bool story_delivers(const struct story_run *run)
{
    return run->footage_s[0] < run->footage_s[1];
}

// The outages as they are read off the story: after each run with footage that has ended, until the
// next one with footage; from where a stream is not to be recorded until it is tried again.
static size_t story_outages(
    const struct story_run *story, size_t count, struct catalog_outage *outages)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        struct catalog_outage outage = {.run = NOON_US / 1000 + story[i].start_s * 1000};
        bool delivered = story_delivers(&story[i]), off = story_off(&story[i]);
        if (story[i].end_s == 0 || (!delivered && !off && i > 0 && !story_off(&story[i - 1])))
            continue;
        int64_t start_s = delivered ? story[i].footage_s[1] : story[i].start_s;
        outage.start_us = NOON_US + (off && !delivered ? story[i].end_s : start_s) * US_PER_SECOND;
        snprintf(outage.reason, sizeof(outage.reason), "%s", story[i].reason);
        outage.attempts = !delivered && !off;
        const char *last = delivered || off ? "" : story[i].reason;
        size_t next = i + 1;
        for (; next < count && !off && !story_delivers(&story[next]) && !story_off(&story[next]);
             next++) {
            outage.attempts += story[next].end_s != 0;
            last = story[next].end_s != 0 ? story[next].reason : last;
        }
        snprintf(outage.last_reason, sizeof(outage.last_reason), "%s", last);
        if (next < count && story_delivers(&story[next]))
            outage.end_us = NOON_US + story[next].footage_s[0] * US_PER_SECOND;
        else if (next < count)
            outage.end_us =
                NOON_US +
                (story_off(&story[next]) ? story[next].end_s : story[next].start_s) * US_PER_SECOND;
        if (outage.end_us == 0 || outage.end_us > outage.start_us)
            outages[found++] = outage;
    }
    return found;
}

static void assert_story(struct fixture *fixture, const struct story_run *story, size_t count)
{
    struct catalog_outage expected[RUNS_MAX], *found;
    size_t expected_count = story_outages(story, count, expected), found_count;
    CHECK(catalog_outages_in(
        fixture->catalog, fixture->stream_id, 0, INT64_MAX, 0, &found, &found_count, &cause));
    assert_int_equal(found_count, expected_count);
    for (size_t i = 0; i < found_count; i++) {
        assert_int_equal(found[i].run, expected[i].run);
        assert_int_equal(found[i].start_us, expected[i].start_us);
        assert_int_equal(found[i].end_us, expected[i].end_us);
        assert_string_equal(found[i].reason, expected[i].reason);
        assert_int_equal(found[i].attempts, expected[i].attempts);
        assert_string_equal(found[i].last_reason, expected[i].last_reason);
    }
    free(found);
}

static const struct story_run camera_comes_back[] = {
    {0, 130, {2, 122}, "timeout"},
    {140, 145, {0, 0}, "refused"},
    {160, 165, {0, 0}, "refused"},
    {200, 290, {203, 283}, "stopped"},
    {300, 400, {283, 383}, "reload"},  // begins where the one before it ended: no outage
    {390, 500, {360, 490}, "stalled"}, // overlaps
    {510, 511, {0, 0}, "unauthorized"},
};

static const struct story_run never_delivered[] = {
    {0, 5, {0, 0}, "unauthorized"},
    {20, 25, {0, 0}, "unauthorized"},
    {60, 65, {0, 0}, "not_found"},
};

// Not to be recorded for a while, out of every state, and found failing again.
static const struct story_run taken_away[] = {
    {0, 130, {2, 122}, "timeout"},
    {140, 145, {0, 0}, "refused"},
    {160, 165, {0, 0}, "refused"},
    {200, 200, {0, 0}, "removed"},
    {300, 305, {0, 0}, "not_found"},
    {320, 325, {0, 0}, "not_found"},
    {340, 345, {0, 0}, "disabled"},
    {400, 450, {402, 442}, "removed"},
    {500, 505, {0, 0}, "unauthorized"},
    {520, 521, {0, 0}, "disabled"},
    {530, 531, {0, 0}, "removed"},
    {600, 0, {602, 612}, ""},
};

static const struct story_run late_start[] = {
    {0, 5, {0, 0}, "refused"},
    {20, 25, {0, 0}, "closed"},
    {60, 0, {62, 82}, ""},
};

static void outages_are_told_as_they_happen(void **state)
{
    const struct {
        const struct story_run *runs;
        size_t count;
    } stories[] = {{camera_comes_back, ARRAY_LENGTH(camera_comes_back)},
        {never_delivered, ARRAY_LENGTH(never_delivered)}, {late_start, ARRAY_LENGTH(late_start)},
        {taken_away, ARRAY_LENGTH(taken_away)}};
    for (size_t i = 0; i < ARRAY_LENGTH(stories); i++) {
        struct fixture *fixture = *state;
        struct news news[NEWS_MAX];
        size_t count = story_news(stories[i].runs, stories[i].count, news);
        tell(fixture, stories[i].runs, news, count);
        assert_story(fixture, stories[i].runs, stories[i].count);
        assert_int_equal(fixture_free(state), 0);
        assert_int_equal(fixture_make(state), 0);
    }
}

static void tell_in_any_order(void **state, const struct story_run *story, size_t runs)
{
    struct fixture *fixture = *state;
    struct news news[NEWS_MAX];
    size_t count = story_news(story, runs, news);
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)random() % i;
        struct news moved = news[i - 1];
        news[i - 1] = news[j];
        news[j] = moved;
    }
    tell(fixture, story, news, count);
    assert_story(fixture, story, runs);
    assert_int_equal(fixture_free(state), 0);
    assert_int_equal(fixture_make(state), 0);
}

// The indexer may hear of ends before it has filed the footage, and take the newest footage first.
static void any_order_gives_the_same_outages(void **state)
{
    srandom(31);
    for (int round = 0; round < 60; round++) {
        tell_in_any_order(state, camera_comes_back, ARRAY_LENGTH(camera_comes_back));
        tell_in_any_order(state, taken_away, ARRAY_LENGTH(taken_away));
    }
}

// A camera that fails when nobody wants it any more, and fails again when somebody does.
static void a_stream_that_is_not_wanted_does_not_fail(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_stream *streams;
    size_t count;
    for (size_t i = 0; i < 3; i++)
        tell_run(fixture, &taken_away[i], true);
    CHECK(catalog_outages_failing(fixture->catalog, &streams, &count, &cause));
    assert_int_equal(count, 1);
    assert_int_equal(streams[0].id, fixture->stream_id);
    free(streams);
    for (int64_t i = 0; i < 3; i++)
        CHECK(catalog_outage_off(fixture->catalog, fixture->stream_id, "removed",
            NOON_US + (200 + i * 10) * US_PER_SECOND, &cause));
    CHECK(catalog_outages_failing(fixture->catalog, &streams, &count, &cause));
    assert_int_equal(count, 0);
    free(streams);
    const struct story_run story[] = {{0, 130, {0, 0}, "timeout"}, taken_away[1], taken_away[2],
        taken_away[3], taken_away[4], taken_away[5]};
    assert_story(fixture, story, 4);
    tell_run(fixture, &taken_away[4], true);
    tell_run(fixture, &taken_away[5], true);
    assert_story(fixture, story, 6);
}

static void an_end_told_twice_is_one_attempt(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) {
        tell_run(fixture, &never_delivered[0], true);
        tell_run(fixture, &never_delivered[1], true);
    }
    assert_story(fixture, never_delivered, 2);
}

static size_t outages_in(struct fixture *fixture, int64_t start_s, int64_t end_s, size_t limit)
{
    struct catalog_outage *outages;
    size_t count;
    CHECK(
        catalog_outages_in(fixture->catalog, fixture->stream_id, NOON_US + start_s * US_PER_SECOND,
            NOON_US + end_s * US_PER_SECOND, limit, &outages, &count, &cause));
    free(outages);
    return count;
}

static void outages_are_found_by_time_and_expire(void **state)
{
    struct fixture *fixture = *state;
    for (int64_t i = 0; i < 10; i++) {
        struct catalog_outage outage = {
            .stream_id = fixture->stream_id,
            .run = NOON_US / 1000 + i,
            .start_us = NOON_US + i * 100 * US_PER_SECOND,
            .end_us = i == 9 ? 0 : NOON_US + (i * 100 + 50) * US_PER_SECOND,
            .reason = "timeout",
        };
        CHECK(catalog_outage_put(fixture->catalog, &outage, &cause));
        CHECK(catalog_outage_put(fixture->catalog, &outage, &cause));
    }
    assert_int_equal(outages_in(fixture, 0, 10000, 0), 10);
    assert_int_equal(outages_in(fixture, 0, 10000, 3), 3);
    assert_int_equal(outages_in(fixture, 50, 100, 0), 0);
    assert_int_equal(outages_in(fixture, 49, 101, 0), 2);
    assert_int_equal(outages_in(fixture, 120, 121, 0), 1);
    assert_int_equal(outages_in(fixture, -500, 1, 0), 1);
    assert_int_equal(outages_in(fixture, -500, 0, 0), 0);
    assert_int_equal(outages_in(fixture, 99999, 100000, 0), 1); // it goes on
    CHECK(catalog_outages_expire(
        fixture->catalog, fixture->stream_id, NOON_US + 251 * US_PER_SECOND, &cause));
    assert_int_equal(outages_in(fixture, 0, 10000, 0), 7);
    CHECK(catalog_outages_expire(fixture->catalog, fixture->stream_id, INT64_MAX, &cause));
    assert_int_equal(outages_in(fixture, 0, 10000, 0), 1);
}

// A recorder that was killed with its supervisor: nobody knows when it ended, but what it has
// recorded.
static void a_run_does_not_end_before_its_footage(void **state)
{
    struct fixture *fixture = *state;
    static const struct story_run story[] = {{0, 1, {2, 32}, "supervisor_died"}};
    const struct news orders[][4] = {
        {{0, 2}, {0, 12}, {0, 22}, {0, INT64_MAX}},
        {{0, 2}, {0, INT64_MAX}, {0, 12}, {0, 22}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        struct catalog_run run;
        fixture_free(state);
        fixture_make(state);
        fixture = *state;
        tell(fixture, story, orders[i], 4);
        CHECK(catalog_run_get(fixture->catalog, fixture->stream_id, NOON_US / 1000, &run, &cause));
        assert_int_equal(run.end_us, NOON_US + 32 * US_PER_SECOND);
        assert_story(fixture, story, 1);
    }
}

int main(void)
{
#define OUTAGE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        OUTAGE_TEST(outages_are_told_as_they_happen),
        OUTAGE_TEST(any_order_gives_the_same_outages),
        OUTAGE_TEST(a_stream_that_is_not_wanted_does_not_fail),
        OUTAGE_TEST(an_end_told_twice_is_one_attempt),
        OUTAGE_TEST(outages_are_found_by_time_and_expire),
        OUTAGE_TEST(a_run_does_not_end_before_its_footage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
