// links: kf-supervisor
// Whose turn it is to start, on a clock of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "supervisor/start_queue.h"

#define MS (US_PER_SECOND / 1000)

enum {
    MANY = 500,
};

static void test_ten_a_second_in_order(void **state)
{
    struct start_queue queue = {0};
    struct start_turn turns[30] = {0};
    int64_t taken_us[30];
    int count = 0;
    (void)state;
    assert_null(start_queue_take(&queue, 0));
    assert_int_equal(start_queue_delay_us(&queue, 0), -1);
    for (int i = 0; i < 30; i++)
        start_queue_join(&queue, &turns[i], START_FRESH);
    for (int64_t now_us = 0; count < 30; now_us += 7 * MS) {
        struct start_turn *turn = start_queue_take(&queue, now_us);
        if (turn == NULL)
            continue;
        assert_ptr_equal(turn, &turns[count]);
        assert_false(turn->is_queued);
        taken_us[count++] = now_us;
    }
    for (int i = 10; i < 30; i++)
        assert_true(taken_us[i] - taken_us[i - 10] >= US_PER_SECOND);
    assert_true(taken_us[29] < 4 * US_PER_SECOND);
}

static void test_a_late_taker_makes_nothing_up(void **state)
{
    struct start_queue queue = {0};
    struct start_turn turns[3] = {0};
    (void)state;
    for (int i = 0; i < 3; i++)
        start_queue_join(&queue, &turns[i], START_FRESH);
    assert_non_null(start_queue_take(&queue, 60 * US_PER_SECOND));
    assert_null(start_queue_take(&queue, 60 * US_PER_SECOND));
    assert_int_equal(start_queue_delay_us(&queue, 60 * US_PER_SECOND), 100 * MS);
    assert_null(start_queue_take(&queue, 60 * US_PER_SECOND + 99 * MS));
    assert_non_null(start_queue_take(&queue, 60 * US_PER_SECOND + 100 * MS));
}

static void test_leaving_and_joining_again(void **state)
{
    struct start_queue queue = {0};
    struct start_turn turns[4] = {0};
    (void)state;
    start_queue_leave(&queue, &turns[0]); // does not wait
    for (int i = 0; i < 4; i++)
        start_queue_join(&queue, &turns[i], START_FRESH);
    start_queue_join(&queue, &turns[0], START_RETRY); // keeps its place
    start_queue_leave(&queue, &turns[1]);
    start_queue_leave(&queue, &turns[3]);
    start_queue_leave(&queue, &turns[3]);
    assert_ptr_equal(start_queue_take(&queue, 0), &turns[0]);
    start_queue_join(&queue, &turns[1], START_FRESH);
    assert_ptr_equal(start_queue_take(&queue, US_PER_SECOND), &turns[2]);
    assert_ptr_equal(start_queue_take(&queue, 2 * US_PER_SECOND), &turns[1]);
    assert_null(start_queue_take(&queue, 3 * US_PER_SECOND));
}

static void test_500_dead_cameras_do_not_hold_up_a_healthy_one(void **state)
{
    static struct start_turn dead[MANY];
    struct start_queue queue = {0};
    struct start_turn healthy = {0};
    int64_t now_us = 0;
    (void)state;
    for (int i = 0; i < MANY; i++)
        start_queue_join(&queue, &dead[i], START_RETRY);
    assert_ptr_equal(start_queue_take(&queue, now_us), &dead[0]);
    start_queue_join(&queue, &healthy, START_FRESH);
    assert_ptr_equal(start_queue_take(&queue, now_us += 100 * MS), &healthy);
    // Nor does a healthy one that starts again and again hold them up.
    for (int i = 1; i < 100; i++) {
        start_queue_join(&queue, &healthy, START_FRESH);
        assert_ptr_equal(start_queue_take(&queue, now_us += 100 * MS), &dead[i]);
        assert_ptr_equal(start_queue_take(&queue, now_us += 100 * MS), &healthy);
    }
}

static void test_how_long_it_takes_is_foretold(void **state)
{
    struct start_queue queue = {0};
    struct start_turn turns[12] = {0};
    int64_t foretold_us[12], now_us = 5 * US_PER_SECOND;
    (void)state;
    for (int i = 0; i < 12; i++)
        start_queue_join(&queue, &turns[i], i % 3 == 0 ? START_RETRY : START_FRESH);
    assert_non_null(start_queue_take(&queue, now_us));
    for (int i = 0; i < 12; i++) {
        if (turns[i].is_queued)
            foretold_us[i] = now_us + start_queue_turn_us(&queue, &turns[i], now_us);
    }
    for (int count = 1; count < 12; count++) {
        now_us += start_queue_delay_us(&queue, now_us);
        struct start_turn *turn = start_queue_take(&queue, now_us);
        assert_int_equal(foretold_us[turn - turns], now_us);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ten_a_second_in_order),
        cmocka_unit_test(test_a_late_taker_makes_nothing_up),
        cmocka_unit_test(test_leaving_and_joining_again),
        cmocka_unit_test(test_500_dead_cameras_do_not_hold_up_a_healthy_one),
        cmocka_unit_test(test_how_long_it_takes_is_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
