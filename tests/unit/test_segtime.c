// Where segments stand in UTC. Expected values are computed by hand from the rules (the anchor
// follows the least delayed observations, what is placed never moves, a better anchor is slewed in
// by at most 500 ppm), or by a model of clocks and arrival.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/timeutil.h"
#include "lib/media/segment_id.h"
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

// 250 ppm of a minute are 15 ms: one birth that is late moves the anchor by no more, the next one
// that is not moves it back.
static void a_late_birth_moves_next_to_nothing(void **state)
{
    (void)state;
    for (int64_t delay_us = 20000; delay_us < 60 * SECOND; delay_us *= 10) {
        struct segtime time = {0};
        struct segtime_segment segment = {
            .media_duration_us = 60 * SECOND, .next_birth_us = ZERO + 60 * SECOND};
        check_place(&time, segment, false, ZERO, ZERO + 60 * SECOND);
        segment = (struct segtime_segment){.number = 1,
            .media_start_us = 60 * SECOND,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + 60 * SECOND,
            .next_birth_us = ZERO + 120 * SECOND + delay_us};
        int64_t moved_us = delay_us < SECOND ? 15000 : 0;
        check_place(&time, segment, false, ZERO + 60 * SECOND, ZERO + 120 * SECOND + moved_us);
        segment = (struct segtime_segment){.number = 2,
            .media_start_us = 120 * SECOND,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + 120 * SECOND + delay_us,
            .next_birth_us = ZERO + 180 * SECOND};
        check_place(&time, segment, false, ZERO + 120 * SECOND + moved_us, ZERO + 180 * SECOND);
        assert_int_equal(time.step, SEGTIME_NONE);
        assert_int_equal(time.anchor_us, ZERO);
    }
}

