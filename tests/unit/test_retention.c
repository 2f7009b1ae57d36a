// links: kf-indexer
// The plan of retention: tables in, decisions out, and random archives held against a model that
// shares no code with it.
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "indexer/retention.h"
#include "lib/core/alloc.h"

#define DAY_US INT64_C(86400000000)
#define NOW_US (INT64_C(20000) * DAY_US)
#define MINUTE_US INT64_C(60000000)

struct plan_row {
    int age_days; // of its end
    size_t stream;
    uint64_t bytes;
    enum retention_reason expected;
    bool early;
};

// Three streams that keep 7, 30 and 60 days, on one volume.
static void check_plan(
    const struct plan_row *rows, size_t count, struct retention_need need, uint64_t max_bytes)
{
    const struct retention_stream streams[] = {
        {.continuous_us = 7 * DAY_US, .events_us = 7 * DAY_US},
        {.continuous_us = 30 * DAY_US,
            .events_us = 30 * DAY_US,
            .bytes = 1000,
            .max_bytes = max_bytes},
        {.continuous_us = 60 * DAY_US, .events_us = 60 * DAY_US, .bytes = 1000},
    };
    const struct retention_volume volume = {need, SIZE_MAX, INT64_MAX};
    const struct retention_input input = {NOW_US, streams, &volume, 1};
    struct retention_candidate candidates[16] = {0};
    size_t expected = 0;
    assert_true(count <= ARRAY_LENGTH(candidates));
    for (size_t i = 0; i < count; i++) {
        int64_t end_us = NOW_US - rows[i].age_days * DAY_US;
        candidates[i] = (struct retention_candidate){.stream = rows[i].stream,
            .start_us = end_us - MINUTE_US,
            .end_us = end_us,
            .bytes = rows[i].bytes,
            .reason = RETENTION_MIN_FREE};
        expected += rows[i].expected != RETENTION_KEEP;
    }
    assert_int_equal(retention_plan(&input, candidates, count), expected);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(
            retention_reason_name(candidates[i].reason), retention_reason_name(rows[i].expected));
        assert_int_equal(candidates[i].early, rows[i].early);
    }
}

#define CHECK_PLAN(rows, max_bytes, ...)                                                           \
    check_plan((rows), ARRAY_LENGTH(rows), (struct retention_need){__VA_ARGS__}, (max_bytes))

static void each_stream_has_its_own_age(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {40, 1, 10, RETENTION_CONTINUOUS, false}, {40, 2, 10, RETENTION_KEEP, false},
        {30, 1, 10, RETENTION_KEEP, false}, // to the microsecond
        {8, 0, 10, RETENTION_CONTINUOUS, false}, {1, 1, 10, RETENTION_KEEP, false},
        {-1, 0, 10, RETENTION_KEEP, false}, // ends in the future: a clock that went back
    };
    CHECK_PLAN(rows, 0, 0);
}

static void the_oldest_go_until_the_need_is_met(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 1, 100, RETENTION_MIN_FREE, true},
        {8, 2, 50, RETENTION_MIN_FREE, true},
        {7, 1, 100, RETENTION_MIN_FREE, true},
        {6, 1, 100, RETENTION_KEEP, false},
    };
    CHECK_PLAN(rows, 0, .bytes = 151);
}

static void what_is_too_old_counts_towards_the_need(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 1, 100, RETENTION_KEEP, false},
        {8, 0, 100, RETENTION_CONTINUOUS, false},
    };
    CHECK_PLAN(rows, 0, .bytes = 100);
    const struct plan_row more[] = {
        {9, 1, 100, RETENTION_MIN_FREE, true},
        {8, 0, 100, RETENTION_CONTINUOUS, false},
        {7, 1, 100, RETENTION_KEEP, false},
    };
    CHECK_PLAN(more, 0, .bytes = 101);
}

static void files_are_a_need_too(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 1, 1000, RETENTION_MIN_FREE, true},
        {8, 2, 1000, RETENTION_MIN_FREE, true},
        {7, 1, 1000, RETENTION_KEEP, false},
    };
    CHECK_PLAN(rows, 0, .bytes = 1, .files = 2);
}

