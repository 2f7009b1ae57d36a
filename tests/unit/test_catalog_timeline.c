// Coverage and gaps against a model that knows every segment: from rows and from rollups, over
// overlapping runs, at bounds that cut hours, for any limit.
#include "tests/unit/catalog.h"

#include "lib/media/catalog_outage.h"
#include "lib/media/catalog_storage.h"
#include "lib/media/catalog_timeline.h"

enum {
    MODEL_MAX = 3000,
};

struct span {
    int64_t start_us, end_us;
};

// The union of what was recorded, ascending and apart.
struct model {
    struct span spans[MODEL_MAX];
    size_t count;
};

static int span_compare(const void *left, const void *right)
{
    int64_t a = ((const struct span *)left)->start_us, b = ((const struct span *)right)->start_us;
    return a < b ? -1 : a > b;
}

static void model_unite(struct model *model)
{
    size_t count = 0;
    qsort(model->spans, model->count, sizeof(*model->spans), span_compare);
    for (size_t i = 0; i < model->count; i++) {
        struct span *last = count > 0 ? &model->spans[count - 1] : NULL;
        if (last == NULL || model->spans[i].start_us > last->end_us)
            model->spans[count++] = model->spans[i];
        else if (model->spans[i].end_us > last->end_us)
            last->end_us = model->spans[i].end_us;
    }
    model->count = count;
}

static int64_t model_covered(const struct model *model, int64_t start_us, int64_t end_us)
{
    int64_t covered_us = 0;
    for (size_t i = 0; i < model->count; i++) {
        int64_t from_us = model->spans[i].start_us > start_us ? model->spans[i].start_us : start_us;
        int64_t until_us = model->spans[i].end_us < end_us ? model->spans[i].end_us : end_us;
        covered_us += until_us > from_us ? until_us - from_us : 0;
    }
    return covered_us;
}

static void add(struct fixture *fixture, struct model *model, int64_t start_us, int64_t duration_us,
    uint32_t number)
{
    struct catalog_segment segment = test_segment(fixture, start_us, duration_us, number);
    segment_set_key(&segment);
    CHECK(catalog_segment_add(fixture->catalog, &segment, &cause));
    assert_int_equal(segment.start_us, start_us);
    if (model != NULL)
        model->spans[model->count++] = (struct span){start_us, start_us + duration_us};
    catalog_segment_fini(&segment);
}