static void a_better_anchor_is_slewed_in(void **state)
{
    (void)state;
    struct segtime time = {0};
    struct segtime_segment segment = {.media_duration_us = 60 * SECOND,
        .next_birth_us = ZERO + 60 * SECOND + 70000}; // 70 ms late
    check_place(&time, segment, false, ZERO + 70000, ZERO + 60 * SECOND + 70000);
    // The third is in time: 500 ppm of 60 s are 30 ms; so 40, 10 and 0 ms are left.
    static const int64_t left_us[] = {70000, 70000, 70000, 40000, 10000, 0, 0};
    for (uint32_t i = 1; i + 1 < sizeof(left_us) / sizeof(left_us[0]); i++) {
        int64_t at = i * 60 * SECOND;
        segment = (struct segtime_segment){.number = i,
            .media_start_us = at,
            .media_duration_us = 60 * SECOND,
            .birth_us = ZERO + at + (i == 1 ? 70000 : 0)};
        check_place(&time, segment, false, ZERO + at + left_us[i],
            ZERO + at + 60 * SECOND + left_us[i + 1]);
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
        .birth_us = ZERO + 180 * SECOND};
    check_place(&time, segment, false, ZERO + 180 * SECOND, ZERO + 240 * SECOND);
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

// --- Simulated arrival ---
//
// The model knows nothing of anchors: it has the true time of each segment's beginning, from which
// follow the camera's media clock (drifting, jumping) and our clock (stepping) by their
// definitions. What is expected is what our clock showed when the segment's first frame was
// captured.

struct model {
    int64_t segment_us; // of true time
    size_t count;
    int64_t drift_ppm; // of the camera's clock: positive runs fast
    size_t jump_at;    // in the middle of this segment the camera's clock jumps
    int64_t jump_us;
    size_t step_at; // in the middle of this segment our clock is set
    int64_t step_us;
    size_t late_at; // this file is born late
    int64_t late_us;
    int64_t jitter_us;
    bool foreseen; // the successor's file is there when a segment is placed
    uint32_t seed;
};

struct model_segment {
    struct segtime_segment given;
    int64_t true_us; // by our clock
    int64_t start_us, end_us;
    enum segtime_step step;
};

static int64_t model_random(struct model *model, int64_t limit)
{
    model->seed = model->seed * 1664525 + 1013904223;
    return limit == 0 ? 0 : (int64_t)(model->seed >> 8) % limit;
}

// The camera's clock at true time `at`.
static int64_t model_media_us(const struct model *model, int64_t at)
{
    int64_t media = at + at / 1000000 * model->drift_ppm;
    int64_t jump_at = (int64_t)model->jump_at * model->segment_us + model->segment_us / 2;
    return model->jump_us != 0 && at > jump_at ? media + model->jump_us : media;
}

static int64_t model_clock_us(const struct model *model, int64_t at)
{
    int64_t step_at = (int64_t)model->step_at * model->segment_us + model->segment_us / 2;
    return ZERO + at + (model->step_us != 0 && at > step_at ? model->step_us : 0);
}

// Runs the model; release with free(). Media that would run backward is squeezed, as the recorder
// does it: the segment in which the clock jumps back lasts as long as its media goes on.
static struct model_segment *model_run(struct model *model)
{
    struct model_segment *all = xcalloc(model->count + 1, sizeof(*all));
    for (size_t i = 0; i <= model->count; i++) {
        int64_t at = (int64_t)i * model->segment_us;
        all[i].true_us = model_clock_us(model, at);
        all[i].given.number = (uint32_t)i;
        all[i].given.media_start_us = model_media_us(model, at);
        all[i].given.birth_us = all[i].true_us + model_random(model, model->jitter_us + 1) +
                                (i == 0 ? 2 * SECOND : 0) +
                                (i == model->late_at ? model->late_us : 0);
    }
    struct segtime time = {0};
    for (size_t i = 0; i < model->count; i++) {
        struct segtime_segment *given = &all[i].given;
        given->media_duration_us = all[i + 1].given.media_start_us - given->media_start_us;
        if (model->jump_us != 0 && i == model->jump_at)
            given->media_jump_us = model->jump_us;
        if (i == 0 || model->foreseen)
            given->next_birth_us = all[i + 1].given.birth_us;
        assert_true(segtime_place(&time, given, false, &all[i].start_us, &all[i].end_us));
        all[i].step = time.step;
    }
    return all;
}

// No segment is negative or overlaps its predecessor.
static void model_check_order(const struct model *model, const struct model_segment *all)
{
    for (size_t i = 0; i < model->count; i++) {
        assert_true(all[i].end_us > all[i].start_us);
        assert_true(i == 0 || all[i].start_us >= all[i - 1].end_us);
    }
}

// All from `from` on stand within `within_us` of the truth.
static void model_check_truth(const struct model *model, const struct model_segment *all,
    size_t from, size_t to, int64_t within_us)
{
    for (size_t i = from; i < to && i < model->count; i++) {
        int64_t off_us = all[i].start_us - all[i].true_us;
        if (off_us > within_us || off_us < -within_us)
            fail_msg(
                "segment %zu of %zu stands %ld us off (drift %ld, jump %ld, step %ld, foreseen "
                "%d)",
                i, model->count, off_us, model->drift_ppm, model->jump_us, model->step_us,
                model->foreseen);
    }
}

// The segments that begin an epoch: that one with that cause, and no other.
static void model_check_step(const struct model *model, const struct model_segment *all,
    size_t expected, enum segtime_step cause)
{
    for (size_t i = 0; i < model->count; i++)
        assert_string_equal(segtime_step_name(all[i].step),
            segtime_step_name(i == expected ? cause : SEGTIME_NONE));
}

static void drift_does_not_accumulate_in_two_days(void **state)
{
    (void)state;
    static const int64_t drifts_ppm[] = {0, 200, -200};
    static const int64_t lengths_s[] = {2, 60, 600};
    for (size_t i = 0; i < 18; i++) {
        struct model model = {.segment_us = lengths_s[i % 3] * SECOND,
            .count = (size_t)(48 * 3600 / lengths_s[i % 3]),
            .drift_ppm = drifts_ppm[i / 3 % 3],
            .jitter_us = 20000,
            .foreseen = i / 9,
            .seed = 7};
        struct model_segment *all = model_run(&model);
        model_check_order(&model, all);
        // Ten minutes at 200 ppm are 120 ms, of which nothing is known before they are over.
        int64_t unknown_us = model.segment_us <= 60 * SECOND ? 0 : model.foreseen ? 120000 : 240000;
        model_check_truth(&model, all, 0, model.count, 50000 + unknown_us);
        model_check_step(&model, all, SIZE_MAX, SEGTIME_NONE);
        free(all);
    }
}

static void a_step_forward_is_an_epoch_once_it_is_sure(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct model model = {.segment_us = (i & 1 ? 60 : 2) * SECOND,
            .count = 40,
            .step_at = i & 4 ? 1 : 20,
            .step_us = 3600 * SECOND,
            .jitter_us = 20000,
            .foreseen = i & 2};
        struct model_segment *all = model_run(&model);
        model_check_order(&model, all);
        // Late are the births of the next three.
        size_t epoch = model.step_at + 3;
        model_check_step(&model, all, epoch, SEGTIME_CLOCK_STEP);
        model_check_truth(&model, all, 0, model.step_at + 1, 50000);
        model_check_truth(&model, all, epoch, model.count, 50000);
        free(all);
    }
}

