// links: kf-indexer
// The plan of retention: tables in, decisions out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "indexer/retention.h"
#include "lib/core/alloc.h"

#define DAY_US INT64_C(86400000000)
#define NOW_US (INT64_C(20000) * DAY_US)
#define S_US INT64_C(1000000)

struct plan_row {
    int age_days; // of its end
    int continuous_days;
    uint64_t bytes;
    enum retention_reason expected;
    bool early;
};

static void check_plan(const struct plan_row *rows, size_t count, struct retention_need need)
{
    struct retention_candidate candidates[16] = {0};
    size_t expected = 0;
    assert_true(count <= ARRAY_LENGTH(candidates));
    for (size_t i = 0; i < count; i++) {
        candidates[i] = (struct retention_candidate){.end_us = NOW_US - rows[i].age_days * DAY_US,
            .continuous_us = rows[i].continuous_days * DAY_US,
            .bytes = rows[i].bytes,
            .reason = RETENTION_MIN_FREE,
            .early = true};
        expected += rows[i].expected != RETENTION_KEEP;
    }
    assert_int_equal(retention_plan(candidates, count, NOW_US, need), expected);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(candidates[i].reason, rows[i].expected);
        assert_int_equal(candidates[i].early, rows[i].early);
    }
}

#define CHECK_PLAN(rows, ...)                                                                      \
    check_plan((rows), ARRAY_LENGTH(rows), (struct retention_need){__VA_ARGS__})

static void each_stream_has_its_own_age(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {40, 30, 10, RETENTION_CONTINUOUS, false}, {40, 60, 10, RETENTION_KEEP, false},
        {30, 30, 10, RETENTION_KEEP, false}, // to the microsecond
        {8, 7, 10, RETENTION_CONTINUOUS, false}, {1, 30, 10, RETENTION_KEEP, false},
        {-1, 0, 10, RETENTION_KEEP, false}, // ends in the future: a clock that went back
    };
    CHECK_PLAN(rows, 0, 0);
}

static void the_oldest_go_until_the_need_is_met(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 30, 100, RETENTION_MIN_FREE, true},
        {8, 30, 50, RETENTION_MIN_FREE, true},
        {7, 30, 100, RETENTION_MIN_FREE, true},
        {6, 30, 100, RETENTION_KEEP, false},
    };
    CHECK_PLAN(rows, .bytes = 151);
}

static void what_is_too_old_counts_towards_the_need(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 30, 100, RETENTION_KEEP, false},
        {8, 7, 100, RETENTION_CONTINUOUS, false},
    };
    CHECK_PLAN(rows, .bytes = 100);
    const struct plan_row more[] = {
        {9, 30, 100, RETENTION_MIN_FREE, true},
        {8, 7, 100, RETENTION_CONTINUOUS, false},
        {7, 30, 100, RETENTION_KEEP, false},
    };
    CHECK_PLAN(more, .bytes = 101);
}

static void files_are_a_need_too(void **state)
{
    (void)state;
    const struct plan_row rows[] = {
        {9, 30, 1000, RETENTION_MIN_FREE, true},
        {8, 30, 1000, RETENTION_MIN_FREE, true},
        {7, 30, 1000, RETENTION_KEEP, false},
    };
    CHECK_PLAN(rows, .bytes = 1, .files = 2);
}

static void a_need_that_can_not_be_met_takes_what_there_is(void **state)
{
    (void)state;
    const struct plan_row rows[] = {{1, 30, 100, RETENTION_MIN_FREE, true}};
    CHECK_PLAN(rows, .bytes = 1000000);
    assert_int_equal(retention_plan(NULL, 0, NOW_US, (struct retention_need){5, 5}), 0);
}