static void a_stream_keeps_within_its_bytes(void **state)
{
    (void)state;
    // The stream has 1000: 250 too many; what its neighbour has is its own business. What goes for
    // that counts towards the volume's need.
    const struct plan_row rows[] = {
        {40, 1, 100, RETENTION_CONTINUOUS, false},
        {9, 2, 100, RETENTION_MIN_FREE, true},
        {8, 1, 100, RETENTION_MAX_BYTES, true},
        {7, 1, 100, RETENTION_MAX_BYTES, true},
        {6, 1, 100, RETENTION_KEEP, false},
    };
    CHECK_PLAN(rows, 750, .bytes = 400);
}

static void a_need_that_can_not_be_met_takes_what_there_is(void **state)
{
    (void)state;
    const struct plan_row rows[] = {{1, 1, 100, RETENTION_MIN_FREE, true}};
    CHECK_PLAN(rows, 0, .bytes = 1000000);
    const struct retention_input input = {0};
    assert_int_equal(retention_plan(&input, NULL, 0), 0);
}

static void trials_and_the_reach_of_what_was_read_bound_min_free(void **state)
{
    (void)state;
    const struct retention_stream stream = {.continuous_us = 30 * DAY_US, .events_us = 30 * DAY_US};
    struct retention_volume volume = {{.bytes = 1000}, 2, INT64_MAX};
    const struct retention_input input = {NOW_US, &stream, &volume, 1};
    struct retention_candidate candidates[4] = {0};
    for (int i = 0; i < 4; i++)
        candidates[i] = (struct retention_candidate){
            .start_us = NOW_US - DAY_US + i, .end_us = NOW_US - DAY_US + i + 1, .bytes = 1};
    assert_int_equal(retention_plan(&input, candidates, 4), 2);
    assert_int_equal(candidates[1].reason, RETENTION_MIN_FREE);
    volume.allowance = SIZE_MAX;
    volume.reach_us = NOW_US - DAY_US;
    assert_int_equal(retention_plan(&input, candidates, 4), 1);
    assert_int_equal(candidates[0].reason, RETENTION_MIN_FREE);
}

static void spans_join_and_touch(void **state)
{
    (void)state;
    struct retention_span spans[] = {{50, 60}, {10, 20}, {15, 30}, {30, 31}, {55, 58}};
    assert_int_equal(retention_spans_join(spans, 5), 2);
    const struct retention_span joined[] = {{10, 31}, {50, 60}};
    assert_memory_equal(spans, joined, sizeof(joined));
    assert_false(retention_spans_touch(spans, 2, 0, 10));
    assert_true(retention_spans_touch(spans, 2, 0, 11));
    assert_true(retention_spans_touch(spans, 2, 30, 31));
    assert_false(retention_spans_touch(spans, 2, 31, 50));
    assert_true(retention_spans_touch(spans, 2, 59, 100));
    assert_false(retention_spans_touch(spans, 2, 60, 100));
    assert_false(retention_spans_touch(NULL, 0, 60, 100));
}

static void an_event_keeps_what_is_around_it(void **state)
{
    (void)state;
    const struct retention_stream stream = {.pre_us = 5, .post_us = 7};
    struct retention_span span = retention_event_span(&stream, 100, 200);
    assert_int_equal(span.start_us, 95);
    assert_int_equal(span.end_us, 207);
    span = retention_event_span(&stream, 100, 0); // goes on
    assert_true(span.end_us == INT64_MAX);
    const struct retention_stream bare = {0};
    span = retention_event_span(&bare, 100, 100); // a moment
    assert_int_equal(span.end_us, 101);
}

// --- Random archives against a model ---

enum {
    STREAMS = 3,
    VOLUMES = 2,
    SEGMENTS_MAX = 60,
    SPANS_MAX = 5,
};

