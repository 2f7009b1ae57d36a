// Where segments stand in UTC. Expected values are computed by hand from the rules: the anchor is
// the least delayed observation, what is placed never moves, a better anchor is slewed in by at
// most 500 ppm.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/media/segtime.h"

#define SECOND INT64_C(1000000)

// The camera's media clock is at zero at this moment.
#define ZERO (INT64_C(1774915200) * SECOND)

static void check_place(struct segtime *time, struct segtime_segment segment, bool alone,
    int64_t expected_start_us, int64_t expected_end_us)
{
    int64_t start_us, end_us;
    assert_true(segtime_place(time, &segment, alone, &start_us, &end_us));
    assert_int_equal(start_us, expected_start_us);
    assert_int_equal(end_us, expected_end_us);
}

static void first_waits_for_the_birth_of_the_second(void **state)
{
    (void)state;
    struct segtime time = {0}, before = {0};
    int64_t start_us = 1, end_us = 2;
    struct segtime_segment first = {
        .media_start_us = 0, .media_duration_us = 10 * SECOND, .birth_us = ZERO + 3 * SECOND};
    assert_false(segtime_place(&time, &first, false, &start_us, &end_us));
    assert_memory_equal(&time, &before, sizeof(time));
    // Its own birth is late and says nothing; the second's is when it ends.
    first.next_birth_us = ZERO + 10 * SECOND;
    check_place(&time, first, false, ZERO, ZERO + 10 * SECOND);
}

static void first_alone_ends_with_its_last_write(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment first = {.media_start_us = 2 * SECOND,
        .media_duration_us = 4 * SECOND,
        .birth_us = ZERO + 5 * SECOND,
        .written_us = ZERO + 6 * SECOND};
    check_place(&time, first, true, ZERO + 2 * SECOND, ZERO + 6 * SECOND);
    // Without a known write, its birth is all there is.
    time = (struct segtime){0};
    first.written_us = 0;
    check_place(&time, first, true, ZERO + 5 * SECOND, ZERO + 9 * SECOND);
    // And with nothing known, nothing is placed.
    time = (struct segtime){0};
    first.birth_us = 0;
    int64_t start_us, end_us;
    assert_false(segtime_place(&time, &first, true, &start_us, &end_us));
}

static void a_run_met_in_its_middle_is_anchored_by_its_birth(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment fifth = {.number = 4,
        .media_start_us = 240 * SECOND,
        .media_duration_us = 60 * SECOND,
        .birth_us = ZERO + 240 * SECOND + 120000};
    check_place(&time, fifth, false, ZERO + 240 * SECOND + 120000, ZERO + 300 * SECOND + 120000);
}

static void latency_is_subtracted_from_every_arrival(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {.media_duration_us = 10 * SECOND,
        .next_birth_us = ZERO + 10 * SECOND,
        .latency_us = 150000};
    check_place(&time, segment, false, ZERO - 150000, ZERO + 10 * SECOND - 150000);

    time = (struct segtime){0};
    segment.number = 1;
    segment.birth_us = ZERO;
    check_place(&time, segment, false, ZERO - 150000, ZERO + 10 * SECOND - 150000);

    time = (struct segtime){0};
    segment = (struct segtime_segment){
        .media_duration_us = SECOND, .written_us = ZERO + SECOND, .latency_us = 150000};
    check_place(&time, segment, true, ZERO - 150000, ZERO + SECOND - 150000);
}

static void a_later_observation_moves_nothing(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {
        .media_duration_us = 60 * SECOND, .next_birth_us = ZERO + 60 * SECOND};
    check_place(&time, segment, false, ZERO, ZERO + 60 * SECOND);
    for (uint32_t number = 1; number < 10; number++) {
        int64_t at = number * 60 * SECOND;
        segment = (struct segtime_segment){.number = number,
            .media_start_us = at,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + at + number * 1000}; // each one more delayed
        check_place(&time, segment, false, ZERO + at, ZERO + at + 60 * SECOND);
    }
}

