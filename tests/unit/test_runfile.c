// Run files as other programs would write and read them: the JSON is checked as text.
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
#include "lib/core/fsutil.h"
#include "lib/core/runfile.h"

static char path[] = "/tmp/keepframe-runfile-XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_text(const char *text)
{
    char *cause = NULL;
    assert_int_equal(fs_write_file(path, text, strlen(text), 0600, &cause), 0);
}

static void test_a_living_run(void **state)
{
    (void)state;
    struct runfile written = {.camera = "yard",
        .stream = "main",
        .run = 1767225600123,
        .node = "nvr",
        .start_us = 1767225600123456};
    char *cause = NULL;
    size_t size;
    assert_int_equal(runfile_store(&written, path, &cause), 0);
    char *text = fs_read_file(path, 4096, &size, &cause);
    assert_non_null(text);
    assert_string_equal(text,
        "{\"version\":1,\"camera\":\"yard\",\"stream\":\"main\",\"run\":1767225600123,\"node\":"
        "\"nvr\","
        "\"start_us\":1767225600123456,\"end_us\":null,\"reason\":null,\"detail\":null}");
    free(text);

    struct runfile read;
    assert_int_equal(runfile_load(&read, path, &cause), 0);
    assert_string_equal(read.camera, "yard");
    assert_int_equal(read.run, 1767225600123);
    assert_int_equal(read.end_us, 0);
    assert_null(read.reason);
    runfile_fini(&read);
}

static void test_an_ended_run_with_hostile_last_words(void **state)
{
    (void)state;
    struct runfile written = {.camera = "yard",
        .stream = "sub",
        .run = 1,
        .node = "n",
        .start_us = 2,
        .end_us = 3,
        .reason = "unauthorised",
        .detail = "he said \"no\"\\\n\x01"};
    char *cause = NULL;
    assert_int_equal(runfile_store(&written, path, &cause), 0);
    struct runfile read;
    assert_int_equal(runfile_load(&read, path, &cause), 0);
    assert_int_equal(read.end_us, 3);
    assert_string_equal(read.reason, "unauthorised");
    assert_string_equal(read.detail, written.detail);
    runfile_fini(&read);
}

static void test_what_is_no_run_file(void **state)
{
    (void)state;
    static const char *const table[] = {"", "{", "[]", "null", "{\"version\":1}",
        "{\"version\":2,\"camera\":\"a\",\"stream\":\"b\",\"run\":1,\"node\":\"n\",\"start_us\":2}",
        "{\"version\":1,\"camera\":5,\"stream\":\"b\",\"run\":1,\"node\":\"n\",\"start_us\":2}",
        ("{\"version\":1,\"camera\":\"a\",\"stream\":\"b\",\"run\":\"1\",\"node\":\"n\",\"start_"
         "us\":2}")};
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        write_text(table[i]);
        struct runfile read;
        char *cause = NULL;
        assert_int_equal(runfile_load(&read, path, &cause), -1);
        assert_non_null(strstr(cause, path));
        free(cause);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_living_run),
        cmocka_unit_test(test_an_ended_run_with_hostile_last_words),
        cmocka_unit_test(test_what_is_no_run_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
