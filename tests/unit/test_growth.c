// links: kf-supervisor
// How the files of a run grow, with real files that come, grow, are sealed and go.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "supervisor/growth.h"
#include "supervisor/run.h"

static char directory[] = "/tmp/keepframe-test-growth-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (int64_t file = 0; file < 4 * 4; file++) {
        char *path = run_segment_path(directory, 1 + file / 4, file % 4);
        unlink(path);
        free(path);
    }
    return rmdir(directory);
}

static void append(int64_t run, int64_t number, const void *bytes, size_t count)
{
    char *path = run_segment_path(directory, run, number);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
    free(path);
}

static void append_zeros(int64_t run, int64_t number, size_t count)
{
    char *zeros = xcalloc(1, count);
    append(run, number, zeros, count);
    free(zeros);
}

static void take_away(int64_t run, int64_t number)
{
    char *path = run_segment_path(directory, run, number);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void test_growth_over_files(void **state)
{
    struct growth growth;
    (void)state;
    growth_begin(&growth);
    assert_int_equal(growth_look(&growth, directory, 1), 0);
    assert_int_equal(growth.fd, -1);
    append_zeros(1, 0, 100);
    assert_int_equal(growth_look(&growth, directory, 1), 100);
    assert_int_equal(growth_look(&growth, directory, 1), 0);
    append_zeros(1, 0, 50);
    append_zeros(1, 1, 7);
    assert_int_equal(growth_look(&growth, directory, 1), 57);
    assert_int_equal(growth.number, 1);
    assert_int_equal(growth.size, 7);
    append_zeros(1, 1, 3);
    assert_int_equal(growth_end(&growth, directory, 1), 3);
    assert_int_equal(growth.fd, -1);
}

static void test_a_file_that_was_taken_away_still_counts(void **state)
{
    struct growth growth;
    (void)state;
    growth_begin(&growth);
    append_zeros(2, 0, 100);
    assert_int_equal(growth_look(&growth, directory, 2), 100);
    append_zeros(2, 0, 11);
    take_away(2, 0);
    append_zeros(2, 1, 5);
    assert_int_equal(growth_look(&growth, directory, 2), 16);
    // Two files later: what was in between is not known.
    take_away(2, 1);
    append_zeros(2, 3, 9);
    assert_int_equal(growth_look(&growth, directory, 2), 9);
    assert_int_equal(growth.number, 3);
    growth_end(&growth, directory, 2);
}

static void test_the_first_file_may_be_gone(void **state)
{
    struct growth growth;
    (void)state;
    growth_begin(&growth);
    append_zeros(3, 1, 20);
    append_zeros(3, 2, 30);
    assert_int_equal(growth_look(&growth, directory, 3), 50);
    assert_int_equal(growth.number, 2);
    growth_end(&growth, directory, 3);
}

static void test_what_sealing_adds_is_not_growth(void **state)
{
    // ftyp of 12 bytes, then an mdat of 88 over all up to byte 100.
    static const uint8_t sealed[] = {0, 0, 0, 12, 'f', 't', 'y', 'p', 'i', 's', 'o', 'm', //
        0, 0, 0, 1, 'm', 'd', 'a', 't', 0, 0, 0, 0, 0, 0, 0, 88};
    struct growth growth;
    (void)state;
    growth_begin(&growth);
    append(4, 0, sealed, sizeof(sealed));
    append_zeros(4, 0, 60 - sizeof(sealed));
    assert_int_equal(growth_look(&growth, directory, 4), 60);
    append_zeros(4, 0, 40 + 33);
    append_zeros(4, 1, 5);
    assert_int_equal(growth_look(&growth, directory, 4), 40 + 5);
    growth_end(&growth, directory, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_over_files),
        cmocka_unit_test(test_a_file_that_was_taken_away_still_counts),
        cmocka_unit_test(test_the_first_file_may_be_gone),
        cmocka_unit_test(test_what_sealing_adds_is_not_growth),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
