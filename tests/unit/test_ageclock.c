// links: kf-indexer
// The clock of ages: follows the wall clock, but not a leap.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "indexer/ageclock.h"

#define S_US INT64_C(1000000)
#define HOUR_US (3600 * S_US)
#define DAY_US (24 * HOUR_US)
#define WALL_US (20000 * DAY_US)

static void it_is_the_wall_clock(void **state)
{
    (void)state;
    struct ageclock clock;
    ageclock_init(&clock, 0, WALL_US, 5);
    assert_int_equal(ageclock_turn(&clock, WALL_US, 5), WALL_US);
    // Drift, NTP's small steps, a suspended machine.
    assert_int_equal(ageclock_turn(&clock, WALL_US + 3 * S_US, 5 + 2 * S_US), WALL_US + 3 * S_US);
    assert_int_equal(ageclock_turn(&clock, WALL_US + HOUR_US, 5 + 4 * S_US), WALL_US + HOUR_US);
    assert_int_equal(ageclock_turn(&clock, WALL_US + 7, 5 + 5 * S_US), WALL_US + 7);
    assert_false(ageclock_leapt(&clock, WALL_US + 7));
}

static void a_leap_is_followed_an_hour_for_each_two_and_a_half_minutes(void **state)
{
    (void)state;
    struct ageclock clock;
    ageclock_init(&clock, 0, WALL_US, 0);
    int64_t leap_us = 3650 * DAY_US, last_us = WALL_US;
    for (int64_t now_us = 2 * S_US; now_us <= HOUR_US; now_us += 2 * S_US)
        last_us = ageclock_turn(&clock, WALL_US + leap_us + now_us, now_us);
    assert_int_equal(last_us, WALL_US + DAY_US);
    assert_true(ageclock_leapt(&clock, WALL_US + leap_us + HOUR_US));
    // Put right: it stands where the wall clock does.
    assert_int_equal(ageclock_turn(&clock, WALL_US + HOUR_US, HOUR_US), WALL_US + HOUR_US);
    assert_false(ageclock_leapt(&clock, WALL_US + HOUR_US));
}

static void a_machine_that_was_off_catches_up(void **state)
{
    (void)state;
    struct ageclock clock;
    ageclock_init(&clock, WALL_US - 2 * DAY_US, WALL_US, 0);
    assert_true(ageclock_leapt(&clock, WALL_US));
    int64_t now_us = 0;
    while (ageclock_turn(&clock, WALL_US + now_us, now_us) < WALL_US + now_us) {
        now_us += S_US;
        assert_true(now_us < 3 * HOUR_US);
    }
    assert_true(now_us > 2 * HOUR_US - 10 * 60 * S_US);
}

static void a_clock_without_battery_goes_back_and_forth(void **state)
{
    (void)state;
    struct ageclock clock;
    ageclock_init(&clock, WALL_US, 30 * DAY_US, 0);
    assert_int_equal(ageclock_turn(&clock, 30 * DAY_US, 0), 30 * DAY_US);
    // NTP has answered: the time is one that had come, and a bit.
    int64_t now_us = WALL_US + 20 * 60 * S_US;
    assert_int_equal(ageclock_turn(&clock, now_us, 10 * S_US), now_us);
    assert_false(ageclock_leapt(&clock, now_us));
}

static void a_step_never_goes_beyond_the_wall_clock(void **state)
{
    (void)state;
    struct ageclock clock;
    ageclock_init(&clock, WALL_US, WALL_US, 0);
    int64_t wall_us = WALL_US + 2 * HOUR_US;
    assert_int_equal(ageclock_turn(&clock, wall_us, 20 * HOUR_US), wall_us);
    assert_int_equal(clock.known_us, WALL_US + 20 * HOUR_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_wall_clock),
        cmocka_unit_test(a_leap_is_followed_an_hour_for_each_two_and_a_half_minutes),
        cmocka_unit_test(a_machine_that_was_off_catches_up),
        cmocka_unit_test(a_clock_without_battery_goes_back_and_forth),
        cmocka_unit_test(a_step_never_goes_beyond_the_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
