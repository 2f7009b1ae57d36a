// links: kf-indexer
// Room that was freed and does not show yet: counted for a minute, then never a second bite.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/credit.h"
#include "lib/core/alloc.h"

#define S_US INT64_C(1000000)

static void min_free_is_a_share_of_the_whole_or_a_size(void **state)
{
    (void)state;
    const struct credit none = {0};
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
        struct retention_need need = credit_need(&none, &table[i].min_free, &table[i].space);
        assert_int_equal(need.bytes, table[i].bytes);
        assert_int_equal(need.files, table[i].files);
    }
}

static const struct config_amount ten_percent = {true, 10};

static uint64_t need_bytes(const struct credit *credit, uint64_t available)
{
    const struct retention_space space = {1000, available, 0, 0};
    return credit_need(credit, &ten_percent, &space).bytes;
}

static void a_file_system_that_tells_at_once_gets_no_credit(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_add(&credit, 0, 50, 60, 110);
    assert_int_equal(credit.count, 0);
    assert_int_equal(need_bytes(&credit, 110), 0);
    assert_int_equal(need_bytes(&credit, 90), 10); // filled up again: a new need
    assert_true(credit_allowance(&credit, 0) == SIZE_MAX);
}

static void room_that_shows_late_is_not_freed_twice(void **state)
{
    (void)state;
    struct credit credit = {0};
    // 60 of 100 are free, 40 are deleted, nothing shows.
    credit_add(&credit, 0, 40, 60, 60);
    assert_int_equal(credit_look(&credit, 5 * S_US, 60), 0);
    assert_int_equal(need_bytes(&credit, 60), 0);
    // A part shows; the rest is still credited.
    assert_int_equal(credit_look(&credit, 10 * S_US, 75), 0);
    assert_int_equal(need_bytes(&credit, 75), 0);
    // Meanwhile recording takes 20: they are a need of their own, and so is what may be written
    // until the next look.
    assert_int_equal(credit_look(&credit, 15 * S_US, 55), 0);
    assert_int_equal(need_bytes(&credit, 55), 20 + 20);
    // The rest shows.
    assert_int_equal(credit_look(&credit, 20 * S_US, 80), 0);
    assert_int_equal(credit.count, 0);
    assert_int_equal(need_bytes(&credit, 80), 20);
    assert_true(credit_allowance(&credit, 20 * S_US) == SIZE_MAX);
}

static void what_is_written_between_two_looks_is_kept_free_beyond(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_look(&credit, 0, 500);
    assert_int_equal(need_bytes(&credit, 500), 0);
    credit_look(&credit, 0, 490);
    assert_int_equal(need_bytes(&credit, 490), 0);
    assert_int_equal(need_bytes(&credit, 100), 10);
    // At most a quarter of what is to be kept free: somebody copied something large.
    credit_look(&credit, 0, 90);
    assert_int_equal(need_bytes(&credit, 90), 10 + 25);
    credit_look(&credit, 0, 125);
    assert_int_equal(need_bytes(&credit, 125), 0);
}

static void after_a_minute_there_is_an_alarm_and_no_second_bite(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_add(&credit, 0, 40, 60, 60);
    assert_int_equal(credit_look(&credit, 59 * S_US, 60), 0);
    assert_int_equal(need_bytes(&credit, 60), 0);
    assert_int_equal(credit_look(&credit, 60 * S_US, 60), 40);
    assert_int_equal(need_bytes(&credit, 60), 40); // the need is there, but
    assert_int_equal(credit_allowance(&credit, 60 * S_US), 0);
    assert_int_equal(credit.missing_bytes, 40);
    // A snapshot holds everything: trials of a few files, in pauses that double up to an hour.
    int64_t now_us = 60 * S_US, pause_us = 60 * S_US;
    size_t trials = 0;
    for (int64_t until_us = 24 * 3600 * S_US; now_us < until_us; now_us += S_US) {
        assert_true(credit_look(&credit, now_us, 60) <= 4);
        if (credit_allowance(&credit, now_us) == 0)
            continue;
        assert_int_equal(credit_allowance(&credit, now_us), CREDIT_TRIAL_FILES);
        credit_used(&credit, now_us);
        credit_used(&credit, now_us); // for each of them
        credit_add(&credit, now_us, 4, 60, 60);
        pause_us = pause_us * 2 < 3600 * S_US ? pause_us * 2 : 3600 * S_US;
        assert_int_equal(credit.resume_us, now_us + pause_us);
        trials++;
    }
    // 1 + 2 + 4 … + 32 minutes, then one an hour.
    assert_in_range(trials, 27, 30);
}

static void room_that_moves_ends_the_pause(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_add(&credit, 0, 40, 60, 60);
    credit_look(&credit, 60 * S_US, 60);
    assert_int_equal(credit_allowance(&credit, 61 * S_US), 0);
    credit_look(&credit, 62 * S_US, 70); // not enough yet
    assert_int_equal(credit_allowance(&credit, 62 * S_US), 0);
    credit_look(&credit, 64 * S_US, 65); // taken again
    credit_look(&credit, 66 * S_US, 75); // half of it has been seen by now
    assert_true(credit_allowance(&credit, 66 * S_US) == SIZE_MAX);
    assert_int_equal(credit.missing_bytes, 0);
}

static void a_trial_that_shows_at_once_ends_the_pause(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_add(&credit, 0, 4000, 60, 60);
    credit_look(&credit, 60 * S_US, 60);
    assert_int_equal(credit_allowance(&credit, 120 * S_US), CREDIT_TRIAL_FILES);
    credit_used(&credit, 120 * S_US);
    credit_add(&credit, 120 * S_US, 10, 60, 70);
    assert_true(credit_allowance(&credit, 121 * S_US) == SIZE_MAX);
}

static void a_small_rest_is_what_was_written_meanwhile(void **state)
{
    (void)state;
    struct credit credit = {0};
    credit_add(&credit, 0, 40, 60, 60);
    credit_look(&credit, 30 * S_US, 85);
    assert_int_equal(credit_look(&credit, 60 * S_US, 80), 15);
    assert_true(credit_allowance(&credit, 60 * S_US) == SIZE_MAX);
}

static void credit_is_bounded(void **state)
{
    (void)state;
    struct credit credit = {0};
    for (int i = 0; i < 100; i++)
        credit_add(&credit, i, 1, 60, 60);
    assert_int_equal(credit.count, CREDIT_ENTRIES_MAX);
    assert_int_equal(credit.entries[CREDIT_ENTRIES_MAX - 1].since_us, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(min_free_is_a_share_of_the_whole_or_a_size),
        cmocka_unit_test(a_file_system_that_tells_at_once_gets_no_credit),
        cmocka_unit_test(room_that_shows_late_is_not_freed_twice),
        cmocka_unit_test(what_is_written_between_two_looks_is_kept_free_beyond),
        cmocka_unit_test(after_a_minute_there_is_an_alarm_and_no_second_bite),
        cmocka_unit_test(room_that_moves_ends_the_pause),
        cmocka_unit_test(a_trial_that_shows_at_once_ends_the_pause),
        cmocka_unit_test(a_small_rest_is_what_was_written_meanwhile),
        cmocka_unit_test(credit_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
