// Files and directories on the real file system: leases held by real writers, atomic replacement.
#include <errno.h>
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
#include "lib/core/timeutil.h"

static char directory[] = "/tmp/keepframe-test-XXXXXX";

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", directory, name);
}

static int setup(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"file", "a/b/c", "a/b", "a", "leased"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char *path = path_of(names[i]);
        remove(path);
        free(path);
    }
    return rmdir(directory);
}

static void test_write_then_read(void **state)
{
    (void)state;
    char *path = path_of("file"), *cause = NULL;
    size_t size;
    assert_int_equal(fs_write_file(path, "one", 3, 0600, &cause), 0);
    assert_int_equal(fs_write_file(path, "second", 6, 0600, &cause), 0);
    char *data = fs_read_file(path, 6, &size, &cause);
    assert_non_null(data);
    assert_int_equal(size, 6);
    assert_string_equal(data, "second");
    free(data);

    assert_null(fs_read_file(path, 5, &size, &cause));
    assert_int_equal(errno, EFBIG);
    assert_non_null(strstr(cause, path));
    free(cause);
    free(path);
}

static void test_read_what_is_not_there(void **state)
{
    (void)state;
    char *path = path_of("nothing"), *cause = NULL;
    size_t size;
    assert_null(fs_read_file(path, 100, &size, &cause));
    assert_non_null(strstr(cause, "No such file"));
    free(cause);
    free(path);
}

static void test_make_dirs(void **state)
{
    (void)state;
    char *path = path_of("a/b/c"), *file = path_of("file"), *below = path_of("file/x"),
         *cause = NULL;
    struct stat info;
    assert_int_equal(fs_make_dirs(path, 0750, &cause), 0);
    assert_int_equal(fs_make_dirs(path, 0750, &cause), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(fs_sync_dir(path, &cause), 0);

    assert_int_equal(fs_write_file(file, "", 0, 0600, &cause), 0);
    assert_int_equal(fs_make_dirs(file, 0750, &cause), -1);
    free(cause);
    assert_int_equal(fs_make_dirs(below, 0750, &cause), -1);
    assert_non_null(strstr(cause, "Not a directory"));
    free(cause);
    free(path);
    free(file);
    free(below);
}

static void test_lease_tells_a_writer(void **state)
{
    (void)state;
    char *path = path_of("leased");
    int writer = open(path, O_WRONLY | O_CREAT, 0600);
    int reader = open(path, O_RDONLY);
    assert_true(writer >= 0 && reader >= 0);
    assert_int_equal(fs_lease_probe(reader), FS_LEASE_OPEN);
    close(writer);
    assert_int_equal(fs_lease_probe(reader), FS_LEASE_CLOSED);
    // The lease was given back: a writer may come without being held up.
    writer = open(path, O_WRONLY | O_NONBLOCK);
    assert_true(writer >= 0);
    close(writer);
    int64_t birth_us = fs_birth_us(reader);
    assert_true(birth_us > 0 && birth_us <= time_now_us());
    close(reader);
    free(path);
}

static void test_a_usable_directory(void **state)
{
    (void)state;
    char *cause = NULL, *missing = path_of("missing");
    assert_int_equal(fs_check_local_dir(directory, "storage.cache", true, &cause), 0);
    assert_null(cause);
    assert_int_equal(fs_check_local_dir(missing, "storage.cache", true, &cause), -1);
    assert_non_null(strstr(cause, "storage.cache"));
    assert_non_null(strstr(cause, missing));
    free(cause);
    free(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_then_read),
        cmocka_unit_test(test_read_what_is_not_there),
        cmocka_unit_test(test_make_dirs),
        cmocka_unit_test(test_lease_tells_a_writer),
        cmocka_unit_test(test_a_usable_directory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