static void a_step_back_is_an_epoch_at_once(void **state)
{
    (void)state;
    static const int64_t steps_s[] = {-3600, -600, -40, -2};
    for (int i = 0; i < 16; i++) {
        struct model model = {.segment_us = 60 * SECOND,
            .count = 120,
            .step_at = 20,
            .step_us = steps_s[i % 4] * SECOND,
            .jitter_us = i & 4 ? 20000 : 0,
            .foreseen = i & 8};
        struct model_segment *all = model_run(&model);
        model_check_step(&model, all, 21, SEGTIME_CLOCK_STEP);
        bool twice = -model.step_us > model.segment_us; // that time was recorded twice
        for (size_t j = 0; j < model.count; j++) {
            assert_true(all[j].end_us > all[j].start_us);
            assert_true(j == 0 || (twice && j == 21) || all[j].start_us >= all[j - 1].end_us);
        }
        // Where there is no room for the segment behind the step, it makes it up by its end.
        model_check_truth(&model, all, 0, 21, 50000);
        model_check_truth(&model, all, twice || model.foreseen ? 21 : 22, model.count, 50000);
        free(all);
    }
}

static void a_jump_of_the_cameras_clock_is_an_epoch(void **state)
{
    (void)state;
    static const int64_t years = INT64_C(56) * 365 * 86400;
    const int64_t jumps_s[] = {40, -40, 3600, 2, years};
    for (int i = 0; i < 20; i++) {
        struct model model = {.segment_us = 60 * SECOND,
            .count = 60,
            .jump_at = 20,
            .jump_us = jumps_s[i % 5] * SECOND,
            .jitter_us = i / 5 & 1 ? 20000 : 0,
            .foreseen = i / 5 & 2};
        struct model_segment *all = model_run(&model);
        // Ours is the successor's arrival, be it known before or after: but what is committed never
        // moves, and a jump of hours leaves no room for what follows.
        bool room = model.foreseen || model.jump_us < 60 * SECOND;
        if (room)
            model_check_order(&model, all);
        model_check_step(&model, all, 21, SEGTIME_CAMERA_JUMP);
        model_check_truth(&model, all, 0, 21, 50000);
        model_check_truth(&model, all, model.foreseen ? 21 : 22, room ? model.count : 0, 50000);
        free(all);
    }
}

// The clock on the wall changes, UTC does not; and names of the hour that comes twice differ.
static void the_end_of_summer_time_is_no_step(void **state)
{
    (void)state;
    setenv("TZ", "Europe/Berlin", 1);
    tzset();
    // 2026-10-25 01:00 UTC: from 03:00 to 02:00.
    const int64_t change_us = INT64_C(1792890000) * SECOND;
    struct model model = {.segment_us = 60 * SECOND, .count = 240, .foreseen = true};
    struct model_segment *all = model_run(&model);
    model_check_order(&model, all);
    model_check_step(&model, all, SIZE_MAX, SEGTIME_NONE);
    const struct segment_id id = {"yard", "main", 1, 0};
    const int64_t shift_us = change_us - 7200 * SECOND - ZERO;
    char before[SEGMENT_KEY_SIZE], after[SEGMENT_KEY_SIZE];
    for (size_t i = 60; i < 120; i++) {
        int64_t first_us = all[i].start_us + shift_us, second_us = all[i + 60].start_us + shift_us;
        assert_int_equal(time_local_offset(first_us), 7200);
        assert_int_equal(time_local_offset(second_us), 3600);
        segment_key_format(&id, first_us, time_local_offset(first_us), before);
        segment_key_format(&id, second_us, time_local_offset(second_us), after);
        assert_memory_equal(before, after, strlen("yard/main/2026-10-25/2026-10-25_02-00-00.000"));
        assert_string_not_equal(before, after);
    }
    free(all);
    unsetenv("TZ");
    tzset();
}

