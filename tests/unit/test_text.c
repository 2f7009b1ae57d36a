// What is harmless of text that came from outside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/core/text.h"

static void expect_plain(const char *text, const char *expected)
{
    char copy[128];
    snprintf(copy, sizeof(copy), "%s", text);
    text_make_plain(copy);
    assert_string_equal(copy, expected);
}

static void test_what_stays(void **state)
{
    (void)state;
    expect_plain("", "");
    expect_plain("all of it: ~ \"'\\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
        "all of it: ~ \"'\\ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    expect_plain("no-break space: \xc2\xa0", "no-break space: \xc2\xa0");
    expect_plain("\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xa5 \xe2\x81\xaa",
        "\xe2\x80\xa7 \xe2\x80\xaf \xe2\x81\xa5 \xe2\x81\xaa");
}

static void test_what_goes(void **state)
{
    (void)state;
    expect_plain("a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?");
    expect_plain("C1: \xc2\x80\xc2\x9b"
                 "31m \xc2\x9f.",
        "C1: ????31m ??.");
    expect_plain("\xe2\x80\xa8|\xe2\x80\xae|\xe2\x81\xa6|\xe2\x81\xa9", "???|???|???|???");
    expect_plain("no UTF-8: \xff\xfe\x1b, but \xc3\xa4", "no UTF-8: ???, but ??");
    expect_plain("cut: \xe2\x80", "cut: ??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_what_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
