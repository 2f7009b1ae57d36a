// links: kf-supervisor
// The last lines of a child, repetitions counted.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/buf.h"
#include "supervisor/logcap.h"

// All lines, oldest first, as "N*line|".
static void expect_lines(const struct logcap *log, const char *expected)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < logcap_count(log); i++) {
        unsigned repeats;
        const char *line = logcap_line(log, i, &repeats);
        buf_printf(&text, "%u*%s|", repeats, line);
    }
    assert_string_equal(buf_string(&text), expected);
    buf_fini(&text);
}

static void test_repetitions(void **state)
{
    struct logcap *log = logcap_new();
    (void)state;
    assert_int_equal(logcap_add(log, "a"), 1);
    assert_int_equal(logcap_add(log, "a"), 2);
    assert_int_equal(logcap_add(log, "b"), 1);
    assert_int_equal(logcap_add(log, "a  "), 3); // the newest now
    expect_lines(log, "1*b|3*a|");
    assert_string_equal(logcap_last(log), "a");
    logcap_free(log);
}

static void test_numbers_alone_make_no_other_line(void **state)
{
    struct logcap *log = logcap_new();
    (void)state;
    logcap_add(log, "[mp4 @ 0x55d0c0ffee00] previous: 1234, current: 99; changing to 1235");
    logcap_add(log, "[mp4 @ 0x7f0000000010] previous: 91235, current: 7; changing to 91236");
    logcap_add(log, "DESCRIBE failed: 401 Unauthorized");
    logcap_add(log, "DESCRIBE failed: 404 Unauthorized");
    logcap_add(log, "missed 5 packets");
    logcap_add(log, "missed 1200 packets");
    logcap_add(log, "missed packets");
    logcap_add(log, "missed 5");
    expect_lines(log, "2*[mp4] previous: 91235, current: 7; changing to 91236|"
                      "1*DESCRIBE failed: 401 Unauthorized|1*DESCRIBE failed: 404 Unauthorized|"
                      "2*missed 1200 packets|1*missed packets|1*missed 5|");
    logcap_free(log);
}

static void test_a_hundred_lines_stay(void **state)
{
    struct logcap *log = logcap_new();
    unsigned repeats;
    (void)state;
    assert_null(logcap_last(log));
    for (int i = 0; i < 1000; i++) {
        char line[64];
        snprintf(line, sizeof(line), "line %c%c%c", 'a' + i / 100, 'a' + i / 10 % 10, 'a' + i % 10);
        assert_int_equal(logcap_add(log, line), 1);
    }
    assert_int_equal(logcap_count(log), 100);
    assert_string_equal(logcap_line(log, 0, &repeats), "line jaa");
    assert_string_equal(logcap_last(log), "line jjj");
    assert_int_equal(logcap_add(log, "line jjc"), 2); // among the last few, in a full ring
    assert_int_equal(logcap_add(log, "line jaa"), 1); // long ago
    assert_string_equal(logcap_line(log, 0, &repeats), "line jab");
    assert_string_equal(logcap_line(log, 98, &repeats), "line jjc");
    logcap_free(log);
}

static void note_repeat(void *arg, const char *line, unsigned times)
{
    buf_printf(arg, "%u*%s|", times, line);
}

static void test_repetitions_are_told_once(void **state)
{
    struct logcap *log = logcap_new();
    struct buf told = BUF_INIT;
    (void)state;
    for (int i = 0; i < 5; i++)
        logcap_add(log, "a");
    logcap_add(log, "b");
    logcap_tell_repeats(log, note_repeat, &told);
    logcap_tell_repeats(log, note_repeat, &told);
    logcap_add(log, "b");
    logcap_tell_repeats(log, note_repeat, &told);
    assert_string_equal(buf_string(&told), "4*a|1*b|");
    buf_fini(&told);
    logcap_free(log);
}

static void test_hostile_lines(void **state)
{
    char longest[2000];
    struct logcap *log = logcap_new();
    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    logcap_add(log, longest);
    assert_int_equal(strlen(logcap_last(log)), 500);
    logcap_add(log, "a\x1b[31m\tb\x7f");
    assert_string_equal(logcap_last(log), "a?[31m?b?");
    logcap_add(log, "no UTF-8: \xff\xfe, but \xc3\xa4");
    assert_string_equal(logcap_last(log), "no UTF-8: ??, but ??");
    logcap_add(log, "UTF-8: \xc3\xa4");
    assert_string_equal(logcap_last(log), "UTF-8: \xc3\xa4");
    logcap_add(log, "");
    assert_string_equal(logcap_last(log), "");
    logcap_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repetitions),
        cmocka_unit_test(test_numbers_alone_make_no_other_line),
        cmocka_unit_test(test_a_hundred_lines_stay),
        cmocka_unit_test(test_repetitions_are_told_once),
        cmocka_unit_test(test_hostile_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