static void min_free_is_a_share_of_the_whole_or_a_size(void **state)
{
    (void)state;
    const struct retention_credit none = {0};
    const struct {
        struct config_amount min_free;
        struct retention_space space;
        uint64_t bytes, files;
    } table[] = {
        {{true, 5}, {1000, 51, 0, 0}, 0, 0},
        {{true, 5}, {1000, 50, 0, 0}, 0, 0},
        {{true, 5}, {1000, 49, 0, 0}, 1, 0},
        {{true, 5}, {1000, 0, 100, 3}, 50, 2}, // the file system limits files
        {{false, 600}, {1000, 100, 100, 0}, 500, 0},
        {{false, 600}, {1000, 700, 0, 0}, 0, 0},
        {{false, 5000}, {1000, 400, 0, 0}, 4600, 0}, // more than there is
        {{true, 50}, {UINT64_C(1) << 62, 0, 0, 0}, UINT64_C(1) << 61, 0},
        {{true, 0}, {1000, 0, 0, 0}, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct retention_need need = retention_need(&table[i].min_free, &table[i].space, &none);
        assert_int_equal(need.bytes, table[i].bytes);
        assert_int_equal(need.files, table[i].files);
    }
}

static const struct config_amount ten_percent = {true, 10};

static uint64_t need_bytes(const struct retention_credit *credit, uint64_t available)
{
    const struct retention_space space = {1000, available, 0, 0};
    return retention_need(&ten_percent, &space, credit).bytes;
}

static void a_file_system_that_tells_at_once_gets_no_credit(void **state)
{
    (void)state;
    struct retention_credit credit = {0};
    retention_credit_add(&credit, 0, 50, 60, 110);
    assert_int_equal(credit.count, 0);
    assert_int_equal(need_bytes(&credit, 110), 0);
    assert_int_equal(need_bytes(&credit, 90), 10); // filled up again: a new need
}

static void room_that_shows_late_is_not_freed_twice(void **state)
{
    (void)state;
    struct retention_credit credit = {0};
    // 60 of 100 are free, 40 are deleted, nothing shows.
    retention_credit_add(&credit, 0, 40, 60, 60);
    assert_int_equal(retention_credit_look(&credit, 5 * S_US, 60), 0);
    assert_int_equal(need_bytes(&credit, 60), 0);
    // A part shows; the rest is still credited.
    assert_int_equal(retention_credit_look(&credit, 10 * S_US, 75), 0);
    assert_int_equal(need_bytes(&credit, 75), 0);
    // Meanwhile recording takes 20: they are a need of their own, and so is what may be written
    // until the next look.
    assert_int_equal(retention_credit_look(&credit, 15 * S_US, 55), 0);
    assert_int_equal(need_bytes(&credit, 55), 20 + 20);
    // The rest shows.
    assert_int_equal(retention_credit_look(&credit, 20 * S_US, 80), 0);
    assert_int_equal(credit.count, 0);
    assert_int_equal(need_bytes(&credit, 80), 20);
}

static void credit_ends_after_a_minute_with_an_alarm(void **state)
{
    (void)state;
    struct retention_credit credit = {0};
    retention_credit_add(&credit, 0, 30, 60, 60);
    retention_credit_add(&credit, 30 * S_US, 10, 60, 60);
    assert_int_equal(retention_credit_look(&credit, 59 * S_US, 60), 0);
    assert_int_equal(need_bytes(&credit, 60), 0);
    assert_int_equal(retention_credit_look(&credit, 60 * S_US, 60), 30);
    assert_int_equal(need_bytes(&credit, 60), 30);
    assert_int_equal(retention_credit_look(&credit, 90 * S_US, 60), 10);
    assert_int_equal(need_bytes(&credit, 60), 40);
}

static void what_is_written_between_two_looks_is_kept_free_beyond(void **state)
{
    (void)state;
    struct retention_credit credit = {0};
    retention_credit_look(&credit, 0, 500);
    assert_int_equal(need_bytes(&credit, 500), 0);
    retention_credit_look(&credit, 0, 490);
    assert_int_equal(need_bytes(&credit, 490), 0);
    assert_int_equal(need_bytes(&credit, 100), 10);
    // At most a quarter of what is to be kept free: somebody copied something large.
    retention_credit_look(&credit, 0, 90);
    assert_int_equal(need_bytes(&credit, 90), 10 + 25);
    retention_credit_look(&credit, 0, 125);
    assert_int_equal(need_bytes(&credit, 125), 0);
}

static void credit_is_bounded(void **state)
{
    (void)state;
    struct retention_credit credit = {0};
    for (int i = 0; i < 100; i++)
        retention_credit_add(&credit, i, 1, 60, 60);
    assert_int_equal(credit.count, RETENTION_CREDITS_MAX);
    assert_int_equal(credit.entries[RETENTION_CREDITS_MAX - 1].since_us, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stream_has_its_own_age),
        cmocka_unit_test(the_oldest_go_until_the_need_is_met),
        cmocka_unit_test(what_is_too_old_counts_towards_the_need),
        cmocka_unit_test(files_are_a_need_too),
        cmocka_unit_test(a_need_that_can_not_be_met_takes_what_there_is),
        cmocka_unit_test(min_free_is_a_share_of_the_whole_or_a_size),
        cmocka_unit_test(a_file_system_that_tells_at_once_gets_no_credit),
        cmocka_unit_test(room_that_shows_late_is_not_freed_twice),
        cmocka_unit_test(credit_ends_after_a_minute_with_an_alarm),
        cmocka_unit_test(what_is_written_between_two_looks_is_kept_free_beyond),
        cmocka_unit_test(credit_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
