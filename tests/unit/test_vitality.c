// links: kf-supervisor
// The judgement over a running ffmpeg, second by second on a clock of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/core/timeutil.h"
#include "supervisor/vitality.h"

enum {
    TIMEOUT_S = 5,
    SEGMENT_S = 60,
};

static enum reason judge(const struct vitality *vitality, int64_t second)
{
    return vitality_judge(
        vitality, TIMEOUT_S * US_PER_SECOND, SEGMENT_S * US_PER_SECOND, second * US_PER_SECOND);
}

static void test_a_camera_that_sends_is_alive_for_ever(void **state)
{
    (void)state;
    struct vitality vitality;
    vitality_begin(&vitality, 0);
    for (int64_t second = 1; second < 3 * 3600; second++) {
        vitality_block(&vitality, second * 25, second * US_PER_SECOND);
        vitality_file(
            &vitality, second / SEGMENT_S, second % SEGMENT_S * 100000, second * US_PER_SECOND);
        if (judge(&vitality, second) != REASON_NONE)
            fail_msg("ended as %s after %d s", reason_name(judge(&vitality, second)), (int)second);
    }
}

static void test_silence_ends_after_twice_the_timeout(void **state)
{
    (void)state;
    struct vitality vitality;
    vitality_begin(&vitality, 0);
    vitality_block(&vitality, 25, 1 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 1 + 2 * TIMEOUT_S), REASON_NONE);
    assert_int_equal(judge(&vitality, 4 + 2 * TIMEOUT_S), REASON_STALLED);

    // The file's growth alone is life, too.
    vitality_file(&vitality, 0, 1000, 10 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 4 + 2 * TIMEOUT_S), REASON_NONE);
    // A file that is seen again with the same size is none.
    vitality_file(&vitality, 0, 1000, 20 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 13 + 2 * TIMEOUT_S), REASON_STALLED);

    vitality_forgive(&vitality, 23 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 24), REASON_NONE);
}

static void test_the_first_block_may_take_longer(void **state)
{
    (void)state;
    struct vitality vitality;
    vitality_begin(&vitality, 0);
    assert_int_equal(judge(&vitality, 4 * TIMEOUT_S), REASON_NONE);
    assert_int_equal(judge(&vitality, 4 * TIMEOUT_S + 11), REASON_STALLED);
}

static void test_blocks_without_new_frames(void **state)
{
    (void)state;
    struct vitality vitality;
    vitality_begin(&vitality, 0);
    int64_t second = 0;
    while (judge(&vitality, second) == REASON_NONE && second < 200) {
        second++;
        vitality_block(&vitality, second < 10 ? second * 25 : 250, second * US_PER_SECOND);
        vitality_file(&vitality, 0, second * 1000, second * US_PER_SECOND); // audio goes on
    }
    assert_int_equal(judge(&vitality, second), REASON_NO_FRAMES);
    assert_int_equal(second, 10 + 60 + 1);
}

static void test_a_segment_that_never_closes(void **state)
{
    (void)state;
    struct vitality vitality;
    vitality_begin(&vitality, 0);
    int64_t second = 0;
    while (judge(&vitality, second) == REASON_NONE && second < 5000) {
        second++;
        vitality_block(&vitality, second * 25, second * US_PER_SECOND);
        vitality_file(&vitality, 0, second * 1000, second * US_PER_SECOND);
    }
    assert_int_equal(judge(&vitality, second), REASON_NO_KEYFRAME);
    assert_int_equal(second, 1 + 3600 + 1);

    vitality_begin(&vitality, 0);
    vitality_block(&vitality, 25, 1 * US_PER_SECOND);
    vitality_file(&vitality, 0, INT64_C(4) << 30, 1 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 1), REASON_NONE);
    vitality_file(&vitality, 0, (INT64_C(4) << 30) + 1, 1 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 1), REASON_NO_KEYFRAME);
    // The next file is measured anew.
    vitality_file(&vitality, 1, 1000, 2 * US_PER_SECOND);
    assert_int_equal(judge(&vitality, 2), REASON_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_camera_that_sends_is_alive_for_ever),
        cmocka_unit_test(test_silence_ends_after_twice_the_timeout),
        cmocka_unit_test(test_the_first_block_may_take_longer),
        cmocka_unit_test(test_blocks_without_new_frames),
        cmocka_unit_test(test_a_segment_that_never_closes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