// Ten days: whole hours, hours with holes, a second run that overlaps the first, days without
// anything. Some of it is deleted again.
static void record(struct fixture *fixture, struct model *model)
{
    int64_t at_us = NOON_US + 1234567;
    uint32_t number = 0;
    srandom(21);
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (int i = 0; i < 1200; i++) {
        int64_t duration_us = 60000000 + random() % 1000;
        add(fixture, model, at_us, duration_us, number++);
        if (random() % 40 == 0)
            add(fixture, model, at_us + 7 + random() % 90000000, random() % 90000000 + 1, number++);
        at_us += duration_us;
        if (random() % 30 == 0)
            at_us += 1 + random() % 600000000;
        if (random() % 60 == 0)
            at_us += HOUR_US + random() % (5 * HOUR_US);
        if (random() % 300 == 0)
            at_us += 30 * HOUR_US;
    }
    for (uint32_t i = 5000; i < 5100; i++) {
        add(fixture, NULL, NOON_US + random() % (40 * HOUR_US), 1 + random() % (3 * HOUR_US), i);
        struct catalog_segment gone = {.stream_id = fixture->stream_id,
            .run = test_segment(fixture, 0, 0, 0).run,
            .number = i};
        CHECK(catalog_segment_discard(fixture->catalog, &gone, "test", &cause));
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
    model_unite(model);
}

static void coverage_is_exact_at_any_bounds(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = xcalloc(1, sizeof(*model));
    record(fixture, model);
    int64_t last_us = model->spans[model->count - 1].end_us;
    for (int i = 0; i < 300; i++) {
        int64_t bounds[101], covered_us[100];
        size_t count = 1 + (size_t)random() % 100;
        int64_t start_us = NOON_US - 5 * HOUR_US + random() % (last_us - NOON_US);
        int64_t width_us = 1 + random() % (i % 3 == 0 ? 10 * HOUR_US : HOUR_US / 4);
        if (i % 2)
            start_us -= start_us % HOUR_US;
        catalog_timeline_bounds(start_us, start_us + width_us * (int64_t)count, count, bounds);
        CHECK(catalog_coverage(
            fixture->catalog, fixture->stream_id, bounds, count + 1, covered_us, &cause));
        for (size_t j = 0; j < count; j++)
            assert_int_equal(covered_us[j], model_covered(model, bounds[j], bounds[j + 1]));
    }
    free(model);
}

static void bounds_ascend_and_long_buckets_begin_with_an_hour(void **state)
{
    (void)state;
    int64_t bounds[501];
    catalog_timeline_bounds(NOON_US + 1, NOON_US + 1 + 366 * US_PER_DAY, 500, bounds);
    assert_int_equal(bounds[0], NOON_US + 1);
    assert_int_equal(bounds[500], NOON_US + 1 + 366 * US_PER_DAY);
    for (size_t i = 1; i < 500; i++) {
        assert_int_equal(bounds[i] % HOUR_US, 0);
        assert_true(bounds[i] > bounds[i - 1]);
        int64_t even_us = NOON_US + 1 + 366 * US_PER_DAY / 500 * (int64_t)i;
        assert_in_range(even_us - bounds[i], 0, HOUR_US);
    }
    catalog_timeline_bounds(NOON_US, NOON_US + 7, 3, bounds);
    assert_int_equal(bounds[1], NOON_US + 2);
    assert_int_equal(bounds[2], NOON_US + 4);
    assert_int_equal(bounds[3], NOON_US + 7);
}

// --- Gaps ---

static size_t model_gaps(const struct model *model, int64_t start_us, int64_t end_us,
    int64_t least_us, struct span *gaps)
{
    size_t count = 0;
    for (size_t i = 1; i < model->count; i++) {
        struct span gap = {model->spans[i - 1].end_us, model->spans[i].start_us};
        gap.start_us = gap.start_us > start_us ? gap.start_us : start_us;
        gap.end_us = gap.end_us < end_us ? gap.end_us : end_us;
        if (gap.end_us > gap.start_us && gap.end_us - gap.start_us >= least_us)
            gaps[count++] = gap;
    }
    return count;
}

static void gaps_are_exact_and_can_be_had_in_pages(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = xcalloc(1, sizeof(*model));
    struct span *expected = xcalloc(MODEL_MAX, sizeof(*expected));
    record(fixture, model);
    int64_t last_us = model->spans[model->count - 1].end_us;
    for (int i = 0; i < 100; i++) {
        int64_t start_us = NOON_US - 20 * HOUR_US + random() % (last_us - NOON_US);
        int64_t end_us = i == 0 ? INT64_C(4000000000000000) : start_us + random() % (99 * HOUR_US);
        int64_t least_us = i % 4 == 1   ? 2 * HOUR_US + random() % (3 * HOUR_US)
                           : i % 2 == 1 ? 1
                                        : random() % 200000000;
        size_t limit = i % 3 ? 1 + (size_t)random() % 5 : 0, seen = 0;
        start_us = i == 0 ? 1 : start_us;
        size_t count = model_gaps(model, start_us, end_us, least_us, expected);
        for (int64_t next_us = start_us; next_us != 0;) {
            struct catalog_gap *gaps;
            size_t found;
            CHECK(catalog_gaps(fixture->catalog, fixture->stream_id, next_us, end_us, least_us,
                limit, &gaps, &found, &next_us, &cause));
            for (size_t j = 0; j < found; j++, seen++) {
                assert_true(seen < count);
                assert_int_equal(gaps[j].start_us, expected[seen].start_us);
                assert_int_equal(gaps[j].end_us, expected[seen].end_us);
                assert_string_equal(gaps[j].reason, "");
            }
            free(gaps);
        }
        assert_int_equal(seen, count);
    }
    free(expected);
    free(model);
}

static int64_t covered_of_hour(struct fixture *fixture)
{
    const int64_t bounds[] = {NOON_US, NOON_US + HOUR_US};
    int64_t covered_us;
    CHECK(catalog_coverage(fixture->catalog, fixture->stream_id, bounds, 2, &covered_us, &cause));
    return covered_us;
}

static size_t gaps_of_hour(struct fixture *fixture)
{
    struct catalog_gap *gaps;
    size_t count;
    int64_t next_us;
    CHECK(catalog_gaps(fixture->catalog, fixture->stream_id, NOON_US, NOON_US + HOUR_US, 1, 0,
        &gaps, &count, &next_us, &cause));
    free(gaps);
    return count;
}

// One run, whose clock was set back by an hour less half a minute after an hour.
static void an_hour_that_was_recorded_twice_counts_once(void **state)
{
    struct fixture *fixture = *state;
    const int64_t minute_us = 60 * US_PER_SECOND;
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (uint32_t i = 0; i < 120; i++)
        add(fixture, NULL,
            NOON_US + (i < 60 ? i * minute_us : minute_us / 2 + (i - 60) * minute_us), minute_us,
            i);
    CHECK(catalog_commit(fixture->catalog, &cause));
    assert_int_equal(covered_of_hour(fixture), HOUR_US);
    assert_int_equal(gaps_of_hour(fixture), 0);
    struct catalog_stream stream;
    CHECK(catalog_stream_find(fixture->catalog, "yard", "main", &stream, &cause));
    assert_int_equal(stream.segments, 120);
    // A minute of it is of two segments of one pass and one of the other.
    struct catalog_segments rows;
    CHECK(catalog_segments_in(fixture->catalog, fixture->stream_id, NOON_US + 10 * minute_us,
        NOON_US + 11 * minute_us, INT64_MIN, 0, &rows, &cause));
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rows[0].number, 69);
    assert_int_equal(rows.rows[1].number, 10);
    assert_int_equal(rows.rows[2].number, 70);
    catalog_segments_fini(&rows);
    // One pass goes; the other one still covers all but its first half minute.
    CHECK(catalog_begin(fixture->catalog, &cause));
    for (uint32_t i = 0; i < 60; i++) {
        struct catalog_segment gone = {.stream_id = fixture->stream_id,
            .run = test_segment(fixture, 0, 0, 0).run,
            .number = i};
        CHECK(catalog_segment_discard(fixture->catalog, &gone, "test", &cause));
    }
    CHECK(catalog_commit(fixture->catalog, &cause));
    assert_int_equal(covered_of_hour(fixture), HOUR_US - minute_us / 2);
}