struct archive {
    struct retention_stream streams[STREAMS];
    struct retention_volume volumes[VOLUMES];
    struct retention_span locks[STREAMS][SPANS_MAX], events[STREAMS][SPANS_MAX];
    struct retention_candidate candidates[SEGMENTS_MAX];
    size_t count;
};

static uint64_t seed_state;

static int64_t random_below(int64_t limit)
{
    seed_state = seed_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((seed_state >> 33) % (uint64_t)limit);
}

static size_t random_spans(struct retention_span *spans, int64_t base_us)
{
    size_t count = (size_t)random_below(SPANS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        spans[i].start_us = base_us + random_below(SEGMENTS_MAX * MINUTE_US);
        spans[i].end_us = spans[i].start_us + 1 + random_below(3 * MINUTE_US);
    }
    return retention_spans_join(spans, count);
}

// An hour of the archive; the present is somewhere within a day around it.
static void random_archive(struct archive *archive, int64_t base_us)
{
    *archive = (struct archive){.count = (size_t)random_below(SEGMENTS_MAX + 1)};
    int64_t start_us = base_us;
    for (size_t i = 0; i < archive->count; i++) {
        start_us += random_below(MINUTE_US);
        archive->candidates[i] = (struct retention_candidate){
            .stream = (size_t)random_below(STREAMS),
            .volume = random_below(5) == 0 ? SIZE_MAX : (size_t)random_below(VOLUMES),
            .start_us = start_us,
            .end_us = start_us + 1 + random_below(2 * MINUTE_US),
            .bytes = (uint64_t)random_below(1000),
        };
    }
    for (size_t i = 0; i < STREAMS; i++) {
        struct retention_stream *stream = &archive->streams[i];
        *stream = (struct retention_stream){
            .events_only = random_below(2) == 0,
            .continuous_us = random_below(90 * MINUTE_US),
            .pre_us = random_below(MINUTE_US),
            .post_us = random_below(MINUTE_US),
            .max_bytes = random_below(2) ? (uint64_t)random_below(10000) : 0,
            .locks = archive->locks[i],
            .lock_count = random_spans(archive->locks[i], base_us),
            .events = archive->events[i],
            .event_count = random_spans(archive->events[i], base_us),
        };
        stream->events_us = random_below(120 * MINUTE_US);
        if (!stream->events_only && stream->events_us < stream->continuous_us)
            stream->events_us = stream->continuous_us;
        for (size_t j = 0; j < archive->count; j++) {
            bool locked = retention_spans_touch(stream->locks, stream->lock_count,
                archive->candidates[j].start_us, archive->candidates[j].end_us);
            if (archive->candidates[j].stream == i && !locked)
                stream->bytes += archive->candidates[j].bytes;
        }
    }
    for (size_t i = 0; i < VOLUMES; i++)
        archive->volumes[i] =
            (struct retention_volume){.need = {random_below(2) ? (uint64_t)random_below(8000) : 0,
                                          random_below(3) ? 0 : (uint64_t)random_below(10)},
                .allowance = random_below(4) ? SIZE_MAX : (size_t)random_below(6),
                .reach_us =
                    random_below(3) ? INT64_MAX : base_us + random_below(SEGMENTS_MAX * MINUTE_US)};
}

static bool model_overlaps(
    const struct retention_span *spans, size_t count, const struct retention_candidate *candidate)
{
    for (size_t i = 0; i < count; i++) {
        int64_t from =
            spans[i].start_us > candidate->start_us ? spans[i].start_us : candidate->start_us;
        int64_t to = spans[i].end_us < candidate->end_us ? spans[i].end_us : candidate->end_us;
        if (from < to)
            return true;
    }
    return false;
}