static void a_better_anchor_is_slewed_in(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {.media_duration_us = 60 * SECOND,
        .next_birth_us = ZERO + 60 * SECOND + 70000}; // 70 ms late
    check_place(&time, segment, false, ZERO + 70000, ZERO + 60 * SECOND + 70000);
    // The next is in time: 500 ppm of 60 s are 30 ms; so 40, 10 and 0 ms are left.
    static const int64_t left_us[] = {70000, 40000, 10000, 0, 0};
    for (uint32_t i = 0; i + 1 < sizeof(left_us) / sizeof(left_us[0]); i++) {
        int64_t at = (i + 1) * 60 * SECOND;
        segment = (struct segtime_segment){.number = i + 1,
            .media_start_us = at,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + at};
        check_place(&time, segment, false, ZERO + at + left_us[i],
            ZERO + at + 60 * SECOND + left_us[i + 1]);
    }
}

// A camera whose clock is slow by 200 ppm delivers its media sooner and sooner after the anchor.
static void drift_does_not_accumulate(void **state)
{
    (void)state;
    struct segtime time = {0};
    int64_t start_us = 0, end_us = 0, last_end_us = 0;
    for (uint32_t number = 0; number < 600; number++) {
        int64_t media = number * 60 * SECOND, wall = ZERO + media - media / 5000;
        struct segtime_segment segment = {.number = number,
            .media_start_us = media,
            .media_duration_us = 60 * SECOND,
            .birth_us = wall,
            .next_birth_us = ZERO + (media + 60 * SECOND) - (media + 60 * SECOND) / 5000};
        assert_true(segtime_place(&time, &segment, false, &start_us, &end_us));
        assert_in_range(start_us, wall - 30000, wall + 30000);
        assert_true(number == 0 || start_us == last_end_us);
        last_end_us = end_us;
    }
}

static void missing_footage_is_a_gap_of_its_media_time(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {
        .media_duration_us = 60 * SECOND, .next_birth_us = ZERO + 60 * SECOND};
    check_place(&time, segment, false, ZERO, ZERO + 60 * SECOND);
    segment = (struct segtime_segment){.number = 3,
        .media_start_us = 180 * SECOND,
        .media_duration_us = 60 * SECOND,
        .birth_us = ZERO + 181 * SECOND};
    check_place(&time, segment, false, ZERO + 180 * SECOND, ZERO + 240 * SECOND);
}

static void a_jump_of_the_media_clock_is_not_followed(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {
        .media_duration_us = 60 * SECOND, .next_birth_us = ZERO + 60 * SECOND};
    check_place(&time, segment, false, ZERO, ZERO + 60 * SECOND);
    const int64_t years = INT64_C(56) * 365 * 86400 * SECOND;
    for (uint32_t number = 1; number < 4; number++) {
        int64_t at = number * 60 * SECOND;
        segment = (struct segtime_segment){.number = number,
            .media_start_us = years + at,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + at};
        check_place(&time, segment, false, ZERO + at, ZERO + at + 60 * SECOND);
    }
    // Nor does what the jump arrives with overlap what came before.
    segment.number = 4;
    segment.media_start_us = 3 * years;
    segment.birth_us = ZERO + 239 * SECOND;
    check_place(&time, segment, false, ZERO + 240 * SECOND, ZERO + 300 * SECOND);
}

static void segments_that_overlap_in_media_time_do_not_in_utc(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {
        .media_duration_us = 60 * SECOND, .next_birth_us = ZERO + 60 * SECOND};
    check_place(&time, segment, false, ZERO, ZERO + 60 * SECOND);
    segment = (struct segtime_segment){.number = 1,
        .media_start_us = 60 * SECOND - 80000,
        .media_duration_us = 60 * SECOND,
        .birth_us = ZERO + 61 * SECOND};
    // It begins where the last one ends and is slewed back by 30 ms towards the anchor's clock.
    check_place(&time, segment, false, ZERO + 60 * SECOND, ZERO + 120 * SECOND - 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_waits_for_the_birth_of_the_second),
        cmocka_unit_test(first_alone_ends_with_its_last_write),
        cmocka_unit_test(a_run_met_in_its_middle_is_anchored_by_its_birth),
        cmocka_unit_test(latency_is_subtracted_from_every_arrival),
        cmocka_unit_test(a_later_observation_moves_nothing),
        cmocka_unit_test(a_better_anchor_is_slewed_in),
        cmocka_unit_test(drift_does_not_accumulate),
        cmocka_unit_test(missing_footage_is_a_gap_of_its_media_time),
        cmocka_unit_test(a_jump_of_the_media_clock_is_not_followed),
        cmocka_unit_test(segments_that_overlap_in_media_time_do_not_in_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