static void put_run(struct fixture *fixture, int64_t run, int64_t end_us, const char *reason)
{
    struct catalog_run row = {
        .stream_id = fixture->stream_id, .run = run, .start_us = run * 1000, .end_us = end_us};
    snprintf(row.reason, sizeof(row.reason), "%s", reason);
    snprintf(row.detail, sizeof(row.detail), "words of %s", reason);
    CHECK(catalog_run_put(fixture->catalog, &row, &cause));
}

static void add_of_run(struct fixture *fixture, int64_t run, int64_t start_us, int64_t end_us)
{
    static uint32_t number;
    struct catalog_segment segment =
        test_segment(fixture, start_us, end_us - start_us, number++ % 1000);
    segment.run = run;
    CHECK(segment_add(fixture, &segment));
    catalog_segment_fini(&segment);
}

static void gaps_have_the_reason_of_the_outage(void **state)
{
    struct fixture *fixture = *state;
    const int64_t s = US_PER_SECOND, run = NOON_US / 1000;
    put_run(fixture, run, 0, "");
    add_of_run(fixture, run, NOON_US, NOON_US + 60 * s);
    // A hole inside the run has no reason that is known.
    add_of_run(fixture, run, NOON_US + 70 * s, NOON_US + 100 * s);
    put_run(fixture, run, NOON_US + 101 * s, "timeout");
    put_run(fixture, run + 200000, 0, "");
    add_of_run(fixture, run + 200000, NOON_US + 200 * s, NOON_US + 300 * s);
    put_run(fixture, run + 200000, NOON_US + 301 * s, "refused");

    struct catalog_gap *gaps;
    size_t count;
    int64_t next_us;
    CHECK(catalog_gaps(fixture->catalog, fixture->stream_id, 0, NOON_US + 1000 * s, 1, 0, &gaps,
        &count, &next_us, &cause));
    const struct {
        int64_t start_s, end_s;
        const char *reason, *detail;
    } expected[] = {{60, 70, "", ""}, {100, 200, "timeout", "words of timeout"},
        {300, 1000, "refused", "words of refused"}};
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(gaps[i].start_us, NOON_US + expected[i].start_s * s);
        assert_int_equal(gaps[i].end_us, NOON_US + expected[i].end_s * s);
        assert_string_equal(gaps[i].reason, expected[i].reason);
        assert_string_equal(gaps[i].detail, expected[i].detail);
    }
    free(gaps);
    assert_int_equal(next_us, 0);
}