// One segment after the other, each asked what the manual says, with the sums told again each time.
static enum retention_reason model_decide(const struct archive *archive,
    const enum retention_reason *decided, size_t index, int64_t now_us, int pass)
{
    const struct retention_candidate *candidate = &archive->candidates[index];
    const struct retention_stream *stream = &archive->streams[candidate->stream];
    if (decided[index] != RETENTION_KEEP ||
        model_overlaps(stream->locks, stream->lock_count, candidate))
        return decided[index];
    bool touched = model_overlaps(stream->events, stream->event_count, candidate);
    int64_t age_us = now_us - candidate->end_us;
    if (pass == 0) {
        if (touched)
            return age_us > stream->events_us ? RETENTION_EVENTS : RETENTION_KEEP;
        if (!stream->events_only)
            return age_us > stream->continuous_us ? RETENTION_CONTINUOUS : RETENTION_KEEP;
        return age_us > 10 * MINUTE_US + stream->pre_us || age_us > stream->events_us
                   ? RETENTION_NO_EVENT
                   : RETENTION_KEEP;
    }
    uint64_t bytes = 0, files = 0, trials = 0;
    for (size_t i = 0; i < archive->count; i++) {
        const struct retention_candidate *other = &archive->candidates[i];
        bool same =
            pass == 1 ? other->stream == candidate->stream : other->volume == candidate->volume;
        if (same && decided[i] != RETENTION_KEEP) {
            bytes += other->bytes;
            files++;
            trials += decided[i] == RETENTION_MIN_FREE;
        }
    }
    if (pass == 1)
        return stream->max_bytes != 0 && stream->bytes > stream->max_bytes + bytes
                   ? RETENTION_MAX_BYTES
                   : RETENTION_KEEP;
    if (candidate->volume == SIZE_MAX)
        return RETENTION_KEEP;
    const struct retention_volume *volume = &archive->volumes[candidate->volume];
    bool needed = volume->need.bytes > bytes || volume->need.files > files;
    return needed && trials < volume->allowance && candidate->start_us <= volume->reach_us
               ? RETENTION_MIN_FREE
               : RETENTION_KEEP;
}

static void check_against_model(struct archive *archive, int64_t now_us)
{
    enum retention_reason decided[SEGMENTS_MAX] = {0};
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < archive->count; i++)
            decided[i] = model_decide(archive, decided, i, now_us, pass);
    }
    const struct retention_input input = {now_us, archive->streams, archive->volumes, VOLUMES};
    size_t going = 0, chosen = retention_plan(&input, archive->candidates, archive->count);
    for (size_t i = 0; i < archive->count; i++) {
        const struct retention_candidate *candidate = &archive->candidates[i];
        const struct retention_stream *stream = &archive->streams[candidate->stream];
        assert_string_equal(
            retention_reason_name(candidate->reason), retention_reason_name(decided[i]));
        bool locked = model_overlaps(stream->locks, stream->lock_count, candidate);
        assert_int_equal(candidate->locked, locked);
        assert_false(locked && decided[i] != RETENTION_KEEP);
        bool promised =
            !stream->events_only || model_overlaps(stream->events, stream->event_count, candidate);
        assert_int_equal(candidate->early,
            promised && (decided[i] == RETENTION_MAX_BYTES || decided[i] == RETENTION_MIN_FREE));
        going += decided[i] != RETENTION_KEEP;
    }
    assert_int_equal(chosen, going);
}

static void random_archives_are_judged_as_by_the_model(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("SEED=%" PRIu64 "\n", seed);
    seed_state = seed;
    for (int i = 0; i < 20000; i++) {
        struct archive archive;
        random_archive(&archive, NOW_US);
        check_against_model(&archive, NOW_US + random_below(4 * 60 * MINUTE_US));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stream_has_its_own_age),
        cmocka_unit_test(the_oldest_go_until_the_need_is_met),
        cmocka_unit_test(what_is_too_old_counts_towards_the_need),
        cmocka_unit_test(files_are_a_need_too),
        cmocka_unit_test(a_stream_keeps_within_its_bytes),
        cmocka_unit_test(a_need_that_can_not_be_met_takes_what_there_is),
        cmocka_unit_test(trials_and_the_reach_of_what_was_read_bound_min_free),
        cmocka_unit_test(spans_join_and_touch),
        cmocka_unit_test(an_event_keeps_what_is_around_it),
        cmocka_unit_test(random_archives_are_judged_as_by_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
