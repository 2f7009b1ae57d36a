// links: kf-supervisor
// Runs on disk: numbers that only grow, and ends for those whose supervisor died.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/core/alloc.h"
#include "lib/core/fsutil.h"
#include "lib/core/runfile.h"
#include "supervisor/run.h"

#define STREAM "front/main"

static int enter_directory(void **state)
{
    char *directory = xstrdup("/tmp/test_run.XXXXXX");
    char *cause = NULL;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(fs_make_dirs(STREAM, 0750, &cause), 0);
    *state = directory;
    return 0;
}

static int leave_directory(void **state)
{
    static const char *const names[] = {STREAM "/.last-run", STREAM "/1000.json",
        STREAM "/1000-000000.mp4", STREAM "/1000-000001.mp4", STREAM "/2000.json",
        STREAM "/3000.json", STREAM "/5000-1234567.mp4", STREAM "/9000-12345.mp4",
        STREAM "/9000.jpeg", STREAM, "front"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        remove(names[i]);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(*state), 0);
    free(*state);
    return 0;
}

static void put_file(const char *path)
{
    char *cause = NULL;
    assert_int_equal(fs_write_file(path, "", 0, 0640, &cause), 0);
}

static void put_run(int64_t run, int64_t end_us)
{
    char *cause = NULL, *path = run_file_path(STREAM, run);
    struct runfile file = {.camera = "front",
        .stream = "main",
        .run = run,
        .node = "n",
        .start_us = run * 1000,
        .end_us = end_us,
        .reason = end_us ? "stopped" : NULL};
    assert_int_equal(runfile_store(&file, path, &cause), 0);
    free(path);
}

static void expect_run(int64_t now_ms, int64_t expected)
{
    char *cause = NULL;
    assert_int_equal(run_reserve(STREAM, now_ms, &cause), expected);
}

static void test_numbers_only_grow(void **state)
{
    expect_run(1000, 1000);
    expect_run(1000, 1001);
    expect_run(2000, 2000);
    expect_run(1500, 2001); // the clock went back
    remove(STREAM "/.last-run");
    expect_run(1000, 1000); // nothing is left that tells
    remove(STREAM "/.last-run");
    put_file(STREAM "/5000-1234567.mp4");
    expect_run(1000, 5001); // a segment tells
    remove(STREAM "/5000-1234567.mp4");
    expect_run(1000, 5002);
    put_file(STREAM "/9000-12345.mp4"); // no names of ours
    put_file(STREAM "/9000.jpeg");
    expect_run(1000, 5003);
    (void)state;
}

static void test_numbers_beyond_all_time_are_none_of_ours(void **state)
{
    put_file(STREAM "/9223372036854775807.json");
    put_file(STREAM "/99999999999999999-000000.mp4");
    expect_run(1000, 1000);
    assert_int_equal(remove(STREAM "/.last-run"), 0);
    assert_int_equal(symlink("9223372036854775807", STREAM "/.last-run"), 0);
    expect_run(2000, 2000);
    assert_int_equal(remove(STREAM "/9223372036854775807.json"), 0);
    assert_int_equal(remove(STREAM "/99999999999999999-000000.mp4"), 0);
    (void)state;
}

static void test_a_missing_directory_is_said(void **state)
{
    char *cause = NULL;
    assert_int_equal(run_reserve("none/main", 1, &cause), 0);
    assert_string_equal(cause, "none/main: can not be read: No such file or directory");
    free(cause);
    (void)state;
}

static void expect_end(int64_t run, int64_t end_us, const char *reason)
{
    struct runfile file;
    char *cause = NULL, *path = run_file_path(STREAM, run);
    assert_int_equal(runfile_load(&file, path, &cause), 0);
    assert_int_equal(file.end_us, end_us);
    assert_string_equal(file.reason, reason);
    runfile_fini(&file);
    free(path);
}

static void test_stale_runs_are_ended(void **state)
{
    const struct timespec times[2] = {{.tv_sec = 50}, {.tv_sec = 77, .tv_nsec = 123456789}};
    const struct timespec older[2] = {{.tv_sec = 50}, {.tv_sec = 60}};
    put_run(1000, 0);
    put_file(STREAM "/1000-000000.mp4");
    put_file(STREAM "/1000-000001.mp4");
    assert_int_equal(utimensat(AT_FDCWD, STREAM "/1000-000000.mp4", times, 0), 0);
    assert_int_equal(utimensat(AT_FDCWD, STREAM "/1000-000001.mp4", older, 0), 0);
    put_run(2000, 3000000);
    put_run(3000, 0); // it has no file
    put_file(STREAM "/1000.json.tmp");
    assert_int_equal(run_end_stale(".", "n"), 2);
    expect_end(1000, 77123456, "supervisor_died");
    expect_end(2000, 3000000, "stopped");
    expect_end(3000, 3000000, "supervisor_died");
    assert_int_equal(access(STREAM "/1000.json.tmp", F_OK), -1);
    assert_int_equal(run_end_stale(".", "n"), 0);
    (void)state;
}

static void test_a_blank_run_file_is_written_anew(void **state)
{
    struct runfile file;
    char *cause = NULL;
    put_file(STREAM "/1000.json"); // as a power cut leaves it
    assert_int_equal(fs_write_file(STREAM "/2000.json", "\0\0\0", 3, 0640, &cause), 0);
    assert_int_equal(fs_write_file(STREAM "/3000.json", "{\"version\":9}", 13, 0640, &cause), 0);
    assert_int_equal(run_end_stale(".", "attic"), 2);
    expect_end(1000, 1000000, "supervisor_died");
    expect_end(2000, 2000000, "supervisor_died");
    assert_int_equal(runfile_load(&file, STREAM "/2000.json", &cause), 0);
    assert_string_equal(file.camera, "front");
    assert_string_equal(file.stream, "main");
    assert_string_equal(file.node, "attic");
    assert_int_equal(file.start_us, 2000000);
    runfile_fini(&file);
    assert_int_equal(runfile_load(&file, STREAM "/3000.json", &cause), -1); // left as it was
    free(cause);
    (void)state;
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIRECTORY(test_numbers_only_grow),
        IN_DIRECTORY(test_numbers_beyond_all_time_are_none_of_ours),
        IN_DIRECTORY(test_a_missing_directory_is_said),
        IN_DIRECTORY(test_stale_runs_are_ended),
        IN_DIRECTORY(test_a_blank_run_file_is_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