static void a_stream_that_never_delivered_is_one_gap(void **state)
{
    struct fixture *fixture = *state;
    struct catalog_gap *gaps;
    size_t count;
    int64_t next_us;
    CHECK(catalog_gaps(fixture->catalog, fixture->stream_id, 0, NOON_US + HOUR_US, 1, 0, &gaps,
        &count, &next_us, &cause));
    assert_int_equal(count, 0);
    free(gaps);
    put_run(fixture, NOON_US / 1000, NOON_US + 1000000, "unauthorized");
    CHECK(catalog_gaps(fixture->catalog, fixture->stream_id, 0, NOON_US + HOUR_US, 1, 0, &gaps,
        &count, &next_us, &cause));
    assert_int_equal(count, 1);
    assert_int_equal(gaps[0].start_us, NOON_US);
    assert_int_equal(gaps[0].end_us, NOON_US + HOUR_US);
    assert_string_equal(gaps[0].reason, "unauthorized");
    free(gaps);
}

// --- Figures ---

static void storage_tells_each_volume_and_what_was_recorded(void **state)
{
    struct fixture *fixture = *state;
    int64_t other, second;
    CHECK(catalog_volume_add(
        fixture->catalog, "00000000-0000-4000-8000-000000000002", "/srv/other", &other, &cause));
    CHECK(catalog_stream_add(fixture->catalog, "gate", "main", &second, &cause));
    for (uint32_t i = 0; i < 12; i++) {
        struct catalog_segment segment =
            test_segment(fixture, NOON_US + i * 10 * 60 * US_PER_SECOND, 5 * 60 * US_PER_SECOND, i);
        segment.volume_id = i < 4 ? fixture->volume_id : other;
        segment.size_bytes = 6000000;
        segment.stream_id = i % 2 ? second : fixture->stream_id;
        CHECK(segment_add(fixture, &segment));
        catalog_segment_fini(&segment);
    }
    struct catalog_segment first = test_segment(fixture, 0, 0, 0);
    CHECK(catalog_segment_discard(fixture->catalog, &first, "test", &cause));
    struct catalog_storage *volumes;
    size_t count;
    CHECK(catalog_storage(fixture->catalog, &volumes, &count, &cause));
    assert_int_equal(count, 2);
    assert_int_equal(volumes[0].segments, 3);
    assert_int_equal(volumes[0].bytes, 3 * 6000000);
    assert_int_equal(volumes[0].first_us, NOON_US + 10 * 60 * US_PER_SECOND);
    assert_int_equal(volumes[0].garbage_files, 1);
    assert_int_equal(volumes[0].garbage_bytes, 6000000);
    assert_int_equal(volumes[1].segments, 8);
    assert_int_equal(volumes[1].first_us, NOON_US + 40 * 60 * US_PER_SECOND);
    assert_int_equal(volumes[1].garbage_files, 0);
    free(volumes);

    // The first hour alone: five left of the six of it, two of the first stream and three.
    struct catalog_rate *rates;
    CHECK(catalog_rates(
        fixture->catalog, NOON_US, NOON_US + HOUR_US + HOUR_US / 2, &rates, &count, &cause));
    assert_int_equal(count, 2);
    assert_int_equal(rates[0].stream_id, fixture->stream_id);
    assert_int_equal(rates[0].bytes, 2 * 6000000);
    assert_int_equal(rates[0].covered_us, 2 * 5 * 60 * US_PER_SECOND);
    assert_int_equal(rates[1].bytes, 3 * 6000000);
    free(rates);
}

int main(void)
{
#define TIMELINE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_make, fixture_free)
    const struct CMUnitTest tests[] = {
        TIMELINE_TEST(coverage_is_exact_at_any_bounds),
        cmocka_unit_test(bounds_ascend_and_long_buckets_begin_with_an_hour),
        TIMELINE_TEST(gaps_are_exact_and_can_be_had_in_pages),
        TIMELINE_TEST(an_hour_that_was_recorded_twice_counts_once),
        TIMELINE_TEST(gaps_have_the_reason_of_the_outage),
        TIMELINE_TEST(a_stream_that_never_delivered_is_one_gap),
        TIMELINE_TEST(storage_tells_each_volume_and_what_was_recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
