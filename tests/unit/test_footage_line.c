// links: kf-webui
// In which order segments are played: by time, and where stretches overlap one after the other.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "webui/footage_line.h"

struct piece {
    int64_t run;
    uint32_t number;
    int64_t start_s, end_s;
};

static void check(const struct piece *pieces, size_t count, int64_t start_s, const size_t *expected)
{
    struct footage footage = {
        .segments = xcalloc(count, sizeof(struct footage_segment)), .count = count};
    for (size_t i = 0; i < count; i++) {
        footage.segments[i].run = pieces[i].run;
        footage.segments[i].number = pieces[i].number;
        footage.segments[i].start_us = pieces[i].start_s * 1000000;
        footage.segments[i].end_us = pieces[i].end_s * 1000000;
        assert_true(i == 0 || pieces[i].start_s >= pieces[i - 1].start_s);
    }
    if (count > 0) {
        const struct footage_segment *first = footage_line_first(&footage, start_s * 1000000);
        assert_int_equal(first->run, pieces[expected[0]].run);
        assert_int_equal(first->number, pieces[expected[0]].number);
    }
    footage_line_up(&footage, start_s * 1000000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(footage.segments[i].run, pieces[expected[i]].run);
        assert_int_equal(footage.segments[i].number, pieces[expected[i]].number);
    }
    free(footage.segments);
}

static void what_does_not_overlap_stays(void **state)
{
    (void)state;
    static const struct piece pieces[] = {
        {7, 3, 0, 60}, {7, 4, 60, 120}, {9, 0, 130, 190}, {9, 2, 250, 310}};
    check(pieces, ARRAY_LENGTH(pieces), 0, (const size_t[]){0, 1, 2, 3});
    check(pieces, 0, 0, NULL);
}

static void runs_that_overlap_follow_each_other(void **state)
{
    (void)state;
    static const struct piece pieces[] = {{7, 0, 0, 60}, {5, 8, 10, 70}, {7, 1, 60, 120},
        {5, 9, 70, 130}, {7, 2, 120, 180}, {8, 0, 500, 560}};
    check(pieces, ARRAY_LENGTH(pieces), 0, (const size_t[]){0, 2, 4, 1, 3, 5});
}

// The clock was set back by two and a half minutes before 5: what it showed twice is there twice.
static void time_that_was_recorded_twice_follows_the_first_pass(void **state)
{
    (void)state;
    static const struct piece pieces[] = {{7, 1, 60, 120}, {7, 2, 120, 180}, {7, 5, 150, 210},
        {7, 3, 180, 240}, {7, 6, 210, 270}, {7, 4, 240, 300}, {7, 7, 270, 330}};
    check(pieces, ARRAY_LENGTH(pieces), 0, (const size_t[]){0, 1, 3, 5, 2, 4, 6});
    // In a range that begins within both, too, whichever of their segments begins first.
    check(pieces + 2, 5, 190, (const size_t[]){1, 3, 0, 2, 4});
    check(pieces + 3, 4, 215, (const size_t[]){0, 2, 1, 3});
}

// A segment is lost in one run; what the other one has of that time comes where it begins.
static void a_lost_segment_parts_a_stretch(void **state)
{
    (void)state;
    static const struct piece pieces[] = {
        {7, 0, 0, 60}, {8, 0, 50, 110}, {8, 1, 110, 170}, {7, 2, 120, 180}};
    check(pieces, ARRAY_LENGTH(pieces), 0, (const size_t[]){0, 1, 2, 3});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_overlap_stays),
        cmocka_unit_test(runs_that_overlap_follow_each_other),
        cmocka_unit_test(time_that_was_recorded_twice_follows_the_first_pass),
        cmocka_unit_test(a_lost_segment_parts_a_stretch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