static void late_births_are_no_step(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct model model = {.segment_us = 60 * SECOND,
            .count = 40,
            .drift_ppm = i & 1 ? 200 : -200,
            .late_at = i & 2 ? 1 : 20, // the very first observation, or one in the middle
            .late_us = 5 * SECOND,
            .foreseen = i & 4};
        struct model_segment *all = model_run(&model);
        model_check_order(&model, all);
        model_check_step(&model, all, SIZE_MAX, SEGTIME_NONE);
        model_check_truth(&model, all, 3, model.count, 50000);
        free(all);
    }
}

// Frames that come seconds later for good are another epoch, and so is their return.
static void a_lasting_delay_is_told_from_a_clock_that_was_set(void **state)
{
    (void)state;
    struct model model = {
        .segment_us = 60 * SECOND, .count = 40, .step_at = 20, .step_us = 4 * SECOND};
    struct model_segment *all = model_run(&model);
    model_check_order(&model, all);
    model_check_step(&model, all, 23, SEGTIME_DELAY);
    free(all);
}

// Whoever goes on from what was kept places as if there had been no break.
static void each_segment_follows_from_the_state_alone(void **state)
{
    (void)state;
    struct model model = {.segment_us = 60 * SECOND,
        .count = 30,
        .step_at = 12,
        .step_us = 100 * SECOND,
        .jitter_us = 30000};
    struct model_segment *all = model_run(&model);
    struct segtime time = {0}, copy = {0};
    for (size_t i = 0; i < model.count; i++) {
        int64_t start_us, end_us;
        copy = time;
        assert_true(segtime_place(&copy, &all[i].given, true, &start_us, &end_us));
        assert_int_equal(start_us, all[i].start_us);
        assert_true(segtime_place(&time, &all[i].given, false, &start_us, &end_us));
        assert_int_equal(end_us, all[i].end_us);
    }
    free(all);
}

// Frames of 40 ms each, but for those that are named.
static void jump_check(uint32_t longest, size_t squeezed, int64_t expected_us)
{
    struct media_sample samples[500];
    for (size_t i = 0; i < 500; i++)
        samples[i] = (struct media_sample){.duration = i >= 100 && i < 100 + squeezed ? 1 : 3600};
    if (longest > 0)
        samples[300].duration = longest;
    struct media_segment segment = {.track_count = 1};
    segment.tracks[0] = (struct media_track){
        .kind = MEDIA_VIDEO, .timescale = 90000, .samples = samples, .sample_count = 500};
    assert_in_range(segtime_jump_us(&segment) + 100 * SECOND,
        expected_us - SECOND / 20 + 100 * SECOND, expected_us + SECOND / 20 + 100 * SECOND);
}

static void a_jump_shows_in_the_samples(void **state)
{
    (void)state;
    jump_check(0, 0, 0);
    jump_check(90000 / 2, 0, 0); // half a second is no jump
    jump_check(40 * 90000, 0, 40 * SECOND);
    jump_check(0, 200, -8 * SECOND);
    struct media_segment none = {0};
    assert_int_equal(segtime_jump_us(&none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_waits_for_the_birth_of_the_second),
        cmocka_unit_test(first_alone_ends_with_its_last_write),
        cmocka_unit_test(a_run_met_in_its_middle_is_anchored_by_its_birth),
        cmocka_unit_test(latency_is_subtracted_from_every_arrival),
        cmocka_unit_test(a_late_birth_moves_next_to_nothing),
        cmocka_unit_test(a_better_anchor_is_slewed_in),
        cmocka_unit_test(missing_footage_is_a_gap_of_its_media_time),
        cmocka_unit_test(segments_that_overlap_in_media_time_do_not_in_utc),
        cmocka_unit_test(drift_does_not_accumulate_in_two_days),
        cmocka_unit_test(a_step_forward_is_an_epoch_once_it_is_sure),
        cmocka_unit_test(a_step_back_is_an_epoch_at_once),
        cmocka_unit_test(a_jump_of_the_cameras_clock_is_an_epoch),
        cmocka_unit_test(the_end_of_summer_time_is_no_step),
        cmocka_unit_test(late_births_are_no_step),
        cmocka_unit_test(a_lasting_delay_is_told_from_a_clock_that_was_set),
        cmocka_unit_test(each_segment_follows_from_the_state_alone),
        cmocka_unit_test(a_jump_shows_in_the_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
